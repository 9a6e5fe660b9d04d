# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine ``postgresql``: each promise of ``Engine``, handed to the file that keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar

from ...artifacts import ArtifactReader, ArtifactWriter
from ...folders import Folder
from ...model import EngineSettings, Fingerprint, Manifest, Marker
from ...pipeline import Processes
from ..base import Engine, Facts, Kept, Loaded, LoadOrder, SafetyTaker, Swapped, Taken, Target
from . import check, taking
from .clients import ClientSearch
from .context import ServerContext, server_context


class PostgresqlEngine(Engine):
    """One PostgreSQL database, dumped by pg_dump from an exported snapshot and restored beside the live one."""

    name: ClassVar[str] = "postgresql"
    method: ClassVar[str] = taking.METHOD
    keeps_beside: ClassVar[bool] = True

    def __init__(self, database: str, settings: EngineSettings, processes: Processes) -> None:
        super().__init__(database, settings, processes)
        self._search = ClientSearch(settings.tools)

    def look(self) -> Facts:
        """See Engine."""
        with self._server() as server:
            return taking.look(server)

    def take(self, writer: ArtifactWriter, workspace: Folder) -> Taken:  # noqa: ARG002 - nothing is put aside
        """See Engine."""
        with self._server() as server:
            return taking.take(server, writer)

    def check_structure(self, manifest: Manifest, reader: ArtifactReader, workspace: Folder) -> tuple[str, ...]:
        """See Engine."""
        with self._server() as server:
            return check.check_structure(server, manifest, reader, workspace)

    def target(self) -> Target:
        """See Engine."""
        from .target import look_at_target

        with self._server() as server:
            return look_at_target(server)

    def preflight(self, order: LoadOrder) -> tuple[str, ...]:
        """See Engine."""
        from .preflight import preflight

        with self._server() as server:
            return preflight(server, order)

    @contextmanager
    def loaded(self, order: LoadOrder, workspace: Folder) -> Iterator[Loaded]:
        """See Engine."""
        from .load import loaded

        with self._server() as server, loaded(server, order, workspace) as copy:
            yield copy

    def differences(self, loaded: Loaded, expected: Fingerprint) -> tuple[str, ...]:
        """See Engine."""
        from .compare import differences

        with self._server() as server:
            return differences(server, loaded, expected)

    def swap(
        self,
        loaded: Loaded,
        order: LoadOrder,
        marker: Marker,
        take_safety: SafetyTaker | None,  # noqa: ARG002 - the old database stays beside
    ) -> Swapped:
        """See Engine."""
        from .swap import swap

        with self._server() as server:
            return swap(server, loaded, order, marker)

    def kept(self) -> tuple[Kept, ...]:
        """See Engine."""
        from .swap import kept

        with self._server() as server:
            return kept(server)

    def drop_kept(self, name: str) -> None:
        """See Engine."""
        from .swap import drop_kept

        with self._server() as server:
            drop_kept(server, name)

    def _server(self) -> AbstractContextManager[ServerContext]:
        return server_context(self.database, self.settings, self.processes, self._search)
