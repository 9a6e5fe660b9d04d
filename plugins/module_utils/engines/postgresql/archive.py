# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the dump of an order lies, and what is known of it before it is loaded.

Four forms: a custom archive or a tar, read as a stream; a directory, read in parallel; SQL text, for psql. Backups
come in the first and the third, files from elsewhere in any.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ...accounts import Account
from ...errors import Damaged, Refused, ToolFailed, shown
from ...external import ExternalFile
from ...folders import Folder
from ...pipeline import PIECE, Command, Tap
from ..base import LoadOrder
from .clients import ClientPrograms
from .contents import Contents, read_contents
from .context import ServerContext
from .external_dump import CUSTOM, DIRECTORY, PLAIN, check_plain_head, form_of
from .setting_values import complete_properties
from .whole import check_whole

_HEAD = 1 << 20
_LARGEST_HEAD = 1 << 30
_PLAIN_HEAD = 1 << 16
_TOC = "toc.dat"
_LEADING_MAJOR = re.compile(r"\d+")
_WRITER_OF_TEXT = re.compile(rb"^-- Dumped by pg_dump version (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Dump:
    """A dump that is open for reading.

    ``form``: custom, tar, directory or plain. A stream has ``descriptor`` (of the stored file) and ``commands``
    (which make plain bytes of it); a directory has ``folder``, readable by the account that loads.
    """

    form: str
    descriptor: int = -1
    commands: tuple[Command, ...] = ()
    folder: Folder | None = None

    def rewind(self) -> int:
        """The descriptor, at its beginning."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        return self.descriptor


def form_of_order(order: LoadOrder) -> str:
    """The form of the dump; raises BadInput for a file that is none."""
    if order.file is not None:
        return form_of(order.file)
    artifact = order.manifest.artifact("dump")
    if artifact is None:
        raise Damaged("The backup %s has no dump among its artifacts." % order.manifest.id)
    return DIRECTORY if artifact.kind == "directory" else CUSTOM


def needs_copy(order: LoadOrder, account: Account | None) -> bool:
    """Whether the dump is a directory from elsewhere that ``account`` cannot be counted on to read."""
    return order.file is not None and order.file.is_directory and account is not None and not account.is_current


@contextmanager
def opened_dump(
    order: LoadOrder, account: Account | None, workspace: Folder | None, *, definitions_only: bool = False
) -> Iterator[Dump]:
    """The dump of ``order``, good while the block lasts; raises Damaged, Refused (an age identity is missing).

    ``workspace``: for a copy of a directory; None only where ``needs_copy`` says no and the order has a file.
    ``definitions_only``: of a directory from elsewhere, the table of contents is enough.
    """
    form = form_of_order(order)
    if order.file is not None and form == DIRECTORY:
        with Folder.open(order.file.path) as original:
            if not needs_copy(order, account):
                yield Dump(form, folder=original)
                return
            names = [_TOC] if definitions_only else original.names()
            with _handed_over(original, names, account, workspace) as copy:
                yield Dump(form, folder=copy)
    elif form == DIRECTORY:
        artifact = order.manifest.artifact("dump")
        with order.reader.directory(artifact, account, workspace) as folder:
            yield Dump(form, folder=folder)
    else:
        plain = order.file.plain() if order.file is not None else order.reader.plain(order.manifest.artifact("dump"))
        with plain as (descriptor, commands):
            yield Dump(form, descriptor=descriptor, commands=tuple(commands))


def contents_of(
    context: ServerContext, order: LoadOrder, workspace: Folder | None, roles: Iterable[str]
) -> Contents | None:
    """The table of contents, without loading anything; None for SQL text. Raises Damaged, ToolFailed.

    ``roles``: names that may occur in it besides those in the manifest.
    """
    properties = order.manifest.properties if order.manifest is not None else {}
    names = {*roles, *(role["name"] for role in properties.get("roles", ())), *properties.get("owners", ())}
    if order.manifest is not None and order.manifest.artifact("contents") is not None:
        return read_contents(order.reader.text(order.manifest.artifact("contents")), roles=names)
    form = form_of_order(order)
    if order.file is not None:
        check_whole(form, order.file, context.processes)
    if form == PLAIN:
        return None
    with opened_dump(order, context.access.account, workspace, definitions_only=True) as dump:
        text = _list_directory(context, dump.folder) if dump.folder is not None else _list_stream(context, order.file)
    return read_contents(text, roles=names)


def properties_of(order: LoadOrder) -> Mapping[str, Any]:
    """What the backup remembers of the database; empty for a file."""
    return complete_properties(order)


def check_text(file: ExternalFile) -> None:
    """Refuse SQL that is visibly made for more than one database."""
    check_plain_head(file.path, file.head(_PLAIN_HEAD))


def programs_for(context: ServerContext, dumped_by: str | None) -> ClientPrograms:
    """The programs that load: of the server's major version where these can read the archive, else the nearest newer.

    ``dumped_by``: the version of the pg_dump that wrote it. Raises Refused where all are too old.
    """
    oldest = max(context.server_version // 10000, major_of(dumped_by))
    fitting = [one for one in context.clients if one.major >= oldest]
    if not fitting:
        raise Refused(
            "Loading this dump needs PostgreSQL's client programs of version %d or newer, and the newest on this host"
            " are %s; install the package postgresql-client-%d (Debian, Ubuntu) or postgresql%d (Fedora, RHEL)."
            % (oldest, context.clients[-1].version, oldest, oldest)
        )
    nearest = min(one.major for one in fitting)
    return max((one for one in fitting if one.major == nearest), key=lambda one: one.minor)


def major_of(version: str | None) -> int:
    """The major version in words such as ``15.14 (Debian 15.14-1)`` or ``18beta1``; 0 where there is none."""
    match = _LEADING_MAJOR.match(version or "")
    return int(match[0]) if match else 0


def major_of_writer(order: LoadOrder, contents: Contents | None) -> int:
    """The major version of the pg_dump that wrote the dump; 0 where SQL text does not say so."""
    if contents is not None:
        return major_of(contents.client_version)
    match = _WRITER_OF_TEXT.search(order.file.head(_PLAIN_HEAD))
    return int(match[1]) if match else 0


def first_bytes(context: ServerContext, dump: Dump, size: int) -> bytes:
    """The first ``size`` plain bytes of a stream."""
    return context.processes.head(dump.commands, dump.rewind(), size)


def growing_heads(context: ServerContext, dump: Dump) -> Iterator[bytes]:
    """Larger and larger beginnings of a stream, for the table of contents lies there and nobody says how long it is."""
    size, before = _HEAD, -1
    while size <= _LARGEST_HEAD:
        head = first_bytes(context, dump, size)
        if len(head) == before:
            return
        before = len(head)
        yield head
        size *= 8


def _listing(context: ServerContext) -> Command:
    """``pg_restore --list`` of the newest version, which reads every older archive."""
    return Command((context.clients[-1].path("pg_restore"), "--list"), account=context.access.account)


def _list_stream(context: ServerContext, file: ExternalFile) -> str:
    """The list of a custom or tar archive; what wraps it is read to its end, so that a cut file is found out."""
    watching = Tap([_listing(context)])
    with file.plain() as (descriptor, commands):
        try:
            if form_of(file) == CUSTOM:
                # Only who reads all of it sees that the end is missing.
                whole = Command(
                    (context.clients[-1].path("pg_restore"), "--file=/dev/null"), account=context.access.account
                )
                context.processes.feed([*commands, whole], descriptor)
                os.lseek(descriptor, 0, os.SEEK_SET)
            if not commands:
                return context.processes.feed([_listing(context)], descriptor).decode("utf-8", "surrogateescape")
            context.processes.stream(commands, lambda _piece: None, source=descriptor, tap=watching)
        except ToolFailed as reason:
            raise Damaged("The dump %s cannot be read: %s" % (shown(file.path), reason)) from None
    watching.output.seek(0)
    return watching.output.read().decode("utf-8", "surrogateescape")


def _list_directory(context: ServerContext, folder: Folder) -> str:
    command = _listing(context)
    command = replace(command, argv=(*command.argv, folder.handle), descriptors=(folder.descriptor,))
    try:
        return context.processes.run(command).output
    except ToolFailed as reason:
        raise Damaged("The dump in %s cannot be read: %s" % (shown(folder.path), reason)) from None


@contextmanager
def _handed_over(original: Folder, names: Sequence[str], account: Account, workspace: Folder) -> Iterator[Folder]:
    """A copy of the files ``names`` that ``account`` may read, gone after the block."""
    directory = "external-" + secrets.token_hex(4)
    try:
        with workspace.make_child(directory) as copy:
            os.fchown(copy.descriptor, account.uid, account.gid)
            for name in names:
                _copy(original, copy, name, account)
            yield copy
    finally:
        workspace.remove_tree(directory)


def _copy(original: Folder, copy: Folder, name: str, account: Account) -> None:
    reading, writing = original.open_file(name), copy.create_file(name)
    try:
        while os.sendfile(writing, reading, None, PIECE):
            pass
        os.fchown(writing, account.uid, account.gid)
    except OSError as reason:
        raise ToolFailed("Copying %s for loading failed: %s." % (shown(name), reason.strerror)) from None
    finally:
        os.close(reading)
        os.close(writing)
