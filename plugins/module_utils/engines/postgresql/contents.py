# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading an archive's table of contents, as ``pg_restore --list`` prints it.

A line is ``dump id; catalog oid kind schema name owner``. The kind is a phrase from a fixed vocabulary (pg_dump.c of
versions 13 to 18), and schema, name and owner are written without quotes, line breaks turned into spaces. A name that
holds spaces therefore makes a line ambiguous; roles and schemas that are known from elsewhere settle it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...errors import ToolFailed

KINDS = (
    "ACCESS METHOD", "ACL", "ACL LANGUAGE", "AGGREGATE", "BLOB", "BLOB COMMENTS", "BLOB METADATA", "BLOBS", "CAST",
    "CHECK CONSTRAINT", "COLLATION", "COMMENT", "CONSTRAINT", "CONVERSION", "DATABASE", "DATABASE PROPERTIES",
    "DEFAULT", "DEFAULT ACL", "DOMAIN", "ENCODING", "EVENT TRIGGER", "EXTENSION", "FK CONSTRAINT",
    "FOREIGN DATA WRAPPER", "FOREIGN SERVER", "FOREIGN TABLE", "FUNCTION", "INDEX", "INDEX ATTACH",
    "MATERIALIZED VIEW", "MATERIALIZED VIEW DATA", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "POLICY",
    "PROCEDURAL LANGUAGE", "PROCEDURE", "PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA",
    "ROW SECURITY", "RULE", "SCHEMA", "SEARCHPATH", "SECURITY LABEL", "SEQUENCE", "SEQUENCE OWNED BY",
    "SEQUENCE SET", "SERVER", "SHELL TYPE", "STATISTICS", "STATISTICS DATA", "STDSTRINGS", "SUBSCRIPTION",
    "SUBSCRIPTION TABLE", "TABLE", "TABLE ATTACH", "TABLE DATA", "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY", "TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE", "TRANSFORM", "TRIGGER", "TYPE",
    "USER MAPPING", "VIEW",
)  # fmt: skip

_LONGEST_FIRST = sorted(KINDS, key=len, reverse=True)
_LINE = re.compile(r"(?P<dump_id>\d+); (?P<catalog>\d+) (?P<oid>\d+) (?P<rest>.*)", re.ASCII)
_FACT = re.compile(r";\s+(?P<word>[A-Za-z][A-Za-z_ ]*): ?(?P<value>.*)")
_NONE = "-"


@dataclass(frozen=True)
class Entry:
    """One object of the archive. ``schema`` None: it lies in none.

    ``name`` is the tag that pg_dump gives it: of a trigger ``table trigger``, of a comment ``TABLE name``, of a
    function its name with the types of its arguments. ``line``: as it was read, for list files and messages.
    """

    dump_id: int
    kind: str
    schema: str | None
    name: str
    owner: str
    line: str

    @property
    def title(self) -> str:
        """The object for a message, such as ``TABLE public.orders``."""
        return "%s %s" % (self.kind, self.name if self.schema is None else "%s.%s" % (self.schema, self.name))


@dataclass(frozen=True)
class Contents:
    """The whole table of contents. ``facts``: what the head says, such as ``{"Format": "CUSTOM"}``."""

    facts: Mapping[str, str]
    entries: tuple[Entry, ...]

    @property
    def counts(self) -> Counter[str]:
        """How many entries there are of each kind."""
        return Counter(entry.kind for entry in self.entries)

    @property
    def owners(self) -> frozenset[str]:
        """Everybody who owns an entry."""
        return frozenset(entry.owner for entry in self.entries if entry.owner)

    @property
    def server_version(self) -> str | None:
        """The version of the server that was dumped."""
        return self.facts.get("Dumped from database version")

    @property
    def client_version(self) -> str | None:
        """The version of the pg_dump that wrote the archive."""
        return self.facts.get("Dumped by pg_dump version")

    def of_kind(self, *kinds: str) -> tuple[Entry, ...]:
        """The entries of these kinds, in the archive's order."""
        return tuple(entry for entry in self.entries if entry.kind in kinds)


def read_contents(text: str, *, roles: Iterable[str] = (), schemas: Iterable[str] = ()) -> Contents:
    """Parse what ``pg_restore --list`` printed.

    ``roles`` and ``schemas``: names that may occur, as the catalogs spell them; the archive's own schemas are found
    by themselves. Raises ToolFailed on a line that no known pg_restore writes.
    """
    facts: dict[str, str] = {}
    rows = []
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if not line or line.startswith(";"):
            fact = _FACT.fullmatch(line)
            if fact and not rows:
                facts.setdefault(fact["word"], fact["value"])
            continue
        rows.append(_split(line))
    spaced_roles = _spaced(roles)
    own_schemas = {_entry(row, (), spaced_roles).name for row in rows if row[1] == "SCHEMA"}
    spaced_schemas = _spaced([*schemas, *own_schemas])
    return Contents(facts, tuple(_entry(row, spaced_schemas, spaced_roles) for row in rows))


def as_printed(name: str) -> str:
    """``name`` as the list writes it: line breaks are spaces, nothing at all is a hyphen."""
    return name.replace("\n", " ").replace("\r", " ") or _NONE


def list_file(entries: Sequence[Entry]) -> str:
    """The text for ``pg_restore --use-list`` that selects ``entries``, in their order."""
    return "".join("%d;\n" % entry.dump_id for entry in entries)


def _split(line: str) -> tuple[int, str, str, str]:
    """(dump id, kind, the rest, the line)."""
    match = _LINE.fullmatch(line)
    if match:
        for kind in _LONGEST_FIRST:
            if match["rest"].startswith(kind + " "):
                return int(match["dump_id"]), kind, match["rest"][len(kind) + 1 :], line
    raise ToolFailed(
        "The table of contents has a line that this version does not know (%.80r); update holdfast.db, or the dump"
        " comes from a newer PostgreSQL." % line
    )


def _entry(row: tuple[int, str, str, str], schemas: Sequence[str], roles: Sequence[str]) -> Entry:
    dump_id, kind, rest, line = row
    schema = _schema_of(rest, schemas)
    rest = rest[len(schema) + 1 :]
    owner = _owner_of(rest, roles)
    name = rest[: len(rest) - len(owner) - 1] if owner else rest.rstrip(" ")
    return Entry(dump_id, kind, None if schema == _NONE else schema, name, owner, line)


def _schema_of(rest: str, schemas: Sequence[str]) -> str:
    for schema in schemas:
        if rest.startswith(schema + " "):
            return schema
    return rest.partition(" ")[0]


def _owner_of(rest: str, roles: Sequence[str]) -> str:
    """The owner at the end; empty where the entry has none, such as a comment on a large object's metadata."""
    for role in roles:
        if rest.endswith(" " + role):
            return role
    return rest.rpartition(" ")[2] if " " in rest else ""


def _spaced(names: Iterable[str]) -> list[str]:
    """The names that the list prints with a space inside, the longest first, so that ``a b c`` wins over ``b c``."""
    printed = {as_printed(name) for name in names}
    return sorted((name for name in printed if " " in name), key=len, reverse=True)
