# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of repository that exist. Adding one is a file beside this one and a line in ``_kind``."""

from __future__ import annotations

from ..accounts import Account
from ..errors import BadInput, shown
from .base import Repository


def open_repository(location: str, *, expected_id: str | None = None) -> Repository:
    """Open the repository at ``location``; raises RepositoryError where there is none or it has another id."""
    return _kind(location).open(location, expected_id)


def init_repository(location: str, owner: Account) -> Repository:
    """Make a repository owned by ``owner`` at ``location``, or open the one that is there."""
    return _kind(location).init(location, owner)


def would_init(location: str) -> bool:
    """Whether ``init_repository`` would make one; False where one is there; raises where it would refuse."""
    return _kind(location).would_init(location)


def _kind(location: str) -> type[Repository]:
    from .directory import DirectoryRepository

    if not location.startswith("/"):
        raise BadInput(
            "The repository %s is not an absolute path; write it as /srv/backups, for instance." % shown(location)
        )
    return DirectoryRepository
