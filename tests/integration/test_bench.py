# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench` still runs: every part, on tiny data. Its figures are looked at by people and never by a test."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

CHECKOUT = pathlib.Path(__file__).parents[2]
PARTS = {
    "create, PostgreSQL",
    "restore, PostgreSQL",
    "memory of our own process",
    "SQLite",
    "borgmatic",
    "ansible-playbook",
    "what a module sends to a host",
    "a repository with many backups",
}


@pytest.mark.postgresql
def test_the_whole_bench_runs_and_every_row_has_figures_or_says_why_not(tmp_path):
    told = tmp_path / "bench.json"
    command = [sys.executable, str(CHECKOUT / "tests" / "bench" / "run.py"), "--quick"]
    done = subprocess.run(
        [*command, "--work", str(tmp_path), "--json", str(told)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(told.read_text())["rows"]
    assert {row["part"] for row in rows} == PARTS
    assert [row["what"] for row in rows if row["ours"] is None and not row["note"]] == []
    assert "Traceback" not in done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]
