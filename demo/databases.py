# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shop's database in SQLite and in PostgreSQL: make it, let it trade, count it, and harm it."""

from __future__ import annotations

import hashlib
import pathlib
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from server import Server
from shop import TABLES, Row

_VIEW = "best_sellers"
# Both databases take this; the places in braces are where they differ.
_SCHEMA = """
CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, city text NOT NULL,
    since {moment} NOT NULL);
CREATE TABLE products (id integer PRIMARY KEY, name text NOT NULL UNIQUE, price_cents integer NOT NULL
    CHECK (price_cents > 0));
CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer NOT NULL REFERENCES customers,
    placed {moment} NOT NULL, status text NOT NULL, shipping_cents integer NOT NULL, total_cents integer NOT NULL);
CREATE TABLE order_lines (id integer PRIMARY KEY, order_id integer NOT NULL REFERENCES orders ON DELETE CASCADE,
    product_id integer NOT NULL REFERENCES products, quantity integer NOT NULL CHECK (quantity > 0),
    price_cents integer NOT NULL);
CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE INDEX order_lines_by_order ON order_lines (order_id);
CREATE VIEW best_sellers AS
    SELECT products.name, sum(order_lines.quantity) AS sold
    FROM order_lines JOIN products ON products.id = order_lines.product_id
    GROUP BY products.name ORDER BY sold DESC, products.name LIMIT 10;
"""


@dataclass(frozen=True)
class Contents:
    """What a database holds: the rows of each table (None where it is gone), and a checksum over every value.

    The checksum shows a changed price as well as a lost order.
    """

    rows: Mapping[str, int | None]
    checksum: str


class Database(Protocol):
    """One home of the shop.

    ``host``: its name in the inventory. ``name``: what ``confirm`` must repeat. ``title``: kind and version.
    ``home``: where it lies, for people. ``accident``: a statement that harms it; ``excuse``: how that came about.
    """

    host: str
    name: str
    title: str
    home: str
    accident: str
    excuse: str

    def create(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Make the database with these rows."""

    def add(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Put more rows into it."""

    def harm(self) -> None:
        """Run the statement of ``accident``."""

    def contents(self) -> Contents:
        """Ask the live database itself."""

    def variables(self) -> dict[str, str]:
        """What the inventory says about it."""


class SQLiteShop:
    """The shop in one file, in WAL mode as web frameworks set it up."""

    host = "web1"
    accident = "DELETE FROM orders"
    excuse = "the WHERE was forgotten; the order lines went too"

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.name = self.home = str(path)
        self.title = f"SQLite {sqlite3.sqlite_version}"

    def create(self, rows: Mapping[str, Sequence[Row]]) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA.format(moment="text"))
        self.add(rows)

    def add(self, rows: Mapping[str, Sequence[Row]]) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            for table in rows:
                marks = ", ".join("?" * len(rows[table][0]))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows[table])
            connection.commit()

    def harm(self) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(self.accident)
            connection.commit()

    def contents(self) -> Contents:
        with closing(sqlite3.connect(self.path)) as connection:
            there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            found = {
                name: connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall()
                for name in (*TABLES, _VIEW)
                if name in there
            }
        return _contents(found)

    def variables(self) -> dict[str, str]:
        return {"shop_engine": "sqlite", "shop_database": self.name}


class PostgreSQLShop:
    """The shop as a database of a server, owned by a user of its own."""

    host = "db1"
    name = "shop"
    accident = "DROP TABLE order_lines CASCADE"
    excuse = "meant for the test server; a view went too"
    home = "a private server behind a socket, which is gone when this ends"

    def __init__(self, server: Server) -> None:
        self.server = server
        self.title = "PostgreSQL " + server.run_sql("postgres", "SHOW server_version").split()[0]

    def create(self, rows: Mapping[str, Sequence[Row]]) -> None:
        self.server.run_sql("postgres", "CREATE ROLE shop LOGIN")
        self.server.run_sql("postgres", "CREATE DATABASE shop OWNER shop")
        self._run("BEGIN;" + _SCHEMA.format(moment="timestamptz") + "COMMIT;")
        self.add(rows)

    def add(self, rows: Mapping[str, Sequence[Row]]) -> None:
        copies = [
            f"COPY {table} FROM STDIN;\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows[table]) + "\\.\n"
            for table in rows
        ]
        self._run("BEGIN;\n" + "".join(copies) + "COMMIT;\n")

    def harm(self) -> None:
        self._run("SET client_min_messages = warning; " + self.accident)

    def contents(self) -> Contents:
        there = self._run("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace").split()
        found = {
            name: self._run(f"SELECT * FROM {name} ORDER BY 1").splitlines()
            for name in (*TABLES, _VIEW)
            if name in there
        }
        return _contents(found)

    def variables(self) -> dict[str, str]:
        return {
            "shop_engine": "postgresql",
            "shop_database": self.name,
            "shop_socket": str(self.server.socket),
            "shop_user": "postgres",
        }

    def _run(self, sql: str) -> str:
        return self.server.run_sql(self.name, sql, user="shop")


def _contents(found: Mapping[str, Sequence[object]]) -> Contents:
    """``found``: the rows of every table and view that is there."""
    counts = {table: len(found[table]) if table in found else None for table in TABLES}
    return Contents(counts, hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest())
