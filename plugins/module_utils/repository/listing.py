# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what is there: sources, and the backups and tries of one source. Nothing here writes.

A list is made while others publish and delete, so whatever is gone by the time it is looked at was simply not there.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import BadInput, Damaged, shown
from ..folders import Folder
from ..model import Manifest, Source
from .base import COMPLETED, DAMAGED, INTERRUPTED, RUNNING, Attempt, Entry
from .deleting import read_leftover
from .locks import is_same_file, is_source_locked
from .manifests import MANIFEST_LIMIT, decode_manifest
from .names import MANIFEST, SOURCE, WORK_PREFIX, folder_name, is_id, name_of_folder, time_of_id
from .records import Marks, read_attempts, read_last_drills, read_marks, read_object
from .troubles import sentence

_UNMARKED = Marks()
_SHORTENED = "~"


def list_sources(root: Folder) -> tuple[Source, ...]:
    """Every source that has a folder below ``root``, sorted; raises Damaged where the names of one are lost."""
    found = []
    for host_name, host in _subfolders(root):
        for policy_name, policy in _subfolders(host):
            for database_name, database in _subfolders(policy):
                source = _source_of(database, (host_name, policy_name, database_name))
                if source is not None:
                    found.append(source)
    return tuple(sorted(found, key=lambda source: (source.host, source.policy, source.database)))


def list_entries(database: Folder, source: Source) -> tuple[Entry, ...]:
    """Every backup and try in the folder of ``source``, newest first."""
    with _garbage_left_alone():
        entries = _Listing(database, source).entries()
    return tuple(sorted(entries, key=lambda entry: (entry.started, entry.id), reverse=True))


def read_published(database: Folder, source: Source, backup_id: str, folder: Folder) -> Manifest:
    """The manifest of a published backup; raises Damaged also where it is another backup's or source's.

    Raises FileNotFoundError where the backup was removed meanwhile, PermissionError where we may not read it.
    """
    path = os.path.join(folder.path, MANIFEST)
    try:
        manifest = decode_manifest(folder.read(MANIFEST, MANIFEST_LIMIT), path)
    except FileNotFoundError:
        if not is_same_file(database, backup_id, folder.descriptor):
            raise
        raise Damaged("The backup %s has no manifest." % shown(folder.path), MANIFEST) from None
    except PermissionError:
        raise
    except OSError as reason:
        raise Damaged(sentence("Reading", path, reason), MANIFEST) from None
    if manifest.id != backup_id:
        raise Damaged("%s is the manifest of backup %s." % (shown(path), manifest.id), MANIFEST)
    if manifest.source != source:
        raise Damaged("%s is the manifest of another source, %s." % (shown(path), manifest.source), MANIFEST)
    return manifest


class _Listing:
    """The records of one source, read once, and the entries that they and the folders make together."""

    def __init__(self, database: Folder, source: Source) -> None:
        self._database = database
        self._source = source
        self._marks = read_marks(database)
        self._drills = read_last_drills(database)

    def entries(self) -> list[Entry]:
        found: dict[str, Entry] = {}
        names = self._database.names()
        for name in names:
            if is_id(name):
                self._add(found, self._backup(name))
        for backup_id, (attempt, status) in read_attempts(self._database).items():
            if backup_id not in found:
                self._add(found, self._attempt(attempt, status))
        for name in names:
            backup_id = name[len(WORK_PREFIX) :]
            if name.startswith(WORK_PREFIX) and is_id(backup_id) and backup_id not in found:
                self._add(found, self._work(backup_id))
        return list(found.values())

    def _add(self, found: dict[str, Entry], entry: Entry | None) -> None:
        if entry is not None:
            found[entry.id] = entry

    def _backup(self, backup_id: str) -> Entry | None:
        """A published backup, whole or damaged; None where it has been removed since the folder was listed."""
        marks = self._marks.get(backup_id, _UNMARKED)
        manifest, problem, status = None, marks.problem, COMPLETED
        try:
            with self._database.child(backup_id) as folder:
                manifest = read_published(self._database, self._source, backup_id, folder)
        except FileNotFoundError:
            return None
        except Damaged as reason:
            status, problem = DAMAGED, str(reason)
        except PermissionError:
            raise
        except OSError as reason:
            status, problem = DAMAGED, sentence("Opening", os.path.join(self._database.path, backup_id), reason)
        if marks.damaged and status == COMPLETED:
            status, problem = DAMAGED, marks.damaged
        return Entry(
            id=backup_id,
            source=self._source,
            status=status,
            started=manifest.started if manifest else time_of_id(backup_id),
            manifest=manifest,
            problem=problem,
            pinned=marks.pinned,
            acknowledged=marks.acknowledged,
            last_drill=self._drills.get(backup_id),
        )

    def _work(self, backup_id: str) -> Entry | None:
        """A work folder: of a living writer, or left by a dead one."""
        is_running = is_source_locked(self._database)
        try:
            with self._database.child(WORK_PREFIX + backup_id) as work:
                attempt = read_leftover(work, backup_id)
        except FileNotFoundError:
            # Published or given up since the folder was listed.
            return self._backup(backup_id)
        except OSError as reason:
            problem = sentence("Opening", os.path.join(self._database.path, WORK_PREFIX + backup_id), reason)
            return Entry(backup_id, self._source, INTERRUPTED, time_of_id(backup_id), problem=problem)
        if is_running:
            return Entry(backup_id, self._source, RUNNING, attempt.started, attempt=attempt)
        problem = "The run was ended before it was done; the next run clears what it left."
        return Entry(backup_id, self._source, INTERRUPTED, attempt.started, attempt=attempt, problem=problem)

    def _attempt(self, attempt: Attempt, status: str) -> Entry:
        problem = attempt.error or "The record of this try is unreadable."
        return Entry(attempt.id, self._source, status, attempt.started, attempt=attempt, problem=problem)


@contextmanager
def _garbage_left_alone() -> Iterator[None]:
    """Pause the collector: a long list makes a million small objects, none of them garbage, and going through them
    again and again took three times as long as reading the manifests."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _subfolders(parent: Folder) -> Iterator[tuple[str, Folder]]:
    """(name, folder) of every directory whose name could be ours; the folder is open while the loop looks at it."""
    for name in parent.names():
        if name.startswith("."):
            continue
        try:
            folder = parent.child(name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        with folder:
            yield name, folder


def _source_of(database: Folder, names: tuple[str, str, str]) -> Source | None:
    """The real names of the source in ``database``, whose path ends in ``names``; None for a folder that is not ours.

    The path decides, for backups are looked up by it; the record is needed where a long name was shortened.
    """
    try:
        data = read_object(database, SOURCE)
        source = Source(data["host"], data["policy"], data["database"])
        if names == (folder_name(source.host), folder_name(source.policy), folder_name(source.database)):
            return source
    except (Damaged, BadInput, KeyError, TypeError, AttributeError, OSError):
        pass
    decoded = [name_of_folder(name) for name in names]
    if any(one is None and _SHORTENED not in name for one, name in zip(decoded, names)):
        return None
    if None in decoded:
        raise Damaged(
            "%s does not say which source the folder belongs to; write host, policy and database into it by hand."
            % shown(os.path.join(database.path, SOURCE)),
            SOURCE,
        )
    return Source(*decoded)
