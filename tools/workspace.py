# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the checks find the project, and clean copies of it for the tools that cannot work in a checkout."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent


def project_files() -> list[pathlib.PurePath]:
    """The paths, relative to the checkout, of every file that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return sorted(pathlib.PurePath(name) for name in set(listed) if name and (ROOT / name).is_file())


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
