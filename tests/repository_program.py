# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A writer, reader or remover in a process of its own, for tests that kill it.

usage: repository_program.py init|create|forever|add|fail|hold|read|remove|list LOCATION [ID]
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from datetime import UTC, datetime

from ansible_collections.holdfast.db.plugins.module_utils.accounts import account_of
from ansible_collections.holdfast.db.plugins.module_utils.errors import Busy, HoldfastError, NotFound, ToolFailed
from ansible_collections.holdfast.db.plugins.module_utils.repository.registry import init_repository, open_repository
from backup_samples import CONTENT, SHOP, an_attempt, write_backup


def say(*words: object) -> None:
    """One line for the test."""
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def init(location: str) -> None:
    """Make the repository."""
    say(init_repository(location, account_of(os.geteuid())).id)


def create(location: str) -> None:
    """Make backups one after the other until killed; after each one remove all but the last three, as prune does."""
    with contextlib.closing(open_repository(location)) as repository:
        there = [entry.id for entry in repository.entries(SHOP) if entry.is_good]
        while True:
            with repository.writing(SHOP, 30) as writing:
                there.append(write_backup(writing, datetime.now(UTC)))
                say(there[-1])
                while len(there) > 3:
                    with contextlib.suppress(Busy):
                        writing.remove(there[0])
                    there.pop(0)


def forever(location: str) -> None:
    """Begin a backup and never end it; a child inherits the lock, and its process id is printed."""
    repository = open_repository(location)
    with repository.writing(SHOP, 0) as writing, writing.begin(an_attempt(datetime.now(UTC))) as work:
        work.folder.write("dump.sql", CONTENT)
        child = subprocess.Popen(["sleep", "60"], pass_fds=[writing.lock], stdout=subprocess.DEVNULL)
        say(work.id, child.pid)
        time.sleep(60)


def add(location: str) -> None:
    """Make one backup."""
    with open_repository(location).writing(SHOP, 30) as writing:
        say(write_backup(writing, datetime.now(UTC)))


def fail(location: str) -> None:
    """Begin a backup that comes to nothing."""
    with open_repository(location).writing(SHOP, 30) as writing, writing.begin(an_attempt(datetime.now(UTC))) as work:
        work.folder.write("dump.sql", CONTENT)
        raise ToolFailed("pg_dump failed with exit status 1.")


def hold(location: str, backup_id: str) -> None:
    """Read a backup until the standard input ends."""
    with open_repository(location).reading(SHOP, backup_id) as reading:
        say(reading.lock is not None)
        sys.stdin.read()


def read(location: str) -> None:
    """Read the oldest good backup again and again for two seconds; say how many were read and were gone."""
    repository = open_repository(location)
    done = gone = 0
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for entry in [one for one in repository.entries(SHOP) if one.is_good][-1:]:
            try:
                with repository.reading(SHOP, entry.id) as reading:
                    if reading.folder.read("dump.sql", 1 << 20) != CONTENT:
                        raise AssertionError("a torn backup was read")
                    done += 1
            except NotFound:
                gone += 1
    say(done, gone)


def list_all(location: str) -> None:
    """Every entry with its status."""
    repository = open_repository(location)
    for source in repository.sources():
        for entry in repository.entries(source):
            say(entry.id, entry.status)


def remove(location: str, backup_id: str) -> None:
    """Delete one backup."""
    with open_repository(location).writing(SHOP, 5) as writing:
        writing.remove(backup_id)


def main() -> int:
    """Run the verb; print what a user would be told and return 1 where that is an error."""
    verbs = {
        "init": init,
        "create": create,
        "forever": forever,
        "add": add,
        "fail": fail,
        "hold": hold,
        "read": read,
        "list": list_all,
        "remove": remove,
    }
    try:
        verbs[sys.argv[1]](*sys.argv[2:])
    except HoldfastError as reason:
        say("%s: %s" % (type(reason).__name__, reason))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
