# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules with PostgreSQL, played by ansible-playbook: each step is foretold, done, and then no longer needed.

The state that counts is what the server says when it is asked, after each step.
"""

from __future__ import annotations

import pathlib

import pytest
from modules_at_work import Workplace, difference
from playing import tree

pytestmark = pytest.mark.postgresql

PASSWORD = "gJ7-correct-horse"


class Shop(Workplace):
    """A web shop's database on a private server, owned by a role of its own."""

    def __init__(self, folder: pathlib.Path, server) -> None:
        super().__init__(folder)
        self.server = server
        self.databases = ["shop"]
        for name in self.kept() + ["shop", "shop_copy", "shop_from_partner"]:
            server.psql('DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % name)
        server.psql("DROP ROLE IF EXISTS shopkeeper")
        server.psql("CREATE ROLE shopkeeper LOGIN")
        server.psql("CREATE DATABASE shop OWNER shopkeeper")
        self.execute("CREATE TABLE orders (id serial PRIMARY KEY, item text NOT NULL)")
        self.execute("INSERT INTO orders (item) SELECT 'item ' || n FROM generate_series(1, 500) AS n")
        self.defaults.update(engine="postgresql", database="shop", login_unix_socket=server.socket)

    def everything(self):
        databases = self.server.psql(
            "SELECT oid, datname, datdba, datconnlimit, datallowconn FROM pg_database ORDER BY oid"
        )
        roles = self.server.psql("SELECT oid, rolname, rolsuper, rolcanlogin FROM pg_roles ORDER BY oid")
        settings = self.server.psql("SELECT * FROM pg_db_role_setting ORDER BY 1, 2")
        return tree(self.world), databases, roles, settings, self.rows()

    def execute(self, statement):
        self.server.psql(statement, "shop", user="shopkeeper")

    def rows(self, database="shop"):
        return int(self.server.psql("SELECT count(*) FROM orders", database))

    def owner(self, database="shop"):
        return self.server.psql("SELECT datdba::regrole FROM pg_database WHERE datname = '%s'" % database)

    def kept(self):
        """The databases on the server that are neither ours nor its own."""
        found = self.server.psql("SELECT datname FROM pg_database WHERE datname LIKE 'shop%' AND datname <> 'shop'")
        return found.splitlines()


@pytest.fixture
def shop(tmp_path, server):
    tmp_path.chmod(0o711)
    return Shop(tmp_path, server)


def test_a_backup_is_foretold_made_and_then_young_enough(shop):
    foretold, done, _idle, again = shop.four_steps("backup", {"init": True, "if_older_than": "1h"}, shop.stored)
    assert foretold["backup"]["method"] == done["backup"]["method"] == "pg_dump"
    assert shop.stored() == [done["backup"]["id"]] == [again["backup"]["id"]]
    assert done["backup"]["rows"] == 500
    assert done["backup"]["server_version"]
    assert difference(done)["after"] == {"newest_backup": done["backup"]["id"]}


def test_the_circle_goes_round(shop):
    made = shop.backup()
    assert [one["id"] for one in shop.do("backup_info", {})] == [made["id"]]
    assert shop.do("verify", {})["reports"][0]["strength"] == "structure"
    shop.execute("DELETE FROM orders WHERE id > 100")
    declared = {"id": "latest", "confirm": "shop", "request": "first"}
    foretold, done, _idle, again = shop.four_steps("restore", declared, shop.rows)
    assert (shop.rows(), shop.owner()) == (500, "shopkeeper")
    assert foretold["restore"]["backup"]["id"] == done["restore"]["backup"]["id"] == made["id"]
    assert (
        foretold["msg"].partition(" Changes")[0].replace("would replace", "replaced")
        == done["msg"].partition(" Changes")[0]
    )
    assert difference(foretold)["after"] == difference(done)["after"]
    assert made["id"] in again["msg"]
    assert shop.kept() == [done["restore"]["kept"]]
    assert shop.rows(done["restore"]["kept"]) == 100
    assert done["restore"]["unavailable"] < 1
    shop.execute("INSERT INTO orders (item) VALUES ('a new order')")
    newer = shop.backup()
    assert not shop.play("restore", declared).changed
    assert shop.rows() == 501
    _foretold, pruned, _idle, _again = shop.four_steps("prune", {"keep_last": 1}, shop.stored)
    assert shop.stored() == [newer["id"]]
    assert pruned["prune"]["removed"] == 1


def test_a_kept_database_is_listed_and_removed_only_when_its_name_is_repeated(shop):
    shop.backup()
    shop.play("restore", {"id": "latest", "confirm": "shop"})
    (listed,) = shop.do("kept_database_info", {})
    assert [listed["name"]] == shop.kept()
    assert listed["database"] == "shop"
    assert listed["size"] > 0
    refused = shop.play("kept_database", {"name": listed["name"]})
    assert refused.failed
    assert "confirm" in refused.result["msg"]
    assert shop.kept() == [listed["name"]]
    shop.four_steps("kept_database", {"name": listed["name"], "confirm": listed["name"]}, shop.kept)
    assert shop.kept() == []
    live = shop.play("kept_database", {"name": "shop", "confirm": "shop"})
    assert not live.changed
    assert shop.rows() == 500


def test_a_copy_is_made_under_another_name_and_the_source_is_untouched(shop):
    shop.backup()
    shop.execute("DELETE FROM orders WHERE id > 100")
    options = {"id": "latest", "target": "shop_copy", "strategy": "new"}
    shop.four_steps("restore", options, lambda: sorted(shop.kept()))
    assert (shop.rows(), shop.rows("shop_copy"), shop.owner("shop_copy")) == (100, 500, "shopkeeper")


def test_a_live_database_is_replaced_only_when_confirm_repeats_its_name(shop):
    shop.backup()
    shop.execute("DELETE FROM orders WHERE id > 100")
    for confirm in ({}, {"confirm": "Shop"}):
        before = shop.everything()
        played = shop.play("restore", {"id": "latest", **confirm})
        assert played.failed
        assert "confirm" in played.result["msg"]
        assert shop.everything() == before


def test_a_wrong_password_is_one_sentence_and_no_password_is_shown(shop):
    shop.server.psql("ALTER ROLE shopkeeper SUPERUSER PASSWORD '%s'" % PASSWORD)
    login = {"login_user": "shopkeeper", "login_password": "wrong-" + PASSWORD, "init": True}
    seen = {"verbosity": 4, "environment": {"ANSIBLE_INJECT_INVOCATION": "1"}}
    with shop.server.hba("local all shopkeeper scram-sha-256\nlocal all all trust\n"):
        refused = shop.play("backup", login, **seen)
        assert refused.failed
        assert "password" in refused.result["msg"]
        assert "Traceback" not in refused.output
        right = shop.play("backup", {**login, "login_password": PASSWORD}, **seen)
        assert not right.failed, right.output
    assert "login_password" in right.output, "the invocation is not shown, so that this test could not fail"
    for played in (refused, right):
        assert PASSWORD not in played.output
        assert PASSWORD not in str(played.results)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"database": "nothing"}, ["nothing"]),
        ({"login_unix_socket": "/nowhere"}, ["/nowhere"]),
        ({"login_user": "nobody_of_ours"}, ["nobody_of_ours"]),
        ({"client_path": "/nowhere"}, ["/nowhere"]),
        ({"login_service_file": "/nowhere/services", "login_service": "none"}, ["/nowhere/services"]),
    ],
)
def test_wrong_input_gets_one_sentence(shop, options, words):
    played = shop.play("backup", {"init": True, **options}, check=True, verbosity=3)
    assert played.failed, played.output
    assert "Traceback" not in played.output
    assert "\n" not in played.result["msg"]
    for word in words:
        assert word in played.result["msg"]
    assert not shop.repository.exists()
