# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let galaxy-importer judge the built archive, as a Galaxy server would on upload."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile

from build import build


def main() -> int:
    """Build, import, and fail on what the importer refuses or warns about."""
    with tempfile.TemporaryDirectory(prefix="holdfast-import-") as folder:
        archive = build(pathlib.Path(folder))
        importer = subprocess.run(
            [sys.executable, "-m", "galaxy_importer.main", str(archive)],
            cwd=folder,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    print(importer.stdout, end="")
    complaints = [line for line in importer.stdout.splitlines() if line.startswith(("WARNING", "ERROR"))]
    if complaints:
        print(f"galaxy-importer has {len(complaints)} complaints; a published archive has none")
    return importer.returncode or int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
