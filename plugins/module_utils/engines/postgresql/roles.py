# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles that a database needs, which no dump of a single database holds.

Needed is every role that owns something in the database, is named in a privilege, a default privilege or a policy
(pg_shdepend knows them all), or has settings of its own there; every role that one of these is a member of; and
every member of one of these, for through it people get in. Passwords are never read.
"""

from __future__ import annotations

from typing import Any

from .parameters import set_clause, split_settings
from .session import Session, identifier, literal

_DEFAULTS = {
    "superuser": ("SUPERUSER", False),
    "inherit": ("INHERIT", True),
    "createrole": ("CREATEROLE", False),
    "createdb": ("CREATEDB", False),
    "login": ("LOGIN", False),
    "replication": ("REPLICATION", False),
    "bypassrls": ("BYPASSRLS", False),
}

_MENTIONED = """
SELECT d.refobjid AS oid FROM pg_catalog.pg_shdepend AS d
 WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
   AND (d.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
     OR (d.dbid = 0 AND d.classid = 'pg_catalog.pg_database'::pg_catalog.regclass
         AND d.objid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())))
UNION SELECT s.setrole FROM pg_catalog.pg_db_role_setting AS s
 WHERE s.setrole <> 0
   AND s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
UNION SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = ANY (%s)
"""

_NEEDED = """
WITH RECURSIVE mentioned AS (%s),
above AS (
  SELECT oid FROM mentioned
  UNION SELECT m.roleid FROM pg_catalog.pg_auth_members AS m JOIN above ON above.oid = m.member
), below AS (
  SELECT oid FROM mentioned WHERE oid NOT IN (SELECT oid FROM pg_catalog.pg_roles WHERE rolname ~ '^pg_')
  UNION SELECT m.member FROM pg_catalog.pg_auth_members AS m JOIN below ON below.oid = m.roleid
)
SELECT oid FROM above UNION SELECT oid FROM below
"""


def read_roles(session: Session, also: list[str]) -> list[dict[str, Any]]:
    """The needed roles, ordered by name; ``also``: roles known to be needed from elsewhere, such as owners.

    Rows with ``name``, ``superuser``, ``inherit``, ``createrole``, ``createdb``, ``login``, ``replication``,
    ``bypassrls``, ``connection_limit`` (-1: none), ``valid_until`` (text or None), ``comment``, ``settings`` (pairs),
    ``member_of`` (rows with ``role``, ``admin`` and, since 16, ``inherit`` and ``set``). The server's own ``pg_*``
    roles appear only in ``member_of``.
    """
    names = "ARRAY[%s]::text[]" % ", ".join(literal(name) for name in also)
    # The bootstrap superuser is pinned: what it owns is in no dependency, and ``also`` brings it in.
    rows = session.query(
        "SELECT r.rolname AS name, r.rolsuper AS superuser, r.rolinherit AS inherit, r.rolcreaterole AS createrole,"
        " r.rolcreatedb AS createdb, r.rolcanlogin AS login, r.rolreplication AS replication,"
        " r.rolbypassrls AS bypassrls, r.rolconnlimit AS connection_limit, r.rolvaliduntil::text AS valid_until,"
        " pg_catalog.shobj_description(r.oid, 'pg_authid') AS comment,"
        " pg_catalog.to_json(s.setconfig) AS settings, r.oid::pg_catalog.int8 AS oid"
        " FROM pg_catalog.pg_roles AS r"
        " LEFT JOIN pg_catalog.pg_db_role_setting AS s ON s.setrole = r.oid AND s.setdatabase = 0"
        " WHERE r.rolname !~ '^pg_' AND r.oid IN (%s) ORDER BY r.rolname" % (_NEEDED % (_MENTIONED % names))
    )
    memberships = _memberships(session, [row["oid"] for row in rows])
    for row in rows:
        row["settings"] = split_settings(row["settings"] or [])
        row["member_of"] = memberships.get(row.pop("oid"), [])
    return rows


def _memberships(session: Session, oids: list[int]) -> dict[int, list[dict[str, Any]]]:
    """What each of the roles is a member of."""
    if not oids:
        return {}
    # As JSON, because the two options of a membership exist only since version 16.
    rows = session.query(
        "SELECT m.member::pg_catalog.int8 AS member, r.rolname AS role, pg_catalog.to_jsonb(m) AS about"
        " FROM pg_catalog.pg_auth_members AS m JOIN pg_catalog.pg_roles AS r ON r.oid = m.roleid"
        " WHERE m.member IN (%s) ORDER BY r.rolname" % ", ".join(str(oid) for oid in oids)
    )
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        about = row["about"]
        membership = {"role": row["role"], "admin": about["admin_option"]}
        if "inherit_option" in about:
            membership.update(inherit=about["inherit_option"], set=about["set_option"])
        found.setdefault(row["member"], []).append(membership)
    return found


def roles_sql(roles: list[dict[str, Any]]) -> str:
    """A script for psql that makes the roles which are missing; those that exist are left as they are.

    Passwords are not in it: roles that log in with one need ``\\password``.
    """
    parts = [
        "-- The roles that the database needs. Roles that exist already are left as they are.",
        "-- No passwords are kept: set them with \\password.",
        "SET standard_conforming_strings = on;",
        *(_creation(role) for role in roles),
        *(_membership(role, membership) for role in roles for membership in role["member_of"]),
    ]
    return "\n".join(parts) + "\n"


def _creation(role: dict[str, Any]) -> str:
    """One query whose rows are the statements to run, none of them where the role exists."""
    rows = ", ".join("(%d, %s)" % (number, literal(step)) for number, step in enumerate(creation_steps(role)))
    return (
        "SELECT step FROM (VALUES %s) AS steps (number, step)"
        " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %s) ORDER BY number \\gexec"
        % (rows, literal(role["name"]))
    )


def creation_steps(role: dict[str, Any]) -> list[str]:
    """The statements that make one role of ``read_roles``, without its memberships."""
    name = identifier(role["name"])
    options = [word if role[key] else "NO" + word for key, (word, default) in _DEFAULTS.items() if role[key] != default]
    if role["connection_limit"] != -1:
        options.append("CONNECTION LIMIT %d" % role["connection_limit"])
    if role["valid_until"] is not None:
        options.append("VALID UNTIL " + literal(role["valid_until"]))
    steps = [" ".join(["CREATE ROLE", name, *options])]
    steps += ["ALTER ROLE %s %s" % (name, set_clause(setting, value)) for setting, value in role["settings"]]
    if role["comment"] is not None:
        steps.append("COMMENT ON ROLE %s IS %s" % (name, literal(role["comment"])))
    return steps


def membership_sql(role: dict[str, Any], membership: dict[str, Any]) -> str:
    """GRANT for one membership (no semicolon); harmless where it exists."""
    statement = "GRANT %s TO %s" % (identifier(membership["role"]), identifier(role["name"]))
    has_usual_options = membership.get("inherit", role["inherit"]) == role["inherit"] and membership.get("set", True)
    if not has_usual_options:
        return "%s WITH ADMIN %s, INHERIT %s, SET %s" % (
            statement,
            _truth(membership["admin"]),
            _truth(membership["inherit"]),
            _truth(membership["set"]),
        )
    return statement + (" WITH ADMIN OPTION" if membership["admin"] else "")


def _membership(role: dict[str, Any], membership: dict[str, Any]) -> str:
    return membership_sql(role, membership) + ";"


def _truth(value: object) -> str:
    return "TRUE" if value else "FALSE"
