# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources, tries and manifests for tests of the repository, which does not care what a dump holds."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.holdfast.db.plugins.module_utils.accounts import account_of
from ansible_collections.holdfast.db.plugins.module_utils.model import Artifact, Client, Manifest, Server, Source
from ansible_collections.holdfast.db.plugins.module_utils.repository.base import Attempt, Repository, Writing
from ansible_collections.holdfast.db.plugins.module_utils.repository.names import new_id
from ansible_collections.holdfast.db.plugins.module_utils.repository.registry import init_repository

CHECKOUT = Path(__file__).resolve().parent.parent
SHOP = Source("db1.example.com", "shop", "shop")
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CONTENT = b"-- the dump of a small shop\n" * 40


def make_repository(path: Path) -> Repository:
    """A new repository that belongs to whoever runs the test."""
    return init_repository(str(path), account_of(os.geteuid()))


def an_attempt(when: datetime = NOON) -> Attempt:
    """A try that begins at ``when``."""
    return Attempt(new_id(when), "sqlite", "online_copy", "ordinary", when)


def a_manifest(backup_id: str, source: Source = SHOP, when: datetime = NOON, **changes: object) -> Manifest:
    """The manifest of a backup whose only artifact is CONTENT; ``changes`` replace its fields."""
    artifact = Artifact("dump.sql", "dump", "file", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    fields = {
        "server": Server("3.40.1", "file:17"),
        "client": Client("sqlite3", "3.40.1"),
        "artifacts": (artifact,),
        "logical_size": 4096,
        "stored_size": len(CONTENT),
        "compression": "none",
        "rows": 12,
        "tables": 3,
        "durations": {"dump": 0.25},
        "properties": {"journal_mode": "wal", "page_size": 4096},
        "restore_by_hand": ("sqlite3 new.db < dump.sql",),
        "holdfast_version": "0.1.0",
        **changes,
    }
    return Manifest(backup_id, source, "sqlite", "online_copy", when, when, when, **fields)


def write_backup(writing: Writing, when: datetime = NOON, **changes: object) -> str:
    """Make and publish a backup; returns its id."""
    attempt = an_attempt(when)
    with writing.begin(attempt) as work:
        work.folder.write("dump.sql", CONTENT)
        work.publish(a_manifest(attempt.id, writing.source, when, **changes))
    return attempt.id


def add_backup(repository: Repository, source: Source = SHOP, when: datetime = NOON, **changes: object) -> str:
    """The same, with the lock taken and given back."""
    with repository.writing(source, 0) as writing:
        return write_backup(writing, when, **changes)


def folder_of(location: Path, source: Source = SHOP) -> Path:
    """Where the backups of a plainly named source lie."""
    return location / source.host / source.policy / source.database


def start(verb: str, location: Path, *more: str, prefix: Sequence[str] = (), **options: object) -> subprocess.Popen:
    """Run repository_program.py; it prints a line when it has come to the point that the test waits for.

    ``prefix``: words before the command, such as those of strace or setpriv.
    """
    program = [sys.executable, "-B", str(CHECKOUT / "tests/repository_program.py"), verb, str(location), *more]
    paths = os.pathsep.join(str(CHECKOUT / name) for name in ("collections", "tests"))
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.Popen([*prefix, *program], env=environment, stdout=subprocess.PIPE, text=True, **options)
