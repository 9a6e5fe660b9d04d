# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules with SQLite, played by ansible-playbook: each step is foretold, done, and then no longer needed.

The state that counts is what lies in the repository and in the database, and it is looked at after each step.
"""

from __future__ import annotations

import pathlib
import sqlite3

import pytest
from modules_at_work import Workplace, difference
from playing import tree
from returned import assert_explained


class Shop(Workplace):
    """A web shop's database in one file."""

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__(folder)
        self.database = self.world / "shop.db"
        with sqlite3.connect(self.database) as connection:
            connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL)")
            connection.executemany("INSERT INTO orders (item) VALUES (?)", [("item %d" % n,) for n in range(500)])
        connection.close()
        self.defaults.update(engine="sqlite", database=str(self.database))

    def rows(self, path=None):
        with sqlite3.connect(path or self.database) as connection:
            (count,) = connection.execute("SELECT count(*) FROM orders").fetchone()
        connection.close()
        return count

    def execute(self, statement):
        with sqlite3.connect(self.database) as connection:
            connection.execute(statement)
        connection.close()


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def test_a_backup_is_foretold_made_and_then_young_enough(shop):
    foretold, done, _idle, again = shop.four_steps("backup", {"init": True, "if_older_than": "1h"}, shop.stored)
    assert foretold["backup"]["id"] is None
    assert foretold["backup"]["method"] == done["backup"]["method"] == "online_copy"
    assert shop.stored() == [done["backup"]["id"]] == [again["backup"]["id"]]
    assert done["backup"]["rows"] == 500
    assert done["backup"]["source_host"] == "db1"
    assert done["backup"]["policy"] == "default"
    assert "not older than 1h" in again["msg"]
    assert difference(done)["before"] == {"newest_backup": None}
    assert difference(done)["after"] == {"newest_backup": done["backup"]["id"]}
    assert difference(again)["before"] == difference(again)["after"] == {"newest_backup": done["backup"]["id"]}


def test_without_if_older_than_each_run_makes_a_backup(shop):
    first, second = shop.backup(), shop.backup()
    assert shop.stored() == sorted([first["id"], second["id"]])


def test_a_repository_is_never_made_unasked(shop):
    played = shop.play("backup", {})
    assert played.failed
    assert "init: true" in played.result["msg"]
    assert not shop.repository.exists()


def test_a_backup_is_pinned_and_let_go(shop):
    made = shop.backup()

    def pinned():
        return [entry.pinned for entry in shop.entries()]

    _foretold, done, _idle, _again = shop.four_steps("backup", {"id": made["id"], "pinned": True}, pinned)
    assert done["backup"]["pinned"] is True
    assert difference(done)["before"] == {"pinned": False}
    assert difference(done)["after"] == {"pinned": True}
    assert pinned() == [True]
    assert [one["pinned"] for one in shop.do("backup_info", {})] == [True]
    refused = shop.play("backup", {"id": made["id"], "state": "absent"})
    assert refused.failed
    assert "pinned" in refused.result["msg"]
    shop.four_steps("backup", {"id": made["id"], "pinned": False}, pinned)
    assert pinned() == [False]


def test_a_backup_is_deleted(shop):
    first, second = shop.backup(), shop.backup()
    shop.four_steps("backup", {"id": first["id"], "state": "absent"}, shop.stored)
    assert shop.stored() == [second["id"]]


def test_an_emptied_database_is_flagged_until_somebody_acknowledges_it(shop):
    first = shop.backup()
    shop.execute("DELETE FROM orders")
    second = shop.backup()
    assert second["flags"]
    assert shop.do("verify", {"id": "latest"})["reports"][0]["backup"]["id"] == first["id"]

    def acknowledged():
        return [entry.id for entry in shop.entries() if entry.acknowledged]

    shop.four_steps("backup", {"acknowledge": second["id"]}, acknowledged)
    assert shop.do("verify", {"id": "latest"})["reports"][0]["backup"]["id"] == second["id"]


def test_the_list_shows_newest_first_and_only_what_was_asked_for(shop):
    first, second = shop.backup(), shop.backup(policy="weekly")
    assert [one["id"] for one in shop.do("backup_info", {})] == [second["id"], first["id"]]
    assert [one["id"] for one in shop.do("backup_info", {"policy": "weekly"})] == [second["id"]]
    assert [one["id"] for one in shop.do("backup_info", {"limit": 1})] == [second["id"]]
    assert shop.do("backup_info", {"status": ["failed"]}) == []
    before = tree(shop.world)
    shop.do("backup_info", {}, check=True)
    shop.do("backup_info", {})
    assert tree(shop.world) == before


def test_a_failed_try_is_in_the_list(shop):
    shop.backup()
    shop.database.write_bytes(b"this is no database" * 1000)
    assert shop.play("backup", {}).failed
    listed = shop.do("backup_info", {"status": ["failed"]})
    assert len(listed) == 1
    assert listed[0]["problem"]
    assert len(shop.stored()) == 1


def test_a_database_that_never_was_is_refused_by_a_sentence_and_leaves_no_trace(shop):
    shop.backup()
    missing = str(shop.world / "missing.db")
    played = shop.play("backup", {"database": missing})
    assert played.failed
    assert "missing.db" in played.result["msg"]
    assert shop.do("backup_info", {"database": missing}) == []


def test_a_database_that_is_gone_is_recorded_as_a_failed_try(shop):
    shop.backup()
    (shop.world / "shop.db").unlink()
    played = shop.play("backup", {})
    assert played.failed
    assert "shop.db" in played.result["msg"]
    assert [one["status"] for one in shop.do("backup_info", {})] == ["failed", "completed"]


def test_each_host_of_the_inventory_has_its_own_folder(shop):
    shop.backup()
    shop.do("backup", {}, hosts="db2")
    assert [one["source_host"] for one in shop.do("backup_info", {})] == ["db1"]
    assert {one["source_host"] for one in shop.do("backup_info", {"source_host": "*"})} == {"db1", "db2"}
    assert [one["source_host"] for one in shop.do("backup_info", {"source_host": "db2"})] == ["db2"]


def test_a_delegated_task_is_about_the_host_it_was_written_for(shop):
    shop.backup()
    task = {"holdfast.db.backup": {}, "delegate_to": "scratch1"}
    played = shop.stage.play({"name": "Delegate", **task}, hosts="db2", defaults=shop.defaults)
    assert played.result["backup"]["source_host"] == "db2"


def test_verify_finds_whole_backups_whole_and_changes_nothing(shop):
    made = shop.backup()
    before = tree(shop.world)
    verified = shop.do("verify", {"id": "all"})
    assert tree(shop.world) == before
    assert verified["checked"] == 1
    assert verified["reports"][0]["backup"]["id"] == made["id"]
    assert verified["reports"][0]["strength"] == "structure"


def test_verify_fails_on_a_flipped_bit_and_names_the_file(shop):
    made = shop.backup()
    dump = next(one for one in made["artifacts"] if one["role"] == "dump")
    path = next(shop.repository.rglob(dump["name"]))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    before = tree(shop.world)
    assert shop.play("verify", {"id": "all"}, check=True).failed
    assert tree(shop.world) == before
    played = shop.play("verify", {"id": "all"})
    assert played.failed
    assert played.status != 0
    assert dump["name"] in played.result["msg"]
    assert_explained("verify", played.result)
    assert played.result["verify"]["damaged"] == 1
    assert played.result["verify"]["reports"][0]["artifact"] == dump["name"]
    (listed,) = shop.do("backup_info", {})
    assert (listed["status"], listed["id"]) == ("damaged", made["id"])
    assert dump["name"] in listed["problem"]
    path.write_bytes(whole)
    assert shop.do("verify", {"id": "all"})["damaged"] == 0
    assert [entry.status for entry in shop.entries()] == ["completed"]


def test_prune_does_exactly_what_it_foretold(shop):
    ids = [shop.backup()["id"] for _each in range(4)]
    foretold, done, _idle, _again = shop.four_steps("prune", {"keep_last": 2}, shop.stored)
    assert shop.stored() == sorted(ids[2:])
    plan, outcome = foretold["prune"]["sources"][0], done["prune"]["sources"][0]
    assert plan["removed"] == outcome["removed"] or sorted(plan["removed"]) == sorted(outcome["removed"])
    assert sorted(outcome["removed"]) == sorted(ids[:2])
    assert [one["reasons"] for one in plan["remove"]] == [one["reasons"] for one in outcome["remove"]]
    assert all(one["reasons"] for one in plan["keep"] + plan["remove"])
    assert difference(foretold) == difference(done)
    listed_before, listed_after = (next(iter(difference(done)[side].values())) for side in ("before", "after"))
    assert sorted(listed_before) == sorted(ids)
    assert sorted(listed_after) == sorted(ids[2:])


def test_prune_without_a_rule_is_refused(shop):
    shop.backup()
    played = shop.play("prune", {})
    assert played.failed
    assert "keep_last" in played.result["msg"]
    assert len(shop.stored()) == 1


def test_prune_removes_nothing_after_a_failed_try(shop):
    for _each in range(2):
        shop.backup()
    content = shop.database.read_bytes()
    shop.database.write_bytes(b"this is no database" * 1000)
    assert shop.play("backup", {}).failed
    shop.database.write_bytes(content)
    played = shop.play("prune", {"keep_last": 1})
    assert not played.changed
    assert played.result["prune"]["sources"][0]["held"]
    assert len(shop.stored()) == 2


def test_a_declared_restore_happens_once_and_again_only_on_request(shop):
    made = shop.backup()
    shop.execute("DELETE FROM orders WHERE id > 100")
    declared = {"id": "latest", "confirm": str(shop.database), "request": "first"}
    foretold, done, _idle, again = shop.four_steps("restore", declared, shop.rows)
    assert shop.rows() == 500
    assert foretold["restore"]["backup"]["id"] == done["restore"]["backup"]["id"] == made["id"]
    assert (
        foretold["msg"].partition(" Changes")[0].replace("would replace", "replaced")
        == done["msg"].partition(" Changes")[0]
    )
    assert foretold["restore"]["lost_since"] is not None
    assert done["restore"]["safety_backup"] in shop.stored()
    assert made["id"] in again["msg"]
    assert difference(done)["before"]["restored_from"] is None
    assert difference(done)["after"]["restored_from"]["backup"] == made["id"]
    assert difference(foretold)["after"] == difference(done)["after"]
    shop.execute("INSERT INTO orders (item) VALUES ('a new order')")
    shop.backup()
    assert not shop.play("restore", declared).changed
    assert shop.rows() == 501
    shop.execute("DELETE FROM orders WHERE id > 10")
    assert shop.play("restore", {**declared, "request": "second"}).changed
    assert shop.rows() == 501
    assert not shop.play("restore", {**declared, "request": "second"}).changed


def test_a_live_database_is_replaced_only_when_confirm_repeats_its_path(shop):
    shop.backup()
    shop.execute("DELETE FROM orders WHERE id > 100")
    for confirm in ({}, {"confirm": "shop.db"}, {"confirm": "shop"}):
        before = tree(shop.world)
        played = shop.play("restore", {"id": "latest", **confirm})
        assert played.failed
        assert "confirm" in played.result["msg"]
        assert tree(shop.world) == before
    assert shop.rows() == 100


def test_a_copy_is_made_under_another_name_and_the_source_is_untouched(shop):
    shop.backup()
    shop.execute("DELETE FROM orders WHERE id > 100")
    copy = shop.world / "copy.db"
    options = {"id": "latest", "target": str(copy), "strategy": "new"}
    shop.play("restore", options)
    assert (shop.rows(), shop.rows(copy)) == (100, 500)
    shop.play("restore", options)
    assert (shop.rows(), shop.rows(copy)) == (100, 500)


def test_a_file_from_elsewhere_is_restored(shop):
    foreign = shop.world / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
        connection.execute("INSERT INTO orders VALUES (1), (2), (3)")
    connection.close()
    target = shop.world / "from-elsewhere.db"
    defaults = {"engine": "sqlite"}
    options = {"file": str(foreign), "target": str(target), "strategy": "new"}
    played = shop.play("restore", options, defaults=defaults)
    assert played.changed, played.output
    assert shop.rows(target) == 3
    assert not shop.play("restore", options, defaults=defaults).changed


def test_the_safety_backup_lies_in_the_folder_of_the_host_that_restored(shop):
    shop.backup()
    other = shop.world / "other.db"
    other.write_bytes(shop.database.read_bytes())
    shop.execute("DELETE FROM orders WHERE id > 400")
    options = {"id": "latest", "source_host": "db1", "target": str(other), "confirm": str(other)}
    played = shop.play("restore", options, hosts="db2")
    assert played.changed, played.output
    safety = played.result["restore"]["safety_backup"]
    assert [one["id"] for one in shop.do("backup_info", {"source_host": "db2", "database": str(other)})] == [safety]


def test_a_delegated_restore_files_its_safety_backup_under_the_host_that_did_it(shop):
    shop.backup()
    other = shop.world / "other.db"
    other.write_bytes(shop.database.read_bytes())
    options = {"id": "latest", "target": str(other), "confirm": str(other)}
    task = {"name": "Delegate", "holdfast.db.restore": options, "delegate_to": "scratch1"}
    played = shop.stage.play(task, hosts="db1", defaults=shop.defaults)
    assert played.changed, played.output
    assert played.result["restore"]["backup"]["source_host"] == "db1"
    (safety,) = shop.do("backup_info", {"source_host": "scratch1", "database": str(other)})
    assert (safety["id"], safety["purpose"]) == (played.result["restore"]["safety_backup"], "safety")
