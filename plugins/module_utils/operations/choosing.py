# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a source's backups is meant: the one named, or the newest good one at or before a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..errors import BadInput, Damaged, NotFound, shown
from ..model import ORDINARY, Source
from ..repository.base import DAMAGED, Entry
from ..units import format_time

LATEST = "latest"
CLOCK_TOLERANCE = timedelta(minutes=1)


@dataclass(frozen=True)
class Choice:
    """The chosen backup and what a person should know about those that were passed over."""

    entry: Entry
    warnings: tuple[str, ...] = ()


def references(entries: Sequence[Entry], now: datetime) -> list[Entry]:
    """The backups that ``latest`` and ages may refer to, newest first.

    Good ones only: no safety backups, none that is flagged and not acknowledged, none dated in the future.
    """
    usable = [
        entry
        for entry in entries
        if entry.is_good and entry.manifest.purpose == ORDINARY and not entry.is_flagged and not _is_future(entry, now)
    ]
    return sorted(usable, key=lambda entry: (entry.manifest.snapshot, entry.id), reverse=True)


def newest(entries: Sequence[Entry], now: datetime) -> Entry | None:
    """The newest backup that may be a reference, or None."""
    return next(iter(references(entries, now)), None)


def choose(
    entries: Sequence[Entry], source: Source, now: datetime, *, backup: str | None, before: datetime | None
) -> Choice:
    """The backup called ``backup``, or the newest reference, with ``before`` the newest whose content is as old.

    Raises NotFound where none matches, Damaged where the one named cannot be used, BadInput for ``before`` together
    with an id.
    """
    if backup not in (None, LATEST):
        if before is not None:
            raise BadInput("Give either an id or before, not both.")
        return Choice(_named(entries, source, backup))
    chosen = next((one for one in references(entries, now) if before is None or one.manifest.snapshot <= before), None)
    passed_over = [one for one in entries if one.is_good and one.is_flagged]
    if chosen is None:
        raise NotFound(_none_matches(entries, source, before, passed_over))
    if before is not None:
        return Choice(chosen)
    passed_over += [one for one in entries if one.status == DAMAGED]
    newer = [one for one in passed_over if (one.started, one.id) > (chosen.started, chosen.id)]
    return Choice(chosen, tuple(_passed_over(one) for one in newer))


def _named(entries: Sequence[Entry], source: Source, backup: str) -> Entry:
    for entry in entries:
        if entry.id == backup:
            if entry.status == DAMAGED:
                raise Damaged("The backup %s of %s is damaged: %s" % (backup, source, entry.problem))
            if not entry.is_good:
                raise NotFound("%s of %s is no backup: it is %s." % (shown(backup), source, entry.status))
            return entry
    known = [entry.id for entry in entries if entry.is_good][:3]
    hint = "the newest are %s" % ", ".join(known) if known else "it has none"
    raise NotFound("There is no backup %s of %s; %s." % (shown(backup), source, hint))


def _none_matches(entries: Sequence[Entry], source: Source, before: datetime | None, flagged: Sequence[Entry]) -> str:
    when = " at or before %s" % format_time(before) if before else ""
    if flagged:
        return "There is no good backup of %s%s; %s" % (source, when, _passed_over(flagged[0]))
    damaged = [entry for entry in entries if entry.status == DAMAGED]
    if damaged and before is None:
        return "There is no good backup of %s; %s" % (source, _passed_over(damaged[0]))
    good = [entry for entry in entries if entry.is_good and entry.manifest.purpose == ORDINARY]
    if good and before:
        oldest = min(entry.manifest.snapshot for entry in good)
        return "There is no good backup of %s%s; the oldest is of %s." % (source, when, format_time(oldest))
    return "There is no good backup of %s%s; make one first, or check host, policy and database." % (
        source,
        when,
    )


def _passed_over(entry: Entry) -> str:
    if entry.status == DAMAGED:
        return "The backup %s was passed over because it is damaged: %s" % (entry.id, entry.problem)
    return "The backup %s was passed over: %s Look at it and acknowledge it if it is right." % (
        entry.id,
        " ".join(entry.manifest.flags),
    )


def _is_future(entry: Entry, now: datetime) -> bool:
    return entry.manifest.snapshot > now + CLOCK_TOLERANCE
