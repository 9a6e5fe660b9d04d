# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running ``pg_restore`` and ``psql`` over a dump. All argument lists of the restoring side stand here.

Sources: the manual's pages on pg_restore and psql. psql has a restricted mode (``\\restrict``) since 13.22, 14.19,
15.14, 16.10, 17.6 and 18, in which no backslash command of the file is obeyed, so that it can neither start programs
nor connect elsewhere.
"""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Sequence

from ...errors import Refused, ToolFailed
from ...pipeline import Command
from ...secret_files import SecretFile
from .archive import Dump, first_bytes, growing_heads
from .clients import LEAVE_OUT_TOO_NEW, ClientPrograms, speaks_too_new
from .connection import Access
from .contents import Entry, list_file
from .context import ServerContext
from .dump import usual_jobs
from .external_dump import DIRECTORY

_GUARDED_SINCE = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
_GUARD_OF_FILE = re.compile(rb"\A(?:[ \t]*(?:--[^\n]*)?\r?\n)*\\restrict ([A-Za-z0-9]+)[ \t]*\r?\n")
_SQL_OPTIONS = (
    "statement_timeout=0",
    "lock_timeout=0",
    "idle_in_transaction_session_timeout=0",
    "default_transaction_read_only=off",
)
_DENIALS = ("permission denied", "must be owner", "must be superuser", "must be member", "must be able to", "superuser")


@dataclasses.dataclass(frozen=True)
class Loader:
    """Who loads into which database with which programs."""

    context: ServerContext
    access: Access
    programs: ClientPrograms
    database: str

    def command(self, tool: str, *arguments: str, descriptors: tuple[int, ...] = ()) -> Command:
        """``tool`` connected to the database."""
        conninfo = self.access.conninfo(self.database, server_version=self.context.server_version)
        return Command(
            (self.programs.path(tool), "--no-password", "--dbname=" + conninfo, *arguments),
            environment=self.access.environment,
            account=self.access.account,
            descriptors=self.access.descriptors + descriptors,
            secrets=self.access.secrets,
        )


def load_entries(loader: Loader, dump: Dump, entries: Sequence[Entry]) -> None:
    """Load only ``entries``, which hold no data, from the beginning of the dump."""
    selection = SecretFile(list_file(entries), loader.access.account)
    try:
        options = ("--exit-on-error", "--use-list=" + selection.path)
        if dump.folder is not None:
            files = (selection.descriptor, dump.folder.descriptor)
            _run(loader, loader.command("pg_restore", *options, dump.folder.handle, descriptors=files))
            return
        command = loader.command("pg_restore", *options, descriptors=(selection.descriptor,))
        for head in growing_heads(loader.context, dump):
            done = loader.context.processes.run(command, stdin=head, check=False)
            if "unexpected end of file" not in done.errors:
                break
        if done.errors:
            raise ToolFailed("pg_restore failed: %s" % " ".join(done.errors.split()))
    finally:
        selection.close()


def load_archive(
    loader: Loader, dump: Dump, *, entries: Sequence[Entry] | None = None, without_owners: bool = False
) -> None:
    """Load an archive as a whole, or only ``entries`` of it; raises ToolFailed with what the tool said."""
    options = ["--exit-on-error"]
    if without_owners:
        options += ["--no-owner", "--no-privileges"]
    selection = None if entries is None else SecretFile(list_file(entries), loader.access.account)
    files: tuple[int, ...] = ()
    try:
        if selection is not None:
            options.append("--use-list=" + selection.path)
            files = (selection.descriptor,)
        if speaks_too_new(loader.programs.major, loader.context.server_version):
            _load_by_way_of_sql(loader, dump, options, files)
        elif dump.form == DIRECTORY:
            jobs = loader.context.settings.jobs or usual_jobs()
            files += (dump.folder.descriptor,)
            options += ["--jobs=%d" % jobs, dump.folder.handle]
            _run(loader, loader.command("pg_restore", *options, descriptors=files))
        else:
            _stream(loader, dump, [loader.command("pg_restore", *options, descriptors=files)])
    finally:
        if selection is not None:
            selection.close()


def check_guard(programs: ClientPrograms, *, trusted: bool) -> None:
    """Raise Refused where this psql has no restricted mode and the user has not said that the file is trusted."""
    if not trusted and not _has_guard(programs):
        raise Refused(
            "The psql on this host (%s) cannot be kept from obeying commands inside an SQL file, such as \\! which"
            " runs programs; update it, or set trusted: true if you know the whole file." % programs.version
        )


def load_text(loader: Loader, dump: Dump) -> None:
    """Run SQL text through psql, in its restricted mode where it has one; raises ToolFailed at the first error."""
    words = dict(loader.access.keywords, options=" ".join("-c " + option for option in _SQL_OPTIONS))
    loader = dataclasses.replace(loader, access=dataclasses.replace(loader.access, keywords=words))
    guard = SecretFile("\\restrict %s\n" % secrets.token_hex(24), loader.access.account)
    try:
        arguments = ["-X", "-q", "--set=ON_ERROR_STOP=1"]
        if _has_guard(loader.programs):
            arguments += ["--file=" + guard.path]
        arguments += ["--file=-"]
        command = loader.command("psql", *arguments, descriptors=(guard.descriptor,))
        _stream(loader, dump, [*_without_guard_of_file(loader, dump), command])
    finally:
        guard.close()


def is_denial(reason: ToolFailed) -> bool:
    """Whether the server refused for lack of rights, in its English words."""
    return any(word in str(reason).lower() for word in _DENIALS)


def _without_guard_of_file(loader: Loader, dump: Dump) -> list[Command]:
    """What takes out the guard that newer versions of pg_dump write around their SQL, for ours is there already.

    Only lines with the very token of the file's beginning: a line of data may look like any other guard.
    """
    match = _GUARD_OF_FILE.match(first_bytes(loader.context, dump, 1 << 14))
    if match is None:
        return []
    token = match[1].decode("ascii")
    return [Command(("sed", "-e", "/^\\\\restrict %s *$/d" % token, "-e", "/^\\\\unrestrict %s *$/d" % token))]


def _has_guard(programs: ClientPrograms) -> bool:
    return programs.major >= 18 or programs.minor >= _GUARDED_SINCE.get(programs.major, 1 << 30)


def _load_by_way_of_sql(loader: Loader, dump: Dump, options: list[str], files: tuple[int, ...]) -> None:
    """Write the archive as SQL, leave the setting out, and run it; in one stream only.

    Where psql has a restricted mode, this pg_restore asks for it in what it writes.
    """
    check_guard(loader.programs, trusted=loader.context.settings.trusted)
    to_sql = [loader.programs.path("pg_restore"), "--file=-", *(one for one in options if one != "--exit-on-error")]
    if dump.folder is not None:
        to_sql.append(dump.folder.handle)
        files += (dump.folder.descriptor,)
    convert = Command(tuple(to_sql), account=loader.access.account, descriptors=files)
    leave_out = Command(LEAVE_OUT_TOO_NEW)
    run = loader.command("psql", "-X", "-q", "--set=ON_ERROR_STOP=1", "--file=-")
    _stream(loader, dump, [convert, leave_out, run])


def _stream(loader: Loader, dump: Dump, chain: Sequence[Command]) -> None:
    """Run the dump's bytes through ``chain``; a directory feeds nothing."""
    commands = [*dump.commands, *chain]
    source = None if dump.folder is not None else dump.rewind()
    loader.context.processes.stream(
        commands, lambda _said: None, source=source, time_limit=loader.context.settings.time_limit
    )


def _run(loader: Loader, command: Command) -> None:
    loader.context.processes.run(command, timeout=loader.context.settings.time_limit)
