# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections through Python's sqlite3 module, copies through SQLite's backup interface, and errors in words.

Everything here runs in a child process that has the rights of the file's owner.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable
from urllib.parse import quote

from ..errors import Busy, Refused, ToolFailed, shown

if TYPE_CHECKING:
    from sqlite3 import Connection

READ_WRITE = "mode=rw"
SEALED = "mode=ro&immutable=1"
POLL = 0.001
_BUSY = (5, 6)
_MEANINGS = (
    ("is not a database", "it is not an SQLite database or an encrypted one; name another file"),
    ("malformed", "its content is damaged; restore a backup of it, or recover it with the sqlite3 shell's .recover"),
    ("is full", "there is no space left on its file system or in the place for temporary copies; free some"),
    ("readonly", "it cannot be written by its owner; look at the rights of the file and of its directory"),
    ("unable to open", "its owner cannot open it or make the files that belong beside it; look at the directory"),
    ("disk I/O", "reading or writing failed, perhaps for want of space; see the system's log"),
)


def library() -> Any:
    """Python's sqlite3 module; raises Refused where this Python was built without it."""
    try:
        import sqlite3
    except ImportError:
        raise Refused(
            "The Python on this host has no sqlite3 module, which the engine sqlite needs; install the system's"
            " package for it, or choose another interpreter."
        ) from None
    return sqlite3


def connect(path: str, how: str, *, wait: float = 0.0) -> Connection:
    """Open the existing database ``path``; ``how``: READ_WRITE or SEALED; ``wait``: seconds that SQLite waits.

    SEALED is for a private file that nobody changes: it needs no lock, no journal and no WAL.
    """
    uri = "file:%s?%s" % (quote(os.fsencode(os.path.abspath(path))), how)
    connection = library().connect(uri, uri=True, timeout=wait, isolation_level=None)
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    return connection


def make_careful(connection: Connection) -> None:
    """Let the content of the file run no function that it should not, and keep temporary data in memory."""
    for words in ("trusted_schema = OFF", "cell_size_check = ON", "temp_store = MEMORY"):
        connection.execute("PRAGMA " + words)


def make_scratch(connection: Connection) -> None:
    """For a copy that is worthless until it is whole: no journal and no waiting for the disk."""
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")


def patiently(connection: Connection, words: str, seconds: float) -> Any:
    """The first row of ``words``, tried every millisecond until nobody else holds the lock, at most ``seconds`` long.

    SQLite's own waiting looks ten times a second, and a writer without pause leaves gaps of microseconds.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            return connection.execute(words).fetchone()
        except library().OperationalError as reason:
            if "locked" not in str(reason) or time.monotonic() >= until:
                raise
        time.sleep(POLL)


def copy_now(
    source: Connection, copy: Connection, lock_wait: float, while_held: Callable[[], None] | None = None
) -> datetime:
    """Copy the present content of ``source`` and return a moment after which nothing that it holds was committed.

    The whole copy sees one read transaction, so writers going on in WAL mode do not matter, and in rollback mode
    they wait. ``while_held`` runs while that transaction is open. After ``lock_wait`` seconds: OperationalError.
    """
    source.execute("BEGIN")
    try:
        # Takes the lock without reading the schema, which may be damaged.
        patiently(source, "PRAGMA schema_version", lock_wait)
        moment = datetime.now(timezone.utc)
        source.backup(copy, pages=-1, progress=deadline(lock_wait))
        if while_held is not None:
            while_held()
    finally:
        source.execute("ROLLBACK")
    return moment


def deadline(seconds: float) -> Callable[[int, int, int], None]:
    """A progress function that ends a backup which got no lock for ``seconds``; by itself it would try for ever."""
    until = time.monotonic() + seconds

    def look_at_clock(status: int, _remaining: int, _total: int) -> None:
        if status in _BUSY and time.monotonic() >= until:
            raise library().OperationalError("database is locked")

    return look_at_clock


@contextmanager
def in_words(path: str, doing: str) -> Iterator[None]:
    """Turn what SQLite says into one sentence: ``doing`` ("copied") is what could not be done to ``path``."""
    sqlite3 = library()
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, UnicodeError) as reason:
        if isinstance(reason, sqlite3.OperationalError) and "locked" in str(reason):
            raise Busy(
                "The database %s could not be %s: others kept it locked for as long as lock_timeout allows; try again"
                " when there is less to do, stop the application, or raise lock_timeout." % (shown(path), doing)
            ) from None
        raise _explained(path, doing, reason) from None


def _explained(path: str, doing: str, reason: Exception) -> ToolFailed:
    said = " ".join(str(reason).split())
    meaning = next((meaning for words, meaning in _MEANINGS if words in said), None)
    tail = "%s (SQLite says: %s)" % (meaning, said) if meaning else "SQLite says: %s" % said
    return ToolFailed("The database %s could not be %s: %s." % (shown(path), doing, tail))
