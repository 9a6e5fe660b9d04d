"""A PostgreSQL backup comes back as it was, beside the live database and then in its place."""

from __future__ import annotations

import pathlib

import pytest
from integration.postgresql_everything import make_everything
from integration.postgresql_restoring import order_of, restore
from integration.postgresql_support import Server, database, postgresql_park, server, take  # noqa: F401

pytestmark = pytest.mark.postgresql


def test_everything_comes_back(server: Server, tmp_path: pathlib.Path) -> None:
    source = make_everything(server, "everything")
    stored = take(server.engine(source), tmp_path / "backup")
    server.psql("DROP DATABASE everything_copy WITH (FORCE)", check=False)
    done = restore(server, "everything_copy", order_of(stored), tmp_path)
    assert done.differences == ()
