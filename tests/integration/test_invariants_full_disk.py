# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No room: in the repository, the work directory, beside the live file, on the server. One sentence, nothing half."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import HoldfastError
from integration.circle_support import Circle, PostgresqlCircle, SqliteCircle, one_sentence
from integration.postgresql_support import own_major, running_server, system_programs

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small tmpfs")
MIB = 1 << 20


@contextmanager
def small_disk(path: pathlib.Path, size: int) -> Iterator[pathlib.Path]:
    """A file system of ``size`` bytes at ``path``."""
    path.mkdir(exist_ok=True)
    path.chmod(0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d,mode=0755" % size, "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(path: pathlib.Path, leave: int) -> pathlib.Path:
    """Leave ``leave`` bytes free on the file system of ``path``; returns the file that takes the room."""
    state = os.statvfs(path)
    filler = path / "filler"
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, state.f_bavail * state.f_frsize - leave))
    return filler


def grow(circle: Circle, mebibytes: int) -> None:
    """Add rows that no compressor makes smaller."""
    if circle.engine == "sqlite":
        circle.execute(
            "INSERT INTO state WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
            " SELECT hex(randomblob(524288)) FROM n" % mebibytes
        )
        return
    one = "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 64) WHERE i > 0)"
    circle.execute("INSERT INTO state SELECT %s FROM generate_series(1, %d) AS i" % (one, mebibytes * 512))


def fails(do: Any, *words: str) -> str:
    with pytest.raises(HoldfastError) as caught:
        do()
    sentence = one_sentence(caught.value)
    assert any(word in sentence for word in words), sentence
    return sentence


@pytest.mark.parametrize("about", [{"settings": {"form": "stream"}}, {"settings": {"form": "directory"}}, {"age": 1}])
def test_a_repository_that_fills_up_midway(circle: Circle, about: dict, age_key: tuple[str, str]) -> None:
    about = {"recipients": [age_key[0]]} if "age" in about else about
    with small_disk(circle.home / "disk", 20 * MIB) as disk:
        circle.repository = disk / "repository"
        circle.create(**about)
        good = circle.good()
        grow(circle, 40)
        sentence = fails(lambda: circle.create(**about), "no space left", "No space left")
        assert str(circle.repository) in sentence
        (failed,) = [entry for entry in circle.entries() if entry.status == "failed"]
        assert failed.problem == sentence
        assert circle.good() == good
        assert circle.unfinished() == []
        assert circle.verify(identity_file=age_key[1]).damaged == ()
        assert circle.restore(target=circle.copy, strategy="new", identity_file=age_key[1]).changed
        assert circle.word(circle.copy) == "first"


def test_a_repository_without_any_room_is_refused_beforehand(circle: Circle) -> None:
    with small_disk(circle.home / "disk", 24 * MIB) as disk:
        circle.repository = disk / "repository"
        circle.create()
        good = circle.good()
        filler = fill(disk, 4 * MIB)
        for predict in (True, False):
            fails(lambda predict=predict: circle.create(predict=predict), "free some space")
        filler.unlink()
        filler = fill(disk, 0)
        fails(circle.create, "free some space", "No space left")
        filler.unlink()
        assert circle.good() == good
        assert circle.create().changed
        assert circle.unfinished() == []


def test_a_work_directory_without_room(tmp_path: pathlib.Path) -> None:
    circle = SqliteCircle(tmp_path, rows=500)
    circle.create()
    grow(circle, 20)
    good = circle.good()
    with small_disk(circle.space, 16 * MIB):
        sentence = fails(circle.create, "not enough space", "free some")
        assert str(circle.space) in sentence
        assert circle.good() == good
        assert circle.unfinished() == []
        # Where the copy of the small one fits, everything goes on.
        circle.execute("DELETE FROM state WHERE length(word) > 100")
        circle.execute("VACUUM")
        assert circle.create().changed


@pytest.mark.postgresql
def test_a_work_directory_without_room_for_the_copy_of_a_dump(tmp_path: pathlib.Path, server) -> None:
    """As root the files of a directory are copied to where the server's account may read them."""
    circle = PostgresqlCircle(tmp_path, server, rows=500)
    grow(circle, 20)
    circle.create(settings={"form": "directory"})
    with small_disk(circle.space, 2 * MIB):
        fails(circle.verify, "space", "room")
        fails(lambda: circle.restore(target=circle.copy, strategy="new"), "space", "room")
        assert circle.unfinished() == []
        assert circle.statuses() == dict.fromkeys(circle.good(), "completed")
    assert not circle.exists(circle.copy)
    assert circle.verify().damaged == ()
    circle.remove()


def test_no_room_beside_the_live_file(tmp_path: pathlib.Path) -> None:
    with small_disk(tmp_path / "live", 64 * MIB) as disk:
        circle = SqliteCircle(tmp_path, rows=500)
        grow(circle, 12)
        circle.create()
        circle.execute("DELETE FROM state WHERE length(word) > 100")
        circle.execute("VACUUM")
        circle.change("live")
        filler = fill(disk, 3 * MIB)
        for target in ({}, {"target": circle.copy, "strategy": "new"}):
            sentence = fails(lambda target=target: circle.restore(**target), "space", "room")
            assert str(disk) in sentence
        assert circle.word() == "live"
        assert not circle.exists(circle.copy)
        filler.unlink()
        assert circle.unfinished() == []
        assert circle.restore().changed
        assert circle.query("SELECT count(*) FROM state") == ["13"]


@pytest.mark.postgresql
def test_a_server_without_room(tmp_path: pathlib.Path) -> None:
    """Refused beforehand where it can be seen; a disk that fills up later leaves the live database as it was."""
    tuned = {"max_wal_size": "48MB", "min_wal_size": "32MB", "wal_level": "minimal", "max_wal_senders": "0"}
    with tempfile.TemporaryDirectory(prefix="holdfast-disk-", dir="/tmp") as place, reached(place) as disk:
        with running_server(system_programs()[own_major()], place=str(disk), **tuned) as server:
            circle = PostgresqlCircle(tmp_path, server, rows=500)
            grow(circle, 20)
            circle.create()
            circle.change("live")
            filler = fill(disk, 200 * MIB)
            for predict in (True, False):
                fails(lambda predict=predict: circle.restore(predict=predict), "make room")
            filler.unlink()
            watching = threading.Thread(target=fill_when_loading, args=(circle, disk))
            watching.start()
            sentence = fails(circle.restore, "No space left", "lost", "closed", "make room")
            watching.join()
            (disk / "filler").unlink()
            come_back(server)
            assert circle.query("SELECT min(word), count(*) FROM filled") == ["live", "500"], sentence
            assert circle.restore().changed
            assert circle.query("SELECT min(word), count(*) FROM filled") == ["first", "500"]
            assert circle.unfinished() == []


@contextmanager
def reached(place: str) -> Iterator[pathlib.Path]:
    """A disk with room for a server, that the server's account can reach."""
    os.chmod(place, 0o755)
    with small_disk(pathlib.Path(place, "disk"), 448 * MIB) as disk:
        yield disk


def fill_when_loading(circle: PostgresqlCircle, disk: pathlib.Path) -> None:
    """Take all room as soon as a copy is being loaded."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        seen = circle.server.psql("SELECT count(*) FROM pg_database WHERE datname LIKE 'holdfast_load_%'", check=False)
        if seen == "1":
            fill_to_the_brim(disk)
            return
        time.sleep(0.02)


def fill_to_the_brim(disk: pathlib.Path) -> None:
    """Piece by piece, for others take room meanwhile."""
    with open(disk / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(MIB))


def come_back(server: Any) -> None:
    """A server whose disk is full may have stopped; with room again it starts, once its last process is gone."""
    until = time.monotonic() + 30
    while server.psql("SELECT 1", check=False) != "1":
        assert time.monotonic() < until, server.log()[-2000:]
        time.sleep(0.2)
        if not (server.data / "postmaster.pid").exists():
            with contextlib.suppress(AssertionError):
                server.control("start")
