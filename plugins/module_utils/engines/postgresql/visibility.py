# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the connected user may not read. A superuser may read everything; anybody else must be shown to.

pg_dump itself skips some of this in silence (options of user mappings, subscriptions, values of sequences in
PostgreSQL 18) and stops at the rest, so the catalogs are asked first and all that is hidden is named at once.
"""

from __future__ import annotations

from ...errors import Refused, shown
from .catalog import USER_SCHEMAS, member_of_extension
from .session import Session

_NAMED = 5


def check_visibility(session: Session) -> None:
    """Raise Refused, naming what is hidden, unless this user can read all that a dump must hold."""
    if session.value("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER"):
        return
    findings = []
    for words, sql in _questions().items():
        names = [row["name"] for row in session.query(sql)]
        if names:
            findings.append("%s %s" % (words, _some(names)))
    if findings:
        raise Refused(
            "User %s cannot read all of database %s, and a backup that leaves anything out is none: %s;"
            " grant what is missing or take the backup as a superuser."
            % (shown(session.user), shown(session.database), "; ".join(findings))
        )


def _questions() -> dict[str, str]:
    """Words for what is hidden, and the SELECT that names it."""
    dumped = (
        "(NOT %s OR EXISTS (SELECT FROM pg_catalog.pg_extension AS x WHERE c.oid = ANY (x.extconfig)))"
        % member_of_extension("pg_class", "c.oid")
    )
    relation = (
        "SELECT n.nspname || '.' || c.relname AS name FROM pg_catalog.pg_class AS c"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.oid IN (%s) AND c.relpersistence <> 't' AND %s AND %%s ORDER BY 1" % (USER_SCHEMAS, dumped)
    )
    return {
        "no USAGE on the schemas": "SELECT n.nspname AS name FROM pg_catalog.pg_namespace AS n WHERE n.oid IN (%s)"
        " AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
        " AND EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.relnamespace = n.oid) ORDER BY 1" % USER_SCHEMAS,
        "no SELECT on the tables": relation
        % "c.relkind IN ('r', 'p') AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')",
        "no SELECT on the sequences": relation
        % "c.relkind = 'S' AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')",
        "row security hides rows of the tables": relation
        % "c.relkind IN ('r', 'p') AND pg_catalog.row_security_active(c.oid)",
        "no SELECT on the large objects": _HIDDEN_LARGE_OBJECTS,
        "the options of the user mappings are hidden": _HIDDEN_USER_MAPPINGS,
        "only a superuser dumps the subscriptions": "SELECT subname AS name FROM pg_catalog.pg_subscription"
        " WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())",
    }


_HIDDEN_LARGE_OBJECTS = (
    "SELECT m.oid::text AS name FROM pg_catalog.pg_largeobject_metadata AS m"
    " WHERE pg_catalog.current_setting('lo_compat_privileges') = 'off'"
    " AND NOT pg_catalog.pg_has_role(m.lomowner, 'USAGE')"
    " AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(m.lomacl) AS a WHERE a.privilege_type = 'SELECT'"
    " AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE'))) ORDER BY m.oid"
)

# The condition under which the view pg_user_mappings shows options (system_views.sql), turned round.
_HIDDEN_USER_MAPPINGS = (
    "SELECT u.usename || ' on ' || u.srvname AS name FROM pg_catalog.pg_user_mappings AS u"
    " JOIN pg_catalog.pg_foreign_server AS s ON s.oid = u.srvid"
    " WHERE NOT ((u.umuser <> 0 AND u.usename = CURRENT_USER AND (pg_catalog.pg_has_role(s.srvowner, 'USAGE')"
    " OR pg_catalog.has_server_privilege(s.oid, 'USAGE')))"
    " OR (u.umuser = 0 AND pg_catalog.pg_has_role(s.srvowner, 'USAGE'))) ORDER BY 1"
)


def _some(names: list[str]) -> str:
    """A few names and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(shown(name) for name in names[:_NAMED]) + (" and %d more" % more if more > 0 else "")
