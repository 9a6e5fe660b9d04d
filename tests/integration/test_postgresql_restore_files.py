"""Dumps made elsewhere: every form of pg_dump, packed or not, and what must never come of a file."""

from __future__ import annotations

import gzip
import os
import pathlib
import shutil
import subprocess

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import BadInput, HoldfastError, Refused
from integration.postgresql_hostile import TENANT, make_hostile, trophies
from integration.postgresql_meaning import differences_in_meaning, rows
from integration.postgresql_restoring import leftovers, order_of_file, restore
from integration.postgresql_support import (
    Server,
    run,
)

pytestmark = pytest.mark.postgresql
COPY = "from_a_file"


@pytest.fixture(autouse=True)
def nothing_is_left(server: Server):
    server.psql("DROP ROLE IF EXISTS file_owner; CREATE ROLE file_owner LOGIN")
    server.create_database(COPY, "OWNER file_owner")
    yield
    assert leftovers(server) == []
    assert trophies(server) == []
    for kept in server.engine(COPY).kept():
        server.engine(COPY).drop_kept(kept.name)
    server.psql("DROP DATABASE IF EXISTS %s WITH (FORCE); DROP ROLE file_owner" % COPY)


@pytest.fixture(name="source")
def source_fixture(server: Server):
    name = server.create_database("made_elsewhere")
    server.psql(
        "CREATE TABLE things AS SELECT i AS id, E'\\\\restrict x' || chr(13) || i AS t"
        " FROM generate_series(1, 500) AS i;"
        " CREATE TABLE odd (t text); INSERT INTO odd VALUES (E'\\restrict abc'), (E'\\r'), (NULL);"
        " SELECT lo_from_bytea(71, 'large')",
        name,
    )
    yield name
    server.psql("DROP DATABASE made_elsewhere WITH (FORCE)")


def dumped(server: Server, database: str, place: pathlib.Path, *options: str) -> pathlib.Path:
    """A dump that pg_dump made by itself, where the server's account may write, then ours."""
    made = server.base / "elsewhere.dump"
    run(server.client("pg_dump"), "-h", server.socket, "-d", database, "-f", str(made), *options)
    ours = place / "elsewhere"
    shutil.move(made, ours)
    for path in [ours, *ours.rglob("*")]:
        os.chown(path, os.geteuid(), os.getegid())
        path.chmod(0o700 if path.is_dir() else 0o600)
    return ours


def packed(path: pathlib.Path, kind: str) -> pathlib.Path:
    if kind == "gz":
        path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes()))
    elif kind == "zst":
        subprocess.run(["zstd", "-q", str(path), "-o", str(path.with_suffix(".zst"))], check=True)
    return path.with_suffix("." + kind) if kind else path


@pytest.mark.parametrize(
    ("form", "kind"), [("custom", ""), ("custom", "zst"), ("tar", ""), ("tar", "gz"), ("plain", ""), ("plain", "gz")]
)
def test_each_form_comes_back_with_the_rights_of_the_targets_owner(
    server: Server, source: str, tmp_path: pathlib.Path, form: str, kind: str
) -> None:
    options = ["--format=" + form] + (["--no-owner"] if form == "plain" else [])
    path = packed(dumped(server, source, tmp_path, *options), kind)
    done = restore(server, COPY, order_of_file(path, replaces=True))
    assert done.warnings == ()
    assert rows(server, source) == rows(server, COPY)
    assert server.psql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'", COPY) == "file_owner"
    assert server.psql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '%s'" % COPY) == "file_owner"


def test_a_directory_comes_back(server: Server, source: str, tmp_path: pathlib.Path) -> None:
    path = dumped(server, source, tmp_path, "--format=directory")
    restore(server, COPY, order_of_file(path, replaces=True))
    assert rows(server, source) == rows(server, COPY)


def test_as_superuser_owners_come_back_too(server: Server, source: str, tmp_path: pathlib.Path) -> None:
    path = dumped(server, source, tmp_path, "--format=custom")
    restore(server, COPY, order_of_file(path, replaces=True), load_as="superuser")
    found = differences_in_meaning(server, source, server, COPY)
    # The database's own properties are those of the database that was there, not of the file.
    assert [one for one in found if not one.startswith("property ")] == []


def test_the_properties_of_the_replaced_database_stay(server: Server, source: str, tmp_path: pathlib.Path) -> None:
    server.psql("ALTER DATABASE %s SET search_path = a, \"B\"; COMMENT ON DATABASE %s IS 'mine'" % (COPY, COPY))
    path = dumped(server, source, tmp_path, "--format=custom")
    restore(server, COPY, order_of_file(path, replaces=True))
    assert server.psql("SHOW search_path", COPY) == 'a, "B"'
    assert (
        server.psql("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '%s'" % COPY)
        == "mine"
    )


def test_a_file_for_a_new_database_needs_an_owner_or_a_superuser(
    server: Server, source: str, tmp_path: pathlib.Path
) -> None:
    path = dumped(server, source, tmp_path, "--format=custom")
    with pytest.raises(Refused, match="load_as: superuser"):
        restore(server, "nobodys", order_of_file(path))
    restore(server, "nobodys", order_of_file(path), load_as="superuser")
    server.psql("DROP DATABASE nobodys")


@pytest.mark.parametrize(
    "command",
    [
        "\\! touch {flag}",
        "\\o {flag}",
        "\\copy (SELECT 1) TO '{flag}'",
        "SELECT 1 \\g {flag}",
        "\\connect postgres",
        "\\i {flag}",
        "\\unrestrict x",
        "SELECT 'touch {flag}' \\gexec",
        "COPY (SELECT 1) TO PROGRAM 'touch {flag}';",
        "COPY (SELECT 1) TO '{flag}';",
    ],
)
def test_sql_text_cannot_reach_outside_of_its_database(server: Server, tmp_path: pathlib.Path, command: str) -> None:
    flag = server.base / "flag"
    path = tmp_path / "hostile.sql"
    path.write_text("CREATE TABLE t (i int);\n%s\nCREATE TABLE u (i int);\n" % command.format(flag=flag))
    with pytest.raises(HoldfastError):
        restore(server, COPY, order_of_file(path, replaces=True))
    assert not flag.exists()
    assert server.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", COPY) == "0"
    assert server.psql("SELECT count(*) FROM pg_tables WHERE tablename IN ('t', 'u')") == "0"


def test_hostile_objects_in_a_file_win_nothing(server: Server, tmp_path: pathlib.Path) -> None:
    path = dumped(server, make_hostile(server, "hostile"), tmp_path, "--format=custom")
    restore(server, COPY, order_of_file(path, replaces=True))
    assert server.psql("SELECT count(*) FROM checked", COPY) == "2"
    server.psql("DROP DATABASE hostile; DROP ROLE %s" % TENANT)


@pytest.mark.parametrize("options", [("--create",), ("--create", "--clean")])
def test_sql_that_makes_its_own_database_is_refused(
    server: Server, source: str, tmp_path: pathlib.Path, options: tuple[str, ...]
) -> None:
    path = dumped(server, source, tmp_path, *options)
    with pytest.raises(Refused, match="make it without --create"):
        server.engine(COPY).preflight(order_of_file(path))


def test_a_dump_of_a_whole_server_is_refused(server: Server, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "all.sql"
    path.write_text(run(server.client("pg_dumpall"), "-h", server.socket))
    with pytest.raises(Refused, match="pg_dumpall"):
        server.engine(COPY).preflight(order_of_file(path))


@pytest.mark.parametrize("form", ["custom", "tar", "plain"])
@pytest.mark.parametrize("kind", ["", "gz"])
def test_a_file_that_was_cut_off_is_a_failure(
    server: Server, source: str, tmp_path: pathlib.Path, form: str, kind: str
) -> None:
    path = packed(dumped(server, source, tmp_path, "--format=" + form, "--no-owner"), kind)
    os.truncate(path, path.stat().st_size * 2 // 3)
    with pytest.raises(HoldfastError):
        restore(server, COPY, order_of_file(path, replaces=True))
    assert server.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", COPY) == "0"
    assert server.engine(COPY).target().marker is None


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "is empty"),
        (b"\0\1\2\3" * 100, "no dump of PostgreSQL"),
        (b"-- only a remark\n", "nothing came of it"),
        (b"PGDMP garbage", "cannot be read"),
        (b"BZh91AY&SY", "packed with bzip2"),
    ],
)
def test_what_is_no_dump_is_named(server: Server, tmp_path: pathlib.Path, content: bytes, error: str) -> None:
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(HoldfastError, match=error):
        restore(server, COPY, order_of_file(path, replaces=True))


def test_a_directory_without_a_table_of_contents_is_named(server: Server, tmp_path: pathlib.Path) -> None:
    with pytest.raises(BadInput, match="holds no toc"):
        server.engine(COPY).preflight(order_of_file(tmp_path))
