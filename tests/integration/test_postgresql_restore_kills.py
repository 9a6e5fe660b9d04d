"""Killed at any moment, a restore leaves the old database or the new one, and the next restore clears the rest."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import threading
import time

import pytest
from integration.postgresql_restoring import leftovers, order_of, restore
from integration.postgresql_support import (
    Server,
    Stored,
    take,
)

pytestmark = pytest.mark.postgresql
SEED = 20261120
DATABASE = "killed_shop"
ROWS = 20000


@pytest.fixture(name="stored", params=["stream", "directory"])
def stored_fixture(server: Server, tmp_path: pathlib.Path, request: pytest.FixtureRequest):
    """A backup whose owner is an ordinary role that this server lacks, so that everything there is has to be made."""
    server.psql("DROP DATABASE IF EXISTS %s WITH (FORCE)" % DATABASE)
    server.psql("DROP ROLE IF EXISTS killed_reader; DROP ROLE IF EXISTS killed_owner")
    server.psql("CREATE ROLE killed_owner LOGIN; CREATE ROLE killed_reader")
    server.create_database(DATABASE, "OWNER killed_owner")
    server.psql(
        "CREATE SCHEMA shop AUTHORIZATION killed_owner; SET ROLE killed_owner;"
        " CREATE TABLE shop.state AS SELECT 'backed up'::text AS word;"
        " CREATE TABLE shop.filled AS SELECT i, md5(i::text) AS t FROM generate_series(1, %d) AS i;"
        " CREATE INDEX ON shop.filled (t); GRANT SELECT ON shop.filled TO killed_reader" % ROWS,
        DATABASE,
    )
    yield take(server.engine(DATABASE, form=request.param, jobs=2), tmp_path / "backup")
    for kept in server.engine(DATABASE).kept():
        if kept.of == DATABASE:
            server.engine(DATABASE).drop_kept(kept.name)
    server.psql("DROP DATABASE IF EXISTS %s WITH (FORCE)" % DATABASE)
    server.psql("DROP ROLE IF EXISTS killed_reader; DROP ROLE IF EXISTS killed_owner")


@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.soak)])
def test_killed_at_random_moments(server: Server, stored: Stored, kills: int) -> None:
    chance = random.Random(SEED)
    began = time.monotonic()
    restore(server, DATABASE, order_of(stored, replaces=True))
    usual = time.monotonic() - began
    outcomes = []
    for number in range(kills):
        before = "live %d" % number
        server.psql("UPDATE shop.state SET word = '%s'" % before, DATABASE)
        # Half of the blows fall into the last part, where the swap is.
        delay = usual * (chance.uniform(0, 1) if number % 2 else chance.uniform(0.7, 1.1))
        _restore_and_kill(server, stored, delay)
        now = _word_soon(server)
        outcomes.append(now == before)
        assert now in (before, "backed up"), "killed after %.3f s (number %d)" % (delay, number)
        assert server.psql("SELECT count(*) FROM shop.filled", DATABASE) == str(ROWS)
        if now == "backed up":
            ours = [one.name for one in server.engine(DATABASE).kept() if one.of == DATABASE]
            words = [server.psql("SELECT word FROM shop.state", name) for name in ours]
            assert before in words, "the old database is gone after a kill at %.3f s" % delay
    done = restore(server, DATABASE, order_of(stored, replaces=True))
    assert done.differences == ()
    assert leftovers(server) == []
    assert kills < 50 or len(set(outcomes)) == 2, "every kill fell on one side of the swap; adjust the delays"
    assert server.psql("SELECT bool_and(datallowconn) FROM pg_database WHERE datname <> 'template0'") == "t"


def test_roles_and_databases_that_a_killed_restore_made_are_cleared_by_the_next(server: Server, stored: Stored) -> None:
    server.psql("DROP DATABASE %s WITH (FORCE); DROP ROLE killed_reader; DROP ROLE killed_owner" % DATABASE)
    seen: set[str] = set()
    for delay in (0.4, 0.6, 0.8, 1.0, 1.3):
        _restore_and_kill(server, stored, delay)
        seen.update(leftovers(server))
    assert any(name.startswith("holdfast_load_") for name in seen), "no kill fell into a load; adjust the delays"
    server.psql("DROP DATABASE IF EXISTS %s WITH (FORCE)" % DATABASE)
    restore(server, DATABASE, order_of(stored))
    assert leftovers(server) == []
    assert server.psql("SELECT count(*) FROM pg_roles WHERE rolname IN ('killed_owner', 'killed_reader')") == "2"


def test_killed_in_the_middle_of_the_swap(server: Server, stored: Stored) -> None:
    server.psql("UPDATE shop.state SET word = 'live'", DATABASE)
    # Holds the database's lock, so that RENAME has to wait, and everybody who comes after it.
    holding = "BEGIN; COMMENT ON DATABASE %s IS 'held'; SELECT pg_sleep(60); ROLLBACK" % DATABASE
    holder = threading.Thread(target=server.psql, args=(holding,), kwargs={"check": False})
    holder.start()
    # Before we fork, for a child would keep the pipe open through which the holder is told what to do.
    held = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%'"
    while server.psql(held) == "0":
        time.sleep(0.05)
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND query LIKE 'ALTER DATABASE \"%s\" RENAME%%'" % DATABASE
    )
    child = _restoring(server, stored)
    try:
        until = time.monotonic() + 55
        while server.psql(waiting) == "0":
            assert time.monotonic() < until, "the swap never came to its RENAME"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    began = time.monotonic()
    assert server.psql("SELECT word FROM shop.state", DATABASE) == "live"
    assert time.monotonic() - began < 3, "the dead swap kept everybody out"
    server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%'")
    holder.join()
    assert [one for one in server.engine(DATABASE).kept() if one.of == DATABASE] == []
    assert server.engine(DATABASE).target().marker is None
    restore(server, DATABASE, order_of(stored, replaces=True))
    assert server.psql("SELECT word FROM shop.state", DATABASE) == "backed up"
    assert leftovers(server) == []


def _restoring(server: Server, stored: Stored) -> int:
    """A child of ours that restores."""
    child = os.fork()
    if child == 0:
        try:
            exists = server.psql("SELECT 1 FROM pg_database WHERE datname = '%s'" % DATABASE) == "1"
            restore(server, DATABASE, order_of(stored, replaces=exists))
        finally:
            os._exit(0)
    return child


def _restore_and_kill(server: Server, stored: Stored, delay: float) -> None:
    """Restore in a child and kill it, and it alone, after ``delay`` seconds."""
    child = _restoring(server, stored)
    time.sleep(delay)
    try:
        os.kill(child, signal.SIGKILL)
    finally:
        os.waitpid(child, 0)


def _word_soon(server: Server) -> str:
    """What the live database says; whoever comes in the very moment of the swap has to come again."""
    for _attempt in range(3):
        try:
            return server.psql("SELECT word FROM shop.state", DATABASE)
        except AssertionError as reason:
            assert "does not exist" in str(reason) or "terminating connection" in str(reason)
            time.sleep(0.1)
    raise AssertionError("the live database is not to be reached")
