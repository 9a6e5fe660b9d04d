# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything at once, in processes of their own: nothing crashes, the last good backup stays, readers get an answer."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import Busy, HoldfastError
from ansible_collections.holdfast.db.plugins.module_utils.repository.registry import open_repository
from integration.circle_support import Circle, Program, one_sentence

# What a reader or writer may be told who came at the wrong moment.
EXCUSES = re.compile(
    r"(is|was) not free within|another restore|Another restore|removed while it was being read|There is no backup"
    r"|is being read|There is no good backup"
)


def said_by_all(programs: list[Program]) -> list[dict[str, Any]]:
    """What each says at its end; one that crashed fails here."""
    answers = [program.end(timeout=120) for program in programs]
    for answer in answers:
        if answer["error"] is not None:
            assert EXCUSES.search(one_sentence(answer["error"])), answer
    return answers


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.soak)])
def test_everything_at_once(circle: Circle, seconds: int) -> None:
    """Two writers, two that prune, and readers, on one source; a writer of another source meanwhile."""
    circle.create()
    more = {"seconds": seconds, "lock_wait": 60.0}
    creating = [Program(circle.order("create", **more)) for _each in range(2)]
    creating.append(Program(circle.order("create", policy="another", **more)))
    pruning = [Program(circle.order("prune", keep_last=1, **more)) for _each in range(2)]
    reading = [Program(circle.order(verb, **more)) for verb in ("verify", "list")]
    stopped, seen = threading.Event(), []
    watching = threading.Thread(target=watch, args=(circle, stopped, seen))
    watching.start()
    restored = 0
    while not creating[0].has_ended:
        circle.drop(circle.copy)
        try:
            restored += circle.restore(target=circle.copy, strategy="new").changed
            assert circle.word(circle.copy) == "first"
        except HoldfastError as reason:
            assert EXCUSES.search(one_sentence(reason)), reason
    stopped.set()
    watching.join()
    answers = said_by_all(creating)
    assert all(answer["error"] is None and answer["done"] > 0 for answer in answers)
    assert all(answer["error"] is None for answer in said_by_all(pruning))
    said_by_all(reading)
    assert restored > 0
    assert seen and min(seen) >= 1, "for a moment there was no good backup"
    assert circle.verify().damaged == ()
    assert set(circle.statuses().values()) == {"completed"}
    assert circle.unfinished() == []


def watch(circle: Circle, stopped: threading.Event, seen: list[int]) -> None:
    """Count the good backups of the source again and again."""
    while not stopped.is_set():
        seen.append(len([one for one in circle.entries() if one.is_good and one.source.policy == "shop"]))


def test_two_restores_of_one_database_exclude_each_other(circle: Circle) -> None:
    """Whoever comes second waits or is refused, and what is live is always one whole state."""
    circle.create()
    circle.change("live")
    order = {"confirm": circle.database}
    programs = [Program(circle.order("restore", request="number %d" % one, **order)) for one in range(3)]
    answers = said_by_all(programs)
    done = [answer for answer in answers if answer["error"] is None]
    assert done
    assert circle.word() == "first"
    assert len(circle.kept_words()) == len(done)
    assert circle.unfinished() == []


def test_a_restore_is_not_disturbed_by_whoever_prunes(circle: Circle) -> None:
    """The backup that is being restored cannot be deleted before it has been read."""
    for _each in range(3):
        circle.create()
    oldest = circle.good()[0]
    restoring = Program(circle.order("restore", backup=oldest, target=circle.copy, strategy="new", confirm=circle.copy))
    skipped = removed = ()
    while not restoring.has_ended:
        (pruned,) = circle.prune(1).sources
        skipped, removed = skipped + pruned.skipped, removed + pruned.removed
    answer = restoring.end()
    if answer["error"] is None:
        assert circle.word(circle.copy) == "first"
        assert all(backup_id == oldest and "is being read" in sentence for backup_id, sentence in skipped)
    else:
        # The pruning came first.
        assert oldest in removed
        assert EXCUSES.search(answer["error"])
    circle.prune(1)
    assert len(circle.good()) == 1


def test_a_second_backup_of_a_source_waits_or_says_who_holds_it(circle: Circle) -> None:
    circle.create()
    repository = open_repository(str(circle.repository))
    with repository.writing(circle.entries()[0].source, 0):
        for do in (circle.create, lambda **more: circle.prune(1, **more)):
            with pytest.raises(Busy, match=r"held by another run.*not free within"):
                do(lock_wait=0.2)
        assert circle.verify().damaged == ()
        assert circle.restore(target=circle.copy, strategy="new").changed
        assert circle.create(policy="another", lock_wait=0.0).changed
    repository.close()
    assert circle.create(lock_wait=0.2).changed
