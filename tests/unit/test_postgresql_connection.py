"""From a connection value to what PostgreSQL's programs are given."""

from __future__ import annotations

import os
import pathlib
import pwd

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.connection import opened
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.session import identifier, literal
from ansible_collections.holdfast.db.plugins.module_utils.errors import BadInput
from ansible_collections.holdfast.db.plugins.module_utils.model import Connection


def test_names_are_quoted_and_can_break_nothing() -> None:
    with opened(Connection(unix_socket="/run/pg")) as access:
        conninfo = access.conninfo("host=evil 'x\\y")
    assert conninfo.endswith(r"dbname='host=evil \'x\\y'")
    assert conninfo.startswith("host='/run/pg' ")
    assert identifier('a"b', "c.d") == '"a""b"."c.d"'
    assert literal("it's \\ :x") == "'it''s \\ :x'"


@pytest.mark.parametrize("quote", [literal, identifier])
def test_a_nul_byte_is_refused(quote: object) -> None:
    with pytest.raises(BadInput, match="NUL"):
        quote("a\0b")


def test_what_is_given_travels_as_keywords_and_nothing_else_does() -> None:
    given = Connection(host="db.example", port=5433, user="app", ssl_mode="verify-full", ca_cert="system")
    with opened(given) as access:
        words = dict(access.keywords)
        assert set(access.environment) == {"PGCONNECT_TIMEOUT"}
    assert words.pop("application_name") == "holdfast"
    assert "-c row_security=off" in words.pop("options")
    assert words == {
        "host": "db.example",
        "port": "5433",
        "user": "app",
        "sslmode": "verify-full",
        "sslrootcert": "system",
    }


def test_another_user_may_be_named_for_one_connection() -> None:
    with opened(Connection(user="app")) as access:
        assert "user='it\\'s'" in access.conninfo("x", user="it's")
        assert "user='app'" in access.conninfo("x")


@pytest.mark.parametrize("password", ["plain", "a:b", "a\\b", "a\\:b", "ü é", " spaces "])
def test_a_password_lies_in_a_nameless_file_in_the_form_of_pgpass(password: str) -> None:
    with opened(Connection(password=password)) as access:
        path = access.environment["PGPASSFILE"]
        with open(path, encoding="utf-8") as file:
            line = file.read()
        assert line == "*:*:*:*:%s\n" % password.replace("\\", "\\\\").replace(":", "\\:")
        status = os.stat(path)
        assert status.st_mode & 0o777 == 0o600
        assert access.secrets == (password,)
        assert password not in repr(access)
        descriptor = access.descriptors[0]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_files_are_handed_over_where_the_programs_could_not_read_them(tmp_path: pathlib.Path) -> None:
    key = tmp_path / "client.key"
    key.write_text("a key")
    key.chmod(0o600)
    with opened(Connection(client_key=str(key))) as access:
        path = access.keywords["sslkey"]
        with open(path, encoding="utf-8") as file:
            assert file.read() == "a key"
        assert (path == str(key)) == (os.geteuid() != 0)
    with pytest.raises(BadInput, match="client key"), opened(Connection(client_key=str(tmp_path / "none"))):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses another user")
def test_root_becomes_somebody_else(tmp_path: pathlib.Path) -> None:
    for connection in (Connection(), Connection(host="db.example", password="x"), Connection(service="shop")):
        with opened(connection) as access:
            assert access.account is not None
            assert access.account.uid != 0
            assert access.account.name in ("postgres", "nobody", pwd.getpwuid(access.account.uid).pw_name)


def test_a_service_file_that_cannot_be_read_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BadInput, match="service file"):
        with opened(Connection(service="shop", service_file=str(tmp_path / "none"))):
            pass
