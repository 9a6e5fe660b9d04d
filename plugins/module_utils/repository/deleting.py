# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing backups and the leftovers of dead writers, always under the lock of the source.

A backup is renamed first, so that from one instant to the next it is gone, and then taken apart, manifest first.
Killed in between, the next writer finishes the work.
"""

from __future__ import annotations

import fcntl
import os
from datetime import datetime, timezone

from ..errors import Busy, Damaged, NotFound
from ..folders import Folder
from ..model import Source
from .base import INTERRUPTED, Attempt
from .locks import try_lock
from .manifests import MANIFEST_LIMIT, decode_manifest
from .names import ATTEMPT, ATTEMPTS, DELETED_PREFIX, DRILLS, MANIFEST, MARKS, WORK_PREFIX, is_id
from .records import attempt_from_json, has_record, read_object, remove_record, unknown_attempt, write_attempt

_DIED = "The run was ended before it was done, by a signal or a crash of the machine."


def remove_backup(database: Folder, source: Source, backup_id: str) -> None:
    """Delete a backup or the record of a try; raises Busy where a reader holds it, NotFound where there is none."""
    try:
        backup = database.child(backup_id)
    except FileNotFoundError:
        if not remove_record(database, ATTEMPTS, backup_id):
            raise NotFound("There is no backup %s of %s; a list shows those there are." % (backup_id, source)) from None
        return
    with backup:
        lock = _lock_against_readers(backup, source, backup_id)
        try:
            database.rename(backup_id, DELETED_PREFIX + backup_id)
            database.sync()
            _finish_removal(database, backup_id)
        finally:
            if lock is not None:
                os.close(lock)


def clear_leftovers(database: Folder, own_work: str | None) -> None:
    """Finish what dead writers left: half-removed backups, and work folders, which are recorded as interrupted.

    ``own_work``: the id that the caller is writing itself, if any.
    """
    for name in database.names():
        for prefix, finish in ((DELETED_PREFIX, _finish_removal), (WORK_PREFIX, _bury)):
            backup_id = name[len(prefix) :]
            is_leftover = name.startswith(prefix) and is_id(backup_id) and backup_id != own_work
            # A link of such a name is not ours.
            if is_leftover and database.is_directory(name):
                finish(database, backup_id)
    _sweep(database)


def remove_work(database: Folder, backup_id: str, attempt: Attempt, status: str) -> None:
    """Take a work folder away and leave the record of the try in its place.

    The bulk goes first, for the disk may be full and the record needs room; ``attempt.json`` goes last, so that a
    kill in between loses nothing.
    """
    name = WORK_PREFIX + backup_id
    with database.child(name) as work:
        for entry in work.names():
            if entry != ATTEMPT:
                work.remove_entry(entry)
    write_attempt(database, attempt, status)
    database.remove_tree(name)
    database.sync()


def read_leftover(work: Folder, backup_id: str) -> Attempt:
    """What is known about the try whose work folder this is."""
    try:
        attempt = attempt_from_json(read_object(work, ATTEMPT))[0]
    except (Damaged, KeyError, ValueError, OSError):
        return _attempt_by_manifest(work, backup_id)
    return attempt if attempt.id == backup_id else unknown_attempt(backup_id)


def _attempt_by_manifest(work: Folder, backup_id: str) -> Attempt:
    """In the last instant before publishing only the manifest tells what the work was."""
    try:
        manifest = decode_manifest(work.read(MANIFEST, MANIFEST_LIMIT), os.path.join(work.path, MANIFEST))
    except (Damaged, OSError):
        return unknown_attempt(backup_id)
    return Attempt(backup_id, manifest.engine, manifest.method, manifest.purpose, manifest.started)


def _bury(database: Folder, backup_id: str) -> None:
    if has_record(database, ATTEMPTS, backup_id):
        # Its writer gave up by itself, and was killed after it had recorded that.
        database.remove_tree(WORK_PREFIX + backup_id)
        database.sync()
        return
    with database.child(WORK_PREFIX + backup_id) as work:
        known = read_leftover(work, backup_id)
    now = datetime.now(timezone.utc)
    found = Attempt(known.id, known.engine, known.method, known.purpose, known.started, now, _DIED)
    remove_work(database, backup_id, found, INTERRUPTED)


def _lock_against_readers(backup: Folder, source: Source, backup_id: str) -> int | None:
    """The exclusive lock on the manifest, None where there is no manifest, which no reader can hold either."""
    try:
        # Writable, because network file systems lock exclusively only what is open for writing.
        descriptor = backup.open_file(MANIFEST, writable=True)
    except (FileNotFoundError, Damaged):
        return None
    if try_lock(descriptor, fcntl.LOCK_EX):
        return descriptor
    os.close(descriptor)
    raise Busy(
        "The backup %s of %s is being read by a restore, verification or drill; try again when that is done."
        % (backup_id, source)
    )


def _finish_removal(database: Folder, backup_id: str) -> None:
    name = DELETED_PREFIX + backup_id
    remove_record(database, MARKS, backup_id)
    remove_record(database, ATTEMPTS, backup_id)
    with database.child(name) as backup:
        backup.remove_file(MANIFEST)
        backup.sync()
    database.remove_tree(name)
    database.sync()


def _sweep(database: Folder) -> None:
    """Remove the half-written temporaries of records, which ``Folder.write`` leaves when it is killed."""
    database.remove_temporaries()
    for kind in (ATTEMPTS, MARKS, DRILLS):
        if database.has(kind):
            with database.child(kind) as folder:
                folder.remove_temporaries()
