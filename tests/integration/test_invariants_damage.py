# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens to a stored backup is found, named, and never restored; garbage from elsewhere is one sentence."""

from __future__ import annotations

import gzip
import os
import pathlib
import random
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import Damaged, HoldfastError
from integration.circle_program import perform
from integration.circle_support import Circle, PostgresqlCircle, Program, SqliteCircle, one_sentence

FORMS = [{"settings": {"form": "stream"}}, {"settings": {"form": "directory"}}]
SEED = 20261120


def cut_off(file: pathlib.Path, other: pathlib.Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def flip_a_bit(file: pathlib.Path, other: pathlib.Path) -> None:
    content = bytearray(file.read_bytes())
    place = random.Random(SEED).randrange(len(content))
    content[place] ^= 1 << place % 8
    file.write_bytes(content)


def exchange(file: pathlib.Path, other: pathlib.Path) -> None:
    file.write_bytes(other.read_bytes())


def empty(file: pathlib.Path, other: pathlib.Path) -> None:
    file.write_bytes(b"")


def lose(file: pathlib.Path, other: pathlib.Path) -> None:
    file.unlink()


def link_elsewhere(file: pathlib.Path, other: pathlib.Path) -> None:
    file.unlink()
    file.symlink_to(other)


def make_a_directory(file: pathlib.Path, other: pathlib.Path) -> None:
    file.unlink()
    file.mkdir()


def lengthen(file: pathlib.Path, other: pathlib.Path) -> None:
    with open(file, "ab") as stream:
        stream.write(b"\n")


HARM = [cut_off, flip_a_bit, exchange, empty, lose, link_elsewhere, make_a_directory, lengthen]


def two_backups(circle: Circle, about: dict[str, Any]) -> tuple[str, str]:
    """A good one, and a later one of other content that is going to be harmed."""
    first = circle.create(**about).entry.id
    circle.change("second")
    return first, circle.create(**about).entry.id


def assert_nobody_restores(circle: Circle, backup_id: str, good: str, *words: str) -> None:
    """By its id it is refused; the latest is the one before it; what is live stays."""
    for predict in (True, False):
        with pytest.raises(Damaged) as caught:
            circle.restore(target=circle.copy, strategy="new", backup=backup_id, predict=predict)
        sentence = one_sentence(caught.value)
        for word in words:
            assert word in sentence
    with pytest.raises(Damaged):
        circle.restore(backup=backup_id)
    assert not circle.exists(circle.copy)
    assert circle.word() == "second"
    assert circle.restore(target=circle.copy, strategy="new").backup.id == good
    assert circle.word(circle.copy) == "first"
    circle.drop(circle.copy)
    assert circle.unfinished() == []


@pytest.mark.parametrize("about", FORMS, ids=["stream", "directory"])
def test_every_artifact_every_way(circle: Circle, about: dict[str, Any]) -> None:
    if circle.engine == "sqlite" and about == FORMS[1]:
        return
    good, harmed = two_backups(circle, about)
    files = sorted(path for path in circle.folder(harmed).rglob("*") if path.is_file() and path.name != "manifest.json")
    assert len(files) > 1
    for number, file in enumerate(files):
        other = circle.folder(good) / file.relative_to(circle.folder(harmed))
        for harm in HARM if number < 1 else random.Random(number).sample(HARM, 2):
            whole = file.read_bytes()
            if not other.is_file() or other.read_bytes() == whole:
                other = next(path for path in files if path != file)
            harm(file, other)
            (report,) = circle.verify().damaged
            assert report.entry.id == harmed, harm
            assert report.artifact and os.path.basename(report.artifact) in one_sentence(report.problem), harm
            assert circle.statuses() == {good: "completed", harmed: "damaged"}
            if number == 0 and harm in (flip_a_bit, exchange):
                assert_nobody_restores(circle, harmed, good, "damaged")
            file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink(missing_ok=True)
            file.write_bytes(whole)
            assert circle.verify().damaged == ()
            assert circle.good() == [good, harmed]


def test_the_manifest_every_way(circle: Circle) -> None:
    good, harmed = two_backups(circle, {})
    manifest = circle.folder(harmed) / "manifest.json"
    whole, other = manifest.read_bytes(), circle.folder(good) / "manifest.json"
    for harm in HARM:
        harm(manifest, other)
        assert circle.statuses() == {good: "completed", harmed: "damaged"}, harm
        (report,) = circle.verify().damaged
        assert report.entry.id == harmed and one_sentence(report.problem)
        if harm in (flip_a_bit, exchange, lose):
            assert_nobody_restores(circle, harmed, good)
        assert not circle.prune(1).sources[0].removed, "the last good one stays"
        shutil.rmtree(manifest) if manifest.is_dir() and not manifest.is_symlink() else manifest.unlink(missing_ok=True)
        manifest.write_bytes(whole)
        assert circle.good() == [good, harmed]


def test_a_stranger_among_the_files_is_found(circle: Circle) -> None:
    _good, harmed = two_backups(circle, {"settings": {"form": "directory"}})
    folder = circle.folder(harmed)
    inside = folder / "dump" if circle.engine == "postgresql" else folder
    (inside / "9999.dat").write_text("more")
    damaged = circle.verify().damaged
    if circle.engine == "postgresql":
        assert "9999.dat" in damaged[0].problem
    else:
        # Beside the artifacts it takes part in nothing.
        assert damaged == ()


def garbage(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Files that are no dump of any database."""
    chance = random.Random(SEED)
    noise = chance.randbytes(20000)
    found = {name: folder / name for name in ("noise", "empty", "noise.gz", "noise.zst", "cut.gz", "text.sql", "toc")}
    found["noise"].write_bytes(noise)
    found["empty"].write_bytes(b"")
    found["noise.gz"].write_bytes(gzip.compress(noise))
    subprocess.run(["zstd", "-q", str(found["noise"]), "-o", str(found["noise.zst"])], check=True)
    found["cut.gz"].write_bytes(gzip.compress(noise)[:5000])
    found["text.sql"].write_text("this is no SQL at all, but it is text\n" * 50)
    found["toc"].write_bytes(b"PGDMP" + noise)
    found["directory"] = folder / "directory"
    found["directory"].mkdir()
    found["sqlite header"] = folder / "header.db"
    found["sqlite header"].write_bytes(b"SQLite format 3\0" + noise)
    found["device"] = pathlib.Path("/dev/zero")
    found["null"] = pathlib.Path("/dev/null")
    found["pipe"] = folder / "pipe"
    os.mkfifo(found["pipe"])
    found["missing"] = folder / "missing"
    found["link to nowhere"] = folder / "link"
    found["link to nowhere"].symlink_to(folder / "missing")
    found["the repository"] = folder / "repository"
    return found


def test_garbage_from_elsewhere_is_one_sentence(circle: Circle) -> None:
    circle.create()
    circle.change("live")
    for name, file in garbage(circle.home).items():
        for about in ({"target": circle.copy, "strategy": "new"}, {"confirm": circle.database}):
            for predict in (True, False):
                if name == "text.sql" and predict:
                    # Only a server knows what is SQL and what is not.
                    continue
                order = circle.order("restore", file=str(file), request=name, predict=predict, **about)
                sentence = one_sentence(error_of(order, has_end=name not in ("device", "null", "pipe")))
                assert file.name in sentence or "load_as" in sentence, (name, sentence)
        assert not circle.exists(circle.copy), name
    assert circle.word() == "live"
    assert circle.kept_words() == []
    assert circle.unfinished() == []


def error_of(order: dict[str, Any], *, has_end: bool) -> str:
    """What a user is told; in a program of its own with a limit where a file might be read for ever."""
    if not has_end:
        return Program(order).end(timeout=30)["error"]
    with pytest.raises(HoldfastError) as caught:
        perform(order)
    return str(caught.value)


@pytest.mark.postgresql
def test_one_engines_file_is_not_the_others(tmp_path: pathlib.Path, server) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    lite, post = SqliteCircle(tmp_path / "one", rows=10), PostgresqlCircle(tmp_path / "other", server, rows=10)
    lite.create()
    dump = post.folder(post.create(compression={"kind": "none"}).entry.id) / "dump.pgdump"
    for circle, file in ((lite, str(dump)), (post, lite.database)):
        with pytest.raises(HoldfastError) as caught:
            circle.restore(target=circle.copy, strategy="new", file=file)
        assert os.path.basename(file) in one_sentence(caught.value)
        assert not circle.exists(circle.copy)
        assert circle.unfinished() == []
    # And a backup of the one engine is not restored by the other.
    order = {"database": lite.database, "repository": str(lite.repository), "target": post.copy, "strategy": "new"}
    with pytest.raises(HoldfastError, match="made by the engine sqlite, not postgresql"):
        post.restore(confirm=post.copy, **order)
    post.remove()


def other_key(folder: pathlib.Path) -> pathlib.Path:
    file = folder / "other-key"
    subprocess.run(["age-keygen", "-o", str(file)], check=True, capture_output=True)
    return file


def no_key(folder: pathlib.Path) -> pathlib.Path:
    file = folder / "no-key"
    file.write_text("this is no key\n")
    return file


def no_file(folder: pathlib.Path) -> pathlib.Path:
    return folder / "nothing-there"


def a_folder(folder: pathlib.Path) -> pathlib.Path:
    (folder / "a-folder").mkdir()
    return folder / "a-folder"


@pytest.mark.parametrize("make", [other_key, no_key, no_file, a_folder, None])
def test_a_wrong_identity_is_no_damage(
    circle: Circle, age_key: tuple[str, str], make: Callable[[pathlib.Path], pathlib.Path] | None
) -> None:
    circle.create(recipients=[age_key[0]])
    circle.change("live")
    about = {"identity_file": str(make(circle.home))} if make else {}
    with pytest.raises(HoldfastError) as caught:
        circle.restore(target=circle.copy, strategy="new", **about)
    sentence = one_sentence(caught.value)
    assert "identity" in sentence
    assert not isinstance(caught.value, Damaged)
    if make:
        with pytest.raises(HoldfastError) as caught:
            circle.verify(**about)
        assert "identity" in one_sentence(caught.value)
        assert not isinstance(caught.value, Damaged)
    else:
        (report,) = circle.verify().reports
        assert (report.strength, report.problem) == ("checksums only", None)
    assert set(circle.statuses().values()) == {"completed"}
    assert not circle.exists(circle.copy)
    assert circle.unfinished() == []
    assert circle.restore(identity_file=age_key[1]).changed
    assert circle.word() == "first"
