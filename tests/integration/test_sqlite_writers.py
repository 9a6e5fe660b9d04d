# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases that are written to without pause while they are backed up and replaced."""

from __future__ import annotations

import threading
import time

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import Busy, RestoreFailed
from integration.sqlite_support import (
    JOURNALS,
    TOTAL,
    Holder,
    Place,
    acknowledged,
    engine_for,
    execute,
    make_shop,
    rows_of,
    sum_of,
    wait_for_commits,
    writers,
)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture(params=JOURNALS)
def shop(request, tmp_path):
    return make_shop(tmp_path / "shop.db", request.param, filler=5000)


def numbers_in(path):
    """The (writer, number) of every commit that a database holds."""
    return set(rows_of(path, "SELECT writer, number FROM ledger"))


def test_each_backup_under_writers_is_one_moment(place, shop, tmp_path):
    with writers(shop, 2, tmp_path, pause=0.004) as reports:
        for number in range(4):
            before = [acknowledged(report) for report in reports]
            kept = place.take(shop)
            after = [acknowledged(report) for report in reports]
            copy = kept.unpacked(tmp_path / ("copy-%d.db" % number))
            assert sum_of(copy) == TOTAL
            held = numbers_in(copy)
            assert len(held) == {table.name: table.rows for table in kept.taken.fingerprint.tables}["ledger"]
            for writer in range(2):
                newest = max(number for one, number in held if one == writer)
                # The last commit may be in the database before its writer had the time to report it.
                assert before[writer] <= newest <= after[writer] + 1


def test_no_acknowledged_commit_is_lost_by_a_restore_with_a_safety_backup(place, shop, tmp_path):
    with writers(shop, 2, tmp_path, pause=0.004) as reports:
        kept = place.take(shop)
        wait_for_commits(reports, 5)
        # The moment between the safety copy and the lock is made long: somebody would surely commit in it.
        _swapped, safeties = place.restore(shop, kept.order(), safety=lambda: time.sleep(0.3), lock_wait=60.0)
        wait_for_commits(reports, 5)
    assert len(safeties) == 1
    assert sum_of(shop) == TOTAL
    safety = safeties[0].unpacked(tmp_path / "safety.db")
    assert sum_of(safety) == TOTAL
    anywhere = numbers_in(safety) | numbers_in(shop)
    for writer, report in enumerate(reports):
        last = acknowledged(report)
        lost = [number for number in range(1, last + 1) if (writer, number) not in anywhere]
        assert lost == []


def test_one_writer_without_any_pause_keeps_nobody_out(place, shop, tmp_path):
    with writers(shop, 1, tmp_path):
        kept = place.take(shop)
        _swapped, safeties = place.restore(shop, kept.order(), safety=True)
    assert len(safeties) == 1
    assert sum_of(shop) == TOTAL


def test_readers_in_wal_mode_go_on_while_the_safety_backup_is_published(place, tmp_path):
    shop = make_shop(tmp_path / "shop.db", "wal")
    kept = place.take(shop)
    seen = []
    with Holder(shop) as reader:
        place.restore(
            shop, kept.order(), safety=lambda: seen.extend(reader.execute("SELECT sum(balance) FROM account"))
        )
    assert seen == [(TOTAL,)]


def test_a_lock_that_is_never_given_up_ends_the_backup_at_its_deadline(place, tmp_path):
    shop = make_shop(tmp_path / "shop.db", "delete")
    with Holder(shop) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with pytest.raises(Busy, match="lock_timeout"):
            place.take(shop, lock_wait=0.5)
        assert time.monotonic() - began < 5


def test_a_lock_that_is_given_up_in_time_only_delays_the_backup(place, tmp_path):
    shop = make_shop(tmp_path / "shop.db", "delete")
    with Holder(shop) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        timer = threading.Timer(0.5, holder.execute, ["ROLLBACK"])
        timer.start()
        began = time.monotonic()
        place.take(shop, lock_wait=20.0)
        assert time.monotonic() - began > 0.4
        timer.join()


def test_a_lock_that_is_never_given_up_ends_the_restore_at_its_deadline(place, shop):
    kept = place.take(shop)
    with Holder(shop) as holder:
        holder.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(Busy, match="lock_timeout"):
            place.restore(shop, kept.order(), safety=True, lock_wait=0.5)
        assert time.monotonic() - began < 8
    assert sum_of(shop) == TOTAL
    assert engine_for(shop).target().unfinished is None


def test_a_reader_that_never_ends_stops_the_restore_in_rollback_mode_only(place, shop):
    kept = place.take(shop)
    with Holder(shop) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM account")
        if reader.execute("PRAGMA journal_mode") == [("wal",)]:
            execute(shop, "DELETE FROM account WHERE id > 9")
            place.restore(shop, kept.order(), safety=True, lock_wait=0.5)
            assert reader.execute("SELECT count(*) FROM account") == [(50,)]
        else:
            with pytest.raises(Busy, match="lock_timeout"):
                place.restore(shop, kept.order(), safety=True, lock_wait=0.5)
    assert sum_of(shop) == TOTAL


def test_a_safety_backup_that_fails_leaves_the_live_database_alone(place, shop):
    kept = place.take(shop)
    rows_before = rows_of(shop, "SELECT count(*) FROM filler")

    def fail():
        raise RestoreFailed("The repository is full.")

    with pytest.raises(RestoreFailed, match="repository is full"):
        place.restore(shop, kept.order(), safety=fail)
    assert rows_of(shop, "SELECT count(*) FROM filler") == rows_before
    target = engine_for(shop).target()
    assert (target.marker, target.unfinished) == (None, None)
    assert not (place.base / "shop.db-journal").exists()
