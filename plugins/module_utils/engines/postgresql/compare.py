# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing a loaded copy with what the source held inside its snapshot: rows of every table, objects of each kind."""

from __future__ import annotations

from ...errors import shown
from ...model import Fingerprint
from ..base import Loaded
from .catalog import count_objects, count_rows, list_tables
from .context import ServerContext


def differences(context: ServerContext, loaded: Loaded, expected: Fingerprint) -> tuple[str, ...]:
    """Sentences that name what differs, with both numbers; none means equal."""
    with context.session(loaded.name) as session, session.transaction("ISOLATION LEVEL REPEATABLE READ READ ONLY"):
        found = Fingerprint(count_rows(list_tables(session), session.query), count_objects(session))
    return (*_rows_that_differ(found, expected), *_objects_that_differ(found, expected))


def _rows_that_differ(found: Fingerprint, expected: Fingerprint) -> list[str]:
    here = {(table.schema, table.name): table.rows for table in found.tables}
    there = {(table.schema, table.name): table.rows for table in expected.tables}
    sentences = []
    for table in sorted({*here, *there}):
        name = shown(".".join(table))
        if table not in here:
            sentences.append("The table %s with %d rows is missing." % (name, there[table]))
        elif table not in there:
            sentences.append("The table %s with %d rows was not in the source." % (name, here[table]))
        elif here[table] != there[table]:
            sentences.append("The table %s has %d rows instead of %d." % (name, here[table], there[table]))
    return sentences


def _objects_that_differ(found: Fingerprint, expected: Fingerprint) -> list[str]:
    return [
        "There are %d %s instead of %d." % (found.objects.get(kind, 0), kind, expected.objects.get(kind, 0))
        for kind in sorted({*found.objects, *expected.objects})
        if found.objects.get(kind, 0) != expected.objects.get(kind, 0)
    ]
