# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one bridge between Ansible and the operations.

It turns the options of a task into the values that operations take, and what they answer, or the sentence they
raise, into the result of the task. Nothing else in this folder knows Ansible.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule

from .errors import BadInput, HoldfastError, shown
from .model import Compression, Connection, EngineSettings, Source
from .operations.requests import Place, Selection
from .units import parse_duration, parse_time

DEFAULT_POLICY = "default"
ANY_HOST = "*"
_HIGHEST_PORT = 65535


def argument_spec(options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The options of one module: ``options`` and those that every module takes.

    All modules take the same connection and repository options, so that ``module_defaults`` can carry them.
    """
    common: dict[str, dict[str, Any]] = {
        "engine": {"type": "str"},
        "database": {"type": "str"},
        "policy": {"type": "str"},
        "source_host": {"type": "str"},
        "repository": {"type": "path"},
        "repository_id": {"type": "str"},
        "lock_timeout": {"type": "str", "default": "60s"},
        "login_host": {"type": "str"},
        "login_port": {"type": "int"},
        "login_user": {"type": "str"},
        "login_password": {"type": "str", "no_log": True},
        "login_unix_socket": {"type": "path"},
        "login_password_file": {"type": "path", "no_log": False},
        "login_service": {"type": "str"},
        "login_service_file": {"type": "path"},
        "login_db": {"type": "str"},
        "ssl_mode": {"type": "str"},
        "ca_cert": {"type": "path"},
        "ssl_cert": {"type": "path"},
        "ssl_key": {"type": "path", "no_log": False},
        "client_path": {"type": "path"},
        "jobs": {"type": "int"},
        "work_path": {"type": "path"},
    }
    return {**common, **{name: dict(option) for name, option in options.items()}}


def compression_options() -> dict[str, dict[str, Any]]:
    """The options of the modules that write backups."""
    return {
        "compression": {"type": "str", "choices": ["zstd", "none"], "default": "zstd"},
        "compression_level": {"type": "int", "default": 1},
        "compression_threads": {"type": "int", "default": 0},
        "age_recipients": {"type": "list", "elements": "str", "default": []},
    }


def identity_options() -> dict[str, dict[str, Any]]:
    """The options of the modules that read encrypted backups."""
    return {
        "age_identity_file": {"type": "path"},
        "age_identity": {"type": "str", "no_log": True},
    }


@dataclass(frozen=True)
class Outcome:
    """What a task has to tell. ``results``: the one key of the module and its value.

    ``before``, ``after``: for the diff, which is left out while both are None. ``problem``: a sentence that fails
    the task although the work came to its end, as for a verification that found damage. ``header``: what the diff
    is about.
    """

    changed: bool
    message: str
    results: Mapping[str, Any]
    warnings: Sequence[str] = ()
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    problem: str | None = None
    header: str = ""


def run(module: AnsibleModule, work: Callable[[Task], Outcome]) -> None:
    """Do the work of a module and end it: with the outcome, or with the sentence of the error and no traceback."""
    task = Task(module.params, predict=module.check_mode, wants_diff=getattr(module, "_diff", False))
    try:
        task.check_texts()
        outcome = work(task)
    except HoldfastError as error:
        sentence = str(error)
    except OSError as error:
        sentence = _refused_by_system(error)
    else:
        _finish(module, outcome)
        return
    # Outside of the except block, or Ansible attaches the exception's traceback to the result.
    module.fail_json(msg=_one_sentence(sentence), changed=False)


class Task:
    """The options of one task, read as the values that operations take.

    Methods raise BadInput that names the option. ``predict``: check mode.
    """

    def __init__(self, params: Mapping[str, Any], *, predict: bool, wants_diff: bool) -> None:
        self.params = params
        self.predict = predict
        self.wants_diff = wants_diff
        self.now = datetime.now(timezone.utc)

    def check_texts(self) -> None:
        """Refuse text that no operating system takes as a name."""
        for name, value in self.params.items():
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and not _is_a_name(text):
                    raise BadInput("The option %s holds a NUL byte or broken Unicode; write it again." % name)

    def needed(self, name: str, meaning: str) -> str:
        """The value of an option that this work cannot do without."""
        value = self.params[name]
        if value is None:
            raise BadInput("The option %s is missing; name %s." % (name, meaning))
        return value

    def duration(self, name: str) -> timedelta | None:
        """A duration such as 26h, None where the option is not given."""
        return self._read(name, parse_duration)

    def moment(self, name: str) -> datetime | None:
        """A time with its offset, None where the option is not given."""
        return self._read(name, parse_time)

    def number(self, name: str, lowest: int, highest: int | None = None) -> int | None:
        """A whole number in its bounds, None where the option is not given."""
        value = self.params[name]
        if value is None or (value >= lowest and (highest is None or value <= highest)):
            return value
        bounds = "%d or more" % lowest if highest is None else "%d to %d" % (lowest, highest)
        raise BadInput("The option %s is %d; write a whole number, %s." % (name, value, bounds))

    def engine(self) -> str:
        """The engine's name; the registry knows which exist."""
        return self.needed("engine", "the kind of database, such as postgresql or sqlite")

    def database(self) -> str:
        """The database: a name, for SQLite the path of its file."""
        return self.needed("database", "the database, for SQLite by the path of its file")

    def host(self) -> str:
        """The host whose backups are meant; the action plugin fills it in where the task does not."""
        host = self.needed("source_host", "the host whose database is meant, as the inventory calls it")
        if host == ANY_HOST:
            raise BadInput('The option source_host is "*", which only backup_info and verify take; name one host.')
        return host

    def policy(self) -> str:
        """The policy of a single source."""
        return DEFAULT_POLICY if self.params["policy"] is None else self.params["policy"]

    def source(self) -> Source:
        """The one source that the task names."""
        return Source(self.host(), self.policy(), self.database())

    def place(self) -> Place:
        """The repository."""
        repository = self.needed("repository", "the directory in which the backups live")
        return Place(repository, self.params["repository_id"], self.lock_wait())

    def lock_wait(self) -> float:
        """How long to wait for locks of others, in seconds."""
        wait = self.duration("lock_timeout")
        return wait.total_seconds() if wait is not None else 0.0

    def readable_sources(self) -> Selection:
        """The sources of a task that only reads: what is not given means any, and so does the host ``*``."""
        host = self.params["source_host"]
        return Selection(None if host == ANY_HOST else host, self.params["policy"], self.params["database"])

    def writable_sources(self) -> Selection:
        """The sources of a task that may remove: one host and one policy, any of its databases where none is named."""
        return Selection(self.host(), self.policy(), self.params["database"])

    def connection(self) -> Connection:
        """How to reach the server."""
        return Connection(
            host=self.params["login_host"],
            port=self.number("login_port", 1, _HIGHEST_PORT),
            user=self.params["login_user"],
            password=self.params["login_password"],
            unix_socket=self.params["login_unix_socket"],
            password_file=self.params["login_password_file"],
            service=self.params["login_service"],
            service_file=self.params["login_service_file"],
            ssl_mode=self.params["ssl_mode"],
            ca_cert=self.params["ca_cert"],
            client_cert=self.params["ssl_cert"],
            client_key=self.params["ssl_key"],
            maintenance_database=self.params["login_db"],
        )

    def settings(self) -> EngineSettings:
        """What the engine is told; options that the module does not have keep their defaults."""
        usual = EngineSettings()
        time_limit = self.duration("time_limit") if "time_limit" in self.params else None
        if time_limit is not None and time_limit <= timedelta(0):
            raise BadInput("The option time_limit leaves no time at all; write a longer one, such as 4h.")
        return EngineSettings(
            connection=self.connection(),
            jobs=self.number("jobs", 1),
            form=self.params.get("format", usual.form),
            fingerprint=self.params.get("fingerprint", usual.fingerprint),
            lock_wait=self.lock_wait(),
            time_limit=time_limit.total_seconds() if time_limit is not None else None,
            tools=self.params["client_path"],
            workspace=self.params["work_path"],
            load_as=self.params.get("load_as", usual.load_as),
            trusted=self.params.get("trusted", usual.trusted),
        )

    def compression(self) -> Compression:
        """How backups are compressed."""
        level, threads = self.number("compression_level", 1, 22), self.number("compression_threads", 0)
        return Compression(self.params["compression"], level or 1, threads or 0)

    def recipients(self) -> tuple[str, ...]:
        """The age public keys that backups are encrypted to."""
        return tuple(self.params["age_recipients"])

    def _read(self, name: str, parse: Callable[[str], Any]) -> Any:
        value = self.params[name]
        if value is None:
            return None
        try:
            return parse(value)
        except BadInput as reason:
            raise BadInput("The option %s cannot be read: %s" % (name, reason)) from None


def _finish(module: AnsibleModule, outcome: Outcome) -> None:
    for warning in dict.fromkeys(outcome.warnings):
        module.warn(warning)
    told: dict[str, Any] = {"changed": outcome.changed, **outcome.results}
    if outcome.before is not None or outcome.after is not None:
        told["diff"] = {"before": outcome.before or {}, "after": outcome.after or {}}
        if outcome.header:
            told["diff"].update(before_header=outcome.header, after_header=outcome.header)
    if outcome.problem is not None:
        module.fail_json(msg=_one_sentence(outcome.problem), **told)
    module.exit_json(msg=outcome.message, **told)


def _refused_by_system(error: OSError) -> str:
    where = shown(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else "this"
    reason = error.strerror or str(error)
    return "The operating system refused %s: %s; check that it is there and that this user may use it." % (
        where,
        reason,
    )


def _one_sentence(text: str) -> str:
    line = " ".join(text.split())
    return line if line.endswith((".", "!", "?")) else line + "."


def _is_a_name(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
