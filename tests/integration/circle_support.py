# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One database with everything around it, of whichever engine: made, changed, backed up, restored, and looked at.

The database holds a word and rows that carry the same word, so that a mixture of two states is always noticed.
"""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

from integration.circle_program import perform
from integration.postgresql_restoring import leftovers
from integration.postgresql_support import Server

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = str(pathlib.Path(__file__).with_name("circle_program.py"))
_MADE = (
    "CREATE TABLE state (word text)",
    "CREATE TABLE filled (id integer PRIMARY KEY, word text, filler text)",
    "CREATE INDEX by_word ON filled (word)",
    "INSERT INTO state VALUES ('first')",
)


class Circle:
    """What both engines have in common. ``database``: the live one; ``copy``: a name for a second one."""

    engine = ""

    def __init__(self, home: pathlib.Path, database: str, copy: str) -> None:
        self.home = home
        self.database = database
        self.copy = copy
        self.space = home / "space"
        self.space.mkdir(exist_ok=True)
        self.repository = home / "repository"

    def order(self, verb: str, **more: Any) -> dict[str, Any]:
        """The order for one verb, to be performed here or in a program of its own."""
        return {
            "verb": verb,
            "engine": self.engine,
            "database": self.database,
            "repository": str(self.repository),
            "workspace": str(self.space),
            **self.reached(),
            **more,
        }

    def reached(self) -> dict[str, Any]:
        """How the database is reached."""
        return {}

    def create(self, **more: Any) -> Any:
        """Make a backup; the repository too, where there is none."""
        return perform(self.order("create", **{"init": True, **more}))

    def restore(self, **more: Any) -> Any:
        """Restore the live database in its place, confirmed."""
        target = more.get("target", self.database)
        given = {"request": secrets.token_hex(4), "confirm": target, **more}
        return perform(self.order("restore", **given))

    def verify(self, **more: Any) -> Any:
        """Verify all backups."""
        return perform(self.order("verify", **more))

    def prune(self, keep_last: int, **more: Any) -> Any:
        """Keep so many."""
        return perform(self.order("prune", keep_last=keep_last, **more))

    def entries(self) -> tuple:
        """Everything that is listed, newest first."""
        return perform(self.order("list")).entries

    def statuses(self) -> dict[str, str]:
        """The status of everything by its id."""
        return {entry.id: entry.status for entry in self.entries()}

    def good(self) -> list[str]:
        """The ids of the good backups, oldest first."""
        good = [entry for entry in self.entries() if entry.is_good]
        return [entry.id for entry in sorted(good, key=lambda entry: entry.manifest.snapshot)]

    def folder(self, backup_id: str) -> pathlib.Path:
        """Where a backup lies."""
        return next(self.repository.glob("*/*/*/" + backup_id))

    def unfinished(self) -> list[str]:
        """What is only there while somebody works, in the repository, the workspace and memory."""
        names = [str(path) for path in self.repository.rglob("*") if path.name.startswith((".work-", ".del-"))]
        names += [str(path) for path in self.repository.rglob("*.tmp")]
        names += [str(path) for path in self.space.iterdir()]
        return names + [name for name in os.listdir("/dev/shm") if "holdfast" in name]

    def change(self, word: str) -> None:
        """Let every row carry ``word``."""
        self.execute("UPDATE state SET word = '%s'" % word)
        self.execute("UPDATE filled SET word = '%s'" % word)

    def word(self, database: str | None = None) -> str:
        """The word that the database carries; fails where it is half of one state and half of another."""
        row = self.query(
            "SELECT (SELECT word FROM state), (SELECT min(word) FROM filled), (SELECT max(word) FROM filled),"
            " (SELECT count(*) FROM filled)",
            database,
        )
        assert row[0] == row[1] == row[2], row
        assert row[3] == str(self.rows), row
        return row[0]

    def execute(self, statement: str, database: str | None = None) -> None:
        """Run one statement in a database, the live one unless another is named."""
        raise NotImplementedError

    def query(self, statement: str, database: str | None = None) -> list[str]:
        """The one row that a query gives, as text."""
        raise NotImplementedError

    def exists(self, database: str) -> bool:
        """Whether there is such a database."""
        raise NotImplementedError

    def drop(self, database: str) -> None:
        """Remove a database, if it is there."""
        raise NotImplementedError

    def kept_words(self) -> list[str]:
        """The words of what a swap has put aside."""
        raise NotImplementedError

    def forget_kept(self) -> None:
        """Drop what swaps have put aside."""

    rows = 0


class SqliteCircle(Circle):
    """A file."""

    engine = "sqlite"

    def __init__(self, home: pathlib.Path, rows: int, journal: str = "wal") -> None:
        super().__init__(home, str(home / "live" / "shop.db"), str(home / "live" / "copy.db"))
        self.rows = rows
        (home / "live").mkdir(exist_ok=True)
        with closing(sqlite3.connect(self.database)) as base:
            base.execute("PRAGMA journal_mode = %s" % journal)
            for statement in _MADE:
                base.execute(statement)
            filler = "random blob " * 8
            base.executemany("INSERT INTO filled VALUES (?, 'first', ?)", [(one, filler) for one in range(rows)])
            base.commit()

    def execute(self, statement: str, database: str | None = None) -> None:
        with closing(sqlite3.connect(database or self.database, timeout=30)) as base:
            base.execute(statement)
            base.commit()

    def query(self, statement: str, database: str | None = None) -> list[str]:
        with closing(sqlite3.connect(database or self.database, timeout=30)) as base:
            assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return [str(value) for value in base.execute(statement).fetchone()]

    def exists(self, database: str) -> bool:
        return os.path.exists(database)

    def drop(self, database: str) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            pathlib.Path(database + suffix).unlink(missing_ok=True)

    def kept_words(self) -> list[str]:
        """SQLite keeps nothing beside; the safety backup holds what was replaced."""
        words = []
        for entry in self.entries():
            if entry.is_good and entry.manifest.purpose == "safety":
                there = str(self.home / "live" / "safety.db")
                self.restore(target=there, strategy="new", backup=entry.id)
                words.append(self.word(there))
                self.drop(there)
        return words

    def unfinished(self) -> list[str]:
        usual = {
            os.path.basename(one) + suffix for one in (self.database, self.copy) for suffix in ("", "-wal", "-shm")
        }
        return super().unfinished() + sorted(set(os.listdir(self.home / "live")) - usual)


class PostgresqlCircle(Circle):
    """A database on a private server, owned by a role of its own."""

    engine = "postgresql"

    def __init__(self, home: pathlib.Path, server: Server, rows: int, database: str = "circle_shop") -> None:
        super().__init__(home, database, database + "_copy")
        self.server = server
        self.rows = rows
        self.remove()
        server.psql("DO $$ BEGIN CREATE ROLE circle_owner LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
        server.create_database(database, "OWNER circle_owner")
        filled = "INSERT INTO filled SELECT i, 'first', md5(i::text) || 'random blob' FROM generate_series(1, %d) AS i"
        for statement in (*_MADE, filled % rows):
            server.psql("SET ROLE circle_owner; " + statement, database)

    def reached(self) -> dict[str, Any]:
        return {"connection": {"unix_socket": self.server.socket, "port": self.server.port}}

    def execute(self, statement: str, database: str | None = None) -> None:
        self.server.psql(statement, database or self.database)

    def query(self, statement: str, database: str | None = None) -> list[str]:
        for attempt in range(20):
            try:
                return self.server.psql(statement, database or self.database).split("|")
            except AssertionError as reason:
                # Whoever comes in the very moment of a swap, or while the server recovers, has to come again.
                if attempt == 19 or not any(words in str(reason) for words in _COME_AGAIN):
                    raise
                time.sleep(0.2)
        raise AssertionError("not reached")

    def exists(self, database: str) -> bool:
        return self.server.psql("SELECT count(*) FROM pg_database WHERE datname = '%s'" % database) == "1"

    def drop(self, database: str) -> None:
        self.server.psql('DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % database)

    def kept(self) -> list[str]:
        """The names of what swaps have put aside."""
        return [one.name for one in self.server.engine(self.database).kept() if one.of == self.database]

    def kept_words(self) -> list[str]:
        return [self.word(name) for name in self.kept()]

    def forget_kept(self) -> None:
        for name in self.kept():
            self.drop(name)

    def unfinished(self) -> list[str]:
        return super().unfinished() + leftovers(self.server)

    def remove(self) -> None:
        """Everything of it on the server."""
        self.forget_kept()
        for name in (self.database, self.copy):
            self.drop(name)


_COME_AGAIN = (
    "does not exist",
    "terminating connection",
    "recovery mode",
    "starting up",
    "server closed",
    "refused",
    "not yet accepting",
)


class Program:
    """``circle_program.py`` at work on one order."""

    def __init__(self, order: dict[str, Any], prefix: list[str] | None = None) -> None:
        path = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "collections")])
        self._running = subprocess.Popen(
            [*(prefix or []), sys.executable, PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._running.stdin.write(json.dumps(order) + "\n")
        self._running.stdin.flush()
        self.pid = self._running.pid
        assert self._running.stdout.readline() == "ready\n", self._running.stderr.read()
        self.began = time.monotonic()

    @property
    def has_ended(self) -> bool:
        return self._running.poll() is not None

    def wait_until(self, seconds: float) -> None:
        """Sleep until so many seconds after it began, or its end."""
        while not self.has_ended and time.monotonic() - self.began < seconds:
            time.sleep(0.002)

    def children(self) -> list[int]:
        """Every process that it has started and that still runs, theirs included."""
        return descendants(self.pid)

    def kill(self) -> bool:
        """SIGKILL it, and wait until everything that it had started has noticed; says whether it was still at work."""
        was_running = not self.has_ended
        orphans = []
        if was_running:
            os.kill(self.pid, signal.SIGSTOP)
            orphans = self.children()
            os.kill(self.pid, signal.SIGKILL)
        self._running.communicate()
        until = time.monotonic() + 20
        while any(is_alive(orphan) for orphan in orphans):
            assert time.monotonic() < until, "a child outlived its killed parent"
            time.sleep(0.005)
        return was_running

    def end(self, timeout: float = 120) -> dict[str, Any]:
        """Let it come to its end; what it said. Anything on its error output is a failure."""
        output, errors = self._running.communicate(timeout=timeout)
        assert errors == "", errors
        return json.loads(output)


def descendants(pid: int) -> list[int]:
    """The processes below ``pid``."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            parent = parent_of(int(name))
            if parent:
                parents.setdefault(parent, []).append(int(name))
    found, open_ones = [], [pid]
    while open_ones:
        below = parents.get(open_ones.pop(), [])
        found += below
        open_ones += below
    return found


def parent_of(pid: int) -> int | None:
    """The parent of a running process; None for one that is gone or only waits to be collected."""
    try:
        state, parent = pathlib.Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else int(parent)


def is_alive(pid: int) -> bool:
    return parent_of(pid) is not None


def called(pid: int) -> str:
    """The name of a process."""
    try:
        return pathlib.Path("/proc/%d/comm" % pid).read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def one_sentence(reason: BaseException | str) -> str:
    """The message, sure that it is one line."""
    text = str(reason)
    assert text and text.strip() == text and len(text.splitlines()) == 1, text
    assert "Traceback" not in text
    return text
