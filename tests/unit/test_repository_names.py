# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a host, policy or database is called, its folder has a name that is safe, short and its own."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import BadInput
from ansible_collections.holdfast.db.plugins.module_utils.repository.filesystems import type_of, weaknesses
from ansible_collections.holdfast.db.plugins.module_utils.repository.names import (
    checked_id,
    folder_name,
    is_id,
    name_of_folder,
    new_id,
    time_of_id,
)
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("shop", "shop"),
        ("Shop_2.eu-west", "Shop_2.eu-west"),
        ("../x", "%2E.%2Fx"),
        (".", "%2E"),
        ("..", "%2E."),
        ("-rf", "%2Drf"),
        ("a b", "a%20b"),
        ('say "no"', "say%20%22no%22"),
        ("two\nlines", "two%0Alines"),
        ("%2F", "%252F"),
        ("müller", "m%C3%BCller"),
        ("~", "%7E"),
        ("holdfast.json", "%68oldfast.json"),
        ("lost+found", "lost%2Bfound"),
    ],
)
def test_a_name_becomes_one_path_component(name, folder):
    assert folder_name(name) == folder
    assert name_of_folder(folder) == name


def test_a_long_name_is_shortened_to_a_prefix_and_a_hash():
    umlauts = folder_name("ü" * 64)
    assert re.fullmatch(r"(%C3%BC)+~[0-9a-f]{32}", umlauts)
    assert umlauts != folder_name("ü" * 65)
    assert name_of_folder(umlauts) is None


def test_text_that_is_not_unicode_is_refused():
    with pytest.raises(BadInput, match="half a character"):
        folder_name("x\ud800")


@given(NAMES)
def test_every_folder_name_is_safe_and_short(name):
    assert re.fullmatch(r"[A-Za-z0-9_%][A-Za-z0-9._%~-]*", folder_name(name))
    assert len(folder_name(name)) <= 200


@given(NAMES, NAMES)
def test_no_two_names_share_a_folder(one, other):
    assert (folder_name(one) == folder_name(other)) == (one == other)


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9999, 12, 30)), st.integers(-12, 14))
def test_an_id_tells_its_second_in_utc(moment, hours):
    local = moment.replace(tzinfo=timezone(timedelta(hours=hours)), microsecond=0)
    assert time_of_id(new_id(local)) == local


def test_ids_have_the_documented_form():
    assert re.fullmatch(r"20261120T063000Z-[0-9a-f]{6}", new_id(datetime(2026, 11, 20, 6, 30, tzinfo=UTC)))


@pytest.mark.parametrize(
    "text",
    ["", "latest", "../x", "20261120T063000Z-3f9a1c/..", "20261120T063000Z-3F9A1C", "20261120T063000Z-3f9a1c\n"]
    + ["20261320T063000Z-3f9a1c", "20261120T256000Z-3f9a1c", "\u0662\u0660261120T063000Z-3f9a1c"],
)
def test_what_is_no_id_is_never_taken_for_one(text):
    assert not is_id(text)
    with pytest.raises(BadInput, match="is not the id of a backup"):
        checked_id(text)


# ---- the file system below ----

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /srv rw shared:2 - nfs4 nas:/backups rw,vers=4.2
31 30 0:41 / /srv/fast rw - xfs /dev/vdb rw
32 22 0:42 / /mnt/with\\040space rw - fuse.sshfs far:/ rw
33 22 0:43 / /data rw - ext4 /dev/vdc rw
34 22 0:44 / /data rw - cifs //nas/data rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/backups", "ext4"),
        ("/srv", "nfs4"),
        ("/srv/backups", "nfs4"),
        ("/srvx", "ext4"),
        ("/srv/fast/backups", "xfs"),
        ("/mnt/with space/x", "fuse.sshfs"),
        ("/data/x", "cifs"),
    ],
)
def test_the_deepest_and_latest_mount_decides(path, kind):
    assert type_of(path, MOUNTS) == kind


def test_network_and_fuse_file_systems_are_named_in_one_line():
    (sentence,) = weaknesses("/srv/backups", MOUNTS)
    assert "nfs4" in sentence and "\n" not in sentence
    assert len(weaknesses("/mnt/with space/x", MOUNTS)) == 1


def test_a_local_disk_is_not_warned_of():
    assert weaknesses("/var/backups", MOUNTS) == ()
    assert weaknesses("/var/backups", "") == ()
