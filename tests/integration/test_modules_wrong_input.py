# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong input through Ansible: one clear sentence that names the thing, no traceback, and nothing written.

All cases are played in one playbook, for speed; each is then looked at by itself.
"""

from __future__ import annotations

import sqlite3

import pytest
import yaml
from playing import Stage, tree

A_COPY = {"strategy": "new", "target": "WORLD/copy.db"}

# Module, options that differ from right ones (None: left out), and words that the sentence must hold.
CASES = [
    ("backup", {"engine": "oracle"}, ["oracle", "postgresql", "sqlite"]),
    ("backup", {"engine": None}, ["engine"]),
    ("backup", {"database": None}, ["database"]),
    ("backup", {"database": ""}, ["database"]),
    ("backup", {"repository": None}, ["repository"]),
    ("backup", {"repository": "backups"}, ["backups", "absolute"]),
    ("backup", {"repository": "/etc"}, ["/etc"]),
    ("backup", {"repository_id": "another"}, ["another"]),
    ("backup", {"policy": "a\0b"}, ["policy", "NUL"]),
    ("backup", {"if_older_than": "1 day"}, ["if_older_than", "1 day"]),
    ("backup", {"if_older_than": 3600}, ["if_older_than", "3600"]),
    ("backup", {"lock_timeout": "soon"}, ["lock_timeout", "soon"]),
    ("backup", {"login_port": 70000}, ["login_port", "65535"]),
    ("backup", {"jobs": 0}, ["jobs", "1"]),
    ("backup", {"compression_level": 23}, ["compression_level", "22"]),
    ("backup", {"age_recipients": ["nobody"]}, ["nobody", "age"]),
    ("backup", {"state": "absent"}, ["id"]),
    ("backup", {"id": "20261120T063000Z-3f9a1c"}, ["pinned"]),
    ("backup", {"id": "../../../etc", "pinned": True}, ["../../../etc"]),
    ("backup", {"source_host": "*"}, ["source_host"]),
    ("backup_info", {"repository": "/nowhere"}, ["/nowhere"]),
    ("backup_info", {"limit": 0}, ["limit"]),
    ("verify", {"id": "20261120T063000Z-3f9a1c"}, ["no backup"]),
    ("prune", {"keep_last": -1}, ["keep_last"]),
    ("prune", {"keep_within": "1 month"}, ["keep_within"]),
    ("prune", {"keep_last": 1, "timezone": "Mars/Olympus"}, ["Mars/Olympus"]),
    ("prune", {"keep_last": 1, "policy": "none such"}, ["policy"]),
    ("restore", {"before": "yesterday"}, ["before", "yesterday"]),
    ("restore", {"before": "2026-11-20T06:30:00"}, ["before", "offset"]),
    ("restore", {"before": "2001-01-01T00:00:00Z", **A_COPY}, ["2001-01-01T00:00:00Z"]),
    ("restore", {"id": "../x", **A_COPY}, ["../x"]),
    ("restore", {"id": "latest", "policy": "../x", **A_COPY}, ["../x"]),
    ("restore", {"file": "/nowhere/shop.dump", **A_COPY}, ["/nowhere/shop.dump"]),
    ("restore", {"file": "/etc/hostname", **A_COPY}, ["/etc/hostname"]),
    ("restore", {"id": "latest"}, ["confirm"]),
    ("restore", {"id": "latest", "confirm": "shop"}, ["confirm", "shop.db"]),
    ("restore", {"id": "latest", "target": "/nowhere/copy.db"}, ["/nowhere/copy.db"]),
    ("restore", {"id": "latest", "target": ""}, ["target", "no value"]),
    ("restore", {"id": "latest", "request": ""}, ["request", "no value"]),
    ("restore", {"before": "2999-01-01T00:00:00Z"}, ["before", "not come yet"]),
    ("backup", {"time_limit": "0s"}, ["time_limit", "no time"]),
    ("backup", {"database": "WORLD//shop.db"}, ["shorter name", "/shop.db"]),
    ("backup", {"database": "WORLD/../host/shop.db"}, ["shorter name", "/shop.db"]),
]

# What an undefined variable with an empty default leaves: never the newest backup, never the live database.
NOTHING = [("restore", "id"), ("restore", "before"), ("restore", "file"), ("backup", "id"), ("backup", "acknowledge")]

# What a person writes without quotes where a name is meant.
WRITTEN = [
    ("policy", "007"),
    ("policy", "5:30"),
    ("source_host", "10.5"),
    ("database", "2026"),
    ("confirm", "on"),
    ("id", "20261120"),
]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Everything above, played in its order after one good backup."""
    folder = tmp_path_factory.mktemp("wrong")
    world = folder / "host"
    world.mkdir()
    with sqlite3.connect(world / "shop.db") as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    connection.close()
    right = {"engine": "sqlite", "database": str(world / "shop.db"), "repository": str(world / "repository")}
    stage = Stage(folder / "controller")
    assert not stage.play({"name": "Begin", "holdfast.db.backup": {**right, "init": True}}).failed
    wrong = [(module, given) for module, given, _words in CASES]
    wrong = [(module, placed(given, world)) for module, given in wrong]
    wrong += [("restore", {"id": "latest", option: yaml.safe_load(written)}) for option, written in WRITTEN]
    tasks = [task(module, {**right, **given}) for module, given in wrong]
    tasks += [
        {"name": "Try", "holdfast.db.%s" % module: {**right, option: None}, "ignore_errors": True}
        for module, option in NOTHING
    ]
    before = tree(world)
    outcome = stage.play(*tasks, verbosity=3)
    assert len(outcome.results) == len(tasks), outcome.output
    assert tree(world) == before
    return outcome


def placed(given, world):
    return {
        name: value.replace("WORLD", str(world)) if isinstance(value, str) else value for name, value in given.items()
    }


def task(module, given):
    stated = {name: value for name, value in given.items() if value is not None}
    return {"name": "Try it", "holdfast.db.%s" % module: stated, "ignore_errors": True}


def assert_one_sentence(result, *words):
    assert result["failed"]
    message = result["msg"]
    assert "\n" not in message
    assert message.endswith(".")
    for word in words:
        assert word in message


@pytest.mark.parametrize("number", range(len(CASES)), ids=["%s %s" % case[:2] for case in CASES])
def test_wrong_input_gets_one_sentence(played, number):
    assert_one_sentence(played.results[number], *CASES[number][2])


@pytest.mark.parametrize("number", range(len(WRITTEN)), ids=["%s: %s" % pair for pair in WRITTEN])
def test_what_yaml_reads_as_something_else_is_refused_where_a_name_is_meant(played, number):
    assert_one_sentence(played.results[len(CASES) + number], WRITTEN[number][0], "quotes")


@pytest.mark.parametrize("number", range(len(NOTHING)), ids=["%s %s" % pair for pair in NOTHING])
def test_an_option_without_a_value_never_means_the_usual(played, number):
    assert_one_sentence(played.results[len(CASES) + len(WRITTEN) + number], NOTHING[number][1], "has no value")


def test_there_is_no_traceback_anywhere(played):
    assert "Traceback" not in played.output
