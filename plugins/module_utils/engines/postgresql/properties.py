# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a manifest remembers of a database beyond its dump: locale, owner, privileges, settings, extensions, needs.

pg_dump writes a database's own properties only with ``--create``, and then as SQL for one fixed name. Kept as values
they can be compared with a server before anything starts, and applied to a copy under any name.
"""

from __future__ import annotations

from typing import Any

from .catalog import FIRST_USER_OID, IS_ARRAY, USER_SCHEMAS, made_with_another, member_of_extension
from .parameters import split_settings
from .session import Session

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
_THIS = "(SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"


def read_properties(session: Session) -> dict[str, Any]:
    """The present database's properties as JSON types.

    Keys: ``encoding``, ``locale_provider`` (libc, icu, builtin), ``collate``, ``ctype``, ``locale`` and ``icu_rules``
    (of the provider, or None), ``collation_version``, ``owner``, ``acl`` (None: the default; else rows with
    ``grantor``, ``grantee`` (None: public), ``privilege``, ``grantable``), ``settings`` (rows with ``role`` (None:
    all), ``name``, ``value``), ``comment``, ``security_labels``, ``connection_limit``, ``tablespace``,
    ``is_template``, ``allow_connections``, ``data_checksums``, ``extensions`` (rows with ``name``, ``version``,
    ``schema``, ``owner``, ``superuser``, ``trusted``), ``tablespaces`` (used by any object), ``owners`` (of objects),
    ``needs_superuser`` (rows with ``kind``, ``name``).
    """
    # As JSON, so that columns which only some versions have are simply missing in the others.
    row = session.value("SELECT pg_catalog.to_jsonb(d) FROM pg_catalog.pg_database AS d WHERE d.oid = %s" % _THIS)
    about = session.query(
        "SELECT pg_catalog.pg_encoding_to_char(d.encoding) AS encoding, pg_catalog.pg_get_userbyid(d.datdba) AS owner,"
        " pg_catalog.shobj_description(d.oid, 'pg_database') AS comment, t.spcname AS tablespace,"
        " pg_catalog.current_setting('data_checksums') = 'on' AS data_checksums"
        " FROM pg_catalog.pg_database AS d JOIN pg_catalog.pg_tablespace AS t ON t.oid = d.dattablespace"
        " WHERE d.oid = %s" % _THIS
    )[0]
    return {
        "encoding": about["encoding"],
        "locale_provider": _PROVIDERS.get(row.get("datlocprovider", "c"), row.get("datlocprovider")),
        "collate": row["datcollate"],
        "ctype": row["datctype"],
        "locale": row.get("datlocale", row.get("daticulocale")),
        "icu_rules": row.get("daticurules"),
        "collation_version": row.get("datcollversion"),
        "owner": about["owner"],
        "acl": _acl(session) if row["datacl"] is not None else None,
        "settings": _settings(session),
        "comment": about["comment"],
        "security_labels": _security_labels(session),
        "connection_limit": row["datconnlimit"],
        "tablespace": about["tablespace"],
        "is_template": row["datistemplate"],
        "allow_connections": row["datallowconn"],
        "data_checksums": about["data_checksums"],
        "extensions": _extensions(session),
        "tablespaces": _tablespaces(session),
        "owners": _owners(session),
        "needs_superuser": _needs_superuser(session),
    }


def _acl(session: Session) -> list[dict[str, Any]]:
    return session.query(
        "SELECT pg_catalog.pg_get_userbyid(a.grantor) AS grantor,"
        " CASE a.grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END AS grantee,"
        " a.privilege_type AS privilege, a.is_grantable AS grantable"
        " FROM pg_catalog.pg_database AS d, pg_catalog.aclexplode(d.datacl) AS a WHERE d.oid = %s" % _THIS
    )


def _settings(session: Session) -> list[dict[str, Any]]:
    rows = session.query(
        "SELECT CASE s.setrole WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(s.setrole) END AS role,"
        " pg_catalog.to_json(s.setconfig) AS settings FROM pg_catalog.pg_db_role_setting AS s"
        " WHERE s.setdatabase = %s ORDER BY 1 NULLS FIRST" % _THIS
    )
    return [
        {"role": row["role"], "name": name, "value": value}
        for row in rows
        for name, value in split_settings(row["settings"])
    ]


def _security_labels(session: Session) -> list[dict[str, Any]]:
    return session.query(
        "SELECT provider, label FROM pg_catalog.pg_shseclabel"
        " WHERE classoid = 'pg_catalog.pg_database'::pg_catalog.regclass AND objoid = %s ORDER BY 1" % _THIS
    )


def _extensions(session: Session) -> list[dict[str, Any]]:
    return session.query(
        "SELECT x.extname AS name, x.extversion AS version, n.nspname AS schema,"
        " pg_catalog.pg_get_userbyid(x.extowner) AS owner, v.superuser, v.trusted"
        " FROM pg_catalog.pg_extension AS x JOIN pg_catalog.pg_namespace AS n ON n.oid = x.extnamespace"
        " LEFT JOIN pg_catalog.pg_available_extension_versions AS v"
        " ON v.name = x.extname AND v.version = x.extversion ORDER BY 1"
    )


def _tablespaces(session: Session) -> list[str]:
    rows = session.query(
        "SELECT t.spcname AS name FROM pg_catalog.pg_tablespace AS t WHERE t.spcname NOT IN ('pg_default', 'pg_global')"
        " AND (EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.reltablespace = t.oid)"
        " OR EXISTS (SELECT FROM pg_catalog.pg_database AS d WHERE d.oid = %s AND d.dattablespace = t.oid)) ORDER BY 1"
        % _THIS
    )
    return [row["name"] for row in rows]


def _owners(session: Session) -> list[str]:
    """Everybody who owns an object that a dump holds."""
    owned = [
        ("pg_class", "relowner", "o.relnamespace IN (%s)" % USER_SCHEMAS),
        ("pg_proc", "proowner", "o.pronamespace IN (%s)" % USER_SCHEMAS),
        ("pg_type", "typowner", "o.typnamespace IN (%s)" % USER_SCHEMAS),
        ("pg_operator", "oprowner", "o.oprnamespace IN (%s)" % USER_SCHEMAS),
        ("pg_opclass", "opcowner", "o.opcnamespace IN (%s)" % USER_SCHEMAS),
        ("pg_opfamily", "opfowner", "o.opfnamespace IN (%s)" % USER_SCHEMAS),
        ("pg_collation", "collowner", "o.collnamespace IN (%s)" % USER_SCHEMAS),
        ("pg_conversion", "conowner", "o.connamespace IN (%s)" % USER_SCHEMAS),
        ("pg_statistic_ext", "stxowner", "o.stxnamespace IN (%s)" % USER_SCHEMAS),
        ("pg_ts_config", "cfgowner", "o.cfgnamespace IN (%s)" % USER_SCHEMAS),
        ("pg_ts_dict", "dictowner", "o.dictnamespace IN (%s)" % USER_SCHEMAS),
        ("pg_namespace", "nspowner", "o.nspname <> 'public' AND o.oid IN (%s)" % USER_SCHEMAS),
        ("pg_language", "lanowner", "o.oid >= %d" % FIRST_USER_OID),
        ("pg_foreign_data_wrapper", "fdwowner", "true"),
        ("pg_foreign_server", "srvowner", "true"),
        ("pg_event_trigger", "evtowner", "true"),
        ("pg_publication", "pubowner", "true"),
        ("pg_largeobject_metadata", "lomowner", "true"),
    ]
    rows = session.query(
        " UNION ".join(
            "SELECT pg_catalog.pg_get_userbyid(o.%s) AS name FROM pg_catalog.%s AS o WHERE %s AND NOT %s"
            % (column, catalog, condition, member_of_extension(catalog, "o.oid"))
            for catalog, column, condition in owned
        )
    )
    return sorted(row["name"] for row in rows)


def _needs_superuser(session: Session) -> list[dict[str, str]]:
    """The objects that only a superuser (or in part the owner of a server) can create again, by kind and name.

    Source: the notes of the CREATE commands in the manual. Extensions stand in a list of their own.
    """
    untrusted = (
        "o.prolang IN (SELECT l.oid FROM pg_catalog.pg_language AS l WHERE NOT l.lanpltrusted)"
        " AND o.prokind <> 'a' AND o.pronamespace IN (%s)" % USER_SCHEMAS
    )
    in_schema = "o.%s IN (" + USER_SCHEMAS + ")"
    own = "o.oid >= %d" % FIRST_USER_OID
    kinds = [
        ("event trigger", "pg_event_trigger", "o.evtname", "true"),
        ("language", "pg_language", "o.lanname", own),
        ("function in an untrusted language", "pg_proc", "o.oid::pg_catalog.regprocedure::text", untrusted),
        ("foreign data wrapper", "pg_foreign_data_wrapper", "o.fdwname", "true"),
        ("publication of all tables or of a schema", "pg_publication", "o.pubname", _publishes_widely(session)),
        ("cast without a function", "pg_cast", _CAST_NAME, "o.castmethod = 'b' AND " + own),
        (
            "base type",
            "pg_type",
            "o.oid::pg_catalog.regtype::text",
            "o.typtype = 'b' AND NOT %s AND %s" % (IS_ARRAY, in_schema % "typnamespace"),
        ),
        ("operator class", "pg_opclass", "o.opcname", in_schema % "opcnamespace"),
        ("operator family", "pg_opfamily", "o.opfname", in_schema % "opfnamespace"),
        ("access method", "pg_am", "o.amname", own),
        ("text search parser", "pg_ts_parser", "o.prsname", in_schema % "prsnamespace"),
        ("text search template", "pg_ts_template", "o.tmplname", in_schema % "tmplnamespace"),
    ]
    selects = [
        "SELECT '%s' AS kind, %s AS name FROM pg_catalog.%s AS o WHERE %s AND NOT %s AND NOT %s"
        % (
            kind,
            name,
            catalog,
            condition,
            member_of_extension(catalog, "o.oid"),
            made_with_another(catalog, "o.oid"),
        )
        for kind, catalog, name, condition in kinds
    ]
    selects.append(
        "SELECT 'user mapping' AS kind, usename || ' on ' || srvname AS name FROM pg_catalog.pg_user_mappings"
    )
    selects.append(
        "SELECT 'subscription' AS kind, subname AS name FROM pg_catalog.pg_subscription WHERE subdbid = " + _THIS
    )
    return session.query("SELECT * FROM (%s) AS needed ORDER BY kind, name" % " UNION ALL ".join(selects))


_CAST_NAME = "o.castsource::pg_catalog.regtype::text || ' AS ' || o.casttarget::pg_catalog.regtype::text"


def _publishes_widely(session: Session) -> str:
    if session.server_version < 150000:
        return "o.puballtables"
    return "(o.puballtables OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace AS s WHERE s.pnpubid = o.oid))"
