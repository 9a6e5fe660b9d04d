# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not become the latest backup, nor push good ones out: emptied, rebuilt, future-dated, safety backups."""

from __future__ import annotations

import pathlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import HoldfastError, NotFound
from ansible_collections.holdfast.db.plugins.module_utils.operations.create import CreateRequest, create
from ansible_collections.holdfast.db.plugins.module_utils.operations.manage import acknowledge
from ansible_collections.holdfast.db.plugins.module_utils.operations.prune import PruneRequest, prune
from ansible_collections.holdfast.db.plugins.module_utils.operations.requests import Place, Selection
from ansible_collections.holdfast.db.plugins.module_utils.repository.manifests import decode_manifest, encode_manifest
from ansible_collections.holdfast.db.plugins.module_utils.retention import Rules
from integration.circle_program import perform, settings_of, source_of
from integration.circle_support import Circle, PostgresqlCircle
from integration.postgresql_support import own_major, running_server, system_programs

DAMAGES = {
    "all rows": ["DELETE FROM filled", "DELETE FROM state"],
    "most rows": ["DELETE FROM filled WHERE id > 5"],
    "all tables": ["DROP TABLE filled", "DROP TABLE state"],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_emptied_database_is_flagged_until_somebody_has_looked(circle: Circle, damage: str) -> None:
    for _each in range(2):
        circle.create()
    good = circle.good()
    for statement in DAMAGES[damage]:
        circle.execute(statement)
    made = circle.create()
    assert made.entry.manifest.flags
    assert any(made.entry.id in warning or "It holds" in warning for warning in made.warnings)
    pruned = circle.prune(1)
    assert pruned.sources[0].held and made.entry.id in pruned.sources[0].held
    assert pruned.sources[0].removed == ()
    restored = circle.restore(target=circle.copy, strategy="new")
    assert restored.backup.id == good[-1]
    assert any(made.entry.id in warning for warning in restored.warnings)
    circle.drop(circle.copy)
    assert perform(circle.order("verify", backup="latest")).reports[0].entry.id == good[-1]
    # A second empty one is compared with the last that was good, not with the first empty one.
    assert circle.create().entry.manifest.flags

    acknowledge(Place(str(circle.repository)), source_of(circle.order("list")), circle.good()[-1])
    assert perform(circle.order("verify", backup="latest")).reports[0].entry.id == circle.good()[-1]
    assert circle.prune(1).sources[0].held, "the first flagged one is still to be looked at"
    acknowledge(Place(str(circle.repository)), source_of(circle.order("list")), made.entry.id)
    assert circle.prune(1).sources[0].removed
    assert not circle.create().entry.manifest.flags


@pytest.mark.postgresql
def test_a_rebuilt_server_is_flagged_although_it_holds_as_much(tmp_path: pathlib.Path, server) -> None:
    circle = PostgresqlCircle(tmp_path, server, rows=100)
    circle.create()
    with running_server(system_programs()[own_major()]) as other:
        (tmp_path / "rebuilt").mkdir()
        rebuilt = PostgresqlCircle(tmp_path / "rebuilt", other, rows=100)
        rebuilt.repository = circle.repository
        made = rebuilt.create()
        assert "another server" in made.entry.manifest.flags[0]
        assert rebuilt.prune(1).sources[0].held
        assert rebuilt.restore(target=rebuilt.copy, strategy="new").backup.id != made.entry.id
    circle.remove()


def test_a_backup_from_the_future_is_no_reference(circle: Circle) -> None:
    """A clock that was wrong once must not decide for ever."""
    good = circle.create().entry.id
    circle.change("future")
    wrong = create_at(circle, datetime.now(UTC) + timedelta(days=400))
    assert circle.statuses()[wrong] == "completed"
    # Its time of consistency is what the server said; the clock of the host decides about the start alone.
    set_snapshot_to_the_future(circle, wrong)
    assert circle.restore(target=circle.copy, strategy="new").backup.id == good
    circle.drop(circle.copy)
    later = (datetime.now(UTC) + timedelta(days=800)).isoformat()
    assert circle.restore(target=circle.copy, strategy="new", before=later).backup.id == good
    circle.drop(circle.copy)
    removed = circle.prune(1).sources[0].removed
    assert good not in removed and wrong not in removed
    newer = circle.create().entry.id
    assert perform(circle.order("verify", backup="latest")).reports[0].entry.id == newer
    request = CreateRequest(
        Place(str(circle.repository)),
        source_of(circle.order("list")),
        circle.engine,
        settings_of(circle.order("create")),
        if_older_than=timedelta(seconds=0),
    )
    assert create(request, datetime.now(UTC)).changed, "the one from the future is not young"


def create_at(circle: Circle, now: datetime) -> str:
    """A backup of which the host believes that it was made then."""
    return circle.create(ahead=(now - datetime.now(UTC)).total_seconds()).entry.id


def set_snapshot_to_the_future(circle: Circle, backup_id: str) -> None:
    """Write the manifest anew as a host with a wrong clock would have written it."""
    path = circle.folder(backup_id) / "manifest.json"
    manifest = decode_manifest(path.read_bytes(), str(path))
    then = manifest.started
    path.write_bytes(encode_manifest(replace(manifest, snapshot=then, finished=then)))


def test_a_safety_backup_is_never_the_latest(circle: Circle) -> None:
    good = circle.create().entry.id
    circle.change("live")
    restored = circle.restore(safety_backup=True)
    assert circle.statuses()[restored.safety] == "completed"
    assert perform(circle.order("verify", backup="latest")).reports[0].entry.id == good
    assert circle.restore(target=circle.copy, strategy="new").backup.id == good
    circle.drop(circle.copy)
    later = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    assert circle.restore(target=circle.copy, strategy="new", before=later).backup.id == good
    assert circle.word(circle.copy) == "first"
    circle.drop(circle.copy)
    # By its name it can be had, and retention lets it be.
    assert circle.restore(target=circle.copy, strategy="new", backup=restored.safety).changed
    assert circle.word(circle.copy) == "live"
    circle.create()
    assert circle.prune(1).sources[0].removed == (good,)
    assert restored.safety in circle.good()


def test_the_last_good_backup_stays_whatever_the_rules_say(circle: Circle) -> None:
    good = circle.create().entry.id
    later = datetime.now(UTC) + timedelta(days=4000)
    rules = Rules(remove_older_than=timedelta(days=1))
    for predict in (True, False):
        done = prune(PruneRequest(Place(str(circle.repository)), Selection(), rules), later, predict=predict)
        assert done.sources[0].removed == ()
    assert circle.good() == [good]


def fail_once(circle: Circle, **more: object) -> None:
    """A try that comes to nothing: the file is away, or the client programs are."""
    away = pathlib.Path(circle.database + ".away")
    if circle.engine == "sqlite":
        pathlib.Path(circle.database).rename(away)
    with pytest.raises(HoldfastError):
        circle.create(settings={"tools": "/nowhere"}, **more)
    if circle.engine == "sqlite":
        away.rename(circle.database)


def test_a_failed_try_holds_up_pruning(circle: Circle) -> None:
    for _each in range(3):
        circle.create()
    fail_once(circle)
    assert circle.prune(1).sources[0].held
    assert len(circle.good()) == 3
    circle.create()
    assert len(circle.prune(1).sources[0].removed) == 3


def test_a_failed_try_from_the_future_holds_up_nothing(circle: Circle) -> None:
    for _each in range(3):
        circle.create()
    fail_once(circle, ahead=400 * 86400)
    assert "failed" in circle.statuses().values()
    circle.create()
    assert circle.prune(1).sources[0].held is None
    assert len(circle.good()) == 1


def test_nothing_matching_is_an_error(circle: Circle) -> None:
    circle.create()
    early = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    for about in (
        {"before": early},
        {"policy": "another"},
        {"host": "elsewhere"},
        {"backup": "20200101T000000Z-000000"},
    ):
        with pytest.raises(NotFound):
            circle.restore(target=circle.copy, strategy="new", **about)
    assert not circle.exists(circle.copy)
