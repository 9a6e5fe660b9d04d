# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as citizens of Ansible: secrets, async, defaults, names, old Pythons."""

from __future__ import annotations

import os
import pathlib
import shutil
import sqlite3
import subprocess

import pytest
import yaml
from playing import Stage

SECRET = "gJ7-correct-horse"
OLDEST_PYTHONS = ("python3.9", "python3.10")


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path / "controller")


@pytest.fixture
def world(tmp_path):
    folder = tmp_path / "host"
    folder.mkdir()
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO orders VALUES (1), (2)")
    connection.close()
    return folder


def options(world, **more):
    return {"engine": "sqlite", "database": str(world / "shop.db"), "repository": str(world / "repository"), **more}


def task(module, given, **keywords):
    return {"name": "Try it", "holdfast.db.%s" % module: given, **keywords}


def test_no_secret_is_shown_at_the_highest_verbosity(stage, world):
    key = world / "key"
    subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True)
    identity = next(line for line in key.read_text().splitlines() if line.startswith("AGE-SECRET-KEY"))
    recipient = subprocess.run(["age-keygen", "-y", key], check=True, capture_output=True, text=True).stdout.strip()
    key.unlink()
    given = options(world, login_password=SECRET)
    played = stage.play(
        task("backup", {**given, "init": True, "age_recipients": [recipient]}),
        task("verify", {**given, "age_identity": identity}),
        task(
            "restore",
            {**given, "id": "latest", "strategy": "new", "target": str(world / "copy.db"), "age_identity": identity},
        ),
        verbosity=4,
        diff=True,
        environment={"ANSIBLE_INJECT_INVOCATION": "1"},
    )
    assert played.status == 0, played.output
    assert played.results[1]["verify"]["reports"][0]["strength"] == "structure"
    assert "login_password" in played.output, "the invocation is not shown, so that this test could not fail"
    for secret in (SECRET, identity):
        assert secret not in played.output
        assert secret not in str(played.results)
        for path in world.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes()


def test_a_password_that_equals_a_name_is_the_only_thing_that_hides_it(stage, world):
    played = stage.play(task("backup", options(world, init=True, login_password_file="shop.db", login_user="default")))
    assert played.result["backup"]["policy"] == "default"
    assert played.result["backup"]["database"].endswith("shop.db")


def test_work_runs_under_async(stage, world):
    played = stage.play(task("backup", options(world, init=True), **{"async": 120, "poll": 1}))
    assert not played.failed, played.output
    assert played.result["backup"]["status"] == "completed"
    assert played.result["backup"]["source_host"] == "db1"


def test_module_defaults_of_the_action_group_reach_every_module(stage, world):
    played = stage.play(
        task("backup", {"init": True}),
        task("backup_info", {}),
        task("verify", {}),
        task("prune", {"keep_last": 1}),
        task("restore", {"id": "latest", "target": str(world / "copy.db"), "strategy": "new"}),
        task("kept_database_info", {}),
        task("kept_database", {"name": str(world / "none.db")}),
        defaults=options(world),
    )
    assert played.status == 0, played.output
    assert len(played.results) == 7


def test_a_request_may_be_a_date_or_a_number(stage, world):
    for request in (yaml.safe_load("2026-11-20"), 20261120):
        target = world / ("copy of %s.db" % request)
        given = options(world, id="latest", target=str(target), strategy="new", request=request)
        played = stage.play(task("backup", options(world, init=True)), task("restore", given), task("restore", given))
        assert played.results[1]["changed"], played.output
        assert played.results[1]["restore"]["marker"]["request"] == str(request)
        assert not played.changed


def test_a_path_is_taken_as_it_is_written(stage, world):
    for name in ("with space", "quote'\"", "-dash", "ünï", "percent%41", "new\nline", "{brace}", "semi;colon"):
        folder = world / name
        folder.mkdir()
        database = folder / "shop.db"
        shutil.copy(world / "shop.db", database)
        given = {
            "engine": "sqlite",
            "database": str(database),
            "repository": str(folder / "repository"),
            "policy": name,
        }
        copy = folder / "copy.db"
        played = stage.play(
            task("backup", {**given, "init": True}),
            task("restore", {**given, "id": "latest", "target": str(copy), "strategy": "new"}),
        )
        assert played.status == 0, played.output
        assert played.results[0]["backup"]["database"] == str(database)
        assert copy.exists()


def test_a_warning_is_said_once(stage, world):
    played = stage.play(task("backup", options(world, init=True)))
    assert len(played.result["warnings"]) == len({str(warning) for warning in played.result["warnings"]})
    assert any("plain text" in str(warning) for warning in played.result["warnings"])


def test_the_oldest_python_that_is_supported_runs_the_modules(tmp_path, world):
    python = oldest_python()
    if python is None:
        pytest.skip("Python 3.9 and 3.10 are not on this machine; ansible-test sanity still reads the code for them")
    stage = Stage(tmp_path / "controller", python=python)
    played = stage.play(
        task("backup", options(world, init=True)),
        task("verify", options(world)),
        task("restore", options(world, id="latest", target=str(world / "copy.db"), strategy="new")),
        task("prune", options(world, keep_last=1)),
    )
    assert played.status == 0, played.output


def oldest_python():
    """An interpreter of the oldest supported version, from PATH or from pyenv's folders."""
    folders = [pathlib.Path(name) for name in os.environ["PATH"].split(os.pathsep) if "shims" not in name]
    for root in (pathlib.Path.home() / ".pyenv", pathlib.Path("/root/.pyenv")):
        if os.access(root, os.R_OK | os.X_OK):
            folders += sorted(root.glob("versions/3.*/bin"))
    for name in OLDEST_PYTHONS:
        for folder in folders:
            if os.access(folder / name, os.X_OK):
                return str(folder / name)
    return None
