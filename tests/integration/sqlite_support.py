# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real SQLite files, real writers in processes of their own, and backups in plain folders."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.holdfast.db.plugins.module_utils.artifacts import ArtifactReader, ArtifactWriter
from ansible_collections.holdfast.db.plugins.module_utils.engines.base import LoadOrder, Taken
from ansible_collections.holdfast.db.plugins.module_utils.engines.sqlite import SqliteEngine
from ansible_collections.holdfast.db.plugins.module_utils.folders import Folder
from ansible_collections.holdfast.db.plugins.module_utils.model import (
    Compression,
    EngineSettings,
    Manifest,
    Marker,
    Source,
)
from ansible_collections.holdfast.db.plugins.module_utils.pipeline import Processes

JOURNALS = ("wal", "delete")
ACCOUNTS = 50
TOTAL = ACCOUNTS * 1000

WRITER = (
    """
import os, random, sqlite3, sys, time
path, report, seed, pause = sys.argv[1:5]
base = sqlite3.connect(path, timeout=60, isolation_level=None)
out = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
draw = random.Random(int(seed))
number = 0
while True:
    number += 1
    one, other = draw.sample(range(%d), 2)
    try:
        base.execute("BEGIN IMMEDIATE")
        base.execute("UPDATE account SET balance = balance - 1 WHERE id = ?", (one,))
        base.execute("UPDATE account SET balance = balance + 1 WHERE id = ?", (other,))
        base.execute("INSERT INTO ledger (writer, number) VALUES (?, ?)", (int(seed), number))
        base.execute("COMMIT")
    except sqlite3.OperationalError as reason:
        if "locked" not in str(reason):
            raise
        if base.in_transaction:
            base.execute("ROLLBACK")
        number -= 1
        continue
    os.write(out, b"%%d\\n" %% number)
    if float(pause):
        time.sleep(draw.uniform(0, float(pause)))
"""
    % ACCOUNTS
)


HOLDER = """
import json, sqlite3, sys
base = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
for line in sys.stdin:
    print(json.dumps(base.execute(json.loads(line)).fetchmany(10)), flush=True)
"""


class Holder:
    """A program that has the database open. In a process of its own: a fork inherits what SQLite knows of locks."""

    def __init__(self, path):
        self._running = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def execute(self, words):
        self._running.stdin.write(json.dumps(words) + "\n")
        self._running.stdin.flush()
        return [tuple(row) for row in json.loads(self._running.stdout.readline())]

    def close(self):
        self._running.stdin.close()
        self._running.wait()
        self._running.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_reason):
        self.close()


def connect(path):
    return sqlite3.connect(path, timeout=30, isolation_level=None)


def make_shop(path, journal="delete", page_size=4096, filler=200):
    """A shop whose balances always add up to TOTAL, with a ledger, an index, a view and a trigger."""
    base = connect(path)
    base.execute("PRAGMA page_size = %d" % page_size)
    base.execute("PRAGMA journal_mode = %s" % journal)
    base.executescript(
        """
        CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
        CREATE TABLE ledger (writer INTEGER, number INTEGER, PRIMARY KEY (writer, number)) WITHOUT ROWID;
        CREATE TABLE filler (id INTEGER PRIMARY KEY, text TEXT);
        CREATE INDEX by_balance ON account (balance);
        CREATE VIEW rich AS SELECT * FROM account WHERE balance > 1000;
        CREATE TRIGGER watch AFTER DELETE ON filler BEGIN UPDATE filler SET text = text WHERE id = 0; END;
        """
    )
    base.execute("BEGIN")
    base.executemany("INSERT INTO account VALUES (?, 1000)", [(one,) for one in range(ACCOUNTS)])
    base.executemany("INSERT INTO filler VALUES (?, ?)", [(one, "%d" % one * 80) for one in range(filler)])
    base.execute("COMMIT")
    base.close()
    return str(path)


def sum_of(path):
    base = connect(path)
    try:
        assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return base.execute("SELECT sum(balance) FROM account").fetchone()[0]
    finally:
        base.close()


def rows_of(path, query):
    base = connect(path)
    try:
        return base.execute(query).fetchall()
    finally:
        base.close()


def execute(path, script):
    base = connect(path)
    try:
        base.executescript(script)
    finally:
        base.close()


@contextmanager
def writers(path, count, folder, pause=0.0):
    """``count`` processes that move money, ``pause`` seconds at most between commits.

    Yields their report files, one line an acknowledged commit.
    """
    reports = [Path(folder) / ("writer-%d" % seed) for seed in range(count)]
    argv = [
        [sys.executable, "-c", WRITER, str(path), str(report), str(seed), str(pause)]
        for seed, report in enumerate(reports)
    ]
    running = [subprocess.Popen(one) for one in argv]
    try:
        until = time.monotonic() + 20
        while not all(report.exists() and report.stat().st_size for report in reports):
            assert time.monotonic() < until, "the writers did not begin"
            time.sleep(0.01)
        yield reports
        assert all(one.poll() is None for one in running), "a writer died"
    finally:
        for one in running:
            one.send_signal(signal.SIGKILL)
            one.wait()


def acknowledged(report):
    """The last number that a writer was told to be committed."""
    lines = Path(report).read_bytes().split(b"\n")
    return int(lines[-2]) if len(lines) > 1 else 0


def wait_for_commits(reports, more):
    """Until each writer has committed ``more`` times from now on."""
    wanted = [acknowledged(report) + more for report in reports]
    until = time.monotonic() + 60
    while any(acknowledged(report) < number for report, number in zip(reports, wanted, strict=True)):
        assert time.monotonic() < until, "a writer stands still"
        time.sleep(0.01)


def engine_for(path, **settings):
    return SqliteEngine(str(path), EngineSettings(**{"lock_wait": 20.0, **settings}), Processes())


class Kept:
    """A backup in a plain folder, as an operation would keep it."""

    def __init__(self, path, taken: Taken, source_path):
        self.path = Path(path)
        self.taken = taken
        now = datetime.now(UTC)
        self.manifest = Manifest(
            id=self.path.name,
            source=Source("host", "policy", str(source_path)),
            engine="sqlite",
            method=taken.method,
            started=now,
            snapshot=taken.snapshot,
            finished=now,
            server=taken.server,
            client=taken.client,
            artifacts=taken.artifacts,
            logical_size=taken.logical_size,
            stored_size=sum(one.size for one in taken.artifacts),
            compression="zstd",
            properties=taken.properties,
        )

    def reader(self):
        return ArtifactReader(Folder.open(str(self.path)), Processes())

    def order(self, **more):
        return LoadOrder(
            manifest=self.manifest,
            reader=self.reader(),
            fingerprint=self.taken.fingerprint,
            **{"replaces": True, **more},
        )

    def unpacked(self, path):
        """The stored database as a plain file, by hand."""
        dump = self.manifest.artifact("dump")
        subprocess.run(["zstd", "-q", "-d", "-f", str(self.path / dump.name), "-o", str(path)], check=True)
        return str(path)


class Place:
    """Folders for backups and for plain temporary files."""

    def __init__(self, base):
        self.base = Path(base)
        self.space = self.base / "workspace"
        self.space.mkdir(exist_ok=True)
        self._number = 0

    def workspace(self):
        return Folder.open(str(self.space))

    def writer(self):
        self._number += 1
        path = self.base / ("backup-%d" % self._number)
        path.mkdir()
        return path, ArtifactWriter(Folder.open(str(path)), Processes(), Compression())

    def take(self, database, engine=None, **settings):
        engine = engine or engine_for(database, **settings)
        path, writer = self.writer()
        return Kept(path, engine.take(writer, self.workspace()), database)

    def restore(self, database, order, safety=None, marker=None, **settings):
        """Load and swap; returns (Swapped, safety backups as Kept)."""
        engine = engine_for(database, **settings)
        engine.preflight(order)
        kept = []

        def take_safety(take):
            path, writer = self.writer()
            kept.append(Kept(path, take(writer, self.workspace()), database))
            if callable(safety):
                safety()
            return path.name

        with engine.loaded(order, self.workspace()) as loaded:
            if order.fingerprint:
                assert engine.differences(loaded, order.fingerprint) == ()
            swapped = engine.swap(loaded, order, marker or a_marker(), take_safety if safety else None)
        return swapped, kept


def a_marker(**more):
    return Marker(**{"declared": "latest", "at": "2026-11-20T06:30:00+00:00", **more})


def tree_of(path):
    """Everything that can be seen of a folder: names, content, sizes, owners, modes, times."""
    seen = {}
    for one in sorted(Path(path).rglob("*")):
        status = one.lstat()
        content = hashlib.sha256(one.read_bytes()).hexdigest() if one.is_file() else ""
        seen[str(one)] = (content, status.st_mode, status.st_uid, status.st_ino, status.st_size, status.st_mtime_ns)
    return seen


def copy_with_all_beside(path, target):
    for suffix in ("", "-wal", "-shm", "-journal"):
        if os.path.exists(str(path) + suffix):
            shutil.copy(str(path) + suffix, str(target) + suffix)
    return str(target)
