# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage that is found is remembered: nobody restores a damaged backup by mistake, and retention never counts on it."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import Damaged, NotFound
from ansible_collections.holdfast.db.plugins.module_utils.model import Source
from ansible_collections.holdfast.db.plugins.module_utils.operations.catalog import catalog
from ansible_collections.holdfast.db.plugins.module_utils.operations.create import CreateRequest, create
from ansible_collections.holdfast.db.plugins.module_utils.operations.declaration import Declaration
from ansible_collections.holdfast.db.plugins.module_utils.operations.prune import PruneRequest, prune
from ansible_collections.holdfast.db.plugins.module_utils.operations.requests import Place, Selection
from ansible_collections.holdfast.db.plugins.module_utils.operations.restore import RestoreRequest, restore
from ansible_collections.holdfast.db.plugins.module_utils.operations.verify import VerifyRequest, verify
from ansible_collections.holdfast.db.plugins.module_utils.repository.manifests import decode_manifest, encode_manifest
from ansible_collections.holdfast.db.plugins.module_utils.retention import Rules


def now() -> datetime:
    return datetime.now(UTC)


class Shop:
    """A small SQLite database with backups of it."""

    def __init__(self, home: Path) -> None:
        self.file = home / "shop.db"
        self.place = Place(str(home / "backups"))
        self.source = Source("here", "shop", str(self.file))
        with sqlite3.connect(self.file) as database:
            database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT)")
        database.close()

    def back_up(self) -> str:
        with sqlite3.connect(self.file) as database:
            database.execute("INSERT INTO orders (what) VALUES ('bread')")
        database.close()
        return create(CreateRequest(self.place, self.source, "sqlite", init=True), now()).entry.id

    def folder(self, backup_id: str) -> Path:
        return next(Path(self.place.repository).glob("*/*/*/" + backup_id))

    def flip_a_bit(self, backup_id: str) -> None:
        dump = self.folder(backup_id) / "database.sqlite.zst"
        content = bytearray(dump.read_bytes())
        content[len(content) // 2] ^= 16
        dump.write_bytes(bytes(content))

    def statuses(self) -> dict[str, str]:
        return {entry.id: entry.status for entry in catalog(self.place, Selection()).entries}

    def verify(self, backup: str = "all", *, predict: bool = False):
        return verify(VerifyRequest(self.place, Selection(), backup=backup), now(), predict=predict)

    def copy_of(self, backup: str, target: Path) -> RestoreRequest:
        return RestoreRequest("sqlite", str(target), Declaration(self.source, backup), place=self.place, strategy="new")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_verify_names_the_artifact_and_the_backup_is_not_latest_any_more(shop: Shop, tmp_path: Path) -> None:
    good, bad = shop.back_up(), shop.back_up()
    shop.flip_a_bit(bad)
    (damaged,) = shop.verify().damaged
    assert (damaged.entry.id, damaged.artifact) == (bad, "database.sqlite.zst")
    assert shop.statuses() == {good: "completed", bad: "damaged"}

    restored = restore(shop.copy_of("latest", tmp_path / "copy.db"), now())
    assert restored.backup.id == good
    assert any(bad in warning and "damaged" in warning for warning in restored.warnings)
    with pytest.raises(Damaged, match=bad):
        restore(shop.copy_of(bad, tmp_path / "other.db"), now())


def test_verifying_the_latest_fails_for_as_long_as_a_newer_one_is_damaged(shop: Shop) -> None:
    good, bad = shop.back_up(), shop.back_up()
    shop.flip_a_bit(bad)
    for _run in range(2):
        reports = shop.verify("latest").reports
        found = {report.entry.id: report.problem is None for report in reports}
        assert found in ({bad: False}, {bad: False, good: True})
    assert found == {bad: False, good: True}
    newest = shop.back_up()
    assert [report.entry.id for report in shop.verify("latest").reports] == [newest]


def test_a_restore_finds_damage_by_itself_and_makes_nothing(shop: Shop, tmp_path: Path) -> None:
    bad = shop.back_up()
    shop.flip_a_bit(bad)
    for predict in (True, False):
        with pytest.raises(Damaged, match=r'"database\.sqlite\.zst"'):
            restore(shop.copy_of("latest", tmp_path / "copy.db"), now(), predict=predict)
    assert not (tmp_path / "copy.db").exists()


def test_retention_counts_good_ones_only(shop: Shop) -> None:
    oldest, good, bad = shop.back_up(), shop.back_up(), shop.back_up()
    shop.flip_a_bit(bad)
    shop.verify()
    prune(PruneRequest(shop.place, Selection(), Rules(keep_last=1)), now())
    assert shop.statuses() == {good: "completed", bad: "damaged"}, "%s went, the last good one stays" % oldest


def test_check_mode_remembers_nothing_and_a_whole_backup_is_good_again(shop: Shop) -> None:
    backup = shop.back_up()
    before = (shop.folder(backup) / "database.sqlite.zst").read_bytes()
    shop.flip_a_bit(backup)
    assert shop.verify(predict=True).damaged
    assert shop.statuses() == {backup: "completed"}
    shop.verify()
    assert shop.statuses() == {backup: "damaged"}
    with pytest.raises(NotFound, match="no good backup"):
        shop.verify("latest")
    (shop.folder(backup) / "database.sqlite.zst").write_bytes(before)
    assert not shop.verify().damaged
    assert shop.statuses() == {backup: "completed"}


@pytest.mark.parametrize("fingerprint", [b"[" * 100_000, b'{"tables": [], "objects": []}', b'{"tables": 1}', b"\xff"])
def test_a_fingerprint_that_is_none_is_damage_and_no_crash(shop: Shop, tmp_path: Path, fingerprint: bytes) -> None:
    """Its checksums are right, as whoever may write into the repository can make them."""
    backup = shop.back_up()
    folder = shop.folder(backup)
    manifest = decode_manifest((folder / "manifest.json").read_bytes(), "manifest.json")
    (folder / "fingerprint.json").write_bytes(fingerprint)
    forged = replace(
        manifest.artifact("fingerprint"), size=len(fingerprint), sha256=hashlib.sha256(fingerprint).hexdigest()
    )
    artifacts = tuple(forged if one.role == "fingerprint" else one for one in manifest.artifacts)
    (folder / "manifest.json").write_bytes(encode_manifest(replace(manifest, artifacts=artifacts)))
    assert shop.verify().damaged
    with pytest.raises((Damaged, NotFound)):
        restore(shop.copy_of("latest", tmp_path / "copy.db"), now())


def test_a_folder_that_somebody_else_made_hides_nobodys_backups(shop: Shop) -> None:
    backup = shop.back_up()
    (Path(shop.place.repository) / "other host" / "a b" / "c").mkdir(parents=True)
    (Path(shop.place.repository) / "other" / "shop" / "a b").mkdir(parents=True)
    assert shop.statuses() == {backup: "completed"}
    assert not shop.verify().damaged
