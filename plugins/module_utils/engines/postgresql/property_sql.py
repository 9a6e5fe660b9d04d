# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a database's own properties back: owner, privileges, settings, comment, labels, connection limit.

``pg_restore`` without ``--create`` knows nothing of them. They come last, inside the swap's transaction, because a
setting such as ``default_transaction_read_only`` would hinder everything that is loaded after it. The tablespace and
the locale are the exception: they can only be given when the database is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import Refused, shown
from .parameters import OWN_PREFIX, set_clause
from .session import Session, SqlError, identifier, literal
from .words import some_of

_USUAL_TABLESPACE = "pg_default"
_OLDEST_WITH = {"icu": 150000, "builtin": 170000}
_PRIVILEGES = ("CONNECT", "CREATE", "TEMPORARY")
_PUBLIC_CLOSED_SINCE = 15
CLOSE_PUBLIC = "REVOKE CREATE ON SCHEMA public FROM PUBLIC"


def expects_closed_public(dumped_by: int, server_version: int) -> bool:
    """Whether CLOSE_PUBLIC must run in a new database on this server before a dump of pg_dump ``dumped_by`` is loaded.

    Since version 15 pg_dump writes only in what the privileges on the schema public differ from those that it has in
    new databases of version 15, where not everybody may create things in it (getNamespaces in pg_dump.c). Older
    servers still let everybody, and a dump of one where this was revoked says nothing of it.
    """
    return dumped_by >= _PUBLIC_CLOSED_SINCE > server_version // 10000


def creation_options(properties: Mapping[str, Any], server_version: int) -> str:
    """The words after ``CREATE DATABASE name`` that give a copy the encoding, locale and tablespace of the source.

    Raises Refused for a locale that servers of this version cannot have.
    """
    words = ["TEMPLATE template0", "ENCODING " + literal(properties["encoding"])]
    words += ["LC_COLLATE " + literal(properties["collate"]), "LC_CTYPE " + literal(properties["ctype"])]
    provider = properties["locale_provider"]
    if provider != "libc":
        if provider not in _OLDEST_WITH:
            raise Refused(
                "The source database uses the unknown locale provider %s; update holdfast.db." % shown(provider)
            )
        oldest = _OLDEST_WITH[provider]
        if server_version < oldest:
            raise Refused(
                "The source database uses the locale provider %s, which this server (PostgreSQL %d) cannot give to a"
                " database; restore to PostgreSQL %d or newer." % (provider, server_version // 10000, oldest // 10000)
            )
        words.append("LOCALE_PROVIDER " + provider)
        words.append("%s %s" % ("ICU_LOCALE" if provider == "icu" else "BUILTIN_LOCALE", literal(properties["locale"])))
    elif server_version >= 150000:
        words.append("LOCALE_PROVIDER libc")
    if properties.get("icu_rules") is not None:
        words.append("ICU_RULES " + literal(properties["icu_rules"]))
    if properties["tablespace"] != _USUAL_TABLESPACE:
        # Naming the usual one would ask for a privilege that ordinary users do not have on it.
        words.append("TABLESPACE " + identifier(properties["tablespace"]))
    return " ".join(words)


def apply_properties(
    session: Session, database: str, properties: Mapping[str, Any], *, is_trusted: bool
) -> tuple[str, ...]:
    """Give ``database`` the properties of ``read_properties``; call it inside a transaction.

    Privileges and settings that it has are replaced. ``is_trusted``: settings that only a superuser may make come
    back too (one of them loads libraries into every session). Returns warnings: what refers to roles that this
    server lacks, and settings or labels that it does not know.
    """
    target = identifier(database)
    roles = {row["name"] for row in session.query("SELECT rolname AS name FROM pg_catalog.pg_roles")}
    session.execute("ALTER DATABASE %s OWNER TO %s" % (target, identifier(properties["owner"])))
    warnings = list(_apply_privileges(session, target, properties, roles))
    session.execute("ALTER DATABASE %s RESET ALL" % target)
    settings, refused = _permitted(session, properties["settings"], is_trusted=is_trusted)
    if refused:
        warnings.append(
            "Settings of the database that only a superuser may make were not taken over from another server: %s."
            % some_of(refused)
        )
    for row in settings:
        warnings += _apply_setting(session, target, row, roles)
    session.execute("COMMENT ON DATABASE %s IS %s" % (target, _or_null(properties["comment"])))
    for label in properties["security_labels"]:
        statement = "SECURITY LABEL FOR %s ON DATABASE %s IS %s" % (
            identifier(label["provider"]),
            target,
            literal(label["label"]),
        )
        warnings += _attempt(session, statement, "the security label of provider %s" % shown(label["provider"]))
    session.execute("ALTER DATABASE %s CONNECTION LIMIT %d" % (target, properties["connection_limit"]))
    if properties["is_template"]:
        session.execute("ALTER DATABASE %s IS_TEMPLATE true" % target)
    return tuple(warnings)


def _apply_privileges(session: Session, target: str, properties: Mapping[str, Any], roles: set[str]) -> Iterator[str]:
    owner = properties["owner"]
    session.execute("REVOKE ALL ON DATABASE %s FROM PUBLIC" % target)
    session.execute("REVOKE ALL ON DATABASE %s FROM %s" % (target, identifier(owner)))
    rows = properties["acl"]
    if rows is None:
        session.execute("GRANT ALL ON DATABASE %s TO %s" % (target, identifier(owner)))
        session.execute("GRANT CONNECT, TEMPORARY ON DATABASE %s TO PUBLIC" % target)
        return
    ordered, strangers = ordered_grants(rows, owner, roles)
    for row in ordered:
        is_other = row["grantor"] != owner
        if is_other:
            session.execute("SET LOCAL ROLE " + identifier(row["grantor"]))
        session.execute(grant_statement(target, row))
        if is_other:
            session.execute("RESET ROLE")
    if strangers:
        yield "Privileges on the database were not brought back for lack of their roles on this server: %s." % some_of(
            strangers
        )


def grant_statement(target: str, row: Mapping[str, Any]) -> str:
    """One row of an access list as SQL; ``target``: the quoted database. Raises Refused for an unknown privilege."""
    if row["privilege"] not in _PRIVILEGES:
        raise Refused("Databases have no privilege %s; update holdfast.db." % shown(row["privilege"]))
    return "GRANT %s ON DATABASE %s TO %s%s" % (
        row["privilege"],
        target,
        "PUBLIC" if row["grantee"] is None else identifier(row["grantee"]),
        " WITH GRANT OPTION" if row["grantable"] else "",
    )


def ordered_grants(
    rows: Sequence[Mapping[str, Any]], owner: str, roles: set[str]
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The rows in an order in which each grantor holds what it passes on, and the roles that are missing.

    A row whose grantor never comes to hold the privilege is left out with its grantor named as missing.
    """
    waiting = [row for row in rows if row["grantee"] is None or row["grantee"] in roles]
    missing = {row["grantee"] for row in rows if row["grantee"] is not None} - roles
    held: set[tuple[str, str]] = set()
    ordered: list[Mapping[str, Any]] = []
    while waiting:
        ready = [row for row in waiting if row["grantor"] == owner or (row["grantor"], row["privilege"]) in held]
        if not ready:
            missing.update(row["grantor"] for row in waiting)
            break
        ordered += ready
        held.update((row["grantee"], row["privilege"]) for row in ready if row["grantable"] and row["grantee"])
        waiting = [row for row in waiting if row not in ready]
    return ordered, sorted(missing)


def _permitted(
    session: Session, rows: Sequence[Mapping[str, Any]], *, is_trusted: bool
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The settings to make, and the names of those that somebody else's backup may not bring.

    Our own marks come from no backup: one could call a live database a kept one.
    """
    rows = [row for row in rows if not row["name"].lower().startswith(OWN_PREFIX)]
    if is_trusted:
        return rows, []
    everybodys = {
        row["name"].lower() for row in session.query("SELECT name FROM pg_catalog.pg_settings WHERE context = 'user'")
    }
    permitted = [row for row in rows if row["name"].lower() in everybodys or "." in row["name"]]
    return permitted, sorted({row["name"] for row in rows if row not in permitted})


def _apply_setting(session: Session, target: str, row: Mapping[str, Any], roles: set[str]) -> list[str]:
    clause = set_clause(row["name"], row["value"])
    if row["role"] is None:
        return _attempt(session, "ALTER DATABASE %s %s" % (target, clause), "the setting %s" % shown(row["name"]))
    what = "the setting %s of role %s" % (shown(row["name"]), shown(row["role"]))
    if row["role"] not in roles:
        return ["%s was not brought back: there is no such role on this server." % _upper(what)]
    return _attempt(session, "ALTER ROLE %s IN DATABASE %s %s" % (identifier(row["role"]), target, clause), what)


def _attempt(session: Session, statement: str, what: str) -> list[str]:
    """Run a statement that this server may not know; a warning where it does not."""
    session.execute("SAVEPOINT holdfast_attempt")
    try:
        session.execute(statement)
    except SqlError as reason:
        session.execute("ROLLBACK TO SAVEPOINT holdfast_attempt")
        return ["%s was not brought back: %s" % (_upper(what), reason)]
    session.execute("RELEASE SAVEPOINT holdfast_attempt")
    return []


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


def _or_null(text: str | None) -> str:
    return "NULL" if text is None else literal(text)
