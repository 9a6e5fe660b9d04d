"""A PostgreSQL backup comes back as it was, whatever its form, beside the live database and then in its place."""

from __future__ import annotations

import pathlib

import pytest
from integration.postgresql_everything import make_everything
from integration.postgresql_meaning import differences_in_meaning
from integration.postgresql_restoring import order_of, restore
from integration.postgresql_support import (
    Park,
    client_majors,
    take,
)

pytestmark = pytest.mark.postgresql


@pytest.mark.parametrize("form", ["stream", "directory"])
@pytest.mark.parametrize("major", client_majors())
def test_everything_comes_back_by_meaning(park: Park, major: int, form: str, tmp_path: pathlib.Path) -> None:
    server = park.server(major)
    source = make_everything(server, "everything")
    stored = take(server.engine(source, form=form, jobs=2), tmp_path / "backup")
    server.psql("DROP DATABASE IF EXISTS everything_copy WITH (FORCE)")
    done = restore(server, "everything_copy", order_of(stored), jobs=2)
    assert done.differences == ()
    assert done.swapped.warnings == ()
    assert differences_in_meaning(server, source, server, "everything_copy") == []
