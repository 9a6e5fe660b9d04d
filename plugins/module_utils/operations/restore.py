# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restore: bring a database into its declared state, once.

Choose the backup, verify its checksums, preflight the target, load beside the live database, compare with the
fingerprint, swap with the marker. Until the swap nothing of the live database is touched.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Callable

from ..artifacts import ArtifactReader, ArtifactWriter
from ..encodings import Identity, check_recipients
from ..engines.base import Engine, Loaded, LoadOrder, SafetyTaker, Taken, Target
from ..engines.registry import open_engine
from ..errors import BadInput, Damaged, Refused, RestoreFailed, shown
from ..external import ExternalFile
from ..folders import Folder
from ..model import SAFETY, Compression, EngineSettings, Fingerprint, Marker, Source
from ..pipeline import Processes
from ..repository.base import Attempt, Entry, Reading, Repository
from ..repository.names import new_id
from ..units import format_duration
from ..workspace import workspace
from .choosing import choose
from .create import CreateRequest, record
from .declaration import Declaration
from .requests import Place, opened

SWAP = "swap"
NEW = "new"
_NAMED = 5


@dataclass(frozen=True)
class RestoreRequest:
    """A database and the state that it is to have.

    ``target``: its name, for SQLite its path. ``declaration``: what it is to hold. ``strategy``: ``swap`` replaces,
    ``new`` only makes. ``confirm`` repeats the name of a database that is to be replaced. ``safety_backup``: None
    lets the engine decide. ``safety_source``: the source under which a safety backup is filed; ``compression`` and
    ``recipients`` are for it (the recipients of the restored backup serve where none are given).
    """

    engine: str
    target: str
    declaration: Declaration
    settings: EngineSettings = field(default_factory=EngineSettings)
    place: Place | None = None
    strategy: str = SWAP
    confirm: str | None = None
    safety_backup: bool | None = None
    safety_source: Source | None = None
    identity: Identity | None = None
    compression: Compression = field(default_factory=Compression)
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True)
class Restored:
    """What was done, or would be. ``target``: the database as it was before.

    ``lost_since``: how much time's worth of changes is in the old database and not in the restored one. ``kept``:
    the old database's new name. ``safety``: the id of the safety backup. ``seconds_unavailable``: of the swap.
    """

    changed: bool
    reason: str
    target: Target
    backup: Entry | None = None
    replaces: bool = False
    lost_since: timedelta | None = None
    kept: str | None = None
    safety: str | None = None
    seconds_unavailable: float | None = None
    durations: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    marker: Marker | None = None


def restore(request: RestoreRequest, now: datetime, *, predict: bool = False) -> Restored:
    """Restore unless the target's marker already satisfies the declaration; with ``predict`` only check and tell.

    Raises HoldfastError subclasses; the live database is then as it was.
    """
    _check_strategy(request)
    engine = open_engine(request.engine, request.target, request.settings, Processes())
    if not predict:
        engine.settle(force=_is_asked_anew(request))
    target = engine.target()
    satisfied = request.declaration.why_satisfied(target.marker)
    if satisfied and not _has_been_emptied(request, target):
        return Restored(changed=False, reason=satisfied, target=target, marker=target.marker)
    _check_confirmed(request, target)
    with ExitStack() as stack:
        if request.declaration.file is not None:
            job = _job_of_file(request, stack)
        else:
            job = _job_of_backup(request, target, now, stack)
        return _carry_out(request, engine, target, job, now, predict=predict)


@dataclass(frozen=True)
class _Job:
    """A chosen dump with all that is held open for it."""

    order: Callable[[Processes], LoadOrder]
    locks: tuple[int, ...] = ()
    repository: Repository | None = None
    entry: Entry | None = None
    warnings: tuple[str, ...] = ()
    durations: Mapping[str, float] = field(default_factory=dict)


def _job_of_file(request: RestoreRequest, stack: ExitStack) -> _Job:
    repository = stack.enter_context(opened(request.place)) if request.place else None
    path = request.declaration.file

    def order(processes: Processes) -> LoadOrder:
        return LoadOrder(file=ExternalFile(path, processes, request.identity), is_foreign=True)

    return _Job(order, repository=repository)


def _job_of_backup(request: RestoreRequest, target: Target, now: datetime, stack: ExitStack) -> _Job:
    """Choose a backup, hold it against pruning, and verify its checksums."""
    if request.place is None or request.declaration.source is None:
        raise BadInput("A restore needs either a repository with a policy in it, or a file.")
    started = time.monotonic()
    source = request.declaration.source
    repository = stack.enter_context(opened(request.place))
    entries = repository.entries(source)
    choice = choose(entries, source, now, backup=request.declaration.backup, before=request.declaration.before)
    reading = stack.enter_context(repository.reading(source, choice.entry.id))
    if reading.manifest.engine != request.engine:
        raise Refused(
            "The backup %s was made by the engine %s, not %s."
            % (choice.entry.id, reading.manifest.engine, request.engine)
        )
    chosen = time.monotonic()
    locks = () if reading.lock is None else (reading.lock,)
    reader = ArtifactReader(reading.folder, Processes(locks), request.identity)
    for artifact in reading.manifest.artifacts:
        reader.check(artifact)
    fingerprint = _fingerprint(reading, reader)
    # What a manifest says of its server can be forged; under whose name it lies cannot, where folders have owners.
    is_own_host = request.safety_source is None or request.safety_source.host == source.host
    is_same_server = target.identity is not None and reading.manifest.server.identity == target.identity
    is_foreign = not (is_own_host and is_same_server)

    def order(processes: Processes) -> LoadOrder:
        return LoadOrder(
            manifest=reading.manifest,
            reader=ArtifactReader(reading.folder, processes, request.identity),
            fingerprint=fingerprint,
            is_foreign=is_foreign,
        )

    durations = {"choose": chosen - started, "checksums": time.monotonic() - chosen}
    return _Job(order, locks, repository, choice.entry, choice.warnings, durations)


def _carry_out(
    request: RestoreRequest, engine: Engine, target: Target, job: _Job, now: datetime, *, predict: bool
) -> Restored:
    replaces = target.exists and request.strategy == SWAP
    order = replace(job.order(Processes(job.locks)), replaces=replaces)
    warnings = (*job.warnings, *_unfinished(target), *engine.preflight(order))
    wants_safety = _wants_safety(request, engine, target)
    if wants_safety and (job.repository is None or request.safety_source is None):
        raise Refused("A safety backup needs a repository; name one, or set safety_backup to false.")
    if wants_safety:
        check_recipients(_safety_recipients(request, job), Processes())
        job.repository.check_writable(request.safety_source, 0)
    outcome = Restored(
        changed=True,
        reason=_what_happens(request, target, job.entry, _lost_since(target, job.entry, now), predict=predict),
        target=target,
        backup=job.entry,
        replaces=replaces and not target.is_empty,
        lost_since=_lost_since(target, job.entry, now),
        warnings=warnings,
    )
    if predict:
        return outcome
    with workspace(request.settings.workspace) as space:
        processes = Processes((*job.locks, space.descriptor))
        engine = open_engine(request.engine, request.target, request.settings, processes)
        order = replace(job.order(processes), replaces=replaces)
        return _load_and_swap(request, engine, order, job, outcome, space, wants_safety=wants_safety)


def _load_and_swap(
    request: RestoreRequest,
    engine: Engine,
    order: LoadOrder,
    job: _Job,
    outcome: Restored,
    space: Folder,
    *,
    wants_safety: bool,
) -> Restored:
    durations = dict(job.durations)
    safety = None
    take_safety = _safety_taker(request, engine, job) if wants_safety else None
    if take_safety and engine.keeps_beside:
        safety, take_safety = take_safety(engine.take), None
    started = time.monotonic()
    with engine.loaded(order, space) as loaded:
        durations.update(loaded.durations, load=time.monotonic() - started)
        started = time.monotonic()
        _check_equal(engine, loaded, order)
        durations["compare"] = time.monotonic() - started
        at = datetime.now(timezone.utc)
        marker = request.declaration.marker(
            at, job.entry.id if job.entry else None, job.repository.id if job.repository else None
        )
        swapped = engine.swap(loaded, order, marker, take_safety)
    durations["swap"] = swapped.seconds
    return replace(
        outcome,
        kept=swapped.kept,
        safety=safety or swapped.safety,
        seconds_unavailable=swapped.seconds,
        durations=durations,
        warnings=_once((*outcome.warnings, *loaded.warnings, *swapped.warnings)),
        marker=marker,
    )


def _check_equal(engine: Engine, loaded: Loaded, order: LoadOrder) -> None:
    if order.fingerprint is None:
        return
    found = engine.differences(loaded, order.fingerprint)
    if found:
        more = " and %d more." % (len(found) - _NAMED) if len(found) > _NAMED else ""
        raise RestoreFailed(
            "What was loaded is not what was backed up, so nothing was replaced: %s%s"
            % (" ".join(found[:_NAMED]), more)
        )


def _safety_taker(request: RestoreRequest, engine: Engine, job: _Job) -> SafetyTaker:
    """A function that files what it is given a way to take as a safety backup of the target."""
    wanted = CreateRequest(
        request.place,
        request.safety_source,
        request.engine,
        request.settings,
        request.compression,
        _safety_recipients(request, job),
    )

    def take_safety(take: Callable[[ArtifactWriter, Folder], Taken]) -> str:
        now = datetime.now(timezone.utc)
        attempt = Attempt(new_id(now), engine.name, engine.method, SAFETY, now)
        with job.repository.writing(request.safety_source, request.place.lock_wait) as writing:
            return record(writing, wanted, take, attempt, None).id

    return take_safety


def _safety_recipients(request: RestoreRequest, job: _Job) -> tuple[str, ...]:
    return request.recipients or (job.entry.manifest.recipients if job.entry else ())


def _wants_safety(request: RestoreRequest, engine: Engine, target: Target) -> bool:
    if request.strategy == NEW or not target.exists or target.is_empty:
        return False
    return not engine.keeps_beside if request.safety_backup is None else request.safety_backup


def _check_strategy(request: RestoreRequest) -> None:
    if request.strategy not in (SWAP, NEW):
        raise BadInput("The strategy %s is unknown; it is swap or new." % shown(request.strategy))


def _check_confirmed(request: RestoreRequest, target: Target) -> None:
    """A live database is only replaced by somebody who has typed its name."""
    if request.confirm is not None and request.confirm != target.display:
        raise Refused(
            "The option confirm says %s, but the database that would be replaced is %s; nothing was done."
            % (shown(request.confirm), shown(target.display))
        )
    if not target.exists:
        return
    if request.strategy == NEW:
        raise Refused(
            "The database %s exists already and strategy new never replaces one; name another target or use swap."
            % shown(target.display)
        )
    if not target.is_empty and request.confirm is None:
        raise Refused(
            "The database %s exists and is not empty; to replace it, repeat its name in confirm."
            % shown(target.display)
        )


def _is_asked_anew(request: RestoreRequest) -> bool:
    """Whether a person has typed the target's name and a request; a wrong name is refused later all the same."""
    return request.confirm == request.target and request.declaration.request is not None


def _has_been_emptied(request: RestoreRequest, target: Target) -> bool:
    """Whether the target holds nothing although what its marker speaks of held something."""
    if not target.is_empty:
        return False
    if request.place is None or target.marker.source is None:
        return True
    with opened(request.place) as repository:
        entries = repository.entries(target.marker.source)
    restored = next((one.manifest for one in entries if one.id == target.marker.backup and one.manifest), None)
    return restored is None or restored.tables != 0


def _unfinished(target: Target) -> tuple[str, ...]:
    """Only a prediction sees this, for a real run settles it first."""
    if target.unfinished is None:
        return ()
    return ("%s A real run first finds out how that ended, and may then have nothing to do." % target.unfinished,)


def _fingerprint(reading: Reading, reader: ArtifactReader) -> Fingerprint | None:
    artifact = reading.manifest.artifact("fingerprint")
    if artifact is None:
        return None
    try:
        return Fingerprint.from_json(json.loads(reader.text(artifact)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged("The fingerprint %s cannot be understood." % shown(artifact.name), artifact.name) from None


def _what_happens(
    request: RestoreRequest, target: Target, entry: Entry | None, lost: timedelta | None, *, predict: bool
) -> str:
    what = "The backup %s" % entry.id if entry else "The file %s" % shown(request.declaration.file)
    if not target.exists:
        does = "would be restored" if predict else "was restored"
        return "%s %s as the new database %s." % (what, does, shown(target.display))
    does = "would replace" if predict else "replaced"
    is_worth_a_word = lost is not None and lost >= timedelta(seconds=1)
    since = " Changes made in the last %s are not in it." % format_duration(lost) if is_worth_a_word else ""
    return "%s %s the database %s.%s" % (what, does, shown(target.display), since)


def _lost_since(target: Target, entry: Entry | None, now: datetime) -> timedelta | None:
    """The span whose changes are in the live database only."""
    if entry is None or not target.exists or target.is_empty:
        return None
    return max((target.changed or now) - entry.manifest.snapshot, timedelta(0))


def _once(warnings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(warnings))
