# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the figures were measured on."""

from __future__ import annotations

import os
import pathlib
import platform
import shutil
import sqlite3
import subprocess

_VERSIONS = {
    "pg_dump": ["pg_dump", "--version"],
    "zstd": ["zstd", "--version"],
    "age": ["age", "--version"],
    "sqlite3": ["sqlite3", "--version"],
    "borg": ["borg", "--version"],
    "borgmatic": ["borgmatic", "--version"],
    "ansible": ["ansible-playbook", "--version"],
}


def facts(work: pathlib.Path) -> dict[str, str]:
    """Cores, memory, file system and versions, as words."""
    found = {
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB",
        "file system": _output(["stat", "--file-system", "--format=%T", str(work)]),
        "system": _system(),
        "python": platform.python_version(),
        "sqlite library": sqlite3.sqlite_version,
        "load before": f"{os.getloadavg()[0]:.1f}",
    }
    for name, command in _VERSIONS.items():
        found[name] = _output(command) if shutil.which(command[0]) else "not installed"
    return found


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def _output(command: list[str]) -> str:
    """The first line that a program prints about itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0].strip("* ") if lines else "?"
