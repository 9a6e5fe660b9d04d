# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the first page of an SQLite file tells, and what two copies of one content have in common."""

from __future__ import annotations

import os
import sqlite3

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.engines.sqlite_header import (
    change_counter,
    content_digest,
    pad_single_page,
    read_facts,
)
from ansible_collections.holdfast.db.plugins.module_utils.errors import BadInput, NotFound


def make(path, journal="delete", page_size=4096, rows=500, auto_vacuum=0):
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("PRAGMA page_size = %d" % page_size)
    base.execute("PRAGMA auto_vacuum = %d" % auto_vacuum)
    base.execute("PRAGMA journal_mode = %s" % journal)
    base.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
    base.execute("BEGIN")
    base.executemany("INSERT INTO t VALUES (?, ?)", [(one, "row %d" % one * 20) for one in range(rows)])
    base.execute("COMMIT")
    base.close()
    return str(path)


def copy(source, target):
    """Through SQLite's backup interface."""
    one, other = sqlite3.connect(source), sqlite3.connect(target)
    one.backup(other)
    one.close()
    other.close()
    return str(target)


def digest(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return content_digest(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
@pytest.mark.parametrize("auto_vacuum", [0, 1])
@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("into", ["wal", "delete"])
def test_a_copy_by_the_backup_interface_has_the_digest_of_its_original(tmp_path, page_size, auto_vacuum, journal, into):
    original = make(tmp_path / "original", journal, page_size, auto_vacuum=auto_vacuum)
    other = make(tmp_path / "other", into, page_size, rows=3000)
    assert digest(original) != digest(other)
    copied = copy(original, other)
    assert digest(copied) == digest(original)
    assert open(copied, "rb").read() != open(original, "rb").read()
    assert digest(copy(copied, tmp_path / "third")) == digest(original)


def test_the_backup_interface_changes_nothing_else_than_what_the_digest_leaves_out(tmp_path):
    original = make(tmp_path / "original", "wal")
    copied = copy(original, make(tmp_path / "other", rows=9))
    one, other = open(original, "rb").read(), open(copied, "rb").read()
    left_out = {*range(18, 20), *range(24, 28), *range(40, 44), *range(92, 100)}
    assert len(one) == len(other)
    assert {place for place in range(len(one)) if one[place] != other[place]} <= left_out


def test_any_change_of_the_content_changes_the_digest(tmp_path):
    path = make(tmp_path / "one", rows=9)
    seen = {digest(path)}
    for change in (
        "UPDATE t SET text = 'x' WHERE id = 3",
        "PRAGMA user_version = 5",
        "PRAGMA application_id = 6",
        "CREATE INDEX i ON t (text)",
        "DELETE FROM t",
    ):
        base = sqlite3.connect(path, isolation_level=None)
        base.execute(change)
        base.close()
        assert digest(path) not in seen
        seen.add(digest(path))


def test_the_change_counter_moves_with_each_commit_in_rollback_mode(tmp_path):
    path = make(tmp_path / "one")
    descriptor = os.open(path, os.O_RDONLY)
    before = change_counter(descriptor)
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("DELETE FROM t WHERE id = 3")
    base.close()
    assert change_counter(descriptor) != before
    os.close(descriptor)


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
@pytest.mark.parametrize("auto_vacuum", [0, 1, 2])
def test_a_database_of_one_page_gets_a_free_one_and_stays_whole(tmp_path, page_size, auto_vacuum):
    path = tmp_path / "bare"
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("PRAGMA page_size = %d" % page_size)
    base.execute("PRAGMA auto_vacuum = %d" % auto_vacuum)
    base.execute("PRAGMA user_version = 3")
    base.close()
    descriptor = os.open(path, os.O_RDWR)
    pages_before = os.fstat(descriptor).st_size // page_size
    pad_single_page(descriptor)
    pad_single_page(descriptor)
    os.close(descriptor)
    assert pages_before == 1
    base = sqlite3.connect(path, isolation_level=None)
    assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert base.execute("PRAGMA page_count").fetchone()[0] > 1
    assert base.execute("PRAGMA freelist_count").fetchone() == (1,)
    assert base.execute("PRAGMA user_version").fetchone() == (3,)
    base.execute("CREATE TABLE t (x)")
    base.execute("INSERT INTO t VALUES (zeroblob(200000))")
    assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    base.close()


def test_a_database_of_more_pages_is_left_as_it_is(tmp_path):
    path = make(tmp_path / "one")
    before = open(path, "rb").read()
    descriptor = os.open(path, os.O_RDWR)
    pad_single_page(descriptor)
    os.close(descriptor)
    assert open(path, "rb").read() == before


@pytest.mark.parametrize("page_size", [512, 65536])
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_the_facts_are_those_that_sqlite_gives(tmp_path, page_size, journal):
    path = tmp_path / "one"
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("PRAGMA encoding = 'UTF-16be'")
    base.close()
    facts = read_facts(make(path, journal, page_size))
    assert facts.page_size == page_size
    assert facts.journal_mode == ("wal" if journal == "wal" else "rollback")
    assert facts.size == os.path.getsize(path)
    assert not facts.is_empty


def test_an_encoding_is_read_as_sqlite_says_it(tmp_path):
    for encoding in ("UTF-8", "UTF-16le", "UTF-16be"):
        path = tmp_path / encoding
        base = sqlite3.connect(path, isolation_level=None)
        base.execute("PRAGMA encoding = '%s'" % encoding)
        base.execute("CREATE TABLE t (x)")
        assert base.execute("PRAGMA encoding").fetchone() == (encoding,)
        base.close()
        assert read_facts(str(path)).encoding == encoding


def test_what_is_no_database_is_said_so(tmp_path):
    (tmp_path / "short").write_bytes(b"SQLite format 3\0")
    (tmp_path / "odd").write_bytes(b"SQLite format 3\0" + b"\x03\x01" + bytes(200))
    for name in ("short", "odd"):
        with pytest.raises(BadInput, match="not an SQLite database"):
            read_facts(str(tmp_path / name))
    with pytest.raises(NotFound):
        read_facts(str(tmp_path / "none"))
    with pytest.raises(NotFound):
        read_facts(str(tmp_path / "short" / "below a file"))
