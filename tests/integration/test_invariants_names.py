# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that break careless code go round the whole circle, and nothing outside of the repository is touched."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import HoldfastError, NotFound
from integration.circle_support import Circle, PostgresqlCircle, SqliteCircle, one_sentence
from integration.postgresql_support import Server
from playing import tree

HOSTILE = [
    "../x",
    "../../../../tmp/holdfast-owned",
    "..",
    ".",
    "a b\tc",
    'it\'s "quoted" `and` more',
    "two\nlines\r\n",
    "ünïcödé 数据库 🦆",
    "ü" * 64,
    "-rf",
    "--help",
    "100%s %n %00",
    "$(touch /tmp/holdfast-owned)",
    "; touch /tmp/holdfast-owned; :",
    "| touch /tmp/holdfast-owned",
    "{{ 1 }}",
    "back\\slash",
    "~root",
    "dbname=postgres host=evil",
    "20261120T063000Z-3f9a1c",
    "attempts",
]


# These in every run: a path, quotes, lines, letters beyond ASCII, an option, a command, a connection string.
OFTEN = (0, 5, 6, 7, 10, 12, 18)


def each_database() -> list:
    """Names that a PostgreSQL database may have."""
    fitting = [(number, name) for number, name in enumerate(HOSTILE) if len(name.encode()) <= 63]
    return [pytest.param(name, marks=[] if number in OFTEN else [pytest.mark.soak]) for number, name in fitting]


@pytest.fixture(autouse=True)
def nothing_owned() -> Iterator[None]:
    """What the names would do if anybody ran them."""
    yield
    assert not os.path.exists("/tmp/holdfast-owned")


def in_the_world(circle: Circle) -> dict[str, tuple]:
    """Everything around the circle but its repository."""
    outside = (str(circle.repository), str(circle.space), str(circle.home / "live"))
    # The folder that holds them all changes when one of them is made.
    found = {path: about for path, about in tree(circle.home).items() if not path.startswith(outside)}
    found.pop(str(circle.home))
    return found


def go_round(circle: Circle, **names: str) -> None:
    """Create, list, verify, restore in both ways, prune and remove, all under these names."""
    before = in_the_world(circle)
    rows = circle.word()
    made = circle.create(**names)
    assert made.entry.is_good
    host, policy = names.get("host", "db1"), names.get("policy", "shop")
    (listed,) = circle.entries()
    assert (listed.source.host, listed.source.policy, listed.source.database) == (host, policy, circle.database)
    (report,) = circle.verify().reports
    assert (report.problem, report.strength) == (None, "structure")
    circle.change("live")
    assert circle.restore(**names).changed
    assert circle.word() == rows
    assert circle.restore(target=circle.copy, strategy="new", **names).changed
    assert circle.word(circle.copy) == rows
    circle.drop(circle.copy)
    circle.create(**names)
    pruned = circle.prune(1)
    assert [len(one.removed) for one in pruned.sources if one.source.policy == policy] == [1]
    assert len([path for path in circle.repository.iterdir() if path.is_dir()]) == 1
    assert circle.unfinished() == []
    assert in_the_world(circle) == before


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_a_host_and_a_policy_of_that_name(tmp_path: pathlib.Path, name: str) -> None:
    """For SQLite the name is a path, so it must begin with a slash; the rest of it may be anything."""
    circle = SqliteCircle(tmp_path, rows=10)
    place = tmp_path / "live"
    inside = name.replace("/", "_")[:60] + "x"
    os.rename(circle.database, place / inside)
    for suffix in ("-wal", "-shm"):
        pathlib.Path(circle.database + suffix).unlink(missing_ok=True)
    circle.database, circle.copy = str(place / inside), str(place / ("copy " + inside))
    go_round(circle, host=name, policy=name)


@pytest.mark.postgresql
@pytest.mark.parametrize("name", each_database())
def test_a_database_a_host_and_a_policy_of_that_name(tmp_path: pathlib.Path, server: Server, name: str) -> None:
    server.psql("DROP DATABASE IF EXISTS %s WITH (FORCE)" % quoted(name))
    circle = PostgresqlCircle(tmp_path, server, rows=10)
    server.psql("ALTER DATABASE circle_shop RENAME TO %s" % quoted(name))
    circle.database = name
    try:
        go_round(circle, host=name, policy=name)
    finally:
        for one in [*circle.kept(), name]:
            server.psql("DROP DATABASE IF EXISTS %s WITH (FORCE)" % quoted(one))


@pytest.mark.postgresql
def test_a_name_that_the_server_would_cut_is_no_other_database(tmp_path: pathlib.Path, server: Server) -> None:
    """The server cuts names at 63 bytes, and so a name that is too long would lead to another database."""
    cut = "y" * 63
    circle = PostgresqlCircle(tmp_path, server, rows=10, database="circle_shop")
    server.psql('DROP DATABASE IF EXISTS "%s"' % cut)
    server.psql('ALTER DATABASE circle_shop RENAME TO "%s"' % cut)
    try:
        circle.database = cut
        circle.create()
        circle.change("live")
        for do in (
            circle.create,
            circle.restore,
            lambda: circle.restore(target=cut + "y", strategy="new", confirm=cut + "y"),
        ):
            circle.database = cut + "y"
            with pytest.raises(HoldfastError) as caught:
                do()
            one_sentence(caught.value)
        circle.database = cut
        assert circle.word() == "live"
        assert len(circle.good()) == 1
    finally:
        server.psql('DROP DATABASE "%s"' % cut)


def test_what_can_be_no_name(circle: Circle) -> None:
    circle.create()
    before = tree(circle.repository)
    for where in ("host", "policy", "database"):
        for name in ("", "a\0b"):
            for do in (circle.create, circle.restore):
                with pytest.raises(HoldfastError) as caught:
                    do(**{where: name})
                one_sentence(caught.value)
    assert tree(circle.repository) == before


def test_an_id_that_is_none(circle: Circle) -> None:
    circle.create()
    before = tree(circle.repository)
    for backup_id in ("../../etc", "", ".", "/", "a\nb", "20261120T063000Z-3f9a1c/..", "-", "x" * 5000):
        with pytest.raises(NotFound) as caught:
            circle.restore(backup=backup_id)
        one_sentence(caught.value)
        with pytest.raises(HoldfastError) as caught:
            circle.verify(backup=backup_id)
        one_sentence(caught.value)
    assert tree(circle.repository) == before


def quoted(name: str) -> str:
    return '"%s"' % name.replace('"', '""')
