# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a stored dump as far as pg_restore can without a server."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ...artifacts import ArtifactReader
from ...errors import Damaged, Refused, ToolFailed, ToolStopped, shown
from ...folders import Folder
from ...model import Artifact, Fingerprint, Manifest
from ...pipeline import Command, Tap
from .clients import ClientPrograms
from .contents import as_printed, read_contents
from .context import ServerContext

# Encodings of databases whose bytes are the ones that we write too.
_AS_IT_IS = ("UTF8", "SQL_ASCII")
_KEY = re.compile(r"^\d+; \d+ \d+ ", re.ASCII)


def check_structure(
    context: ServerContext, manifest: Manifest, reader: ArtifactReader, workspace: Folder
) -> tuple[str, ...]:
    """Decode the whole dump with pg_restore and compare its contents with what was recorded; raises Damaged."""
    archive = manifest.artifact("dump")
    if archive is None:
        raise Damaged("The backup has no dump.")
    programs = _reading_programs(context, manifest)
    try:
        contents = _decoded(context, programs, archive, reader, workspace)
    except ToolStopped:
        raise
    except ToolFailed as reason:
        if "does not support compression" in str(reason):
            raise Refused(
                "The dump is compressed in a way that the pg_restore in %s cannot read; install one that can."
                % shown(programs.directory)
            ) from None
        raise Damaged("The dump %s cannot be read: %s" % (shown(archive.name), reason), archive.name) from None
    findings = ["pg_restore %s decoded the whole dump." % programs.version]
    recorded = manifest.artifact("contents")
    if recorded is not None:
        _compare_contents(archive, contents, reader.text(recorded))
    stored = manifest.artifact("fingerprint")
    if stored is not None:
        tables = _compare_fingerprint(archive, contents, _fingerprint(reader, stored), manifest.properties)
        findings.append("Its table of contents names the rows of all %d tables of the fingerprint." % tables)
    return tuple(findings)


def _reading_programs(context: ServerContext, manifest: Manifest) -> ClientPrograms:
    """The oldest installed programs that are not older than the ones that wrote the dump."""
    written = re.match(r"\d+", manifest.client.version)
    major = int(written[0]) if written else 0
    for programs in context.clients:
        if programs.major >= major:
            return programs
    raise Refused(
        "The dump was made by pg_dump %s, and the newest pg_restore on this host is %s, which cannot read it; install"
        " the package postgresql-client-%d." % (manifest.client.version, context.clients[-1].version, major)
    )


def _decoded(
    context: ServerContext, programs: ClientPrograms, archive: Artifact, reader: ArtifactReader, workspace: Folder
) -> str:
    """The table of contents, after all of the archive has been turned into SQL for nobody."""
    account = context.access.account
    if archive.kind == "directory":
        with reader.directory(archive, account, workspace) as folder:
            for_nobody = _command(
                context, programs, "--file=/dev/null", folder.handle, descriptors=(folder.descriptor,)
            )
            listing = _command(context, programs, "--list", folder.handle, descriptors=(folder.descriptor,))
            context.processes.run(for_nobody)
            return context.processes.run(listing).output
    with reader.plain(archive) as (descriptor, decoding):
        tap = Tap([_command(context, programs, "--list")])
        for_nobody = _command(context, programs, "--file=/dev/null")
        context.processes.stream(decoding, lambda _piece: None, source=descriptor, tap=tap, after=[for_nobody])
    tap.output.seek(0)
    return tap.output.read().decode("utf-8", "surrogateescape")


def _command(
    context: ServerContext, programs: ClientPrograms, *arguments: str, descriptors: tuple[int, ...] = ()
) -> Command:
    """pg_restore without any connection."""
    return Command((programs.path("pg_restore"), *arguments), account=context.access.account, descriptors=descriptors)


def _compare_contents(archive: Artifact, found: str, recorded: str) -> None:
    """The entries by their numbers; names are printed differently by some versions."""
    if _keys(found) != _keys(recorded):
        raise Damaged(
            "The table of contents of the dump %s is not the one that was recorded when it was made."
            % shown(archive.name),
            archive.name,
        )


def _keys(contents: str) -> list[str]:
    return sorted(match[0] for match in map(_KEY.match, contents.splitlines()) if match)


def _fingerprint(reader: ArtifactReader, stored: Artifact) -> Fingerprint:
    try:
        return Fingerprint.from_json(json.loads(reader.text(stored)))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise Damaged("The fingerprint %s cannot be read." % shown(stored.name), stored.name) from None


def _compare_fingerprint(archive: Artifact, found: str, fingerprint: Fingerprint, properties: Mapping[str, Any]) -> int:
    """How many tables were found, all of them.

    Names are compared where the archive writes them as we do. One of a database in an older encoding writes them in
    that; there the number must do, and the comparison with the recorded contents has gone by numbers before.
    """
    roles = [role["name"] for role in properties.get("roles", [])]
    contents = read_contents(found, schemas={table.schema for table in fingerprint.tables}, roles=roles)
    data = [(entry.schema, entry.name) for entry in contents.of_kind("TABLE DATA")]
    if len(data) < len(fingerprint.tables):
        raise Damaged(
            "The dump %s holds the rows of %d tables instead of %d."
            % (shown(archive.name), len(data), len(fingerprint.tables)),
            archive.name,
        )
    names = set(data)
    for table in fingerprint.tables if properties.get("encoding") in _AS_IT_IS else ():
        if (as_printed(table.schema), as_printed(table.name)) not in names:
            raise Damaged(
                "The dump %s holds no rows of table %s, which was counted when it was made."
                % (shown(archive.name), shown("%s.%s" % (table.schema, table.name))),
                archive.name,
            )
    return len(fingerprint.tables)
