# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The promise of docs/engine_authors.md: a third engine is one new file and one line."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

CIRCLE = """
    import sys
    from dataclasses import replace
    from datetime import datetime, timezone
    from pathlib import Path

    from ansible_collections.holdfast.db.plugins.module_utils.errors import HoldfastError
    from ansible_collections.holdfast.db.plugins.module_utils.model import Source
    from ansible_collections.holdfast.db.plugins.module_utils.operations.create import CreateRequest, create
    from ansible_collections.holdfast.db.plugins.module_utils.operations.declaration import Declaration
    from ansible_collections.holdfast.db.plugins.module_utils.operations.requests import Place, Selection
    from ansible_collections.holdfast.db.plugins.module_utils.operations.restore import RestoreRequest, restore
    from ansible_collections.holdfast.db.plugins.module_utils.operations.verify import VerifyRequest, verify

    home = Path(sys.argv[1])
    journal = home / "2026.journal"
    journal.write_text("2026-11-01 bread\\n  food  3\\n2026-11-02 milk\\n  food  2\\n")
    place, source = Place(str(home / "backups")), Source("here", "books", str(journal))
    now = lambda: datetime.now(timezone.utc)

    made = create(CreateRequest(place, source, "journal", init=True), now())
    assert made.changed and made.entry.manifest.rows == 2
    report = verify(VerifyRequest(place, Selection()), now()).reports[0]
    assert report.problem is None and report.strength == "structure", report

    original = journal.read_text()
    journal.write_text("2026-11-03 oops\\n")
    wanted = RestoreRequest("journal", str(journal), Declaration(source, "latest"), place=place)
    try:
        restore(wanted, now())
    except HoldfastError as refusal:
        assert "repeat its name in confirm" in str(refusal)
    confirmed = replace(wanted, confirm=str(journal))
    done = restore(confirmed, now())
    assert done.changed and journal.read_text() == original
    assert "oops" in Path(done.kept).read_text()
    assert not restore(confirmed, now()).changed
    print("round the circle")
"""


def test_the_documented_engine_goes_round_the_circle_with_one_file_and_one_line(tmp_path: Path) -> None:
    collection = tmp_path / "ansible_collections" / "holdfast" / "db"
    shutil.copytree(CHECKOUT / "plugins", collection / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    page = (CHECKOUT / "docs" / "engine_authors.md").read_text()
    engine, line = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    engines = collection / "plugins" / "module_utils" / "engines"
    (engines / "journal.py").write_text(engine)
    registry = (engines / "registry.py").read_text()
    last_import = "    from .sqlite import SqliteEngine  # noqa: F401\n"
    assert last_import in registry
    (engines / "registry.py").write_text(registry.replace(last_import, last_import + line))

    script = tmp_path / "circle.py"
    script.write_text(textwrap.dedent(CIRCLE))
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "home")],
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "round the circle", done.stderr
