# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Pythons this machine has, among those that the collection promises to work with."""

from __future__ import annotations

import os
import pathlib

VERSIONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]


def find_pythons() -> dict[str, pathlib.Path]:
    """The interpreter for each version that is here, from PATH and from pyenv's folders, wherever those are.

    Virtual environments are passed over: what they hold depends on who made them.
    """
    folders = [pathlib.Path(name) for name in path_folders()]
    folders = [folder for folder in folders if not (folder.parent / "pyvenv.cfg").exists()]
    for root in pyenv_roots():
        folders += sorted(root.glob("versions/3.*/bin"))
    found = {}
    for version in VERSIONS:
        for folder in folders:
            program = folder / f"python{version}"
            if os.access(program, os.X_OK):
                found[version] = program
                break
    return found


def say_which(pythons: dict[str, pathlib.Path]) -> None:
    """Print which versions are tried, and which are not for want of an interpreter."""
    print("Interpreters:", ", ".join(f"{version} ({path})" for version, path in pythons.items()), flush=True)
    missing = [version for version in VERSIONS if version not in pythons]
    if missing:
        print(f"Not on this machine, and so not tried: Python {', '.join(missing)}", flush=True)


def path_folders() -> list[str]:
    """PATH without pyenv's own commands (shims), which cannot choose a version inside other tools."""
    return [name for name in os.environ["PATH"].split(os.pathsep) if pathlib.Path(name).name != "shims"]


def pyenv_roots() -> list[pathlib.Path]:
    """Folders in which pyenv may keep its versions; it need not be installed in the home folder of now."""
    roots = [pathlib.Path.home() / ".pyenv", pathlib.Path("/root/.pyenv"), pathlib.Path("/opt/pyenv")]
    if "PYENV_ROOT" in os.environ:
        roots.insert(0, pathlib.Path(os.environ["PYENV_ROOT"]))
    return [root for root in dict.fromkeys(roots) if os.access(root / "versions", os.R_OK | os.X_OK)]
