# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate the documentation of every plugin, with its links and references, on a copy of the project."""

from __future__ import annotations

import os
import subprocess
import sys

from workspace import ROOT, collection_copy


def main() -> int:
    """Run antsibull-docs and return its status."""
    with collection_copy() as copy:
        command = [
            "antsibull-docs",
            "lint-collection-docs",
            "--plugin-docs",
            "--validate-collection-refs=self",
            ".",
        ]
        # It writes a log into its home folder.
        environment = {**os.environ, "HOME": str(ROOT / ".cache")}
        status = subprocess.run(command, cwd=copy, check=False, env=environment).returncode
        documented = sorted(path.stem for path in (copy / "plugins" / "modules").glob("[a-z]*.py"))
    print(f"Looked at the documentation of {len(documented)} modules: {', '.join(documented)}")
    return status if documented else 1


if __name__ == "__main__":
    sys.exit(main())
