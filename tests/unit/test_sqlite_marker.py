# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markers and intents: in the file where it can keep them, beside it where it cannot."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.engines import sqlite_marker
from ansible_collections.holdfast.db.plugins.module_utils.engines.sqlite_marker import (
    INTENT,
    RESTORED,
    Intent,
    hidden_name,
    read_intent,
    read_marker,
    write_note,
)
from ansible_collections.holdfast.db.plugins.module_utils.model import Marker, Source

MARKER = Marker("latest", "2026-11-20T06:30:00+00:00", Source("h", "p", "/d"), "20261120T063000Z-3f9a1c", "r", "id")
# More than any common file system takes into its attributes.
LARGE = Marker("latest", "2026-11-20T06:30:00+00:00", request="r" * 200000)


@pytest.fixture
def file(tmp_path):
    path = str(tmp_path / "shop.db")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    yield descriptor, path
    os.close(descriptor)


@pytest.mark.parametrize("marker", [MARKER, LARGE], ids=["in the file", "beside it"])
def test_a_marker_is_read_as_it_was_written(file, marker):
    write_note(*file, RESTORED, marker.to_json())
    assert read_marker(file[1]) == marker
    assert os.path.exists(hidden_name(file[1])) == (marker is LARGE)
    write_note(*file, RESTORED, None)
    assert read_marker(file[1]) is None
    assert os.listdir(os.path.dirname(file[1])) == ["shop.db"]


@pytest.mark.parametrize("marker", [MARKER, LARGE], ids=["in the file", "beside it"])
def test_an_intent_stands_next_to_the_marker_before(file, marker):
    write_note(*file, RESTORED, MARKER.to_json())
    intent = Intent("old", "new", marker)
    write_note(*file, INTENT, intent.to_json())
    assert read_intent(file[1]) == intent
    assert read_marker(file[1]) == MARKER
    write_note(*file, INTENT, None)
    assert read_intent(file[1]) is None
    assert read_marker(file[1]) == MARKER


def test_a_note_that_became_too_large_replaces_the_one_in_the_file_and_back(file):
    for marker in (MARKER, LARGE, MARKER):
        write_note(*file, RESTORED, marker.to_json())
        assert read_marker(file[1]) == marker


def test_what_lies_beside_counts_for_no_other_file(file, tmp_path):
    write_note(*file, RESTORED, LARGE.to_json())
    (tmp_path / "other").write_bytes(b"")
    os.replace(tmp_path / "other", file[1])
    assert read_marker(file[1]) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b'{"restored": 7}', b'{"declared": 1}', b"\xff"])
def test_a_marker_that_cannot_be_understood_is_none_and_such_an_intent_fits_nothing(file, content):
    os.setxattr(file[1], "user.holdfast.restored", content)
    os.setxattr(file[1], "user.holdfast.intent", content)
    assert read_marker(file[1]) is None
    assert read_intent(file[1]).new == ""


def test_a_link_in_the_place_of_what_lies_beside_is_not_followed(file, tmp_path):
    status = os.stat(file[1])
    notes = {"of": [status.st_dev, status.st_ino], "restored": MARKER.to_json()}
    (tmp_path / "elsewhere").write_text(json.dumps(notes))
    os.symlink(tmp_path / "elsewhere", hidden_name(file[1]))
    assert read_marker(file[1]) is None


def test_the_longest_names_have_a_hidden_name_too(tmp_path):
    for name in ("x" * 255, "\u00fc" * 127):
        hidden = hidden_name(str(tmp_path / name))
        assert len(os.path.basename(hidden)) < 200
        assert os.path.dirname(hidden) == str(tmp_path)


def test_notes_are_on_the_disk_before_anything_relies_on_them(file, monkeypatch):
    synced = []
    sync = os.fsync
    monkeypatch.setattr(sqlite_marker.os, "fsync", lambda descriptor: (synced.append(descriptor), sync(descriptor)))
    write_note(*file, INTENT, Intent("old", "new", MARKER).to_json())
    assert file[0] in synced
