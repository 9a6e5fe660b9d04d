# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listing and planning over a repository with thousands of backups; twice, to see that the time grows evenly."""

from __future__ import annotations

import pathlib
import tempfile

from measuring import Contestant, interleaved, shell
from ours import Collection
from report import Row, limit_row, plain_row

PART = "a repository with many backups"
_LIMIT = 1.0
_VERBS = {"list": "list", "plan": "prune, planning"}


def rows(collection: Collection, sample: pathlib.Path, work: pathlib.Path, backups: int, rounds: int) -> list[Row]:
    """``sample``: a repository whose newest backup all of them are like. ``backups``: in the larger repository."""
    sources = max(backups // 500, 1)
    counts = {"few": backups // 10, "many": backups}
    for size, count in counts.items():
        _fill(collection, sample, work / size, sources, count // sources)
    contestants = {
        f"{verb} {size}": _asking(collection, verb, work / size) for verb in _VERBS for size in ("few", "many")
    }
    samples = interleaved(contestants, rounds)
    found = []
    for verb, words in _VERBS.items():
        few, many = samples[f"{verb} few"], samples[f"{verb} many"]
        if many.figure("backups") != sources * (backups // sources):
            raise RuntimeError(f"{verb} saw {many.figure('backups'):.0f} backups")
        growth = f"{sources} sources; {many.median / few.median:.1f} times as long as a tenth of them"
        found.append(plain_row(PART, f"{words}, {counts['few']:,} backups", few.median))
        found.append(limit_row(PART, f"{words}, {backups:,} backups", many.median, _LIMIT, against=growth))
        found.append(plain_row(PART, f"{words}, {backups:,} backups, memory", many.highest("memory"), unit="MiB"))
    return found


def _fill(collection: Collection, sample: pathlib.Path, repository: pathlib.Path, sources: int, each: int) -> None:
    """Made in memory where that can be, for every backup is synced several times as it is published; then copied."""
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        made = pathlib.Path(folder) / repository.name
        told = {"sample": str(sample), "repository": str(made), "sources": sources, "each": each}
        collection.work("fill", told)
        shell(f"cp -a {made} {repository}")


def _asking(collection: Collection, verb: str, repository: pathlib.Path) -> Contestant:
    return Contestant(lambda: collection.work(verb, {"repository": str(repository)}))
