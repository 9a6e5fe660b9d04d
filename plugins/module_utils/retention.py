# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention: the backups of one source, the owner's rules and the time now say what stays or goes, and why.

Pure: no clock, no disk. ``plan`` walks the backups once, newest first, over one table of three kinds of row:

- a guard keeps a backup whatever the rules say (the last good one, pinned, damaged, dated in the future ...);
- a wish (keep_last ... keep_yearly, keep_within) asks for a backup to stay;
- a limit (remove_older_than, max_count) removes what only wishes keep.

A backup that no guard and no wish keeps is removed. When no wish is given, only the limits remove.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Callable, Optional, Protocol

from .errors import BadInput
from .retention_rules import Candidate, Rules
from .units import format_duration, format_time

_FLAGGED_NAMED = 3  # how many flagged backups one sentence can carry


@dataclass(frozen=True)
class Decision:
    """What happens to one backup and why; there is always at least one reason."""

    candidate: Candidate
    keep: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The decisions, newest backup first; ``held`` is the sentence that says why nothing may be removed."""

    decisions: tuple[Decision, ...]
    held: str | None = None

    @property
    def keep(self) -> tuple[Decision, ...]:
        return tuple(decision for decision in self.decisions if decision.keep)

    @property
    def remove(self) -> tuple[Decision, ...]:
        return tuple(decision for decision in self.decisions if not decision.keep)


def plan(candidates: Sequence[Candidate], rules: Rules, now: datetime, *, held: str | None = None) -> Plan:
    """Decide about all backups of one source, given in any order; ``now`` is aware. Linear after one sort.

    ``held``: a reason from outside why nothing of this source may be removed now.

    Raises BadInput for a backup that is listed twice, or when ``now`` has no offset from UTC.
    """
    _check(candidates, now)
    newest_first = sorted(candidates, key=lambda candidate: (candidate.moment, candidate.id), reverse=True)
    held = held or _hold(newest_first)
    table = _table(newest_first, rules, now, held)
    decisions = [_decide(candidate, table) for candidate in newest_first]
    return Plan(_keep_parents(decisions), held)


def _check(candidates: Sequence[Candidate], now: datetime) -> None:
    if now.utcoffset() is None:
        raise BadInput(f"The time now, {now.isoformat()}, has no offset from UTC; add one.")
    seen: set[str] = set()
    for candidate in candidates:
        if candidate.id in seen:
            raise BadInput(f"The backup {candidate.id} is listed twice; give each backup of a source once.")
        seen.add(candidate.id)


def _hold(newest_first: Sequence[Candidate]) -> str | None:
    flagged = [candidate.id for candidate in newest_first if candidate.flagged]
    if not flagged:
        return None
    named = ", ".join(flagged[:_FLAGGED_NAMED])
    if len(flagged) > _FLAGGED_NAMED:
        named += f" and {len(flagged) - _FLAGGED_NAMED} more"
    return (
        f"Nothing is removed, because {named} departs from the backups before it and may show an emptied "
        f"database; look at it, then accept it with acknowledge: {flagged[0]}, or delete it."
    )


# ---- the table ----

_Guard = Callable[[Candidate], Optional[str]]  # the reason to keep it whatever the rules say


@dataclass(frozen=True)
class _Opinion:
    keeps: bool
    why: str


class _Wish(Protocol):
    def judge(self, candidate: Candidate) -> _Opinion:
        """Whether this rule keeps the backup, and in either case why."""


class _Limit(Protocol):
    def judge(self, candidate: Candidate, *, stays: bool) -> str | None:
        """The reason to remove it, if any; ``stays`` when without limits it would stay."""


@dataclass(frozen=True)
class _Table:
    counts: Callable[[Candidate], bool]  # whether wishes and limits look at the backup at all
    guards: tuple[_Guard, ...]
    wishes: tuple[_Wish, ...]
    limits: tuple[_Limit, ...]


def _table(newest_first: Sequence[Candidate], rules: Rules, now: datetime, held: str | None) -> _Table:
    def counts(candidate: Candidate) -> bool:
        return candidate.good and not (candidate.safety or candidate.flagged or candidate.moment > now)

    counted = [candidate for candidate in newest_first if counts(candidate)]
    last_good = next(iter(counted), None)
    last_proven = next((candidate for candidate in counted if candidate.proven), None)
    guards: tuple[_Guard, ...] = (
        lambda candidate: "the last good backup" if candidate is last_good else None,
        lambda candidate: "the newest proven backup" if candidate is last_proven else None,
        lambda candidate: "pinned" if candidate.pinned else None,
        lambda candidate: "a safety backup, outside retention" if candidate.safety else None,
        lambda candidate: None if candidate.good else "not a good backup, so it is not counted: look at it",
        lambda candidate: _future(candidate, now),
        lambda candidate: "flagged: departs from the backups before it" if candidate.flagged else None,
        lambda _candidate: "nothing is removed while a backup is flagged" if held else None,
    )
    zone = rules.zone()
    wishes: list[_Wish] = [
        _Bucket(name.removeprefix("keep_"), count, _PERIODS[name], zone)
        for name, count in rules.keep_counts().items()
        if count
    ]
    if rules.keep_within is not None and last_good is not None:
        wishes.append(_Within(rules.keep_within, last_good))
    limits: list[_Limit] = []
    if rules.remove_older_than is not None:
        limits.append(_TooOld(rules.remove_older_than, now))
    if rules.max_count is not None:
        limits.append(_TooMany(rules.max_count))
    return _Table(counts, guards, tuple(wishes) or (_Everything(),), tuple(limits))


def _future(candidate: Candidate, now: datetime) -> str | None:
    if candidate.moment <= now:
        return None
    return f"dated in the future ({format_time(candidate.moment)}), so it is not counted: check the clocks"


def _decide(candidate: Candidate, table: _Table) -> Decision:
    guarded = [reason for reason in (guard(candidate) for guard in table.guards) if reason]
    if not table.counts(candidate):
        return Decision(candidate, keep=True, reasons=tuple(guarded))
    opinions = [wish.judge(candidate) for wish in table.wishes]
    wished = [opinion.why for opinion in opinions if opinion.keeps]
    # The limits are asked about guarded backups too, because max_count counts them.
    stays = bool(guarded or wished)
    limited = [reason for reason in (limit.judge(candidate, stays=stays) for limit in table.limits) if reason]
    if guarded or (wished and not limited):
        return Decision(candidate, keep=True, reasons=tuple(guarded + wished))
    unwished = [] if wished else ["no rule keeps it: " + "; ".join(opinion.why for opinion in opinions)]
    return Decision(candidate, keep=False, reasons=tuple(unwished + limited))


def _keep_parents(decisions: Sequence[Decision]) -> tuple[Decision, ...]:
    """The one guard that depends on what the others decided: what a kept incremental backup stands on stays.

    After the walk and not in it, because a clock that went back can make a parent look newer than its child.
    """
    final = {decision.candidate.id: decision for decision in decisions}
    for decision in decisions:
        child = final[decision.candidate.id]
        while child.keep and child.candidate.parent in final:
            parent = final[child.candidate.parent]
            if parent.keep:
                break  # its own parents are followed when its turn comes, or have been
            needed = f"the incremental backup {child.candidate.id} needs it"
            child = final[parent.candidate.id] = Decision(parent.candidate, keep=True, reasons=(needed,))
    return tuple(final.values())


# ---- wishes ----


@dataclass
class _Bucket:
    """Keeps the newest backup of each of the ``count`` newest periods that have one."""

    label: str
    count: int
    period: Callable[[Candidate, tzinfo], str]
    zone: tzinfo
    holders: dict[str, str] = field(default_factory=dict)  # period -> id of the backup that stands for it

    def judge(self, candidate: Candidate) -> _Opinion:
        period = self.period(candidate, self.zone)
        if period in self.holders:
            return _Opinion(keeps=False, why=f"{self.label} {period} is held by {self.holders[period]}")
        if len(self.holders) == self.count:
            return _Opinion(keeps=False, why=f"{self.label} is full with {self.count} newer")
        self.holders[period] = candidate.id
        place = f"{self.label} {len(self.holders)} of {self.count}"
        return _Opinion(keeps=True, why=place if self.period is _itself else f"{place} ({period})")


def _itself(candidate: Candidate, _zone: tzinfo) -> str:
    return candidate.id


def _hour(candidate: Candidate, zone: tzinfo) -> str:
    # With its offset: when clocks go back, the hour that comes twice is two hours.
    return candidate.moment.astimezone(zone).strftime("%Y-%m-%d %H:00%z")


def _day(candidate: Candidate, zone: tzinfo) -> str:
    return candidate.moment.astimezone(zone).date().isoformat()


def _week(candidate: Candidate, zone: tzinfo) -> str:
    year, week, _weekday = candidate.moment.astimezone(zone).isocalendar()
    return f"{year:04d}-W{week:02d}"


def _month(candidate: Candidate, zone: tzinfo) -> str:
    return _day(candidate, zone)[:7]


def _quarter(candidate: Candidate, zone: tzinfo) -> str:
    local = candidate.moment.astimezone(zone)
    return f"{local.year:04d}-Q{(local.month + 2) // 3}"


def _year(candidate: Candidate, zone: tzinfo) -> str:
    return _day(candidate, zone)[:4]


_PERIODS: dict[str, Callable[[Candidate, tzinfo], str]] = {
    "keep_last": _itself,
    "keep_hourly": _hour,
    "keep_daily": _day,
    "keep_weekly": _week,
    "keep_monthly": _month,
    "keep_quarterly": _quarter,
    "keep_yearly": _year,
}


@dataclass(frozen=True)
class _Within:
    """Keeps what is at most ``span`` older than the newest good backup."""

    span: timedelta
    newest: Candidate

    def judge(self, candidate: Candidate) -> _Opinion:
        span = f"{format_duration(self.span)} of the newest good backup"
        if self.newest.moment - candidate.moment <= self.span:
            return _Opinion(keeps=True, why=f"within {span}")
        return _Opinion(keeps=False, why=f"not within {span}")


@dataclass(frozen=True)
class _Everything:
    """Stands in the table when no keep_* rule is given, so that the limits alone remove."""

    def judge(self, _candidate: Candidate) -> _Opinion:
        return _Opinion(keeps=True, why="neither too old nor one too many")


# ---- limits ----


@dataclass(frozen=True)
class _TooOld:
    span: timedelta
    now: datetime

    def judge(self, candidate: Candidate, *, stays: bool) -> str | None:  # noqa: ARG002
        return f"older than {format_duration(self.span)}" if self.now - candidate.moment > self.span else None


@dataclass
class _TooMany:
    """Counts what stays, newest first; beyond the number allowed everything is one too many."""

    allowed: int
    seen: int = 0

    def judge(self, _candidate: Candidate, *, stays: bool) -> str | None:
        if self.seen == self.allowed:
            return f"beyond max_count {self.allowed}"
        self.seen += stays
        return None
