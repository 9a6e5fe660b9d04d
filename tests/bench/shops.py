# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The databases that are measured: a shop with tables of very uneven sizes, in PostgreSQL and in SQLite.

Texts are drawn from so many different sentences that no compressor keeps them all in its window, and numbers are
random, so that the data is neither easier nor harder to compress than what people keep.
"""

from __future__ import annotations

import pathlib
import random
import sqlite3
from collections.abc import Callable, Iterator

_SENTENCES = 40_000
_WORDS = 3_000
_SMALL_TABLES = 40

# Table -> its share of the database, and the bytes that one of its rows takes with its indexes (seen, PostgreSQL 15).
_POSTGRESQL = {
    "orders": (0.40, 330),
    "events": (0.30, 420),
    "items": (0.18, 130),
    "documents": (0.08, 4_600),
    "customers": (0.04, 230),
}

_SCHEMA = f"""
SELECT setseed(0.5);
CREATE SCHEMA small;
CREATE TEMP TABLE word AS
  SELECT n AS id, substr(md5(n::text), 1, 2 + (n % 9)) AS text FROM generate_series(1, {_WORDS}) AS n;
CREATE TEMP TABLE sentence AS
  SELECT picked.id, string_agg(word.text, ' ') AS text
  FROM (SELECT id, 1 + floor(power(random(), 3) * ({_WORDS} - 1))::int AS pick
        FROM generate_series(0, {_SENTENCES} - 1) AS id, generate_series(1, 12)) AS picked
  JOIN word ON word.id = picked.pick GROUP BY picked.id;
ANALYZE sentence;
CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL, name text, address jsonb, since timestamptz);
CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint NOT NULL, placed timestamptz NOT NULL, status text,
  total numeric(12,2), note text);
CREATE TABLE items (id bigint PRIMARY KEY, order_id bigint NOT NULL, product int NOT NULL, quantity int, price numeric);
CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, payload jsonb NOT NULL);
CREATE TABLE documents (id bigint PRIMARY KEY, title text, body text);
"""

# Two random sentences, a and b, for each number n up to the count.
_NUMBERS = f"""(SELECT n, floor(random() * {_SENTENCES}) AS a, floor(random() * {_SENTENCES}) AS b
  FROM generate_series(1, %d) AS n) AS one JOIN sentence AS a ON a.id = one.a JOIN sentence AS b ON b.id = one.b"""

_ROWS = {
    "customers": """SELECT n, md5(n::text) || '@example.com', substr(a.text, 1, 20),
  jsonb_build_object('street', substr(b.text, 1, 30), 'number', n % 200),
  timestamptz '2020-01-01' + random() * interval '6 years'""",
    "orders": """SELECT n, (random() * 1e6)::bigint, timestamptz '2020-01-01' + n * interval '7 seconds',
  (ARRAY['new', 'paid', 'sent', 'returned'])[1 + (random() * 3)::int], (random() * 1e4)::numeric(12, 2),
  a.text || b.text""",
    "items": """SELECT n, n / 3, (random() * 5e4)::int, 1 + (random() * 9)::int, (random() * 1e3)::numeric(12, 2)""",
    "events": """SELECT n, timestamptz '2020-01-01' + n * interval '1 second', jsonb_build_object('id', md5(n::text),
  'kind', n % 17, 'text', a.text, 'path', b.text, 'tags', jsonb_build_array(n % 5, n % 7, n % 11))""",
    # A hundred pairs of sentences make a document, long enough to be stored out of line.
    "documents": """SELECT n / 100, min(a.text), string_agg(b.text || a.text, E'\\n')""",
}

_INDEXES = """
CREATE UNIQUE INDEX ON customers (email);
CREATE INDEX ON orders (customer);
CREATE INDEX ON orders (placed);
CREATE INDEX ON items (order_id);
CREATE INDEX ON events (at);
CREATE INDEX ON events ((payload ->> 'kind'));
VACUUM (ANALYZE);
CHECKPOINT;
"""


def fill_postgresql(run_sql: Callable[[str], object], size: int) -> None:
    """Make the shop in the database that ``run_sql`` speaks to; ``size``: bytes with indexes, met within a tenth."""
    statements = [_SCHEMA]
    for table, (share, row) in _POSTGRESQL.items():
        count = max(int(size * share / row), 10)
        numbers = _NUMBERS % (count * 100 if table == "documents" else count)
        grouped = " GROUP BY n / 100" if table == "documents" else ""
        statements.append(f"INSERT INTO {table} {_ROWS[table]} FROM {numbers}{grouped};")
    for number in range(_SMALL_TABLES):
        statements.append(
            f"CREATE TABLE small.lookup{number} (code int PRIMARY KEY, meaning text);"
            f"INSERT INTO small.lookup{number} SELECT n, md5(n::text) FROM generate_series(1, {10 + number * 5}) AS n;"
        )
    run_sql("\n".join([*statements, _INDEXES]))


def fill_sqlite(path: pathlib.Path, size: int) -> None:
    """Make a smaller shop in a new SQLite file of about ``size`` bytes, with an index."""
    chance = random.Random(5)
    words = ["%x" % chance.getrandbits(chance.randrange(8, 36)) for _word in range(_WORDS)]
    sentences = [" ".join(chance.choices(words, k=12)) for _sentence in range(_SENTENCES)]

    def rows() -> Iterator[tuple[int, int, float, str]]:
        for number in range(max(size // 260, 10)):
            text = chance.choice(sentences) + chance.choice(sentences)
            yield number, chance.randrange(1_000_000), round(chance.random() * 1e4, 2), text

    database = sqlite3.connect(path)
    try:
        with database:
            database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, total REAL, note TEXT)")
            database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows())
            database.execute("CREATE INDEX orders_customer ON orders (customer)")
    finally:
        database.close()
