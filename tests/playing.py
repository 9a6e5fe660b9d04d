# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play tasks with the real ansible-playbook and look at what they answered and at what they left behind."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
from dataclasses import dataclass

import yaml

ROOT = pathlib.Path(__file__).parents[1]
PLAYBOOK = shutil.which(
    "ansible-playbook", path=os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
)


@dataclass(frozen=True)
class Played:
    """What came of a playbook. ``results``: of the tasks in their order, as Ansible hands them to its callbacks."""

    status: int
    output: str
    results: list[dict]

    @property
    def result(self) -> dict:
        """The result of the last task."""
        return self.results[-1]

    @property
    def changed(self) -> bool:
        """Whether the last task changed anything."""
        return self.result.get("changed", False)

    @property
    def failed(self) -> bool:
        """Whether the last task failed."""
        return self.result["failed"]


class Stage:
    """A controller of its own below ``folder``, with the hosts db1, db2 and scratch1, which are all this machine."""

    def __init__(self, folder: pathlib.Path, python: str = sys.executable) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.record = folder / "record"
        self.inventory = folder / "inventory.yml"
        (folder / "ansible.cfg").write_text("[defaults]\n")
        here = {"ansible_connection": "local", "ansible_python_interpreter": python}
        hosts = {name: dict(here) for name in ("db1", "db2", "scratch1")}
        self.inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))

    def play(
        self,
        *tasks: dict,
        hosts: str = "db1",
        check: bool = False,
        diff: bool = False,
        verbosity: int = 0,
        defaults: dict | None = None,
        variables: dict | None = None,
        environment: dict | None = None,
    ) -> Played:
        """Play ``tasks``. ``defaults``: options of the action group, as users set them with module_defaults."""
        play = {"hosts": hosts, "gather_facts": False, "tasks": list(tasks)}
        if defaults is not None:
            play["module_defaults"] = {"group/holdfast.db.holdfast": defaults}
        playbook = self.folder / "playbook.yml"
        playbook.write_text(yaml.safe_dump([play], sort_keys=False, allow_unicode=True))
        return self.run(
            playbook, check=check, diff=diff, verbosity=verbosity, variables=variables, environment=environment
        )

    def run(
        self,
        playbook: pathlib.Path,
        *,
        check: bool = False,
        diff: bool = False,
        verbosity: int = 0,
        variables: dict | None = None,
        environment: dict | None = None,
    ) -> Played:
        """Run a playbook that exists."""
        self.record.write_text("")
        command = [PLAYBOOK, "-i", str(self.inventory), str(playbook)]
        command += ["--check"] * check + ["--diff"] * diff + ["-" + "v" * verbosity] * bool(verbosity)
        command += ["-e", json.dumps(variables)] if variables else []
        done = subprocess.run(
            command,
            env={**self.environment(), **(environment or {})},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        lines = self.record.read_text().splitlines()
        return Played(done.returncode, done.stdout, [json.loads(line) for line in lines])

    def environment(self) -> dict[str, str]:
        """Settings that keep Ansible inside the folder and make it find this checkout, and none of the user's own."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return {
            **others,
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "ansible" / "tmp"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "ansible" / "remote"),
            "ANSIBLE_ASYNC_DIR": str(self.folder / "ansible" / "async"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests" / "callbacks"),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_RETRY_FILES_ENABLED": "false",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "HOLDFAST_RECORD": str(self.record),
            "LC_ALL": "C.UTF-8",
        }


def tree(folder: pathlib.Path) -> dict[str, tuple]:
    """Everything below ``folder`` with owner, mode, time of change and content, for comparing before and after."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        found[str(path)] = (status.st_uid, status.st_gid, status.st_mode, status.st_mtime_ns, content)
    return found
