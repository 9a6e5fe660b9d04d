"""A database with one of every kind of object that the server knows (``postgresql_everything.sql``), and its roles."""

from __future__ import annotations

import os
import pathlib
import pwd

from integration.postgresql_support import Server, account_name

OWNER = "everything_owner"
READER = "everything_reader"
MIXED = "Everything Mixed"
HOSTILE = "Everything \"Hostile\" 'role' ;--"
SUPER = "everything_super"
TABLESPACE = "everything_space"
SCRIPT = pathlib.Path(__file__).with_name("postgresql_everything.sql")

_EXTENSIONS = ("hstore", "citext", "btree_gist", "file_fdw", "postgres_fdw")
_CONFIGURED_CONTROL = "default_version = '1.0'\nrelocatable = false\ncomment = 'has a configuration table'\n"
_CONFIGURED_SCRIPT = (
    "CREATE TABLE @extschema@.configured (word text PRIMARY KEY, value text, is_own boolean NOT NULL DEFAULT false);\n"
    "INSERT INTO @extschema@.configured VALUES ('standard', 'row', false);\n"
    "SELECT pg_catalog.pg_extension_config_dump('@extschema@.configured', 'WHERE is_own');\n"
)


def make_roles(server: Server) -> None:
    """The roles that own parts of the database; those that exist stay."""
    attributes = {
        OWNER: "LOGIN",
        READER: "",
        MIXED: "NOINHERIT LOGIN CONNECTION LIMIT 7",
        HOSTILE: "",
        SUPER: "SUPERUSER",
    }
    for name, options in attributes.items():
        quoted = _quoted(name)
        if server.psql("SELECT 1 FROM pg_roles WHERE rolname = '%s'" % name.replace("'", "''")) != "1":
            server.psql("CREATE ROLE %s %s; COMMENT ON ROLE %s IS 'one of everything'" % (quoted, options, quoted))
    server.psql("GRANT %s TO %s" % (_quoted(READER), _quoted(MIXED)))


def make_everything(server: Server, database: str, *, rows: int = 200) -> str:
    """Make ``database`` anew with everything in it, its own properties included, and return its name."""
    make_surroundings(server)
    server.create_database(database, "OWNER %s" % OWNER)
    available = set(server.psql("SELECT name FROM pg_available_extensions").split("\n"))
    # A server that was built without ICU may list a collation of it, but knows no version.
    icu = "SELECT count(pg_collation_actual_version(oid)) > 0 FROM pg_collation WHERE collprovider = 'i'"
    has_icu = server.psql(icu) == "t"
    words = {
        "v": str(server.major),
        "rows": str(rows),
        "tablespace": TABLESPACE,
        "has_tablespace": "1",
        "has_icu": str(int(has_icu)),
        "has_configured": str(int("holdfast_configured" in available)),
        **{"has_" + name: str(int(name in available)) for name in _EXTENSIONS},
    }
    server.psql("\n".join("\\set %s %s" % word for word in words.items()) + "\n" + SCRIPT.read_text(), database)
    _give_properties(server, database)
    return database


def make_surroundings(server: Server) -> None:
    """What the database needs of its server, and no dump of it brings: roles, a tablespace, an extension."""
    make_roles(server)
    make_tablespace(server)
    _make_extension(server)


def _give_properties(server: Server, database: str) -> None:
    """What belongs to the database itself and lies outside of every dump of it."""
    name = _quoted(database)
    hostile = _quoted(HOSTILE)
    server.psql(
        f'''
        COMMENT ON DATABASE {name} IS E'it''s a database\\nwith two lines';
        ALTER DATABASE {name} CONNECTION LIMIT 23;
        ALTER DATABASE {name} SET search_path = "$user", app, "Mixed Case", "with, comma and ""quote""";
        ALTER DATABASE {name} SET statement_timeout = '7min';
        ALTER DATABASE {name} SET default_transaction_read_only = on;
        ALTER DATABASE {name} SET DateStyle = 'SQL, DMY';
        ALTER DATABASE {name} SET app.tenant = 'it''s \\ "this"';
        ALTER ROLE {OWNER} IN DATABASE {name} SET search_path = app, public;
        ALTER ROLE {hostile} IN DATABASE {name} SET work_mem = '9MB';
        REVOKE ALL ON DATABASE {name} FROM PUBLIC;
        GRANT CONNECT ON DATABASE {name} TO {READER};
        GRANT CREATE, CONNECT ON DATABASE {name} TO {hostile} WITH GRANT OPTION;
        SET ROLE {hostile};
        GRANT CREATE ON DATABASE {name} TO {_quoted(MIXED)};
        RESET ROLE;
        '''
    )


def make_tablespace(server: Server) -> None:
    """The tablespace that parts of the database lie in; it stays if it exists."""
    if server.psql("SELECT 1 FROM pg_tablespace WHERE spcname = '%s'" % TABLESPACE) == "1":
        return
    place = server.base / "space"
    place.mkdir()
    account = pwd.getpwnam(account_name())
    os.chown(place, account.pw_uid, account.pw_gid)
    server.psql("CREATE TABLESPACE %s LOCATION '%s'" % (TABLESPACE, place))


def _make_extension(server: Server) -> None:
    """An extension with a configuration table, in the server's own folder where we may write there."""
    folder = pathlib.Path(server.psql("SELECT setting FROM pg_config WHERE name = 'SHAREDIR'")) / "extension"
    if not os.access(folder, os.W_OK):
        return
    for name, text in (
        ("holdfast_configured.control", _CONFIGURED_CONTROL),
        ("holdfast_configured--1.0.sql", _CONFIGURED_SCRIPT),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)


def _quoted(name: str) -> str:
    return '"%s"' % name.replace('"', '""')
