"""Taking a PostgreSQL backup: one snapshot, all of it, from every server that the client fits."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.encodings import Identity
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.context import server_context
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.dump import dump
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.snapshot import (
    LockConflict,
    NoRoomForLocks,
    check_unmoved,
    exported_snapshot,
    inside,
)
from ansible_collections.holdfast.db.plugins.module_utils.errors import BadInput, Busy, Damaged, Refused, ToolFailed
from ansible_collections.holdfast.db.plugins.module_utils.model import Compression
from integration.postgresql_support import (
    MAJORS,
    Park,
    Server,
    Stored,
    client_majors,
    own_major,
    running_server,
    system_programs,
    take,
    writer_into,
)

pytestmark = pytest.mark.postgresql

SHOP = """
CREATE TABLE orders (id int PRIMARY KEY, note text);
INSERT INTO orders SELECT n, repeat('x', 50) FROM generate_series(1, 1000) AS n;
CREATE TABLE lines (id int, part int) PARTITION BY RANGE (part);
CREATE TABLE lines_1 PARTITION OF lines FOR VALUES FROM (0) TO (10);
CREATE TABLE lines_2 PARTITION OF lines FOR VALUES FROM (10) TO (20);
INSERT INTO lines SELECT n, n % 20 FROM generate_series(1, 100) AS n;
CREATE TABLE parent (a int);
CREATE TABLE child (b int) INHERITS (parent);
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (3, 3);
CREATE UNLOGGED TABLE cache (a int);
INSERT INTO cache VALUES (1);
CREATE TABLE nothing ();
CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders;
CREATE VIEW seen AS SELECT * FROM orders;
CREATE SEQUENCE numbers;
SELECT lo_from_bytea(4711, 'large');
"""


def entries(stored: Stored, kind: str) -> int:
    return sum(" %s " % kind in line for line in stored.text("contents").splitlines() if not line.startswith(";"))


@pytest.mark.parametrize("form", ["stream", "directory"])
def test_counts_every_table_by_itself(server: Server, database: str, tmp_path: pathlib.Path, form: str) -> None:
    server.psql(SHOP, database)
    stored = take(server.engine(database, form=form, jobs=2), tmp_path / "backup")
    assert stored.rows() == {
        "public.orders": 1000,
        "public.lines_1": 50,
        "public.lines_2": 50,
        "public.parent": 2,
        "public.child": 1,
        "public.cache": 1,
        "public.nothing": 0,
    }
    objects = dict(stored.taken.fingerprint.objects)
    assert objects["partitioned tables"] == 1
    assert objects["materialized views"] == 1
    assert objects["large objects"] == 1
    assert stored.taken.properties["dump"]["format"] == ("custom" if form == "stream" else "directory")
    assert stored.taken.client.version.split(".")[0] == str(own_major())
    assert server.engine(database).check_structure(*_as_published(stored, tmp_path))


@pytest.mark.parametrize("major", MAJORS)
def test_other_major_versions_are_taken_or_refused_by_name(park: Park, tmp_path: pathlib.Path, major: int) -> None:
    server = park.server(major)
    assert server.psql("SHOW server_version_num").startswith(str(major))
    database = server.create_database("shop")
    server.psql(SHOP, database)
    engine = server.engine(database)
    if major in client_majors():
        stored = take(engine, tmp_path / "backup")
        assert sum(stored.rows().values()) == 1104
        assert stored.taken.server.version.startswith(str(major))
        return
    with pytest.raises(
        Refused,
        match=r"server is PostgreSQL %d.*newest pg_dump.* is %d.*postgresql-client-%d" % (major, own_major(), major),
    ):
        engine.look()
    with pytest.raises(Refused, match="an older client cannot back up a newer server"):
        take(engine, tmp_path / "backup")


def test_an_empty_database_is_a_good_backup(server: Server, database: str, tmp_path: pathlib.Path) -> None:
    stored = take(server.engine(database), tmp_path / "backup")
    assert stored.taken.fingerprint.tables == ()
    assert server.engine(database).check_structure(*_as_published(stored, tmp_path))


def test_identity_is_the_servers_own(server: Server, database: str) -> None:
    facts = server.engine(database).look()
    assert facts.server.identity == server.psql("SELECT system_identifier FROM pg_control_system()")
    assert facts.logical_size > 1_000_000


REWRITES = {
    "truncated": "TRUNCATE busy; INSERT INTO busy SELECT generate_series(1, 500)",
    "retyped": "ALTER TABLE busy ALTER a TYPE bigint",
}


@pytest.mark.parametrize("form", ["stream", "directory"])
@pytest.mark.parametrize("rewrite", REWRITES)
def test_a_table_that_is_rewritten_while_we_wait_for_it_is_not_empty(
    server: Server, database: str, tmp_path: pathlib.Path, rewrite: str, form: str
) -> None:
    """A snapshot older than the lock would show the rewritten table without its rows."""
    server.psql("CREATE TABLE busy (a int); INSERT INTO busy SELECT generate_series(1, 500)", database)
    with in_transaction(server, database, REWRITES[rewrite], seconds=1):
        stored = take(server.engine(database, form=form, jobs=2), tmp_path / "backup")
    assert stored.rows() == {"public.busy": 500}
    assert dumped_rows(server, stored, "busy") == 500


def test_nothing_is_lost_under_steady_changes_of_shape(server: Server, database: str, tmp_path: pathlib.Path) -> None:
    server.psql("CREATE TABLE busy (a int); INSERT INTO busy SELECT generate_series(1, 500)", database)
    churn = """
        BEGIN; TRUNCATE busy; INSERT INTO busy SELECT generate_series(1, 500); COMMIT; SELECT pg_sleep(0.1);
        ALTER TABLE busy ALTER a TYPE bigint; ALTER TABLE busy ALTER a TYPE int; SELECT pg_sleep(0.2);
        CREATE TABLE passing (a int); SELECT pg_sleep(0.05); DROP TABLE passing;
    """
    with repeated(server, database, churn) as rounds:
        for number, form in enumerate(["stream", "directory", "stream"]):
            stored = take(server.engine(database, form=form, jobs=2), tmp_path / str(number))
            assert stored.rows()["public.busy"] == 500
            assert dumped_rows(server, stored, "busy") == 500
    assert rounds


def test_a_table_that_stays_locked_is_named(server: Server, database: str, tmp_path: pathlib.Path) -> None:
    server.psql("CREATE TABLE held (a int)", database)
    with in_transaction(server, database, "LOCK TABLE held IN ACCESS EXCLUSIVE MODE"):
        with pytest.raises(Busy, match=r'"public.held" by process \d+\).*lock_timeout \(0.3 s\)'):
            take(server.engine(database, lock_wait=0.3), tmp_path / "backup")


@pytest.mark.parametrize("form", ["stream", "directory"])
def test_a_statement_queued_between_our_locks_and_the_dumps_is_a_conflict_to_try_again(
    server: Server, database: str, tmp_path: pathlib.Path, form: str
) -> None:
    server.psql("CREATE TABLE busy (a int)", database)
    engine = server.engine(database, jobs=2, lock_wait=1)
    with (
        server_context(database, engine.settings, engine.processes) as context,
        exported_snapshot(context) as snapshot,
    ):
        queued = threading.Thread(target=server.psql, args=("ALTER TABLE busy ADD b int", database))
        queued.start()
        wait_until(lambda: server.psql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "1")
        (tmp_path / "backup").mkdir()
        with pytest.raises(LockConflict):
            dump(context, snapshot, writer_into(tmp_path / "backup"), form)
        assert os.listdir(tmp_path / "backup") == []
    queued.join()
    assert take(engine, tmp_path / "after").rows() == {"public.busy": 0}


def test_more_tables_than_the_server_has_locks_for_twice(tmp_path: pathlib.Path) -> None:
    """pg_dump alone fits into the server's table of locks; our own locks beside it do not."""
    tight = {"max_locks_per_transaction": "16", "max_connections": "40", "max_prepared_transactions": "0"}
    with running_server(system_programs()[own_major()], **tight) as server:
        server.create_database("many")
        server.psql("DO $$ BEGIN FOR n IN 1..1500 LOOP EXECUTE format('CREATE TABLE t%s (a int)', n);"
                    " IF n % 50 = 0 THEN COMMIT; END IF; END LOOP; END $$", "many")  # fmt: skip
        engine = server.engine("many")
        with server_context("many", engine.settings, engine.processes) as context:
            with exported_snapshot(context) as snapshot, pytest.raises(NoRoomForLocks):
                (tmp_path / "refused").mkdir()
                dump(context, snapshot, writer_into(tmp_path / "refused"), "stream")
        stored = take(engine, tmp_path / "backup")
        assert len(stored.rows()) == 1500


@pytest.mark.parametrize("rewrite", REWRITES)
def test_without_locks_of_our_own_a_rewritten_table_is_noticed(server: Server, database: str, rewrite: str) -> None:
    server.psql("CREATE TABLE busy (a int); INSERT INTO busy SELECT generate_series(1, 500)", database)
    engine = server.engine(database)
    with (
        server_context(database, engine.settings, engine.processes) as context,
        context.session() as session,
        exported_snapshot(context, holding=False) as snapshot,
    ):
        with inside(session, snapshot):
            check_unmoved(session, snapshot)
        server.psql(REWRITES[rewrite], database)
        with inside(session, snapshot):
            with pytest.raises(LockConflict, match=r'"public\.busy" was truncated or rewritten'):
                check_unmoved(session, snapshot)


def test_settings_of_role_and_database_do_not_reach_us(server: Server, database: str, tmp_path: pathlib.Path) -> None:
    """Timeouts that would kill, a search path with operators that lie, and formats that change what is written."""
    server.psql(
        """
        CREATE SCHEMA trap;
        CREATE FUNCTION trap.lie(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT false';
        CREATE OPERATOR trap.= (LEFTARG = name, RIGHTARG = name, FUNCTION = trap.lie);
        CREATE TABLE times (t timestamptz, f float8, i interval, b bytea);
        INSERT INTO times VALUES ('2026-11-20 01:02:03+00', 0.1::float8 + 0.2, '1 day 2 hours', '\\x00ff');
        CREATE TABLE big AS SELECT repeat(md5(n::text), 20) AS t FROM generate_series(1, 60000) AS n;
        """,
        database,
    )
    hostile = {
        "idle_in_transaction_session_timeout": "50ms",
        "idle_session_timeout": "50ms",
        "statement_timeout": "40ms",
        "lock_timeout": "1ms",
        "search_path": "trap, pg_catalog",
        "default_transaction_read_only": "on",
        "default_transaction_isolation": "serializable",
        "DateStyle": "German",
        "TimeZone": "Asia/Kolkata",
        "extra_float_digits": "-5",
        "bytea_output": "escape",
        "IntervalStyle": "sql_standard",
        "standard_conforming_strings": "off",
        "row_security": "on",
        "client_encoding": "LATIN1",
    }
    for name, value in hostile.items():
        server.psql(
            "SET default_transaction_read_only = off; ALTER DATABASE \"%s\" SET %s TO '%s'"
            % (database, name, value.replace(", ", "','"))
        )
    stored = take(server.engine(database, form="stream"), tmp_path / "backup")
    assert stored.rows() == {"public.times": 1, "public.big": 60000}
    recorded = {row["name"]: row["value"] for row in json.loads(stored.text("settings"))["settings"]}
    assert recorded["search_path"] == "trap, pg_catalog"
    text = plain(server, stored, "--data-only", "--table=times")
    assert "2026-11-20 01:02:03+00\t0.30000000000000004\t1 day 02:00:00\t\\\\x00ff" in text


def test_holdfasts_own_settings_are_not_recorded(server: Server, database: str, tmp_path: pathlib.Path) -> None:
    server.psql(
        "ALTER DATABASE \"%s\" SET holdfast.restored TO '{}'; ALTER DATABASE \"%s\" SET work_mem TO '5MB'"
        % (database, database)
    )
    stored = take(server.engine(database), tmp_path / "backup")
    assert [row["name"] for row in stored.taken.properties["settings"]] == ["work_mem"]
    assert "holdfast" not in stored.text("properties")


# Output that is not a backup although the tool says that it went well -------------------------------------------


@pytest.mark.parametrize("form", ["stream", "directory"])
@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ('exec "$REAL" "$@" --schema-only', 'lacks "rows of public.orders"'),
        ('exec "$REAL" "$@" --exclude-table=public.orders', 'lacks "public.orders"'),
        ("exit 0", "pg_restore failed|no objects"),
        ('"$REAL" "$@"; exit 3', "exit status 3"),
        ("kill -9 $$", "signal 9"),
    ],
)
def test_a_dump_that_is_none_fails(
    server: Server, database: str, tmp_path: pathlib.Path, form: str, script: str, sentence: str
) -> None:
    server.psql("CREATE TABLE orders (a int); INSERT INTO orders VALUES (1); CREATE TABLE others ()", database)
    with tools(server, pg_dump=script) as directory, pytest.raises(ToolFailed, match=sentence):
        take(server.engine(database, tools=directory, form=form), tmp_path / "backup")


@pytest.mark.parametrize("form", ["stream", "directory"])
def test_a_dump_that_takes_too_long_is_ended(server: Server, database: str, tmp_path: pathlib.Path, form: str) -> None:
    with tools(server, pg_dump="sleep 60") as directory:
        began = time.monotonic()
        with pytest.raises(ToolFailed, match=r"limit of 0\.5 s"):
            take(server.engine(database, tools=directory, form=form, time_limit=0.5), tmp_path / "backup")
        assert time.monotonic() - began < 20


@pytest.mark.parametrize("form", ["stream", "directory"])
def test_a_shortened_dump_fails_its_structure_check(
    server: Server, database: str, tmp_path: pathlib.Path, form: str
) -> None:
    server.psql("CREATE TABLE orders AS SELECT md5(n::text) FROM generate_series(1, 20000) AS n", database)
    stored = take(server.engine(database, form=form), tmp_path / "backup")
    victim = tmp_path / "backup/dump.pgdump.zst"
    if form == "directory":
        victim = max((tmp_path / "backup/dump").glob("*.gz"), key=os.path.getsize)
    whole = victim.read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:-40] + bytes(20) + whole[-20:]):
        victim.write_bytes(broken)
        with pytest.raises(Damaged, match="dump"):
            server.engine(database).check_structure(*_as_published(stored, tmp_path))


def test_the_dump_of_another_moment_fails_the_structure_check(
    server: Server, database: str, tmp_path: pathlib.Path
) -> None:
    server.psql("CREATE TABLE one (a int)", database)
    first = take(server.engine(database), tmp_path / "first")
    server.psql("DROP TABLE one; CREATE TABLE two (a int)", database)
    take(server.engine(database), tmp_path / "second")
    (tmp_path / "second/dump.pgdump.zst").rename(tmp_path / "first/dump.pgdump.zst")
    with pytest.raises(Damaged, match="table of contents"):
        server.engine(database).check_structure(*_as_published(first, tmp_path))


def test_encrypted_dumps_are_streams_and_are_read_back(server: Server, database: str, tmp_path: pathlib.Path) -> None:
    server.psql(SHOP, database)
    key = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    recipient = key.split("public key: ")[1].split()[0]
    with pytest.raises(BadInput, match="cannot be encrypted"):
        take(server.engine(database, form="directory"), tmp_path / "refused", recipients=(recipient,))
    stored = take(server.engine(database, jobs=4), tmp_path / "backup", recipients=(recipient,))
    assert {artifact.encoding[-1] for artifact in stored.taken.artifacts} == {"age"}
    identity = Identity(key=key.splitlines()[-1])
    assert server.engine(database).check_structure(*_as_published(stored, tmp_path, identity))


@pytest.mark.parametrize("form", ["stream", "directory"])
def test_without_compression(server: Server, database: str, tmp_path: pathlib.Path, form: str) -> None:
    server.psql(SHOP, database)
    stored = take(server.engine(database, form=form), tmp_path / "backup", compression=Compression("none"))
    assert stored.taken.properties["dump"]["compression"] == "none"
    assert stored.taken.artifacts[0].encoding == ()
    assert server.engine(database).check_structure(*_as_published(stored, tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small file system")
@pytest.mark.parametrize("form", ["stream", "directory"])
def test_a_full_disk_is_named(server: Server, database: str, tmp_path: pathlib.Path, form: str) -> None:
    server.psql(
        "CREATE TABLE big AS SELECT md5(n::text) || md5((-n)::text) FROM generate_series(1, 200000) AS n", database
    )
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(small)], check=True)
    try:
        with pytest.raises(ToolFailed, match=r"[Nn]o space left"):
            take(server.engine(database, form=form), small / "backup")
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


KILLED = """
import json
import pathlib, sys
sys.path[:0] = %r
from integration.postgresql_support import Server, Programs, take, newest_clients
server = Server(Programs("", 0, {}), pathlib.Path(%r), newest_clients())
take(server.engine(%r, form=%r, jobs=2, tools=%r), pathlib.Path(%r))
"""


@pytest.mark.parametrize("form", ["stream", "directory"])
def test_nothing_goes_on_in_the_server_after_we_were_killed(
    server: Server, database: str, tmp_path: pathlib.Path, form: str
) -> None:
    # Two tables that each take a worker many seconds to read.
    server.psql(
        "CREATE TABLE one AS SELECT repeat('x', 1000) FROM generate_series(1, 400000);"
        "CREATE TABLE two AS SELECT * FROM one",
        database,
    )
    paths = [path for path in sys.path if path]
    with tools(server, pg_dump='exec nice -n 19 "$REAL" "$@"') as directory:
        script = KILLED % (paths, str(server.base), database, form, directory, str(tmp_path / "backup"))
        program = subprocess.Popen([sys.executable, "-c", script])
        ours = "SELECT count(*) FROM pg_stat_activity WHERE datname = '%s' AND application_name = 'holdfast'" % database
        copying = ours + " AND query LIKE 'COPY%'"
        wait_until(lambda: int(server.psql(copying)) >= (2 if form == "directory" else 1))
        program.kill()
        program.wait()
        wait_until(lambda: server.psql(ours) == "0")


def test_what_a_dump_leaves_out_is_said(server: Server, database: str, tmp_path: pathlib.Path) -> None:
    server.psql(
        """
        CREATE EXTENSION postgres_fdw;
        CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw;
        CREATE FOREIGN TABLE far (a int) SERVER away;
        CREATE TABLE twice (a int); INSERT INTO twice VALUES (1), (1);
        """,
        database,
    )
    server.psql("CREATE UNIQUE INDEX CONCURRENTLY broken ON twice (a)", database, check=False)
    stored = take(server.engine(database), tmp_path / "backup")
    assert any('not in the backup: "public.far"' in warning for warning in stored.taken.warnings)
    assert any('"public.broken"' in warning for warning in stored.taken.warnings)
    assert stored.rows() == {"public.twice": 2}
    assert "indexes" not in stored.taken.fingerprint.objects


def test_a_standby_can_be_backed_up_without_its_unlogged_rows(
    server: Server, database: str, tmp_path: pathlib.Path
) -> None:
    server.psql(SHOP, database)
    with server.standby() as standby:
        reached = "SELECT pg_last_wal_replay_lsn() >= '%s'" % server.psql("SELECT pg_current_wal_lsn()")
        wait_until(lambda: standby.psql(reached) == "t")
        stored = take(standby.engine(database, form="directory", jobs=2), tmp_path / "backup")
    assert sum(stored.rows().values()) == 1103
    assert "public.cache" not in stored.rows()
    assert any("standby" in warning and '"public.cache"' in warning for warning in stored.taken.warnings)
    assert stored.taken.server.identity == server.psql("SELECT system_identifier FROM pg_control_system()")


def test_a_broken_block_fails_the_backup_and_is_named(server: Server, database: str, tmp_path: pathlib.Path) -> None:
    server.psql("CREATE TABLE broken AS SELECT n FROM generate_series(1, 5000) AS n; CHECKPOINT", database)
    file = server.data / server.psql("SELECT pg_relation_filepath('broken')", database)
    with open(file, "r+b") as table:
        table.seek(8192)
        table.write(b"\xff" * 8192)
    server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'" % database)
    server.control("restart", "-m", "fast")
    for form in ("stream", "directory"):
        with pytest.raises(ToolFailed, match="invalid page in block 1"):
            take(server.engine(database, form=form, jobs=2), tmp_path / form)


def test_look_writes_nothing(server: Server, database: str) -> None:
    next_transaction = "SELECT txid_snapshot_xmax(txid_current_snapshot())"
    before = server.psql(next_transaction, database)
    server.engine(database).look()
    assert server.psql(next_transaction, database) == before


# Helpers ---------------------------------------------------------------------------------------------------------


def _as_published(stored: Stored, tmp_path: pathlib.Path, identity: Identity | None = None) -> tuple:
    return stored.manifest(), stored.reader(identity), stored.workspace(tmp_path)


def plain(server: Server, stored: Stored, *options: str) -> str:
    """The SQL that pg_restore makes of a stream."""
    reader = stored.reader()
    artifact = stored.taken.artifacts[0]
    if artifact.kind == "directory":
        return subprocess.run(
            [server.client("pg_restore"), "-f", "-", *options, "%s/%s" % (stored.folder.path, artifact.name)],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    with reader.plain(artifact) as (descriptor, commands):
        native = reader.processes.feed(commands, descriptor)
    return subprocess.run(
        [server.client("pg_restore"), "-f", "-", *options], input=native, capture_output=True, check=True
    ).stdout.decode()


def dumped_rows(server: Server, stored: Stored, table: str) -> int:
    text = plain(server, stored, "--data-only", "--table=" + table)
    return len(text.partition("FROM stdin;\n")[2].partition("\\.\n")[0].splitlines())


@contextmanager
def repeated(server: Server, database: str, sql: str) -> Iterator[list[int]]:
    """Run ``sql`` again and again while the block lasts; gives the list of rounds done."""
    done, rounds = threading.Event(), []

    def churn() -> None:
        while not done.is_set():
            server.psql(sql, database)
            rounds.append(1)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        yield rounds
    finally:
        done.set()
        thread.join()


@contextmanager
def in_transaction(server: Server, database: str, sql: str, seconds: float = 60) -> Iterator[None]:
    """A transaction that has run ``sql`` and commits after ``seconds``, or is ended with the block."""
    script = "SET application_name = 'holder'; BEGIN; %s; SELECT pg_sleep(%g); COMMIT" % (sql, seconds)
    holding = threading.Thread(target=server.psql, args=(script, database), kwargs={"check": False})
    holding.start()
    holder = "FROM pg_stat_activity WHERE application_name = 'holder'"
    wait_until(lambda: server.psql("SELECT count(*) %s AND query LIKE '%%pg_sleep%%'" % holder) == "1")
    try:
        yield
    finally:
        server.psql("SELECT pg_terminate_backend(pid) " + holder)
        holding.join()


def wait_until(condition: object, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


@contextmanager
def tools(server: Server, **scripts: str) -> Iterator[str]:
    """A directory with the real client programs, some of them behind a script that knows the real one as $REAL."""
    directory = server.base / "tools"
    directory.mkdir(exist_ok=True)
    for tool in ("psql", "pg_dump", "pg_restore"):
        real = server.client(tool)
        script = 'case "$1" in --version) exec "$REAL" "$@";; esac\n' + scripts.get(tool, 'exec "$REAL" "$@"')
        (directory / tool).write_text("#!/bin/sh\nREAL=%s\n%s\n" % (real, script))
        (directory / tool).chmod(0o755)
    yield str(directory)
