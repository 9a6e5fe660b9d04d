# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter backup_table in a real playbook: its documented examples run, and show what the module listed."""

from __future__ import annotations

import pathlib
import sqlite3
from contextlib import closing

import yaml
from ansible_collections.holdfast.db.plugins.filter import backup_table
from playing import Stage


def test_the_examples_show_what_backup_info_lists(tmp_path: pathlib.Path) -> None:
    shop = tmp_path / "shop.db"
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO orders VALUES (1), (2)")
        connection.commit()
    place = {"repository": str(tmp_path / "backups"), "database": str(shop), "engine": "sqlite"}
    backup = {"name": "Back up", "holdfast.db.backup": {**place, "init": True, "pinned": True}}
    examples = yaml.safe_load(backup_table.EXAMPLES.replace("/var/backups/holdfast", str(tmp_path / "backups")))

    played = Stage(tmp_path / "controller").play(backup, *examples)

    assert played.status == 0, played.output
    made, listed, usual, with_ids = played.results
    title, headings, line = usual["msg"].splitlines()
    assert title == f'"{shop}" of policy "default" on "db1"'
    assert " ".join(headings.split()) == "METHOD TYPE STATUS STARTED (UTC) DURATION SIZE STORED AGE NOTE"
    assert line.split()[:3] == ["online_copy", "full", "completed"]
    assert line.endswith("  pinned")
    assert with_ids["msg"].splitlines()[2].split()[:3] == [made["backup"]["id"], "completed", "2"]
    assert listed["backups"][0]["stored_size_human"] in usual["msg"]


def test_what_is_no_list_of_backups_fails_with_one_sentence(tmp_path: pathlib.Path) -> None:
    wrong = {"name": "Wrong", "ansible.builtin.debug": {"msg": "{{ 'text' | holdfast.db.backup_table }}"}}
    played = Stage(tmp_path / "controller").play(wrong)
    assert played.failed
    assert "takes a list of backups, such as backups of backup_info; give it that." in played.output
    assert "Traceback" not in played.output
