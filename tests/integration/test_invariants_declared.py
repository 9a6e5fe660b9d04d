# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declared restore happens once, to the database that was named, as it was foretold; foretelling writes nothing."""

from __future__ import annotations

import os
import pathlib
import sqlite3
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import HoldfastError, NotFound, Refused
from ansible_collections.holdfast.db.plugins.module_utils.operations.kept import drop_kept, list_kept
from integration.circle_program import perform, settings_of
from integration.circle_support import Circle, PostgresqlCircle, one_sentence
from playing import tree

SHARED_CATALOGS = (
    "pg_authid",
    "pg_auth_members",
    "pg_database",
    "pg_db_role_setting",
    "pg_shdescription",
    "pg_tablespace",
)
OWN_CATALOGS = ("pg_namespace", "pg_proc", "pg_type", "pg_attribute", "pg_constraint", "pg_depend", "pg_largeobject")


def declared(circle: Circle, **about: Any) -> Any:
    """Play a declaration as an inventory would have it, with the name confirmed."""
    return perform(circle.order("restore", confirm=circle.database, **about))


def the_world(circle: Circle) -> list[Any]:
    """All that a prediction may not change: files with their attributes, and what the server's catalogs hold."""
    files = tree(circle.home)
    # Verification decodes into the work directory, in check mode too; nothing is left there but the time of that.
    files[str(circle.space)] = sorted(os.listdir(circle.space))
    seen: list[Any] = [files]
    for path in [circle.home, *circle.home.rglob("*")]:
        names = os.listxattr(path, follow_symlinks=False)
        seen.append((str(path), {name: os.getxattr(path, name, follow_symlinks=False) for name in names}))
    if isinstance(circle, PostgresqlCircle):
        for catalog in (*SHARED_CATALOGS, *OWN_CATALOGS):
            # datfrozenxid and the like are moved by the server itself.
            rows = "to_jsonb(c) - 'datfrozenxid' - 'datminmxid'"
            sums = "SELECT count(*), md5(string_agg((%s)::text, ',' ORDER BY (%s)::text)) FROM %s AS c"
            seen.append((catalog, circle.server.psql(sums % (rows, rows, catalog), circle.database)))
        about = "SELECT oid, relname, relfilenode, relacl FROM pg_class ORDER BY oid"
        seen.append(circle.server.psql(about, circle.database))
        seen.append(sorted(os.listdir(circle.server.data / "base")))
    return seen


def test_latest_is_reached_once_whatever_is_backed_up_afterwards(circle: Circle) -> None:
    first = circle.create().entry.id
    circle.change("lost")
    assert declared(circle).backup.id == first
    assert circle.word() == "first"
    circle.change("later")
    for _each in range(2):
        circle.create()
        again = declared(circle)
        assert not again.changed and first in again.reason
        assert circle.word() == "later"
    # Nor does the loss of the backup that it came from.
    circle.prune(1)
    assert first not in circle.good()
    assert not declared(circle).changed


def test_a_new_request_asks_again_and_an_old_one_does_not(circle: Circle) -> None:
    circle.create()
    circle.change("lost")
    assert declared(circle, request="one").changed
    circle.change("later")
    assert not declared(circle, request="one").changed
    assert not declared(circle).changed
    assert declared(circle, request="two").changed
    assert circle.word() == "first"
    assert not declared(circle, request="two").changed


def test_another_id_another_time_and_a_file_are_other_declarations(circle: Circle) -> None:
    one = circle.create().entry
    between = datetime.now(UTC)
    circle.change("second")
    two = circle.create().entry
    circle.change("lost")
    assert declared(circle, backup=one.id).changed and circle.word() == "first"
    assert not declared(circle, backup=one.id).changed
    assert declared(circle, backup=two.id).changed and circle.word() == "second"
    assert declared(circle, before=between.isoformat()).backup.id == one.id
    assert circle.word() == "first"
    assert not declared(circle, before=between.isoformat()).changed
    # The same moment in another zone is the same declaration.
    assert not declared(circle, before=between.astimezone().isoformat()).changed
    with pytest.raises(NotFound):
        declared(circle, before=(one.manifest.snapshot - timedelta(seconds=1)).isoformat())
    file = a_file(circle, two.id)
    assert declared(circle, file=file).changed and circle.word() == "second"
    assert not declared(circle, file=file).changed
    # latest of the policy is not what a file holds.
    assert declared(circle).changed


def a_file(circle: Circle, backup_id: str) -> str:
    """The stored dump of a backup as a file from elsewhere."""
    stored = next(path for path in circle.folder(backup_id).iterdir() if path.name.startswith(("dump.pg", "database.")))
    copy = circle.home / ("elsewhere-" + stored.name)
    copy.write_bytes(stored.read_bytes())
    return str(copy)


def test_the_marker_travels_with_the_data(circle: Circle) -> None:
    """What was restored is still so under another name, and what is restored from it later is not."""
    made = circle.create().entry.id
    circle.change("lost")
    declared(circle)
    old, circle.database = circle.database, circle.copy
    if isinstance(circle, PostgresqlCircle):
        circle.server.psql('ALTER DATABASE "%s" RENAME TO "%s"' % (old, circle.copy))
    else:
        with closing(sqlite3.connect(old)) as base:
            base.execute("PRAGMA journal_mode = delete")
        os.rename(old, circle.copy)
    again = perform(circle.order("restore", confirm=circle.copy, target=circle.copy, database=old))
    assert not again.changed and made in again.reason
    # A backup of it does not carry the marker into a copy: that one has its own.
    circle.create(policy="other")
    target = circle.copy + "2"
    copied = circle.restore(policy="other", target=target, strategy="new")
    assert copied.marker.source.policy == "other"
    circle.drop(target)
    if isinstance(circle, PostgresqlCircle):
        circle.server.psql('ALTER DATABASE "%s" RENAME TO "%s"' % (circle.copy, old))
    circle.database = old


def test_only_the_very_name_confirms(circle: Circle) -> None:
    circle.create()
    circle.change("live")
    before = the_world(circle)
    for confirm in (
        None,
        "",
        "yes",
        circle.database.upper() + "X",
        circle.database + " ",
        os.path.basename(circle.database)[:-1],
    ):
        for predict in (True, False):
            with pytest.raises(Refused) as caught:
                perform(circle.order("restore", confirm=confirm, predict=predict))
            assert "confirm" in one_sentence(caught.value)
    assert the_world(circle) == before


def test_new_never_replaces(circle: Circle) -> None:
    circle.create()
    circle.change("live")
    before = the_world(circle)
    for predict in (True, False):
        with pytest.raises(Refused, match="exists already"):
            circle.restore(strategy="new", predict=predict)
    assert the_world(circle) == before
    assert circle.restore(strategy="new", target=circle.copy).changed
    with pytest.raises(Refused, match="exists already"):
        circle.restore(strategy="new", target=circle.copy)
    assert (circle.word(), circle.word(circle.copy)) == ("live", "first")


VERBS = {
    "create": {},
    "create encrypted": {},
    "create anew": {"init": True},
    "restore swap": {},
    "restore new": {"strategy": "new"},
    "restore file": {},
    "restore missing": {},
    "prune": {"keep_last": 1},
    "verify": {},
}


@pytest.mark.parametrize("case", VERBS)
def test_what_is_foretold_is_done_and_foretelling_writes_nothing(
    circle: Circle, case: str, age_key: tuple[str, str]
) -> None:
    verb, _space, how = case.partition(" ")
    about: dict[str, Any] = dict(VERBS[case])
    if how != "anew":
        for _each in range(3):
            circle.create()
    circle.change("live")
    if how == "encrypted":
        about["recipients"] = [age_key[0]]
    if verb == "restore":
        about["target"] = circle.copy if how in ("new", "missing") else circle.database
        about["confirm"] = about["target"]
    if how == "file":
        about["file"] = a_file(circle, circle.good()[0])
    with ExitStack() as stack:
        if circle.engine == "sqlite":
            # Somebody has it open, so that there is a WAL with more in it than the file has.
            base = stack.enter_context(closing(sqlite3.connect(circle.database)))
            base.execute("UPDATE state SET word = 'live'")
            base.commit()
        before = the_world(circle)
        foretold = perform(circle.order(verb, predict=True, **about))
        again = perform(circle.order(verb, predict=True, **about))
        assert the_world(circle) == before
    assert outline(foretold) == outline(again)
    done = perform(circle.order(verb, **about))
    assert outline(done) == outline(foretold)
    assert set(getattr(foretold, "warnings", ())) <= set(getattr(done, "warnings", ()))
    if verb == "restore":
        before = the_world(circle)
        settled = perform(circle.order(verb, predict=True, **about)) if how != "new" else None
        assert the_world(circle) == before
        assert settled is None or not settled.changed


def outline(result: Any) -> dict[str, Any]:
    """What both a prediction and the real run can know."""
    told: dict[str, Any] = {}
    for name in ("changed", "engine", "method", "initialised", "replaces"):
        if hasattr(result, name):
            told[name] = getattr(result, name)
    if hasattr(result, "target"):
        reason = result.reason.partition(" Changes")[0]
        reason = reason.replace("would replace", "replaced").replace("would be restored", "was restored")
        told.update(reason=reason, backup=result.backup and result.backup.id)
    if hasattr(result, "sources"):
        told["removed"] = [(one.source, one.held, sorted(one.removed), one.decisions) for one in result.sources]
    if hasattr(result, "reports"):
        told["reports"] = [(one.entry.id, one.strength, one.findings, one.problem) for one in result.reports]
    return told


@pytest.mark.postgresql
def test_what_was_replaced_stays_until_its_name_is_repeated(tmp_path: pathlib.Path, server) -> None:
    circle = PostgresqlCircle(tmp_path, server, rows=10)
    circle.create()
    settings = settings_of(circle.order("list"))
    for word in ("one", "two"):
        circle.change(word)
        assert circle.restore().kept in circle.kept()
    assert sorted(circle.kept_words()) == ["one", "two"]
    listed = list_kept("postgresql", settings, circle.database)
    assert all(one.since and one.size > 0 for one in listed)
    before = the_world(circle)
    name = listed[0].name
    for confirm in (None, "yes", circle.database):
        with pytest.raises(HoldfastError, match="repeat its name"):
            drop_kept("postgresql", settings, name, confirm)
    assert drop_kept("postgresql", settings, name, name, predict=True).changed
    assert not drop_kept("postgresql", settings, circle.database, circle.database).changed
    assert the_world(circle) == before
    assert drop_kept("postgresql", settings, name, name).changed
    assert circle.kept() == [listed[1].name]
    assert not drop_kept("postgresql", settings, name, name).changed
    assert circle.word() == "first"
    circle.remove()


@pytest.mark.postgresql
def test_a_restored_database_is_ready_for_its_planner(tmp_path: pathlib.Path, server) -> None:
    """Statistics are gathered before the swap, or the first hour after a restore would be a slow one."""
    circle = PostgresqlCircle(tmp_path, server, rows=1000)
    circle.create()
    restored = circle.restore()
    assert "analyze" in restored.durations
    columns = circle.query("SELECT count(DISTINCT attname) FROM pg_stats WHERE tablename = 'filled'")
    assert columns == ["3"]
    assert float(circle.query("SELECT reltuples FROM pg_class WHERE relname = 'filled'")[0]) == 1000
    circle.remove()
