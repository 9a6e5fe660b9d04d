# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository kind "directory": backups as folders below one directory.

<repository>/holdfast.json
<repository>/<host>/<policy>/<database>/     names.py
    <id>/manifest.json, artifacts            a published backup, never rewritten
    .work-<id>/  .del-<id>/  .lock           publishing.py, deleting.py, locks.py
    attempts/  drills/  marks/  source.json  records.py
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ..accounts import Account, account_of
from ..errors import Damaged, HoldfastError, NotFound, RepositoryError, shown
from ..folders import Folder
from ..model import Manifest, Source
from ..units import format_size
from .base import Entry, Reading, Repository, Writing
from .filesystems import weaknesses
from .founding import found_repository, open_root, read_settings, would_found
from .listing import list_entries, list_sources, read_published
from .locks import is_same_file, lock_source, try_lock
from .names import MANIFEST, checked_id, folder_name
from .publishing import DirectoryWriting
from .records import write_source
from .troubles import explained

# Room for manifests and records, so that the last byte is never an artifact's.
_FLOOR = 8 << 20


class DirectoryReading(Reading):
    """A backup whose manifest is locked for reading."""

    def __init__(self, manifest: Manifest, folder: Folder, lock: int | None) -> None:
        self.manifest = manifest
        self.folder = folder
        self.lock = lock


class DirectoryRepository(Repository):
    """See base.py. ``owner``: the user that everything here belongs to."""

    def __init__(self, location: str, root: Folder, repository_id: str, owner: Account) -> None:
        self.id = repository_id
        self.location = location
        self.owner = owner
        self.warnings = weaknesses(location)
        self._root = root
        self._why_read_only = _why_read_only(root, owner)
        self.is_read_only = self._why_read_only is not None

    @classmethod
    def open(cls, location: str, expected_id: str | None) -> DirectoryRepository:
        """See base.py."""
        root = open_root(location)
        try:
            settings = read_settings(root)
            if expected_id is not None and settings.id != expected_id:
                raise RepositoryError(
                    "The repository %s has the id %s and not %s; another disk or share may be mounted there."
                    % (shown(location), shown(settings.id), shown(expected_id))
                )
            if os.geteuid() != settings.owner.uid:
                root.owner = (settings.owner.uid, settings.owner.gid)
            return cls(location, root, settings.id, settings.owner)
        except HoldfastError:
            root.close()
            raise

    @classmethod
    def init(cls, location: str, owner: Account) -> DirectoryRepository:
        """See base.py."""
        found_repository(location, owner)
        return cls.open(location, None)

    @classmethod
    def would_init(cls, location: str) -> bool:
        """See base.py."""
        return would_found(location)

    def close(self) -> None:
        """See base.py."""
        self._root.close()

    def sources(self) -> tuple[Source, ...]:
        """See base.py."""
        with explained("Listing", self.location):
            return list_sources(self._root)

    def entries(self, source: Source) -> tuple[Entry, ...]:
        """See base.py."""
        with explained("Listing", self.location):
            try:
                database = self._database(source)
            except FileNotFoundError:
                return ()
            with database:
                return list_entries(database, source)

    @contextmanager
    def writing(self, source: Source, wait: float) -> Iterator[Writing]:
        """See base.py."""
        self._require_writable()
        with ExitStack() as stack:
            with explained("Writing below", self.location):
                database = stack.enter_context(self._made_database(source))
                lock = lock_source(database, source, wait)
                stack.callback(os.close, lock)
                write_source(database, source)
            yield DirectoryWriting(database, source, lock)

    @contextmanager
    def reading(self, source: Source, backup_id: str) -> Iterator[Reading]:
        """See base.py. An error of the block is NotFound instead where somebody removed the backup meanwhile."""
        checked_id(backup_id)
        with ExitStack() as stack:
            with explained("Reading below", self.location):
                try:
                    database = stack.enter_context(self._database(source))
                    folder = stack.enter_context(database.child(backup_id))
                    lock = _lock_for_reading(folder, stack)
                    manifest = read_published(database, source, backup_id, folder)
                    if not is_same_file(database, backup_id, folder.descriptor):
                        raise FileNotFoundError
                except FileNotFoundError:
                    raise NotFound(
                        "There is no backup %s of %s (any more); a list shows those there are." % (backup_id, source)
                    ) from None
            try:
                yield DirectoryReading(manifest, folder, lock)
            except (HoldfastError, OSError) as reason:
                if is_same_file(database, backup_id, folder.descriptor):
                    raise
                raise NotFound(
                    "The backup %s of %s was removed while it was being read; choose another one." % (backup_id, source)
                ) from reason

    def check_writable(self, source: Source, needed: int) -> None:
        """See base.py."""
        self._require_writable()
        free = self._root.free_bytes()
        if free < needed + _FLOOR:
            raise RepositoryError(
                "The repository %s has %s free and the backup may need %s; free some space or move the repository."
                % (shown(self.location), format_size(free), format_size(needed + _FLOOR))
            )
        with explained("Looking below", self.location):
            self._check_folders(source)

    def _check_folders(self, source: Source) -> None:
        """Refuse where a folder on the way to the source is not ours to write in."""
        with ExitStack() as stack:
            folder = self._root
            for name in _path_of(source):
                try:
                    folder = stack.enter_context(folder.child(name))
                except FileNotFoundError:
                    return
                if not folder.is_writable():
                    raise RepositoryError(
                        "The folder %s is not writable for user %s; give it to user %s."
                        % (shown(folder.path), account_of(os.geteuid()).name, self.owner.name)
                    )

    def _require_writable(self) -> None:
        if self._why_read_only is not None:
            raise RepositoryError(self._why_read_only)

    def _database(self, source: Source) -> Folder:
        """The folder of ``source``; FileNotFoundError where there is none."""
        with ExitStack() as stack:
            folder = self._root
            for name in _path_of(source)[:-1]:
                folder = stack.enter_context(folder.child(name))
            return folder.child(_path_of(source)[-1])

    def _made_database(self, source: Source) -> Folder:
        """The folder of ``source``, made where there is none."""
        with ExitStack() as stack:
            folder = self._root
            for name in _path_of(source)[:-1]:
                folder = stack.enter_context(folder.make_child(name, exist_ok=True))
            return folder.make_child(_path_of(source)[-1], exist_ok=True)


def _path_of(source: Source) -> tuple[str, str, str]:
    return folder_name(source.host), folder_name(source.policy), folder_name(source.database)


def _why_read_only(root: Folder, owner: Account) -> str | None:
    """The sentence for who wants to write, None where writing is possible."""
    where, user = shown(root.path), os.geteuid()
    if root.is_on_read_only_mount():
        return "The repository %s is mounted read-only; mount it writable or use another one." % where
    if user not in (0, owner.uid):
        return "The repository %s belongs to user %s; run as that user or as root, and not as user %s." % (
            where,
            owner.name,
            account_of(user).name,
        )
    if not root.is_writable():
        return "The repository %s is not writable for user %s; correct its owner and mode." % (
            where,
            account_of(user).name,
        )
    return None


def _lock_for_reading(folder: Folder, stack: ExitStack) -> int | None:
    """A shared lock on the manifest, None where there is nothing to lock or the file system has no locks.

    Reading rights are enough for it, so a read-only mount is held against pruning too wherever that works.
    """
    try:
        descriptor = folder.open_file(MANIFEST)
    except (FileNotFoundError, Damaged):
        return None
    stack.callback(os.close, descriptor)
    try:
        is_locked = try_lock(descriptor, fcntl.LOCK_SH)
    except OSError:
        return None
    if not is_locked:
        # Only who deletes it takes the other kind of lock.
        raise FileNotFoundError
    return descriptor
