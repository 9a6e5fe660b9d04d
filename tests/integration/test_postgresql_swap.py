"""The swap: in under a second, whole or not at all, with the old database beside."""

from __future__ import annotations

import pathlib
import threading
import time

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.naming import LONGEST, is_ours
from ansible_collections.holdfast.db.plugins.module_utils.errors import Busy, NotFound, Refused, RestoreFailed
from ansible_collections.holdfast.db.plugins.module_utils.workspace import workspace
from integration.postgresql_restoring import MARKER, leftovers, order_of, restore
from integration.postgresql_support import (
    Server,
    take,
)

pytestmark = pytest.mark.postgresql
HOSTILE_NAME = "Live \"quoted\" 'db'\n\\; ü"


@pytest.fixture(autouse=True)
def nothing_is_left(server: Server):
    yield
    assert leftovers(server) == []
    engine = server.engine("postgres")
    for kept in engine.kept():
        engine.drop_kept(kept.name)


@pytest.fixture(name="shop")
def shop_fixture(server: Server):
    name = server.create_database("shop")
    server.psql("CREATE TABLE state AS SELECT 'backed up'::text AS word; CREATE TABLE written (n integer)", name)
    yield name
    server.psql("DROP DATABASE IF EXISTS shop WITH (FORCE)")


def word_of(server: Server, database: str) -> str:
    return server.psql("SELECT word FROM state", database)


def test_the_live_database_is_replaced_and_the_old_one_stays_beside(
    server: Server, shop: str, tmp_path: pathlib.Path
) -> None:
    stored = take(server.engine(shop), tmp_path / "backup")
    server.psql("UPDATE state SET word = 'changed since'", shop)
    engine = server.engine(shop)
    assert engine.target().marker is None
    done = restore(server, shop, order_of(stored, replaces=True))
    assert word_of(server, shop) == "backed up"
    assert word_of(server, done.swapped.kept) == "changed since"
    assert engine.target().marker == MARKER
    (kept,) = engine.kept()
    assert (kept.name, kept.of) == (done.swapped.kept, shop)
    assert kept.since is not None and kept.size > 0
    engine.drop_kept(kept.name)
    assert engine.kept() == ()


def test_clients_that_keep_coming_are_kept_out_for_less_than_a_second(
    server: Server, shop: str, tmp_path: pathlib.Path
) -> None:
    stored = take(server.engine(shop), tmp_path / "backup")
    stopped = threading.Event()

    def keep_coming() -> None:
        while not stopped.is_set():
            # Inside for a while, in a transaction, as a pool of an application is.
            server.psql("BEGIN; INSERT INTO written VALUES (1); SELECT pg_sleep(0.2); COMMIT", shop, check=False)

    clients = [threading.Thread(target=keep_coming) for _number in range(6)]
    for client in clients:
        client.start()
    try:
        done = restore(server, shop, order_of(stored, replaces=True))
        assert done.swapped.seconds < 1.0
        server.psql("INSERT INTO written VALUES (2)", shop)
    finally:
        stopped.set()
        for client in clients:
            client.join()
    assert int(server.psql("SELECT count(*) FROM written", done.swapped.kept)) > 0


def test_a_new_database_simply_gets_its_name(server: Server, shop: str, tmp_path: pathlib.Path) -> None:
    stored = take(server.engine(shop), tmp_path / "backup")
    server.psql('DROP DATABASE IF EXISTS "fresh"')
    done = restore(server, "fresh", order_of(stored))
    assert done.swapped.kept is None
    assert server.engine("fresh").target().marker == MARKER
    server.psql("DROP DATABASE fresh")


@pytest.mark.parametrize("name", [HOSTILE_NAME, "x" * LONGEST, "ü" * 31, "-dash", "a b", "%s{0}"])
def test_any_name_that_postgresql_allows_can_be_replaced(server: Server, tmp_path: pathlib.Path, name: str) -> None:
    server.create_database(name)
    server.psql("CREATE TABLE state AS SELECT 'backed up'::text AS word", name)
    try:
        stored = take(server.engine(name), tmp_path / "backup")
        done = restore(server, name, order_of(stored, replaces=True))
        assert word_of(server, name) == word_of(server, done.swapped.kept) == "backed up"
        assert len(done.swapped.kept.encode()) <= LONGEST
        assert is_ours(done.swapped.kept)
        assert [kept.of for kept in server.engine(name).kept()] == [name]
    finally:
        server.psql('DROP DATABASE "%s" WITH (FORCE)' % name.replace('"', '""'))


def test_only_what_a_swap_left_can_be_dropped_as_kept(server: Server, shop: str) -> None:
    for name in (shop, "postgres", "no such database"):
        with pytest.raises(NotFound, match="No swap left a database"):
            server.engine(shop).drop_kept(name)
    assert word_of(server, shop) == "backed up"


@pytest.mark.parametrize(
    ("what", "begin", "end"),
    [
        (
            "prepared transaction",
            "BEGIN; INSERT INTO written VALUES (1); PREPARE TRANSACTION 'left open'",
            "ROLLBACK PREPARED 'left open'",
        ),
        (
            "replication slot",
            "SELECT pg_create_logical_replication_slot('left_open', 'pgoutput')",
            "SELECT pg_drop_replication_slot('left_open')",
        ),
        (
            "subscription",
            "CREATE SUBSCRIPTION left_open CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false)",
            "ALTER SUBSCRIPTION left_open SET (slot_name = NONE); DROP SUBSCRIPTION left_open",
        ),
    ],
)
def test_what_would_follow_the_old_database_is_named_and_refused(
    server: Server, shop: str, tmp_path: pathlib.Path, what: str, begin: str, end: str
) -> None:
    stored = take(server.engine(shop), tmp_path / "backup")
    server.psql(begin, shop)
    try:
        with pytest.raises(Refused, match='it has the %s "left.open"' % what):
            server.engine(shop).preflight(order_of(stored, replaces=True))
        # Coming up between the preflight and the swap it changes nothing either.
        engine = server.engine(shop)
        with workspace(None) as space, engine.loaded(order_of(stored, replaces=True), space) as loaded:
            with pytest.raises(Refused, match=what):
                engine.swap(loaded, order_of(stored, replaces=True), MARKER, None)
    finally:
        server.psql(end, shop)
    assert word_of(server, shop) == "backed up"
    assert server.engine(shop).kept() == ()


def test_a_swap_that_fails_leaves_the_live_database_as_it_was(
    server: Server, shop: str, tmp_path: pathlib.Path
) -> None:
    stored = take(server.engine(shop), tmp_path / "backup")
    order = order_of(stored, replaces=True)
    engine = server.engine(shop)
    with pytest.raises(RestoreFailed, match="the live database is as it was"):
        with workspace(None) as space, engine.loaded(order, space) as loaded:
            server.psql('DROP DATABASE "%s" WITH (FORCE)' % loaded.name)
            engine.swap(loaded, order, MARKER, None)
    assert word_of(server, shop) == "backed up"
    assert engine.kept() == ()
    assert engine.target().marker is None


def test_two_restores_of_one_database_exclude_each_other(server: Server, shop: str, tmp_path: pathlib.Path) -> None:
    stored = take(server.engine(shop), tmp_path / "backup")
    first, second = server.engine(shop), server.engine(shop, lock_wait=0.3)
    other = server.engine("other", lock_wait=0.3)
    with workspace(None) as space, first.loaded(order_of(stored), space):
        began = time.monotonic()
        with pytest.raises(Busy, match="Another restore of database"), workspace(None) as more:
            with second.loaded(order_of(stored), more):
                pass
        assert time.monotonic() - began < 5
        with workspace(None) as more, other.loaded(order_of(stored), more):
            pass


def test_nobody_else_comes_into_a_copy_that_is_being_loaded(server: Server, shop: str, tmp_path: pathlib.Path) -> None:
    server.psql("DROP ROLE IF EXISTS curious; CREATE ROLE curious LOGIN")
    stored = take(server.engine(shop), tmp_path / "backup")
    engine = server.engine("fresh")
    with workspace(None) as space, engine.loaded(order_of(stored), space) as loaded:
        with pytest.raises(AssertionError, match="permission denied for database"):
            server.psql("SELECT 1", loaded.name, user="curious")
    server.psql("DROP ROLE curious")


def test_the_maintenance_database_itself_can_be_replaced(server: Server, tmp_path: pathlib.Path) -> None:
    server.psql("CREATE TABLE state AS SELECT 'backed up'::text AS word", "postgres")
    try:
        stored = take(server.engine("postgres"), tmp_path / "backup")
        restore(server, "postgres", order_of(stored, replaces=True))
        assert word_of(server, "postgres") == "backed up"
    finally:
        server.psql("DROP TABLE state", "postgres")
