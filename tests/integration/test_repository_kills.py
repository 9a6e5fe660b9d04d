# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed at any instant, a repository shows whole backups or none, and the next writer tidies up.

The writers here are real processes that are really killed; what they held is checked from outside.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import Busy, NotFound
from ansible_collections.holdfast.db.plugins.module_utils.repository.registry import open_repository
from backup_samples import (
    CONTENT,
    NOON,
    SHOP,
    a_manifest,
    add_backup,
    an_attempt,
    folder_of,
    make_repository,
    start,
    write_backup,
)

KILLS = 12
SOAK_KILLS = 400


@pytest.fixture
def location(tmp_path):
    path = tmp_path / "repository"
    make_repository(path).close()
    return path


@pytest.fixture
def repository(location):
    with contextlib.closing(open_repository(str(location))) as opened:
        yield opened


def kill_a_writer(location, seconds):
    """Let a writer make and delete backups for ``seconds`` and kill it; returns the ids that it said it made."""
    writer = start("create", location)
    told = [writer.stdout.readline().strip()]
    time.sleep(seconds)
    writer.kill()
    rest = writer.stdout.read().split("\n")
    writer.wait()
    # What follows the last newline is half a line.
    return [one for one in told + rest[:-1] if one]


def assert_whole(repository, told):
    """Every published backup is complete, and so is the last one that was announced."""
    entries = repository.entries(SHOP)
    good = [entry.id for entry in entries if entry.is_good]
    assert not [entry for entry in entries if entry.status == "damaged"]
    assert not [entry for entry in entries if entry.status == "running"]
    assert not told or told[-1] in good
    for backup_id in good:
        with repository.reading(SHOP, backup_id) as reading:
            assert reading.folder.read("dump.sql", 1 << 20) == CONTENT
            assert reading.folder.names() == ["dump.sql", "manifest.json"]


def kill_and_look(location, repository, dice, rounds):
    for _each in range(rounds):
        told = kill_a_writer(location, dice.random() * 0.05)
        assert_whole(repository, told)
        add_backup(repository)
        names = os.listdir(folder_of(location))
        assert not [name for name in names if name.startswith((".work-", ".del-")) or name.endswith(".tmp")]
        assert_whole(repository, [])
    assert {entry.status for entry in repository.entries(SHOP)} <= {"completed", "interrupted"}


def test_a_repository_survives_killed_writers(location, repository):
    kill_and_look(location, repository, random.Random(20261120), KILLS)


@pytest.mark.soak
def test_a_repository_survives_hundreds_of_killed_writers(location, repository):
    kill_and_look(location, repository, random.Random(), SOAK_KILLS)


# ---- every single step ----


def steps_of(location, trace, *arguments):
    """The system calls that change something, in order, of one run of the program."""
    traced = ["strace", "-f", "-qq", "-o", str(trace), "-y", "-e", "trace=%s" % ",".join(CHANGING)]
    with start(*arguments, prefix=traced) as process:
        process.communicate()
        assert process.returncode == 0
    return [line for line in trace.read_text().splitlines() if str(location) in line]


CHANGING = ["write", "fsync", "rename", "renameat", "renameat2", "unlinkat", "mkdirat", "fchown", "openat"]


def test_publishing_reaches_the_disk_in_the_promised_order(location, tmp_path):
    """Artifacts, their folder, then the manifest, then the folder again, then the name, then the folder above."""
    lines = steps_of(location, tmp_path / "trace", "add", location)
    work = re.escape(str(folder_of(location))) + r"/\.work-[^/>]+"
    above = re.escape(str(folder_of(location)))
    order = [
        r"fsync\(\d+<%s/dump\.sql>\)" % work,
        r"fsync\(\d+<%s>\)" % work,
        r"write\(\d+<%s/manifest\.json>" % work,
        r"fsync\(\d+<%s/manifest\.json>\)" % work,
        r"unlinkat\(\d+<%s>, \"attempt\.json\"" % work,
        r"fsync\(\d+<%s>\)" % work,
        r"rename(at2?)?\(\d+<%s>, \"\.work-[^\"]+\", \d+<%s>, \"[0-9TZ]+-[0-9a-f]{6}\"" % (above, above),
        r"fsync\(\d+<%s>\)" % above,
    ]
    # From the end, so that each step is the last of its kind that could have counted.
    at = len(lines)
    for pattern in reversed(order):
        found = [number for number, line in enumerate(lines[:at]) if re.search(pattern, line)]
        assert found, "%s is missing or too late" % pattern
        at = found[-1]
    published = next(number for number, line in enumerate(lines) if re.search(order[-2], line))
    assert not [line for line in lines[published + 1 :] if "write(" in line and "manifest.json" in line]


def test_deleting_takes_the_name_first_and_the_manifest_next(location, repository, tmp_path):
    backup_id = add_backup(repository)
    lines = steps_of(location, tmp_path / "trace", "remove", location, backup_id)
    order = [
        r"rename(at2?)?\(.*\"%s\".*\"\.del-%s\"" % (backup_id, backup_id),
        r"fsync\(\d+<%s>\)" % re.escape(str(folder_of(location))),
        r"unlinkat\(.*\"manifest\.json\"",
        r"unlinkat\(.*\"dump\.sql\"",
        r"unlinkat\(.*\"\.del-%s\", AT_REMOVEDIR" % backup_id,
    ]
    at = 0
    for pattern in order:
        found = [number for number, line in enumerate(lines) if number >= at and re.search(pattern, line)]
        assert found, "%s is missing or too early" % pattern
        at = found[0]


@pytest.mark.parametrize("verb", ["add", "fail", "remove"])
def test_killed_after_each_single_step_the_repository_is_whole(tmp_path, verb):
    """Not at random: strace injects SIGKILL at the first, second, third ... changing call of the run."""
    for call in ("fsync", "unlinkat", "/^rename", "mkdirat"):
        for number in range(1, 30):
            location = tmp_path / "repository"
            repository = make_repository(location)
            kept = add_backup(repository)
            more = (kept,) if verb == "remove" else ()
            inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call]
            inject += ["-e", "inject=%s:signal=KILL:when=%d" % (call, number)]
            with start(verb, location, *more, prefix=inject) as process:
                said = process.communicate()[0].strip()
            was_killed = process.returncode not in (0, 1)
            entries = {entry.id: entry for entry in repository.entries(SHOP)}
            expected = {"completed", "interrupted", "failed"} if verb == "fail" else {"completed", "interrupted"}
            assert {entry.status for entry in entries.values()} <= expected, (call, number)
            assert verb == "remove" or entries[kept].is_good
            assert verb != "add" or not said or entries[said].is_good
            if call in ("unlinkat", "/^rename"):
                # By then the facts about the try are on the disk and are never lost again.
                assert all(entry.attempt.engine == "sqlite" for entry in entries.values() if entry.attempt)
            assert_whole(repository, [])
            assert_whole(repository, [add_backup(repository)])
            if call in ("unlinkat", "/^rename"):
                assert all(entry.attempt.engine == "sqlite" for entry in repository.entries(SHOP) if entry.attempt)
            assert not [name for name in os.listdir(folder_of(location)) if name.startswith((".work-", ".del-"))]
            repository.close()
            shutil.rmtree(location)
            if not was_killed:
                assert number > 1, "the call %s was never made" % call
                break
        else:
            pytest.fail("more than 29 calls of %s" % call)


def statuses(repository):
    return [(entry.id, entry.status) for entry in repository.entries(SHOP)]


def test_making_a_repository_can_be_killed_after_each_single_step(tmp_path):
    for call in ("/^mkdir", "fchmod", "fsync", "/^rename"):
        for number in range(1, 10):
            path = tmp_path / "new"
            inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call]
            inject += ["-e", "inject=%s:signal=KILL:when=%d" % (call, number)]
            with start("init", path, prefix=inject) as process:
                said = process.communicate()[0].strip()
            with contextlib.closing(make_repository(path)) as repository:
                assert said in ("", repository.id)
                assert os.listdir(path) == ["holdfast.json"]
                add_backup(repository)
            shutil.rmtree(path)
            if process.returncode == 0:
                assert number > 1, "the call %s was never made" % call
                break


# ---- locks ----


def test_an_orphan_holds_the_lock_until_it_is_gone(location, repository):
    """The parent is dead, but its child writes on: nobody may clear its work folder under it."""
    writer = start("forever", location)
    backup_id, child = writer.stdout.readline().split()
    assert statuses(repository) == [(backup_id, "running")]
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    try:
        assert statuses(repository) == [(backup_id, "running")]
        with pytest.raises(Busy, match="held by backup %s" % backup_id), repository.writing(SHOP, 0):
            pass
        assert (folder_of(location) / (".work-" + backup_id)).exists()
    finally:
        os.kill(int(child), signal.SIGKILL)
    with repository.writing(SHOP, 5) as writing:
        write_backup(writing)
    assert {status for _id, status in statuses(repository)} == {"interrupted", "completed"}
    (tried,) = [entry for entry in repository.entries(SHOP) if entry.id == backup_id]
    assert tried.attempt.engine == "sqlite" and "was ended before it was done" in tried.problem


def test_a_second_writer_waits_for_the_first(location, repository):
    with repository.writing(SHOP, 0):
        begun = time.monotonic()
        with pytest.raises(Busy, match="not free within 1 s"), repository.writing(SHOP, 1):
            pass
        assert 1 <= time.monotonic() - begun < 5
        waiting = start("add", location)
        time.sleep(0.3)
        assert waiting.poll() is None
    assert waiting.communicate(timeout=20)[0].strip() == repository.entries(SHOP)[0].id


def test_listing_never_makes_a_writer_fail(location, repository):
    """Looking at a lock takes it for a moment; a writer that does not wait must not trip over that."""
    folder = folder_of(location)
    add_backup(repository)
    shutil.copytree(folder / repository.entries(SHOP)[0].id, folder / ".work-20261120T063000Z-3f9a1c")
    watching = os.open(folder / ".lock", os.O_RDONLY)
    fcntl.flock(watching, fcntl.LOCK_SH)
    done_looking = threading.Timer(0.1, os.close, [watching])
    done_looking.start()
    with repository.writing(SHOP, 0):
        pass
    done_looking.join()


def test_two_sources_are_written_at_once(repository):
    other = type(SHOP)("db2", "shop", "shop")
    with repository.writing(SHOP, 0), repository.writing(other, 0) as writing:
        write_backup(writing)


def test_a_backup_that_is_read_cannot_be_deleted(location, repository):
    backup_id = add_backup(repository)
    reader = start("hold", location, backup_id, stdin=subprocess.PIPE)
    assert reader.stdout.readline() == "True\n"
    with repository.writing(SHOP, 0) as writing:
        with pytest.raises(Busy, match="is being read by a restore"):
            writing.remove(backup_id)
        assert [entry.is_good for entry in repository.entries(SHOP)] == [True]
        reader.communicate("")
        writing.remove(backup_id)
    assert repository.entries(SHOP) == ()


def test_a_reader_that_died_holds_nothing(location, repository):
    backup_id = add_backup(repository)
    reader = start("hold", location, backup_id, stdin=subprocess.PIPE)
    reader.stdout.readline()
    reader.kill()
    reader.wait()
    with repository.writing(SHOP, 0) as writing:
        writing.remove(backup_id)


def test_two_readers_at_once_and_a_new_backup_meanwhile(location, repository):
    backup_id = add_backup(repository)
    with repository.reading(SHOP, backup_id), repository.reading(SHOP, backup_id):
        add_backup(repository)
    assert len(repository.entries(SHOP)) == 2


def test_a_backup_that_vanishes_under_its_reader_was_removed_and_is_not_damaged(location, repository):
    """Another host deletes without seeing our lock, as on a network file system."""
    backup_id = add_backup(repository)
    with (
        pytest.raises(NotFound, match="was removed while it was being read"),
        repository.reading(SHOP, backup_id) as one,
    ):
        (folder_of(location) / backup_id).rename(folder_of(location) / (".del-" + backup_id))
        shutil.rmtree(folder_of(location) / (".del-" + backup_id))
        one.folder.read("dump.sql", 1 << 20)


def test_readers_writers_and_removers_together_lose_nothing(location, repository):
    add_backup(repository)
    writer = start("create", location)
    readers = [start("read", location) for _each in range(2)]
    for reader in readers:
        said, _errors = reader.communicate(timeout=60)
        assert reader.returncode == 0, said
        assert int(said.split()[0]) > 0
    writer.kill()
    writer.communicate()
    assert_whole(repository, [])


def test_two_that_make_the_repository_at_once_agree_on_its_id(tmp_path):
    path = tmp_path / "new"
    path.mkdir()
    held = os.open(path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    makers = [start("init", path) for _each in range(3)]
    time.sleep(0.7)
    assert [maker.poll() for maker in makers] == [None] * 3 and os.listdir(path) == []
    os.close(held)
    ids = {maker.communicate(timeout=60)[0].strip() for maker in makers}
    assert len(ids) == 1 and "" not in ids


# ---- leftovers ----


def test_a_work_folder_without_facts_is_recorded_by_its_id(location, repository):
    add_backup(repository)
    (folder_of(location) / ".work-20261120T063000Z-3f9a1c").mkdir()
    listed = repository.entries(SHOP)[-1]
    assert (listed.id, listed.status) == ("20261120T063000Z-3f9a1c", "interrupted")
    add_backup(repository)
    (tried,) = [entry for entry in repository.entries(SHOP) if entry.status == "interrupted"]
    assert (tried.id, tried.attempt.engine) == ("20261120T063000Z-3f9a1c", "")
    assert tried.started.isoformat() == "2026-11-20T06:30:00+00:00"


def test_a_leftover_can_be_removed_by_its_id(location, repository):
    add_backup(repository)
    (folder_of(location) / ".work-20261120T063000Z-3f9a1c").mkdir()
    with repository.writing(SHOP, 0) as writing:
        writing.remove("20261120T063000Z-3f9a1c")
    assert [entry.status for entry in repository.entries(SHOP)] == ["completed"]


def test_pruning_during_a_backup_leaves_its_work_alone(repository):
    old, attempt = add_backup(repository), an_attempt(NOON)
    with repository.writing(SHOP, 0) as writing, writing.begin(attempt) as work:
        work.folder.write("dump.sql", CONTENT)
        writing.remove(old)
        work.publish(a_manifest(attempt.id))
    assert statuses(repository) == [(attempt.id, "completed")]


def test_a_child_that_outlives_its_writer_keeps_the_source(repository):
    """The lock is given back by closing, never by unlocking, which would take it from the child too."""
    with repository.writing(SHOP, 0) as writing:
        child = subprocess.Popen(["sleep", "60"], pass_fds=[writing.lock])
    try:
        with pytest.raises(Busy, match="held by another run"), repository.writing(SHOP, 0):
            pass
    finally:
        child.kill()
        child.wait()
    with repository.writing(SHOP, 0):
        pass


def test_a_child_of_a_reader_keeps_the_backup(repository):
    backup_id = add_backup(repository)
    with repository.reading(SHOP, backup_id) as reading:
        child = subprocess.Popen(["sleep", "60"], pass_fds=[reading.lock])
    try:
        with repository.writing(SHOP, 0) as writing, pytest.raises(Busy, match="is being read"):
            writing.remove(backup_id)
    finally:
        child.kill()
        child.wait()
    assert statuses(repository) == [(backup_id, "completed")]
