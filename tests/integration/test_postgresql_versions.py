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
from ansible_collections.holdfast.db.plugins.module_utils.encodings import Identity
from ansible_collections.holdfast.db.plugins.module_utils.errors import Refused
from integration.postgresql_everything import make_everything, make_roles, make_surroundings
from integration.postgresql_lanes import LANES
from integration.postgresql_meaning import (
    differences,
    differences_in_meaning,
    meaning_of_copy,
    meaning_of_original,
    properties,
)
from integration.postgresql_restoring import leftovers, order_of, order_of_file, restore
from integration.postgresql_support import Server, Stored, restore_by_hand, run, running_server, take

pytestmark = pytest.mark.postgresql

# What `make test` tries; the others wait for `make soak`.
_USUAL = ("17", "18")
_GUARDED_SINCE = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6, 18: 0}


def lanes() -> list[object]:
    """The lanes as parameters of a test."""
    return [pytest.param(name, marks=() if name in _USUAL else pytest.mark.soak) for name in LANES]


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


# One of each pair is newer than what most people run; 13 and 14 are the oldest that are supported.
@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("13", "17", marks=pytest.mark.soak),
        pytest.param("13", "18-icu", marks=pytest.mark.soak),
        pytest.param("16", "17", marks=pytest.mark.soak),
        pytest.param("16", "18", marks=pytest.mark.soak),
        pytest.param("17", "18-icu", marks=pytest.mark.soak),
    ],
)
@pytest.mark.parametrize("form", ["stream", "directory"])
def test_everything_moves_to_a_newer_version(
    track: Track, old: str, new: str, form: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = track.server(old), track.server(new)
    on_path(monkeypatch, source, target)
    make_everything(source, "everything")
    make_surroundings(target)
    stored = take(source.engine("everything", form=form, jobs=2), tmp_path / "backup")
    assert stored.taken.client.version.split(".")[0] == str(source.major)
    target.psql("DROP DATABASE IF EXISTS moved WITH (FORCE)")
    done = restore(target, "moved", order_of(stored, is_foreign=True), load_as="superuser", jobs=2)
    assert (done.differences, done.swapped.warnings) == ((), ())
    assert differences_in_meaning(source, "everything", target, "moved") == []


@pytest.mark.parametrize("form", ["stream", "directory"])
@pytest.mark.parametrize(
    ("server_of", "clients_of"),
    [
        pytest.param("13", "16", marks=pytest.mark.soak),
        pytest.param("13", "17", marks=pytest.mark.soak),
        pytest.param("13", "18", marks=pytest.mark.soak),
        pytest.param("13", "18-icu", marks=pytest.mark.soak),
        pytest.param("16", "17", marks=pytest.mark.soak),
        pytest.param("16", "18", marks=pytest.mark.soak),
        pytest.param("17", "18-icu", marks=pytest.mark.soak),
        ("17", "18"),
    ],
)
def test_newer_clients_serve_an_older_server(
    track: Track, server_of: str, clients_of: str, form: str, tmp_path: pathlib.Path
) -> None:
    server = track.server(server_of)
    tools = LANES[clients_of].programs().directory
    make_everything(server, "everything")
    stored = take(server.engine("everything", tools=tools, form=form, jobs=2), tmp_path / "backup")
    assert stored.taken.client.version.split(".")[0] == str(LANES[clients_of].major)
    server.psql("DROP DATABASE IF EXISTS everything_copy WITH (FORCE)")
    done = restore(server, "everything_copy", order_of(stored), tools=tools, jobs=2)
    assert (done.differences, done.swapped.warnings) == ((), ())
    assert differences_in_meaning(server, "everything", server, "everything_copy") == []


@pytest.mark.parametrize("form", ["stream", "directory"])
@pytest.mark.parametrize(
    ("server_of", "clients_of"),
    [
        pytest.param("13", "13", marks=pytest.mark.soak),
        pytest.param("13", "16", marks=pytest.mark.soak),
        pytest.param("13", "17", marks=pytest.mark.soak),
        ("16", "17"),
        pytest.param("16", "18", marks=pytest.mark.soak),
        pytest.param("18-icu", "18-icu", marks=pytest.mark.soak),
    ],
)
def test_the_commands_for_restoring_by_hand_serve_these_versions(
    track: Track, server_of: str, clients_of: str, form: str, tmp_path: pathlib.Path
) -> None:
    server = track.server(server_of)
    tools = LANES[clients_of].programs().directory
    make_everything(server, "everything")
    stored = take(server.engine("everything", tools=tools, form=form, jobs=2), tmp_path / "backup")
    original = meaning_of_original(server, "everything")
    server.psql("DROP DATABASE everything")
    restore_by_hand(Server(server.programs, server.base, tools), stored)
    assert differences(original, meaning_of_copy(server, "everything")) == []


@pytest.mark.soak
@pytest.mark.parametrize("is_closed", [True, False])
@pytest.mark.parametrize("form", ["backup", "custom", "plain"])
def test_the_schema_public_stays_as_closed_as_it_was(
    track: Track, form: str, is_closed: bool, tmp_path: pathlib.Path
) -> None:
    # Since version 15 pg_dump takes for granted that not everybody may create in it, and older servers do not.
    server, tools = track.server("13"), LANES["16"].programs().directory
    make_roles(server)
    server.create_database("shared")
    server.psql("CREATE TABLE t AS SELECT 1 AS a", "shared")
    if is_closed:
        server.psql("REVOKE CREATE ON SCHEMA public FROM PUBLIC", "shared")
    if form == "backup":
        order = order_of(take(server.engine("shared", tools=tools), tmp_path / "backup"))
    else:
        file = server.base / ("shared." + form)
        where = "host='%s' dbname=shared" % server.socket
        run(os.path.join(tools, "pg_dump"), "--format=" + form, "--file=%s" % file, "--dbname=" + where)
        order = order_of_file(file)
    server.psql("DROP DATABASE IF EXISTS shared_copy WITH (FORCE)")
    restore(server, "shared_copy", order, tools=tools, load_as="superuser")
    may = "SELECT has_schema_privilege('everything_reader', 'public', 'CREATE')"
    assert server.psql(may, "shared_copy") == ("f" if is_closed else "t")


@pytest.mark.parametrize(
    "form",
    [
        "custom",
        pytest.param("directory", marks=pytest.mark.soak),
        pytest.param("tar", marks=pytest.mark.soak),
        "plain",
    ],
)
@pytest.mark.parametrize("name", lanes())
def test_files_that_each_pg_dump_wrote_by_itself_are_loaded(
    track: Track, name: str, form: str, tmp_path: pathlib.Path
) -> None:
    server = track.server(name)
    tools = server.programs.directory
    make_everything(server, "everything")
    file = server.base / ("elsewhere." + form)
    more = ["--statistics"] if server.major >= 18 else []
    where = "host='%s' dbname=everything" % server.socket
    run(server.client("pg_dump"), "--format=" + form, "--file=%s" % file, *more, "--dbname=" + where)
    server.psql("DROP DATABASE IF EXISTS brought WITH (FORCE)")
    settings: dict[str, object] = {"tools": tools, "load_as": "superuser"}
    minor = int(run(server.client("psql"), "--version").split(".")[1].split()[0])
    if form == "plain" and minor < _GUARDED_SINCE[server.major]:
        with pytest.raises(Refused, match="cannot be kept from obeying commands"):
            restore(server, "brought", order_of_file(file), **settings)
        settings["trusted"] = True
    restore(server, "brought", order_of_file(file), **settings)
    found = differences_in_meaning(server, "everything", server, "brought")
    # A file says nothing of the database itself.
    assert [one for one in found if not one.startswith("property ")] == []


_DATABASES = {
    "builtin": (17, "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'"),
    "builtin-unicode": (18, "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST' LC_COLLATE 'C' LC_CTYPE 'C'"),
    "icu": (15, "LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"),
    "icu-rules": (16, "LOCALE_PROVIDER icu ICU_LOCALE 'und' ICU_RULES '&a < g <<< ''x''' LC_COLLATE 'C' LC_CTYPE 'C'"),
}


def kinds_of_databases() -> list[object]:
    """Each lane with each kind that it can have."""
    return [
        pytest.param(lane.name, kind, marks=() if lane.name in _USUAL else pytest.mark.soak)
        for lane in LANES.values()
        for kind, (oldest, _options) in _DATABASES.items()
        if lane.major >= oldest and (lane.has_all or not kind.startswith("icu"))
    ]


@pytest.mark.parametrize(("name", "kind"), kinds_of_databases())
def test_the_locale_provider_of_a_database_comes_back(
    track: Track, name: str, kind: str, tmp_path: pathlib.Path
) -> None:
    server = track.server(name)
    tools = server.programs.directory
    server.create_database("lettered", "TEMPLATE template0 " + _DATABASES[kind][1])
    server.psql("CREATE TABLE words AS SELECT 'xaga'::text AS word; CREATE INDEX ON words (lower(word))", "lettered")
    stored = take(server.engine("lettered", tools=tools), tmp_path / "backup")
    server.psql("DROP DATABASE IF EXISTS lettered_copy WITH (FORCE)")
    restore(server, "lettered_copy", order_of(stored), tools=tools)
    assert properties(server, "lettered_copy") == properties(server, "lettered")
    assert differences_in_meaning(server, "lettered", server, "lettered_copy") == []


def test_a_server_without_icu_refuses_a_database_of_icu(track: Track, tmp_path: pathlib.Path) -> None:
    source, target = track.server("17"), track.server("18")
    tools = target.programs.directory
    source.create_database("lettered", "TEMPLATE template0 " + _DATABASES["icu"][1])
    source.psql("CREATE TABLE words AS SELECT 'a'::text AS word", "lettered")
    stored = take(source.engine("lettered", tools=tools), tmp_path / "backup")
    with pytest.raises(Refused, match="this server was built without ICU"):
        target.engine("lettered", tools=tools, load_as="superuser").preflight(order_of(stored, is_foreign=True))


@pytest.mark.parametrize("name", lanes())
def test_time_limits_of_the_server_stop_no_restore(track: Track, name: str, tmp_path: pathlib.Path) -> None:
    server = track.server(name)
    tools = server.programs.directory
    server.create_database("slow")
    server.psql(
        "CREATE FUNCTION slowly(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS"
        " $$ BEGIN PERFORM pg_sleep(0.5); RETURN $1; END $$;"
        "CREATE TABLE a AS SELECT 1 AS i; CREATE TABLE b AS SELECT 1 AS i;"
        "CREATE INDEX ON a (slowly(i)); CREATE INDEX ON b (i)",
        "slow",
    )
    limits = {"statement_timeout": 0, "lock_timeout": 0, "idle_in_transaction_session_timeout": 0}
    limits |= {"idle_session_timeout": 14, "transaction_timeout": 17}
    known = [limit for limit, since in limits.items() if since <= server.major]
    stored = {}
    try:
        for limit in known:
            server.psql("ALTER ROLE CURRENT_USER SET %s = '200ms'" % limit)
        for form in ("stream", "directory"):
            stored[form] = take(server.engine("slow", tools=tools, form=form, jobs=2), tmp_path / form)
            server.psql("DROP DATABASE IF EXISTS slow_copy WITH (FORCE)")
            done = restore(server, "slow_copy", order_of(stored[form]), tools=tools, jobs=2)
            assert done.differences == ()
    finally:
        for limit in known:
            server.psql("ALTER ROLE CURRENT_USER RESET " + limit)
