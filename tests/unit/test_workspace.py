# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private temporary directories of several runs at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.holdfast.db.plugins.module_utils.workspace import workspace

COLLECTIONS = str(Path(__file__).resolve().parents[2] / "collections")

RUN = """
import os, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.holdfast.db.plugins.module_utils.workspace import workspace
for _number in range(150):
    with workspace(sys.argv[2]) as space:
        os.close(space.create_file("plain"))
        assert space.names() == ["plain"]
"""


def test_runs_at_the_same_time_never_sweep_each_other_away(tmp_path):
    argv = [sys.executable, "-c", RUN, COLLECTIONS, str(tmp_path)]
    running = [subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) for _one in range(4)]
    assert [one.communicate()[1] for one in running] == [""] * 4
    assert os.listdir(tmp_path) == []


def test_what_killed_runs_left_is_swept_away_by_the_next(tmp_path):
    """A run that was killed before it had locked its directory, and one that was killed with its directory full."""
    (tmp_path / ("holdfast-making-%d-00" % os.getpid())).mkdir()
    (tmp_path / "holdfast-making-4194305-00").mkdir()
    (tmp_path / "holdfast-work-00").mkdir()
    (tmp_path / "holdfast-work-00" / "plain").write_text("secret")
    (tmp_path / "holdfast-work.txt").write_text("somebody else's")
    with workspace(str(tmp_path)):
        pass
    assert sorted(os.listdir(tmp_path)) == ["holdfast-making-%d-00" % os.getpid(), "holdfast-work.txt"]
