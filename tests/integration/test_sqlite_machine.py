# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose rights, how much room, how much memory: SQLite on machines as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.accounts import account_named
from ansible_collections.holdfast.db.plugins.module_utils.engines.base import LoadOrder
from ansible_collections.holdfast.db.plugins.module_utils.errors import (
    BadInput,
    HoldfastError,
    Refused,
    RestoreFailed,
    ToolFailed,
)
from ansible_collections.holdfast.db.plugins.module_utils.external import ExternalFile
from ansible_collections.holdfast.db.plugins.module_utils.forked import call_as
from ansible_collections.holdfast.db.plugins.module_utils.pipeline import Processes
from integration.sqlite_support import (
    JOURNALS,
    TOTAL,
    Holder,
    Place,
    a_marker,
    connect,
    engine_for,
    execute,
    make_shop,
    rows_of,
    sum_of,
    tree_of,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user and mount")
TESTS = str(Path(__file__).resolve().parents[1])
COLLECTIONS = str(Path(__file__).resolve().parents[2] / "collections")


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def open_folder():
    """A directory that every user may reach, unlike those that pytest makes."""
    folder = tempfile.mkdtemp(prefix="holdfast-test-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    yield Path(folder)
    shutil.rmtree(folder)


@contextmanager
def small_disk(path, size):
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % size, "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


# Rights


@as_root
@pytest.mark.parametrize("journal", JOURNALS)
def test_root_leaves_everything_to_the_owner_of_the_file(place, open_folder, journal):
    owner = account_named("daemon")
    data = open_folder / "data"
    data.mkdir()
    os.chown(data, owner.uid, owner.gid)
    shop = make_shop(data / "shop.db", journal)
    os.chmod(shop, 0o640)
    os.chown(shop, owner.uid, owner.gid)
    os.chmod(place.base, 0o700)  # the workspace lies where the owner may not go
    kept = place.take(shop)
    owners = set()

    def look():
        owners.update(one.stat().st_uid for one in data.iterdir())

    _swapped, safeties = place.restore(shop, kept.order(), safety=look)
    assert len(safeties) == 1
    assert owners == {owner.uid}
    status = os.stat(shop)
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (owner.uid, owner.gid, 0o640)
    assert {one.stat().st_uid for one in data.iterdir()} == {owner.uid}
    assert engine_for(shop).target().marker == a_marker()


@as_root
def test_a_new_file_belongs_to_the_owner_of_its_directory(place, open_folder, tmp_path):
    owner = account_named("daemon")
    os.chown(open_folder, owner.uid, owner.gid)
    shop = make_shop(tmp_path / "shop.db")
    kept = place.take(shop)
    swapped, _none = place.restore(open_folder / "new.db", kept.order(replaces=False))
    status = os.stat(open_folder / "new.db")
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (owner.uid, owner.gid, 0o600)
    assert any("daemon" in one and "root" in one for one in swapped.warnings)
    assert sum_of(open_folder / "new.db") == TOTAL


@as_root
def test_the_content_of_a_file_never_runs_as_root(place, open_folder):
    """The owner's own file must not become a way to root: the child that opens it is the owner."""
    owner = account_named("daemon")
    os.chown(open_folder, owner.uid, owner.gid)
    seen = call_as(owner, lambda _parent: [os.getuid(), os.geteuid(), os.getgid(), sorted(os.getgroups())])
    assert seen == [owner.uid, owner.uid, owner.gid, sorted(owner.groups)]


@as_root
@pytest.mark.parametrize("journal", JOURNALS)
def test_everything_works_without_root(open_folder, journal):
    owner = account_named("nobody")
    os.chown(open_folder, owner.uid, owner.gid)

    def circle(_parent):
        os.environ["HOME"] = str(open_folder)
        place = Place(open_folder)
        shop = make_shop(open_folder / "shop.db", journal)
        kept = place.take(shop)
        execute(shop, "DELETE FROM account")
        place.restore(shop, kept.order(), safety=True)
        return [sum_of(shop), engine_for(shop).target().marker is not None, os.listdir(place.space)]

    assert call_as(owner, circle) == [TOTAL, True, []]


@as_root
def test_what_a_user_may_not_read_or_write_is_said_in_one_sentence(place, open_folder, tmp_path):
    shop = make_shop(open_folder / "shop.db", "wal")
    kept = place.take(shop)
    stranger = account_named("nobody")

    def act(mode, verb):
        os.chmod(shop, mode)
        return call_as(stranger, verb)

    engine, order = engine_for(shop), kept.order()
    with pytest.raises(BadInput, match="cannot be read"):
        act(0o600, lambda _parent: engine.look())
    with pytest.raises(Refused, match="may not write into"):
        act(0o644, lambda _parent: engine.look())
    with pytest.raises(Refused, match="may not write into"):
        act(0o644, lambda _parent: engine.preflight(order))
    execute(shop, "PRAGMA journal_mode = delete")
    os.chmod(open_folder, 0o777)
    with pytest.raises(Refused, match="cannot be written"):
        act(0o644, lambda _parent: engine.preflight(order))


@as_root
def test_root_does_not_follow_a_link_that_a_stranger_has_laid(tmp_path, open_folder):
    stranger = account_named("nobody")
    secret = make_shop(tmp_path / "secret.db")
    (open_folder / "home").mkdir()
    for link, to in ((open_folder / "home" / "shop.db", secret), (open_folder / "data", tmp_path)):
        os.symlink(to, link)
        os.chown(link, stranger.uid, stranger.gid, follow_symlinks=False)
    for path in (open_folder / "home" / "shop.db", open_folder / "data" / "secret.db"):
        with pytest.raises(Refused, match="name the file itself"):
            engine_for(path).look()
    # A way back up leads to where the link before it has led.
    os.symlink("data/../%s/secret.db" % tmp_path.name, open_folder / "round.db")
    with pytest.raises(Refused, match="name the file itself"):
        engine_for(open_folder / "round.db").look()
    os.chown(open_folder / "data", 0, 0, follow_symlinks=False)
    engine_for(open_folder / "round.db").look()
    engine_for(open_folder / "data" / "secret.db").look()


# Room


@as_root
def test_a_full_workspace_is_refused_before_anything_starts(tmp_path):
    shop = make_shop(tmp_path / "shop.db", filler=20000)
    with small_disk(tmp_path / "small", 1 << 20) as small:
        place = Place(small)
        before = tree_of(small)
        with pytest.raises(Refused, match="not enough space") as reason:
            place.take(shop)
        assert str(place.space) in str(reason.value)
        with pytest.raises(Refused, match="not enough space"):
            engine_for(shop, workspace=str(small)).look()
        assert [one for one in tree_of(small) if "sqlite" in one] == [one for one in before if "sqlite" in one]
        assert os.listdir(place.space) == []


@as_root
def test_a_workspace_that_fills_up_meanwhile_fails_the_backup_cleanly(tmp_path):
    shop = make_shop(tmp_path / "shop.db", filler=40000)
    with small_disk(tmp_path / "small", os.path.getsize(shop) + (3 << 20)) as small:
        place = Place(small)
        holder = Holder(shop)
        holder.execute("BEGIN EXCLUSIVE")

        def fill_and_let_go():
            with suppress(OSError):
                (small / "filler").write_bytes(bytes(8 << 20))
            holder.execute("ROLLBACK")

        # The check of the room is over when the backup waits for the lock.
        timer = threading.Timer(1.0, fill_and_let_go)
        timer.start()
        with pytest.raises(ToolFailed, match="space"):
            place.take(shop)
        timer.join()
        holder.close()
        assert os.listdir(place.space) == []


@as_root
@pytest.mark.parametrize("journal", JOURNALS)
def test_a_live_disk_without_room_is_refused_beforehand(tmp_path, place, journal):
    big = make_shop(tmp_path / "big.db", filler=40000)
    kept = place.take(big)
    with small_disk(tmp_path / "small", 2 << 20) as small:
        shop = make_shop(small / "shop.db", journal)
        with pytest.raises(Refused, match="free some"):
            engine_for(shop).preflight(kept.order())
        with pytest.raises(Refused, match="free some"):
            engine_for(small / "new.db").preflight(kept.order(replaces=False))


@as_root
@pytest.mark.parametrize("journal", JOURNALS)
def test_a_live_disk_that_fills_up_during_the_swap_leaves_the_old_database(tmp_path, place, journal):
    big = make_shop(tmp_path / "big.db", filler=40000)
    kept = place.take(big)
    with small_disk(tmp_path / "small", os.path.getsize(big) + (4 << 20)) as small:
        shop = make_shop(small / "shop.db", journal)

        def fill():
            (small / "filler").write_bytes(bytes(4 << 20))

        with pytest.raises(ToolFailed, match="space"):
            place.restore(shop, kept.order(), safety=fill)
        assert sum_of(shop) == TOTAL
        assert rows_of(shop, "SELECT count(*) FROM filler") == [(200,)]
        target = engine_for(shop).target()
        assert (target.marker, target.unfinished) == (None, None)
        os.unlink(small / "filler")
        place.restore(shop, kept.order())
        assert rows_of(shop, "SELECT count(*) FROM filler") == [(40000,)]


@as_root
def test_a_new_file_that_does_not_fit_leaves_nothing(tmp_path, place):
    big = make_shop(tmp_path / "big.db", filler=40000)
    kept = place.take(big)
    with small_disk(tmp_path / "small", 2 << 20) as small:
        engine = engine_for(small / "new.db")
        order = kept.order(replaces=False)
        with engine.loaded(order, place.workspace()) as loaded, pytest.raises(RestoreFailed, match="space"):
            engine.swap(loaded, order, a_marker(), None)
        assert os.listdir(small) == []


# Memory and time


MEASURE = """
import sys
sys.path[:0] = [{tests!r}, {collections!r}]
from integration.circle_program import peak
from integration.sqlite_support import Place, execute
place = Place({base!r})
kept = place.take({shop!r})
place.restore({shop!r}, kept.order(), safety=True)
print(peak() // 1024)
"""


def test_our_memory_stays_flat_with_200_megabytes(tmp_path):
    shop = make_shop(tmp_path / "shop.db", "wal")
    base = connect(shop)
    base.execute("PRAGMA synchronous = off")
    base.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n LIMIT 60000)"
        " INSERT INTO filler SELECT i, hex(randomblob(2000)) FROM n"
    )
    base.close()
    assert os.path.getsize(shop) > 200 << 20
    script = MEASURE.format(tests=TESTS, collections=COLLECTIONS, base=str(tmp_path), shop=shop)
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 64 << 10
    assert sum_of(shop) == TOTAL


def test_a_time_limit_ends_the_work(place, tmp_path):
    shop = make_shop(tmp_path / "shop.db")
    with Holder(shop) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(HoldfastError, match="limit"):
            place.take(shop, time_limit=0.5, lock_wait=60.0)
    assert os.listdir(place.space) == []


# Markers


@pytest.mark.parametrize("journal", JOURNALS)
def test_an_interrupted_restore_over_foreign_content_is_refused_until_asked_anew(place, tmp_path, journal):
    shop = make_shop(tmp_path / "shop.db", journal)
    interrupt(place, shop)
    execute(shop, "INSERT INTO filler VALUES (5000, 'written since')")
    engine = engine_for(shop)
    assert "cut off" in engine.target().unfinished
    with pytest.raises(Refused, match="neither the old nor the new"):
        engine.settle(force=False)
    assert engine.target().unfinished
    engine.settle(force=True)
    assert engine.target().unfinished is None
    assert engine.target().marker is None


@pytest.mark.parametrize("journal", JOURNALS)
def test_an_interrupted_restore_over_the_old_content_is_forgotten(place, tmp_path, journal):
    shop = make_shop(tmp_path / "shop.db", journal)
    interrupt(place, shop)
    engine = engine_for(shop)
    engine.settle(force=False)
    assert engine.target().unfinished is None
    assert engine.target().marker is None


@pytest.mark.parametrize("journal", JOURNALS)
def test_an_interrupted_restore_over_the_new_content_is_finished(place, tmp_path, journal):
    shop = make_shop(tmp_path / "shop.db", journal)
    new = make_shop(tmp_path / "new.db", filler=777)
    intent = interrupt(place, shop, new)
    place.restore(shop, LoadOrder(file=ExternalFile(new, Processes()), replaces=True), marker=a_marker(request="other"))
    os.removexattr(shop, "user.holdfast.restored")
    os.setxattr(shop, "user.holdfast.intent", intent)
    engine = engine_for(shop)
    engine.settle(force=False)
    target = engine.target()
    assert target.unfinished is None
    assert target.marker == a_marker(request="interrupted")


def interrupt(place, shop, new=None):
    """Leave ``shop`` as a kill just before the commit does; returns the intent that stays behind."""
    new = new or make_shop(place.base / "interrupting.db", filler=777)
    order = LoadOrder(file=ExternalFile(new, Processes()), replaces=True)
    running = os.fork()
    if running == 0:
        from ansible_collections.holdfast.db.plugins.module_utils.engines import sqlite_swap

        def intend_and_die(self):
            intend(self)
            os.kill(os.getpid(), 9)

        intend, sqlite_swap.Swap._intend = sqlite_swap.Swap._intend, intend_and_die
        try:
            place.restore(shop, order, marker=a_marker(request="interrupted"))
        except ToolFailed:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(running, 0)[1] == 0
    return os.getxattr(shop, "user.holdfast.intent")


def test_where_the_file_system_keeps_no_attributes_the_marker_lies_beside(place, tmp_path):
    shop = make_shop(tmp_path / "shop.db")
    # Too much for the attributes of any common file system.
    marker = a_marker(request="r" * 100000)
    kept = place.take(shop)
    place.restore(shop, kept.order(), marker=marker)
    assert (tmp_path / ".shop.db.holdfast").exists()
    assert engine_for(shop).target().marker == marker
    shutil.copy(shop, tmp_path / "other")
    os.replace(tmp_path / "other", shop)
    assert engine_for(shop).target().marker is None
    place.restore(shop, kept.order())
    assert engine_for(shop).target().marker == a_marker()
    assert not (tmp_path / ".shop.db.holdfast").exists()


def test_a_marker_goes_with_its_file(place, tmp_path):
    shop = make_shop(tmp_path / "shop.db")
    kept = place.take(shop)
    place.restore(shop, kept.order())
    os.rename(shop, tmp_path / "moved.db")
    assert engine_for(tmp_path / "moved.db").target().marker == a_marker()
    make_shop(shop)
    assert engine_for(shop).target().marker is None
