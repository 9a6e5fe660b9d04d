"""Which client programs fit which server."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.clients import (
    ClientPrograms,
    fitting_client,
    installed_clients,
)
from ansible_collections.holdfast.db.plugins.module_utils.errors import Refused
from ansible_collections.holdfast.db.plugins.module_utils.pipeline import Processes


def programs(*versions: str) -> list[ClientPrograms]:
    return [
        ClientPrograms("/clients/" + version, *(int(part) for part in version.split(".")), version)
        for version in versions
    ]


@pytest.mark.parametrize(
    ("server", "chosen"),
    [(150004, "15.9"), (140001, "15.9"), (160000, "17.2"), (170009, "17.2"), (130000, "13.1")],
)
def test_the_same_major_version_else_the_nearest_newer(server: int, chosen: str) -> None:
    assert fitting_client(programs("13.1", "15.4", "15.9", "17.2"), server).version == chosen


def test_an_older_client_is_refused_with_the_package_to_install() -> None:
    with pytest.raises(Refused) as error:
        fitting_client(programs("13.1", "15.4"), 170002)
    for words in ("PostgreSQL 17.2", "pg_dump on this host is 15.4", '"/clients/15.4"', "postgresql-client-17"):
        assert words in str(error.value)


def test_servers_that_are_too_old_are_refused() -> None:
    with pytest.raises(Refused, match="PostgreSQL 12, and versions before 13 are not supported"):
        fitting_client(programs("15.4"), 120009)


def install(place: pathlib.Path, version: str, tools: tuple[str, ...] = ("pg_dump", "pg_restore", "psql")) -> str:
    place.mkdir()
    for tool in tools:
        (place / tool).write_text("#!/bin/sh\necho '%s (PostgreSQL) %s'\n" % (tool, version))
        (place / tool).chmod(0o755)
    return str(place)


@pytest.mark.parametrize(
    ("version", "major", "minor"),
    [("15.18 (Debian 15.18-0+deb12u1)", 15, 18), ("18beta1", 18, 0), ("16devel", 16, 0), ("13.3", 13, 3)],
)
def test_versions_are_read_as_the_programs_say_them(
    tmp_path: pathlib.Path, version: str, major: int, minor: int
) -> None:
    (found,) = installed_clients(install(tmp_path / "bin", version), Processes(), None)
    assert (found.major, found.minor) == (major, minor)
    assert found.version == version.split()[0]


def test_a_named_directory_must_hold_all_programs(tmp_path: pathlib.Path) -> None:
    directory = install(tmp_path / "bin", "15.4", ("pg_dump", "psql"))
    with pytest.raises(Refused, match="no usable pg_dump, pg_restore and psql"):
        installed_clients(directory, Processes(), None)


def test_path_is_searched_and_debians_wrapper_is_not_used(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = install(tmp_path / "own", "99.1")
    wrapped = tmp_path / "wrapped"
    install(wrapped, "98.1")
    (wrapped / "pg_dump").rename(wrapped / "pg_wrapper")
    (wrapped / "pg_dump").symlink_to("pg_wrapper")
    monkeypatch.setenv("PATH", "%s:%s:/usr/bin:/bin" % (wrapped, own))
    found = {client.major: client.directory for client in installed_clients(None, Processes(), None)}
    assert found[99] == own
    assert 98 not in found
