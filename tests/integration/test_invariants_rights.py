# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may not read or reach fails the backup in one sentence; nothing is skipped and nothing published."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import HoldfastError
from integration.circle_support import PostgresqlCircle, one_sentence
from integration.postgresql_support import Server

pytestmark = pytest.mark.postgresql
LIMITED = "circle_limited"
PASSWORD = "a pass:word\\ with 'everything'"
MAY_READ = f"GRANT USAGE ON SCHEMA public TO {LIMITED}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {LIMITED}"


@pytest.fixture(name="shop")
def shop_fixture(server: Server, tmp_path: pathlib.Path) -> Iterator[PostgresqlCircle]:
    circle = PostgresqlCircle(tmp_path, server, rows=100)
    server.psql("DROP ROLE IF EXISTS %s" % LIMITED)
    server.psql("CREATE ROLE %s LOGIN PASSWORD '%s'" % (LIMITED, PASSWORD.replace("'", "''")))
    circle.execute(MAY_READ)
    circle.create()
    yield circle
    circle.remove()
    server.psql("DROP ROLE %s" % LIMITED)


def connection(shop: PostgresqlCircle, **more: Any) -> dict[str, Any]:
    return {"connection": {"unix_socket": shop.server.socket, "user": LIMITED, **more}}


def assert_refused(shop: PostgresqlCircle, how: dict[str, Any], *words: str) -> None:
    """Check mode and the real run say the same; the try is recorded, and the backup before it stays the only one."""
    good, sentences = shop.good(), []
    for predict in (True, False):
        with pytest.raises(HoldfastError) as caught:
            shop.create(predict=predict, **how)
        sentences.append(one_sentence(caught.value))
        assert PASSWORD not in sentences[-1]
    for word in words:
        assert word in sentences[1], sentences
    assert shop.good() == good
    assert [entry.problem for entry in shop.entries() if entry.status == "failed"] == [sentences[1]]
    assert sentences[0] == sentences[1]
    assert shop.unfinished() == []


def test_one_who_may_read_everything_is_not_refused(shop: PostgresqlCircle) -> None:
    assert shop.create(**connection(shop)).entry.is_good


@pytest.mark.parametrize(
    ("taken_away", "words"),
    [
        ("REVOKE SELECT ON filled FROM %s" % LIMITED, ["filled", LIMITED]),
        ("REVOKE USAGE ON SCHEMA public FROM %s, PUBLIC" % LIMITED, ["public", LIMITED]),
        ("ALTER TABLE filled ENABLE ROW LEVEL SECURITY", ["filled", "row"]),
        (
            "ALTER TABLE filled ENABLE ROW LEVEL SECURITY; CREATE POLICY half ON filled USING (id < 50)",
            ["filled", "row"],
        ),
        ("SELECT lo_from_bytea(0, 'secret')", ["large object"]),
        ("CREATE SEQUENCE numbers", ["numbers"]),
        ("CREATE SCHEMA hidden CREATE TABLE held (a int)", ["hidden"]),
    ],
)
def test_what_may_not_be_read(shop: PostgresqlCircle, taken_away: str, words: list[str]) -> None:
    shop.execute(taken_away)
    assert_refused(shop, connection(shop), *words)
    # Nobody else is in the way: who may read it all backs it up.
    assert shop.create().changed


@pytest.mark.parametrize(
    ("rules", "about", "words"),
    [
        ("local all all scram-sha-256\n", {"password": "wrong"}, ["password", LIMITED]),
        ("local all all scram-sha-256\n", {}, ["login_password"]),
        ("local all %s reject\nlocal all all trust\n" % LIMITED, {"password": PASSWORD}, [LIMITED]),
        ("local all nobody_at_all trust\n", {"password": PASSWORD}, [LIMITED]),
        ("local all all trust\n", {"user": "no such role"}, ["no such role"]),
        ("local all all trust\n", {"unix_socket": "/nowhere"}, ["/nowhere"]),
    ],
)
def test_who_is_not_let_in(shop: PostgresqlCircle, rules: str, about: dict[str, Any], words: list[str]) -> None:
    with ExitStack() as stack:
        stack.enter_context(shop.server.hba(rules))
        assert_refused(shop, connection(shop, **about), *words)


def test_a_restore_by_who_may_not_makes_nothing(shop: PostgresqlCircle) -> None:
    shop.change("live")
    before = shop.server.psql("SELECT oid, datname FROM pg_database ORDER BY 1")
    for about in ({}, {"target": shop.copy, "strategy": "new"}):
        with pytest.raises(HoldfastError) as caught:
            shop.restore(**connection(shop), **about)
        assert "CREATEDB" in one_sentence(caught.value)
    assert shop.word() == "live"
    assert shop.server.psql("SELECT oid, datname FROM pg_database ORDER BY 1") == before
