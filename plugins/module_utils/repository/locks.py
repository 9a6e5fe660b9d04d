# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks: ``flock`` on an open file, which children inherit and which is free only when all of them are gone.

A lock is given back by closing its descriptor and never by LOCK_UN: an orphaned child that still writes must keep it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from ..errors import Busy
from ..folders import Folder
from ..model import Source
from .names import LOCK, WORK_PREFIX

_POLL = 0.05
# Who lists a source looks at its lock for a moment, and a writer that does not wait must not trip over that.
_PATIENCE = 0.3
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


def lock_source(database: Folder, source: Source, wait: float) -> int:
    """Become the one writer of the source in the folder ``database``; returns the descriptor that holds the lock.

    Raises Busy when ``wait`` seconds passed, OSError as the system gives it.
    """
    deadline = time.monotonic() + max(wait, _PATIENCE)
    while True:
        descriptor = _lock_file(database)
        is_ours = False
        try:
            is_ours = try_lock(descriptor, fcntl.LOCK_EX) and is_same_file(database, LOCK, descriptor)
        finally:
            if not is_ours:
                os.close(descriptor)
        if is_ours:
            return descriptor
        if time.monotonic() >= deadline:
            raise _busy(database, source, wait)
        time.sleep(_POLL)


def is_source_locked(database: Folder) -> bool:
    """Whether a writer, or a child that it left behind, holds the source; yes where that cannot be known."""
    try:
        descriptor = database.open_file(LOCK)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True
    try:
        return not try_lock(descriptor, fcntl.LOCK_SH)
    except OSError:
        return True
    finally:
        os.close(descriptor)


def try_lock(descriptor: int, how: int) -> bool:
    """Take the lock (``fcntl.LOCK_SH`` or ``LOCK_EX``) without waiting; False where somebody else holds it."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError as reason:
        if reason.errno in _HELD:
            return False
        raise
    return True


def is_same_file(folder: Folder, name: str, descriptor: int) -> bool:
    """Whether ``name`` in ``folder`` is still the file or directory that ``descriptor`` has open."""
    try:
        return os.path.samestat(folder.stat(name), os.fstat(descriptor))
    except OSError as reason:
        # ESTALE is what NFS says of an open file that another host removed.
        if reason.errno in (errno.ENOENT, errno.ESTALE):
            return False
        raise


def _lock_file(database: Folder) -> int:
    while True:
        try:
            descriptor = database.open_file(LOCK, writable=True)
        except FileNotFoundError:
            pass
        else:
            database.give(descriptor)
            return descriptor
        try:
            return database.create_file(LOCK)
        except FileExistsError:
            continue


def _busy(database: Folder, source: Source, wait: float) -> Busy:
    writing = [name[len(WORK_PREFIX) :] for name in database.names() if name.startswith(WORK_PREFIX)]
    what = "backup %s" % writing[0] if len(writing) == 1 else "another run"
    return Busy(
        "The source %s is held by %s, and it was not free within %g s; try again later or raise lock_timeout."
        % (source, what, wait)
    )
