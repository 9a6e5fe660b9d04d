# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be refused before a restore makes anything: versions, rights, extensions, locale, tablespaces, room."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from ...errors import Refused, shown
from ...workspace import workspace
from ..base import LoadOrder
from .archive import major_of, needs_copy, programs_for, properties_of
from .contents import Contents
from .context import ServerContext
from .load import prepare
from .naming import KEPT, LOADING, RESTORED
from .room import check_room
from .session import Session, identifier, literal
from .swappable import check_swappable
from .words import some_of


def preflight(context: ServerContext, order: LoadOrder) -> tuple[str, ...]:
    """Warnings of what the restore will do or leave out; writes nothing on the server. Raises Refused."""
    properties = properties_of(order)
    with context.maintenance_session() as session:
        if order.manifest is not None:
            _check_version(session, order.manifest.server.version)
        _check_own_rights(session)
        with ExitStack() as stack:
            space = None
            if needs_copy(order, context.access.account):
                space = stack.enter_context(workspace(context.settings.workspace))
            ready = prepare(context, session, order, space)
        warnings = _check_clients(context, session, order, ready.contents)
        if properties:
            _check_locale(session, properties)
            _check_tablespaces(session, properties)
        warnings += _check_extensions(session, properties, ready.contents)
        warnings += check_room(context, session, order.manifest.logical_size if order.manifest else order.file.size)
    if order.replaces:
        check_swappable(context)
    return (*ready.plan.warnings, *ready.making.warnings, *warnings)


def _check_version(session: Session, dumped: str) -> None:
    """A dump goes into its own version or a newer one; the other way round the server may not know what it reads."""
    major = major_of(dumped)
    if session.major < major:
        raise Refused(
            "The backup comes from PostgreSQL %s and this server is %s; restore to version %d or newer."
            % (dumped.split(" ")[0], session.server_text.split(" ")[0], major)
        )


def _check_own_rights(session: Session) -> None:
    about = session.query(
        "SELECT rolsuper, rolcreatedb FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER",
    )[0]
    if about["rolsuper"]:
        return
    if not about["rolcreatedb"]:
        raise Refused(
            "%s may not create databases on this server, and a restore loads a copy beside the live one; connect as a"
            " superuser or grant CREATEDB." % shown(session.user)
        )
    if session.server_version < 150000:
        raise Refused(
            "Before PostgreSQL 15 only a superuser may keep the marker that says what was restored, and %s is none;"
            " connect as a superuser." % shown(session.user)
        )
    words = (RESTORED, LOADING, KEPT)
    if not all(
        session.value("SELECT pg_catalog.has_parameter_privilege(%s, 'SET') AS may" % literal(word)) for word in words
    ):
        raise Refused(
            "%s may not keep the marker that says what was restored; connect as a superuser, or let one run: GRANT SET"
            " ON PARAMETER %s TO %s." % (shown(session.user), ", ".join(words), identifier(session.user))
        )


def _check_clients(context: ServerContext, session: Session, order: LoadOrder, contents: Contents | None) -> list[str]:
    """pg_dump writes for servers of its own version and newer ones; older ones may not know its words."""
    dumped_by = order.manifest.client.version if order.manifest is not None else None
    if contents is not None:
        dumped_by = contents.client_version or dumped_by
    programs_for(context, dumped_by)
    if major_of(dumped_by) <= session.major:
        return []
    return [
        "The dump was written by pg_dump %s for PostgreSQL %d and newer, and this server is %d; it may use words that"
        " this server does not know." % (dumped_by, major_of(dumped_by), session.major)
    ]


def _check_locale(session: Session, properties: Mapping[str, Any]) -> None:
    """libc's locales must be known to the server's system; it checks them itself when the copy is made.

    What pg_collation lists was found when the server was set up; C and POSIX are always there.
    """
    wanted = {properties["collate"], properties["ctype"]} - {"C", "POSIX", "C.UTF-8", "C.utf8"}
    rows = session.query(
        "SELECT pg_catalog.lower(pg_catalog.replace(name, '-', '')) AS name FROM ("
        " SELECT collcollate AS name FROM pg_catalog.pg_collation WHERE collprovider = 'c' AND collcollate IS NOT NULL"
        " UNION SELECT datcollate FROM pg_catalog.pg_database UNION SELECT datctype FROM pg_catalog.pg_database) AS n"
    )
    known = {row["name"] for row in rows}
    missing = sorted(name for name in wanted if name.lower().replace("-", "") not in known)
    if missing:
        raise Refused(
            "The operating system of this server does not have the locale %s that the database was made with; generate"
            " it (localedef or locale-gen), restart the server, and run pg_import_system_collations." % some_of(missing)
        )
    # A server without ICU may list a collation of it all the same, but knows no version.
    if properties["locale_provider"] == "icu" and not session.value(
        "SELECT pg_catalog.count(pg_catalog.pg_collation_actual_version(oid)) AS known FROM pg_catalog.pg_collation"
        " WHERE collprovider = 'i'"
    ):
        raise Refused(
            "The database uses ICU collations, and this server was built without ICU; restore to one that has it."
        )


def _check_tablespaces(session: Session, properties: Mapping[str, Any]) -> None:
    known = {row["name"] for row in session.query("SELECT spcname AS name FROM pg_catalog.pg_tablespace")}
    missing = sorted({properties["tablespace"], *properties.get("tablespaces", ())} - known)
    if missing:
        raise Refused(
            "This server does not have the tablespaces that the database uses: %s; create them first with CREATE"
            " TABLESPACE." % some_of(missing)
        )


def _check_extensions(session: Session, properties: Mapping[str, Any], contents: Contents | None) -> list[str]:
    """Missing ones are refused; another version than the source's is worth a line."""
    wanted = {row["name"]: row["version"] for row in properties.get("extensions", ())}
    if not properties and contents is not None:
        wanted = {entry.name: None for entry in contents.of_kind("EXTENSION")}
    rows = session.query(
        "SELECT name, default_version AS version FROM pg_catalog.pg_available_extensions UNION ALL"
        " SELECT extname, extversion FROM pg_catalog.pg_extension"
    )
    available = {row["name"]: row["version"] for row in rows}
    missing = sorted(set(wanted) - set(available))
    if missing:
        raise Refused(
            "This server does not have the extensions that the database uses: %s; install their packages on the"
            " server." % some_of(missing)
        )
    return [
        "The extension %s comes back in version %s of this server; the source had %s."
        % (shown(name), available[name], version)
        for name, version in sorted(wanted.items())
        if version is not None and available[name] != version
    ]
