"""Loading runs the database's own code, so it is done with the owner's rights wherever that can be."""

from __future__ import annotations

import os
import pathlib
import re
import socket

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import Refused
from integration.postgresql_everything import make_everything
from integration.postgresql_hostile import TENANT, clear_trophies, make_hostile, trophies
from integration.postgresql_meaning import differences_in_meaning
from integration.postgresql_restoring import leftovers, order_of, restore
from integration.postgresql_support import (
    Server,
    own_major,
    running_server,
    system_programs,
    take,
)

pytestmark = pytest.mark.postgresql


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def nothing_is_left(server: Server):
    yield
    assert leftovers(server) == []


def test_loaded_as_owner_hostile_code_wins_nothing(server: Server, tmp_path: pathlib.Path) -> None:
    stored = take(server.engine(make_hostile(server, "hostile")), tmp_path / "backup")
    done = restore(server, "hostile", order_of(stored, replaces=True))
    assert trophies(server) == []
    assert done.warnings == done.loaded.warnings == ()
    assert differences_in_meaning(server, done.swapped.kept, server, "hostile") == []
    server.psql('DROP DATABASE "%s"' % done.swapped.kept)


def test_loaded_as_superuser_the_same_code_takes_the_server(server: Server, tmp_path: pathlib.Path) -> None:
    stored = take(server.engine(make_hostile(server, "hostile")), tmp_path / "backup")
    done = restore(server, "hostile_copy", order_of(stored), load_as="superuser")
    try:
        assert "trophy_of_check" in trophies(server)
        assert done.differences == ()
    finally:
        server.psql("DROP DATABASE hostile_copy")
        clear_trophies(server)


def test_another_servers_backup_is_loaded_as_owner_too(server: Server, tmp_path: pathlib.Path) -> None:
    stored = take(server.engine(make_hostile(server, "hostile")), tmp_path / "backup")
    restore(server, "hostile_copy", order_of(stored, is_foreign=True))
    server.psql("DROP DATABASE hostile_copy")
    assert trophies(server) == []


def test_the_temporary_role_comes_in_with_its_password_where_the_socket_wants_peers(tmp_path: pathlib.Path) -> None:
    port = free_port()
    with running_server(system_programs()[own_major()], listen_addresses="127.0.0.1", port=str(port)) as server:
        # So the socket is found where it always is, and the port only by asking the server.
        os.symlink(".s.PGSQL.%d" % port, os.path.join(server.socket, ".s.PGSQL.5432"))
        stored = take(server.engine(make_hostile(server, "hostile")), tmp_path / "backup")
        with server.hba("local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\n"):
            done = restore(server, "copy", order_of(stored), load_as="owner")
        assert done.differences == ()
        assert trophies(server) == []
        assert leftovers(server) == []


def test_where_nobody_is_let_in_an_own_backup_is_loaded_as_superuser_with_one_line(
    server: Server, tmp_path: pathlib.Path
) -> None:
    stored = take(server.engine(make_hostile(server, "hostile")), tmp_path / "backup")
    with server.hba(""):
        done = restore(server, "hostile_copy", order_of(stored))
    server.psql("DROP DATABASE hostile_copy")
    clear_trophies(server)
    (warning,) = done.loaded.warnings
    assert "loaded as a superuser" in warning
    assert "did not let a temporary member of the owner log in" in warning


@pytest.mark.parametrize(("foreign", "load_as"), [(True, "auto"), (False, "owner"), (True, "owner")])
def test_where_nobody_is_let_in_nothing_else_is_loaded_as_superuser_unasked(
    server: Server, tmp_path: pathlib.Path, foreign: bool, load_as: str
) -> None:
    stored = take(server.engine(make_hostile(server, "hostile")), tmp_path / "backup")
    with server.hba(""), pytest.raises(Refused, match="load_as: superuser"):
        restore(server, "hostile_copy", order_of(stored, is_foreign=foreign), load_as=load_as)
    assert trophies(server) == []


@pytest.mark.parametrize(("foreign", "load_as"), [(True, "auto"), (False, "owner")])
def test_what_needs_a_superuser_is_named_before_anything_starts(
    server: Server, tmp_path: pathlib.Path, foreign: bool, load_as: str
) -> None:
    stored = take(server.engine(make_everything(server, "everything")), tmp_path / "backup")
    engine = server.engine("everything_copy", load_as=load_as)
    with pytest.raises(Refused, match=re.escape("event trigger after_ddl")) as refusal:
        engine.preflight(order_of(stored, is_foreign=foreign))
    assert "load_as: superuser" in str(refusal.value)


def test_extensions_and_schemas_are_made_for_the_owner_beforehand(server: Server, tmp_path: pathlib.Path) -> None:
    make_hostile(server, "hostile")
    server.psql(
        "CREATE SCHEMA extensions; CREATE EXTENSION pg_buffercache SCHEMA extensions;"
        " COMMENT ON EXTENSION pg_buffercache IS 'our own words';"
        " GRANT USAGE ON SCHEMA extensions TO %s; COMMENT ON SCHEMA public IS 'changed'" % TENANT,
        "hostile",
    )
    stored = take(server.engine("hostile"), tmp_path / "backup")
    done = restore(server, "hostile_copy", order_of(stored), load_as="owner")
    assert done.loaded.warnings == ()
    assert differences_in_meaning(server, "hostile", server, "hostile_copy") == []
    server.psql("DROP DATABASE hostile_copy")


def test_the_password_of_the_temporary_role_is_in_no_log(server: Server, tmp_path: pathlib.Path) -> None:
    stored = take(server.engine(make_hostile(server, "hostile")), tmp_path / "backup")
    restore(server, "hostile_copy", order_of(stored))
    server.psql("DROP DATABASE hostile_copy")
    said = re.findall(r"CREATE ROLE \"holdfast_load_\w+\" LOGIN PASSWORD '([^']*)'", server.log())
    assert said and all(one.startswith("SCRAM-SHA-256$") for one in said)


@pytest.mark.parametrize("form", ["stream", "directory"])
def test_what_nobody_could_know_beforehand_is_loaded_again_as_superuser_with_one_line(
    server: Server, tmp_path: pathlib.Path, form: str
) -> None:
    make_hostile(server, "hostile")
    server.psql(
        "CREATE SCHEMA more AUTHORIZATION %s;"
        " CREATE FUNCTION more.sealed(t text) RETURNS boolean LANGUAGE sql IMMUTABLE LEAKPROOF AS 'SELECT t IS NULL';"
        " ALTER FUNCTION more.sealed OWNER TO %s" % (TENANT, TENANT),
        "hostile",
    )
    stored = take(server.engine("hostile", form=form, jobs=2), tmp_path / "backup")
    with pytest.raises(Refused, match="only superuser can define a leakproof function"):
        restore(server, "hostile_copy", order_of(stored), load_as="owner")
    assert trophies(server) == []
    done = restore(server, "hostile_copy", order_of(stored))
    (warning,) = done.loaded.warnings
    assert "leakproof" in warning and "runs with power over the whole server" in warning
    server.psql("DROP DATABASE hostile_copy")
    clear_trophies(server)


def test_an_owner_who_is_a_superuser_is_no_protection_and_that_is_said(server: Server, tmp_path: pathlib.Path) -> None:
    server.create_database("owned_by_power")
    server.psql("CREATE TABLE t AS SELECT 1 AS a", "owned_by_power")
    stored = take(server.engine("owned_by_power"), tmp_path / "backup")
    with pytest.raises(Refused, match="is a superuser or can become one"):
        restore(server, "copy", order_of(stored), load_as="owner")
    with pytest.raises(Refused, match="is a superuser or can become one"):
        restore(server, "copy", order_of(stored, is_foreign=True))
    done = restore(server, "copy", order_of(stored))
    assert "is a superuser or can become one" in done.loaded.warnings[0]
    server.psql("DROP DATABASE copy; DROP DATABASE owned_by_power")
