# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A place that is no repository, or another one, or a read-only one: every verb says so and touches nothing."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import HoldfastError
from integration.circle_support import Circle, one_sentence
from playing import tree


def foreign(place: pathlib.Path) -> None:
    place.mkdir()
    (place / "letters").mkdir()
    (place / "letters" / "to-a-friend").write_text("dear friend")


def unmounted(place: pathlib.Path) -> None:
    place.mkdir()


def a_file(place: pathlib.Path) -> None:
    place.write_text("no directory")


def missing(place: pathlib.Path) -> None:
    assert not place.exists()


def a_link_to_nowhere(place: pathlib.Path) -> None:
    place.symlink_to(place.parent / "nowhere")


def a_broken_one(place: pathlib.Path) -> None:
    place.mkdir()
    (place / "holdfast.json").write_text('{"format": 1, ')


def one_from_the_future(place: pathlib.Path) -> None:
    place.mkdir()
    (place / "holdfast.json").write_text('{"format": 99, "id": "00000000-0000-4000-8000-000000000000"}')


PLACES = [foreign, unmounted, a_file, missing, a_link_to_nowhere, a_broken_one, one_from_the_future]


def test_what_is_no_repository(circle: Circle) -> None:
    for make in PLACES:
        circle.repository = circle.home / make.__name__
        make(circle.repository)
        assert_refused_and_left_alone(circle, may_be_made=make in (unmounted, missing))
    assert circle.word() == "first"
    assert not circle.exists(circle.copy)


def assert_refused_and_left_alone(circle: Circle, *, may_be_made: bool) -> None:
    """Every verb says which place it is about, and nothing is written anywhere."""
    before = tree(circle.home)
    verbs: list[Callable[[], object]] = [
        lambda: circle.create(init=False),
        lambda: circle.create(init=False, predict=True),
        lambda: circle.restore(target=circle.copy, strategy="new"),
        circle.restore,
        circle.verify,
        lambda: circle.prune(1),
        circle.entries,
    ]
    if not may_be_made:
        verbs += [lambda: circle.create(init=True), lambda: circle.create(init=True, predict=True)]
    for do in verbs:
        with pytest.raises(HoldfastError) as caught:
            do()
        assert str(circle.repository) in one_sentence(caught.value)
    assert tree(circle.home) == before


def test_another_repository_than_the_one_that_is_meant(circle: Circle) -> None:
    circle.create()
    before = tree(circle.repository)
    for do in (circle.create, circle.restore, circle.verify, lambda **more: circle.prune(1, **more)):
        with pytest.raises(HoldfastError) as caught:
            do(repository_id="00000000-0000-4000-8000-000000000000")
        assert "00000000-0000-4000-8000-000000000000" in one_sentence(caught.value)
    assert tree(circle.repository) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_repository_that_can_only_be_read_is_restored_from_and_verified(circle: Circle) -> None:
    made = circle.create()
    circle.create()
    circle.change("live")
    mounted = circle.home / "mounted"
    mounted.mkdir()
    subprocess.run(["mount", "--bind", str(circle.repository), str(mounted)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(mounted)], check=True)
    stored, circle.repository = circle.repository, mounted
    try:
        before = tree(stored)
        assert len(circle.good()) == 2
        assert circle.verify().damaged == ()
        assert circle.restore(backup=made.entry.id, target=circle.copy, strategy="new").changed
        assert circle.word(circle.copy) == "first"
        assert circle.restore(safety_backup=False).changed
        assert circle.word() == "first"
        for do in (circle.create, lambda: circle.prune(1), lambda: circle.create(predict=True)):
            with pytest.raises(HoldfastError) as caught:
                do()
            assert "read-only" in one_sentence(caught.value).lower()
        assert tree(stored) == before
    finally:
        subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def test_what_else_lies_in_a_repository_is_left_alone(circle: Circle) -> None:
    """Retention deletes backups that holdfast made and nothing else, whatever it is called."""
    for _each in range(3):
        circle.create()
    folder = circle.folder(circle.good()[0]).parent
    strangers = {
        circle.repository / "notes.txt": "mine",
        circle.repository / "db9" / "notes": "mine",
        folder / "20200101T000000Z-aaaaaa.tar": "mine",
        folder / "README": "mine",
    }
    for path, text in strangers.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    copied = folder / "20200101T000000Z-bbbbbb"
    shutil.copytree(circle.folder(circle.good()[0]), copied)
    assert circle.statuses()[copied.name] == "damaged"
    assert len(circle.prune(1).sources[0].removed) == 2
    assert len(circle.good()) == 1
    assert {path: path.read_text() for path in strangers} == strangers
    assert copied.exists()
