# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest comes back as it was written, satisfies its published schema, and is refused when it is anything else."""

from __future__ import annotations

import json
import random

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import Damaged
from ansible_collections.holdfast.db.plugins.module_utils.model import Artifact, Source
from ansible_collections.holdfast.db.plugins.module_utils.repository.manifests import (
    decode_manifest,
    encode_manifest,
    sealed,
)
from ansible_collections.holdfast.db.plugins.module_utils.repository.records import encode_json
from backup_samples import CHECKOUT, a_manifest
from jsonschema import Draft202012Validator

ID = "20261120T120000Z-3f9a1c"
PLAIN = a_manifest(ID)
RICH = a_manifest(
    ID,
    source=Source('db "1"\n', "ünïcode", "../x"),
    artifacts=(
        Artifact("dump", "dump", "directory", 10, "0" * 64, index="dump.sha256"),
        Artifact("dump.sha256", "index", "file", 10, "0" * 64),
        Artifact("fingerprint.json.zst.age", "fingerprint", "file", 0, "f" * 64, ("zstd", "age")),
    ),
    type="incremental",
    parent="20261119T120000Z-3f9a1c",
    purpose="safety",
    recipients=("age1xyz",),
    rows=None,
    tables=None,
    durations={"dump": 1, "fingerprint": 0.5},
    properties={"owner": "shop", "nested": {"list": [1, None, True, "x"]}},
    warnings=("one",),
    flags=("rows fell from 10 to 1",),
)
SCHEMA = json.loads((CHECKOUT / "plugins/plugin_utils/schema/manifest.json").read_text())


def schema_errors(data: object) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(data)]


@pytest.mark.parametrize("manifest", [PLAIN, RICH], ids=["plain", "rich"])
def test_a_manifest_comes_back_as_it_was_written(manifest):
    assert decode_manifest(encode_manifest(manifest), "manifest.json") == manifest


@pytest.mark.parametrize("manifest", [PLAIN, RICH], ids=["plain", "rich"])
def test_a_manifest_satisfies_the_published_schema(manifest):
    assert schema_errors(json.loads(encode_manifest(manifest))) == []


def test_the_schema_is_a_schema_and_describes_every_key_that_is_written():
    Draft202012Validator.check_schema(SCHEMA)
    written = list(json.loads(encode_manifest(PLAIN)))
    assert written == SCHEMA["required"] == list(SCHEMA["properties"])


def test_a_manifest_is_readable_text_in_a_stable_order():
    text = encode_manifest(RICH).decode("ascii")
    assert text.startswith('{\n "format": 1,\n "id": "20261120T120000Z-3f9a1c",\n "source": {\n')
    assert text == encode_manifest(decode_manifest(text.encode(), "manifest.json")).decode("ascii")


def broken(path: str, value: object) -> dict:
    """PLAIN as JSON with the value at ``path`` replaced, or taken away where it is ``...``."""
    data = json.loads(encode_manifest(PLAIN))
    del data["sha256"]
    inside, *keys = data, *path.split(".")
    for key in keys[:-1]:
        inside = inside[int(key) if key.isdigit() else key]
    if value is ...:
        del inside[keys[-1]]
    else:
        inside[keys[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "1"),
        ("format", True),
        ("id", "../x"),
        ("id", 7),
        ("source", ...),
        ("source.host", ""),
        ("source.database", "a\0b"),
        ("engine", None),
        ("started", "2026-11-20T12:00:00"),
        ("started", "yesterday"),
        ("snapshot", None),
        ("durations", {"dump": "fast"}),
        ("durations", {"dump": -1}),
        ("server", ...),
        ("server.identity", 5),
        ("client.version", ...),
        ("logical_size", -1),
        ("stored_size", 1.5),
        ("rows", True),
        ("tables", ...),
        ("recipients", "age1"),
        ("artifacts", None),
        ("artifacts", ["dump"]),
        ("artifacts.0.name", "../../etc/passwd"),
        ("artifacts.0.name", ".."),
        ("artifacts.0.name", "manifest.json"),
        ("artifacts.0.name", ""),
        ("artifacts.0.kind", "link"),
        ("artifacts.0.kind", "directory"),
        ("artifacts.0.sha256", "00"),
        ("artifacts.0.encoding", [1]),
        ("artifacts.0.index", "../x"),
        ("properties", []),
        ("flags", [None]),
        ("restore_by_hand", ...),
    ],
)
def test_a_manifest_that_says_something_impossible_is_damaged(path, value):
    data = broken(path, value)
    with pytest.raises(Damaged) as caught:
        decode_manifest(sealed(encode_json(data)), "/srv/x/manifest.json")
    assert str(caught.value).startswith('"/srv/x/manifest.json" has no valid ')
    assert caught.value.artifact == "manifest.json"
    assert schema_errors({**data, "sha256": "0" * 64}), "the published schema allows what the reader refuses"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": NaN}', b"[" * 100_000])
def test_what_is_no_json_object_is_damaged(raw):
    with pytest.raises(Damaged, match="is not"):
        decode_manifest(raw, "manifest.json")


def test_a_manifest_of_a_later_version_is_refused_by_its_format():
    with pytest.raises(Damaged, match='format "2", and this version of holdfast reads format 1'):
        decode_manifest(sealed(encode_json(broken("format", 2))), "manifest.json")


def test_keys_of_a_later_version_are_passed_over():
    data = {**broken("id", ID), "later": 1}
    assert decode_manifest(sealed(encode_json(data)), "manifest.json") == PLAIN


def test_every_flipped_bit_of_a_manifest_is_noticed():
    dice = random.Random(20261120)
    original = encode_manifest(RICH)
    for _position in range(3000):
        raw = bytearray(original)
        for _flip in range(dice.randint(1, 3)):
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        if bytes(raw) != original:
            with pytest.raises(Damaged):
                decode_manifest(bytes(raw), "manifest.json")


def test_a_manifest_without_its_checksum_or_with_more_behind_it_is_damaged():
    whole = encode_manifest(RICH)
    data = json.loads(whole)
    del data["sha256"]
    for raw in (encode_json(data), whole + b" ", whole[:-1], whole.replace(b"holdfast_version", b"holdfast_versioN")):
        with pytest.raises(Damaged):
            decode_manifest(raw, "manifest.json")
