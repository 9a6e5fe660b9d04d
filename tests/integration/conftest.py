"""What the tests of this folder share: private PostgreSQL servers, started when the first test asks for one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from integration.postgresql_support import Park, Server, own_major


@pytest.fixture(name="park", scope="session")
def park_fixture() -> Iterator[Park]:
    """All servers of this run."""
    park = Park()
    yield park
    park.close()


@pytest.fixture(name="server", scope="session")
def server_fixture(park: Park) -> Server:
    """The server that the installed clients belong to."""
    return park.server(own_major())


@pytest.fixture(name="database")
def database_fixture(server: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database, dropped afterwards."""
    name = server.create_database("db_" + re.sub(r"\W+", "_", request.node.name)[:40])
    yield name
    server.psql('DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % name)
