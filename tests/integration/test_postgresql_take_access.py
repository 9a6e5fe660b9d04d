"""Who reaches a PostgreSQL server and how: secrets, accounts, rights, names that break careless quoting."""

from __future__ import annotations

import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import BadInput, HoldfastError, NotFound, Refused
from ansible_collections.holdfast.db.plugins.module_utils.model import Compression, Connection
from integration.postgresql_support import (
    Server,
    account_name,
    own_major,
    restore_by_hand,
    running_server,
    system_programs,
    take,
)

pytestmark = pytest.mark.postgresql

PASSWORD = r"geheim: a\b'c\"d:é%$HOME"
SCRAM = "local all all scram-sha-256\n"
HOSTILE = [
    "host=evil dbname=postgres",
    "-d",
    "postgresql://evil/x",
    "with space",
    "quote'single",
    'quote"double',
    "back\\slash",
    "line\nbreak",
    "übermäßig",
    "数据库",
    "$(touch /tmp/owned)",
    "semi;colon--",
    ":name",
    "%s%d",
    "x" * 63,
    "ü" * 31,
]


def one_line(error: pytest.ExceptionInfo[HoldfastError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert PASSWORD not in text
    return text


# Secrets ---------------------------------------------------------------------------------------------------------


@pytest.fixture(name="locked")
def locked_fixture(server: Server, database: str) -> Iterator[Connection]:
    """A connection of a superuser who must give a password."""
    server.psql(
        "DROP ROLE IF EXISTS keeper; CREATE ROLE keeper SUPERUSER LOGIN PASSWORD '%s'" % PASSWORD.replace("'", "''")
    )
    server.psql("CREATE TABLE t AS SELECT 1 AS a", database)
    with server.hba(SCRAM):
        yield replace(server.connection, user="keeper")


def test_a_password_reaches_the_tools_and_nobody_else(
    server: Server, database: str, locked: Connection, tmp_path: pathlib.Path
) -> None:
    connection = replace(locked, password=PASSWORD)
    with seen_by_tools(server) as (tools, seen):
        for form in ("stream", "directory"):
            stored = take(server.engine(database, connection, tools=tools, form=form, jobs=2), tmp_path / form)
            assert stored.rows() == {"public.t": 1}
    text = "".join(file.read_bytes().decode("utf-8", "surrogateescape") for file in seen.iterdir())
    assert "PGPASSFILE=/proc/self/fd/" in text
    assert "pg_dump" in text
    for part in (PASSWORD, "geheim"):
        assert part not in text
        assert part not in repr(stored.taken)
    for artifact in stored.taken.artifacts:
        if artifact.kind == "file":
            assert "geheim" not in stored.reader().text(artifact)


def test_a_password_file_is_read_by_us(
    server: Server, database: str, locked: Connection, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    file.chmod(0o600)
    connection = replace(locked, password_file=str(file))
    assert server.engine(database, connection).look().client.tool == "pg_dump"
    file.chmod(0o644)
    with pytest.raises(BadInput, match=r"can be read by other users \(mode 0644\); run chmod 0600") as error:
        server.engine(database, connection).look()
    one_line(error)
    file.chmod(0o600)
    file.write_text("")
    with pytest.raises(BadInput, match="is empty"):
        server.engine(database, connection).look()
    with pytest.raises(BadInput, match="No such file"):
        server.engine(database, replace(locked, password_file=str(tmp_path / "nothing"))).look()


def test_a_password_file_in_the_format_of_libpq_is_taken_as_it_is(
    server: Server, database: str, locked: Connection, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "pgpass"
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    file.write_text("# ours\nelsewhere:5432:*:keeper:wrong\n*:*:*:keeper:%s\n" % escaped)
    file.chmod(0o600)
    connection = replace(locked, password_file=str(file))
    assert server.engine(database, connection).look().client.tool == "pg_dump"
    file.write_text("*:*:*:somebody else:%s\n" % escaped)
    with pytest.raises(Refused, match="password"):
        server.engine(database, connection).look()


def test_wrong_and_missing_passwords_are_named(server: Server, database: str, locked: Connection) -> None:
    with pytest.raises(Refused, match=r'password was not accepted.*as user "keeper"') as error:
        server.engine(database, replace(locked, password="wrong" + PASSWORD)).look()
    one_line(error)
    with pytest.raises(Refused, match="login_password") as error:
        server.engine(database, locked).look()
    one_line(error)
    with pytest.raises(BadInput, match="line break"):
        server.engine(database, replace(locked, password="two\nlines")).look()


def test_a_service_file_is_used_and_what_is_named_wins_over_it(
    server: Server, database: str, locked: Connection, tmp_path: pathlib.Path
) -> None:
    """A service may name a database and options of its own, which must not replace the ones that were asked for."""
    file = tmp_path / "services"
    file.write_text("[shop]\nhost=%s\nuser=keeper\ndbname=postgres\noptions=-c row_security=on\n" % server.socket)
    file.chmod(0o600)
    connection = Connection(service="shop", service_file=str(file), password=PASSWORD)
    assert take(server.engine(database, connection), tmp_path / "backup").rows() == {"public.t": 1}
    with pytest.raises(Refused, match='service "nothing"'):
        server.engine(database, replace(connection, service="nothing")).look()


def test_variables_of_the_environment_do_not_matter(
    server: Server, database: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.psql("CREATE TABLE t ()", database)
    for name, value in {
        "PGHOST": "evil.invalid",
        "PGDATABASE": "postgres",
        "PGUSER": "nobody",
        "PGOPTIONS": "-c row_security=on",
        "PGSERVICE": "evil",
        "PSQLRC": "/nonexistent",
        "PGPASSWORD": "geheim",
    }.items():
        monkeypatch.setenv(name, value)
    assert take(server.engine(database), tmp_path / "backup").rows() == {"public.t": 0}


def test_a_client_key_that_only_we_may_read_opens_the_door(tmp_path: pathlib.Path) -> None:
    """Over TLS with a certificate: libpq takes the key only from a file that its own user alone may read."""
    certificate(tmp_path, "server", account_name())
    certificate(tmp_path, "client", account_name())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = {"listen_addresses": "127.0.0.1", "port": str(port)}
    with running_server(system_programs()[own_major()], **configuration) as server:
        connection = Connection(host="127.0.0.1", port=port, user=account_name())
        for name in ("server.crt", "server.key", "client.crt"):
            shutil.copy(tmp_path / name, server.data / name)
            (server.data / name).chmod(0o600)
            server.hand_over(server.data / name)
        with open(server.data / "pg_hba.conf", "a") as file:
            file.write("hostssl all all 127.0.0.1/32 cert\n")
        for setting in ("ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'", "ssl_ca_file = 'client.crt'"):
            server.psql("ALTER SYSTEM SET " + setting, port=port)
        server.psql("ALTER SYSTEM SET ssl = on", port=port)
        server.control("reload")
        with pytest.raises(Refused, match="certificate"):
            server.engine("postgres", connection).look()
        tls = replace(
            connection,
            ssl_mode="verify-ca",
            ca_cert=str(tmp_path / "server.crt"),
            client_cert=str(tmp_path / "client.crt"),
            client_key=str(tmp_path / "client.key"),
        )
        for form in ("stream", "directory"):
            assert take(server.engine("postgres", tls, form=form, jobs=2), tmp_path / form).taken.server.identity


# Where nothing answers -------------------------------------------------------------------------------------------


def test_what_cannot_be_reached_is_named_in_one_sentence(server: Server, database: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(NotFound, match='There is no database "missing" on the server at socket directory') as error:
        server.engine("missing").look()
    one_line(error)
    for connection, words in {
        Connection(unix_socket="/tmp/nowhere"): "Nothing answers at the server at socket directory",
        Connection(host="127.0.0.1", port=1): 'Nothing answers at the server at host "127.0.0.1", port 1',
        Connection(host="no-such-host.invalid"): 'Nothing answers at the server at host "no-such-host.invalid"',
        replace(server.connection, user="stranger"): 'role "stranger" does not exist',
    }.items():
        with pytest.raises(Refused, match=re.escape(words)) as error:
            server.engine(database, connection).look()
        one_line(error)
    with pytest.raises(Refused, match="no usable pg_dump, pg_restore and psql"):
        server.engine(database, tools=str(tmp_path)).look()


def test_programs_run_as_the_owner_of_the_socket_and_never_as_root(server: Server, database: str) -> None:
    with seen_by_tools(server) as (tools, seen):
        server.engine(database, tools=tools).look()
    owner = pwd.getpwnam(account_name())
    assert owner.pw_uid != 0
    assert {file.stat().st_uid for file in seen.iterdir()} == {owner.pw_uid}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_peer_authentication_as_root(server: Server, database: str) -> None:
    with server.hba("local all all reject\n"):
        assert server.engine(database).look().server.identity


def test_a_server_that_keeps_its_identity_to_itself_has_none(server: Server, database: str, reader: Connection) -> None:
    server.psql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC", database)
    assert server.engine(database, reader).look().server.identity is None


# Rights ----------------------------------------------------------------------------------------------------------

HIDDEN = {
    "a table": ("CREATE TABLE secret (a int)", 'no SELECT on the tables "public.secret"'),
    "a partition": (
        "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p DEFAULT;"
        "GRANT SELECT ON p TO reader",
        'no SELECT on the tables "public.p1"',
    ),
    "one column": ("CREATE TABLE c (a int, b int); GRANT SELECT (a) ON c TO reader", '"public.c"'),
    "a schema": (
        "CREATE SCHEMA vault; CREATE TABLE vault.t (); GRANT SELECT ON vault.t TO reader",
        'no USAGE on the schemas "vault"',
    ),
    "a sequence": ("CREATE SEQUENCE numbers", 'no SELECT on the sequences "public.numbers"'),
    "a large object": ("SELECT lo_create(4711)", 'no SELECT on the large objects "4711"'),
    "rows": (
        "CREATE TABLE r (a int); GRANT SELECT ON r TO reader; ALTER TABLE r ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY partly ON r TO reader USING (a > 1)",
        'row security hides rows of the tables "public.r"',
    ),
    "options of a user mapping": (
        "CREATE EXTENSION postgres_fdw; CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw;"
        "CREATE USER MAPPING FOR PUBLIC SERVER away OPTIONS (password 'geheim')",
        'the options of the user mappings are hidden "public on away"',
    ),
    "a subscription": (
        "CREATE SUBSCRIPTION follow CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false)",
        'only a superuser dumps the subscriptions "follow"',
    ),
    "many tables": (
        "DO $$ BEGIN FOR n IN 1..20 LOOP EXECUTE format('CREATE TABLE many_%s ()', n); END LOOP; END $$",
        '"public.many_1", .* and 15 more',
    ),
}


@pytest.fixture(name="reader")
def reader_fixture(server: Server, database: str) -> Iterator[Connection]:
    """A user who may log in and read one table."""
    server.psql("CREATE ROLE reader LOGIN")
    server.psql("CREATE TABLE open (a int); INSERT INTO open VALUES (1); GRANT SELECT ON open TO reader", database)
    yield replace(server.connection, user="reader")
    for statement in ("ALTER SUBSCRIPTION follow SET (slot_name = NONE)", "DROP SUBSCRIPTION follow"):
        server.psql(statement, database, check=False)
    server.psql("DROP OWNED BY reader CASCADE", database)
    server.psql("DROP ROLE reader")


def test_a_user_who_may_read_all_takes_a_whole_backup(
    server: Server, database: str, reader: Connection, tmp_path: pathlib.Path
) -> None:
    server.psql(
        "CREATE SEQUENCE s; GRANT SELECT ON s TO reader; SELECT lo_create(1); GRANT SELECT ON LARGE OBJECT 1 TO reader",
        database,
    )
    stored = take(server.engine(database, reader), tmp_path / "backup")
    assert stored.rows() == {"public.open": 1}
    assert stored.taken.fingerprint.objects["large objects"] == 1


@pytest.mark.parametrize("what", HIDDEN)
@pytest.mark.parametrize("reads_all_data", [False, True])
def test_what_a_user_may_not_read_fails_and_is_named(
    server: Server, database: str, reader: Connection, tmp_path: pathlib.Path, what: str, reads_all_data: bool
) -> None:
    sql, words = HIDDEN[what]
    server.psql(sql, database)
    if reads_all_data:
        if server.major < 14 or what not in ("a large object", "rows", "options of a user mapping", "a subscription"):
            return
        server.psql("GRANT pg_read_all_data TO reader")
    engine = server.engine(database, reader)
    with pytest.raises(Refused, match=words) as error:
        engine.look()
    one_line(error)
    with pytest.raises(Refused, match=words):
        take(engine, tmp_path / "backup")
    assert os.listdir(tmp_path / "backup") == []


# Names, and restoring by hand --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_any_name_is_taken_and_restored_by_hand(
    server: Server, elsewhere: Server, tmp_path: pathlib.Path, name: str
) -> None:
    quoted = '"%s"' % name.replace('"', '""')
    role = '"%s"' % ("r " + name)[:60].replace('"', '""')
    text = "'%s'" % name.replace("'", "''")
    server.psql("CREATE ROLE %s LOGIN CONNECTION LIMIT 3" % role)
    server.create_database(name, "OWNER %s" % role)
    server.psql(
        f"""
        SET ROLE {role}; CREATE SCHEMA {quoted}; CREATE TABLE {quoted}.{quoted} ({quoted} text);
        INSERT INTO {quoted}.{quoted} VALUES ({text}), (NULL); COMMENT ON TABLE {quoted}.{quoted} IS {text};
        """,
        name,
    )
    server.psql(f"COMMENT ON DATABASE {quoted} IS {text}; ALTER DATABASE {quoted} SET work_mem TO '7MB'")
    server.psql(
        f"REVOKE CONNECT ON DATABASE {quoted} FROM PUBLIC;"
        f"ALTER ROLE {role} IN DATABASE {quoted} SET search_path TO {quoted}, public"
    )
    try:
        stored = take(server.engine(name), tmp_path / "backup")
        assert stored.taken.fingerprint.tables[0].rows == 2
        assert stored.taken.fingerprint.tables[0].name == name
        assert server.engine(name).check_structure(stored.manifest(), stored.reader(), stored.workspace(tmp_path))
        restore_by_hand(elsewhere, stored)
        assert described(elsewhere, name) == described(server, name)
        copied = f"SELECT {quoted} IS NULL, {quoted} FROM {quoted}.{quoted} ORDER BY 1"
        assert elsewhere.psql(copied, name) == server.psql(copied, name)
    finally:
        for one in (server, elsewhere):
            one.psql("DROP DATABASE IF EXISTS %s" % quoted)
            one.psql("DROP ROLE IF EXISTS %s" % role)
    assert not os.path.exists("/tmp/owned")


@pytest.mark.parametrize(("encoding", "letter"), [("SQL_ASCII", b"\xff"), ("LATIN1", b"\xfc"), ("UTF8", b"\xc3\xbc")])
def test_names_in_any_encoding(
    server: Server, elsewhere: Server, tmp_path: pathlib.Path, encoding: str, letter: bytes
) -> None:
    """A database without an encoding may hold bytes that are no text at all."""
    name = letter.decode("utf-8", "surrogateescape")
    database = server.create_database("encoded", "ENCODING '%s' LOCALE 'C' TEMPLATE template0" % encoding)
    sql = "SET client_encoding = '%s'; CREATE TABLE \"%s\" (a text); INSERT INTO \"%s\" VALUES ('%s')"
    server.psql(sql % (encoding, name, name, name), database)
    elsewhere.psql("DROP DATABASE IF EXISTS encoded")
    for form in ("stream", "directory"):
        stored = take(server.engine(database, form=form), tmp_path / form)
        assert stored.taken.fingerprint.tables[0].name == (letter.decode("latin-1") if encoding == "LATIN1" else name)
        assert server.engine(database).check_structure(stored.manifest(), stored.reader(), stored.workspace(tmp_path))
    restore_by_hand(elsewhere, stored)
    restored = take(elsewhere.engine(database), tmp_path / "again")
    assert restored.taken.fingerprint == stored.taken.fingerprint


def test_directories_are_restored_by_hand(
    server: Server, elsewhere: Server, database: str, tmp_path: pathlib.Path
) -> None:
    server.psql("CREATE TABLE t AS SELECT generate_series(1, 100) AS a", database)
    stored = take(server.engine(database, form="directory"), tmp_path / "backup")
    subprocess.run(["sha256sum", "-c", "--quiet", "dump.sha256"], cwd=tmp_path / "backup", check=True)
    restore_by_hand(elsewhere, stored)
    assert elsewhere.psql("SELECT count(*) FROM t", database) == "100"


@pytest.mark.parametrize("kind", ["encrypted", "uncompressed"])
def test_other_streams_are_restored_by_hand(
    server: Server, elsewhere: Server, database: str, tmp_path: pathlib.Path, age_key: tuple[str, str], kind: str
) -> None:
    server.psql("CREATE TABLE t AS SELECT generate_series(1, 100) AS a", database)
    recipient, identity = age_key
    compression = Compression("none" if kind == "uncompressed" else "zstd")
    recipients = (recipient,) if kind == "encrypted" else ()
    stored = take(server.engine(database), tmp_path / "backup", compression=compression, recipients=recipients)
    shutil.copy(identity, tmp_path / "backup/KEY")
    elsewhere.psql('DROP DATABASE IF EXISTS "%s"' % database)
    restore_by_hand(elsewhere, stored)
    assert elsewhere.psql("SELECT count(*) FROM t", database) == "100"


def test_roles_come_back_as_they_were(server: Server, elsewhere: Server, database: str, tmp_path: pathlib.Path) -> None:
    """Owners, grantees, policy roles, roles with settings here, their groups and their members; and nobody else."""
    server.psql(
        r"""
        CREATE ROLE hf_owner NOLOGIN; CREATE ROLE hf_group NOINHERIT CREATEDB;
        CREATE ROLE hf_member LOGIN PASSWORD 'geheim' VALID UNTIL '2030-01-02 03:04:05+00'; GRANT hf_owner TO hf_member;
        GRANT hf_group TO hf_owner WITH ADMIN OPTION; GRANT pg_monitor TO hf_owner;
        CREATE ROLE hf_grantee; CREATE ROLE hf_policy; CREATE ROLE hf_default; CREATE ROLE hf_setting;
        CREATE ROLE hf_stranger;
        ALTER ROLE hf_owner SET search_path TO "$user", 'Mixed Case', public; ALTER ROLE hf_owner SET work_mem TO '6MB';
        COMMENT ON ROLE hf_owner IS E'two\nlines ''quoted''';
        """
    )
    server.psql("ALTER ROLE hf_setting IN DATABASE \"%s\" SET work_mem TO '8MB'" % database)
    server.psql(
        """
        CREATE TABLE t (a int); ALTER TABLE t OWNER TO hf_owner; GRANT SELECT (a) ON t TO hf_grantee;
        CREATE POLICY p ON t TO hf_policy USING (true);
        ALTER DEFAULT PRIVILEGES FOR ROLE hf_owner GRANT SELECT ON TABLES TO hf_default;
        """,
        database,
    )
    listed = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'hf\\_%' ORDER BY 1"
    about = """
        SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolconnlimit, rolvaliduntil,
        rolconfig, shobj_description(oid, 'pg_authid'),
        ARRAY(SELECT m.roleid::regrole || ' ' || m.admin_option FROM pg_auth_members AS m
         WHERE m.member = r.oid ORDER BY 1)
        FROM pg_roles AS r WHERE rolname LIKE 'hf\\_%' AND rolname <> 'hf_stranger' ORDER BY 1
    """
    try:
        stored = take(server.engine(database), tmp_path / "backup")
        assert "geheim" not in stored.text("roles") and "SCRAM" not in stored.text("roles")
        restore_by_hand(elsewhere, stored)
        assert elsewhere.psql(about) == server.psql(about)
        assert "hf_stranger" not in elsewhere.psql(listed)
        assert elsewhere.psql(listed).count("\n") == 6
        # Once more over roles that are there and were changed meanwhile: they stay as they are.
        elsewhere.psql('ALTER ROLE hf_group NOCREATEDB; DROP DATABASE "%s"' % database)
        restore_by_hand(elsewhere, stored)
        assert elsewhere.psql("SELECT rolcreatedb FROM pg_roles WHERE rolname = 'hf_group'") == "f"
    finally:
        for one in (server, elsewhere):
            one.psql('DROP DATABASE IF EXISTS "%s"' % database)
            one.psql("DROP ROLE IF EXISTS %s" % ", ".join(one.psql(listed).split() or ["nobody_at_all"]))


# Helpers ---------------------------------------------------------------------------------------------------------


@pytest.fixture(name="elsewhere", scope="module")
def elsewhere_fixture(server: Server) -> Iterator[Server]:
    """Another server of the same version, where backups are restored by hand."""
    with running_server(system_programs()[server.major]) as other:
        yield other


def certificate(place: pathlib.Path, name: str, subject: str) -> None:
    """A certificate that vouches for itself, and its key."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + subject,
         "-keyout", str(place / (name + ".key")), "-out", str(place / (name + ".crt"))],
        check=True, capture_output=True,
    )  # fmt: skip


def described(server: Server, name: str) -> str:
    """The properties of a database, as text that does not depend on its server."""
    text = "'%s'" % name.replace("'", "''")
    return server.psql(
        f"""
        SELECT pg_get_userbyid(d.datdba), pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit,
        datistemplate, shobj_description(d.oid, 'pg_database'),
        (SELECT json_agg(row_to_json(s)) FROM (
         SELECT pg_get_userbyid(grantor) AS by,
         CASE grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(grantee) END AS to, privilege_type, is_grantable
         FROM aclexplode(datacl) ORDER BY 1, 2, 3) AS s),
        (SELECT json_agg(row_to_json(s)) FROM (
         SELECT CASE setrole WHEN 0 THEN 'all' ELSE pg_get_userbyid(setrole) END AS who, setconfig
         FROM pg_db_role_setting WHERE setdatabase = d.oid ORDER BY 1) AS s)
        FROM pg_database AS d WHERE datname = {text}
        """
    )


@contextmanager
def seen_by_tools(server: Server) -> Iterator[tuple[str, pathlib.Path]]:
    """Client programs that write down their arguments and environment before they do their work; and where."""
    directory, seen = server.base / "watched", server.base / "seen"
    shutil.rmtree(seen, ignore_errors=True)
    directory.mkdir(exist_ok=True)
    seen.mkdir()
    seen.chmod(0o777)
    for tool in ("psql", "pg_dump", "pg_restore"):
        (directory / tool).write_text(
            "#!/bin/sh\n"
            '{ echo "$0"; for word; do echo "$word"; done; cat /proc/self/environ; } > %s/%s-$$\n'
            'exec %s "$@"\n' % (seen, tool, server.client(tool))
        )
        (directory / tool).chmod(0o755)
    yield str(directory), seen
