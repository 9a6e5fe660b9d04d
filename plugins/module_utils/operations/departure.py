# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a new backup departs from its predecessor: the signs of a rebuilt or emptied database.

A flagged backup is never ``latest`` and holds up pruning of its source until somebody acknowledges it, so that an
empty database cannot push the good backups out.
"""

from __future__ import annotations

from ..model import Manifest

_FEW_ROWS = 100
_SMALL = 1 << 20


def departures(new: Manifest, previous: Manifest | None) -> tuple[str, ...]:
    """Sentences on what is out of line; none means that nothing is.

    Flagged are: another server, all rows or tables gone, more than half of the rows gone (at least 100), twenty
    times as many rows (from at least 100,000), less than a quarter of the stored size (from at least 1 MiB).
    """
    if previous is None:
        return ()
    flags = []
    if new.server.identity and previous.server.identity and new.server.identity != previous.server.identity:
        flags.append("It comes from another server or file than %s did." % previous.id)
    flags.extend(_rows(new, previous))
    if new.tables == 0 and previous.tables:
        flags.append("It holds no tables, %s held %d." % (previous.id, previous.tables))
    is_comparable = new.compression == previous.compression and bool(new.recipients) == bool(previous.recipients)
    if is_comparable and previous.stored_size >= _SMALL and new.stored_size * 4 < previous.stored_size:
        flags.append(
            "It takes %d bytes, less than a quarter of the %d of %s."
            % (new.stored_size, previous.stored_size, previous.id)
        )
    return tuple(flags)


def _rows(new: Manifest, previous: Manifest) -> list[str]:
    if new.rows is None or not previous.rows:
        return []
    counts = "It holds %d rows, %s held %d." % (new.rows, previous.id, previous.rows)
    has_shrunk = new.rows == 0 or (new.rows * 2 < previous.rows and previous.rows - new.rows >= _FEW_ROWS)
    has_burst = previous.rows >= 100_000 and new.rows > previous.rows * 20
    return [counts] if has_shrunk or has_burst else []
