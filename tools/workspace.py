# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the checks find the project, and clean copies of it for the tools that cannot work in a checkout."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent


def project_files() -> list[pathlib.PurePath]:
    """The paths, relative to the checkout, of every file that git tracks or would track."""
    # A checkout may belong to another user than the one who runs the checks, as in a container; git wants to be told.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if listed.returncode != 0:
        sys.exit(f"git cannot list the files of {ROOT}; the checks work in a clone. It says: {listed.stderr.strip()}")
    names = set(listed.stdout.split("\0")) - {""}
    return sorted(pathlib.PurePath(name) for name in names if (ROOT / name).is_file())


@contextlib.contextmanager
def collection_copy() -> Iterator[pathlib.Path]:
    """A temporary copy of the project files at `.../ansible_collections/holdfast/db`, without caches.

    ansible-test and antsibull-docs ask for that path; building in the checkout itself would walk through the
    environments and round the link in collections/.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-check-") as top:
        copy = pathlib.Path(top, "ansible_collections", "holdfast", "db")
        for name in project_files():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
        yield copy
