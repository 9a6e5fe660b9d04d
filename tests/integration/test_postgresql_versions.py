"""Each major version with its own server and its own clients, and dumps that change versions on their way.

A lane that could not be had is named in the summary of the run; see ``postgresql_lanes``.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.artifacts import Identity
from ansible_collections.holdfast.db.plugins.module_utils.errors import Refused
from integration.postgresql_everything import make_everything, make_surroundings
from integration.postgresql_lanes import LANES
from integration.postgresql_meaning import differences_in_meaning, properties
from integration.postgresql_restoring import leftovers, order_of, order_of_file, restore
from integration.postgresql_support import Server, Stored, run, running_server, take

pytestmark = pytest.mark.postgresql

# What `make test` tries; the others wait for `make soak`.
_USUAL = ("17", "18")
_GUARDED_SINCE = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6, 18: 0}


def lanes(*names: str) -> list[object]:
    """The lanes as parameters of a test."""
    return [pytest.param(name, marks=() if name in _USUAL else pytest.mark.soak) for name in names or LANES]


class Track:
    """The lanes' servers, each started when it is first asked for."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._servers: dict[str, Server] = {}

    def server(self, name: str) -> Server:
        if name not in self._servers:
            programs = LANES[name].programs()
            opening = running_server(programs, clients=programs.directory)
            self._servers[name] = self._open.enter_context(opening)
        return self._servers[name]

    def close(self) -> None:
        self._open.close()


@pytest.fixture(name="track", scope="module")
def track_fixture() -> Iterator[Track]:
    """All lanes of this file."""
    track = Track()
    yield track
    track.close()


def on_path(monkeypatch: pytest.MonkeyPatch, *servers: Server) -> None:
    """Let the clients of these servers be found beside those that are installed."""
    folders = [server.programs.directory for server in servers]
    monkeypatch.setenv("PATH", os.pathsep.join([*folders, os.environ["PATH"]]))


def verify(
    server: Server, stored: Stored, place: pathlib.Path, identity: Identity | None = None, **settings: object
) -> None:
    """Decode all of the backup."""
    engine = server.engine("everything", **settings)
    with stored.workspace(place) as space:
        assert engine.check_structure(stored.manifest(), stored.reader(identity), space)


@pytest.mark.parametrize("form", ["stream", "directory", "encrypted"])
@pytest.mark.parametrize("name", lanes())
def test_everything_goes_round_with_the_programs_of_its_own_version(
    track: Track,
    name: str,
    form: str,
    age_key: tuple[str, str],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, lane = track.server(name), LANES[name]
    recipient, file = age_key
    encrypted = form == "encrypted"
    if form == "stream":
        on_path(monkeypatch, server)
        settings: dict[str, object] = {"form": form}
    else:
        settings = {"tools": server.programs.directory, "form": "auto" if encrypted else form, "jobs": 2}
    source = make_everything(server, "everything")
    stored = take(server.engine(source, **settings), tmp_path / "backup", recipients=(recipient,) if encrypted else ())
    assert stored.taken.client.version.split(".")[0] == str(lane.major)
    if form == "directory":
        expected = "zstd" if lane.has_all and lane.major >= 16 else "gzip"
        assert stored.taken.properties["dump"]["compression"] == expected
    identity = Identity(file=file) if encrypted else None
    verify(server, stored, tmp_path, identity, **settings)
    order = replace(order_of(stored), reader=stored.reader(identity))
    server.psql("DROP DATABASE IF EXISTS everything_copy WITH (FORCE)")
    done = restore(server, "everything_copy", order, **settings)
    assert (done.differences, done.swapped.warnings) == ((), ())
    assert differences_in_meaning(server, source, server, "everything_copy") == []
    # Once more, now in the place of something that is there.
    server.psql("SET default_transaction_read_only = off; DROP TABLE app.measured CASCADE", "everything_copy")
    done = restore(server, "everything_copy", replace(order, replaces=True), **settings)
    assert (done.differences, done.swapped.warnings) == ((), ())
    assert differences_in_meaning(server, source, server, "everything_copy") == []
    assert leftovers(server) == []
