# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_dump itself: its arguments, in a directory or as a stream, and the proof that its archive is complete.

All argument lists of the taking side stand here. Sources: the manual's page on pg_dump, and pg_dump.c for the words
of its messages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...artifacts import ArtifactWriter
from ...errors import BadInput, ToolFailed, shown
from ...model import Artifact, Compression, EngineSettings
from .catalog import USER_SCHEMAS, made_with_another, member_of_extension
from .context import ServerContext
from .session import Session
from .snapshot import LockConflict, NoRoomForLocks, Snapshot

DIRECTORY = "directory"
STREAM = "stream"
DUMP_DIRECTORY = "dump"
DUMP_FILE = "dump.pgdump"

_MOST_JOBS = 4
_WORTH_A_DIRECTORY = 64 << 20
_WORTH_A_FILE = 64 << 10
_LOCKS_AT_ONCE = 2.0
_LISTED = re.compile(r"^\d+; (\d+) (\d+) (.*)$", re.ASCII)
_HAS_DATA = re.compile(r"^(\d+); \d+ \d+ TABLE DATA ", re.ASCII | re.MULTILINE)
# The last block of a custom archive's data ends with a piece of length zero: a sign and four bytes
# (EndData and WriteInt in pg_backup_custom.c and pg_backup_archiver.c).
_END_OF_DATA = bytes(5)
_NAMED = 5
_ZSTD_SINCE = 16


@dataclass(frozen=True)
class Dumped:
    """``contents``: what ``pg_restore --list`` says of the archive. ``form``: what a manifest says of it."""

    artifacts: tuple[Artifact, ...]
    contents: str
    form: dict[str, object]

    @property
    def archive(self) -> Artifact:
        """The dump itself."""
        return self.artifacts[0]


class NoZstd(ToolFailed):
    """This pg_dump was built without zstd."""


def usual_jobs() -> int:
    """Parallel workers where none are asked for: the cores of this host, four at most."""
    return min(len(os.sched_getaffinity(0)), _MOST_JOBS)


def chosen_form(settings: EngineSettings, sizes: Sequence[int], *, encrypted: bool) -> str:
    """``directory`` or ``stream``; ``sizes``: of each table in bytes.

    An encrypted dump is always a stream, for a directory would land in plain text. By itself a directory is chosen
    where its workers pay: they share the work by whole tables, compress with gzip where they are older than version
    16, and each of their files costs the disk a moment.
    """
    if settings.form == DIRECTORY and encrypted:
        raise BadInput(
            "A dump in directory form cannot be encrypted while it is written; set format to stream or auto."
        )
    if settings.form in (DIRECTORY, STREAM):
        return settings.form
    if settings.form != "auto":
        raise BadInput("There is no form %s; the forms are auto, directory and stream." % shown(settings.form))
    has_workers = (settings.jobs or usual_jobs()) > 1
    return DIRECTORY if has_workers and not encrypted and _can_be_shared(sizes) else STREAM


def _can_be_shared(sizes: Sequence[int]) -> bool:
    """Whether there is enough to do, no table that one worker alone would be busy with, and few enough files."""
    total = sum(sizes)
    return total >= _WORTH_A_DIRECTORY and max(sizes) <= total / 2 and total / len(sizes) >= _WORTH_A_FILE


def dump(context: ServerContext, snapshot: Snapshot, writer: ArtifactWriter, form: str) -> Dumped:
    """Run pg_dump on ``snapshot``; raises LockConflict, NoRoomForLocks, or ToolFailed where no other try helps."""
    try:
        if form == STREAM:
            return _dump_stream(context, snapshot, writer)
        try:
            return _dump_directory(context, snapshot, writer, native_compression(context, writer.compression))
        except NoZstd:
            return _dump_directory(context, snapshot, writer, "gzip" if writer.compression.kind == "zstd" else "none")
    except ToolFailed as reason:
        raise _understood(reason) from None


def native_compression(context: ServerContext, compression: Compression) -> str:
    """What pg_dump compresses the files of a directory with: ``zstd``, ``gzip`` or ``none``."""
    if compression.kind == "none":
        return "none"
    return "zstd" if context.programs.major >= _ZSTD_SINCE else "gzip"


def _common_arguments(context: ServerContext, snapshot: Snapshot) -> tuple[str, ...]:
    """``-b``: large objects. pg_dump finds our locks already held, so it waits only where somebody has queued."""
    wait = min(context.settings.lock_wait, _LOCKS_AT_ONCE)
    return ("-b", "--snapshot=" + snapshot.name, "--lock-wait-timeout=%d" % max(1, round(wait * 1000)))


def _dump_stream(context: ServerContext, snapshot: Snapshot, writer: ArtifactWriter) -> Dumped:
    command = context.command(
        "pg_dump", "--format=custom", "-Z0", *_common_arguments(context, snapshot), database=context.database
    )
    artifact, tap = writer.stream(DUMP_FILE, "dump", [command], tap=[context.command("pg_restore", "--list")])
    tap.output.seek(0)
    contents = tap.output.read().decode("utf-8", "surrogateescape")
    if _dump_ids(contents) and not tap.tail.endswith(_END_OF_DATA):
        raise ToolFailed("pg_dump ended well but what it wrote was cut off; this is not a backup.")
    return Dumped((artifact,), contents, {"format": "custom", "compression": writer.compression.kind, "jobs": 1})


def _dump_directory(context: ServerContext, snapshot: Snapshot, writer: ArtifactWriter, kind: str) -> Dumped:
    jobs = context.settings.jobs or usual_jobs()
    with writer.directory(DUMP_DIRECTORY, "dump", context.access.account) as being_written:
        # A path through the descriptor, for the directories above belong to somebody else; pg_dump before version 16
        # leaves the directory that it is started in, so "." would not do.
        files = (being_written.folder.descriptor,)
        command = context.command(
            "pg_dump",
            "--format=directory",
            "--file=" + being_written.path,
            "--jobs=%d" % jobs,
            "--no-sync",
            _compression_argument(kind, writer.compression.level),
            *_common_arguments(context, snapshot),
            database=context.database,
            descriptors=files,
        )
        try:
            writer.processes.run(command, timeout=context.settings.time_limit)
        except ToolFailed as reason:
            if kind == "zstd" and "does not support compression with" in str(reason):
                raise NoZstd(str(reason)) from None
            raise
        listing = context.command("pg_restore", "--list", being_written.path, descriptors=files)
        contents = writer.processes.run(listing).output
        _check_files(contents, being_written.folder.names())
    return Dumped(being_written.artifacts, contents, {"format": "directory", "compression": kind, "jobs": jobs})


def _compression_argument(kind: str, level: int) -> str:
    """gzip always at level 1: measured, higher ones cost more time than the disk saves."""
    return {"zstd": "--compress=zstd:%d" % level, "gzip": "-Z1", "none": "-Z0"}[kind]


def _understood(reason: ToolFailed) -> ToolFailed:
    """The same, as LockConflict or NoRoomForLocks where it is one.

    Told by pg_dump's own words, which LC_ALL=C keeps in English whatever the server speaks, and by names of settings.
    """
    said = str(reason).lower()
    if "max_locks_per_transaction" in said:
        return NoRoomForLocks(str(reason))
    if "could not obtain lock on relation" in said or "query was: lock table" in said:
        return LockConflict(str(reason))
    return reason


def _dump_ids(contents: str) -> set[str]:
    """The archive's own numbers of the entries that have data of their own."""
    return set(_HAS_DATA.findall(contents))


def _check_files(contents: str, names: Sequence[str]) -> None:
    """Every table whose rows are listed must have its file, whatever it is compressed with."""
    missing = _dump_ids(contents) - {name.partition(".")[0] for name in names}
    if missing:
        raise ToolFailed(
            "pg_dump ended well but its directory lacks the files of %d tables; this is not a backup." % len(missing)
        )


def objects_to_dump(session: Session) -> dict[tuple[int, int], str]:
    """The relations and routines that the archive must hold: (oid of the catalog, oid), as it lists them, to name."""
    rows = session.query(
        "SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::oid::pg_catalog.int8 AS catalog,"
        " c.oid::pg_catalog.int8 AS oid, n.nspname || '.' || c.relname AS name"
        " FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.relpersistence <> 't' AND n.oid IN (%s) AND NOT %s"
        " UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::oid::pg_catalog.int8,"
        " p.oid::pg_catalog.int8, n.nspname || '.' || p.proname"
        " FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace"
        " WHERE n.oid IN (%s) AND NOT %s AND NOT %s"
        % (
            USER_SCHEMAS,
            member_of_extension("pg_class", "c.oid"),
            USER_SCHEMAS,
            member_of_extension("pg_proc", "p.oid"),
            made_with_another("pg_proc", "p.oid"),
        )
    )
    return {(row["catalog"], row["oid"]): row["name"] for row in rows}


def check_contents(contents: str, snapshot: Snapshot, objects: dict[tuple[int, int], str]) -> None:
    """Raise ToolFailed unless the archive's table of contents has every object and the data of every table.

    Objects are told by their numbers, for the list writes names without quotes.
    """
    listed = [_LISTED.match(line) for line in contents.splitlines()]
    entries = [match.groups() for match in listed if match]
    if not entries and (objects or snapshot.tables):
        raise ToolFailed("pg_dump ended well but wrote an archive with no objects in it; this is not a backup.")
    definitions = {(int(catalog), int(oid)) for catalog, oid, _rest in entries}
    data = {int(oid) for _catalog, oid, rest in entries if rest.startswith("TABLE DATA ")}
    missing = [name for key, name in objects.items() if key not in definitions]
    missing += [
        "rows of %s.%s" % (table.schema, table.name)
        for table in snapshot.tables
        if table.is_counted and table.oid not in data
    ]
    if missing:
        more = len(missing) - _NAMED
        raise ToolFailed(
            "pg_dump ended well but its archive lacks %s%s; this is not a backup."
            % (", ".join(shown(name) for name in missing[:_NAMED]), " and %d more" % more if more > 0 else "")
        )
