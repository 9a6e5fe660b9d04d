# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every verb is told: which repository, and which sources in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..model import Source
from ..repository.base import Repository
from ..repository.registry import open_repository


@dataclass(frozen=True)
class Place:
    """A repository. ``repository_id``: refuse any other. ``lock_wait``: seconds to wait for another writer."""

    repository: str
    repository_id: str | None = None
    lock_wait: float = 30.0


@dataclass(frozen=True)
class Selection:
    """Which sources are meant; None matches any."""

    host: str | None = None
    policy: str | None = None
    database: str | None = None

    def matches(self, source: Source) -> bool:
        """Whether ``source`` is among them."""
        wanted = (self.host, self.policy, self.database)
        found = (source.host, source.policy, source.database)
        return all(want is None or want == is_there for want, is_there in zip(wanted, found))


@contextmanager
def opened(place: Place) -> Iterator[Repository]:
    """The repository at ``place``, closed when the block is left."""
    repository = open_repository(place.repository, expected_id=place.repository_id)
    try:
        yield repository
    finally:
        repository.close()
