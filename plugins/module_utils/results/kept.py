# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database that a swap left beside, as results show it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..engines.base import Kept
from ..units import format_time
from .backups import span, volume


def kept_result(kept: Kept, now: datetime) -> dict[str, Any]:
    """One kept database: JSON types only; ``since`` and ``age`` are None where nobody knows."""
    return {
        "name": kept.name,
        "database": kept.of,
        "since": None if kept.since is None else format_time(kept.since),
        **span("age", None if kept.since is None else now - kept.since),
        **volume("size", kept.size),
    }


def unknown_kept(name: str) -> dict[str, Any]:
    """The same keys for a name under which nothing is kept."""
    return {"name": name, "database": None, "since": None, **span("age", None), **volume("size", None)}
