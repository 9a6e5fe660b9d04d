# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the rules of the house that no general linter knows: who may import what, and how files begin.

What runs on a database host must run there with Python alone, and a newcomer must be able to add an engine without
reading anything but the engines' folder. Both stay true only while every import points down.
"""

from __future__ import annotations

import ast
import pathlib
import sys

from workspace import ROOT, project_files

HEADER = """\
# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""
UTILS = pathlib.PurePath("plugins/module_utils")

# Folder of module_utils -> what it must know nothing of. "" stands for the files that lie in module_utils itself.
FORBIDDEN = {
    "operations": {"adapter", "cli", "results"},
    "engines": {"adapter", "cli", "operations", "repository", "results", "retention"},
    "repository": {"adapter", "cli", "engines", "operations", "results"},
    "": {"adapter", "cli", "engines", "operations", "repository", "results"},
}
# The faces: they stand above the operations.
FACES = {"adapter", "cli", "results"}
# The one bridge to Ansible, and the one place that starts programs.
IMPORTS_ANSIBLE = UTILS / "adapter.py"
STARTS_PROGRAMS = UTILS / "pipeline.py"


def main() -> int:
    """Print each complaint as file:line; return 0 when there is none."""
    files = [name for name in project_files() if name.suffix == ".py" and name.parts[0] == "plugins"]
    complaints = []
    for name in files:
        text = (ROOT / name).read_text(encoding="utf-8")
        complaints += beginning_mistakes(name, text)
        for line, imported in imports(name, text):
            complaints += [f"{name}:{line}: {complaint}" for complaint in import_mistakes(name, imported)]
    complaints = list(dict.fromkeys(complaints))
    for complaint in complaints:
        print(complaint)
    print(f"Read {len(files)} Python files under plugins/: {len(complaints) or 'no'} complaints")
    return int(bool(complaints) or not files)


def beginning_mistakes(name: pathlib.PurePath, text: str) -> list[str]:
    """Complaints about the first lines of a file."""
    if name.name == "__init__.py":
        return [f"{name}:1: must be empty, for Ansible ships it to every host"] if text else []
    complaints = []
    if not text.removeprefix("#!/usr/bin/python\n").startswith(HEADER):
        complaints.append(f"{name}:1: does not begin with the three lines of copyright and licence")
    if "\nfrom __future__ import annotations\n" not in text:
        complaints.append(f"{name}:1: lacks `from __future__ import annotations`, which Python 3.9 needs")
    return complaints


def imports(name: pathlib.PurePath, text: str) -> list[tuple[int, str]]:
    """Each import of a file: its line, and the dotted name of what is imported.

    What lies in this project is named by its path from the root, however it was imported:
    `plugins.module_utils.engines.base.Engine`.
    """
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = name.parent.parts[: len(name.parent.parts) - node.level + 1] if node.level else ()
            module = ".".join([*above, node.module] if node.module else above)
            module = module.removeprefix("ansible_collections.holdfast.db.")
            found += [(node.lineno, f"{module}.{alias.name}") for alias in node.names]
    return found


def import_mistakes(name: pathlib.PurePath, imported: str) -> list[str]:
    """Complaints about one import of one file."""
    if not name.is_relative_to(UTILS):
        return ["only plugins/module_utils/pipeline.py starts programs"] if imported == "subprocess" else []
    top = imported.split(".")[0]
    if top == "subprocess" and name != STARTS_PROGRAMS:
        return [f"only {STARTS_PROGRAMS} starts programs"]
    if top == "ansible" and name != IMPORTS_ANSIBLE:
        return [f"imports Ansible; only {IMPORTS_ANSIBLE} may"]
    if top not in sys.stdlib_module_names | {"plugins", "ansible"}:
        return [f"imports {top}, which is not in Python's standard library"]
    inside = imported.split(".")[2:] if imported.startswith("plugins.module_utils.") else []
    return layer_mistakes(name.relative_to(UTILS), inside) if inside else []


def layer_mistakes(name: pathlib.PurePath, inside: list[str]) -> list[str]:
    """Complaints about an import inside module_utils that points up, or from one engine into another."""
    folder = name.parts[0] if len(name.parts) > 1 else ""
    if folder in FACES or name.stem in FACES:
        return []
    if folder not in FORBIDDEN:
        return [f"tools/house.py does not say what {folder}/ may import"]
    complaints = []
    if inside[0] in FORBIDDEN[folder]:
        complaints.append(f"{folder or 'module_utils itself'} must know nothing of {inside[0]}; imports point down")
    if inside[0] == "engines":
        room, asked = engine_room(name.parts[1]) if folder == "engines" else "", engine_room(inside[1])
        if asked not in {"base", "registry", room} and room != "registry":
            complaints.append(f"only its own room and the registry may know the engine {asked}")
    return complaints


def engine_room(module: str) -> str:
    """The engine that a file or folder of engines/ belongs to: sqlite.py, sqlite_copy.py and sqlite/ are one room."""
    return module.removesuffix(".py").split("_")[0]


if __name__ == "__main__":
    sys.exit(main())
