# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One moment of a database, held open: the tables locked against change of shape, then the snapshot exported.

The order matters. A snapshot that is exported first and locked later shows tables as empty that were truncated or
rewritten in between, and every count taken in it agrees. LOCK TABLE as the first statements of a REPEATABLE READ
transaction takes no snapshot yet; the first query does, and by then nothing can be truncated any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

from ...errors import Busy, HoldfastError, ToolFailed, shown
from .catalog import LOCK_TIMEOUT, Table, list_tables
from .context import ServerContext
from .session import Session, SqlError, literal

Answer = TypeVar("Answer")

_LOCK_BATCH = 500
_QUEUED = 2000  # milliseconds
_TRIES = 6
_NO_ROOM = "53200"
_GONE = ("42P01", "3F000")
_TIME = 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'


class LockConflict(ToolFailed):
    """Somebody changes tables, or queued for a lock between ours and pg_dump's; trying again helps."""


class NoRoomForLocks(ToolFailed):
    """The server's table of locks is full."""


@dataclass(frozen=True)
class Snapshot:
    """``name``: for ``pg_dump --snapshot``. ``taken``: everything committed before it is in the snapshot."""

    name: str
    taken: datetime
    tables: tuple[Table, ...]
    holder: Session | None = None


@contextmanager
def exported_snapshot(context: ServerContext, *, holding: bool = True) -> Iterator[Snapshot]:
    """The snapshot, good while the block lasts.

    ``holding``: with locks of our own on every table. Without them nothing changes unnoticed either, as long as
    ``check_unmoved`` is asked at the end, but a change then costs the whole try. Raises Busy where a table stays
    locked for longer than ``lock_wait``, NoRoomForLocks, and ToolFailed where tables keep changing.
    """
    with context.session() as session:
        session.execute("SET lock_timeout = %d" % max(1, round(context.settings.lock_wait * 1000)))
        for _try in range(_TRIES):
            snapshot = _attempt(context, session, holding=holding)
            if snapshot is not None:
                yield replace(snapshot, holder=session if holding else None)
                return
        raise ToolFailed(
            "The tables of database %s changed their shape during each of %d tries to hold them still; run the backup"
            " when no migration is under way." % (shown(context.database), _TRIES)
        )


def _attempt(context: ServerContext, session: Session, *, holding: bool) -> Snapshot | None:
    """Lock, export, look again; None where the tables are not the ones that were locked."""
    expected = list_tables(session)
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        for start in range(0, len(expected) if holding else 0, _LOCK_BATCH):
            names = ", ".join(table.sql for table in expected[start : start + _LOCK_BATCH])
            session.execute("LOCK TABLE %s IN ACCESS SHARE MODE" % names)
    except SqlError as reason:
        session.execute("ROLLBACK")
        if reason.sqlstate in _GONE:
            return None
        if reason.sqlstate == LOCK_TIMEOUT:
            raise _locked_out(context, session) from None
        if reason.sqlstate == _NO_ROOM:
            raise NoRoomForLocks(
                "The server has no room for locks on all %d tables of database %s; raise its max_locks_per_transaction."
                % (len(expected), shown(context.database))
            ) from None
        raise
    exported = session.query(
        "SELECT pg_catalog.pg_export_snapshot() AS name, pg_catalog.to_char("
        "pg_catalog.statement_timestamp(), '%s') AS taken" % _TIME
    )[0]
    found = list_tables(session)
    if _shape(found) != _shape(expected) or any(table.moved for table in found):
        session.execute("ROLLBACK")
        return None
    return Snapshot(exported["name"], datetime.fromisoformat(exported["taken"]), found)


def check_unmoved(session: Session, snapshot: Snapshot) -> None:
    """Raise LockConflict where a table was truncated or rewritten since the snapshot; ask inside of it."""
    found = list_tables(session)
    moved = [table for table in found if table.moved]
    if moved or _shape(found) != _shape(snapshot.tables):
        raise LockConflict(
            "Table %s was truncated or rewritten while it was dumped."
            % shown("%s.%s" % (moved[0].schema, moved[0].name) if moved else "that was there before")
        )


def _shape(tables: tuple[Table, ...]) -> set[tuple[int, str, str, str]]:
    return {(table.oid, table.schema, table.name, table.kind) for table in tables}


def _locked_out(context: ServerContext, session: Session) -> Busy:
    """Who holds a table exclusively, as far as it can be seen."""
    holders = session.query(
        "SELECT l.relation::pg_catalog.regclass::text AS name, l.pid AS pid FROM pg_catalog.pg_locks AS l"
        " WHERE l.granted AND l.mode = 'AccessExclusiveLock' AND l.locktype = 'relation' AND l.database ="
        " (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) LIMIT 1"
    )
    who = ""
    if holders:
        who = " (%s by process %d)" % (shown(holders[0]["name"]), holders[0]["pid"])
    return Busy(
        "A table of database %s was locked exclusively%s for longer than lock_timeout (%g s); end that work or raise"
        " lock_timeout." % (shown(context.database), who, context.settings.lock_wait)
    )


@contextmanager
def inside(session: Session, snapshot: Snapshot) -> Iterator[None]:
    """A transaction of another session that sees what the snapshot holds; raises NoRoomForLocks, LockConflict.

    Whoever queues for an exclusive lock waits for ours, and this session would wait behind them for ever.
    """
    if session is snapshot.holder:
        # It has the tables' locks already; going back gives up those on indexes, of which there may be many.
        session.execute("SAVEPOINT holdfast_inside")
        yield
        session.execute("ROLLBACK TO SAVEPOINT holdfast_inside")
        return
    try:
        with session.transaction("ISOLATION LEVEL REPEATABLE READ READ ONLY"):
            session.execute("SET TRANSACTION SNAPSHOT " + literal(snapshot.name))
            session.execute("SET LOCAL lock_timeout = %d" % _QUEUED)
            yield
    except SqlError as reason:
        if reason.sqlstate == _NO_ROOM:
            raise NoRoomForLocks(str(reason)) from None
        if reason.sqlstate == LOCK_TIMEOUT:
            raise LockConflict(str(reason)) from None
        raise


class Beside(Generic[Answer]):
    """Work that goes on while the dump is made.

    ``work`` gets an event after which it should give up; it runs in a thread of its own and starts no programs. Use as
    a block; ``result`` waits for the work. Left early, the work is stopped.
    """

    def __init__(self, work: Callable[[threading.Event], Answer]) -> None:
        self._work = work
        self._stopped = threading.Event()
        self._answer: Answer | None = None
        self._problem: HoldfastError | None = None
        self._thread = threading.Thread(target=self._run, name="holdfast-beside", daemon=True)

    def __enter__(self) -> Beside[Answer]:
        self._thread.start()
        return self

    def __exit__(self, *_reason: object) -> None:
        self._stopped.set()
        self._thread.join()

    def result(self, timeout: float | None = None) -> Answer:
        """What ``work`` returned; raises what it raised, or ToolFailed after ``timeout`` seconds."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise ToolFailed(
                "Counting the rows took longer than the limit of %g s; raise time_limit or set fingerprint to none."
                % timeout
            )
        if self._problem is not None:
            raise self._problem
        return self._answer

    def _run(self) -> None:
        try:
            self._answer = self._work(self._stopped)
        except HoldfastError as reason:
            self._problem = reason
