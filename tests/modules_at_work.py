# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One database, one repository and one controller, and the four steps that every module must take well."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from ansible_collections.holdfast.db.plugins.module_utils.operations.catalog import catalog
from ansible_collections.holdfast.db.plugins.module_utils.operations.requests import Place, Selection
from ansible_collections.holdfast.db.plugins.module_utils.repository.base import Entry
from playing import Played, Stage, tree
from returned import assert_explained


class Workplace:
    """Plays modules against what lies below ``folder``. ``defaults``: the options that all tasks share."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.stage = Stage(folder / "controller")
        self.world = folder / "host"
        self.world.mkdir()
        self.repository = self.world / "repository"
        self.defaults: dict = {"repository": str(self.repository)}

    def everything(self) -> object:
        """All that check mode may not change."""
        return tree(self.world)

    def play(self, module: str, options: dict, **how: object) -> Played:
        """Play one task; a result that is no failure must be as the documentation says."""
        how.setdefault("defaults", self.defaults)
        played = self.stage.play({"name": "Try it", "holdfast.db.%s" % module: options}, **how)
        if not played.failed:
            assert played.status == 0, played.output
            assert_explained(module, played.result)
        return played

    def do(self, module: str, options: dict, **how: object) -> object:
        """Play it, sure that it goes well; the module's own part of the result."""
        played = self.play(module, options, **how)
        assert not played.failed, played.output
        plural = {"backup_info": "backups", "kept_database_info": "kept_databases"}
        return played.result[plural.get(module, module)]

    def backup(self, **options: object) -> dict:
        """Make a backup."""
        return self.do("backup", {"init": True, **options})

    def stored(self) -> list[str]:
        """The ids of the backups that lie in the repository."""
        return sorted(path.parent.name for path in self.repository.rglob("*Z-*/manifest.json"))

    def entries(self) -> tuple[Entry, ...]:
        """What the repository says of itself, newest first, without Ansible in between."""
        return catalog(Place(str(self.repository)), Selection()).entries

    def four_steps(self, module: str, options: dict, look: Callable[[], object]) -> tuple[dict, dict, dict, dict]:
        """Check, run, check again, run again; ``look`` tells the state that matters. Returns the four results."""
        before = self.everything()
        foretold = self.play(module, options, check=True, diff=True)
        assert not foretold.failed, foretold.output
        assert foretold.changed
        assert self.everything() == before
        untouched = look()
        done = self.play(module, options, diff=True)
        assert done.changed, done.output
        assert look() != untouched
        reached = look()
        settled = self.everything()
        idle = self.play(module, options, check=True, diff=True)
        assert not idle.changed
        assert self.everything() == settled
        again = self.play(module, options, diff=True)
        assert not again.changed
        assert look() == reached
        return foretold.result, done.result, idle.result, again.result


def difference(result: dict) -> dict:
    """The one difference that a task showed."""
    shown = result["diff"]
    return shown[0] if isinstance(shown, list) else shown
