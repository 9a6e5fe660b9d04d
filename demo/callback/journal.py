# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: journal
type: notification
short_description: Write what each task answered into a file, for the demo to tell
description:
  - Appends one JSON object a line for each task and host, to the file that E(HOLDFAST_DEMO_JOURNAL) names.
  - Does nothing where it names none, as when a person runs the playbook by hand.
requirements:
  - to be enabled in ansible.cfg
"""


class CallbackModule(CallbackBase):
    """Ansible calls these methods as tasks end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "journal"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.path = os.environ.get("HOLDFAST_DEMO_JOURNAL")
        self.disabled = not self.path

    def v2_runner_on_ok(self, result: object) -> None:
        self._write(result, is_failed=False)

    def v2_runner_on_failed(self, result: object, ignore_errors: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002
        self._write(result, is_failed=True)

    def v2_runner_on_unreachable(self, result: object) -> None:
        self._write(result, is_failed=True)

    def _write(self, result: object, *, is_failed: bool) -> None:
        # What is dumped lacks the warnings, because the callback that prints shows them by themselves.
        warnings = [str(warning) for warning in result.result.get("warnings") or ()]
        line = {
            "task": result.task.name,
            "host": result.host.name,
            "failed": is_failed,
            "answer": {**json.loads(self._dump_results(result.result)), "warnings": warnings},
        }
        with open(self.path, "a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")
