# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people keep in ALTER DATABASE and ALTER ROLE ... SET comes back, and is nowhere to be read meanwhile."""

from __future__ import annotations

import pathlib

import pytest
from integration.circle_support import PostgresqlCircle
from integration.postgresql_support import Server

pytestmark = pytest.mark.postgresql

SECRETS = ("k3y-of-the-database", "t0ken-of-the-role", "p4ss-of-both")
SET = (
    "ALTER DATABASE circle_shop SET app.key = 'k3y-of-the-database'",
    "ALTER ROLE circle_owner SET app.token = 't0ken-of-the-role'",
    "ALTER ROLE circle_owner IN DATABASE circle_shop SET app.pass = 'p4ss-of-both'",
)
ASKED = (
    "SELECT coalesce(r.rolname, '-') || ' ' || coalesce(d.datname, '-') || ' ' || unnest(setconfig)"
    " FROM pg_db_role_setting LEFT JOIN pg_roles AS r ON r.oid = setrole LEFT JOIN pg_database AS d"
    " ON d.oid = setdatabase WHERE setconfig::text LIKE '%app.%' ORDER BY 1"
)


@pytest.fixture(name="shop")
def shop_fixture(server: Server, tmp_path: pathlib.Path):
    """A database with secrets in its settings."""
    shop = PostgresqlCircle(tmp_path, server, rows=10)
    for statement in SET:
        server.psql(statement)
    yield shop
    shop.remove()
    server.psql("ALTER ROLE circle_owner RESET ALL")


def readable(folder: pathlib.Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_the_values_lie_in_no_manifest_and_in_nothing_that_is_not_encrypted(shop: PostgresqlCircle, age_key) -> None:
    recipient, path = age_key
    made = shop.create(recipients=[recipient])
    stored = readable(shop.repository)
    assert b"app.key" in stored, "the names are there"
    assert not [secret for secret in SECRETS if secret.encode() in stored]

    before = shop.server.psql(ASKED)
    for who in ("DATABASE circle_shop", "ROLE circle_owner IN DATABASE circle_shop"):
        shop.server.psql("ALTER %s RESET ALL" % who)
    assert shop.server.psql(ASKED) != before
    shop.restore(backup=made.entry.id, identity_file=path)
    strangers = (shop.kept()[0], " holdfast.")
    now = [line for line in shop.server.psql(ASKED).splitlines() if not any(word in line for word in strangers)]
    assert now == before.splitlines()


def test_without_encryption_the_manifest_is_silent_all_the_same(shop: PostgresqlCircle) -> None:
    made = shop.create()
    manifest = (shop.folder(made.entry.id) / "manifest.json").read_bytes()
    assert b"app.key" in manifest
    assert not [secret for secret in SECRETS if secret.encode() in manifest]
