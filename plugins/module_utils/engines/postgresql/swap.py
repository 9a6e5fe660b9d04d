# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the loaded copy in the place of the live database, and what becomes of the old one.

Both renames, the properties and the marker are one transaction, so that whatever kills us leaves the one state or the
other. RENAME takes the database's lock, behind which new connections wait, and then waits up to five seconds for
those who are inside (CountOtherDBBackends in procarray.c): so it is sent without waiting for it, while a second
session ends everybody who is inside. Those who waited are told that the database was renamed and have to come again.
"""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone

from ...errors import NotFound, RestoreFailed, ToolFailed, shown
from ...model import Marker
from ..base import Kept, LoadOrder, Swapped
from .context import ServerContext
from .load import LoadedCopy
from .naming import KEPT, RESTORED, kept_name
from .property_sql import apply_properties
from .role_making import settle_roles
from .session import Session, SqlError, identifier, literal
from .swappable import check_swappable
from .words import some_of

_TRIES = 8
# In milliseconds: while RENAME waits for whoever does not leave, everybody else waits behind it.
_STATEMENT_LIMIT = 900
_BETWEEN_TRIES = 0.5
_BETWEEN_ENDINGS = 0.02
_IN_USE = "55006"
_CANCELED = "57014"


def swap(context: ServerContext, loaded: LoadedCopy, order: LoadOrder, marker: Marker) -> Swapped:
    """Put ``loaded`` in the place of the context's database, or simply under that name; see Engine.swap.

    Raises RestoreFailed where somebody inside the live database cannot be made to leave; nothing has changed then.
    """
    _check_lock(loaded)
    if order.replaces:
        # Once more: what was not there at the preflight may be by now.
        check_swappable(context)
    with context.maintenance_session() as session, context.maintenance_session() as ending:
        kept = _free_name(session, context.database) if order.replaces and _exists(session, context.database) else None
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_BETWEEN_TRIES)
            try:
                seconds, warnings = _swap_once(session, ending, context.database, loaded, marker, kept)
                return Swapped(seconds, kept, warnings=warnings)
            except SqlError as reason:
                if reason.sqlstate not in (_IN_USE, _CANCELED):
                    raise RestoreFailed("The swap failed and the live database is as it was: %s" % reason) from None
        raise RestoreFailed(
            "The swap was given up and the live database is as it was, for these would not leave it: %s."
            % some_of(_inside(ending, context.database))
        )


def kept(context: ServerContext) -> tuple[Kept, ...]:
    """The old databases on this server, by the setting that the swap gave them; oldest first."""
    with context.maintenance_session() as session:
        rows = session.query(
            "SELECT d.datname AS name, pg_catalog.pg_database_size(d.oid) AS size,"
            " pg_catalog.substr(one, %d) AS about FROM pg_catalog.pg_db_role_setting AS s"
            " JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase, pg_catalog.unnest(s.setconfig) AS one"
            " WHERE s.setrole = 0 AND one LIKE '%s=%%'" % (len(KEPT) + 2, KEPT)
        )
    found = [_kept(row["name"], row["size"], row["about"]) for row in rows]
    return tuple(sorted(found, key=lambda one: (one.since is None, one.since or datetime.min, one.name)))


def drop_kept(context: ServerContext, name: str) -> None:
    """Remove an old database; raises NotFound for one that no swap left, Refused by the server's own words."""
    if name not in {one.name for one in kept(context)}:
        raise NotFound(
            "No swap left a database %s on %s; list what was kept to see the names."
            % (shown(name), context.access.place)
        )
    with context.maintenance_session() as session:
        session.execute("DROP DATABASE %s WITH (FORCE)" % identifier(name))


def _kept(name: str, size: int, about: str) -> Kept:
    try:
        data = json.loads(about)
        return Kept(name, str(data["of"]), datetime.fromisoformat(data["since"]), size)
    except (KeyError, TypeError, ValueError):
        return Kept(name, name, None, size)


def _check_lock(loaded: LoadedCopy) -> None:
    """The restore's lock is as good as the session that holds it."""
    try:
        loaded.lock.value("SELECT 1 AS alive")
    except ToolFailed as reason:
        raise RestoreFailed(
            "The connection that kept other restores away was lost before the swap, so nothing was replaced: %s"
            % reason
        ) from None


def _swap_once(
    session: Session, ending: Session, database: str, loaded: LoadedCopy, marker: Marker, kept: str | None
) -> tuple[float, tuple[str, ...]]:
    """One try, in one transaction; returns how long the live name was out of reach, and warnings."""
    with session.transaction():
        # A standby that does not answer must not keep everybody out: on the disk here is enough.
        session.execute("SET LOCAL synchronous_commit = local")
        warnings = apply_properties(session, loaded.name, loaded.properties, is_trusted=loaded.is_trusted)
        _set(session, loaded.name, RESTORED, marker.to_json())
        settle_roles(session, loaded.making)
        began = time.monotonic()
        session.execute("SET LOCAL statement_timeout = %d" % _STATEMENT_LIMIT)
        if kept is not None:
            since = datetime.now(timezone.utc).isoformat(timespec="seconds")
            _rename_while_ending(session, ending, database, kept)
            _set(session, kept, KEPT, {"of": database, "since": since})
        _rename_while_ending(session, ending, loaded.name, database)
    return time.monotonic() - began, warnings


def _rename_while_ending(session: Session, ending: Session, old: str, new: str) -> None:
    """RENAME ``old``, whose sessions are ended until it goes through."""
    session.begin_async("ALTER DATABASE %s RENAME TO %s" % (identifier(old), identifier(new)))
    while True:
        ending.query(
            "SELECT pg_catalog.pg_terminate_backend(a.pid) AS ended FROM pg_catalog.pg_stat_activity AS a"
            " JOIN pg_catalog.pg_database AS d ON d.oid = a.datid"
            " WHERE d.datname = %s AND a.pid NOT IN (%d, %d)" % (literal(old), session.backend_pid, ending.backend_pid)
        )
        if session.poll(_BETWEEN_ENDINGS):
            return


def _inside(session: Session, database: str) -> list[str]:
    """Who is in ``database``, in words."""
    rows = session.query(
        "SELECT pid, coalesce(usename, backend_type) AS who, application_name AS what"
        " FROM pg_catalog.pg_stat_activity WHERE datname = %s ORDER BY pid" % literal(database)
    )
    return ["%s (process %d, %s)" % (row["who"], row["pid"], row["what"] or "no name") for row in rows]


def _set(session: Session, database: str, word: str, value: object) -> None:
    """A setting of the database, as JSON in ASCII, for the catalog that holds it is shared by all encodings."""
    session.execute("ALTER DATABASE %s SET %s = %s" % (identifier(database), word, literal(json.dumps(value))))


def _exists(session: Session, database: str) -> bool:
    return bool(session.query("SELECT 1 AS it FROM pg_catalog.pg_database WHERE datname = %s" % literal(database)))


def _free_name(session: Session, database: str) -> str:
    """A name for the old database that nobody has; two swaps in one second get two."""
    now = datetime.now(timezone.utc)
    while _exists(session, kept_name(database, now)):
        now += timedelta(seconds=1)
    return kept_name(database, now)
