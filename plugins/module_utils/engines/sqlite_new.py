# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a loaded copy where no file is yet: built beside under a hidden name, then linked to its own."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass

from ..errors import Refused, RestoreFailed, shown
from ..forked import Parent
from ..model import Marker
from ..pipeline import PIECE
from .sqlite_header import LEFTOVERS
from .sqlite_marker import RESTORED, hidden_name, sync_folder, write_note

_SPARE = 1 << 20


def check_nothing_stale(path: str) -> None:
    """Refuse where the WAL or journal of a database that is gone would be applied to the new file."""
    for suffix in LEFTOVERS:
        if os.path.lexists(path + suffix):
            raise Refused(
                "There is no file %s but a %s left by an earlier one, which SQLite would apply to the restored file;"
                " move it away first." % (shown(path), shown(os.path.basename(path) + suffix))
            )


def check_can_be_made(path: str, size: int) -> None:
    """Refuse where this user could not make a file of ``size`` bytes at ``path``; writes nothing."""
    check_nothing_stale(path)
    _check_folder(path)
    _check_space(path, size)


def check_can_be_written(path: str, size: int) -> None:
    """Refuse where this user could not replace the content of ``path``, which takes ``size`` more bytes."""
    _check_folder(path)
    if not os.access(path, os.W_OK):
        raise Refused(
            "The SQLite database %s cannot be written by user number %d; grant that or become another user."
            % (shown(path), os.geteuid())
        )
    _check_space(path, size)


def _check_folder(path: str) -> None:
    folder = os.path.dirname(path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refused(
            "User number %d may not write into the directory %s, where SQLite keeps files beside a database; grant that"
            " or become another user." % (os.geteuid(), shown(folder))
        )


def _check_space(path: str, size: int) -> None:
    state = os.statvfs(os.path.dirname(path))
    free = state.f_bavail * state.f_frsize
    if free < size + _SPARE:
        raise Refused(
            "Restoring %s takes %d bytes beside it while it goes on, and there are %d; free some."
            % (shown(path), size, free)
        )


def clear_unfinished(path: str) -> None:
    """Remove what a killed ``NewFile`` for ``path`` may have left."""
    with suppress(FileNotFoundError):
        os.unlink(_unfinished(path))


@dataclass
class NewFile:
    """One new file, built in a child: ``prepare`` with our rights, then ``run`` with those of the future owner.

    ``loaded``: the private copy. The file gets mode 0600. A file that appears meanwhile is never replaced.
    """

    path: str
    loaded: str
    marker: Marker

    def prepare(self) -> None:
        """Open what lies in the workspace."""
        self._loaded_bytes = os.open(self.loaded, os.O_RDONLY | os.O_CLOEXEC)

    def run(self, _parent: Parent) -> None:
        """Build and show the file; raises Refused, RestoreFailed where there is no room or no right."""
        clear_unfinished(self.path)
        check_nothing_stale(self.path)
        unfinished = _unfinished(self.path)
        try:
            descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                self._fill(descriptor)
                os.fsync(descriptor)
                write_note(descriptor, self.path, RESTORED, self.marker.to_json())
                os.link(unfinished, self.path)
            finally:
                os.close(descriptor)
                os.unlink(unfinished)
            sync_folder(os.path.dirname(self.path))
        except FileExistsError:
            raise Refused("The file %s appeared meanwhile and was left as it is." % shown(self.path)) from None
        except OSError as reason:
            text = "there is no space left" if reason.errno == errno.ENOSPC else reason.strerror
            raise RestoreFailed("The file %s could not be made: %s." % (shown(self.path), text)) from None

    def _fill(self, descriptor: int) -> None:
        position = 0
        while True:
            piece = os.pread(self._loaded_bytes, PIECE, position)
            if not piece:
                return
            position += len(piece)
            while piece:
                piece = piece[os.write(descriptor, piece) :]


def _unfinished(path: str) -> str:
    return hidden_name(path) + ".new"
