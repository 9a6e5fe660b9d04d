# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples in the modules' documentation, played as they stand there: only the places and the moment are ours.

All of them are played with SQLite, those that are written for a database server too.
"""

from __future__ import annotations

import importlib
import pathlib
import sqlite3
from datetime import UTC, datetime

import pytest
import yaml
from playing import ROOT, Stage

MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("[a-z]*.py"))


def make_shop(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO orders VALUES (1), (2)")
    connection.close()


def brought_here(examples: str, folder: pathlib.Path) -> list[dict]:
    """The examples with our places for theirs, and now for the time that they name."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.999999Z")
    ours = {
        "/var/backups/holdfast": str(folder / "backups"),
        "/srv/": "%s/srv/" % folder,
        "2026-11-20T06:30:00+01:00": moment,
        "engine: postgresql": "engine: sqlite",
        "database: shop\n": "database: %s/srv/shop/shop.db\n" % folder,
        "confirm: shop\n": "confirm: %s/srv/shop/shop.db\n" % folder,
        "target: shop_from_partner\n": "target: %s/srv/shop/shop_from_partner.db\n" % folder,
        "poll: 10": "poll: 1",
    }
    for theirs, here in ours.items():
        examples = examples.replace(theirs, here)
    return yaml.safe_load(examples)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_run(tmp_path, module):
    shop, dump = tmp_path / "srv" / "shop" / "shop.db", tmp_path / "srv" / "incoming" / "shop.dump"
    make_shop(shop)
    make_shop(dump)
    stage = Stage(tmp_path / "controller")
    source = importlib.import_module("ansible_collections.holdfast.db.plugins.modules.%s" % module)
    if module != "backup":  # its examples begin with setting up the repository
        places = {"database": str(shop), "repository": str(tmp_path / "backups"), "policy": "shop"}
        first = stage.play({"name": "Begin", "holdfast.db.backup": {**places, "engine": "sqlite", "init": True}})
        assert first.status == 0, first.output
    tasks = brought_here(source.EXAMPLES, tmp_path)
    # SQLite wants a path where a server can list what it has without one.
    played = stage.play(*tasks, variables={"holdfast_confirm": str(shop)}, defaults={"database": str(shop)})
    assert played.status == 0, played.output
    assert "FAILED" not in played.output
    assert "holdfast.db.%s" % module in str(tasks)
