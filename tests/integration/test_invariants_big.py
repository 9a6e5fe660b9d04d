# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database with one of every kind of object and much in it goes through every verb and comes back by meaning.

Our own process stays small whatever the size: its peak is read from the kernel when it has ended.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from integration.circle_support import Circle, Program
from integration.postgresql_everything import make_everything
from integration.postgresql_meaning import differences_in_meaning
from integration.postgresql_support import Server

pytestmark = pytest.mark.postgresql
OUR_MEMORY = 64 << 20
BIG = 1 << 30
NAME, COPY = "everything_big", "everything_big_copy"

BULK = """
SET default_transaction_read_only = off;
CREATE SCHEMA bulk AUTHORIZATION everything_owner;
SET ROLE everything_owner;
CREATE TABLE bulk.orders (id bigint PRIMARY KEY, placed timestamptz, customer text, note text, amount numeric(12, 2));
INSERT INTO bulk.orders SELECT i, '2026-01-01'::timestamptz + i * interval '1 second', md5(i::text),
    repeat(md5((i * 7)::text), 3), i / 7.0 FROM generate_series(1, {rows}) AS i;
CREATE INDEX ON bulk.orders (customer);
CREATE TABLE bulk.parts (id bigint, kind int, body bytea) PARTITION BY LIST (kind);
CREATE TABLE bulk.parts_0 PARTITION OF bulk.parts FOR VALUES IN (0);
CREATE TABLE bulk.parts_1 PARTITION OF bulk.parts FOR VALUES IN (1);
INSERT INTO bulk.parts SELECT i, i % 2, decode(md5(i::text) || md5((i * 3)::text), 'hex')
    FROM generate_series(1, {rows}) AS i;
CREATE TABLE bulk.wide AS SELECT i AS id, string_agg(md5((i * 1000 + j)::text), '') AS text
    FROM generate_series(1, {rows} / 400) AS i, generate_series(1, 400) AS j GROUP BY i;
SELECT lo_from_bytea(0, decode(repeat(md5(i::text), 4000), 'hex')) FROM generate_series(1, {objects}) AS i;
"""


class Everything(Circle):
    """The database of everything, under the verbs of a circle."""

    engine = "postgresql"

    def __init__(self, home: pathlib.Path, server: Server, rows: int) -> None:
        super().__init__(home, NAME, COPY)
        self.server = server
        self.forget()
        make_everything(server, NAME)
        server.psql(BULK.format(rows=rows, objects=max(2, rows // 40000)), NAME)

    def reached(self) -> dict[str, Any]:
        return {"connection": {"unix_socket": self.server.socket}}

    def size(self) -> int:
        """Bytes of the database on the server."""
        return int(self.server.psql("SELECT pg_database_size('%s')" % NAME))

    def forget(self) -> None:
        """Drop everything that this has made."""
        for name in [NAME, COPY, *(one.name for one in self.server.engine(NAME).kept() if one.of == NAME)]:
            self.server.psql('DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % name)

    def do(self, verb: str, **more: Any) -> None:
        """One verb in a program of its own, whose memory is looked at."""
        program = Program(self.order(verb, **more))
        said = program.end(timeout=3600)
        assert said["error"] is None, said
        assert said["peak"] <= OUR_MEMORY, "%s took %d MiB" % (verb, said["peak"] >> 20)


@pytest.fixture(name="everything", params=[20_000, pytest.param(3_000_000, marks=pytest.mark.soak)])
def everything_fixture(request: pytest.FixtureRequest, server: Server, tmp_path: pathlib.Path) -> Iterator[Everything]:
    made = Everything(tmp_path, server, request.param)
    if request.param > 1_000_000:
        assert made.size() >= BIG
    yield made
    made.forget()


def test_everything_comes_back_from_every_form(everything: Everything, age_key: tuple[str, str]) -> None:
    recipient, identity_file = age_key
    server = everything.server
    forms = {
        "stream": {"settings": {"form": "stream"}},
        "directory": {"settings": {"form": "directory", "jobs": 2}},
        "encrypted": {"recipients": [recipient]},
    }
    for policy, about in forms.items():
        everything.do("create", init=True, policy=policy, **about)
    everything.do("verify", identity_file=identity_file)
    for policy in forms:
        server.psql('DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % COPY)
        loading = {"policy": policy, "identity_file": identity_file, "confirm": COPY, "target": COPY}
        everything.do("restore", strategy="new", settings={"load_as": "superuser", "jobs": 2}, **loading)
        assert differences_in_meaning(server, NAME, server, COPY) == [], policy
        # The copy is spoilt, and put right by a swap.
        server.psql("SET default_transaction_read_only = off; DROP SCHEMA bulk CASCADE", COPY)
        everything.do("restore", request="again", settings={"load_as": "superuser", "jobs": 2}, **loading)
        assert differences_in_meaning(server, NAME, server, COPY) == [], policy
        for kept in everything.server.engine(COPY).kept():
            everything.server.engine(COPY).drop_kept(kept.name)
    assert everything.verify(identity_file=identity_file).damaged == ()
    assert everything.unfinished() == []
