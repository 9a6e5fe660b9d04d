# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check what Markdown pages promise: links and anchors lead somewhere, examples parse, commands exist."""

from __future__ import annotations

import json
import pathlib
import re
import sys
import unicodedata

import yaml
from workspace import ROOT, project_files

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
TARGET = re.compile(r"^([a-z][\w-]*):", re.MULTILINE)
TYPED_INLINE = re.compile(r"`make ([a-z][\w-]*)")
TYPED_IN_EXAMPLE = re.compile(r"^ *(?:\$ )?make ([a-z][\w-]*)", re.MULTILINE)


def main() -> int:
    """Print each complaint as page:line; return 0 when there is none."""
    files = set(project_files())
    pages = sorted(name for name in files if name.suffix == ".md")
    complaints = []
    for page in pages:
        text = (ROOT / page).read_text(encoding="utf-8")
        complaints += link_mistakes(page, text, files) + example_mistakes(page, text)
        complaints += command_mistakes(page, text)
    for complaint in complaints:
        print(complaint)
    print(f"Read {len(pages)} pages: {len(complaints) or 'no'} complaints")
    return int(bool(complaints) or not pages)


def link_mistakes(page: pathlib.PurePath, text: str, files: set[pathlib.PurePath]) -> list[str]:
    """Complaints about links inside the project that lead to no file, or to no heading in it."""
    complaints = []
    prose = FENCE.sub(lambda block: "\n" * block[0].count("\n"), text)
    for found in LINK.finditer(prose):
        address = found[1] or found[2]
        if re.match(r"[a-z]+:", address):
            continue
        path, anchor = [*address.split("#", 1), ""][:2]
        target = (ROOT / page.parent / path).resolve() if path else (ROOT / page)
        where = f"{page}:{line_of(prose, found.start())}"
        if not target.is_relative_to(ROOT) or not holds(target, files):
            complaints.append(f"{where}: {address} leads to no file of the project")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            complaints.append(f"{where}: {path or page} has no heading for #{anchor}")
    return complaints


def holds(target: pathlib.Path, files: set[pathlib.PurePath]) -> bool:
    """Whether the target is a file of the project, or a folder that holds one."""
    name = pathlib.PurePath(target.relative_to(ROOT))
    return name in files or any(name in file.parents for file in files)


def anchors(text: str) -> set[str]:
    """The anchors that headings make: lower case, no punctuation, hyphens for spaces, repeats numbered."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        kept = "".join(c for c in plain if c in " -_" or unicodedata.category(c)[0] in "LN")
        anchor = base = kept.replace(" ", "-")
        number = 0
        while anchor in found:
            number += 1
            anchor = f"{base}-{number}"
        found.add(anchor)
    return found


def example_mistakes(page: pathlib.PurePath, text: str) -> list[str]:
    """Complaints about fenced YAML and JSON that does not parse."""
    complaints = []
    for block in FENCE.finditer(text):
        where = f"{page}:{line_of(text, block.start())}"
        try:
            if block[2] in {"yaml", "yml"}:
                list(yaml.safe_load_all(block[3]))
            elif block[2] == "json":
                json.loads(block[3])
        except (yaml.YAMLError, json.JSONDecodeError) as mistake:
            complaints.append(f"{where}: this {block[2]} does not parse: {' '.join(str(mistake).split())}")
    return complaints


def command_mistakes(page: pathlib.PurePath, text: str) -> list[str]:
    """Complaints about `make` commands, in a sentence or in an example, that the Makefile does not know."""
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    typed = [(line_of(text, found.start()), found[1]) for found in TYPED_INLINE.finditer(text)]
    for block in FENCE.finditer(text):
        first = line_of(text, block.start(3)) - 1
        typed += [
            (first + line_of(block[3], found.start(1)), found[1]) for found in TYPED_IN_EXAMPLE.finditer(block[3])
        ]
    return [f"{page}:{line}: there is no `make {name}`" for line, name in typed if name not in targets]


def line_of(text: str, position: int) -> int:
    """The line number, from 1, of a position in the text."""
    return text.count("\n", 0, position) + 1


if __name__ == "__main__":
    sys.exit(main())
