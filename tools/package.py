# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection, install it into an empty folder, and look at what arrived.

What ships must be exactly what a user needs; every plugin must arrive, with documentation that loads, also
when only meta/, plugins/, roles/ and playbooks/ are left of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import yaml
from build import build
from workspace import project_files

# Where a user looks, and what Ansible reads. Nothing else may ship.
FILES_AT_TOP = {"CHANGELOG.rst", "FILES.json", "LICENSE", "MANIFEST.json", "README.md"}
FOLDERS = {"changelogs", "docs", "meta", "playbooks", "plugins", "roles"}
# What the collection works from. Every tracked file in these must ship.
WORKING_FOLDERS = ["meta", "playbooks", "plugins", "roles"]
PLUGIN_KINDS = {
    "modules": "module",
    "filter": "filter",
    "lookup": "lookup",
    "test": "test",
    "inventory": "inventory",
}


def main() -> int:
    """Print each complaint on a line of its own; return 0 when there is none."""
    with installed_collection() as installed:
        complaints = shipped_wrongly(installed) + left_behind(installed) + action_group_mistakes(installed)
        complaints += documentation_mistakes(installed)
        count = sum(path.is_file() for path in installed.rglob("*"))
        keep_only_working_folders(installed)
        complaints += [
            f"{line} (with only {', '.join(WORKING_FOLDERS)} left)" for line in documentation_mistakes(installed)
        ]
    for complaint in complaints:
        print(complaint)
    print(f"Looked at {count} installed files: {len(complaints) or 'no'} complaints")
    return int(bool(complaints))


@contextlib.contextmanager
def installed_collection() -> Iterator[pathlib.Path]:
    """The collection, built and installed at `.../ansible_collections/holdfast/db` where nothing else is."""
    with tempfile.TemporaryDirectory(prefix="holdfast-package-") as folder:
        archive = build(pathlib.Path(folder, "built"))
        collections = pathlib.Path(folder, "collections")
        command = ["ansible-galaxy", "collection", "install", "--offline", "-p", str(collections), str(archive)]
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections)}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        yield collections / "ansible_collections" / "holdfast" / "db"


def shipped_wrongly(installed: pathlib.Path) -> list[str]:
    """Complaints about files that arrived and should not have."""
    complaints = []
    for path in sorted(path for path in installed.rglob("*") if path.is_file()):
        name = path.relative_to(installed)
        allowed = name.parts[0] in FOLDERS if len(name.parts) > 1 else name.name in FILES_AT_TOP
        if not allowed or path.is_symlink() or "__pycache__" in name.parts or path.suffix in {".pyc", ".pyo"}:
            complaints.append(f"{name}: ships, and should not; mend the manifest in galaxy.yml")
    return complaints


def left_behind(installed: pathlib.Path) -> list[str]:
    """Complaints about files of the project that users need and that did not arrive."""
    needed = [name for name in project_files() if name.parts[0] in WORKING_FOLDERS or str(name) in FILES_AT_TOP]
    return [
        f"{name}: does not ship; mend the manifest in galaxy.yml" for name in needed if not (installed / name).exists()
    ]


def action_group_mistakes(installed: pathlib.Path) -> list[str]:
    """Complaints where the action group, which carries module_defaults, and the modules differ."""
    runtime = yaml.safe_load((installed / "meta" / "runtime.yml").read_text())
    group = set(runtime["action_groups"]["holdfast"])
    modules = set(plugin_names(installed, "modules"))
    missing = [f"meta/runtime.yml: names the module {name}, which does not exist" for name in sorted(group - modules)]
    return missing + [f"meta/runtime.yml: does not name the module {name}" for name in sorted(modules - group)]


def documentation_mistakes(installed: pathlib.Path) -> list[str]:
    """Complaints about plugins whose documentation ansible-doc cannot load from the installed collection."""
    complaints = []
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(installed.parents[2])}
    for folder, kind in PLUGIN_KINDS.items():
        names = [f"holdfast.db.{name}" for name in plugin_names(installed, folder)]
        if not names:
            continue
        command = ["ansible-doc", "--json", "--type", kind, *names]
        told = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        loaded = json.loads(told.stdout) if told.stdout.strip() else {}
        complaints += [
            f"{name}: ansible-doc loads no documentation: {told.stderr.strip()}"
            for name in names
            if not loaded.get(name, {}).get("doc")
        ]
    return complaints


def plugin_names(installed: pathlib.Path, folder: str) -> list[str]:
    """The names of the plugins in one folder of the installed collection."""
    return sorted(path.stem for path in (installed / "plugins" / folder).glob("[a-z]*.py"))


def keep_only_working_folders(installed: pathlib.Path) -> None:
    """Remove everything that Ansible does not read."""
    for path in installed.iterdir():
        if path.is_file():
            path.unlink()
        elif path.name not in WORKING_FOLDERS:
            shutil.rmtree(path)


if __name__ == "__main__":
    sys.exit(main())
