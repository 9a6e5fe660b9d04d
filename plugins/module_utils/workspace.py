# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private directory for plain temporary files, gone afterwards whatever happens.

It lies on a local disk, not in the repository, which may be a share that must never see plain text. Its descriptor
carries a lock that children inherit; the next run removes every workspace whose lock is free.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import BadInput, shown
from .folders import Folder

DEFAULT = "/var/tmp"
_READY = "holdfast-work-"
_BEING_MADE = "holdfast-making-"


@contextmanager
def workspace(base: str | None) -> Iterator[Folder]:
    """A fresh directory below ``base``; others may pass through it to a part handed to them, but not list it.

    Raises BadInput where ``base`` is no directory that we may write into.
    """
    place = base or DEFAULT
    try:
        parent = Folder.open(place)
    except OSError as reason:
        raise BadInput("The work directory %s cannot be used: %s." % (shown(place), reason.strerror)) from None
    with parent:
        _clear_leftovers(parent)
        name = _READY + secrets.token_hex(8)
        try:
            folder = _make_locked(parent, name)
        except OSError as reason:
            raise BadInput(
                "The work directory %s cannot be written to: %s; name another in work_path."
                % (shown(place), reason.strerror)
            ) from None
        with folder:
            try:
                yield folder
            finally:
                # While our lock still keeps others from sweeping it away under us.
                parent.remove_tree(name)


def _make_locked(parent: Folder, name: str) -> Folder:
    """Locked before it carries the name that the sweeper looks for, so that it can never be swept away alive."""
    unready = "%s%d-%s" % (_BEING_MADE, os.getpid(), secrets.token_hex(8))
    folder = parent.make_child(unready)
    fcntl.flock(folder.descriptor, fcntl.LOCK_EX)
    os.fchmod(folder.descriptor, 0o711)
    parent.rename(unready, name)
    folder.path = os.path.join(parent.path, name)
    return folder


def _clear_leftovers(parent: Folder) -> None:
    for name in parent.names():
        if not name.startswith((_READY, _BEING_MADE)):
            continue
        try:
            status = parent.stat(name)
        except FileNotFoundError:
            continue
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        if is_ours and not _is_being_made(name):
            _remove_if_dead(parent, name)


def _is_being_made(name: str) -> bool:
    """Whether ``name`` is not locked yet by a process that is about to; a few instructions long, unless it died."""
    if not name.startswith(_BEING_MADE):
        return False
    maker = name[len(_BEING_MADE) :].partition("-")[0]
    return os.path.exists("/proc/%s/stat" % maker)


def _remove_if_dead(parent: Folder, name: str) -> None:
    try:
        folder = parent.child(name)
    except FileNotFoundError:
        return
    with folder:
        try:
            fcntl.flock(folder.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        parent.remove_tree(name)
