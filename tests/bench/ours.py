# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our side: starts ``worker.py``, one process for each piece of work, as Ansible starts a module.

The time is taken outside, Python's own start included. The collection is a copy without compiled files, for Ansible
too compiles a module's code each time; and so that nobody's edit changes what is measured half-way.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from checkout import CHECKOUT

WORKER = pathlib.Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class Collection:
    """A copy of the collection's code. ``path``: what PYTHONPATH must hold."""

    path: pathlib.Path

    @classmethod
    def copied(cls, work: pathlib.Path) -> Collection:
        """Copy the checkout's plugins below ``work``."""
        collection = work / "collections" / "ansible_collections" / "holdfast" / "db"
        shutil.copytree(CHECKOUT / "plugins", collection / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(CHECKOUT / "meta", collection / "meta")
        shutil.copy(CHECKOUT / "galaxy.yml", collection)
        return cls(work / "collections")

    def work(self, verb: str, told: Mapping[str, object]) -> Mapping[str, float]:
        """Let a worker do ``verb``; returns its figures, always with ``memory``, the peak of its own in MiB."""
        done = subprocess.run(
            [sys.executable, "-B", str(WORKER), verb, json.dumps(told)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(self.path)},
        )
        if done.returncode != 0:
            print(done.stderr)
            raise subprocess.CalledProcessError(done.returncode, f"ours: {verb} {told}")
        return json.loads(done.stdout)


@dataclass(frozen=True)
class Ours:
    """One database and the repository of its backups. ``socket``: the directory of its server's, none for a file."""

    collection: Collection
    engine: str
    database: str
    repository: pathlib.Path
    socket: str | None = None

    def create(self, policy: str, recipient: str = "", **settings: object) -> Mapping[str, float]:
        """Make a backup; returns the seconds of each phase, ``memory`` (MiB) and ``stored`` (bytes).

        Each way of backing a database up is a policy, so that they do not count as each other's predecessors.
        ``settings``: of EngineSettings.
        """
        return self._work("create", policy=policy, recipient=recipient, settings=settings)

    def restore(self, policy: str, target: str, **options: object) -> Mapping[str, float]:
        """Restore the newest backup of a policy; returns the seconds of each phase and ``memory`` (MiB).

        ``options``: ``strategy``, ``confirm``, ``identity`` (a file), ``settings``.
        """
        return self._work("restore", policy=policy, target=target, **options)

    def forget(self, policy: str) -> None:
        """Delete every backup of a policy, so that disks do not fill and no run finds more than the one before.

        Makes the repository where there is none.
        """
        self._work("forget", policy=policy)

    def _work(self, verb: str, **told: object) -> Mapping[str, float]:
        place = {"engine": self.engine, "database": self.database, "repository": str(self.repository)}
        return self.collection.work(verb, {**told, **place, "socket": self.socket})
