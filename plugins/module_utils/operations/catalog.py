# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""catalog: what a repository holds, newest first."""

from __future__ import annotations

from dataclasses import dataclass

from ..repository.base import Entry
from .requests import Place, Selection, opened


@dataclass(frozen=True)
class Catalog:
    """The list, and what a person should know about the repository."""

    entries: tuple[Entry, ...]
    warnings: tuple[str, ...]
    repository_id: str


def catalog(place: Place, selection: Selection) -> Catalog:
    """Every backup and attempt of the selected sources; writes nothing. Raises RepositoryError."""
    with opened(place) as repository:
        sources = [source for source in repository.sources() if selection.matches(source)]
        entries = [entry for source in sources for entry in repository.entries(source)]
        entries.sort(key=lambda entry: (entry.started, entry.id), reverse=True)
        return Catalog(tuple(entries), repository.warnings, repository.id)
