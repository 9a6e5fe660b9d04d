# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Go once round the circle with what a user gets: the installed collection, on the oldest and the newest Python.

Only meta/, plugins/, roles/ and playbooks/ are left in it, so nothing can come from the checkout.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile

from interpreters import find_pythons, say_which
from package import installed_collection, keep_only_working_folders
from workspace import ROOT


def main() -> int:
    """Run the playbook with each interpreter; return 0 when every run succeeded."""
    pythons = find_pythons()
    ends = {version: pythons[version] for version in (min(pythons, key=by_number), max(pythons, key=by_number))}
    say_which(ends)
    failed = []
    with installed_collection() as installed:
        keep_only_working_folders(installed)
        for version, python in ends.items():
            print(f"With Python {version} on the host:", flush=True)
            if go_round(installed.parents[2], python) != 0:
                failed.append(version)
    print(f"The circle on Python {' and '.join(ends)}: " + (f"failed on {', '.join(failed)}" if failed else "closed"))
    return int(bool(failed))


def by_number(version: str) -> list[int]:
    """The sorting key that puts 3.9 before 3.10."""
    return [int(part) for part in version.split(".")]


def go_round(collections: pathlib.Path, python: pathlib.Path) -> int:
    """Run the playbook on this machine with that interpreter; return its exit status."""
    with tempfile.TemporaryDirectory(prefix="holdfast-circle-") as folder:
        command = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(ROOT / "tools" / "circle.yml")]
        command += ["-e", f"holdfast_folder={folder}", "-e", f"ansible_python_interpreter={python}"]
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_NOCOWS": "1"}
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
