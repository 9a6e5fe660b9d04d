# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private plain files in the workspace, each in the hands of the account that works on it."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..accounts import Account
from ..errors import Refused, ToolStopped, shown
from ..folders import Folder
from ..forked import Parent, call_as
from ..pipeline import Command, Processes
from .sqlite_examine import Examination, examine
from .sqlite_header import pad_single_page
from .sqlite_library import SEALED, connect, in_words

COPY = "copy.sqlite"
OLD = "old.sqlite"
_SPARE = 1 << 20


@contextmanager
def private_folder(workspace: Folder, account: Account | None) -> Iterator[Folder]:
    """A directory in ``workspace`` that belongs to ``account``, removed with all that is in it."""
    name = "sqlite-" + secrets.token_hex(4)
    folder = workspace.make_child(name)
    try:
        if account is not None:
            os.fchown(folder.descriptor, account.uid, account.gid)
        yield folder
    finally:
        folder.close()
        workspace.remove_tree(name)


def empty_file(folder: Folder, name: str, account: Account | None) -> str:
    """Make the empty file ``name``, anew where there is one; returns a path for a child that has our rights."""
    folder.remove_file(name)
    os.close(folder.create_file(name))
    give(folder, name, account)
    return os.path.join(folder.handle, name)


def give(folder: Folder, name: str, account: Account | None) -> None:
    """Make ``name`` belong to ``account``."""
    if account is not None:
        os.chown(name, account.uid, account.gid, dir_fd=folder.descriptor, follow_symlinks=False)


def decode(
    processes: Processes, commands: Sequence[Command], source: int, folder: Folder, account: Account | None
) -> None:
    """Write the plain bytes that ``commands`` make of ``source`` into ``folder`` as COPY.

    Raises ToolFailed where they cannot be made of it, ToolStopped where there is no room for them.
    """
    descriptor = folder.create_file(COPY)
    try:
        processes.stream(commands, lambda piece: _write_all(descriptor, piece), source=source)
    except OSError as reason:
        if reason.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ToolStopped(_no_room(folder)) from None
        raise ToolStopped("Writing in %s failed: %s." % (shown(folder.path), reason.strerror)) from None
    finally:
        os.close(descriptor)
    give(folder, COPY, account)


def pad(folder: Folder) -> None:
    """See ``pad_single_page``, of COPY."""
    descriptor = folder.open_file(COPY, writable=True)
    try:
        pad_single_page(descriptor)
    finally:
        os.close(descriptor)


def examined(
    folder: Folder, name: str, account: Account | None, database: str, time_limit: float | None, *, forget: bool = False
) -> Examination:
    """Examine a private file as ``account``; ``database``: what it is a copy of, for messages.

    ``forget``: its name goes as soon as it is open, so that a kill leaves nothing behind.
    """
    path = os.path.join(folder.handle, name)
    opened = []

    def prepare() -> None:
        opened.append(connect(path, SEALED))
        if forget:
            folder.remove_file(name)

    def work(_parent: Parent) -> dict:
        with in_words(database, "examined"):
            return examine(opened[0]).to_json()

    return Examination.from_json(call_as(account, work, prepare=prepare, time_limit=time_limit))


def check_room(folder: Folder, size: int) -> None:
    """Refuse where ``folder`` has no room for copies of ``size`` bytes."""
    if folder.free_bytes() < size + _SPARE:
        raise Refused(_no_room(folder, " for %d bytes of temporary copies" % size))


def _write_all(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _no_room(folder: Folder, what: str = "") -> str:
    return "There is not enough space in %s%s; free some, or set another work directory." % (shown(folder.path), what)
