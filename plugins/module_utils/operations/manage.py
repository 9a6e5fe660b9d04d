# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single backups: delete one, pin it, acknowledge its flags."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import NotFound, Refused, shown
from ..model import Source
from ..repository.base import Entry, Repository
from .requests import Place, opened


@dataclass(frozen=True)
class Managed:
    """What was done, or would be. ``entry``: the backup as it is afterwards, None where it is gone."""

    changed: bool
    reason: str
    entry: Entry | None = None


def remove(place: Place, source: Source, backup_id: str, *, predict: bool = False) -> Managed:
    """Delete one backup or the record of one attempt; nothing where there is none. Raises Busy, Refused if pinned."""
    with opened(place) as repository:
        entry = _find(repository, source, backup_id)
        if entry is None:
            return Managed(changed=False, reason="There is no backup %s of %s." % (shown(backup_id), source))
        if entry.pinned:
            raise Refused("The backup %s is pinned; unpin it first if it is really to go." % backup_id)
        if not predict:
            with repository.writing(source, place.lock_wait) as writing:
                writing.remove(backup_id)
        done = "would be deleted" if predict else "was deleted"
        return Managed(changed=True, reason="The backup %s %s." % (backup_id, done))


def pin(place: Place, source: Source, backup_id: str, *, pinned: bool, predict: bool = False) -> Managed:
    """Keep one backup whatever retention says, or no longer. Raises NotFound."""
    state = "pinned" if pinned else "not pinned"
    with opened(place) as repository:
        entry = _existing(repository, source, backup_id)
        if entry.pinned == pinned:
            return Managed(changed=False, reason="It is %s already." % state, entry=entry)
        if not predict:
            with repository.writing(source, place.lock_wait) as writing:
                writing.set_pinned(backup_id, pinned=pinned)
        return Managed(changed=True, reason="It is now %s." % state, entry=replace(entry, pinned=pinned))


def acknowledge(place: Place, source: Source, backup_id: str, *, predict: bool = False) -> Managed:
    """Accept that one backup departs from its predecessors. Raises NotFound."""
    with opened(place) as repository:
        entry = _existing(repository, source, backup_id)
        if not entry.is_flagged:
            return Managed(changed=False, reason="There is nothing to acknowledge about it.", entry=entry)
        if not predict:
            with repository.writing(source, place.lock_wait) as writing:
                writing.acknowledge(backup_id)
        accepted = replace(entry, acknowledged=True)
        return Managed(changed=True, reason="What is unusual about it is accepted.", entry=accepted)


def _existing(repository: Repository, source: Source, backup_id: str) -> Entry:
    entry = _find(repository, source, backup_id)
    if entry is None or not entry.is_good:
        raise NotFound("There is no good backup %s of %s." % (shown(backup_id), source))
    return entry


def _find(repository: Repository, source: Source, backup_id: str) -> Entry | None:
    return next((entry for entry in repository.entries(source) if entry.id == backup_id), None)
