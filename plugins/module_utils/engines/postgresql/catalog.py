# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What exists in a database, as its catalogs say: tables and their rows, and how many objects there are of each kind.

The same questions are asked of the source inside the snapshot and of the restored copy, so the answers can be
compared. What belongs to an extension is never counted, for the extension brings it back itself; nor is what
the server makes by itself (clones of triggers and constraints on partitions, constructors of range types).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...model import TableRows
from .session import Session, SqlError, identifier

_COUNT_BATCH = 100
_NO_WAIT = 50  # milliseconds
LOCK_TIMEOUT = "55P03"

# FirstNormalObjectId in access/transam.h: objects below it came with the server.
FIRST_USER_OID = 16384

USER_SCHEMAS = (
    "SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
)

# An SQL condition: the row ``o`` of pg_type is the array that the server made for another type.
IS_ARRAY = "EXISTS (SELECT FROM pg_catalog.pg_type AS a WHERE a.typarray = o.oid)"


@dataclass(frozen=True)
class Table:
    """A table that holds rows of its own, or a partitioned parent (``kind`` ``p``), which holds none.

    ``is_counted``: its rows belong to the fingerprint. Extensions' own tables appear only where the extension lets
    their rows be dumped, and are not counted: the dump holds the part that the extension's condition selects. Nor
    are unlogged tables of a standby, for they have no rows there.
    ``moved``: the file that the catalog row names is not the one in use, so the row is older than a rewrite.
    """

    oid: int
    schema: str
    name: str
    kind: str
    is_counted: bool
    moved: bool

    @property
    def sql(self) -> str:
        """The table alone, without partitions or children."""
        return "ONLY " + identifier(self.schema, self.name)


def member_of_extension(catalog: str, oid: str) -> str:
    """An SQL condition: the object ``oid`` of ``catalog`` belongs to an extension."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = 'pg_catalog.%s'::pg_catalog.regclass"
        " AND e.objid = %s AND e.objsubid = 0 AND e.deptype = 'e')" % (catalog, oid)
    )


def made_with_another(catalog: str, oid: str) -> str:
    """An SQL condition: the server made the object ``oid`` of ``catalog`` together with another one."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_depend AS i WHERE i.classid = 'pg_catalog.%s'::pg_catalog.regclass"
        " AND i.objid = %s AND i.objsubid = 0 AND i.deptype = 'i')" % (catalog, oid)
    )


def list_tables(session: Session) -> tuple[Table, ...]:
    """Every table whose definition or rows a dump holds, ordered by name; temporary ones excluded."""
    rows = session.query(
        "SELECT c.oid::pg_catalog.int8 AS oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind,"
        " c.relkind = 'r' AND NOT {member}"
        "  AND (c.relpersistence <> 'u' OR NOT pg_catalog.pg_is_in_recovery()) AS is_counted,"
        " c.relkind = 'r' AND c.relfilenode <> 0"
        "  AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid) AS moved"
        " FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.oid IN ({schemas})"
        " AND (NOT {member} OR EXISTS (SELECT FROM pg_catalog.pg_extension AS x WHERE c.oid = ANY (x.extconfig)))"
        " ORDER BY n.nspname, c.relname".format(member=member_of_extension("pg_class", "c.oid"), schemas=USER_SCHEMAS)
    )
    return tuple(Table(**row) for row in rows)


def table_sizes(session: Session) -> list[int]:
    """The bytes of each table with rows, its out-of-line storage included; empty where one is locked just now.

    The server opens each table for this, so the question is given up rather than made to wait.
    """
    try:
        with session.transaction("READ ONLY"):
            session.execute("SET LOCAL lock_timeout = %d" % _NO_WAIT)
            rows = session.query(
                "SELECT pg_catalog.pg_table_size(c.oid) AS size FROM pg_catalog.pg_class AS c"
                " WHERE c.relkind = 'r' AND c.relnamespace IN (%s)" % USER_SCHEMAS
            )
    except SqlError as reason:
        if reason.sqlstate != LOCK_TIMEOUT:
            raise
        return []
    return [row["size"] for row in rows if row["size"] is not None]


def count_rows(tables: tuple[Table, ...], ask: Callable[[str], list[dict]]) -> tuple[TableRows, ...]:
    """How many rows each counted table holds by itself; ``ask``: ``Session.query`` or what stands in for it."""
    counted = [table for table in tables if table.is_counted]
    result: list[TableRows] = []
    for start in range(0, len(counted), _COUNT_BATCH):
        batch = counted[start : start + _COUNT_BATCH]
        answers = ask(
            " UNION ALL ".join(
                "SELECT %d AS number, pg_catalog.count(*) AS rows FROM %s" % (number, table.sql)
                for number, table in enumerate(batch)
            )
        )
        rows = {answer["number"]: answer["rows"] for answer in answers}
        result += [TableRows(table.schema, table.name, rows[number]) for number, table in enumerate(batch)]
    return tuple(result)


def count_objects(session: Session) -> dict[str, int]:
    """How many objects there are of each kind; kinds without any are left out."""
    rows = session.query(" UNION ALL ".join(_object_counts()))
    return {row["kind"]: row["number"] for row in sorted(rows, key=lambda row: row["kind"]) if row["number"]}


def _object_counts() -> list[str]:
    """One SELECT of (kind, number) for every kind of object."""
    user_table = (
        "(SELECT t.oid FROM pg_catalog.pg_class AS t WHERE t.relnamespace IN (%s) AND t.relpersistence <> 't'"
        " AND NOT %s)" % (USER_SCHEMAS, member_of_extension("pg_class", "t.oid"))
    )
    return [
        *_relation_counts(user_table),
        *_parts_of_tables(user_table),
        *_in_schemas(),
        *_outside_schemas(),
        _count("large objects", "pg_largeobject_metadata", "true"),
        # These two catalogs are closed to ordinary users but for what is asked here.
        "SELECT 'user mappings' AS kind, pg_catalog.count(*) AS number FROM pg_catalog.pg_user_mappings",
        "SELECT 'subscriptions' AS kind, pg_catalog.count(subname) AS number FROM pg_catalog.pg_subscription"
        " WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())",
    ]


def _relation_counts(user_table: str) -> list[str]:
    kinds = {
        "tables": "r",
        "partitioned tables": "p",
        "views": "v",
        "materialized views": "m",
        "sequences": "S",
        "foreign tables": "f",
        "composite types": "c",
    }
    return [
        _count(words, "pg_class", "o.relkind = '%s' AND o.oid IN %s" % (letter, user_table))
        for words, letter in kinds.items()
    ]


def _parts_of_tables(user_table: str) -> list[str]:
    """What hangs on tables; pg_dump leaves invalid indexes out, save those of partitioned tables."""
    constraints = {
        "check constraints": "c",
        "foreign keys": "f",
        "primary keys": "p",
        "unique constraints": "u",
        "exclusion constraints": "x",
    }
    return [
        _count(
            "indexes",
            "pg_index",
            "o.indrelid IN %s AND (o.indisvalid OR EXISTS (SELECT FROM pg_catalog.pg_class AS p"
            " WHERE p.oid = o.indexrelid AND p.relkind = 'I'))" % user_table,
        ),
        *(
            _count(
                words,
                "pg_constraint",
                "o.contype = '%s' AND o.conrelid IN %s AND o.conparentid = 0" % (letter, user_table),
            )
            for words, letter in constraints.items()
        ),
        _count("triggers", "pg_trigger", "NOT o.tgisinternal AND o.tgparentid = 0 AND o.tgrelid IN " + user_table),
        _count("rules", "pg_rewrite", "o.rulename <> '_RETURN' AND o.ev_class IN " + user_table),
        _count("policies", "pg_policy", "o.polrelid IN " + user_table),
        _count("column defaults", "pg_attrdef", "o.adrelid IN " + user_table),
        _count("inheritance links", "pg_inherits", _is_user_table("o.inhrelid", user_table)),
    ]


def _is_user_table(column: str, user_table: str) -> str:
    """Inheritance among tables; that among indexes follows from it."""
    return (
        "%s IN %s AND EXISTS (SELECT FROM pg_catalog.pg_class AS h WHERE h.oid = %s AND h.relkind IN ('r', 'p', 'f'))"
        % (column, user_table, column)
    )


def _in_schemas() -> list[str]:
    """Objects that lie in a schema: (words, catalog, its schema column, a further condition)."""
    kinds = [
        ("functions", "pg_proc", "pronamespace", "o.prokind = 'f'"),
        ("procedures", "pg_proc", "pronamespace", "o.prokind = 'p'"),
        ("aggregates", "pg_proc", "pronamespace", "o.prokind = 'a'"),
        ("window functions", "pg_proc", "pronamespace", "o.prokind = 'w'"),
        ("enums", "pg_type", "typnamespace", "o.typtype = 'e'"),
        ("domains", "pg_type", "typnamespace", "o.typtype = 'd'"),
        ("range types", "pg_type", "typnamespace", "o.typtype = 'r'"),
        ("base types", "pg_type", "typnamespace", "o.typtype = 'b' AND NOT %s" % IS_ARRAY),
        ("shell types", "pg_type", "typnamespace", "o.typtype = 'p' AND NOT o.typisdefined"),
        ("operators", "pg_operator", "oprnamespace", "o.oprcode <> 0"),
        ("operator classes", "pg_opclass", "opcnamespace", "true"),
        ("operator families", "pg_opfamily", "opfnamespace", "true"),
        ("collations", "pg_collation", "collnamespace", "true"),
        ("conversions", "pg_conversion", "connamespace", "true"),
        ("statistics objects", "pg_statistic_ext", "stxnamespace", "true"),
        ("text search configurations", "pg_ts_config", "cfgnamespace", "true"),
        ("text search dictionaries", "pg_ts_dict", "dictnamespace", "true"),
        ("text search parsers", "pg_ts_parser", "prsnamespace", "true"),
        ("text search templates", "pg_ts_template", "tmplnamespace", "true"),
    ]
    return [
        _count(
            words,
            catalog,
            "o.%s IN (%s) AND %s AND NOT %s AND NOT %s"
            % (
                schema,
                USER_SCHEMAS,
                condition,
                member_of_extension(catalog, "o.oid"),
                made_with_another(catalog, "o.oid"),
            ),
        )
        for words, catalog, schema, condition in kinds
    ]


def _outside_schemas() -> list[str]:
    """Objects of the whole database; ``public`` and ``plpgsql`` come with every new one."""
    kinds = [
        ("schemas", "pg_namespace", "o.nspname NOT IN ('public', 'information_schema') AND o.nspname !~ '^pg_'"),
        ("extensions", "pg_extension", "o.extname <> 'plpgsql'"),
        ("casts", "pg_cast", "true"),
        ("transforms", "pg_transform", "true"),
        ("languages", "pg_language", "true"),
        ("access methods", "pg_am", "true"),
        ("foreign data wrappers", "pg_foreign_data_wrapper", "true"),
        ("foreign servers", "pg_foreign_server", "true"),
        ("event triggers", "pg_event_trigger", "true"),
        ("publications", "pg_publication", "true"),
    ]
    domain_checks = "o.contype = 'c' AND o.contypid <> 0 AND o.connamespace IN (%s) AND NOT %s" % (
        USER_SCHEMAS,
        member_of_extension("pg_type", "o.contypid"),
    )
    return [
        *(
            _count(
                words,
                catalog,
                "%s AND o.oid >= %d AND NOT %s AND NOT %s"
                % (
                    condition,
                    FIRST_USER_OID,
                    member_of_extension(catalog, "o.oid"),
                    made_with_another(catalog, "o.oid"),
                ),
            )
            for words, catalog, condition in kinds
        ),
        _count("domain constraints", "pg_constraint", domain_checks),
        _count("published tables", "pg_publication_rel", "true"),
    ]


def _count(words: str, catalog: str, condition: str) -> str:
    return "SELECT '%s' AS kind, pg_catalog.count(*) AS number FROM pg_catalog.%s AS o WHERE %s" % (
        words,
        catalog,
        condition,
    )
