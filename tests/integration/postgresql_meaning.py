"""Comparing two PostgreSQL databases by meaning: equal where nobody who uses them could tell them apart.

Bytes of dumps do not serve: definitions deparse differently after one reload (a check on ``varchar`` gains casts,
views and partial indexes over it too), inheritance children change the order of their columns, guards hold random
tokens. So: rows table by table with columns matched by name; definitions by comparing a dump of the copy with a dump of
a *second reload* of the original's definitions; what lies outside of dumps by the catalogs. Knows nothing of holdfast
but the prefix of its settings, so that it can judge it.
"""

from __future__ import annotations

import json
import os
import re

from integration.postgresql_support import Server, run

_HEADER = re.compile(r"^--\n-- (?:Data for )?Name: (.*?); Type: (.*?); Schema: (.*?); Owner: (.*?)\n--\n", re.MULTILINE)
_VOLATILE = re.compile(
    r"^(\\(un)?restrict .*|-- Dumped .*|-- Started .*|-- Completed .*|-- PostgreSQL .*)$", re.MULTILINE
)
_UNORDERED = ("ACL", "DEFAULT ACL")


def differences_in_meaning(server: Server, original: str, other: Server, copy: str) -> list[str]:
    """Sentences on everything in which ``copy`` on ``other`` differs from ``original``; empty where nothing does."""
    elsewhere = other if other.major != server.major else None
    return differences(meaning_of_original(server, original, elsewhere), meaning_of_copy(other, copy))


def meaning_of_original(server: Server, database: str, other: Server | None = None) -> dict[str, dict[str, object]]:
    """All that matters of the database that was dumped.

    ``other``: where a copy is, if its version is another one, which may say the same in other words.
    """
    return _outside_of_definitions(server, database) | {"definition": reloaded_definitions(server, database, other)}


def meaning_of_copy(server: Server, database: str) -> dict[str, dict[str, object]]:
    """All that matters of a database that was loaded from a dump."""
    return _outside_of_definitions(server, database) | {"definition": definitions(server, database)}


def differences(original: dict[str, dict[str, object]], copy: dict[str, dict[str, object]]) -> list[str]:
    """Sentences on what differs."""
    return [sentence for kind in original for sentence in _differing(kind, original[kind], copy[kind])]


def _outside_of_definitions(server: Server, database: str) -> dict[str, dict[str, object]]:
    return {
        "rows of": rows(server, database),
        "sequence": sequences(server, database),
        "large object": large_objects(server, database),
        "property": properties(server, database),
    }


def rows(server: Server, database: str) -> dict[str, object]:
    """Number of rows and a sum over them, whatever their order and that of the columns; partitions by themselves.

    Materialized views count with what they hold, None where they are not populated.
    """
    tables = _query(
        server,
        database,
        """
        SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relkind AS kind, c.relispopulated AS is_populated,
               array(SELECT quote_ident(a.attname) FROM pg_attribute AS a
                     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname) AS columns
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        """,
    )
    found: dict[str, object] = {table["name"]: None for table in tables}
    sums = []
    for table in tables:
        if table["is_populated"]:
            # Each value in its text form and quoted, so that NULL, the empty string and separators stay apart.
            values = " || ',' || ".join("quote_nullable(t.%s::text)" % one for one in table["columns"]) or "''"
            sums.append(
                "SELECT $name$%s$name$ AS name, count(*) AS rows, md5(string_agg(one, '' ORDER BY one)) AS sum"
                " FROM (SELECT md5(%s) AS one FROM %s%s AS t) AS all_rows"
                % (table["name"], values, "ONLY " if table["kind"] == "r" else "", table["name"])
            )
    for row in _query(server, database, " UNION ALL ".join(sums)) if sums else []:
        found[row.pop("name")] = row
    return found


def sequences(server: Server, database: str) -> dict[str, object]:
    """Where each sequence stands."""
    names = _query(server, database, "SELECT format('%I.%I', schemaname, sequencename) AS name FROM pg_sequences")
    states = [
        "SELECT $name$%s$name$ AS name, last_value, is_called FROM %s" % (row["name"], row["name"]) for row in names
    ]
    listed = _query(server, database, " UNION ALL ".join(states)) if states else []
    return {row.pop("name"): row for row in listed}


def large_objects(server: Server, database: str) -> dict[str, object]:
    """Content, owner, privileges and comment of each large object."""
    listed = _query(
        server,
        database,
        """
        SELECT m.oid::text AS name, md5(lo_get(m.oid)) AS content, pg_get_userbyid(m.lomowner) AS owner,
               obj_description(m.oid, 'pg_largeobject') AS comment,
               array(SELECT one::text FROM unnest(coalesce(m.lomacl, acldefault('L', m.lomowner))) AS one
                     ORDER BY 1) AS privileges
        FROM pg_largeobject_metadata AS m
        """,
    )
    return {row.pop("name"): row for row in listed}


def properties(server: Server, database: str) -> dict[str, object]:
    """What belongs to the database itself: owner, locale, privileges, settings, comment and the like."""
    (about,) = _query(
        server,
        database,
        """
        SELECT pg_get_userbyid(d.datdba) AS owner, pg_encoding_to_char(d.encoding) AS encoding, d.datcollate,
               d.datctype, d.datistemplate, d.datallowconn, d.datconnlimit, t.spcname AS tablespace,
               coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') AS provider,
               coalesce(to_jsonb(d) -> 'datlocale', to_jsonb(d) -> 'daticulocale') AS locale,
               to_jsonb(d) -> 'daticurules' AS rules, shobj_description(d.oid, 'pg_database') AS comment,
               array(SELECT one::text FROM unnest(coalesce(d.datacl, acldefault('d', d.datdba))) AS one
                     ORDER BY 1) AS privileges,
               array(SELECT coalesce(r.rolname, '') || ': ' || one FROM pg_db_role_setting AS s
                     LEFT JOIN pg_roles AS r ON r.oid = s.setrole, unnest(s.setconfig) AS one
                     WHERE s.setdatabase = d.oid AND one NOT LIKE 'holdfast.%' ORDER BY 1) AS settings
        FROM pg_database AS d JOIN pg_tablespace AS t ON t.oid = d.dattablespace WHERE d.datname = current_database()
        """,
    )
    return about


def reloaded_definitions(server: Server, database: str, other: Server | None = None) -> dict[str, object]:
    """``definitions`` of a fresh reload of the definitions of ``database``, on ``other`` or the same server."""
    place = other or server
    archive = str(place.base / "meaning.dump")
    reference = "meaning_reference"
    where = "--dbname=" + _conninfo(server, database)
    _tool(server, "pg_dump", "--format=custom", "--schema-only", "--file=" + archive, where)
    try:
        place.psql("DROP DATABASE IF EXISTS %s" % reference)
        place.psql("CREATE DATABASE %s TEMPLATE template0" % reference)
        if place.major < 15 <= _major_of_clients(server):
            # What pg_dump takes for granted since version 15, so that its dumps say only what differs from it.
            place.psql("REVOKE CREATE ON SCHEMA public FROM PUBLIC", reference)
        _tool(place, "pg_restore", "--exit-on-error", "--dbname=" + _conninfo(place, reference), archive)
        return definitions(place, reference)
    finally:
        place.psql("DROP DATABASE IF EXISTS %s WITH (FORCE)" % reference)
        os.unlink(archive)


def definitions(server: Server, database: str) -> dict[str, object]:
    """What pg_dump writes of each object, by its heading: definition, owner, privileges, comment."""
    text = _tool(server, "pg_dump", "--schema-only", "--no-sync", "--dbname=" + _conninfo(server, database))
    text = _VOLATILE.sub("", text)
    found: dict[str, object] = {}
    parts = _HEADER.split(text)
    for start in range(1, len(parts), 5):
        name, kind, schema, owner, body = parts[start : start + 5]
        lines = [line for line in body.strip().splitlines() if line]
        key = "%s %s.%s of %s" % (kind, schema, name, owner)
        # Two objects may have one heading (casts of types in two schemas, say); their texts are taken together.
        found.setdefault(key, []).append(sorted(lines) if kind in _UNORDERED else lines)
    return {key: sorted(texts) for key, texts in found.items()}


def _differing(kind: str, original: dict[str, object], copy: dict[str, object]) -> list[str]:
    sentences = []
    for name in sorted({*original, *copy}):
        if name not in copy:
            sentences.append("%s %s is missing" % (kind, name))
        elif name not in original:
            sentences.append("%s %s was not in the original" % (kind, name))
        elif original[name] != copy[name]:
            sentences.append("%s %s differs: %r became %r" % (kind, name, original[name], copy[name]))
    return sentences


def _query(server: Server, database: str, sql: str) -> list[dict]:
    # Whatever the database has set for itself, which a copy may lack.
    settings = (
        "SET search_path = pg_catalog; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'"
    )
    lines = server.psql("%s; SELECT to_json(q) FROM (%s) AS q" % (settings, sql), database)
    return [json.loads(line) for line in lines.splitlines()]


def _major_of_clients(server: Server) -> int:
    return int(re.search(r"\) (\d+)", _tool(server, "pg_dump", "--version"))[1])


def _tool(server: Server, tool: str, *arguments: str) -> str:
    return run(server.client(tool), *arguments)


def _conninfo(server: Server, database: str) -> str:
    name = database.replace("\\", "\\\\").replace("'", "\\'")
    return "host='%s' dbname='%s' options='-c default_transaction_read_only=off'" % (server.socket, name)
