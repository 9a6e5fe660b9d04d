# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of promises names tests that exist."""

from __future__ import annotations

import pathlib
import re

TESTS = pathlib.Path(__file__).parents[1]
ROW = re.compile(r"^\| (?!---)[^|]+ \|(?P<tests>[^|]+)\|$", re.MULTILINE)


def test_every_promise_is_tried_by_tests_that_exist() -> None:
    text = (TESTS / "README.md").read_text()
    there = {
        name for file in TESTS.glob("*/test_*.py") for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }
    rows = [row["tests"] for row in ROW.finditer(text) if row["tests"].strip() != "tests"]
    assert len(rows) > 40
    for row in rows:
        named = re.findall(r"`(\w+)`", row)
        assert named, "a promise without a test: %s" % row
        assert set(named) <= there, "no such test: %s" % (set(named) - there)
