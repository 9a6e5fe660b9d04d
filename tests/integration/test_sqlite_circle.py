# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take, check, load, compare, swap: the circle of one SQLite database."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from datetime import UTC, datetime

import pytest
from integration.sqlite_support import (
    JOURNALS,
    TOTAL,
    Holder,
    Place,
    a_marker,
    copy_with_all_beside,
    engine_for,
    execute,
    make_shop,
    rows_of,
    sum_of,
    tree_of,
)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture(params=JOURNALS)
def shop(request, tmp_path):
    return make_shop(tmp_path / "shop.db", request.param)


def test_a_backup_holds_what_the_database_held(place, shop, tmp_path):
    before = datetime.now(UTC)
    kept = place.take(shop)
    assert before <= kept.taken.snapshot <= datetime.now(UTC)
    copy = kept.unpacked(tmp_path / "copy.db")
    assert sum_of(copy) == TOTAL
    assert {table.name: table.rows for table in kept.taken.fingerprint.tables} == {
        "account": 50,
        "filler": 200,
        "ledger": 0,
    }
    assert kept.taken.fingerprint.objects == {"table": 3, "index": 1, "view": 1, "trigger": 1}
    assert kept.taken.logical_size == os.path.getsize(copy)
    assert kept.taken.server.version == sqlite3.sqlite_version
    json.dumps(kept.taken.properties)


def test_nothing_is_left_in_the_workspace(place, shop):
    kept = place.take(shop)
    place.restore(shop, kept.order(), safety=True)
    assert os.listdir(place.space) == []


def test_a_backup_passes_the_check_of_its_structure(place, shop):
    kept = place.take(shop)
    sentences = engine_for(shop).check_structure(kept.manifest, kept.reader(), place.workspace())
    assert any("integrity_check" in one for one in sentences)
    assert any("3 tables" in one for one in sentences)


def test_a_restore_brings_lost_rows_back_and_leaves_its_marker(place, shop):
    kept = place.take(shop)
    execute(shop, "DELETE FROM account; DROP TABLE filler; CREATE TABLE later (x)")
    inode = os.stat(shop).st_ino
    marker = a_marker(request="again")
    swapped, _none = place.restore(shop, kept.order(), marker=marker)
    assert sum_of(shop) == TOTAL
    assert rows_of(shop, "SELECT count(*) FROM filler") == [(200,)]
    assert os.stat(shop).st_ino == inode
    target = engine_for(shop).target()
    assert target.marker == marker
    assert target.unfinished is None
    assert swapped.seconds > 0


def test_a_safety_backup_holds_what_was_replaced(place, shop, tmp_path):
    kept = place.take(shop)
    execute(shop, "DELETE FROM account WHERE id > 9; CREATE TABLE later (x)")
    swapped, (safety,) = place.restore(shop, kept.order(), safety=True)
    assert swapped.safety == safety.path.name
    copy = safety.unpacked(tmp_path / "copy.db")
    assert rows_of(copy, "SELECT count(*) FROM account") == [(10,)]
    assert rows_of(copy, "SELECT count(*) FROM later") == [(0,)]
    assert sum_of(shop) == TOTAL


def test_holders_of_open_connections_see_the_new_data(place, shop):
    kept = place.take(shop)
    execute(shop, "DELETE FROM account WHERE id > 0")
    with Holder(shop) as holder:
        assert holder.execute("SELECT count(*) FROM account") == [(1,)]
        place.restore(shop, kept.order(), safety=True)
        assert holder.execute("SELECT count(*) FROM account") == [(50,)]
        holder.execute("INSERT INTO filler VALUES (1000, 'after')")
    assert rows_of(shop, "SELECT text FROM filler WHERE id = 1000") == [("after",)]


def test_a_database_that_is_gone_is_made_anew(place, shop):
    kept = place.take(shop)
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(shop + suffix):
            os.unlink(shop + suffix)
    assert not engine_for(shop).target().exists
    place.restore(shop, kept.order(replaces=False), marker=a_marker())
    assert sum_of(shop) == TOTAL
    assert os.stat(shop).st_mode & 0o777 == 0o600
    assert engine_for(shop).target().marker == a_marker()
    assert sorted(os.listdir(place.base)) == ["backup-1", "shop.db", "workspace"]


def test_the_commands_of_the_manifest_restore_by_hand(place, shop):
    kept = place.take(shop)
    execute(shop, "DELETE FROM account")
    commands = [one.replace("/var/tmp", str(place.base)) for one in kept.taken.restore_by_hand]
    subprocess.run(["sh", "-ec", "\n".join(commands)], cwd=kept.path, check=True)
    assert sum_of(shop) == TOTAL


def test_looking_changes_nothing_at_all(place, shop):
    kept = place.take(shop)
    with Holder(shop) as holder:
        holder.execute("INSERT INTO filler VALUES (1000, 'in the WAL, perhaps')")
        check_that_looking_changes_nothing(shop, kept, place)


def test_looking_at_what_a_crash_has_left_changes_nothing(place, shop, tmp_path):
    kept = place.take(shop)
    (tmp_path / "crashed").mkdir()
    with Holder(shop) as holder:
        holder.execute("PRAGMA cache_size = 2")
        holder.execute("BEGIN")
        holder.execute("UPDATE filler SET text = text || text || text")
        crashed = copy_with_all_beside(shop, tmp_path / "crashed" / "shop.db")
    # A WAL or a hot journal lies beside it: opening the database would apply and remove either.
    assert len(os.listdir(tmp_path / "crashed")) > 1
    check_that_looking_changes_nothing(crashed, kept, place)


def check_that_looking_changes_nothing(shop, kept, place):
    before = tree_of(place.base)
    engine = engine_for(shop)
    engine.look()
    engine.target()
    engine.preflight(kept.order())
    assert tree_of(place.base) == before
