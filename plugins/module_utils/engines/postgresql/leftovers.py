# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dump of a database leaves out by its nature, said once so that nobody counts on it."""

from __future__ import annotations

from ...errors import shown
from .catalog import USER_SCHEMAS
from .session import Session

_NAMED = 5


def left_out(session: Session) -> tuple[str, ...]:
    """Sentences on what the database has and its backup will not have."""
    warnings = []
    foreign = _names(session, "c.relkind = 'f'")
    if foreign:
        warnings.append("The rows of foreign tables lie on other servers and are not in the backup: %s." % foreign)
    invalid = _names(
        session,
        "c.relkind = 'i' AND EXISTS (SELECT FROM pg_catalog.pg_index AS i"
        " WHERE i.indexrelid = c.oid AND NOT i.indisvalid)",
    )
    if invalid:
        warnings.append("Invalid indexes are not in the backup; rebuild or drop them: %s." % invalid)
    unlogged = _names(session, "c.relkind = 'r' AND c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery()")
    if unlogged:
        warnings.append("A standby has no rows of unlogged tables, and they are not in the backup: %s." % unlogged)
    return tuple(warnings)


def _names(session: Session, condition: str) -> str:
    rows = session.query(
        "SELECT n.nspname || '.' || c.relname AS name FROM pg_catalog.pg_class AS c"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE n.oid IN (%s) AND %s ORDER BY 1"
        % (USER_SCHEMAS, condition)
    )
    more = len(rows) - _NAMED
    return ", ".join(shown(row["name"]) for row in rows[:_NAMED]) + (" and %d more" % more if more > 0 else "")
