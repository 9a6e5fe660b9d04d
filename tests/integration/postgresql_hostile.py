"""A database whose own code, which runs while it is loaded, tries to gain power over the server."""

from __future__ import annotations

from integration.postgresql_support import Server

TENANT = "hostile_tenant"
TROPHIES = ("trophy_of_check", "trophy_of_view", "trophy_of_default", "trophy_after_reset")

# Each attempt swallows its own failure, as an attacker would, so that the dump loads either way. While it is made here
# as the tenant, the same code runs and fails; nothing in the objects themselves is forbidden to a tenant.
_ATTEMPTS = """
CREATE FUNCTION attempt(trophy text) RETURNS boolean LANGUAGE plpgsql AS $f$
BEGIN
  BEGIN
    EXECUTE format('CREATE ROLE %I SUPERUSER', trophy);
  EXCEPTION WHEN OTHERS THEN NULL;
  END;
  BEGIN
    ALTER ROLE hostile_tenant SUPERUSER;
  EXCEPTION WHEN OTHERS THEN NULL;
  END;
  RETURN true;
END $f$;
CREATE FUNCTION attempt_after_reset() RETURNS boolean LANGUAGE plpgsql AS $f$
BEGIN
  BEGIN
    EXECUTE 'RESET ROLE';
    EXECUTE 'RESET SESSION AUTHORIZATION';
    CREATE ROLE trophy_after_reset SUPERUSER;
  EXCEPTION WHEN OTHERS THEN NULL;
  END;
  BEGIN
    EXECUTE 'SET ROLE NONE';
    CREATE ROLE trophy_after_reset SUPERUSER;
  EXCEPTION WHEN OTHERS THEN NULL;
  END;
  RETURN true;
END $f$;
CREATE TABLE checked (id integer CHECK (public.attempt('trophy_of_check')));
CREATE TABLE reset (id integer CHECK (public.attempt_after_reset()));
CREATE FUNCTION attempt_in_index(id integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $f$
BEGIN RETURN public.attempt('trophy_of_default'); END $f$;
CREATE MATERIALIZED VIEW viewed AS SELECT public.attempt('trophy_of_view') AS tried;
CREATE TABLE indexed (id integer);
CREATE INDEX attempted ON indexed (attempt_in_index(id));
INSERT INTO checked VALUES (1), (2);
INSERT INTO reset VALUES (1);
INSERT INTO indexed VALUES (1);
"""


def make_hostile(server: Server, database: str) -> str:
    """Make ``database``, owned and filled by an ordinary tenant, and return its name."""
    clear_trophies(server)
    server.psql("DROP DATABASE IF EXISTS %s WITH (FORCE)" % database)
    server.psql("DROP ROLE IF EXISTS %s; CREATE ROLE %s LOGIN" % (TENANT, TENANT))
    server.create_database(database, "OWNER %s" % TENANT)
    server.psql("GRANT CREATE ON SCHEMA public TO %s" % TENANT, database)
    server.psql(_ATTEMPTS, database, user=TENANT)
    assert trophies(server) == []
    return database


def trophies(server: Server) -> list[str]:
    """What the code has won: superusers that nobody made."""
    won = server.psql(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'trophy%%' OR (rolname = '%s' AND rolsuper) ORDER BY 1"
        % TENANT
    )
    return won.split()


def clear_trophies(server: Server) -> None:
    """Take everything back."""
    for trophy in TROPHIES:
        server.psql("DROP ROLE IF EXISTS %s" % trophy)
    server.psql("ALTER ROLE %s NOSUPERUSER" % TENANT, check=False)
