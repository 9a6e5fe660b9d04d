"""A database with one of every kind of object: taken from each server version, and counted alike after it came back."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.catalog import (
    count_objects,
    count_rows,
    list_tables,
)
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.context import server_context
from ansible_collections.holdfast.db.plugins.module_utils.model import Fingerprint
from integration.postgresql_everything import TABLESPACE, make_everything
from integration.postgresql_support import (
    Park,
    Server,
    Stored,
    client_majors,
    restore_by_hand,
    running_server,
    system_programs,
    take,
)

pytestmark = pytest.mark.postgresql

# Kinds of which the bed must have some, so that a count of nothing is no proof.
EXPECTED = {
    "aggregates", "base types", "casts", "check constraints", "collations", "column defaults", "composite types",
    "conversions", "domain constraints", "domains", "enums", "event triggers", "exclusion constraints", "extensions",
    "foreign keys", "functions", "indexes", "inheritance links", "large objects", "materialized views",
    "operator classes", "operator families", "operators", "partitioned tables", "policies", "primary keys",
    "procedures", "publications", "range types", "rules", "schemas", "sequences", "statistics objects", "tables",
    "text search configurations", "text search dictionaries", "triggers", "unique constraints", "views",
}  # fmt: skip


@pytest.fixture(name="elsewhere", scope="module")
def elsewhere_fixture(server: Server) -> Iterator[Server]:
    """Another server of the same version with the same tablespace, which no dump brings."""
    with running_server(system_programs()[server.major]) as other:
        (other.base / "space").mkdir()
        other.hand_over(other.base / "space")
        other.psql("CREATE TABLESPACE %s LOCATION '%s'" % (TABLESPACE, other.base / "space"))
        yield other


def fingerprint(server: Server, database: str) -> Fingerprint:
    """What the database holds now."""
    engine = server.engine(database)
    with server_context(database, engine.settings, engine.processes) as context, context.session() as session:
        return Fingerprint(count_rows(list_tables(session), session.query), count_objects(session))


@pytest.mark.parametrize("major", client_majors())
def test_everything_is_taken_from_each_version(park: Park, tmp_path: pathlib.Path, major: int) -> None:
    server = park.server(major)
    database = make_everything(server, "everything")
    stored = take(server.engine(database, form="directory", jobs=2), tmp_path / "backup")
    assert stored.taken.fingerprint == fingerprint(server, database)
    assert json.loads(json.dumps(stored.taken.properties)) == dict(stored.taken.properties)
    assert server.engine(database).check_structure(stored.manifest(), stored.reader(), stored.workspace(tmp_path))
    if major >= 14:
        assert set(stored.taken.fingerprint.objects) >= EXPECTED


@pytest.mark.parametrize("form", ["stream", "directory"])
def test_everything_restored_by_hand_counts_the_same(
    server: Server, elsewhere: Server, tmp_path: pathlib.Path, form: str
) -> None:
    database = make_everything(server, "everything")
    elsewhere.psql('DROP DATABASE IF EXISTS "%s"' % database)
    stored: Stored = take(server.engine(database, form=form, jobs=2), tmp_path / "backup")
    restore_by_hand(elsewhere, stored)
    restored = take(elsewhere.engine(database), tmp_path / "again")
    assert restored.taken.fingerprint == stored.taken.fingerprint
    before, after = dict(stored.taken.properties), dict(restored.taken.properties)
    for either in (before, after):
        either.pop("dump")
    for key in before:
        assert sorted_rows(after[key]) == sorted_rows(before[key]), key


def sorted_rows(value: object) -> object:
    """Lists of rows in an order that does not depend on the order in which they were made."""
    if isinstance(value, list):
        return sorted((sorted_rows(one) for one in value), key=repr)
    if isinstance(value, dict):
        return {key: sorted_rows(one) for key, one in value.items()}
    return value
