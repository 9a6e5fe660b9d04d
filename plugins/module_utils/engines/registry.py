# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines that exist. Adding one is a file beside this one and a line in ``known_engines``."""

from __future__ import annotations

from ..errors import BadInput, shown
from ..model import EngineSettings
from ..pipeline import Processes
from .base import Engine


def known_engines() -> dict[str, type[Engine]]:
    """Every engine by its name; importing an engine's class is what makes it known."""
    from .postgresql.engine import PostgresqlEngine  # noqa: F401 - imported to be known
    from .sqlite import SqliteEngine  # noqa: F401

    return {engine.name: engine for engine in Engine.__subclasses__()}


def open_engine(name: str, database: str, settings: EngineSettings, processes: Processes) -> Engine:
    """The engine called ``name`` for ``database``; raises BadInput that lists the known ones."""
    return _engine(name)(database, settings, processes)


def keeps_beside(name: str) -> bool:
    """Whether the swaps of the engine called ``name`` leave the old database beside; raises BadInput."""
    return _engine(name).keeps_beside


def _engine(name: str) -> type[Engine]:
    known = known_engines()
    if name not in known:
        raise BadInput("There is no engine %s; the engines are %s." % (shown(name), ", ".join(sorted(known))))
    return known[name]
