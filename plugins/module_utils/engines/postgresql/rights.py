# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deciding who loads a dump. Loading runs the database's own code: defaults, CHECK functions, materialized views.

Loaded as a superuser, that code may do anything to the server. SET ROLE by a superuser is no protection, for the code
can undo it; so the work is done by somebody who logs in with the owner's rights alone, wherever that can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import Refused, shown
from .contents import Contents, Entry
from .session import Session, literal
from .words import some_of

OURSELVES = "ourselves"
OWNER = "owner"
SUPERUSER = "superuser"

# The notes of the CREATE commands in the manual: only superusers run these.
_SUPERUSER_KINDS = (
    "ACCESS METHOD",
    "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE",
    "SHELL TYPE",
    "SUBSCRIPTION",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
)
_PUBLIC_IS_THE_OWNERS = 15
_COMES_FIRST = ("SCHEMA", "EXTENSION")
_BELONGS_TO_FIRST = ("COMMENT", "ACL")


@dataclass(frozen=True)
class LoadPlan:
    """Who loads what.

    ``by``: ``ourselves`` (we are no superuser), ``owner`` (a temporary member of ``owner`` that logs in) or
    ``superuser``. ``may_change``: where the owner turns out not to suffice, a superuser goes on. ``beforehand``: the
    entries that a superuser makes first. ``left_out``: entries that nobody loads. ``without_owners``: owners and
    privileges in the dump are left out.
    """

    owner: str
    by: str
    may_change: bool = False
    beforehand: tuple[Entry, ...] = ()
    left_out: tuple[Entry, ...] = ()
    without_owners: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wish:
    """What the decision depends on beyond the server.

    ``load_as``: the setting. ``is_foreign``: the dump is not this server's own. ``is_file``: it has no manifest.
    ``owner``: who is to own the database. ``properties``: the manifest's; empty for a file. ``contents``: the table
    of contents; None for SQL text.
    """

    load_as: str
    is_foreign: bool
    is_file: bool
    owner: str
    properties: Mapping[str, Any]
    contents: Contents | None


def decide(session: Session, wish: Wish) -> LoadPlan:
    """Who loads; writes nothing.

    Raises Refused where ``load_as`` cannot be had, or where a dump of elsewhere would need a superuser unasked.
    """
    if not _is_superuser(session):
        return _ourselves(session, wish)
    if wish.load_as == SUPERUSER:
        return LoadPlan(wish.owner, SUPERUSER)
    obstacles = _obstacles(session, wish)
    if not obstacles:
        return LoadPlan(
            owner=wish.owner,
            by=OWNER,
            may_change=wish.load_as == "auto" and not wish.is_foreign,
            beforehand=() if wish.is_foreign or wish.contents is None else _beforehand(wish.contents),
            left_out=_left_out(wish) if wish.is_foreign else (),
            without_owners=wish.is_file,
        )
    if wish.load_as == OWNER:
        raise Refused(
            "The dump cannot be loaded with the rights of its owner %s alone: %s; use load_as: superuser if you trust"
            " everything in it." % (shown(wish.owner), some_of(obstacles))
        )
    if wish.is_foreign:
        raise Refused(
            "The dump comes from elsewhere and needs a superuser to load: %s; use load_as: superuser if you trust"
            " everything in it, for its code could then do anything to this server." % some_of(obstacles)
        )
    return LoadPlan(wish.owner, SUPERUSER, warnings=(superuser_warning(some_of(obstacles)),))


def superuser_warning(reason: str) -> str:
    """The one line that names the risk. ``reason``: what stood in the way of the owner."""
    return (
        "The dump is loaded as a superuser, so code inside the database (defaults, CHECK functions, materialized"
        " views) runs with power over the whole server; its owner alone does not suffice: %s." % reason
    )


def _is_superuser(session: Session) -> bool:
    return session.value("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER")


def _ourselves(session: Session, wish: Wish) -> LoadPlan:
    """The plan of somebody who is no superuser."""
    if wish.load_as == SUPERUSER:
        raise Refused(
            "load_as: superuser was asked for, but %s is none on this server; connect as a superuser."
            % shown(session.user)
        )
    if wish.owner not in _reachable(session, session.user):
        raise Refused(
            "%s may not give a database to its owner %s; connect as a superuser or as a member of that role."
            % (shown(session.user), shown(wish.owner))
        )
    obstacles = _obstacles(session, wish)
    if obstacles:
        raise Refused(
            "%s is no superuser and cannot load all of the dump: %s; connect as a superuser."
            % (shown(session.user), some_of(obstacles))
        )
    return LoadPlan(wish.owner, OURSELVES, left_out=_left_out(wish), without_owners=wish.is_file)


def _obstacles(session: Session, wish: Wish) -> list[str]:
    """What keeps the owner from loading the dump, or from being a protection."""
    reachable = _reachable(session, wish.owner)
    found = _power_of(session, wish.owner, reachable, is_foreign=wish.is_foreign)
    found += ["%s %s" % (row["kind"], row["name"]) for row in wish.properties.get("needs_superuser", ())]
    if wish.contents is not None:
        if not wish.properties:
            found += [entry.title for entry in wish.contents.of_kind(*_SUPERUSER_KINDS)]
        if not wish.is_file:
            found += _owned_by_others(wish, reachable)
        if wish.is_foreign or not _is_superuser(session):
            found += _untrusted_extensions(session, wish.contents)
            if session.major < _PUBLIC_IS_THE_OWNERS:
                kinds = ("COMMENT",) if wish.is_file else ("ACL", "COMMENT")
                found += [entry.title for entry in wish.contents.of_kind(*kinds) if entry.name == "SCHEMA public"]
    return list(dict.fromkeys(found))


def _power_of(session: Session, owner: str, reachable: set[str], *, is_foreign: bool) -> list[str]:
    """Why the owner's rights are no bounds; somebody else's dump is held to more than our own."""
    rows = session.query("SELECT rolname AS name, rolsuper, rolcreaterole FROM pg_catalog.pg_roles")
    found = []
    for row in rows:
        if row["name"] in reachable and row["rolsuper"]:
            found.append("the owner %s is a superuser or can become one" % owner)
        elif row["name"] in reachable and row["rolcreaterole"] and is_foreign:
            found.append("the owner %s can make roles" % owner)
    predefined = sorted(name for name in reachable if name.startswith("pg_") and name != "pg_database_owner")
    if is_foreign and predefined:
        found.append("the owner %s has the rights of %s" % (owner, ", ".join(predefined)))
    return found


def _owned_by_others(wish: Wish, reachable: set[str]) -> list[str]:
    """Entries whose owner the database's owner cannot stand for."""
    fine = {*reachable, *_reachable_in(wish.properties, wish.owner), wish.owner, "pg_database_owner", ""}
    own_way = _comes_first(wish.contents) if not wish.is_foreign else set()
    return [
        "%s of %s" % (entry.title, entry.owner)
        for entry in wish.contents.entries
        if entry.owner not in fine and entry.dump_id not in own_way and not _is_public(entry)
    ]


def _is_public(entry: Entry) -> bool:
    """The schema that every database has, its privileges or its comment."""
    return entry.schema is None and entry.name in ("public", "SCHEMA public")


def _left_out(wish: Wish) -> tuple[Entry, ...]:
    """What would give the schema ``public`` to another owner than every new database's: that takes a superuser."""
    if wish.contents is None:
        return ()
    return tuple(entry for entry in wish.contents.of_kind("SCHEMA") if entry.name == "public")


def _untrusted_extensions(session: Session, contents: Contents) -> list[str]:
    """Extensions that only a superuser may create here (since 13 the others are called trusted)."""
    rows = session.query(
        "SELECT a.name FROM pg_catalog.pg_available_extensions AS a JOIN pg_catalog.pg_available_extension_versions"
        " AS v ON v.name = a.name AND v.version = a.default_version WHERE v.trusted OR NOT v.superuser"
    )
    trusted = {row["name"] for row in rows}
    return [entry.title for entry in contents.of_kind("EXTENSION") if entry.name not in trusted]


def _beforehand(contents: Contents) -> tuple[Entry, ...]:
    """Schemas and extensions with their comments and privileges: no code of the database runs in making them."""
    first = _comes_first(contents)
    return tuple(entry for entry in contents.entries if entry.dump_id in first)


def _comes_first(contents: Contents) -> set[int]:
    return {
        entry.dump_id
        for entry in contents.entries
        if entry.kind in _COMES_FIRST
        or (
            entry.kind in _BELONGS_TO_FIRST
            and entry.schema is None
            and entry.name.startswith(("SCHEMA ", "EXTENSION "))
        )
    }


def _reachable(session: Session, role: str) -> set[str]:
    """The roles that ``role`` can become, itself among them; empty where it does not exist."""
    privilege = "SET" if session.major >= 16 else "MEMBER"
    rows = session.query(
        "SELECT r.rolname AS name FROM pg_catalog.pg_roles AS r, pg_catalog.pg_roles AS o WHERE o.rolname = %s"
        " AND r.rolname <> 'pg_database_owner' AND pg_catalog.pg_has_role(o.oid, r.oid, '%s')"
        % (literal(role), privilege)
    )
    return {row["name"] for row in rows}


def _reachable_in(properties: Mapping[str, Any], role: str) -> set[str]:
    """The same for a role that is yet to be made, as the manifest's roles say."""
    above = {one["name"]: [m["role"] for m in one["member_of"]] for one in properties.get("roles", ())}
    found, waiting = set(), [role]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += above.get(name, [])
    return found
