# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one writer of a source: work folders, and how a finished one becomes a backup.

The order is the promise: artifacts are on the disk before the manifest is written, the manifest is on the disk before
the folder gets its name, and the name is on the disk before anybody is told. ``attempt.json`` says meanwhile what is
being tried; it goes once the manifest can say so.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone

from ..errors import HoldfastError, NotFound, RepositoryError, shown
from ..folders import Folder
from ..model import Manifest, Source
from .base import FAILED, INTERRUPTED, RUNNING, Attempt, Work, Writing
from .deleting import clear_leftovers, remove_backup, remove_work
from .manifests import encode_manifest
from .names import ATTEMPT, MANIFEST, WORK_PREFIX, checked_id
from .records import Marks, attempt_to_json, encode_json, read_marks, write_marks
from .troubles import explained


class DirectoryWork(Work):
    """A folder ``.work-<id>`` beside the backups."""

    def __init__(self, database: Folder, source: Source, backup_id: str, folder: Folder) -> None:
        self.id = backup_id
        self.folder = folder
        self.is_published = False
        self._database = database
        self._source = source

    def publish(self, manifest: Manifest) -> None:
        """See base.py; raises RepositoryError where an artifact of the manifest is not there as it says."""
        if self.is_published or manifest.id != self.id or manifest.source != self._source:
            raise RepositoryError("The backup %s cannot be published under another name or twice." % shown(self.id))
        with explained("Publishing the backup", self.folder.path):
            _check_artifacts(self.folder, manifest)
            sync_tree(self.folder)
            _write_new(self.folder, MANIFEST, encode_manifest(manifest))
            self.folder.remove_file(ATTEMPT)
            self.folder.sync()
            self._database.rename(WORK_PREFIX + self.id, self.id)
            self.is_published = True
            self._database.sync()


class DirectoryWriting(Writing):
    """The holder of a source's lock. ``database``: the folder of the source."""

    def __init__(self, database: Folder, source: Source, lock: int) -> None:
        self.source = source
        self.lock = lock
        self._database = database
        self._own_work: str | None = None
        self._is_tidy = False

    @contextmanager
    def begin(self, attempt: Attempt) -> Iterator[Work]:
        """See base.py. Whatever ends the block other than an Exception counts as an interruption."""
        checked_id(attempt.id)
        with explained("Starting a backup in", self._database.path):
            self._tidy()
            folder = _make_work(self._database, attempt)
        self._own_work = attempt.id
        with folder:
            work = DirectoryWork(self._database, self.source, attempt.id, folder)
            try:
                yield work
                if not work.is_published:
                    raise RepositoryError("The work on backup %s ended without a backup." % attempt.id)
            except Exception as reason:
                self._give_up(work, attempt, FAILED, reason)
                raise
            except BaseException as reason:
                self._give_up(work, attempt, INTERRUPTED, reason)
                raise
            finally:
                self._own_work = None

    def remove(self, backup_id: str) -> None:
        """See base.py."""
        checked_id(backup_id)
        if backup_id == self._own_work:
            raise RepositoryError("The backup %s is being written by this very run." % backup_id)
        with explained("Removing from", self._database.path):
            self._tidy()
            remove_backup(self._database, self.source, backup_id)

    def set_pinned(self, backup_id: str, *, pinned: bool) -> None:
        """See base.py; raises NotFound where there is no such backup."""
        self._write_marks(backup_id, replace(self._marks(backup_id), pinned=pinned, problem=None))

    def acknowledge(self, backup_id: str) -> None:
        """See base.py; raises NotFound where there is no such backup."""
        self._write_marks(backup_id, replace(self._marks(backup_id), acknowledged=True))

    def _tidy(self) -> None:
        """Clear what dead writers left, once: nobody else leaves anything while we hold the lock."""
        if not self._is_tidy:
            clear_leftovers(self._database, self._own_work)
            self._is_tidy = True

    def set_damaged(self, backup_id: str, problem: str | None) -> None:
        """See base.py; raises NotFound where there is no such backup."""
        self._write_marks(backup_id, replace(self._marks(backup_id), damaged=problem))

    def _marks(self, backup_id: str) -> Marks:
        if not self._database.has(checked_id(backup_id)):
            raise NotFound("There is no backup %s of %s; a list shows those there are." % (backup_id, self.source))
        return read_marks(self._database).get(backup_id, Marks())

    def _write_marks(self, backup_id: str, marks: Marks) -> None:
        with explained("Marking a backup in", self._database.path):
            write_marks(self._database, backup_id, marks)

    def _give_up(self, work: DirectoryWork, attempt: Attempt, status: str, reason: BaseException) -> None:
        """Remove the work and record why.

        The reason matters most: trouble while recording it is left to the next run, which finds the folder.
        """
        if work.is_published:
            return
        failed = replace(attempt, finished=datetime.now(timezone.utc), error=_sentence(reason))
        try:
            remove_work(self._database, work.id, failed, status)
        except OSError:
            self._is_tidy = False


def sync_tree(folder: Folder) -> None:
    """Wait until every file and directory below ``folder`` is on the disk."""
    for name, status in folder.files():
        if stat.S_ISDIR(status.st_mode):
            with folder.child(name) as child:
                sync_tree(child)
        else:
            descriptor = folder.open_file(name)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    folder.sync()


def _make_work(database: Folder, attempt: Attempt) -> Folder:
    if database.has(attempt.id):
        raise RepositoryError("There is a backup %s already; take a new id." % attempt.id)
    folder = database.make_child(WORK_PREFIX + attempt.id)
    try:
        _write_new(folder, ATTEMPT, encode_json(attempt_to_json(attempt, RUNNING)))
    except OSError:
        folder.close()
        database.remove_tree(WORK_PREFIX + attempt.id)
        raise
    return folder


def _check_artifacts(folder: Folder, manifest: Manifest) -> None:
    for artifact in manifest.artifacts:
        if not folder.has(artifact.name):
            raise RepositoryError("The artifact %s was not written; nothing was published." % shown(artifact.name))
        if artifact.kind == "file" and folder.stat(artifact.name).st_size != artifact.size:
            raise RepositoryError(
                "The artifact %s has %d bytes and not the %d that were written; nothing was published."
                % (shown(artifact.name), folder.stat(artifact.name).st_size, artifact.size)
            )


def _write_new(folder: Folder, name: str, data: bytes) -> None:
    descriptor = folder.create_file(name)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sentence(reason: BaseException) -> str:
    """Why a try ended, on one line."""
    if isinstance(reason, HoldfastError):
        return str(reason)
    said = " ".join(str(reason).split())
    return "%s: %s" % (type(reason).__name__, said) if said else type(reason).__name__
