# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples in the modules' documentation, played as they stand there: only the places and the moment are ours.

All of them are played with SQLite, also those that are written for a server; these are played with PostgreSQL too.
"""

from __future__ import annotations

import importlib
import pathlib
import sqlite3
import subprocess
from datetime import UTC, datetime

import pytest
import yaml
from integration.postgresql_support import (
    account_name,
)
from playing import ROOT, Stage

MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("[a-z]*.py"))


def make_shop(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO orders VALUES (1), (2)")
    connection.close()


def examples_of(module: str) -> str:
    return importlib.import_module("ansible_collections.holdfast.db.plugins.modules.%s" % module).EXAMPLES


def brought_here(examples: str, folder: pathlib.Path) -> str:
    """The examples with our places for theirs, and now for the time that they name."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.999999Z")
    ours = {
        "/var/backups/holdfast": str(folder / "backups"),
        "/srv/": "%s/srv/" % folder,
        "2026-11-20T06:30:00+01:00": moment,
        "poll: 10": "poll: 1",
    }
    return replaced(examples, ours)


def made_for_sqlite(examples: str, folder: pathlib.Path) -> str:
    """What is written for a server, for a file."""
    return replaced(
        examples,
        {
            "engine: postgresql": "engine: sqlite",
            "database: shop\n": "database: %s/srv/shop/shop.db\n" % folder,
            "confirm: shop\n": "confirm: %s/srv/shop/shop.db\n" % folder,
            "target: shop_from_partner\n": "target: %s/srv/shop/shop_from_partner.db\n" % folder,
        },
    )


def replaced(text: str, words: dict[str, str]) -> str:
    for theirs, ours in words.items():
        text = text.replace(theirs, ours)
    return text


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_run(tmp_path, module):
    shop, dump = tmp_path / "srv" / "shop" / "shop.db", tmp_path / "srv" / "incoming" / "shop.dump"
    make_shop(shop)
    make_shop(dump)
    stage = Stage(tmp_path / "controller")
    if module != "backup":  # its examples begin with setting up the repository
        begin(stage, tmp_path, {"engine": "sqlite", "database": str(shop)})
    tasks = yaml.safe_load(made_for_sqlite(brought_here(examples_of(module), tmp_path), tmp_path))
    # SQLite wants a path where a server can list what it has without one.
    played = stage.play(*tasks, variables={"holdfast_confirm": str(shop)}, defaults={"database": str(shop)})
    assert played.status == 0, played.output
    assert "FAILED" not in played.output
    assert "holdfast.db.%s" % module in str(tasks)


@pytest.mark.postgresql
@pytest.mark.parametrize("module", [name for name in MODULES if "engine: postgresql" in examples_of(name)])
def test_the_examples_for_postgresql_run(tmp_path, server, module):
    server.psql("DROP DATABASE IF EXISTS shop_from_partner WITH (FORCE)")
    server.psql("DROP DATABASE IF EXISTS shop WITH (FORCE)")
    server.psql("DROP ROLE IF EXISTS partner")
    server.psql("CREATE ROLE partner LOGIN")
    server.create_database("shop", "OWNER partner")
    server.create_database("shop_from_partner", "OWNER partner")
    server.psql("CREATE TABLE orders (id integer PRIMARY KEY)", "shop", user="partner")
    dump = tmp_path / "srv" / "incoming" / "shop.dump"
    dump.parent.mkdir(parents=True)
    conninfo = "host=%s dbname=shop user=%s" % (server.socket, account_name())
    subprocess.run([server.client("pg_dump"), "-Fc", "-f", dump, conninfo], check=True)
    stage = Stage(tmp_path / "controller")
    begin(stage, tmp_path, {"engine": "postgresql", "database": "shop", "login_unix_socket": server.socket})
    tasks = [
        task
        for task in yaml.safe_load(brought_here(examples_of(module), tmp_path))
        if "sqlite" not in str(task) and ".db'" not in str(task)
    ]
    assert tasks
    played = stage.play(*tasks, defaults={"login_unix_socket": server.socket})
    assert played.status == 0, played.output
    assert "FAILED" not in played.output


def begin(stage: Stage, folder: pathlib.Path, database: dict) -> None:
    """Set up the repository and make the first backup of the policy that the examples name."""
    places = {"repository": str(folder / "backups"), "policy": "shop", "init": True}
    first = stage.play({"name": "Begin", "holdfast.db.backup": {**places, **database}})
    assert first.status == 0, first.output
