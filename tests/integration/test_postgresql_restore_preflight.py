"""What a restore refuses before it makes anything, and what it says it will do."""

from __future__ import annotations

import pathlib
from dataclasses import replace

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.engines.base import LoadOrder
from ansible_collections.holdfast.db.plugins.module_utils.errors import Refused
from ansible_collections.holdfast.db.plugins.module_utils.model import Connection
from ansible_collections.holdfast.db.plugins.module_utils.model import Server as ServerFacts
from integration.postgresql_everything import TABLESPACE, make_everything
from integration.postgresql_meaning import differences_in_meaning
from integration.postgresql_restoring import leftovers, order_of, restore
from integration.postgresql_support import (
    MAJORS,
    Park,
    Server,
    client_majors,
    own_major,
    take,
)

pytestmark = pytest.mark.postgresql
STATE = (
    "SELECT md5(string_agg(one, '|' ORDER BY one)) FROM ("
    " SELECT d::text FROM pg_database AS d UNION ALL SELECT r::text FROM pg_roles AS r"
    " UNION ALL SELECT s::text FROM pg_db_role_setting AS s UNION ALL SELECT m::text FROM pg_auth_members AS m"
    " UNION ALL SELECT c.description FROM pg_shdescription AS c) AS state (one)"
)


@pytest.fixture(name="order")
def order_fixture(server: Server, tmp_path: pathlib.Path) -> LoadOrder:
    server.create_database("looked_at")
    server.psql("CREATE TABLE t AS SELECT 1 AS a", "looked_at")
    yield order_of(take(server.engine("looked_at"), tmp_path / "backup"))
    server.psql("DROP DATABASE looked_at WITH (FORCE)")


def with_manifest(order: LoadOrder, **about: object) -> LoadOrder:
    return replace(order, manifest=replace(order.manifest, **about))


def with_properties(order: LoadOrder, **about: object) -> LoadOrder:
    return with_manifest(order, properties=dict(order.manifest.properties, **about))


def test_looking_writes_nothing(server: Server, order: LoadOrder) -> None:
    before = server.psql(STATE)
    engine = server.engine("looked_at")
    assert engine.target().is_empty is False
    engine.preflight(replace(order, replaces=True))
    server.engine("not there").preflight(order)
    assert server.psql(STATE) == before


def test_the_target_is_described(server: Server, order: LoadOrder) -> None:
    absent = server.engine("not there").target()
    assert (absent.exists, absent.is_empty, absent.display) == (False, True, "not there")
    server.create_database("empty_one")
    empty = server.engine("empty_one").target()
    assert (empty.exists, empty.is_empty, empty.marker) == (True, True, None)
    assert empty.identity == absent.identity == order.manifest.server.identity
    assert empty.size > 0
    server.psql("CREATE SCHEMA only_this", "empty_one")
    assert server.engine("empty_one").target().is_empty is False
    server.psql("DROP DATABASE empty_one")


def test_what_template1_gives_to_every_database_does_not_count(server: Server) -> None:
    server.psql("CREATE TABLE from_template (a integer)", "template1")
    try:
        server.create_database("templated")
        assert server.engine("templated").target().is_empty is True
        server.psql("CREATE TABLE own (a integer)", "templated")
        assert server.engine("templated").target().is_empty is False
    finally:
        server.psql("DROP TABLE from_template", "template1")
        server.psql("DROP DATABASE IF EXISTS templated")


def test_an_older_server_than_the_source_is_refused(server: Server, order: LoadOrder) -> None:
    newer = with_manifest(order, server=ServerFacts("19.1", order.manifest.server.identity))
    with pytest.raises(Refused, match=r"comes from PostgreSQL 19\.1 and this server is"):
        server.engine("looked_at").preflight(newer)


def test_templates_are_never_replaced(server: Server, order: LoadOrder) -> None:
    server.create_database("pattern", "IS_TEMPLATE true")
    for name in ("template1", "pattern"):
        with pytest.raises(Refused, match="is a template"):
            server.engine(name).preflight(replace(order, replaces=True))
    server.psql("ALTER DATABASE pattern IS_TEMPLATE false")
    server.engine("pattern").preflight(replace(order, replaces=True))
    server.psql("DROP DATABASE pattern")


def test_missing_extensions_are_named(server: Server, order: LoadOrder) -> None:
    row = {
        "name": "postgis",
        "version": "3.4",
        "schema": "public",
        "owner": "postgres",
        "superuser": True,
        "trusted": False,
    }
    with pytest.raises(Refused, match='extensions that the database uses: "postgis"'):
        server.engine("looked_at").preflight(with_properties(order, extensions=[row]))


def test_another_version_of_an_extension_is_worth_a_line(server: Server, order: LoadOrder) -> None:
    row = {"name": "plpgsql", "version": "0.9", "schema": "pg_catalog", "owner": "postgres"}
    warnings = server.engine("looked_at").preflight(with_properties(order, extensions=[row]))
    assert any("plpgsql" in one and "0.9" in one for one in warnings)


def test_missing_tablespaces_are_named(server: Server, order: LoadOrder) -> None:
    with pytest.raises(Refused, match='tablespaces that the database uses: "fast disks"'):
        server.engine("looked_at").preflight(with_properties(order, tablespaces=["fast disks"]))


def test_a_missing_locale_is_named(server: Server, order: LoadOrder) -> None:
    with pytest.raises(Refused, match=r'does not have the locale "xx_YY\.UTF-8"'):
        server.engine("looked_at").preflight(with_properties(order, collate="xx_YY.UTF-8"))


def test_no_room_is_refused_before_anything_starts(server: Server, order: LoadOrder) -> None:
    with pytest.raises(Refused, match="make room"):
        server.engine("looked_at").preflight(with_manifest(order, logical_size=1 << 60))


def test_a_user_who_may_not_create_databases_is_told_so(server: Server, order: LoadOrder) -> None:
    server.psql("DROP ROLE IF EXISTS modest; CREATE ROLE modest LOGIN")
    connection = Connection(unix_socket=server.socket, user="modest")
    with pytest.raises(Refused, match="grant CREATEDB"):
        server.engine("looked_at", connection).preflight(order)
    server.psql("DROP ROLE modest")


def test_an_owner_without_power_restores_a_database_of_their_own(server: Server, tmp_path: pathlib.Path) -> None:
    if server.major < 15:
        pytest.skip("before 15 only a superuser may keep the marker")
    server.psql(
        "DROP DATABASE IF EXISTS own WITH (FORCE); DROP ROLE IF EXISTS builder; CREATE ROLE builder LOGIN CREATEDB"
    )
    server.create_database("own", "OWNER builder")
    server.psql("CREATE TABLE t AS SELECT 1 AS a; ALTER TABLE t OWNER TO builder", "own")
    connection = Connection(unix_socket=server.socket, user="builder")
    stored = take(server.engine("own", connection), tmp_path / "backup")
    with pytest.raises(Refused, match=r"GRANT SET ON PARAMETER holdfast\.restored, ") as refusal:
        server.engine("own", connection).preflight(order_of(stored, replaces=True))
    server.psql(str(refusal.value).partition("let one run: ")[2].rstrip("."))
    done = restore(server, "own", order_of(stored, replaces=True), connection=connection)
    assert done.differences == ()
    assert leftovers(server) == []
    assert differences_in_meaning(server, done.swapped.kept, server, "own") == []
    server.psql('DROP DATABASE own; DROP DATABASE "%s"; DROP OWNED BY builder; DROP ROLE builder' % done.swapped.kept)


@pytest.mark.skipif(len(client_majors()) < 2, reason="needs a second major version that the installed client can dump")
def test_another_servers_roles_come_without_power_and_the_database_with_its_meaning(
    park: Park, tmp_path: pathlib.Path
) -> None:
    old, new = park.server(client_majors()[0]), park.server(own_major())
    for server in (old, new):
        server.psql("DROP DATABASE IF EXISTS travelled WITH (FORCE)")
        server.psql("DROP ROLE IF EXISTS far_owner; DROP ROLE IF EXISTS far_admin; DROP ROLE IF EXISTS far_reader")
    old.psql(
        "CREATE ROLE far_owner LOGIN; CREATE ROLE far_admin LOGIN CREATEROLE CREATEDB; CREATE ROLE far_reader;"
        " GRANT far_reader TO far_admin; GRANT pg_read_all_settings TO far_reader;"
        " ALTER ROLE far_admin SET search_path = x; ALTER ROLE far_admin SET log_statement = 'none'"
    )
    old.create_database("travelled", "OWNER far_owner")
    old.psql(
        "CREATE TABLE t AS SELECT i AS a FROM generate_series(1, 100) AS i; ALTER TABLE t OWNER TO far_owner;"
        " GRANT SELECT ON t TO far_reader, far_admin",
        "travelled",
    )
    old.psql("ALTER DATABASE travelled SET work_mem = '9MB'; ALTER DATABASE travelled SET log_statement = 'none'")
    stored = take(old.engine("travelled"), tmp_path / "backup")
    done = restore(new, "travelled", order_of(stored, is_foreign=True))
    assert new.psql("SHOW work_mem; SHOW log_statement", "travelled").split() == ["9MB", "ddl"]
    assert "log_statement" in " ".join(done.swapped.warnings)
    said = " ".join(done.loaded.warnings)
    assert "far_owner" in said and "passwords" in said and "pg_read_all_settings" in said
    about = "SELECT rolcreaterole, rolcreatedb, rolcanlogin FROM pg_roles WHERE rolname = 'far_admin'"
    assert new.psql(about) == "f|f|t"
    settings = "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'far_admin'::regrole"
    assert new.psql(settings) == "{search_path=x}"
    assert new.psql("SELECT pg_has_role('far_admin', 'far_reader', 'MEMBER')") == "t"
    assert new.psql("SELECT pg_has_role('far_reader', 'pg_read_all_settings', 'MEMBER')") == "f"
    assert leftovers(new) == []
    assert new.psql("SELECT count(*) FROM t", "travelled", user="far_owner") == "100"
    for server in (old, new):
        server.psql("DROP DATABASE travelled; DROP ROLE far_owner; DROP ROLE far_admin; DROP ROLE far_reader")


@pytest.mark.skipif(len(client_majors()) < 2, reason="needs a second major version that the installed client can dump")
def test_everything_travels_to_a_newer_server_when_a_superuser_is_asked_for(park: Park, tmp_path: pathlib.Path) -> None:
    old, new = park.server(client_majors()[-2]), park.server(own_major())
    make_everything(new, "everything")
    source = make_everything(old, "everything")
    stored = take(old.engine(source), tmp_path / "backup")
    new.psql("DROP DATABASE IF EXISTS travelled WITH (FORCE)")
    done = restore(new, "travelled", order_of(stored, is_foreign=True), load_as="superuser")
    assert done.differences == ()
    assert TABLESPACE in stored.manifest().properties["tablespaces"]
    new.psql("DROP DATABASE travelled")


def test_clients_older_than_the_server_are_refused_by_name(park: Park, server: Server, order: LoadOrder) -> None:
    newer = own_major() + 1
    if newer not in MAJORS:
        pytest.skip("the installed clients are of the newest version that there is")
    with pytest.raises(Refused, match="of version %d or newer" % newer):
        park.server(newer).engine("looked_at", load_as="superuser").preflight(replace(order, is_foreign=True))
