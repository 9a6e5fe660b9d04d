# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module of this collection needs to hear from the controller before it runs on a host.

A module sees only the machine that it runs on, and that machine's own name. Which host of the inventory a backup
belongs to is known here, and so are the types in which YAML read the options.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.vars import merge_hash

# Options whose text tells one thing from another. YAML reads 007 as 7, 5:30 as 330 and on as true, and a module would
# be handed "7", "330" and "True": another policy, another host.
NAMES = (
    "confirm",
    "database",
    "engine",
    "id",
    "login_db",
    "login_host",
    "login_password",
    "login_service",
    "login_user",
    "name",
    "policy",
    "repository_id",
    "source_host",
    "target",
    "target_host",
)


# Options that choose something. Written out with nothing behind them, as an undefined variable with an empty default
# leaves them, they must not choose the usual thing instead: the newest backup, the live database.
CHOICES = ("acknowledge", "before", "file", "id", "name", "target", "target_host")


class HoldfastAction(ActionBase):
    """Runs the module of the same name, on the host and under the name that the task is about.

    ``target_option``: the module's option that names the host on which the work happens, where it has one.
    """

    _supports_check_mode = True
    _supports_async = True
    _requires_connection = True

    module: ClassVar[str]
    target_option: ClassVar[str | None] = None

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Complete the options and hand them to the module, under ``async`` as well."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        self._refuse_numbers(arguments)
        self._refuse_empty(arguments)
        # Under delegate_to the variables are still those of the host that the task is about: the source wins.
        self._complete(arguments, "source_host", variables.get("inventory_hostname"))
        if self.target_option is not None:
            machine = self._task.delegate_to or variables.get("inventory_hostname")
            self._complete(arguments, self.target_option, machine)
        is_wrapped = bool(self._task.async_val) and not self._connection.has_native_async
        answer = self._execute_module(
            module_name=self.module, module_args=arguments, task_vars=variables, wrap_async=is_wrapped
        )
        if not is_wrapped:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return merge_hash(result, answer)

    @staticmethod
    def _complete(arguments: dict[str, Any], option: str, value: str | None) -> None:
        if arguments.get(option) is None and value is not None:
            arguments[option] = value

    @staticmethod
    def _refuse_empty(arguments: dict[str, Any]) -> None:
        for option in (*CHOICES, "request"):
            is_nothing = option in arguments and arguments[option] is None and option in CHOICES
            if is_nothing or arguments.get(option) == "":
                raise AnsibleActionFail(
                    "The option %s is given but has no value; fill the variable behind it, or leave the option out "
                    "with default(omit)." % option
                )

    @staticmethod
    def _refuse_numbers(arguments: dict[str, Any]) -> None:
        for option in NAMES:
            value = arguments.get(option)
            if isinstance(value, (bool, int, float)):
                kind = "true or false" if isinstance(value, bool) else "a number"
                raise AnsibleActionFail(
                    "The option %s is text, and YAML made %s of it (007 becomes 7, 5:30 becomes 330, on becomes "
                    "true); put it in quotes." % (option, kind)
                )
