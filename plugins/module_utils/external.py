# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump that was made elsewhere: one file, or a directory, perhaps compressed or encrypted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from .encodings import Identity, decoding
from .errors import BadInput, NotFound, shown
from .pipeline import Command, Processes

HEAD = 4096
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_AGE = b"age-encryption.org/v1"


class ExternalFile:
    """``path`` on this host, its wrappers (age, gzip, zstd, in any order) found by their first bytes.

    Raises NotFound where there is nothing, BadInput where it is neither a regular file nor a directory or cannot
    be read.
    """

    def __init__(self, path: str, processes: Processes, identity: Identity | None = None) -> None:
        self.path = path
        self._processes = processes
        self._identity = identity
        if not os.path.exists(path):
            raise NotFound("There is no file %s on this host; name the dump that is to be restored." % shown(path))
        if not (os.path.isfile(path) or os.path.isdir(path)):
            raise BadInput("%s is neither a file nor a directory; name the dump itself." % shown(path))
        if not os.access(path, os.R_OK):
            raise BadInput("The file %s cannot be read by this user; grant access or become another." % shown(path))
        self.is_directory = os.path.isdir(path)
        self._encoding = () if self.is_directory else self._unwrap()

    @property
    def size(self) -> int:
        """Bytes as they lie there; of a directory all of its files."""
        if not self.is_directory:
            return os.path.getsize(self.path)
        return sum(entry.stat().st_size for entry in os.scandir(self.path) if entry.is_file())

    def head(self, size: int = HEAD) -> bytes:
        """The first bytes of the plain content; fewer where the file is shorter."""
        return self._head(self._encoding, size)

    @contextmanager
    def plain(self) -> Iterator[tuple[int, list[Command]]]:
        """An open descriptor and the commands that make plain bytes of it, as ``ArtifactReader.plain``."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with decoding(self._encoding, self._identity) as commands:
                yield descriptor, commands
        finally:
            os.close(descriptor)

    def _unwrap(self) -> tuple[str, ...]:
        """The wrappers from the outside in, as names of ways to decode."""
        found: list[str] = []
        while len(found) < 4:
            wrapper = _wrapper_of(self._head(tuple(reversed(found)), HEAD))
            if wrapper is None:
                return tuple(reversed(found))
            found.append(wrapper)
        raise BadInput("The file %s is wrapped more than four times; unpack it first." % shown(self.path))

    def _head(self, encoding: tuple[str, ...], size: int) -> bytes:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with decoding(encoding, self._identity) as commands:
                return self._processes.head(commands, descriptor, size)
        finally:
            os.close(descriptor)


def _wrapper_of(head: bytes) -> str | None:
    for magic, name in ((_AGE, "age"), (_GZIP, "gzip"), (_ZSTD, "zstd")):
        if head.startswith(magic):
            return name
    return None
