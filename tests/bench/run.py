# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure holdfast.db against the native tools and print one table of ratios: ``make bench``.

Every figure is a median of several interleaved runs, and only ratios within one run are held against a target. Nothing
here fails because something was slow.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import borgmatic
import machine
import many_backups
import playbooks
import postgresql
import report
import shops
import sqlite_files
from checkout import CHECKOUT
from measuring import shell
from ours import Collection, Ours
from postgresql_support import Server, own_major, running_server, system_programs

PARTS = ("postgresql", "sqlite", "playbooks", "many", "borgmatic", "payload")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
# The defaults of PostgreSQL, but for the memory and the room for WAL that a server of this size would be given.
_CONFIGURATION = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "log_statement": "none",
}


@dataclass(frozen=True)
class Bench:
    """What all parts need. ``work``: a folder for everything that is written, gone at the end. Sizes in bytes."""

    work: pathlib.Path
    collection: Collection
    rounds: int
    size: int
    sqlite_size: int
    backups: int


def main() -> int:
    """Measure the parts that were asked for; print and store the table."""
    options = _options()
    if options.install:
        borgmatic.install()
    began = time.monotonic()
    with _work_folder(options.work) as work:
        facts = machine.facts(work)
        bench = Bench(work, Collection.copied(work), options.rounds, options.size, options.sqlite_size, options.backups)
        rows: list[report.Row] = []
        try:
            _measure(bench, options.parts, facts, rows)
        except KeyboardInterrupt:
            print("\nInterrupted; these parts were done:")
    print("\n" + "\n".join(f"{name}: {value}" for name, value in facts.items()))
    print(f"rounds: {options.rounds}, every figure a median\n")
    print(report.table(rows))
    report.write_json(options.json, facts, rows)
    print(f"\nMeasured in {time.monotonic() - began:.0f} s. The same as JSON: {options.json}")
    print("docs/performance.md says how to read it.")
    return 0


def _measure(bench: Bench, parts: list[str], facts: dict[str, str], rows: list[report.Row]) -> None:
    """Add the rows of every part, in order. One server serves all that need PostgreSQL."""
    with contextlib.ExitStack() as stack:
        if {"postgresql", "playbooks", "borgmatic", "many"} & set(parts):
            server = stack.enter_context(_server())
            shop, empty = _postgresql_shops(bench, server, facts)
        work = bench.work
        if "postgresql" in parts:
            _postgresql(bench, server, shop, empty, rows)
        if "sqlite" in parts:
            rows += _sqlite(bench, facts)
        if "borgmatic" in parts:
            _say("borgmatic")
            rows += borgmatic.rows(shop, pathlib.Path(server.programs.directory), work, bench.rounds)
        if {"playbooks", "payload"} & set(parts):
            player = playbooks.Player(work / "stage", bench.collection.path)
        if "playbooks" in parts:
            _say("playbooks")
            rows += playbooks.rows(player, shop.database, server.socket, work, bench.rounds)
        if "payload" in parts:
            rows += playbooks.payload_rows(player)
        if "many" in parts:
            _say(f"a repository with {bench.backups:,} backups")
            empty.forget("sample")
            empty.create("sample")
            rows += many_backups.rows(bench.collection, empty.repository, work, bench.backups, bench.rounds)


def _postgresql(bench: Bench, server: Server, shop: Ours, empty: Ours, rows: list[report.Row]) -> None:
    keys = _keys(bench.work)
    programs = pathlib.Path(server.programs.directory)
    native = postgresql.Native(programs, pathlib.Path(server.socket), bench.work / "native", keys)
    _say("PostgreSQL: creating")
    rows += postgresql.create_rows(shop, empty, native, keys, bench.rounds)
    _say("PostgreSQL: restoring")
    rows += postgresql.restore_rows(shop, empty, native, keys, bench.rounds)


def _postgresql_shops(bench: Bench, server: Server, facts: dict[str, str]) -> tuple[Ours, Ours]:
    """The big database and an empty one."""
    _say(f"PostgreSQL: making a shop of about {bench.size / 2**20:.0f} MiB")
    server.create_database("empty")
    server.create_database("shop")
    shops.fill_postgresql(lambda sql: server.psql(sql, "shop"), bench.size)
    size = int(server.psql("SELECT pg_database_size('shop')"))
    tables = int(server.psql("SELECT sum(pg_table_size(oid)) FROM pg_class WHERE relkind = 'r'", "shop"))
    facts["PostgreSQL server"] = server.psql("SHOW server_version")
    facts["PostgreSQL shop"] = f"{size / 1e9:.2f} GB with indexes, {tables / 1e9:.2f} GB of tables"
    place = (bench.work / "repository-shop", bench.work / "repository-empty")
    return (
        Ours(bench.collection, "postgresql", "shop", place[0], server.socket),
        Ours(bench.collection, "postgresql", "empty", place[1], server.socket),
    )


def _sqlite(bench: Bench, facts: dict[str, str]) -> list[report.Row]:
    _say(f"SQLite: making a shop of about {bench.sqlite_size / 2**20:.0f} MiB")
    folder = bench.work / "sqlite"
    folder.mkdir()
    shops.fill_sqlite(folder / "shop.db", bench.sqlite_size)
    shops.fill_sqlite(folder / "empty.db", 0)
    facts["SQLite shop"] = f"{(folder / 'shop.db').stat().st_size / 1e6:.0f} MB"
    shop = Ours(bench.collection, "sqlite", str(folder / "shop.db"), bench.work / "repository-sqlite")
    empty = Ours(bench.collection, "sqlite", str(folder / "empty.db"), bench.work / "repository-sqlite-empty")
    return sqlite_files.rows(shop, empty, folder, bench.rounds)


@contextlib.contextmanager
def _server() -> Iterator[Server]:
    with running_server(system_programs()[own_major()], **_CONFIGURATION) as server:
        yield server


@contextlib.contextmanager
def _work_folder(place: pathlib.Path) -> Iterator[pathlib.Path]:
    work = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-bench-", dir=place))
    work.chmod(0o711)  # the database's account passes through to its own part
    try:
        yield work
    finally:
        shutil.rmtree(work)


def _keys(work: pathlib.Path) -> postgresql.Keys:
    identity = work / "identity"
    shell(f"age-keygen -o {identity} 2> /dev/null")
    recipient = subprocess.run(["age-keygen", "-y", str(identity)], capture_output=True, text=True, check=True).stdout
    return postgresql.Keys(recipient.strip(), identity)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=...", description="Measure holdfast.db against native tools."
    )
    add: Callable[..., object] = parser.add_argument
    add("--size", type=_size, default=_size("1g"), help="of the PostgreSQL database, such as 1500m (default 1g)")
    add("--sqlite-size", type=_size, default=_size("300m"), help="of the SQLite file (default 300m)")
    add("--backups", type=int, default=10_000, help="in the large repository (default 10000)")
    add("--rounds", type=int, default=3, help="runs of everything that is timed (default 3)")
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="only these parts")
    add("--quick", action="store_true", help="a tiny run that only shows that everything still runs")
    add("--install", action="store_true", help=f"install {' and '.join(borgmatic.PACKAGES)} first, with apt-get")
    add("--work", type=pathlib.Path, default=pathlib.Path("/var/tmp"), help="where to put the data (default /var/tmp)")
    add("--json", type=pathlib.Path, default=CHECKOUT / ".cache" / "bench.json", help="the same table for programs")
    options = parser.parse_args()
    if options.quick:
        options.size, options.sqlite_size, options.backups, options.rounds = 4 << 20, 1 << 20, 100, 1
    return options


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([kmg]?)", text.lower())
    if not match:
        raise argparse.ArgumentTypeError(f"{text} is not a size; write 1500m or 2g")
    return int(match[1]) * _UNITS[match[2]]


def _say(what: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {what} ...", flush=True)


if __name__ == "__main__":
    os.umask(0o077)
    # Ended from outside, it still stops its server and removes its data.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
