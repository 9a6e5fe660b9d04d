# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The present state of the database that a restore is aimed at; nothing here writes."""

from __future__ import annotations

import json

from ...model import Marker
from ..base import Target
from .catalog import FIRST_USER_OID
from .context import ServerContext
from .naming import RESTORED
from .session import Session, literal
from .taking import server_of

_CATALOGS = (
    "pg_class",
    "pg_proc",
    "pg_type",
    "pg_namespace",
    "pg_extension",
    "pg_largeobject_metadata",
    "pg_operator",
    "pg_collation",
    "pg_cast",
    "pg_language",
    "pg_foreign_data_wrapper",
    "pg_event_trigger",
    "pg_publication",
    "pg_ts_config",
    "pg_ts_dict",
)
_FEW = 2000


def look_at_target(context: ServerContext) -> Target:
    """The database ``context.database`` as it is now, or that there is none."""
    with context.maintenance_session() as session:
        identity = server_of(session).identity
        found = session.query(
            "SELECT oid::bigint AS number, pg_catalog.pg_database_size(oid) AS size FROM pg_catalog.pg_database"
            " WHERE datname = %s" % literal(context.database)
        )
        settings = database_settings(session, context.database)
    if not found:
        return Target(context.database, exists=False, is_empty=True, size=0, identity=identity)
    return Target(
        display=context.database,
        exists=True,
        is_empty=is_empty(context, context.database),
        size=found[0]["size"],
        identity=identity,
        marker=marker_in(settings),
    )


def database_settings(session: Session, database: str) -> dict[str, str]:
    """The settings that ``database`` carries for everybody, by name; empty where there is no such database."""
    rows = session.query(
        "SELECT pg_catalog.split_part(one, '=', 1) AS word,"
        " pg_catalog.substr(one, pg_catalog.strpos(one, '=') + 1) AS value"
        " FROM pg_catalog.pg_db_role_setting AS s"
        " JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase, pg_catalog.unnest(s.setconfig) AS one"
        " WHERE s.setrole = 0 AND d.datname = %s" % literal(database)
    )
    return {row["word"]: row["value"] for row in rows}


def marker_in(settings: dict[str, str]) -> Marker | None:
    """The marker among a database's settings; None where there is none that can be read."""
    try:
        return Marker.from_json(json.loads(settings[RESTORED]))
    except (KeyError, TypeError, ValueError):
        return None


def is_empty(context: ServerContext, database: str) -> bool:
    """Whether ``database`` holds no object but those that every database made from template1 holds."""
    with context.session(database) as session:
        objects = _user_objects(session)
    if not objects:
        return True
    if len(objects) > _FEW:
        return False
    with context.session("template1") as session:
        return objects <= _user_objects(session)


def _user_objects(session: Session) -> frozenset[tuple[str, int]]:
    """(catalog, number) of the objects that somebody made, a few thousand at most."""
    parts = " UNION ALL ".join(
        "SELECT '%s' AS catalog, oid::bigint AS number FROM pg_catalog.%s WHERE oid >= %d"
        % (catalog, catalog, FIRST_USER_OID)
        for catalog in _CATALOGS
    )
    rows = session.query(
        "SELECT * FROM (%s) AS made WHERE catalog <> 'pg_namespace' OR number NOT IN"
        " (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_(toast_)?temp_') LIMIT %d" % (parts, _FEW + 1)
    )
    return frozenset((row["catalog"], row["number"]) for row in rows)
