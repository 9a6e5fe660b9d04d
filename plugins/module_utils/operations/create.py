# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""create: look at the source, take a backup under the source's lock, publish it, and say how it compares."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Callable

from ..accounts import account_named, account_of
from ..artifacts import ArtifactWriter
from ..encodings import check_recipients
from ..engines.base import Taken
from ..engines.registry import open_engine
from ..errors import shown
from ..folders import Folder
from ..model import ORDINARY, Compression, EngineSettings, Manifest, Source
from ..pipeline import Processes
from ..repository.base import COMPLETED, Attempt, Entry, Repository, Writing
from ..repository.names import new_id
from ..repository.registry import init_repository, would_init
from ..units import format_duration
from ..version import VERSION
from ..workspace import workspace
from .choosing import newest
from .departure import departures
from .requests import Place, opened

_SURE_SHARE = 20


@dataclass(frozen=True)
class CreateRequest:
    """A backup that is wanted. ``recipients``: age public keys. ``if_older_than``: only if the newest is older.

    ``init``: make the repository first where there is none, owned by ``repository_owner`` (None: whoever runs).
    """

    place: Place
    source: Source
    engine: str
    settings: EngineSettings = field(default_factory=EngineSettings)
    compression: Compression = field(default_factory=Compression)
    recipients: tuple[str, ...] = ()
    if_older_than: timedelta | None = None
    pinned: bool = False
    init: bool = False
    repository_owner: str | None = None


@dataclass(frozen=True)
class Created:
    """What came of it. ``entry``: the new backup, or the one that made a new one unnecessary."""

    changed: bool
    reason: str
    source: Source
    engine: str
    method: str | None = None
    entry: Entry | None = None
    warnings: tuple[str, ...] = ()
    initialised: bool = False


def create(request: CreateRequest, now: datetime, *, predict: bool = False) -> Created:
    """Make a backup of one source, or with ``predict`` go through every check and write nothing.

    Raises HoldfastError subclasses; a failed try of a source that is known here is recorded as an attempt.
    """
    check_recipients(request.recipients, Processes())
    initialised = request.init and _initialise(request, predict=predict)
    if initialised and predict:
        return _predicted(request, None, (), now)
    with opened(request.place) as repository:
        entries = repository.entries(request.source)
        recent = _recent_enough(request, repository, entries, now)
        if recent or predict:
            return recent or _predicted(request, repository, entries, now)
        if not entries:
            # What cannot be reached at all is most likely mistyped, and leaves no trace.
            open_engine(request.engine, request.source.database, request.settings, Processes()).look()
        with repository.writing(request.source, request.place.lock_wait) as writing:
            # Another run may have made one while this one waited for the lock.
            entries = repository.entries(request.source)
            recent = _recent_enough(request, repository, entries, now)
            return recent or _made(request, repository, writing, entries, now, initialised=initialised)


def record(
    writing: Writing,
    request: CreateRequest,
    take: Callable[[ArtifactWriter, Folder], Taken],
    attempt: Attempt,
    previous: Manifest | None,
) -> Manifest:
    """Take one backup into a work folder and publish it; the common part of ordinary and safety backups.

    The caller holds the lock of the source; every child inherits it through ``take``'s own processes. ``previous``:
    the backup that the new one is compared with.
    """
    with writing.begin(attempt) as work, workspace(request.settings.workspace) as space:
        processes = Processes((writing.lock, space.descriptor))
        writer = ArtifactWriter(
            work.folder, processes, request.compression, request.recipients, request.settings.time_limit
        )
        manifest = _describe(request, writing.source, attempt, take(writer, space))
        if attempt.purpose == ORDINARY:
            manifest = replace(manifest, flags=departures(manifest, previous))
        work.publish(manifest)
    return manifest


def _made(
    request: CreateRequest,
    repository: Repository,
    writing: Writing,
    entries: Sequence[Entry],
    now: datetime,
    *,
    initialised: bool,
) -> Created:
    engine = open_engine(request.engine, request.source.database, request.settings, Processes((writing.lock,)))
    previous = newest(entries, now)

    def take(writer: ArtifactWriter, space: Folder) -> Taken:
        facts = engine.look()
        repository.check_writable(request.source, _surely_needed(request, previous, facts.logical_size))
        return engine.take(writer, space)

    attempt = Attempt(new_id(now), engine.name, engine.method, ORDINARY, now)
    manifest = record(writing, request, take, attempt, previous.manifest if previous else None)
    if request.pinned:
        writing.set_pinned(manifest.id, pinned=True)
    warnings = (
        *repository.warnings,
        *_plain_text_warning(request, entries),
        *manifest.warnings,
        *_flag_warnings(manifest),
    )
    return Created(
        changed=True,
        reason="A backup was made.",
        source=request.source,
        engine=engine.name,
        method=manifest.method,
        entry=Entry(manifest.id, request.source, COMPLETED, now, manifest, pinned=request.pinned),
        warnings=warnings,
        initialised=initialised,
    )


def _predicted(
    request: CreateRequest, repository: Repository | None, entries: Sequence[Entry], now: datetime
) -> Created:
    """``repository``: None where there is none yet."""
    engine = open_engine(request.engine, request.source.database, request.settings, Processes())
    facts = engine.look()
    if repository is not None:
        needed = _surely_needed(request, newest(entries, now), facts.logical_size)
        repository.check_writable(request.source, needed)
    return Created(
        changed=True,
        reason="A backup would be made%s." % ("" if repository else ", and the repository with it"),
        source=request.source,
        engine=engine.name,
        method=facts.method,
        warnings=(
            *(repository.warnings if repository else ()),
            *_plain_text_warning(request, entries),
            *facts.warnings,
        ),
        initialised=repository is None,
    )


def _initialise(request: CreateRequest, *, predict: bool) -> bool:
    """Make the repository where there is none; says whether it was (or would be) made."""
    owner = account_named(request.repository_owner) if request.repository_owner else account_of(os.geteuid())
    is_missing = would_init(request.place.repository)
    if is_missing and not predict:
        init_repository(request.place.repository, owner).close()
    return is_missing


def _recent_enough(
    request: CreateRequest, repository: Repository, entries: Sequence[Entry], now: datetime
) -> Created | None:
    """The answer where a good backup is young enough already."""
    entry = newest(entries, now)
    if request.if_older_than is None or entry is None or now - entry.manifest.snapshot > request.if_older_than:
        return None
    age = format_duration(max(now - entry.manifest.snapshot, timedelta(0)))
    limit = format_duration(request.if_older_than)
    return Created(
        changed=False,
        reason="The backup %s is %s old, which is not older than %s." % (entry.id, age, limit),
        source=request.source,
        engine=entry.manifest.engine,
        method=entry.manifest.method,
        entry=entry,
        warnings=repository.warnings,
    )


def _describe(request: CreateRequest, source: Source, attempt: Attempt, taken: Taken) -> Manifest:
    return Manifest(
        id=attempt.id,
        source=source,
        engine=attempt.engine,
        method=taken.method,
        started=attempt.started,
        snapshot=taken.snapshot,
        finished=datetime.now(timezone.utc),
        server=taken.server,
        client=taken.client,
        artifacts=taken.artifacts,
        logical_size=taken.logical_size,
        stored_size=sum(artifact.size for artifact in taken.artifacts),
        compression=request.compression.kind,
        purpose=attempt.purpose,
        recipients=request.recipients,
        rows=taken.fingerprint.rows if taken.fingerprint else None,
        tables=len(taken.fingerprint.tables) if taken.fingerprint else None,
        durations=taken.durations,
        properties=taken.properties,
        warnings=taken.warnings,
        restore_by_hand=taken.restore_by_hand,
        holdfast_version=VERSION,
    )


def _surely_needed(request: CreateRequest, previous: Entry | None, logical_size: int) -> int:
    """Bytes that this backup takes at the least, as far as they can be known beforehand."""
    if previous:
        return previous.manifest.stored_size
    return logical_size if request.compression.kind == "none" else logical_size // _SURE_SHARE


def _plain_text_warning(request: CreateRequest, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Said with the first backup in plain text and not again, or nobody would read it any more."""
    if request.recipients or any(entry.is_good and not entry.manifest.recipients for entry in entries):
        return ()
    return (
        "The policy %s has no age_recipients: its backups lie in plain text, secrets in the data included."
        % shown(request.source.policy),
    )


def _flag_warnings(manifest: Manifest) -> tuple[str, ...]:
    if not manifest.flags:
        return ()
    return (
        "The backup %s departs from its predecessors and will not be latest until it is acknowledged: %s"
        % (manifest.id, " ".join(manifest.flags)),
    )
