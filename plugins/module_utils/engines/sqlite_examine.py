# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check a private copy of a database and count what it holds.

Damage is told apart from what the owner's data may well be: rows that break a foreign key or a CHECK, and names of
collations, functions and modules that only the application knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..errors import shown
from ..model import Fingerprint, TableRows
from .sqlite_library import library, make_careful

if TYPE_CHECKING:
    from sqlite3 import Connection

KINDS = ("table", "index", "view", "trigger")
_SHOWN = 3
_FINDINGS = 10000
_NAMED_AT_MOST = 200
_RULES_BROKEN = re.compile(r"(NULL|non-\w+|NUMERIC|TEXT) value in |CHECK constraint failed in ")
_NEEDS_THE_APPLICATION = re.compile(r"row \d+ missing from index|wrong # of entries in index|non-unique entry in index")
_UNKNOWN = (
    ("collation", re.compile(r"no such collation sequence: (.+)", re.DOTALL)),
    ("function", re.compile(r"no such function: (.+)", re.DOTALL)),
    ("function", re.compile(r"unknown function: (.+?)\(\)", re.DOTALL)),
    ("function", re.compile(r"unsafe use of (.+?)\(\)", re.DOTALL)),
    ("module", re.compile(r"no such module: (.+)", re.DOTALL)),
)


@dataclass(frozen=True)
class Examination:
    """What a copy holds. ``problems``: damage, in SQLite's words; ``remarks``: sentences on what is not damage.

    ``tables``: (name, rows), ordinary, shadow and virtual ones. ``uncounted``: names of tables that only the
    application could count. ``foreign_keys``: (table, rows without their parent).
    """

    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    tables: tuple[tuple[str, int], ...]
    objects: Mapping[str, int]
    uncounted: tuple[str, ...]
    unknown: tuple[str, ...]
    foreign_keys: tuple[tuple[str, int], ...]
    page_size: int
    pages: int
    encoding: str
    user_version: int
    application_id: int

    def to_json(self) -> dict[str, Any]:
        """For the way from a child to its parent."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Examination:
        """The inverse of ``to_json``."""
        lists = {name: tuple(map(_hashable, value)) for name, value in data.items() if isinstance(value, list)}
        return cls(**{**data, **lists})

    @property
    def size(self) -> int:
        """Bytes of the database."""
        return self.pages * self.page_size

    @property
    def fingerprint(self) -> Fingerprint:
        """The counts as they are stored with a backup."""
        return Fingerprint(tuple(TableRows("main", name, rows) for name, rows in self.tables), self.objects)

    @property
    def damage(self) -> str:
        """The first problems in one line; empty where there are none."""
        more = len(self.problems) - _SHOWN
        return "; ".join(self.problems[:_SHOWN]) + ("; and %d more" % more if more > 0 else "")


def examine(connection: Connection) -> Examination:
    """Check and count the database behind ``connection``, a SEALED one, and close it.

    What cannot even be read is damage too. Raises what sqlite3 raises where the reason is not in the file.
    """
    with closing(connection) as database:
        try:
            make_careful(database)
            return _examine(database)
        except UnicodeError:
            return _unreadable("its schema holds bytes that are no text")
        except library().DatabaseError as reason:
            if isinstance(reason, library().OperationalError):
                raise
            return _unreadable(str(reason))


def _examine(database: Connection) -> Examination:
    problems, remarks, unknown = _check(database)
    tables, uncounted = _count(database, is_damaged=bool(problems))
    foreign_keys, remark = _foreign_keys(database)
    return Examination(
        problems=problems,
        remarks=(*remarks, *remark),
        tables=tables,
        objects=_objects(database),
        uncounted=uncounted,
        unknown=unknown,
        foreign_keys=foreign_keys,
        page_size=_number(database, "page_size"),
        pages=_number(database, "page_count"),
        encoding=database.execute("PRAGMA encoding").fetchone()[0],
        user_version=_number(database, "user_version"),
        application_id=_number(database, "application_id"),
    )


def _unreadable(problem: str) -> Examination:
    return Examination((problem,), (), (), dict.fromkeys(KINDS, 0), (), (), (), 0, 0, "unknown", 0, 0)


def differences(found: Examination, expected: Fingerprint) -> tuple[str, ...]:
    """Sentences on every table and kind of object whose number is not the expected one."""
    sentences = []
    rows = dict(found.tables)
    wanted = {table.name: table.rows for table in expected.tables}
    for name in sorted(wanted.keys() | rows.keys()):
        if name in found.uncounted or rows.get(name) == wanted.get(name):
            continue
        if name not in rows:
            sentences.append("The table %s with %d rows is missing." % (shown(name), wanted[name]))
        elif name not in wanted:
            sentences.append("The table %s with %d rows was not in the snapshot." % (shown(name), rows[name]))
        else:
            text = "The table %s holds %d rows, and held %d in the snapshot."
            sentences.append(text % (shown(name), rows[name], wanted[name]))
    for kind in KINDS:
        has, had = found.objects.get(kind, 0), expected.objects.get(kind, 0)
        if has != had:
            sentences.append("There are %d objects of kind %s, and there were %d in the snapshot." % (has, kind, had))
    return tuple(sentences)


def _check(database: Connection) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """(problems, remarks, names that only the application knows) of an integrity check over everything."""
    unknown: list[str] = []
    while True:
        try:
            # With stand-ins for what is unknown only the structure can be judged, not the order of an index.
            lines = _lines(database, "quick_check" if unknown else "integrity_check")
            break
        except library().OperationalError as reason:
            name = _stand_in(database, str(reason))
            if name is None or name in unknown or len(unknown) >= _NAMED_AT_MOST:
                raise
            unknown.append(name)
    remarks = []
    broken = [line for line in lines if _RULES_BROKEN.match(line)]
    problems = [line for line in lines if not _RULES_BROKEN.match(line)]
    if unknown:
        remarks.append(
            "Indexes and rules that use %s were not checked, for only the application knows what that is."
            % ", ".join(unknown)
        )
        broken = []
        problems = [line for line in problems if not _NEEDS_THE_APPLICATION.match(line)]
    if broken:
        remarks.append(
            "%d values break the rules of their columns, the first: %s; they were copied as they are."
            % (len(broken), broken[0])
        )
    return tuple(problems), tuple(remarks), tuple(unknown)


def _lines(database: Connection, pragma: str) -> list[str]:
    rows = database.execute("PRAGMA %s(%d)" % (pragma, _FINDINGS))
    return [line for (text,) in rows for line in text.splitlines() if line and line != "ok"]


def _stand_in(database: Connection, message: str) -> str | None:
    """Define the collation or function that ``message`` misses; returns what was defined, for people."""
    kind, name = _what_is_missing(message)
    if kind == "collation":
        database.create_collation(name, _in_any_order)
    elif kind == "function":
        database.create_function(name, -1, _nothing, deterministic=True)
        # A stand-in is as unsafe as any function of an application, and does nothing.
        database.execute("PRAGMA trusted_schema = ON")
    else:
        return None
    return "the %s %s" % (kind, shown(name))


def _what_is_missing(message: str) -> tuple[str, str]:
    """(kind, name) of what only the application knows; two empty words where ``message`` is about something else."""
    for kind, pattern in _UNKNOWN:
        found = pattern.search(message)
        if found is not None:
            return kind, found.group(1)
    return "", ""


def _in_any_order(one: str, other: str) -> int:
    return (one > other) - (one < other)


def _nothing(*_arguments: object) -> None:
    return None


def _count(database: Connection, *, is_damaged: bool) -> tuple[tuple[tuple[str, int], ...], tuple[str, ...]]:
    """((table, rows), ...) and the names of those that cannot be counted here."""
    counted, uncounted = [], []
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    for (name,) in sorted(database.execute(query).fetchall()):
        try:
            counted.append((name, _rows(database, name)))
        except UnicodeError:
            uncounted.append(name)
        except library().DatabaseError as reason:
            if not is_damaged and not _what_is_missing(str(reason))[0]:
                raise
            uncounted.append(name)
    return tuple(counted), tuple(uncounted)


def _rows(database: Connection, name: str) -> int:
    query = 'SELECT count(*) FROM "%s"' % name.replace('"', '""')
    try:
        return database.execute(query).fetchone()[0]
    except library().OperationalError as reason:
        if _what_is_missing(str(reason))[0] != "collation":
            raise
        # The cheapest index may need a collation that is not known here; the table itself does not.
        return database.execute(query + " NOT INDEXED").fetchone()[0]


def _objects(database: Connection) -> dict[str, int]:
    query = "SELECT type, count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' GROUP BY type"
    found = dict(database.execute(query).fetchall())
    return {kind: found.get(kind, 0) for kind in KINDS}


def _foreign_keys(database: Connection) -> tuple[tuple[tuple[str, int], ...], tuple[str, ...]]:
    """((table, rows without their parent), ...) and remarks."""
    orphans: dict[str, int] = {}
    try:
        for row in database.execute("PRAGMA foreign_key_check"):
            orphans[row[0]] = orphans.get(row[0], 0) + 1
    except library().OperationalError as reason:
        return (), ("The foreign keys could not be checked: %s." % reason,)
    if not orphans:
        return (), ()
    named = ", ".join("%s: %d" % (shown(name), count) for name, count in sorted(orphans.items()))
    return tuple(sorted(orphans.items())), (
        "Rows refer to rows that do not exist (foreign_key_check: %s); they were copied as they are." % named,
    )


def _number(database: Connection, pragma: str) -> int:
    return database.execute("PRAGMA " + pragma).fetchone()[0]


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
