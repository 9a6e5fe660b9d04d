# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of ratios, and the same as JSON."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table.

    ``ours`` and ``theirs`` in ``unit``. ``work``: the ratio of processor time, which is not judged. ``judged``: what is
    held against ``limit``, a ratio or ours itself; None where nothing is. ``target``: the limit in words. ``against``:
    what ours was compared with. ``note``: why there are no figures.
    """

    part: str
    what: str
    unit: str = "s"
    ours: float | None = None
    theirs: float | None = None
    ratio: float | None = None
    work: float | None = None
    judged: float | None = None
    limit: float | None = None
    target: str = ""
    against: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None where there is none."""
        if self.limit is None or self.judged is None:
            return None
        return self.judged <= self.limit


def ratio_row(
    part: str,
    what: str,
    ours: float,
    theirs: float,
    *,
    against: str,
    start: float = 0.0,
    limit: float | None = None,
    unit: str = "s",
    work: float | None = None,
) -> Row:
    """Ours against theirs. ``start``: what of ours does not depend on the size; it is judged in a row of its own."""
    target = "" if limit is None else f"<= {limit:g} x" + (" beyond start" if start else "")
    ratio = max(ours - start, 0.0) / theirs
    return Row(part, what, unit, ours, theirs, ratio, work, ratio, limit, target, against)


def limit_row(
    part: str, what: str, ours: float, limit: float, *, unit: str = "s", theirs: float | None = None, against: str = ""
) -> Row:
    """Ours by itself, against a fixed limit; ``theirs`` only to be seen beside it."""
    ratio = ours / theirs if theirs else None
    return Row(part, what, unit, ours, theirs, ratio, None, ours, limit, f"<= {limit:g} {unit}", against)


def plain_row(part: str, what: str, ours: float, *, unit: str = "s", against: str = "") -> Row:
    """A figure without a target."""
    return Row(part, what, unit, ours, against=against)


def absent_row(part: str, what: str, note: str) -> Row:
    """A comparison that could not be made here, and why."""
    return Row(part, what, note=note)


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text, part by part, with what each was compared with at the end."""
    header = ("", "ours", "theirs", "ratio", "work", "target", "met", "compared with")
    widths = [max(len(cells[column]) for cells in [header, *map(_cells, rows)]) for column in range(len(header))]
    out = [_aligned(header, widths)]
    for part in dict.fromkeys(row.part for row in rows):
        out += ["", part, *(_aligned(_cells(row), widths) for row in rows if row.part == part)]
    return "\n".join(line.rstrip() for line in out)


def write_json(path: pathlib.Path, facts: Mapping[str, object], rows: Sequence[Row]) -> None:
    """All of it for programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = [{**asdict(row), "met": row.met} for row in rows]
    path.write_text(json.dumps({"machine": dict(facts), "rows": told}, indent=1) + "\n")


def _cells(row: Row) -> tuple[str, ...]:
    if row.note:
        return (f"  {row.what}", "", "", "", "", "", "", row.note)
    met = {True: "yes", False: "NO", None: ""}[row.met]
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return (
        f"  {row.what}",
        _amount(row.ours, row.unit),
        _amount(row.theirs, row.unit),
        ratio,
        "" if row.work is None else f"{row.work:.2f}",
        row.target,
        met,
        row.against,
    )


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:.3f} {unit}" if unit == "s" and value < 1 else f"{value:.2f} {unit}"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Figures to the right, words to the left."""
    return "  ".join(
        cell.rjust(width) if column in (1, 2, 3, 4) else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
