# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a loaded copy into the place of a live SQLite file, through SQLite's own backup interface.

The live file stays the same file: its holders see the new data with their next transaction, and a kill midway leaves
the old content. Renaming over it would leave holders on the old file and a stale WAL beside the new one.

What is replaced is first copied at a moment after which nobody can commit: in WAL mode the first step of the backup
interface locks writers out and readers may still read; in rollback mode it locks everybody out, so the copy is made
just before, and the change counter of the file shows whether anybody got in between.
"""

from __future__ import annotations

import os
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Callable

from ..errors import HoldfastError, RestoreFailed, shown
from ..forked import Parent
from ..model import Marker
from .sqlite_header import WAL, change_counter, content_digest
from .sqlite_library import (
    POLL,
    READ_WRITE,
    SEALED,
    connect,
    copy_now,
    deadline,
    in_words,
    library,
    make_scratch,
    patiently,
)
from .sqlite_marker import INTENT, RESTORED, Intent, read_intent, write_note

if TYPE_CHECKING:
    from sqlite3 import Connection

_TRIES = 5
# Half of SQLite's usual page cache: what the first step has written must not yet reach the file, whose change counter
# is to be compared then.
_BYTES_A_STEP = 1 << 20
# In rollback mode nobody begins to read while SQLite itself waits for those who are reading to end.
_DRAINING = 0.05


class _SomebodyCommitted(Exception):
    """The live database changed between its copy and the lock."""


@dataclass
class Swap:
    """One swap, run in a child: ``prepare`` with our rights, then ``run`` with those of the file's owner.

    ``path``: the live file. ``loaded``: the private copy that goes in. ``old``: an empty private file that takes the
    content that goes out. ``lock_wait`` in seconds.
    """

    path: str
    loaded: str
    old: str
    marker: Marker
    lock_wait: float

    def prepare(self) -> None:
        """Open what lies in the workspace."""
        self._loaded = connect(self.loaded, SEALED)
        self._old = connect(self.old, READ_WRITE)
        self._loaded_bytes = os.open(self.loaded, os.O_RDONLY | os.O_CLOEXEC)
        self._old_bytes = os.open(self.old, os.O_RDONLY | os.O_CLOEXEC)

    def run(self, parent: Parent) -> dict[str, Any]:
        """Replace the content; asks ``parent`` to keep the old one and goes on when it has answered.

        The question is ``{"moment": ISO 8601}``. Returns ``{"seconds": how long the database was locked}``.
        Raises Busy, RestoreFailed where others commit all the time, ToolFailed.
        """
        self._parent = parent
        # Closed last: closing any descriptor of the file drops the locks that SQLite has on it.
        self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        with in_words(self.path, "replaced"):
            make_scratch(self._old)
            with closing(connect(self.path, READ_WRITE)) as reader:
                if patiently(reader, "PRAGMA journal_mode", self.lock_wait)[0] == WAL:
                    seconds = self._replace_in_wal_mode(reader)
                else:
                    seconds = self._replace_in_rollback_mode(reader)
        return {"seconds": seconds}

    def _replace_in_wal_mode(self, reader: Connection) -> float:
        def keep_old() -> None:
            self._ask_to_keep(copy_now(reader, self._old, self.lock_wait))

        seconds = self._replace(keep_old)
        # The next one to open the file would do it anyway; where it cannot be done now, nothing is lost.
        with suppress(library().OperationalError):
            reader.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return seconds

    def _replace_in_rollback_mode(self, reader: Connection) -> float:
        for _one_try in range(_TRIES):
            moment, counter = self._copy_old(reader)

            def keep_old(moment: datetime = moment, counter: bytes = counter) -> None:
                if change_counter(self._file) != counter:
                    raise _SomebodyCommitted()
                self._ask_to_keep(moment)

            try:
                return self._replace(keep_old)
            except _SomebodyCommitted:
                continue
        raise RestoreFailed(
            "The database %s was not replaced: others committed to it each time between its safety copy and the lock,"
            " which in its journal mode cannot be taken at once; stop the application and try again." % shown(self.path)
        )

    def _copy_old(self, reader: Connection) -> tuple[datetime, bytes]:
        """Copy the live content while nobody else can begin to write; returns its moment and its change counter."""
        counter = b""

        def note_counter() -> None:
            nonlocal counter
            counter = change_counter(self._file)

        with closing(connect(self.path, READ_WRITE)) as holder:
            patiently(holder, "BEGIN IMMEDIATE", self.lock_wait)
            moment = copy_now(reader, self._old, self.lock_wait, note_counter)
            holder.execute("ROLLBACK")
        return moment, counter

    def _ask_to_keep(self, moment: datetime) -> None:
        self._parent.ask({"moment": moment.isoformat()})

    def _replace(self, once_locked: Callable[[], None]) -> float:
        """Copy the loaded content into the live file; ``once_locked`` runs after the first step. Returns seconds."""
        locked_at = 0.0
        look_at_clock = deadline(self.lock_wait)

        def progress(status: int, remaining: int, total: int) -> None:
            nonlocal locked_at
            look_at_clock(status, remaining, total)
            if status == 0 and not locked_at:
                locked_at = time.monotonic()
                once_locked()
                self._intend()

        pages = self._loaded.execute("PRAGMA page_count").fetchone()[0]
        in_a_step = _BYTES_A_STEP // self._loaded.execute("PRAGMA page_size").fetchone()[0]
        with closing(connect(self.path, READ_WRITE, wait=_DRAINING)) as live:
            try:
                # The first step must never be the last one, for that commits.
                self._loaded.backup(live, pages=min(in_a_step, pages - 1), progress=progress, sleep=POLL)
            except (HoldfastError, _SomebodyCommitted):
                self._forget_intent()
                raise
            except library().OperationalError as reason:
                # A full disk is rolled back here and now; after other errors the next run compares.
                if "full" in str(reason):
                    self._forget_intent()
                raise
        self._finish()
        return time.monotonic() - locked_at

    def _intend(self) -> None:
        intent = Intent(content_digest(self._old_bytes), content_digest(self._loaded_bytes), self.marker)
        write_note(self._file, self.path, INTENT, intent.to_json())

    def _forget_intent(self) -> None:
        write_note(self._file, self.path, INTENT, None)

    def _finish(self) -> None:
        write_note(self._file, self.path, RESTORED, self.marker.to_json())
        self._forget_intent()


def settle(path: str, copy: Connection, copied: int, lock_wait: float, *, force: bool) -> bool:
    """Bring an interrupted swap of ``path`` to one of its ends; False where nobody knows whose content it is.

    ``copy``: a connection to an empty private file, ``copied`` a descriptor of the same. The content decides: where
    it is the new one, its marker is written; where it is the old one, or with ``force``, the intent is dropped.
    """
    intent = read_intent(path)
    if intent is None:
        return True
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with in_words(path, "examined after an interrupted restore"):
        make_scratch(copy)
        with closing(connect(path, READ_WRITE)) as live:
            copy_now(live, copy, lock_wait)
    digest = content_digest(copied)
    if digest == intent.new:
        write_note(file, path, RESTORED, intent.marker.to_json())
    elif digest != intent.old and not force:
        return False
    write_note(file, path, INTENT, None)
    return True
