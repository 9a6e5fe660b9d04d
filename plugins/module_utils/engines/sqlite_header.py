# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an SQLite file shows without being opened as a database.

Opening one, even to read, may roll back a journal, checkpoint a WAL and remove it; and ``immutable`` does not see
what the WAL holds. So a look reads the first page and the state of the files beside, and nothing else.
The layout is described at https://www.sqlite.org/fileformat2.html .
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import BadInput, NotFound, shown
from ..pipeline import PIECE

MAGIC = b"SQLite format 3\0"
HEADER = 100
WAL = "wal"
ROLLBACK = "rollback"
LEFTOVERS = ("-wal", "-journal")
_FIRST_PAGE = 112
_ENCODINGS = {0: "UTF-8", 1: "UTF-8", 2: "UTF-16le", 3: "UTF-16be"}
_CHANGE_COUNTER = slice(24, 28)
_MASKED = (slice(18, 20), _CHANGE_COUNTER, slice(40, 44), slice(92, 100))
_PENDING_BYTE = 0x40000000


@dataclass(frozen=True)
class FileFacts:
    """What lies at the path of a database.

    ``size``, ``wal_size`` and ``journal_size`` in bytes, the last two 0 where there is no such file. ``page_size``: 0
    for an empty file. ``journal_mode``: ``wal`` or ``rollback``. ``is_empty``: no object in the schema, as far as it
    can be told. ``changed``: seconds since the epoch. ``uid``, ``gid``, ``mode``: of the file.
    """

    size: int
    wal_size: int
    journal_size: int
    page_size: int
    journal_mode: str
    encoding: str
    is_empty: bool
    changed: float
    uid: int
    gid: int
    mode: int

    def to_json(self) -> dict[str, Any]:
        """For the way from a child to its parent."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FileFacts:
        """The inverse of ``to_json``."""
        return cls(**data)

    @property
    def whole_size(self) -> int:
        """The file and its WAL: at most so large is a copy."""
        return self.size + self.wal_size


def read_facts(path: str) -> FileFacts:
    """Look at the file at ``path`` with the rights of this process; writes nothing.

    Raises NotFound where there is nothing, BadInput where it is something else than a readable SQLite database.
    Not for a process that has the file open through SQLite: closing a descriptor drops all of SQLite's locks.
    """
    descriptor = _open(path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BadInput("%s is not a regular file; name the file of the SQLite database." % shown(path))
        head = os.pread(descriptor, _FIRST_PAGE, 0)
    finally:
        os.close(descriptor)
    check_magic(head, path)
    beside = {suffix: _status(path + suffix) for suffix in LEFTOVERS}
    sizes = {suffix: one.st_size if one else 0 for suffix, one in beside.items()}
    times = [status.st_mtime] + [one.st_mtime for one in beside.values() if one and one.st_size]
    return FileFacts(
        size=status.st_size,
        wal_size=sizes["-wal"],
        journal_size=sizes["-journal"],
        page_size=page_size_of(head),
        journal_mode=journal_mode_of(head),
        encoding=encoding_of(head),
        is_empty=not any(sizes.values()) and _shows_no_object(head),
        changed=max(times),
        uid=status.st_uid,
        gid=status.st_gid,
        mode=stat.S_IMODE(status.st_mode),
    )


def obstacle_to_opening(path: str, facts: FileFacts) -> str | None:
    """A sentence where this user could not open the database, though it can read the file."""
    if facts.journal_mode != WAL and not facts.journal_size:
        return None
    folder = os.path.dirname(path)
    if os.access(folder, os.W_OK | os.X_OK) or (facts.journal_mode == WAL and os.path.exists(path + "-shm")):
        return None
    return (
        "The SQLite database %s cannot be opened by user number %d, who may not write into its directory, where SQLite"
        " keeps files beside it; grant that or become another user." % (shown(path), os.geteuid())
    )


def check_magic(head: bytes, path: str) -> None:
    """Raise BadInput unless ``head`` begins an SQLite database; nothing at all is an empty one."""
    if head and (not head.startswith(MAGIC) or len(head) < HEADER or page_size_of(head) == 0):
        raise BadInput(
            "%s is not an SQLite database, or an encrypted one that cannot be read here; name another file."
            % shown(path)
        )


def page_size_of(head: bytes) -> int:
    """Bytes a page; 0 where the header is absent or makes no sense."""
    size = int.from_bytes(head[16:18], "big")
    size = 65536 if size == 1 else size
    return size if 512 <= size <= 65536 and size & (size - 1) == 0 else 0


def journal_mode_of(head: bytes) -> str:
    """``wal`` or ``rollback``, from the file format versions."""
    return WAL if head[18:20] == b"\2\2" else ROLLBACK


def encoding_of(head: bytes) -> str:
    """How text is stored, in the words of ``PRAGMA encoding``."""
    return _ENCODINGS.get(int.from_bytes(head[56:60], "big"), "unknown")


def page_count_of(head: bytes) -> int:
    """Pages of the database as its header says; 0 in files of very old versions, which do not."""
    return int.from_bytes(head[28:32], "big")


def change_counter(descriptor: int) -> bytes:
    """What every transaction in rollback mode changes; meaningless in WAL mode."""
    return os.pread(descriptor, 4, _CHANGE_COUNTER.start)


def content_digest(descriptor: int) -> str:
    """The sha256 of a database's content, the same for the original and for a copy by SQLite's backup interface.

    That interface copies every page and changes in the first one: the file format versions (they say whether it is in
    WAL mode), the change counter, the schema cookie, and the version of the library with the counter it is valid
    for. The page at 1 GiB is never written, for locks live there. All of these are taken as zeros.
    """
    head = bytearray(os.pread(descriptor, PIECE, 0))
    page_size = page_size_of(head)
    for masked in _MASKED:
        head[masked] = bytes(len(head[masked]))
    total = hashlib.sha256(head)
    position = len(head)
    while True:
        piece = os.pread(descriptor, PIECE, position)
        if not piece:
            return total.hexdigest()
        if position == _PENDING_BYTE:
            piece = bytes(min(page_size, len(piece))) + piece[page_size:]
        total.update(piece)
        position += len(piece)


def pad_single_page(descriptor: int) -> None:
    """Give a database of one page a second, free one; does nothing to others.

    The backup interface commits with its last step, and a swap needs a step before that. The new page is an empty
    trunk of the freelist; where the database keeps pointer maps (auto_vacuum), the page after its first map is.
    """
    head = bytearray(os.pread(descriptor, HEADER, 0))
    size = page_size_of(head)
    if size == 0 or os.fstat(descriptor).st_size != size:
        return
    has_maps = head[52:56] != bytes(4)
    trunk = 3 if has_maps else 2
    os.ftruncate(descriptor, trunk * size)
    if has_maps:
        os.pwrite(descriptor, b"\2" + bytes(4), size)
    head[28:40] = trunk.to_bytes(4, "big") + trunk.to_bytes(4, "big") + (1).to_bytes(4, "big")
    head[92:96] = head[_CHANGE_COUNTER]
    os.pwrite(descriptor, head, 0)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
            "There is no file %s on this host; name the SQLite database by its path." % shown(path)
        ) from None
    except OSError as reason:
        if reason.errno in (errno.EACCES, errno.EPERM):
            text = "The file %s cannot be read by user number %d; grant access or become another user."
            raise BadInput(text % (shown(path), os.geteuid())) from None
        raise BadInput("The file %s cannot be opened: %s." % (shown(path), reason.strerror)) from None


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _shows_no_object(head: bytes) -> bool:
    """Whether the tree of the schema, which begins in page 1, is a leaf without cells."""
    return not head or (head[100] == 0x0D and head[103:105] == b"\0\0")
