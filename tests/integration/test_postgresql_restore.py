"""A PostgreSQL backup comes back as it was, whatever its form, beside the live database and then in its place."""

from __future__ import annotations

import pathlib
import re
import subprocess
from dataclasses import replace

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.encodings import Identity
from integration.postgresql_everything import make_everything, make_tablespace
from integration.postgresql_meaning import (
    differences,
    differences_in_meaning,
    meaning_of_copy,
    meaning_of_original,
)
from integration.postgresql_restoring import order_of, restore
from integration.postgresql_support import (
    Park,
    Server,
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


def test_an_encrypted_backup_streams_back(server: Server, tmp_path: pathlib.Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["age-keygen", "-o", str(key)], check=True, capture_output=True)
    recipient = re.search(r"age1\w+", key.read_text())[0]
    source = make_everything(server, "everything")
    stored = take(server.engine(source), tmp_path / "backup", recipients=(recipient,))
    order = replace(order_of(stored), reader=stored.reader(Identity(file=str(key))))
    server.psql("DROP DATABASE IF EXISTS everything_copy WITH (FORCE)")
    assert restore(server, "everything_copy", order).differences == ()
    assert differences_in_meaning(server, source, server, "everything_copy") == []


def test_a_setting_that_forbids_writing_hinders_neither_loading_nor_the_next_restore(
    server: Server, tmp_path: pathlib.Path
) -> None:
    server.create_database("forbidding")
    server.psql("CREATE TABLE t AS SELECT 1 AS a", "forbidding")
    server.psql("ALTER DATABASE forbidding SET default_transaction_read_only = on")
    stored = take(server.engine("forbidding"), tmp_path / "backup")
    for _time in range(2):
        done = restore(server, "forbidding", order_of(stored, replaces=True))
        assert server.psql("SHOW default_transaction_read_only", "forbidding") == "on"
        server.engine("forbidding").drop_kept(done.swapped.kept)
    server.psql("DROP DATABASE forbidding")


# What a comparison must notice, each in a copy that is otherwise equal; rows are changed with triggers off.
CHANGES = {
    "a value": "SET session_replication_role = replica; UPDATE app.customers SET changed = changed + 1 WHERE id = 1010",
    "a missing row": "SET session_replication_role = replica; DELETE FROM app.measured_2026 WHERE n = 240",
    "the owner of a table": "ALTER TABLE app.orders OWNER TO postgres",
    "a privilege": 'REVOKE SELECT (email) ON app.customers FROM "Everything ""Hostile"" \'role\' ;--" CASCADE',
    "a comment": "COMMENT ON COLUMN app.customers.\"Full Name\" IS 'another'",
    "a default": "ALTER TABLE app.birds ALTER COLUMN name SET DEFAULT 'another'",
    "an index": "DROP INDEX app.orders_partial",
    "a trigger switched off": 'ALTER TABLE app.customers DISABLE TRIGGER "Count Changes"',
    "a policy": "ALTER POLICY own_rows ON app.customers TO PUBLIC",
    "a sequence": "SELECT setval('app.whole_numbers', 42)",
    "a large object": "SELECT lo_put(7000001, 0, 'x')",
    "who may read a large object": "REVOKE SELECT ON LARGE OBJECT 7000001 FROM everything_reader",
    "a setting": "ALTER DATABASE everything_copy SET work_mem = '8MB'",
    "a materialized view": "REFRESH MATERIALIZED VIEW app.not_populated",
}


def test_the_comparison_by_meaning_notices_each_kind_of_change(server: Server, tmp_path: pathlib.Path) -> None:
    source = make_everything(server, "everything")
    stored = take(server.engine(source), tmp_path / "backup")
    server.psql("DROP DATABASE IF EXISTS everything_copy WITH (FORCE)")
    restore(server, "everything_copy", order_of(stored))
    original, before = meaning_of_original(server, source), meaning_of_copy(server, "everything_copy")
    assert differences(original, before) == []
    unnoticed = []
    for what, change in CHANGES.items():
        server.psql("SET default_transaction_read_only = off; " + change, "everything_copy")
        after = meaning_of_copy(server, "everything_copy")
        if differences(original, after) == differences(original, before):
            unnoticed.append(what)
        before = after
    assert unnoticed == []
    server.psql("DROP DATABASE everything_copy")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'", "'Zürich'"),
        ("ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'", "E'\\\\374\\\\200'"),
        ("LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'", "'Zürich'"),
        ("LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk'", "'Zürich'"),
        ("TABLESPACE everything_space", "'Zürich'"),
    ],
)
def test_encoding_locale_and_tablespace_of_the_database_come_back(
    server: Server, tmp_path: pathlib.Path, options: str, text: str
) -> None:
    make_tablespace(server)
    server.psql("DROP DATABASE IF EXISTS located")
    server.psql("CREATE DATABASE located TEMPLATE template0 " + options)
    server.psql("CREATE TABLE t AS SELECT %s::text AS word" % text, "located")
    stored = take(server.engine("located"), tmp_path / "backup")
    done = restore(server, "located", order_of(stored, replaces=True))
    assert differences_in_meaning(server, done.swapped.kept, server, "located") == []
    server.psql('DROP DATABASE located; DROP DATABASE "%s"' % done.swapped.kept)
