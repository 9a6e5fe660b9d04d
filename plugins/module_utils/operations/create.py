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
from ..engines.base import Engine, Taken
from ..engines.registry import open_engine
from ..errors import BadInput, shown
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

    Raises HoldfastError subclasses; a failed try is recorded in the repository as an attempt.
    """
    _check_recipients(request.recipients)
    initialised = request.init and _initialise(request, predict=predict)
    if initialised and predict:
        return _predicted(
            request, None, "The repository would be made, and the first backup with it.", initialised=initialised
        )
    with opened(request.place) as repository:
        recent = _recent_enough(repository, request, now)
        if recent:
            return recent
        if predict:
            return _predicted(request, repository, "A backup would be made.", initialised=initialised)
        with repository.writing(request.source, request.place.lock_wait) as writing:
            # Another run may have made one while this one waited for the lock.
            recent = _recent_enough(repository, request, now)
            if recent:
                return recent
            return _made(request, repository, writing, now, initialised=initialised)


def record(
    repository: Repository,
    writing: Writing,
    request: CreateRequest,
    take: Callable[[ArtifactWriter, Folder], Taken],
    attempt: Attempt,
) -> Manifest:
    """Take one backup into a work folder and publish it; the common part of ordinary and safety backups.

    The caller holds the lock of the source; every child inherits it through ``take``'s own processes.
    """
    source = writing.source
    previous = newest(repository.entries(source), attempt.started)
    with writing.begin(attempt) as work, workspace(request.settings.workspace) as space:
        processes = Processes((writing.lock, space.descriptor))
        writer = ArtifactWriter(
            work.folder, processes, request.compression, request.recipients, request.settings.time_limit
        )
        taken = take(writer, space)
        manifest = _describe(request, source, attempt, taken, previous.manifest if previous else None)
        work.publish(manifest)
    return manifest


def _made(
    request: CreateRequest, repository: Repository, writing: Writing, now: datetime, *, initialised: bool
) -> Created:
    engine = open_engine(request.engine, request.source.database, request.settings, Processes((writing.lock,)))

    def take(writer: ArtifactWriter, space: Folder) -> Taken:
        facts = engine.look()
        repository.check_writable(request.source, _surely_needed(repository, request, facts.logical_size, now))
        return engine.take(writer, space)

    attempt = Attempt(new_id(now), engine.name, engine.method, ORDINARY, now)
    manifest = record(repository, writing, request, take, attempt)
    if request.pinned:
        writing.set_pinned(manifest.id, pinned=True)
    entry = Entry(manifest.id, request.source, COMPLETED, now, manifest, pinned=request.pinned)
    return Created(
        changed=True,
        reason="A backup was made.",
        source=request.source,
        engine=engine.name,
        method=manifest.method,
        entry=entry,
        warnings=(
            *repository.warnings,
            *_plain_text_warning(request),
            *manifest.warnings,
            *_flag_warnings(manifest),
        ),
        initialised=initialised,
    )


def _predicted(request: CreateRequest, repository: Repository | None, reason: str, *, initialised: bool) -> Created:
    engine: Engine = open_engine(request.engine, request.source.database, request.settings, Processes())
    facts = engine.look()
    warnings: tuple[str, ...] = ()
    if repository is not None:
        now = datetime.now(timezone.utc)
        needed = _surely_needed(repository, request, facts.logical_size, now)
        repository.check_writable(request.source, needed)
        warnings = repository.warnings
    return Created(
        changed=True,
        reason=reason,
        source=request.source,
        engine=engine.name,
        method=facts.method,
        warnings=(*warnings, *_plain_text_warning(request), *facts.warnings),
        initialised=initialised,
    )


def _initialise(request: CreateRequest, *, predict: bool) -> bool:
    """Make the repository where there is none; says whether it was (or would be) made."""
    owner = account_named(request.repository_owner) if request.repository_owner else account_of(os.geteuid())
    is_missing = would_init(request.place.repository)
    if is_missing and not predict:
        init_repository(request.place.repository, owner).close()
    return is_missing


def _recent_enough(repository: Repository, request: CreateRequest, now: datetime) -> Created | None:
    """The answer where a good backup is young enough already."""
    if request.if_older_than is None:
        return None
    entry = newest(repository.entries(request.source), now)
    if entry is None or now - entry.manifest.snapshot > request.if_older_than:
        return None
    age = format_duration(max(now - entry.manifest.snapshot, timedelta(0)))
    return Created(
        changed=False,
        reason="The backup %s is %s old, which is not older than %s."
        % (entry.id, age, format_duration(request.if_older_than)),
        source=request.source,
        engine=entry.manifest.engine,
        method=entry.manifest.method,
        entry=entry,
        warnings=repository.warnings,
    )


def _describe(
    request: CreateRequest, source: Source, attempt: Attempt, taken: Taken, previous: Manifest | None
) -> Manifest:
    manifest = Manifest(
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
    if attempt.purpose != ORDINARY:
        return manifest
    return replace(manifest, flags=departures(manifest, previous))


def _surely_needed(repository: Repository, request: CreateRequest, logical_size: int, now: datetime) -> int:
    """Bytes that this backup takes at the least, as far as they can be known beforehand."""
    previous = newest(repository.entries(request.source), now)
    if previous:
        return previous.manifest.stored_size
    return logical_size if request.compression.kind == "none" else logical_size // _SURE_SHARE


def _plain_text_warning(request: CreateRequest) -> tuple[str, ...]:
    if request.recipients:
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


def _check_recipients(recipients: Sequence[str]) -> None:
    for recipient in recipients:
        if not recipient.startswith(("age1", "ssh-ed25519 ", "ssh-rsa ")):
            raise BadInput(
                "%s is not an age recipient; it begins with age1, or is an ssh-ed25519 or ssh-rsa public key."
                % shown(recipient[:20])
            )
