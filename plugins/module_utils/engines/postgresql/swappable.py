# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would follow the old database to its new name in a swap, and go on working there unseen.

A replication slot went with the renamed database and held back the server's WAL; a subscription went on applying
changes to the kept copy. What becomes of them is the owner's decision, so each is named with the way out.
"""

from __future__ import annotations

from ...errors import NotFound, Refused, shown
from .context import ServerContext
from .session import literal

_WAYS_OUT = {
    "prepared transaction": "end it with COMMIT PREPARED or ROLLBACK PREPARED",
    "replication slot": "stop its subscriber and drop it with pg_drop_replication_slot",
    "subscription": "drop it and make it anew after the restore",
}


def check_swappable(context: ServerContext) -> None:
    """Raise Refused, naming each prepared transaction, logical slot and subscription of the context's database.

    A template is refused as well: every database that is made later would be made of what is restored into it.
    """
    database = literal(context.database)
    try:
        with context.session() as live:
            rows = live.query(
                "SELECT 'prepared transaction' AS kind, gid AS name FROM pg_catalog.pg_prepared_xacts"
                " WHERE database = %s"
                " UNION ALL SELECT 'replication slot', slot_name FROM pg_catalog.pg_replication_slots"
                " WHERE database = %s"
                " UNION ALL SELECT 'subscription', subname FROM pg_catalog.pg_subscription WHERE subdbid ="
                " (SELECT oid FROM pg_catalog.pg_database WHERE datname = %s)" % (database, database, database)
            )
    except NotFound:
        return
    with context.maintenance_session() as session:
        is_template = session.value(
            "SELECT datistemplate AS it FROM pg_catalog.pg_database WHERE datname = %s" % database
        )
    if is_template:
        raise Refused(
            "The database %s is a template, of which new databases are made; restore under another name, or run ALTER"
            " DATABASE ... IS_TEMPLATE false first if that is really meant." % shown(context.database)
        )
    if rows:
        found = ["it has the %s %s, %s" % (row["kind"], shown(row["name"]), _WAYS_OUT[row["kind"]]) for row in rows]
        raise Refused("The database %s cannot be swapped: %s." % (shown(context.database), "; ".join(found)))
