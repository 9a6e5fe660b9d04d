# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository belongs to one user, whoever runs; a full or read-only disk is one sentence.

Rights are tried by children that really are another user, space on a small tmpfs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.accounts import account_named, account_of
from ansible_collections.holdfast.db.plugins.module_utils.errors import RepositoryError
from ansible_collections.holdfast.db.plugins.module_utils.forked import call_as
from ansible_collections.holdfast.db.plugins.module_utils.repository.registry import (
    init_repository,
    open_repository,
)
from backup_samples import CONTENT, SHOP, a_manifest, add_backup, an_attempt, folder_of, make_repository, start

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as several users and mount a tmpfs")

ROOT = account_of(0)
NOBODY = account_named("nobody")
DAEMON = account_named("daemon")


@pytest.fixture
def place():
    """A directory that every user can reach, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="holdfast-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def small_disk(place):
    """A file system of 16 MiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def owners_below(path):
    return {one.lstat().st_uid for one in [path, *path.rglob("*")]}


# ---- one owner, whoever runs ----


def test_what_root_makes_belongs_to_the_owner(place):
    path = place / "repository"
    repository = init_repository(str(path), NOBODY)
    with repository.writing(SHOP, 0) as writing:
        with pytest.raises(ZeroDivisionError), writing.begin(an_attempt()):
            raise ZeroDivisionError
        attempt = an_attempt()
        with writing.begin(attempt) as work:
            work.folder.make_child("dump").close()
            work.folder.write("dump.sql", CONTENT)
            work.publish(a_manifest(attempt.id))
        writing.set_pinned(attempt.id, pinned=True)
    assert owners_below(path) == {NOBODY.uid}


def test_root_and_the_owner_take_turns(place):
    path = place / "repository"
    with contextlib.closing(init_repository(str(path), NOBODY)) as repository:
        ids = [add_backup(repository)]
    ids.append(call_as(NOBODY, lambda _parent: add_backup(open_repository(str(path)))))
    with contextlib.closing(open_repository(str(path))) as repository:
        ids.append(add_backup(repository))
        with repository.writing(SHOP, 0) as writing:
            writing.remove(ids[1])
    listed = call_as(NOBODY, lambda _parent: [one.id for one in open_repository(str(path)).entries(SHOP)])
    assert sorted(listed) == sorted([ids[0], ids[2]])
    assert owners_below(path) == {NOBODY.uid}


def test_the_owner_can_make_the_repository(place):
    place.chmod(0o777)
    path = place / "repository"
    made = call_as(NOBODY, lambda _parent: init_repository(str(path), account_named("nobody")).id)
    assert open_repository(str(path)).id == made
    assert path.stat().st_uid == NOBODY.uid


def test_an_empty_directory_of_root_is_handed_to_the_owner(place):
    (place / "repository").mkdir(mode=0o755)
    init_repository(str(place / "repository"), NOBODY)
    assert owners_below(place / "repository") == {NOBODY.uid}
    assert (place / "repository").stat().st_mode & 0o777 == 0o700


def test_what_root_had_no_time_to_hand_over_is_handed_over_later(place):
    """Killed between making a folder and giving it away, root would lock the owner out for ever."""
    path = place / "repository"
    with contextlib.closing(init_repository(str(path), NOBODY)) as repository:
        add_backup(repository)
        for lost in (path / SHOP.host, folder_of(path), folder_of(path) / ".lock"):
            os.chown(lost, 0, 0)
        add_backup(repository)
    assert owners_below(path) == {NOBODY.uid}


def test_a_file_of_the_system_linked_into_the_repository_keeps_its_owner(place):
    path = place / "repository"
    with contextlib.closing(init_repository(str(path), NOBODY)) as repository:
        add_backup(repository)
        (folder_of(path) / ".lock").unlink()
        (place / "secret").write_text("root's")
        os.link(place / "secret", folder_of(path) / ".lock")
        add_backup(repository)
    assert (place / "secret").stat().st_uid == 0
    assert (place / "secret").read_text() == "root's"


def test_root_with_few_capabilities_clears_what_a_database_user_left(place):
    """A service may hold no right to write into other users' directories, and such a one filled the dump's."""
    path = place / "repository"
    with contextlib.closing(make_repository(path)) as repository:
        backup_id = add_backup(repository)
        dump = folder_of(path) / backup_id / "dump"
        dump.mkdir(mode=0o700)
        (dump / "toc.dat").write_text("")
        for one in (dump, dump / "toc.dat"):
            os.chown(one, NOBODY.uid, NOBODY.gid)
        few = ["setpriv", "--bounding-set=-all,+chown,+dac_read_search,+setuid,+setgid"]
        assert start("remove", path, backup_id, prefix=few).communicate()[0] == ""
        assert repository.entries(SHOP) == ()
        assert not list(folder_of(path).glob(".del-*"))


# ---- the wrong user ----


def test_a_stranger_is_told_who_may(place):
    path = place / "repository"
    init_repository(str(path), NOBODY).close()
    with pytest.raises(RepositoryError, match="may not be read by user daemon; run as its owner or as root"):
        call_as(DAEMON, lambda _parent: open_repository(str(path)).id)


def test_a_stranger_cannot_make_a_repository_for_somebody_else(place):
    place.chmod(0o777)
    with pytest.raises(RepositoryError, match="Only root or user root can make"):
        call_as(DAEMON, lambda _parent: init_repository(str(place / "repository"), ROOT).id)
    assert not (place / "repository").exists()


def test_a_stranger_reads_where_the_modes_allow_it_but_writes_nothing(place):
    path = place / "repository"
    with contextlib.closing(init_repository(str(path), NOBODY)) as repository:
        backup_id = add_backup(repository)
    subprocess.run(["chmod", "-R", "a+rwX", path], check=True)

    def read(_parent):
        with contextlib.closing(open_repository(str(path))) as opened, opened.reading(SHOP, backup_id) as reading:
            return [opened.is_read_only, len(opened.entries(SHOP)), len(reading.folder.read("dump.sql", 1 << 20))]

    def write(_parent):
        add_backup(open_repository(str(path)))

    def check(_parent):
        open_repository(str(path)).check_writable(SHOP, 1)

    assert call_as(DAEMON, read) == [True, 1, len(CONTENT)]
    for forbidden in (write, check):
        with pytest.raises(RepositoryError, match="belongs to user nobody; run as that user or as root, and not as"):
            call_as(DAEMON, forbidden)


def test_an_unreadable_backup_is_not_called_damaged(place):
    path = place / "repository"
    with contextlib.closing(init_repository(str(path), NOBODY)) as repository:
        backup_id = add_backup(repository)
    (folder_of(path) / backup_id / "manifest.json").chmod(0)
    with pytest.raises(RepositoryError, match="Permission denied; run as the user that owns the repository"):
        call_as(NOBODY, lambda _parent: len(open_repository(str(path)).entries(SHOP)))


def test_a_folder_of_somebody_else_inside_is_noticed_beforehand(place):
    path = place / "repository"
    with contextlib.closing(init_repository(str(path), NOBODY)) as repository:
        add_backup(repository)
    folder_of(path).chmod(0o500)
    with pytest.raises(RepositoryError, match="is not writable for user nobody"):
        call_as(NOBODY, lambda _parent: open_repository(str(path)).check_writable(SHOP, 1))


def test_another_user_in_a_process_of_its_own_lists_what_is_there(place):
    """The same as a person at a shell would see it, started by setpriv."""
    path = place / "repository"
    init_repository(str(path), NOBODY).close()
    stranger = ["setpriv", "--reuid=%d" % DAEMON.uid, "--clear-groups"]
    answer = start("list", path, prefix=stranger).communicate()[0]
    assert answer.startswith("RepositoryError: ") and answer.count("\n") == 1


# ---- a read-only mount ----


def test_a_read_only_mount_is_read_and_not_written(place):
    path, mounted = place / "repository", place / "mounted"
    with contextlib.closing(make_repository(path)) as repository:
        backup_id = add_backup(repository)
    mounted.mkdir()
    subprocess.run(["mount", "--bind", path, mounted], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", mounted], check=True)
        with contextlib.closing(open_repository(str(mounted))) as repository:
            assert repository.is_read_only
            assert repository.sources() == (SHOP,)
            with repository.reading(SHOP, backup_id) as reading:
                assert reading.folder.read("dump.sql", 1 << 20) == CONTENT
            for forbidden in (lambda: add_backup(repository), lambda: repository.check_writable(SHOP, 1)):
                with pytest.raises(RepositoryError, match="is mounted read-only; mount it writable"):
                    forbidden()
        with pytest.raises(RepositoryError, match="is mounted read-only"):
            open_repository(str(mounted)).check_writable(SHOP, 1)
    finally:
        subprocess.run(["umount", "--lazy", mounted], check=True)


# ---- a full disk ----


def fill(path, leave):
    """Leave ``leave`` bytes free on the file system of ``path``."""
    free = os.statvfs(path).f_bavail * os.statvfs(path).f_frsize
    (path / "filler").write_bytes(bytes(max(0, free - leave)))


def test_too_little_room_is_refused_before_anything_starts(small_disk):
    repository = make_repository(small_disk / "repository")
    repository.check_writable(SHOP, 1 << 20)
    with pytest.raises(RepositoryError, match=r"has 1\d(\.\d)? MiB free and the backup may need 72 MiB"):
        repository.check_writable(SHOP, 64 << 20)
    fill(small_disk, 1 << 20)
    with pytest.raises(RepositoryError, match="free some space"):
        repository.check_writable(SHOP, 1)


def test_a_disk_that_fills_up_midway_leaves_the_last_good_backup_and_a_record(small_disk):
    repository = make_repository(small_disk / "repository")
    good, attempt = add_backup(repository), an_attempt()
    with (
        pytest.raises(OSError) as caught,
        repository.writing(SHOP, 0) as writing,
        writing.begin(attempt) as work,
    ):
        work.folder.write("dump.sql", bytes(32 << 20))
    assert caught.value.errno == errno.ENOSPC
    assert {entry.id: entry.status for entry in repository.entries(SHOP)} == {
        good: "completed",
        attempt.id: "failed",
    }
    assert add_backup(repository)


def test_a_disk_that_is_full_at_the_last_moment_publishes_nothing(small_disk):
    """The artifact still had room, the manifest has not."""
    repository = make_repository(small_disk / "repository")
    good, attempt = add_backup(repository), an_attempt()
    with (
        pytest.raises(RepositoryError, match="No space left on device; free some space"),
        repository.writing(SHOP, 0) as writing,
        writing.begin(attempt) as work,
    ):
        work.folder.write("dump.sql", CONTENT)
        fill(small_disk / "repository", 0)
        work.publish(a_manifest(attempt.id))
    (small_disk / "repository" / "filler").unlink()
    assert {entry.status for entry in repository.entries(SHOP)} <= {"completed", "failed", "interrupted"}
    assert [entry.id for entry in repository.entries(SHOP) if entry.is_good] == [good]
    assert add_backup(repository)


def test_a_full_disk_can_be_pruned(small_disk):
    """Deleting must not need room, for it is what makes room."""
    repository = make_repository(small_disk / "repository")
    backup_id = add_backup(repository)
    fill(small_disk / "repository", 0)
    with repository.writing(SHOP, 0) as writing:
        writing.remove(backup_id)
    (small_disk / "repository" / "filler").unlink()
    assert repository.entries(SHOP) == ()
