# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The old databases that swaps left beside: list them, and remove one by an explicit act."""

from __future__ import annotations

from dataclasses import dataclass

from ..engines.base import Kept
from ..engines.registry import keeps_beside, open_engine
from ..errors import Refused, shown
from ..model import EngineSettings
from ..pipeline import Processes


@dataclass(frozen=True)
class Dropped:
    """What was done, or would be. ``kept``: the database that is gone, None where there was none."""

    changed: bool
    reason: str
    kept: Kept | None = None


def list_kept(engine: str, settings: EngineSettings, database: str | None) -> tuple[Kept, ...]:
    """The kept databases on the server, of ``database`` alone where one is named, newest first."""
    if not keeps_beside(engine):
        return ()
    found = open_engine(engine, database or "", settings, Processes()).kept()
    chosen = [one for one in found if database is None or one.of == database]
    return tuple(sorted(chosen, key=lambda one: (str(one.since or ""), one.name), reverse=True))


def drop_kept(
    engine: str, settings: EngineSettings, name: str, confirm: str | None, *, predict: bool = False
) -> Dropped:
    """Remove the kept database ``name``; nothing where there is none.

    Raises Refused where ``confirm`` does not repeat the name.
    """
    kept = next((one for one in list_kept(engine, settings, None) if one.name == name), None)
    if kept is None:
        return Dropped(changed=False, reason="There is no kept database %s." % shown(name))
    if confirm != name:
        raise Refused("To remove the kept database %s for good, repeat its name in confirm." % shown(name))
    if not predict:
        open_engine(engine, name, settings, Processes()).drop_kept(name)
    done = "would be removed" if predict else "was removed"
    return Dropped(changed=True, reason="The kept database %s %s." % (shown(name), done), kept=kept)
