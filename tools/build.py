# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection's archive from the project files.

usage: build.py FOLDER
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

from workspace import collection_copy


def build(folder: pathlib.Path) -> pathlib.Path:
    """Build into the folder, which is made if need be; return the archive's path.

    Raises subprocess.CalledProcessError when ansible-galaxy refuses.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    command = ["ansible-galaxy", "collection", "build", "--force", "--output-path", str(folder)]
    with collection_copy() as copy:
        subprocess.run(command, cwd=copy, check=True)
    return max(folder.glob("holdfast-db-*.tar.gz"), key=lambda path: path.stat().st_mtime_ns)


def main() -> int:
    """Build into the folder that the command line names."""
    archive = build(pathlib.Path(sys.argv[1]))
    print(f"Next: ansible-galaxy collection install {archive}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
