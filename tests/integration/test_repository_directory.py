# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository is made only where that was asked for, shows what it holds, and deletes only what it was told to."""

from __future__ import annotations

import contextlib
import json
import os
from datetime import timedelta

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.accounts import account_of
from ansible_collections.holdfast.db.plugins.module_utils.errors import (
    BadInput,
    Damaged,
    NotFound,
    RepositoryError,
    ToolFailed,
)
from ansible_collections.holdfast.db.plugins.module_utils.model import Source
from ansible_collections.holdfast.db.plugins.module_utils.repository.registry import (
    init_repository,
    open_repository,
    would_init,
)
from backup_samples import (
    CHECKOUT,
    CONTENT,
    NOON,
    SHOP,
    a_manifest,
    add_backup,
    an_attempt,
    folder_of,
    make_repository,
    write_backup,
)
from jsonschema import Draft202012Validator

ME = account_of(os.geteuid())


@pytest.fixture
def location(tmp_path):
    return tmp_path / "repository"


@pytest.fixture
def repository(location):
    with contextlib.closing(make_repository(location)) as made:
        yield made


def tree(path):
    """Every path below ``path`` with its mode and time of change."""
    return sorted((str(one), one.lstat().st_mode, one.lstat().st_mtime_ns) for one in [path, *path.rglob("*")])


def statuses(repository, source=SHOP):
    return [(entry.id, entry.status) for entry in repository.entries(source)]


# ---- making and opening ----


def test_init_makes_a_private_directory_with_a_random_id(location):
    made = init_repository(str(location), ME)
    other = init_repository(str(location.with_name("other")), ME)
    assert len(made.id) == 32 and made.id != other.id
    assert location.stat().st_mode & 0o777 == 0o700
    settings = json.loads((location / "holdfast.json").read_text())
    assert settings["owner"] == {"uid": ME.uid, "name": ME.name}
    assert (settings["format"], settings["id"]) == (1, made.id)
    assert (location / "holdfast.json").stat().st_mode & 0o777 == 0o600


def test_init_opens_a_repository_that_is_there_and_changes_nothing(repository, location):
    add_backup(repository)
    before = tree(location)
    assert init_repository(str(location), ME).id == repository.id
    assert tree(location) == before


def test_init_takes_an_empty_file_system_with_its_lost_and_found(location):
    (location / "lost+found").mkdir(parents=True)
    assert init_repository(str(location), ME).sources() == ()


def test_init_after_a_killed_init_makes_the_repository(location):
    location.mkdir()
    (location / ".holdfast.json.0123abcd.tmp").write_text("{")
    init_repository(str(location), ME)
    assert os.listdir(location) == ["holdfast.json"]


def test_init_refuses_a_foreign_directory_and_names_what_is_there(location):
    location.mkdir()
    (location / "thesis.odt").write_text("mine")
    before = tree(location)
    with pytest.raises(RepositoryError, match='not empty and not a repository, it holds "thesis'):
        init_repository(str(location), ME)
    assert tree(location) == before


def test_init_makes_no_parents(location):
    with pytest.raises(RepositoryError, match="in which the repository is to be made does not exist"):
        init_repository(str(location / "deeper"), ME)
    assert not location.exists()


def test_would_init_says_what_init_would_do_and_writes_nothing(location):
    assert would_init(str(location))
    assert not location.exists()
    location.mkdir()
    before = tree(location)
    assert would_init(str(location))
    assert tree(location) == before
    init_repository(str(location), ME).close()
    assert not would_init(str(location))
    with pytest.raises(RepositoryError, match="in which the repository is to be made does not exist"):
        would_init(str(location / "deeper" / "still"))
    (location / "holdfast.json").rename(location / "other.json")
    with pytest.raises(RepositoryError, match="not empty and not a repository"):
        would_init(str(location))


@pytest.mark.parametrize("verb", [lambda path: init_repository(path, ME), open_repository])
def test_a_file_is_no_repository(location, verb):
    location.write_text("")
    with pytest.raises(RepositoryError, match="is not a directory"):
        verb(str(location))


def test_a_missing_directory_is_never_made_by_opening(location):
    with pytest.raises(RepositoryError, match=r"There is no directory .* init: true"):
        open_repository(str(location))
    assert not location.exists()


def test_an_empty_directory_is_not_filled_by_mistake(location):
    location.mkdir()
    with pytest.raises(RepositoryError, match=r"if a share should be mounted there, mount it.*init: true"):
        open_repository(str(location))
    assert os.listdir(location) == []


def test_a_relative_path_is_refused():
    with pytest.raises(BadInput, match="is not an absolute path"):
        open_repository("backups")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "lacks format, id or owner"),
        ('{"format": 1, "id": "x", "owner": {}}', "lacks format, id or owner"),
        ('{"format": 2}', "is written in format 2, and this version of holdfast reads format 1; use a newer one"),
    ],
)
def test_garbage_in_the_settings_is_one_sentence(repository, location, content, sentence):
    (location / "holdfast.json").write_text(content)
    with pytest.raises(RepositoryError, match=sentence):
        open_repository(str(location))


def test_settings_that_are_a_link_are_refused(repository, location):
    (location / "holdfast.json").rename(location / "elsewhere.json")
    (location / "holdfast.json").symlink_to("elsewhere.json")
    with pytest.raises(RepositoryError, match="is a link"):
        open_repository(str(location))


def test_another_repository_than_the_expected_one_is_refused(repository, location):
    assert open_repository(str(location), expected_id=repository.id).id == repository.id
    with pytest.raises(RepositoryError, match="another disk or share may be mounted there"):
        open_repository(str(location), expected_id="0" * 32)


# ---- writing and listing ----


def test_a_backup_is_listed_and_read_as_it_was_published(repository):
    backup_id = add_backup(repository)
    (entry,) = repository.entries(SHOP)
    assert entry.is_good and entry.manifest == a_manifest(backup_id)
    with repository.reading(SHOP, backup_id) as reading:
        assert reading.manifest == entry.manifest
        assert reading.folder.read("dump.sql", 1 << 20) == CONTENT


def test_real_manifests_satisfy_the_published_schema(repository, location):
    add_backup(repository)
    (path,) = location.rglob("manifest.json")
    schema = json.loads((CHECKOUT / "plugins/plugin_utils/schema/manifest.json").read_text())
    Draft202012Validator(schema).validate(json.loads(path.read_text()))


def test_everything_is_private(repository, location):
    with repository.writing(SHOP, 0) as writing:
        backup_id = write_backup(writing)
        writing.set_pinned(backup_id, pinned=True)
        with pytest.raises(ZeroDivisionError), writing.begin(an_attempt()):
            raise ZeroDivisionError
    modes = {path.relative_to(location): path.stat().st_mode & 0o777 for path in location.rglob("*")}
    assert {mode for path, mode in modes.items() if (location / path).is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if (location / path).is_file()} == {0o600}


def test_the_newest_is_listed_first(repository):
    ids = [add_backup(repository, when=NOON + timedelta(hours=hours)) for hours in (1, 3, 2)]
    assert [entry.id for entry in repository.entries(SHOP)] == [ids[1], ids[2], ids[0]]


HOSTILE = ["../x", " ", "it's", 'say "hi"', "two\nlines", "ünïcødé", "-rf", "ü" * 64, ".", "..", "%2F", "a/b", "\udcff"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_inside_and_comes_back_as_it_was(repository, location, name):
    source = Source(name, name, name)
    backup_id = add_backup(repository, source)
    assert repository.sources() == (source,)
    assert statuses(repository, source) == [(backup_id, "completed")]
    assert os.listdir(location.parent) == ["repository"]
    assert len(list(location.glob("*/*/*/*/manifest.json"))) == 1


def test_the_names_of_a_source_survive_the_loss_of_their_record(repository, location):
    source = Source("db", "a b", "c")
    add_backup(repository, source)
    (record,) = location.rglob("source.json")
    record.unlink()
    assert repository.sources() == (source,)
    add_backup(repository, source)
    assert json.loads(record.read_text())["policy"] == "a b"


def test_a_shortened_name_without_its_record_is_said_and_not_passed_over(repository, location):
    add_backup(repository, Source("db", "p", "ü" * 64))
    (record,) = location.rglob("source.json")
    record.unlink()
    with pytest.raises(Damaged, match="does not say which source"):
        repository.sources()


def test_listing_and_checking_write_nothing(repository, location):
    backup_id = add_backup(repository)
    before = tree(location)
    repository.sources()
    repository.entries(SHOP)
    repository.entries(Source("nobody", "was", "here"))
    repository.check_writable(SHOP, 1)
    repository.check_writable(Source("nobody", "was", "here"), 1)
    with repository.reading(SHOP, backup_id):
        pass
    assert tree(location) == before


def test_a_backup_that_is_copied_under_another_id_is_listed_as_damaged(repository, location):
    backup_id = add_backup(repository)
    folder = folder_of(location)
    other = "20250101T000000Z-00000a"
    (folder / other).mkdir()
    text = (folder / backup_id / "manifest.json").read_text()
    (folder / other / "manifest.json").write_text(text)
    (folder / (other[:-1] + "b")).mkdir()
    (folder / (other[:-1] + "b") / "manifest.json").write_text(text.replace(backup_id, other[:-1] + "b"))
    found = {entry.id: entry.status for entry in repository.entries(SHOP)}
    assert found == {backup_id: "completed", other: "damaged", other[:-1] + "b": "damaged"}


# ---- tries that came to nothing ----


def test_a_failed_try_leaves_its_sentence_and_nothing_else(repository, location):
    attempt = an_attempt()
    with (
        pytest.raises(ToolFailed),
        repository.writing(SHOP, 0) as writing,
        writing.begin(attempt) as work,
    ):
        work.folder.make_child("dump").close()
        work.folder.write("dump.sql", CONTENT)
        raise ToolFailed("pg_dump failed with exit status 1.")
    (entry,) = repository.entries(SHOP)
    assert (entry.status, entry.problem) == ("failed", "pg_dump failed with exit status 1.")
    assert entry.attempt.engine == "sqlite" and entry.attempt.finished is not None
    assert sorted(os.listdir(folder_of(location))) == [".lock", "attempts", "source.json"]


@pytest.mark.parametrize("reason", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_try_is_recorded_as_that(repository, reason):
    with pytest.raises(reason), repository.writing(SHOP, 0) as writing, writing.begin(an_attempt()):
        raise reason
    assert [entry.status for entry in repository.entries(SHOP)] == ["interrupted"]


def test_a_block_that_ends_without_publishing_is_a_failure(repository):
    with (
        pytest.raises(RepositoryError, match="ended without a backup"),
        repository.writing(SHOP, 0) as writing,
        writing.begin(an_attempt()),
    ):
        pass
    assert [entry.status for entry in repository.entries(SHOP)] == ["failed"]


def test_an_exception_after_publishing_takes_nothing_back(repository):
    attempt = an_attempt()
    with (
        pytest.raises(ZeroDivisionError),
        repository.writing(SHOP, 0) as writing,
        writing.begin(attempt) as work,
    ):
        work.folder.write("dump.sql", CONTENT)
        work.publish(a_manifest(attempt.id))
        raise ZeroDivisionError
    assert statuses(repository) == [(attempt.id, "completed")]


@pytest.mark.parametrize("written", [b"", CONTENT[:-1]])
def test_an_artifact_of_another_size_than_its_manifest_says_is_not_published(repository, written):
    attempt = an_attempt()
    with (
        pytest.raises(RepositoryError, match=r'artifact "dump\.sql" has'),
        repository.writing(SHOP, 0) as writing,
        writing.begin(attempt) as work,
    ):
        work.folder.write("dump.sql", written)
        work.publish(a_manifest(attempt.id))
    assert statuses(repository) == [(attempt.id, "failed")]


def test_the_manifest_of_another_source_is_not_published(repository):
    attempt = an_attempt()
    with (
        pytest.raises(RepositoryError, match="under another name"),
        repository.writing(SHOP, 0) as writing,
        writing.begin(attempt) as work,
    ):
        work.folder.write("dump.sql", CONTENT)
        work.publish(a_manifest(attempt.id, Source("other", "shop", "shop")))
    assert statuses(repository) == [(attempt.id, "failed")]


# ---- pins, acknowledgements, evidence ----


def test_a_pin_and_an_acknowledgement_lie_beside_the_backup_and_go_with_it(repository, location):
    backup_id = add_backup(repository, flags=("rows fell from 10 to 1",))
    published = tree(folder_of(location) / backup_id)
    assert repository.entries(SHOP)[0].is_flagged
    with repository.writing(SHOP, 0) as writing:
        writing.set_pinned(backup_id, pinned=True)
        writing.acknowledge(backup_id)
    (entry,) = repository.entries(SHOP)
    assert (entry.pinned, entry.acknowledged, entry.is_flagged) == (True, True, False)
    with repository.writing(SHOP, 0) as writing:
        writing.set_pinned(backup_id, pinned=False)
    assert (repository.entries(SHOP)[0].pinned, repository.entries(SHOP)[0].acknowledged) == (False, True)
    assert tree(folder_of(location) / backup_id) == published
    with repository.writing(SHOP, 0) as writing:
        writing.remove(backup_id)
    assert os.listdir(folder_of(location) / "marks") == []


def test_an_unreadable_pin_counts_as_one(repository, location):
    backup_id = add_backup(repository)
    with repository.writing(SHOP, 0) as writing:
        writing.set_pinned(backup_id, pinned=True)
        (folder_of(location) / "marks" / (backup_id + ".json")).write_text("{")
        assert repository.entries(SHOP)[0].pinned
        assert "counts as pinned" in repository.entries(SHOP)[0].problem
        writing.set_pinned(backup_id, pinned=False)
    assert not repository.entries(SHOP)[0].pinned


def test_only_backups_can_be_marked(repository):
    with repository.writing(SHOP, 0) as writing:
        with pytest.raises(NotFound):
            writing.set_pinned("20261120T120000Z-000000", pinned=True)
        with pytest.raises(BadInput):
            writing.acknowledge("../x")


def test_the_newest_evidence_is_shown(repository, location):
    backup_id = add_backup(repository)
    drills = folder_of(location) / "drills"
    drills.mkdir()
    for number, finished in enumerate(["2026-11-21T05:00:00Z", "2026-11-28T05:00:00Z", "2026-11-14T05:00:00Z"]):
        record = {"backup": backup_id, "finished": finished, "verdict": number}
        (drills / ("%d.json" % number)).write_text(json.dumps(record))
    (drills / "notes.json").write_text("[]")
    assert repository.entries(SHOP)[0].last_drill["verdict"] == 1


# ---- damage ----


def unreadable(folder):
    (folder / "manifest.json").write_text("{")


def missing(folder):
    (folder / "manifest.json").unlink()


def linked(folder):
    (folder / "manifest.json").rename(folder / "x.json")
    (folder / "manifest.json").symlink_to("x.json")


def renamed(folder):
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace(folder.name, "20200101T000000Z-000000"))


def from_elsewhere(folder):
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"db1.example.com"', '"db2.example.com"'))


def a_pipe(folder):
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")


@pytest.mark.parametrize("hurt", [unreadable, missing, linked, renamed, from_elsewhere, a_pipe])
def test_a_damaged_backup_is_listed_as_damaged_and_can_be_removed(repository, location, hurt):
    backup_id, good = add_backup(repository), add_backup(repository, when=NOON - timedelta(days=1))
    hurt(folder_of(location) / backup_id)
    damaged, whole = repository.entries(SHOP)
    assert (damaged.id, damaged.status, damaged.manifest, damaged.started) == (backup_id, "damaged", None, NOON)
    assert damaged.problem and not damaged.is_good
    assert (whole.id, whole.is_good) == (good, True)
    with pytest.raises(Damaged), repository.reading(SHOP, backup_id):
        pass
    with repository.writing(SHOP, 0) as writing:
        writing.remove(backup_id)
    assert statuses(repository) == [(good, "completed")]


def test_a_record_of_a_try_that_is_unreadable_is_still_listed(repository, location):
    with pytest.raises(ZeroDivisionError), repository.writing(SHOP, 0) as writing, writing.begin(an_attempt()):
        raise ZeroDivisionError
    (record,) = (folder_of(location) / "attempts").iterdir()
    record.write_text("")
    (entry,) = repository.entries(SHOP)
    assert (entry.status, entry.problem) == ("interrupted", "The record of this try is unreadable.")


# ---- deleting ----


def test_deleting_takes_the_backup_and_leaves_everything_else(repository, location):
    first, second = add_backup(repository), add_backup(repository, when=NOON + timedelta(hours=1))
    folder = folder_of(location)
    (folder / "README.txt").write_text("mine")
    (folder / ".work-notes").mkdir()
    (folder / ".del-me").mkdir()
    with repository.writing(SHOP, 0) as writing:
        writing.remove(first)
        with pytest.raises(NotFound, match="There is no backup"):
            writing.remove(first)
    assert statuses(repository) == [(second, "completed")]
    assert {"README.txt", ".work-notes", ".del-me"} < set(os.listdir(folder))


def test_the_record_of_a_try_can_be_deleted(repository):
    attempt = an_attempt()
    with repository.writing(SHOP, 0) as writing:
        with pytest.raises(ZeroDivisionError), writing.begin(attempt):
            raise ZeroDivisionError
        writing.remove(attempt.id)
    assert repository.entries(SHOP) == ()


@pytest.mark.parametrize("text", ["../x", "", ".", "attempts", ".lock", "20261120T063000Z-3f9a1c/../x"])
def test_a_hostile_id_never_becomes_a_path(repository, location, text):
    add_backup(repository)
    with repository.writing(SHOP, 0) as writing:
        before = tree(location)
        with pytest.raises(BadInput, match="is not the id of a backup"):
            writing.remove(text)
        with pytest.raises(BadInput, match="is not the id of a backup"), repository.reading(SHOP, text):
            pass
        assert tree(location) == before


# ---- links ----


def test_deleting_follows_no_link(repository, location, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep me")
    backup_id = add_backup(repository)
    backup = folder_of(location) / backup_id
    (backup / "way out").symlink_to(precious)
    (backup / "file").symlink_to(precious / "file")
    with repository.writing(SHOP, 0) as writing:
        writing.remove(backup_id)
    assert (precious / "file").read_text() == "keep me"
    assert not backup.exists()


def test_a_source_that_is_a_link_is_not_written_through(repository, location, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    folder_of(location).parent.mkdir(parents=True)
    folder_of(location).symlink_to(precious)
    with pytest.raises(RepositoryError, match="look at it and remove it"), repository.writing(SHOP, 0):
        pass
    with pytest.raises(RepositoryError, match="look at it and remove it"):
        repository.entries(SHOP)
    assert os.listdir(precious) == []


def test_a_backup_that_is_a_link_is_damaged_and_never_entered(repository, location, tmp_path):
    backup_id = add_backup(repository)
    backup = folder_of(location) / backup_id
    backup.rename(tmp_path / "moved")
    backup.symlink_to(tmp_path / "moved")
    assert statuses(repository) == [(backup_id, "damaged")]
    with pytest.raises(RepositoryError), repository.writing(SHOP, 0) as writing:
        writing.remove(backup_id)
    assert (tmp_path / "moved" / "dump.sql").read_bytes() == CONTENT


def test_leftovers_that_are_links_are_left_alone(repository, location, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep me")
    add_backup(repository)
    for name in (".work-20261120T063000Z-3f9a1c", ".del-20261120T063000Z-3f9a1d"):
        (folder_of(location) / name).symlink_to(precious)
    add_backup(repository, when=NOON + timedelta(hours=1))
    assert (precious / "file").read_text() == "keep me"


def test_a_link_in_place_of_a_new_file_is_not_written_through(repository, location, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    attempt = an_attempt()
    with (
        pytest.raises(RepositoryError),
        repository.writing(SHOP, 0) as writing,
        writing.begin(attempt) as work,
    ):
        work.folder.write("dump.sql", CONTENT)
        (folder_of(location) / (".work-" + attempt.id) / "manifest.json").symlink_to(precious)
        work.publish(a_manifest(attempt.id))
    assert precious.read_text() == "keep me"
    assert statuses(repository) == [(attempt.id, "failed")]
