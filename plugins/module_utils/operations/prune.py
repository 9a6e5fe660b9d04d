# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""prune: list, ask retention, delete. Every source by itself, under its lock, and only after success."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..errors import Busy, NotFound
from ..model import SAFETY, Source
from ..repository.base import COMPLETED, DAMAGED, FAILED, INTERRUPTED, RUNNING, Entry, Repository
from ..retention import Candidate, Decision, Plan, Rules, plan
from .choosing import CLOCK_TOLERANCE
from .requests import Place, Selection, opened

_PROVEN = "proven"


@dataclass(frozen=True)
class PruneRequest:
    """Which sources, and what to keep of each."""

    place: Place
    selection: Selection
    rules: Rules


@dataclass(frozen=True)
class SourcePruning:
    """One source: what was decided about each backup, what was removed, and what could not be and why.

    ``held``: a sentence on why nothing may be removed from this source now.
    """

    source: Source
    held: str | None
    decisions: tuple[Decision, ...]
    removed: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Pruned:
    """The outcome, source by source."""

    sources: tuple[SourcePruning, ...]
    warnings: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether anything was removed, or would be."""
        return any(one.removed for one in self.sources)


def prune(request: PruneRequest, now: datetime, *, predict: bool = False) -> Pruned:
    """Apply the rules to every selected source; with ``predict`` decide the same and delete nothing.

    Raises NotFound where the selection matches no source, Busy, BadInput for rules that keep nothing.
    """
    with opened(request.place) as repository:
        sources = [source for source in repository.sources() if request.selection.matches(source)]
        if not sources:
            raise NotFound(
                "The repository %s holds nothing that matches host, policy and database." % request.place.repository
            )
        pruned = [_prune_source(repository, source, request, now, predict=predict) for source in sources]
        return Pruned(tuple(pruned), repository.warnings)


def _prune_source(
    repository: Repository, source: Source, request: PruneRequest, now: datetime, *, predict: bool
) -> SourcePruning:
    if predict:
        decided = _decide(repository.entries(source), request.rules, now)
        removed = tuple(one.candidate.id for one in decided.remove)
        return SourcePruning(source, decided.held, decided.decisions, removed)
    with repository.writing(source, request.place.lock_wait) as writing:
        decided = _decide(repository.entries(source), request.rules, now)
        removed, skipped = [], []
        # Newest first: an incremental backup goes before the one that it stands on.
        for decision in decided.remove:
            try:
                writing.remove(decision.candidate.id)
            except Busy as reason:
                skipped.append((decision.candidate.id, str(reason)))
            except NotFound:
                continue
            else:
                removed.append(decision.candidate.id)
        return SourcePruning(source, decided.held, decided.decisions, tuple(removed), tuple(skipped))


def _decide(entries: Sequence[Entry], rules: Rules, now: datetime) -> Plan:
    candidates = [_candidate(entry) for entry in entries if entry.status in (COMPLETED, DAMAGED)]
    return plan(candidates, rules, now, held=_last_try_failed(entries, now))


def _candidate(entry: Entry) -> Candidate:
    manifest = entry.manifest
    return Candidate(
        id=entry.id,
        moment=manifest.snapshot if manifest else entry.started,
        good=entry.is_good,
        pinned=entry.pinned,
        safety=manifest is not None and manifest.purpose == SAFETY,
        proven=str((entry.last_drill or {}).get("verdict", "")).startswith(_PROVEN),
        flagged=entry.is_flagged,
        parent=manifest.parent if manifest else None,
    )


def _last_try_failed(entries: Sequence[Entry], now: datetime) -> str | None:
    """A sentence where the newest try of the source was no success; pruning waits until one is.

    Nothing dated in the future counts, or one wrong clock would decide for as long as it was wrong by.
    """
    past = [entry for entry in entries if entry.started <= now + CLOCK_TOLERANCE]
    tries = [entry for entry in past if entry.status != RUNNING and not _is_safety(entry)]
    last = max(tries, key=lambda entry: (entry.started, entry.id), default=None)
    if last is None or last.status not in (FAILED, INTERRUPTED):
        return None
    return "The last backup of %s, %s, %s; nothing is removed until one succeeds." % (
        last.source,
        last.id,
        "failed" if last.status == FAILED else "was interrupted",
    )


def _is_safety(entry: Entry) -> bool:
    purposes = [entry.manifest and entry.manifest.purpose, entry.attempt and entry.attempt.purpose]
    return SAFETY in purposes
