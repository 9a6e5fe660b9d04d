# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""verify: checksums of every artifact, then the structure of the dump as far as its own tool can read it.

Damage is remembered beside the backup, where that can be written, so that neither ``latest`` nor retention counts on
it any more; a later verification that finds it whole takes that back.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime

from ..artifacts import ArtifactReader
from ..encodings import Identity
from ..engines.registry import open_engine
from ..errors import Busy, Damaged, NotFound
from ..model import EngineSettings, Source
from ..pipeline import Processes
from ..repository.base import DAMAGED, Entry, Reading, Repository
from ..workspace import workspace
from .choosing import choose
from .requests import Place, Selection, opened

ALL = "all"
STRUCTURE = "structure"
CHECKSUMS = "checksums only"


@dataclass(frozen=True)
class VerifyRequest:
    """What to verify. ``backup``: ``latest``, an id, or ``all`` of each selected source."""

    place: Place
    selection: Selection
    settings: EngineSettings = field(default_factory=EngineSettings)
    backup: str = "latest"
    identity: Identity | None = None


@dataclass(frozen=True)
class Report:
    """What is known of one backup. ``strength``: how far it was read. ``problem``: the damage, None where whole.

    ``artifact``: the name of the damaged artifact. ``seconds``: how long it took.
    """

    entry: Entry
    strength: str
    findings: tuple[str, ...] = ()
    problem: str | None = None
    artifact: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Verified:
    """One report for each backup that was read."""

    reports: tuple[Report, ...]
    warnings: tuple[str, ...]

    @property
    def damaged(self) -> tuple[Report, ...]:
        """The reports of those that are not whole."""
        return tuple(report for report in self.reports if report.problem)


def verify(request: VerifyRequest, now: datetime, *, predict: bool = False) -> Verified:
    """Read the chosen backups and report on each; damage is in the reports, anything else is raised.

    With ``predict`` the findings are not remembered. Raises NotFound where nothing matches.
    """
    with opened(request.place) as repository:
        sources = [source for source in repository.sources() if request.selection.matches(source)]
        reports, warnings = [], list(repository.warnings)
        for source in sources:
            for entry in _chosen(repository, source, request, now, warnings):
                report = _report(repository, entry, request)
                reports.append(report)
                if not predict:
                    warnings.extend(_remember(repository, report, request))
        if not reports:
            raise NotFound(
                "The repository %s holds no backup that matches host, policy, database and id."
                % request.place.repository
            )
        return Verified(tuple(reports), tuple(warnings))


def _chosen(
    repository: Repository, source: Source, request: VerifyRequest, now: datetime, warnings: list[str]
) -> list[Entry]:
    entries = repository.entries(source)
    if request.backup == ALL:
        return [entry for entry in entries if entry.is_good or entry.status == DAMAGED]
    if request.backup == "latest":
        choice = choose(entries, source, now, backup=None, before=None)
        warnings.extend(choice.warnings)
        # As long as one that is known to be damaged is newer, the newest backup is not whole.
        return [one for one in entries if one.status == DAMAGED and one.started > choice.entry.started] + [choice.entry]
    return [entry for entry in entries if entry.id == request.backup and (entry.is_good or entry.status == DAMAGED)]


def _report(repository: Repository, entry: Entry, request: VerifyRequest) -> Report:
    started = time.monotonic()
    strength, findings, problem, artifact = CHECKSUMS, (), None, None
    try:
        with repository.reading(entry.source, entry.id) as reading:
            strength, findings = _read(reading, request)
    except Damaged as reason:
        problem, artifact = str(reason), reason.artifact
    return Report(entry, strength, findings, problem, artifact, time.monotonic() - started)


def _remember(repository: Repository, report: Report, request: VerifyRequest) -> tuple[str, ...]:
    """Mark or clear damage where that changes anything; returns a warning where it cannot be written."""
    entry = report.entry
    is_known = entry.status == DAMAGED
    if entry.manifest is None or bool(report.problem) == is_known:
        return ()
    if repository.is_read_only:
        return ("The repository is read-only, so what was found out about %s is not remembered there." % entry.id,)
    try:
        with repository.writing(entry.source, request.place.lock_wait) as writing:
            writing.set_damaged(entry.id, report.problem)
    except (Busy, NotFound) as reason:
        return ("What was found out about %s is not remembered: %s" % (entry.id, reason),)
    return ()


def _read(reading: Reading, request: VerifyRequest) -> tuple[str, tuple[str, ...]]:
    manifest = reading.manifest
    locks = () if reading.lock is None else (reading.lock,)
    reader = ArtifactReader(reading.folder, Processes(locks), request.identity)
    for artifact in manifest.artifacts:
        reader.check(artifact)
    checked = "The checksums of %d artifacts are right." % len(manifest.artifacts)
    if manifest.recipients and not reader.can_decrypt:
        return CHECKSUMS, (
            checked,
            "It is encrypted and no identity was given, so its structure was not read.",
        )
    with workspace(request.settings.workspace) as space:
        processes = Processes((*locks, space.descriptor))
        engine = open_engine(manifest.engine, manifest.source.database, request.settings, processes)
        reader = ArtifactReader(reading.folder, processes, request.identity)
        return STRUCTURE, (checked, *engine.check_structure(manifest, reader, space))
