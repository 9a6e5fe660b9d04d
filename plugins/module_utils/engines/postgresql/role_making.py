# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making the roles that a backup needs and this server lacks. A role that exists is never altered.

Until the swap, a role made here says in its comment for which restore it was made, so that a later run can remove
what a killed one left behind. Roles of another server come without anything that gives power beyond the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .naming import made_mark
from .parameters import OWN_PREFIX
from .roles import creation_steps, membership_sql
from .session import Session, SqlError, identifier, literal
from .words import some_of

_POWERS = ("superuser", "createrole", "createdb", "replication", "bypassrls")


@dataclass(frozen=True)
class Making:
    """The roles to make, each a row of ``read_roles``, and the memberships (member, membership) to grant.

    ``warnings``: what is made, and what is left out of it.
    """

    roles: tuple[Mapping[str, Any], ...] = ()
    memberships: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = ()
    warnings: tuple[str, ...] = ()


def plan_roles(session: Session, roles: Sequence[Mapping[str, Any]], *, is_trusted: bool) -> Making:
    """What has to be made of ``roles`` here; writes nothing.

    ``is_trusted``: the backup is this server's own, or the user asked to load as superuser. Otherwise roles come
    without power over the server, without memberships in roles that were here before, and without settings that
    only a superuser may make.
    """
    existing = {row["name"] for row in session.query("SELECT rolname AS name FROM pg_catalog.pg_roles")}
    missing = [role for role in roles if role["name"] not in existing]
    made = {role["name"] for role in missing}
    if not missing:
        return Making()
    warnings = [
        "These roles were missing and are made, without passwords, which must be set where they log in: %s."
        % some_of(sorted(made))
    ]
    if is_trusted:
        reachable = existing | made
    else:
        reachable = made
        harmless = {
            row["name"] for row in session.query("SELECT name FROM pg_catalog.pg_settings WHERE context = 'user'")
        }
        weakened = [role["name"] for role in missing if any(role[power] for power in _POWERS)]
        if weakened:
            warnings.append(
                "These roles come from another server and are made without the power over the server that they"
                " had there: %s." % some_of(weakened)
            )
        missing = [_weakened(role, harmless) for role in missing]
    wanted = [(role, membership) for role in roles for membership in role["member_of"]]
    # Between two roles that were here before, nothing is changed.
    wanted = [(role, m) for role, m in wanted if role["name"] in made or m["role"] in made]
    granted = tuple(
        (role, m)
        for role, m in wanted
        if m["role"] in reachable and role["name"] in (reachable if is_trusted else made)
    )
    if len(granted) < len(wanted):
        left_out = sorted({"%s in %s" % (role["name"], m["role"]) for role, m in wanted if (role, m) not in granted})
        warnings.append("These memberships of roles were not brought back: %s." % some_of(left_out))
    return Making(tuple(missing), granted, tuple(warnings))


def make_roles(session: Session, making: Making, target: str) -> None:
    """Make what ``plan_roles`` found, all or nothing, marked as made for a restore of ``target``."""
    if not making.roles:
        return
    with session.transaction():
        for role in making.roles:
            for step in creation_steps(dict(role, comment=made_mark(target))):
                session.execute(step)
        for role, membership in making.memberships:
            session.execute(membership_sql(dict(role), dict(membership)))


def settle_roles(session: Session, making: Making) -> None:
    """Replace the marks by the comments that the roles had; call it in the swap's transaction."""
    for role in making.roles:
        comment = "NULL" if role["comment"] is None else literal(role["comment"])
        session.execute("COMMENT ON ROLE %s IS %s" % (identifier(role["name"]), comment))


def remove_made_roles(session: Session, target: str) -> None:
    """Drop the roles that an unfinished restore of ``target`` made; one that is in use by now stays, unmarked."""
    rows = session.query(
        "SELECT rolname AS name FROM pg_catalog.pg_roles"
        " WHERE pg_catalog.shobj_description(oid, 'pg_authid') = %s" % literal(made_mark(target))
    )
    for row in rows:
        try:
            session.execute("DROP ROLE IF EXISTS " + identifier(row["name"]))
        except SqlError:
            session.execute("COMMENT ON ROLE %s IS NULL" % identifier(row["name"]))


def _weakened(role: Mapping[str, Any], harmless: set[str]) -> dict[str, Any]:
    """``role`` with rights in its own databases alone."""
    settings = [
        (name, value)
        for name, value in role["settings"]
        if name in harmless or ("." in name and not name.lower().startswith(OWN_PREFIX))
    ]
    return dict(role, settings=settings, **dict.fromkeys(_POWERS, False))
