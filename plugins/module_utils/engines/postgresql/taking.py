# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a backup of a database: the story from the first look to the last artifact."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass
from typing import Any

from ...artifacts import ArtifactWriter
from ...errors import Busy, shown
from ...model import Fingerprint, Server, TableRows
from ..base import Facts, Taken
from .by_hand import commands, properties_sql
from .catalog import count_objects, count_rows, table_sizes
from .context import ServerContext
from .dump import STREAM, Dumped, check_contents, chosen_form, dump, objects_to_dump
from .leftovers import left_out
from .properties import read_properties
from .roles import read_roles, roles_sql
from .session import Session, SqlError
from .setting_values import FILE, ROLE, values_of, without_values
from .snapshot import (
    Beside,
    LockConflict,
    NoRoomForLocks,
    Snapshot,
    check_unmoved,
    exported_snapshot,
    inside,
)
from .visibility import check_visibility

METHOD = "pg_dump"
_NOT_ALLOWED = "42501"
_TRIES = 6
_PAUSE = 0.5


@dataclass(frozen=True)
class Described:
    """What the snapshot holds besides the dump. ``to_dump``: what the archive's table of contents must name."""

    rows: tuple[TableRows, ...]
    objects: dict[str, int]
    properties: dict[str, Any]
    roles: list[dict[str, Any]]
    to_dump: dict[tuple[int, int], str]
    warnings: tuple[str, ...]
    seconds: float


def look(context: ServerContext) -> Facts:
    """Connection, client, rights and size; writes nothing."""
    with context.session() as session:
        client = context.programs.client(METHOD)
        check_visibility(session)
        return Facts(
            server=server_of(session),
            client=client,
            method=METHOD,
            logical_size=_size(session),
            warnings=left_out(session),
        )


def take(context: ServerContext, writer: ArtifactWriter) -> Taken:
    """A consistent backup; after a clash with somebody's DDL it is tried again, at last as a single stream."""
    with context.session() as session:
        check_visibility(session)
        server, size, sizes = server_of(session), _size(session), table_sizes(session)
    form = chosen_form(context.settings, sizes, encrypted=writer.is_encrypted)
    conflict: LockConflict | None = None
    holding = True
    for _attempt in range(_TRIES):
        try:
            return _take_once(context, writer, server, size, form, holding=holding)
        except NoRoomForLocks:
            writer.start_over()
            # First without our own locks on every table beside pg_dump's, then without those of its workers.
            if not holding and form == STREAM:
                raise
            holding, form = False, form if holding else STREAM
        except LockConflict as reason:
            writer.start_over()
            conflict, form = reason, STREAM
            # Not in step with work that comes at regular intervals.
            time.sleep(random.uniform(0, _PAUSE))
    raise Busy(
        "Statements that change or lock tables of database %s kept getting in the way of pg_dump; run the backup when"
        " no migration is under way. (%s)" % (shown(context.database), conflict)
    )


def server_of(session: Session) -> Server:
    """Version and identity. The identity is the system identifier, which a server shares with its standbys.

    None where the function that tells it was closed to this user, which is the owner's decision.
    """
    try:
        identity = session.value("SELECT system_identifier::text FROM pg_catalog.pg_control_system()")
    except SqlError as reason:
        if reason.sqlstate != _NOT_ALLOWED:
            raise
        identity = None
    return Server(session.server_text, identity)


def _size(session: Session) -> int:
    return session.value("SELECT pg_catalog.pg_database_size(pg_catalog.current_database()) AS size")


def _take_once(
    context: ServerContext, writer: ArtifactWriter, server: Server, size: int, form: str, *, holding: bool
) -> Taken:
    began = time.monotonic()
    with context.session() as other, exported_snapshot(context, holding=holding) as snapshot:
        session = snapshot.holder or other
        with inside(session, snapshot):
            check_visibility(session)
        locked = time.monotonic()
        with Beside(lambda stopped: _describe(context, session, snapshot, stopped)) as beside:
            dumped = dump(context, snapshot, writer, form)
            dumped_at = time.monotonic()
            described = beside.result(context.settings.time_limit)
        with inside(session, snapshot):
            check_unmoved(session, snapshot)
    check_contents(dumped.contents, snapshot, described.to_dump)
    durations = {"lock": locked - began, "dump": dumped_at - locked, "fingerprint": described.seconds}
    return _stored(context, writer, server, size, snapshot, dumped, described, durations)


def _describe(context: ServerContext, session: Session, snapshot: Snapshot, stopped: threading.Event) -> Described:
    """Everything that the catalogs and tables say inside the snapshot."""
    began = time.monotonic()
    wants_rows = context.settings.fingerprint == "rows"
    with inside(session, snapshot):
        properties = read_properties(session)
        roles = read_roles(session, [properties["owner"], *properties["owners"]])
        to_dump = objects_to_dump(session)
        objects = count_objects(session) if wants_rows else {}
        warnings = left_out(session)

    def ask(sql: str) -> list[dict[str, Any]]:
        # A transaction for each batch, or the locks on all indexes would add up until the server has no more room.
        with inside(session, snapshot):
            return session.query_unless(sql, stopped)

    rows = count_rows(snapshot.tables, ask) if wants_rows else ()
    return Described(rows, objects, properties, roles, to_dump, warnings, time.monotonic() - began)


def _stored(
    context: ServerContext,
    writer: ArtifactWriter,
    server: Server,
    size: int,
    snapshot: Snapshot,
    dumped: Dumped,
    described: Described,
    durations: dict[str, float],
) -> Taken:
    """Write what lies beside the dump, and describe the whole."""
    roles = writer.text("roles.sql", "roles", roles_sql(described.roles))
    script = writer.text("properties.sql", "properties", properties_sql(described.properties))
    artifacts = [*dumped.artifacts, writer.text("contents.txt", "contents", dumped.contents), roles, script]
    fingerprint = None
    if context.settings.fingerprint == "rows":
        fingerprint = Fingerprint(described.rows, described.objects)
        text = json.dumps(fingerprint.to_json(), separators=(",", ":"))
        artifacts.append(writer.text("fingerprint.json", "fingerprint", text))
    properties = dict(described.properties, roles=described.roles, dump=dumped.form)
    values = values_of(properties)
    if values is not None:
        artifacts.append(writer.text(FILE, ROLE, json.dumps(values)))
    return Taken(
        artifacts=tuple(artifacts),
        snapshot=snapshot.taken,
        server=server,
        client=context.programs.client(METHOD),
        method=METHOD,
        logical_size=size,
        fingerprint=fingerprint,
        properties=without_values(properties),
        warnings=described.warnings,
        durations=durations,
        restore_by_hand=commands(
            context.database,
            context.server_version,
            context.programs.major,
            described.properties,
            dumped,
            roles,
            script,
        ),
    )
