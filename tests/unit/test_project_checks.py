# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's own checks see what they are there to see: each mistake is planted in a small project and found."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys

import pytest

TOOLS = pathlib.Path(__file__).parents[2] / "tools"
HEADER = """\
# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

"""
UTILS = "plugins/module_utils/"


class Project:
    """A git repository with the project's tools and whatever a test writes into it."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        shutil.copytree(TOOLS, root / "tools")
        subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def check(self, tool: str, *arguments: str) -> tuple[int, str]:
        """Run one of the tools; return its exit status and everything that it printed."""
        command = [sys.executable, f"tools/{tool}.py", *arguments]
        done = subprocess.run(
            command, cwd=self.root, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return done.returncode, done.stdout


@pytest.fixture
def project(tmp_path: pathlib.Path) -> Project:
    made = Project(tmp_path)
    made.write("Makefile", "test:\n\ttrue\n")
    made.write("README.md", "# Start\n\n[below](#the-second-part) `make test`\n\n## The second part\n")
    made.write(UTILS + "__init__.py", "")
    made.write(UTILS + "pipeline.py", HEADER + "import subprocess\n")
    made.write(UTILS + "adapter.py", HEADER + "from ansible.module_utils.basic import AnsibleModule\n")
    made.write(UTILS + "engines/base.py", HEADER + "from ..pipeline import run\n")
    made.write(UTILS + "engines/registry.py", HEADER + "from .sqlite import Engine\n")
    made.write(UTILS + "engines/sqlite.py", HEADER + "from .sqlite_copy import copied\n")
    made.write(UTILS + "operations/create.py", HEADER + "from ..engines.registry import Engine\nimport json\n")
    return made


def test_a_tidy_project_has_no_complaints(project: Project) -> None:
    assert project.check("house") == (0, "Read 7 Python files under plugins/: no complaints\n")
    # The tools' own page is the second.
    assert project.check("prose") == (0, "Read 2 pages: no complaints\n")


@pytest.mark.parametrize(
    ("name", "line", "complaint"),
    [
        ("operations/create.py", "import subprocess", "only plugins/module_utils/pipeline.py starts programs"),
        ("operations/create.py", "import yaml", "imports yaml, which is not in Python's standard library"),
        ("operations/create.py", "from ansible.errors import AnsibleError", "imports Ansible"),
        ("operations/create.py", "from .. import adapter", "operations must know nothing of adapter"),
        ("operations/create.py", "from ..engines.sqlite import Engine", "may know the engine sqlite"),
        ("operations/create.py", "from ..engines import sqlite", "may know the engine sqlite"),
        ("engines/sqlite.py", "from .mariadb import dump", "may know the engine mariadb"),
        ("engines/sqlite.py", "from ..repository import base", "engines must know nothing of repository"),
        ("engines/sqlite.py", "    from ..operations.create import create", "engines must know nothing of operations"),
        ("repository/base.py", "from ..engines.base import Engine", "repository must know nothing of engines"),
        ("pipeline.py", "from .repository.base import Entry", "module_utils itself must know nothing of repository"),
        ("agent/unit.py", "from ..model import Source", "does not say what agent/ may import"),
    ],
)
def test_an_import_that_points_up_is_found(project: Project, name: str, line: str, complaint: str) -> None:
    indented = "def later():\n" if line.startswith(" ") else ""
    project.write(UTILS + name, HEADER + indented + line + "\n")
    status, printed = project.check("house")
    assert status == 1
    assert complaint in printed


def test_files_that_begin_wrongly_are_found(project: Project) -> None:
    project.write("plugins/filter/table.py", "import json\n")
    project.write("plugins/plugin_utils/__init__.py", "# not empty\n")
    status, printed = project.check("house")
    assert status == 1
    assert "table.py:1: does not begin with the three lines" in printed
    assert "table.py:1: lacks `from __future__ import annotations`" in printed
    assert "plugins/plugin_utils/__init__.py:1: must be empty" in printed


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[more](docs/more.md)", "page.md:3: docs/more.md leads to no file of the project"),
        ("[out](../elsewhere.md)", "page.md:3: ../elsewhere.md leads to no file of the project"),
        ("[up](README.md#nothing)", "page.md:3: README.md has no heading for #nothing"),
        ("Run `make money`.", "page.md:3: there is no `make money`"),
        ("```console\n$ make money\n```", "page.md:4: there is no `make money`"),
        ("```yaml\na: [1\n```", "page.md:3: this yaml does not parse"),
        ("```json\n{a: 1}\n```", "page.md:3: this json does not parse"),
    ],
)
def test_a_page_that_promises_too_much_is_found(project: Project, text: str, complaint: str) -> None:
    project.write("page.md", f"# Page\n\n{text}\n")
    status, printed = project.check("prose")
    assert status == 1
    assert complaint in printed


def test_checks_that_have_nothing_to_look_at_fail(tmp_path: pathlib.Path) -> None:
    empty = Project(tmp_path)
    (tmp_path / "tools" / "README.md").unlink()
    empty.write("Makefile", "")
    assert empty.check("house")[0] == 1
    assert empty.check("prose")[0] == 1


def test_every_check_runs_even_when_one_fails_and_the_whole_fails(project: Project) -> None:
    project.write("page.md", "Run `make money`.\n")
    status, printed = project.check("check", "prose", "house")
    assert status == 1
    assert "prose         FAIL" in printed
    assert "house         pass" in printed


def test_an_unknown_check_is_named_with_those_that_exist(project: Project) -> None:
    status, printed = project.check("check", "hous")
    assert status == 1
    assert "No check is called hous. The checks: ruff, format, house" in printed
