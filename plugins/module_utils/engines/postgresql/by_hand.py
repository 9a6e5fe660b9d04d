# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a person restores a backup without holdfast: a script for the properties and the commands, in order."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ...encodings import shell_decoding
from ...model import Artifact
from .clients import LEAVE_OUT_TOO_NEW, speaks_too_new
from .dump import Dumped
from .parameters import set_clause
from .property_sql import (
    CLOSE_PUBLIC,
    creation_options,
    expects_closed_public,
    grant_statement,
    ordered_grants,
)
from .session import identifier, literal

_ANY = ':"database"'


def properties_sql(properties: Mapping[str, Any]) -> str:
    """A script for ``psql -v database=NAME`` that gives a database the properties that no dump of it holds."""
    owner = identifier(properties["owner"])
    lines = [
        "-- Run this last, with psql -v database=NAME: settings in it could hinder what is loaded after it.",
        "SET standard_conforming_strings = on;",
        "ALTER DATABASE %s OWNER TO %s;" % (_ANY, owner),
        *_privileges(properties),
    ]
    for row in properties["settings"]:
        clause = set_clause(row["name"], row["value"])
        if row["role"] is None:
            lines.append("ALTER DATABASE %s %s;" % (_ANY, clause))
        else:
            lines.append("ALTER ROLE %s IN DATABASE %s %s;" % (identifier(row["role"]), _ANY, clause))
    if properties["comment"] is not None:
        lines.append("COMMENT ON DATABASE %s IS %s;" % (_ANY, literal(properties["comment"])))
    for label in properties["security_labels"]:
        lines.append(
            "SECURITY LABEL FOR %s ON DATABASE %s IS %s;"
            % (identifier(label["provider"]), _ANY, literal(label["label"]))
        )
    if properties["connection_limit"] != -1:
        lines.append("ALTER DATABASE %s CONNECTION LIMIT %d;" % (_ANY, properties["connection_limit"]))
    if properties["is_template"]:
        lines.append("ALTER DATABASE %s IS_TEMPLATE true;" % _ANY)
    return "\n".join(lines) + "\n"


def _privileges(properties: Mapping[str, Any]) -> list[str]:
    rows, owner = properties["acl"], properties["owner"]
    if rows is None:
        return []
    named = {row["grantee"] for row in rows if row["grantee"] is not None} | {owner}
    lines = [
        "REVOKE ALL ON DATABASE %s FROM PUBLIC;" % _ANY,
        "REVOKE ALL ON DATABASE %s FROM %s;" % (_ANY, identifier(owner)),
    ]
    for row in ordered_grants(rows, owner, named)[0]:
        grant = grant_statement(_ANY, row) + ";"
        if row["grantor"] != owner:
            grant = "SET ROLE %s; %s RESET ROLE;" % (identifier(row["grantor"]), grant)
        lines.append(grant)
    return lines


def commands(
    database: str,
    server_version: int,
    client_major: int,
    properties: Mapping[str, Any],
    dumped: Dumped,
    roles: Artifact,
    properties_script: Artifact,
) -> tuple[str, ...]:
    """Shell commands, to be run in the backup's directory as a superuser of the new server (PGHOST and so on set)."""
    run = "psql -X -v ON_ERROR_STOP=1"
    psql = run + " -d postgres"
    create = "CREATE DATABASE %s %s" % (identifier(database), creation_options(properties, server_version))
    connection = "dbname='%s'" % database.replace("\\", "\\\\").replace("'", "\\'")
    inside = "%s -d %s" % (run, shlex.quote(connection))
    prepare = ["%s -c %s" % (psql, shlex.quote(create))]
    if expects_closed_public(client_major, server_version):
        prepare.append("%s -c %s" % (inside, shlex.quote(CLOSE_PUBLIC)))
    return (
        "%s | %s" % (shell_decoding(roles), psql),
        *prepare,
        _load(dumped.archive, connection, inside, by_way_of_sql=speaks_too_new(client_major, server_version)),
        "%s | %s -v %s" % (shell_decoding(properties_script), psql, shlex.quote("database=" + database)),
    )


def _load(archive: Artifact, connection: str, psql: str, *, by_way_of_sql: bool) -> str:
    """The command that loads the dump; ``by_way_of_sql``: where pg_restore itself could not speak to the server."""
    is_directory = archive.kind == "directory"
    if by_way_of_sql:
        words = [
            "pg_restore --file=-" + (" " + archive.name if is_directory else ""),
            shlex.join(LEAVE_OUT_TOO_NEW),
            psql,
        ]
    else:
        restore = "pg_restore --exit-on-error --dbname=%s" % shlex.quote(connection)
        words = [restore + (" --jobs=2 " + archive.name if is_directory else "")]
    return " | ".join(words if is_directory else [shell_decoding(archive), *words])
