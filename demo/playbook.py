# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the demo's playbook: Ansible's own output goes into a log, what its tasks answered comes back."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent


class PlaybookError(Exception):
    """A task failed, or the playbook did not run; the message is for the person who watches."""


@dataclass(frozen=True)
class Answer:
    """What one task answered on one host."""

    task: str
    host: str
    answer: Mapping[str, Any]


@dataclass
class Playbook:
    """``demo.yml``; ``logs``: the folder for what Ansible prints."""

    logs: pathlib.Path
    runs: int = field(default=0)

    def run(self, *arguments: str) -> list[Answer]:
        """Run it and return the answers in the order in which they came.

        Raises PlaybookError with the sentence of the task that failed.
        """
        self.runs += 1
        name = f"{self.runs}-{arguments[arguments.index('--tags') + 1].replace(',', '-')}"
        log, journal = self.logs / f"{name}.log", self.logs / f"{name}.json"
        with log.open("w", encoding="utf-8") as output:
            output.write(f"$ {self.command(*arguments)}\n")
            output.flush()
            done = subprocess.run(
                ["ansible-playbook", "demo.yml", *arguments],
                cwd=HERE,
                env=self._environment(journal),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        answers = self._read(journal, log)
        if done.returncode != 0 or not answers:
            raise PlaybookError(f"ansible-playbook ended with status {done.returncode}; its output is in {log}")
        return answers

    def command(self, *arguments: str) -> str:
        """How a person types the same, in the demo's folder."""
        program = pathlib.Path(str(shutil.which("ansible-playbook")))
        if program.is_relative_to(ROOT):
            program = ".." / program.relative_to(ROOT)
        return shlex.join([str(program), "demo.yml", *arguments])

    def _environment(self, journal: pathlib.Path) -> dict[str, str]:
        # Somebody's own settings of Ansible and of PostgreSQL's programs are not the demo's, and nothing is to be left
        # in their home.
        theirs = ("ANSIBLE_", "PG", "PYTHONPATH")
        plain = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
        return plain | {
            "ANSIBLE_CONFIG": str(HERE / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.logs.parent / "ansible"),
            "ANSIBLE_REMOTE_TEMP": str(self.logs.parent / "ansible" / "modules"),
            "ANSIBLE_NOCOLOR": "1",
            "HOLDFAST_DEMO_JOURNAL": str(journal),
        }

    def _read(self, journal: pathlib.Path, log: pathlib.Path) -> list[Answer]:
        if not journal.exists():
            return []
        lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            if line["failed"]:
                reason = line["answer"].get("msg", "it gave no reason")
                raise PlaybookError(f"{line['task']} failed on {line['host']}: {reason} Ansible's output is in {log}")
        return [Answer(line["task"], line["host"], line["answer"]) for line in lines]
