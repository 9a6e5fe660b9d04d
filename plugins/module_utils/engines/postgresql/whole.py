# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeing that a dump from elsewhere is whole where the native tools would not notice.

``pg_restore`` loads a tar that was cut off with exit 0 and fewer rows, or never ends; ``psql`` takes the end of the
file for the end of a COPY. Custom archives and directories need no help: there pg_restore fails. Reading the file to
its end also makes gzip and zstd check their own sums.
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import Damaged, ToolFailed, shown
from ...external import ExternalFile
from ...pipeline import Processes
from .external_dump import PLAIN, TAR

_BLOCK = 512
_TAIL = 4096
_BEGINS = b"-- PostgreSQL database dump\n"
_ENDS = b"-- PostgreSQL database dump complete"


class TarWalk:
    """Follows a tar from member to member as its bytes pass (POSIX ustar); ``is_whole`` at the end.

    A member's length stands in its header, in octal or, with the highest bit set, as a binary number.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._to_skip = 0
        self._empty_blocks = 0
        self._is_broken = False

    @property
    def is_whole(self) -> bool:
        """Whether every member was there to its end, and after them the two empty blocks that end a tar."""
        return not self._is_broken and self._to_skip == 0 and self._empty_blocks >= 2

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        skipped = min(self._to_skip, len(piece))
        self._to_skip -= skipped
        data = self._rest + piece[skipped:]
        while len(data) >= _BLOCK and not self._is_broken:
            header, data = data[:_BLOCK], data[_BLOCK:]
            if not header.strip(b"\0"):
                self._empty_blocks += 1
                continue
            self._follow(header)
            skipped = min(self._to_skip, len(data))
            self._to_skip -= skipped
            data = data[skipped:]
        self._rest = data

    def _follow(self, header: bytes) -> None:
        field = header[124:136]
        try:
            size = int.from_bytes(field[1:], "big") if field[0] & 0x80 else int(field.strip(b" \0") or b"0", 8)
        except ValueError:
            self._is_broken = True
            return
        if header[257:262] != b"ustar" or self._empty_blocks:
            self._is_broken = True
        self._to_skip = -(-size // _BLOCK) * _BLOCK


class _Tail:
    """Keeps the last bytes of what passes."""

    def __init__(self) -> None:
        self.kept = b""

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        self.kept = (self.kept + piece)[-_TAIL:]


def check_whole(form: str, file: ExternalFile, processes: Processes) -> None:
    """Raise Damaged where ``file`` was cut off; ``form`` as ``form_of`` says."""
    if form == TAR:
        walk = TarWalk()
        _read(file, processes, walk.feed)
        if not walk.is_whole:
            raise Damaged("The tar archive %s was cut off; get a complete one." % shown(file.path))
    elif form == PLAIN:
        tail = _Tail()
        _read(file, processes, tail.feed)
        if _BEGINS in file.head() and _ENDS not in tail.kept:
            raise Damaged("The dump %s was cut off: the line that pg_dump ends with is missing." % shown(file.path))


def _read(file: ExternalFile, processes: Processes, sink: Callable[[bytes], object]) -> None:
    with file.plain() as (descriptor, commands):
        try:
            processes.stream(commands, sink, source=descriptor)
        except ToolFailed as reason:
            raise Damaged("The dump %s cannot be read to its end: %s" % (shown(file.path), reason)) from None
