# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every engine can do. Operations know engines by this page alone.

An engine is one class, made for one database: ``EngineClass(database, settings, processes)``. It knows its tools,
its catalogs and its file formats, and nothing of repositories, manifests on disk, retention or Ansible. To add an
engine, write one file with a subclass of ``Engine`` and name it in ``registry.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Callable, ClassVar

from ..artifacts import ArtifactReader, ArtifactWriter
from ..external import ExternalFile
from ..folders import Folder
from ..model import Artifact, Client, EngineSettings, Fingerprint, Manifest, Marker, Server
from ..pipeline import Processes


@dataclass(frozen=True)
class Facts:
    """What a look at a source shows before anything is taken. ``logical_size``: bytes, an estimate."""

    server: Server
    client: Client
    method: str
    logical_size: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Taken:
    """What taking a backup gave. ``snapshot``: the moment whose state the dump holds.

    ``properties``: JSON types; what the engine wants to find in the manifest when it restores. ``durations``:
    seconds by phase, such as ``{"fingerprint": 0.2, "dump": 3.1}``. ``restore_by_hand``: shell commands, in order,
    to be run inside the backup's directory by somebody without holdfast.
    """

    artifacts: tuple[Artifact, ...]
    snapshot: datetime
    server: Server
    client: Client
    method: str
    logical_size: int
    fingerprint: Fingerprint | None
    properties: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    durations: Mapping[str, float] = field(default_factory=dict)
    restore_by_hand: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """The state of the database that a restore is aimed at.

    ``display``: what ``confirm`` must repeat (a database's name, for SQLite its path as it was named).
    ``identity``: the server's, as in ``Server.identity``. ``is_empty``: exists without a single user object.
    ``changed``: when its content last changed, where the engine can tell without writing. ``unfinished``: a sentence
    when an earlier restore was cut off and nobody knows whose content this is.
    """

    display: str
    exists: bool
    is_empty: bool
    size: int
    identity: str | None
    marker: Marker | None = None
    changed: datetime | None = None
    unfinished: str | None = None


@dataclass(frozen=True)
class LoadOrder:
    """What is to be loaded: a backup (``manifest`` and ``reader``) or a dump from elsewhere (``file``).

    ``replaces``: the loaded copy will take the place of an existing database. ``is_foreign``: the dump comes from
    another server than the one it is loaded into, or from nobody knows where.
    """

    manifest: Manifest | None = None
    reader: ArtifactReader | None = None
    file: ExternalFile | None = None
    fingerprint: Fingerprint | None = None
    replaces: bool = False
    is_foreign: bool = False


@dataclass(frozen=True)
class Loaded:
    """A complete copy that lies beside the live database and is not yet in use. ``name``: for messages."""

    name: str
    warnings: tuple[str, ...] = ()
    durations: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Swapped:
    """How the copy came into use. ``kept``: the name of the old database beside, if there is one.

    ``seconds``: how long the live database could not be used. ``safety``: the id of the safety backup, if one was
    taken inside the swap.
    """

    seconds: float
    kept: str | None = None
    safety: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kept:
    """An old database that a swap left beside. ``of``: the database it was. ``since``: when it was put aside."""

    name: str
    of: str
    since: datetime | None
    size: int


SafetyTaker = Callable[[Callable[[ArtifactWriter, Folder], Taken]], str]
"""Given a function that takes a backup, publishes what it takes as a safety backup and returns its id."""


class Engine(ABC):
    """One database of one kind. Methods raise HoldfastError subclasses with messages for the user.

    ``name``: the word in policies and manifests. ``method``: the native tool it uses.
    ``keeps_beside``: a swap leaves the old database beside, so that no safety backup is needed.
    """

    name: ClassVar[str]
    method: ClassVar[str]
    keeps_beside: ClassVar[bool]

    def __init__(self, database: str, settings: EngineSettings, processes: Processes) -> None:
        self.database = database
        self.settings = settings
        self.processes = processes

    @abstractmethod
    def look(self) -> Facts:
        """Check tools, versions, connection and rights for taking a backup; writes nothing anywhere."""

    @abstractmethod
    def take(self, writer: ArtifactWriter, workspace: Folder) -> Taken:
        """Take a consistent backup of the live database through ``writer``.

        ``workspace``: a private directory for plain temporary files, on the database's host, removed afterwards;
        it belongs to us, and the engine hands parts of it to the account that needs them.
        """

    @abstractmethod
    def check_structure(self, manifest: Manifest, reader: ArtifactReader, workspace: Folder) -> tuple[str, ...]:
        """Read the dump of a backup as far as its own tool can without restoring; raises Damaged.

        Returns sentences on what was checked. Checksums have been compared before.
        """

    @abstractmethod
    def target(self) -> Target:
        """The present state of ``self.database`` as the target of a restore; writes nothing."""

    @abstractmethod
    def preflight(self, order: LoadOrder) -> tuple[str, ...]:
        """Refuse what could not be loaded and swapped in here; returns warnings; writes nothing."""

    @abstractmethod
    def loaded(self, order: LoadOrder, workspace: Folder) -> AbstractContextManager[Loaded]:
        """Load a copy beside the live database; leftovers of earlier loads for this target are cleared first.

        When the block is left without ``swap``, the copy is removed and nothing else has changed.
        """

    @abstractmethod
    def differences(self, loaded: Loaded, expected: Fingerprint) -> tuple[str, ...]:
        """Sentences that say in what the loaded copy differs from ``expected``; none means equal."""

    @abstractmethod
    def swap(self, loaded: Loaded, order: LoadOrder, marker: Marker, take_safety: SafetyTaker | None) -> Swapped:
        """Put the loaded copy in the place of ``self.database`` (or simply under that name) with its marker.

        Killed at any moment, the live database is either the old or the new one. ``take_safety``: None where no
        safety backup is wanted or the old database stays beside.
        """

    def settle(self, *, force: bool) -> None:  # noqa: B027 - most engines leave nothing to settle
        """Finish or revert what an earlier restore left undone, before anything else is done.

        ``force``: a person has asked anew and confirmed, so content that is neither old nor new may be given up.
        Raises Refused where that is needed and was not said.
        """

    def kept(self) -> tuple[Kept, ...]:
        """The old databases that swaps left beside on this server."""
        return ()

    def drop_kept(self, name: str) -> None:
        """Remove one of ``kept()``; raises NotFound for any other name."""
        raise NotImplementedError
