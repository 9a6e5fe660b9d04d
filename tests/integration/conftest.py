"""What the tests of this folder share: private PostgreSQL servers, started when the first test asks for one."""

from __future__ import annotations

import pathlib
import re
import subprocess
from collections.abc import Iterator

import pytest
from integration.circle_support import Circle, PostgresqlCircle, SqliteCircle
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


@pytest.fixture(name="circle", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def circle_fixture(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Circle]:
    """A small database of each engine, with an empty place for its repository."""
    if request.param == "sqlite":
        yield SqliteCircle(tmp_path, rows=500)
        return
    circle = PostgresqlCircle(tmp_path, request.getfixturevalue("server"), rows=500)
    yield circle
    circle.remove()


@pytest.fixture(name="age_key", scope="session")
def age_key_fixture(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A recipient of age and the file with its identity."""
    file = tmp_path_factory.mktemp("age") / "identity"
    subprocess.run(["age-keygen", "-o", str(file)], check=True, capture_output=True)
    done = subprocess.run(["age-keygen", "-y", str(file)], check=True, capture_output=True, text=True)
    return done.stdout.strip(), str(file)
