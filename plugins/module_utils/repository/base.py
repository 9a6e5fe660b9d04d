# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository can do, whatever it is made of. Operations know repositories by this page alone.

A repository kind is one class; ``registry.py`` chooses it by the location. It knows paths, manifests, locks,
publishing and deleting, and nothing of engines or retention.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..accounts import Account
from ..folders import Folder
from ..model import Manifest, Source

COMPLETED = "completed"
RUNNING = "running"
FAILED = "failed"
INTERRUPTED = "interrupted"
DAMAGED = "damaged"


@dataclass(frozen=True)
class Attempt:
    """A try that has no backup (yet): running, failed or interrupted. ``purpose`` as in Manifest."""

    id: str
    engine: str
    method: str
    purpose: str
    started: datetime
    finished: datetime | None = None
    error: str | None = None


@dataclass(frozen=True)
class Entry:
    """One line of a source's list. ``manifest`` is None for attempts and for backups whose manifest is unreadable.

    ``status``: one of the words above. ``problem``: a sentence for failed, interrupted and damaged ones.
    ``acknowledged``: the flags of the manifest were looked at and accepted. ``last_drill``: the newest evidence
    about it, as its JSON record.
    """

    id: str
    source: Source
    status: str
    started: datetime
    manifest: Manifest | None = None
    attempt: Attempt | None = None
    problem: str | None = None
    pinned: bool = False
    acknowledged: bool = False
    last_drill: Mapping[str, Any] | None = None

    @property
    def is_good(self) -> bool:
        """A published backup whose manifest is whole."""
        return self.status == COMPLETED and self.manifest is not None

    @property
    def is_flagged(self) -> bool:
        """Departs from its predecessors and nobody has acknowledged it."""
        return self.manifest is not None and bool(self.manifest.flags) and not self.acknowledged


class Reading(ABC):
    """A published backup that cannot be pruned while this is open. ``lock``: the descriptor for children."""

    manifest: Manifest
    folder: Folder
    lock: int | None


class Work(ABC):
    """A backup that is being written. ``folder`` takes its artifacts; its file system is the repository's."""

    id: str
    folder: Folder

    @abstractmethod
    def publish(self, manifest: Manifest) -> None:
        """Write the manifest last, sync everything and show the backup at once. Afterwards it never changes."""


class Writing(ABC):
    """The one writer of a source. ``lock``: the descriptor that children must inherit."""

    source: Source
    lock: int

    @abstractmethod
    def begin(self, attempt: Attempt) -> AbstractContextManager[Work]:
        """Open a work folder for the backup ``attempt.id``.

        Leftovers of dead writers are cleared first and recorded as interrupted. When the block is left by an
        exception, the work is removed and the attempt recorded as failed with the exception's sentence.
        """

    @abstractmethod
    def remove(self, backup_id: str) -> None:
        """Delete a backup, manifest first; raises Busy where a reader holds it, NotFound where it is gone.

        Also removes the records beside it (pin, acknowledgement) and, given an attempt's id, the attempt's record.
        """

    @abstractmethod
    def set_pinned(self, backup_id: str, *, pinned: bool) -> None:
        """Keep this backup whatever retention says, or no longer."""

    @abstractmethod
    def acknowledge(self, backup_id: str) -> None:
        """Accept the flags of this backup."""

    @abstractmethod
    def set_damaged(self, backup_id: str, problem: str | None) -> None:
        """Remember the damage that a verification found, so that nobody counts on this backup; None: it is whole."""


class Repository(ABC):
    """Where backups live. ``id``: random, made with the repository. ``location``: as the user wrote it.

    ``warnings``: sentences about what is weaker here (a network file system, for instance).
    """

    id: str
    location: str
    warnings: tuple[str, ...]
    is_read_only: bool

    @classmethod
    @abstractmethod
    def open(cls, location: str, expected_id: str | None) -> Repository:
        """The repository at ``location``; raises RepositoryError where there is none or it has another id."""

    @classmethod
    @abstractmethod
    def init(cls, location: str, owner: Account) -> Repository:
        """Make a repository that belongs to ``owner``, or open the one that is there.

        Raises RepositoryError where something else is there already.
        """

    @classmethod
    @abstractmethod
    def would_init(cls, location: str) -> bool:
        """Whether ``init`` would make one; False where one is there, raises where it would refuse. Writes nothing."""

    @abstractmethod
    def sources(self) -> tuple[Source, ...]:
        """Every source that has a folder here, sorted."""

    @abstractmethod
    def entries(self, source: Source) -> tuple[Entry, ...]:
        """Every backup and attempt of ``source``, newest first; empty where there is none. Writes nothing."""

    @abstractmethod
    def writing(self, source: Source, wait: float) -> AbstractContextManager[Writing]:
        """Become the one writer of ``source``; raises Busy after ``wait`` seconds, RepositoryError if read-only."""

    @abstractmethod
    def reading(self, source: Source, backup_id: str) -> AbstractContextManager[Reading]:
        """Hold a backup against pruning and read it; raises NotFound, Damaged (unreadable manifest)."""

    @abstractmethod
    def check_writable(self, source: Source, needed: int) -> None:
        """Refuse where a backup of about ``needed`` bytes could not be written; writes nothing."""

    @abstractmethod
    def close(self) -> None:
        """Give all descriptors back."""
