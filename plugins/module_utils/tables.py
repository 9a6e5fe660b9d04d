# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of plain text for people: one for any rows, and the one in which backups are listed.

Pure: no terminal, no clock, no colour. The usual table of backups fits into 100 columns.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from .errors import BadInput, shown

_GAP = "  "
_UNKNOWN = "-"


@dataclass(frozen=True)
class Column:
    """``heading``: its first line. ``is_number``: set to the right, so that digits stand below each other."""

    heading: str
    is_number: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, headings first, without trailing blanks; every row has a cell for each column."""
    lines = [[column.heading for column in columns], *rows]
    widths = [max(_width(line[index]) for line in lines) for index in range(len(columns))]
    return [_line(columns, widths, line) for line in lines]


USUAL_COLUMNS = ("method", "type", "status", "started", "duration", "size", "stored_size", "age")


def backup_table(backups: Sequence[Mapping[str, Any]], columns: Sequence[str] = USUAL_COLUMNS) -> str:
    """Backups as results give them, as text: one table a source, each in the order in which they were given.

    A last column says what is special about a backup, where anything is. Raises BadInput for an unknown column.
    """
    unknown = [name for name in columns if name not in _COLUMNS]
    if unknown or not columns:
        wrong = "%s is no column of a table of backups" % shown(unknown[0]) if unknown else "no column was named"
        raise BadInput("A table cannot be made, because %s; choose from %s." % (wrong, ", ".join(_COLUMNS)))
    if not backups:
        return "There are no backups."
    notes = [_NOTES] if any(_notes(backup) for backup in backups) else []
    chosen = [_COLUMNS[name] for name in columns] + notes
    headings = [column for column, _cell in chosen]
    # One table over all sources, cut apart afterwards, so that their columns stand below each other.
    groups = _by_source(backups)
    rows = [[cell(backup) or _UNKNOWN for _column, cell in chosen] for group in groups.values() for backup in group]
    heading, *lines = table(headings, rows)
    text: list[str] = []
    for title, group in groups.items():
        text += ["", title, "  " + heading] if text else [title, "  " + heading]
        text += ["  " + line for line in lines[: len(group)]]
        del lines[: len(group)]
    return "\n".join(text)


def _by_source(backups: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for backup in backups:
        groups.setdefault(_title(backup), []).append(backup)
    return groups


def _title(backup: Mapping[str, Any]) -> str:
    return "%s of policy %s on %s" % tuple(
        shown(str(backup.get(word))) for word in ("database", "policy", "source_host")
    )


_Cell = Callable[[Mapping[str, Any]], str]


def _plain(name: str) -> _Cell:
    return lambda backup: "" if backup.get(name) is None else str(backup[name])


def _moment(name: str) -> _Cell:
    """ISO 8601 as people read it; that it is UTC stands in the heading."""
    return lambda backup: str(backup.get(name) or "").replace("T", " ").replace("Z", "")


def _notes(backup: Mapping[str, Any]) -> str:
    marks = {
        "safety": backup.get("purpose") == "safety",
        "pinned": backup.get("pinned"),
        "flagged": backup.get("flags") and not backup.get("acknowledged"),
    }
    return ", ".join(mark for mark, is_set in marks.items() if is_set)


_NOTES: tuple[Column, _Cell] = (Column("NOTE"), lambda backup: _notes(backup) or " ")

_COLUMNS: dict[str, tuple[Column, _Cell]] = {
    "id": (Column("ID"), _plain("id")),
    "engine": (Column("ENGINE"), _plain("engine")),
    "method": (Column("METHOD"), _plain("method")),
    "type": (Column("TYPE"), _plain("type")),
    "status": (Column("STATUS"), _plain("status")),
    "started": (Column("STARTED (UTC)"), _moment("started")),
    "finished": (Column("FINISHED (UTC)"), _moment("finished")),
    "duration": (Column("DURATION", is_number=True), _plain("duration_human")),
    "size": (Column("SIZE", is_number=True), _plain("size_human")),
    "stored_size": (Column("STORED", is_number=True), _plain("stored_size_human")),
    "rows": (Column("ROWS", is_number=True), _plain("rows")),
    "age": (Column("AGE", is_number=True), _plain("age_human")),
}


def _line(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]) -> str:
    padded = []
    for column, width, cell in zip(columns, widths, cells):
        blanks = " " * (width - _width(cell))
        padded.append(blanks + cell if column.is_number else cell + blanks)
    return _GAP.join(padded).rstrip()


def _width(text: str) -> int:
    """The cells that text takes in a terminal: two for wide characters, none for combining ones."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
