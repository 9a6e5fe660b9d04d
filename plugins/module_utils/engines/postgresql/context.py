# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all parts of this engine share while one method runs: the database's name, its server, the right programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Callable

from ...errors import NotFound
from ...model import EngineSettings
from ...pipeline import Command, Processes
from .clients import ClientPrograms, ClientSearch, fitting_client
from .connection import Access, opened
from .naming import check_length
from .session import Session, connected


class ServerContext:
    """One server as seen from this host. Made by ``server_context``; starts nothing until it is asked something."""

    def __init__(
        self, database: str, settings: EngineSettings, processes: Processes, access: Access, search: ClientSearch
    ) -> None:
        self.database = database
        self.settings = settings
        self.processes = processes
        self.access = access
        self._search = search
        self._server_version: int | None = None

    def watched(self, watch: Callable[[], str | None] | None) -> ServerContext:
        """The same, whose programs are ended once ``watch`` gives a reason to (see Processes)."""
        if watch is None:
            return self
        return ServerContext(self.database, self.settings, self.processes.watched(watch), self.access, self._search)

    def with_jobs(self, jobs: int) -> ServerContext:
        """The same with so many parallel workers."""
        settings = replace(self.settings, jobs=jobs)
        return ServerContext(self.database, settings, self.processes, self.access, self._search)

    @property
    def maintenance_database(self) -> str:
        """The database to connect to for work that is not inside ``database``."""
        named = self.settings.connection.maintenance_database or "postgres"
        return "template1" if named == self.database else named

    @property
    def server_version(self) -> int:
        """As ``server_version_num``; asks the server the first time."""
        if self._server_version is None:
            with self.maintenance_session() as session:
                self._server_version = session.server_version
        return self._server_version

    @property
    def clients(self) -> tuple[ClientPrograms, ...]:
        """Every installed set of client programs, oldest first; raises Refused where there is none."""
        return self._search.found(self.processes, self.access.account)

    @property
    def programs(self) -> ClientPrograms:
        """The client programs that fit this server; raises Refused where all are too old."""
        return fitting_client(self.clients, self.server_version)

    @contextmanager
    def session(self, database: str | None = None, *, user: str | None = None) -> Iterator[Session]:
        """A session on ``database`` (None: the one this context is for); raises NotFound, Refused."""
        psql = self.clients[-1].path("psql")
        wanted = self.database if database is None else database
        with connected(self.processes, self.access, psql, wanted, user=user) as session:
            self._server_version = session.server_version
            yield session

    @contextmanager
    def maintenance_session(self) -> Iterator[Session]:
        """A session outside ``database``: on the maintenance database, or on template1 where there is no postgres."""
        with ExitStack() as opening:
            try:
                session = opening.enter_context(self.session(self.maintenance_database))
            except NotFound:
                if self.settings.connection.maintenance_database is not None:
                    raise
                session = opening.enter_context(self.session("template1"))
            yield session

    def command(
        self,
        tool: str,
        *arguments: str,
        database: str | None = None,
        user: str | None = None,
        directory: str | None = None,
        descriptors: tuple[int, ...] = (),
    ) -> Command:
        """``tool`` of the fitting version with ``arguments``, connected to ``database`` where one is named.

        ``directory``: where it starts. ``descriptors``: more open files that it needs.
        """
        connection: tuple[str, ...] = ()
        if database is not None:
            conninfo = self.access.conninfo(database, user=user, server_version=self.server_version)
            connection = ("--no-password", "--dbname=" + conninfo)
        return Command(
            (self.programs.path(tool), *connection, *arguments),
            environment=self.access.environment,
            account=self.access.account,
            directory=directory,
            descriptors=self.access.descriptors + descriptors,
            secrets=self.access.secrets,
        )


@contextmanager
def server_context(
    database: str, settings: EngineSettings, processes: Processes, search: ClientSearch | None = None
) -> Iterator[ServerContext]:
    """The context for one method's work; its secrets are forgotten when the block is left.

    ``search``: what an earlier context has found already, None to look anew. Raises BadInput.
    """
    check_length(database)
    with opened(settings.connection) as access:
        yield ServerContext(database, settings, processes, access, search or ClientSearch(settings.tools))
