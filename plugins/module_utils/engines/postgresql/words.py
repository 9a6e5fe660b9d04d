# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting lists into sentences."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import shown

_NAMED = 5


def some_of(names: Iterable[str]) -> str:
    """The first few names in quotes, and how many more there are."""
    listed = list(names)
    more = len(listed) - _NAMED
    return ", ".join(shown(name) for name in listed[:_NAMED]) + (" and %d more" % more if more > 0 else "")
