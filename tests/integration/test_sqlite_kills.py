# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL at random moments: the live database is the old or the new one, whole, and the next run goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from integration.sqlite_support import JOURNALS, TOTAL, Place, engine_for, execute, make_shop, rows_of, sum_of

TESTS = str(Path(__file__).resolve().parents[1])
COLLECTIONS = str(Path(__file__).resolve().parents[2] / "collections")

TAKE = """
import sys
sys.path[:0] = [{tests!r}, {collections!r}]
from integration.sqlite_support import Place
place = Place({base!r})
print("ready", flush=True)
while True:
    place.take({shop!r})
"""

SWAP = """
import pickle, sys
sys.path[:0] = [{tests!r}, {collections!r}]
from integration.sqlite_support import Kept, Place, a_marker, engine_for
place = Place({base!r})
path, taken = pickle.load(open({kept!r}, "rb"))
kept = Kept(path, taken, {shop!r})
place._number = {number}
print("ready", flush=True)
place.restore({shop!r}, kept.order(), safety={safety!r}, marker=a_marker(request="killed"))
"""


def killed_after(script, seconds):
    """Run ``script``, kill it so many seconds after it is ready; returns whether it was still running."""
    running = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert running.stdout.readline() == b"ready\n"
    try:
        running.wait(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        return True
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
        running.stdout.close()
        wait_for_group(running.pid)


def wait_for_group(leader):
    """Our children end themselves when we are gone; nothing may write on behind our back."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.killpg(leader, 0)
        except ProcessLookupError:
            return
        time.sleep(0.005)
    raise AssertionError("a child outlived its killed parent")


def check_a_killed_take(tmp_path, journal, seed):
    shop = make_shop(tmp_path / "shop.db", journal, filler=3000)
    script = TAKE.format(tests=TESTS, collections=COLLECTIONS, base=str(tmp_path), shop=shop)
    assert killed_after(script, random.Random(seed).uniform(0, 0.4))
    assert sum_of(shop) == TOTAL
    assert rows_of(shop, "SELECT count(*) FROM filler") == [(3000,)]


def check_a_killed_swap(tmp_path, journal, seed):
    import pickle

    draw = random.Random(seed)
    shop = make_shop(tmp_path / "shop.db", journal, filler=6000)
    place = Place(tmp_path)
    kept = place.take(shop)
    (tmp_path / "kept").write_bytes(pickle.dumps((str(kept.path), kept.taken)))
    execute(shop, "DELETE FROM filler WHERE id >= 4000; UPDATE filler SET text = text || 'changed'")
    was_killed = 0
    for number in range(1, 4):
        script = SWAP.format(
            tests=TESTS,
            collections=COLLECTIONS,
            base=str(tmp_path),
            shop=shop,
            kept=str(tmp_path / "kept"),
            number=number * 10,
            safety=draw.random() < 0.5,
        )
        was_killed += killed_after(script, draw.uniform(0.02, 0.5))
        engine = engine_for(shop)
        engine.settle(force=False)
        target = engine.target()
        assert target.unfinished is None
        (rows,) = rows_of(shop, "SELECT count(*) FROM filler")[0]
        assert rows in (4000, 6000)
        assert sum_of(shop) == TOTAL
        assert (rows == 6000) == (target.marker is not None)
        if target.marker is not None:
            assert target.marker.request == "killed"
            return
    assert was_killed


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("journal", JOURNALS)
def test_a_killed_backup_leaves_the_database_whole(tmp_path, journal, seed):
    check_a_killed_take(tmp_path, journal, seed)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("journal", JOURNALS)
def test_a_killed_restore_leaves_the_old_or_the_new_database(tmp_path, journal, seed):
    check_a_killed_swap(tmp_path, journal, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 200))
@pytest.mark.parametrize("journal", JOURNALS)
def test_hundreds_of_killed_restores(tmp_path, journal, seed):
    check_a_killed_swap(tmp_path, journal, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 150))
@pytest.mark.parametrize("journal", JOURNALS)
def test_hundreds_of_killed_backups(tmp_path, journal, seed):
    check_a_killed_take(tmp_path, journal, seed)
