# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole backups and whole restores, killed at moments spread over all of their duration.

Afterwards the repository lists the whole backup or a try that came to nothing, the live database is the old one or
the new one, nobody holds a lock, and the next run succeeds and leaves nothing of the killed one behind.
"""

from __future__ import annotations

import os
import pathlib
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from integration.circle_support import Circle, PostgresqlCircle, Program, SqliteCircle, called, one_sentence

SEED = 20261120
SOAK_TIMES = 8
_ATTEMPTS = 4
MAIN, BACKEND, ENDED = "main", "backend", "ended backend"


@dataclass(frozen=True)
class Case:
    """What is killed in what. ``victim``: the process itself, a program that it runs, or the server's own process."""

    engine: str
    verb: str
    about: dict[str, Any] = field(default_factory=dict)
    encrypted: bool = False
    victim: str = MAIN
    kills: int = 3

    def __str__(self) -> str:
        words = [self.engine, self.verb, *self.about.get("settings", {}).values(), self.about.get("strategy", "")]
        words += ["encrypted"] * self.encrypted + [self.victim]
        return " ".join(str(word) for word in words if word)


STREAM = {"settings": {"form": "stream"}}
DIRECTORY = {"settings": {"form": "directory", "jobs": 2}}
NEW = {"strategy": "new"}
CASES = [
    Case("sqlite", "create"),
    Case("sqlite", "create", encrypted=True),
    Case("sqlite", "restore", kills=4),
    Case("sqlite", "restore", encrypted=True),
    Case("sqlite", "restore", NEW),
    Case("postgresql", "create", STREAM),
    Case("postgresql", "create", DIRECTORY),
    Case("postgresql", "create", encrypted=True),
    Case("postgresql", "restore", STREAM, kills=4),
    Case("postgresql", "restore", DIRECTORY),
    Case("postgresql", "restore", NEW),
    Case("sqlite", "create", victim="zstd", kills=1),
    Case("sqlite", "create", encrypted=True, victim="age", kills=1),
    Case("sqlite", "restore", encrypted=True, victim="age", kills=1),
    Case("postgresql", "create", DIRECTORY, victim="pg_dump", kills=1),
    Case("postgresql", "create", STREAM, victim="zstd", kills=1),
    Case("postgresql", "create", STREAM, victim="psql", kills=1),
    Case("postgresql", "create", STREAM, victim=ENDED, kills=1),
    Case("postgresql", "restore", STREAM, victim="pg_restore", kills=1),
    Case("postgresql", "restore", STREAM, victim="psql", kills=1),
    Case("postgresql", "restore", STREAM, victim=BACKEND, kills=1),
]


@pytest.fixture(name="keys", scope="module")
def keys_fixture(age_key: tuple[str, str]) -> dict[str, Any]:
    """An age identity and its recipient, as an order names them."""
    return {"recipients": [age_key[0]], "identity_file": age_key[1]}


@pytest.fixture(name="case_circle")
def case_circle_fixture(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Circle]:
    """A database that is large enough to be killed in the midst of."""
    if request.param == "sqlite":
        yield SqliteCircle(tmp_path, rows=20000)
        return
    circle = PostgresqlCircle(tmp_path, request.getfixturevalue("server"), rows=20000)
    yield circle
    circle.remove()


def each_case() -> list[Any]:
    marks = {"postgresql": [pytest.mark.postgresql], "sqlite": []}
    return [pytest.param(case.engine, case, id=str(case), marks=marks[case.engine]) for case in CASES]


def test_there_are_forty_kills() -> None:
    assert sum(case.kills for case in CASES) >= 40


@pytest.mark.parametrize(("case_circle", "case"), each_case(), indirect=["case_circle"])
def test_killed_anywhere(case_circle: Circle, case: Case, keys: dict[str, Any]) -> None:
    Killing(case_circle, case, keys, random.Random(SEED)).go_round(case.kills)


@pytest.mark.soak
@pytest.mark.parametrize(("case_circle", "case"), each_case(), indirect=["case_circle"])
def test_killed_anywhere_hundreds_of_times(case_circle: Circle, case: Case, keys: dict[str, Any]) -> None:
    Killing(case_circle, case, keys, random.Random()).go_round(case.kills * SOAK_TIMES)


class Killing:
    """One case, round after round."""

    def __init__(self, circle: Circle, case: Case, keys: dict[str, Any], chance: random.Random) -> None:
        self.circle = circle
        self.case = case
        self.chance = chance
        self.about = dict(case.about, **(keys if case.encrypted else {}))
        self.keys = keys if case.encrypted else {}
        self.is_new = case.about.get("strategy") == "new"

    def go_round(self, kills: int) -> None:
        self.circle.change("backed up")
        self.circle.create(**{name: value for name, value in self.about.items() if name != "strategy"})
        usual = self._start("unharmed").end()["seconds"]
        for number in range(kills):
            delay = usual * (number + self.chance.random()) / kills
            for attempt in range(_ATTEMPTS):
                live = "live %d.%d" % (number, attempt)
                self._begin_again(live)
                # On a busy machine a measured duration says little; whatever was over before the blow is tried again.
                if self._round(live, delay * (1 - attempt / _ATTEMPTS)):
                    break
            else:
                raise AssertionError("no blow fell before the end")

    def _begin_again(self, live: str) -> None:
        self.circle.forget_kept()
        self.circle.drop(self.circle.copy)
        if self.case.verb == "restore":
            self.circle.change(live)

    def _start(self, live: str) -> Program:
        target = self.circle.copy if self.is_new else self.circle.database
        more = {"target": target, "confirm": target, "request": live} if self.case.verb == "restore" else {}
        return Program(self.circle.order(self.case.verb, **self.about, **more))

    def _round(self, live: str, delay: float) -> bool:
        at_work = self._start(live)
        at_work.wait_until(delay)
        if self.case.victim == MAIN:
            was_hit = at_work.kill()
        else:
            was_hit = self._strike(at_work)
            self._check_what_it_says(at_work.end())
        self._check_repository()
        self._check_live(live)
        self._check_next(live)
        return was_hit

    def _strike(self, at_work: Program) -> bool:
        """Kill a child or a server process of it, as soon as there is one."""
        while not at_work.has_ended:
            if self.case.victim in (BACKEND, ENDED):
                if self._strike_server():
                    return True
            else:
                found = [child for child in at_work.children() if called(child) == self.case.victim]
                if found:
                    try:
                        os.kill(self.chance.choice(found), signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                    return True
            time.sleep(0.001)
        return False

    def _strike_server(self) -> bool:
        """The server's process for one of the sessions; killed outright, the whole server starts anew."""
        mine = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        if self.case.victim == ENDED:
            said = self.circle.server.psql("SELECT pg_terminate_backend(pid) %s ORDER BY random() LIMIT 1" % mine)
            return said == "t"
        pid = self.circle.server.psql("SELECT pid %s ORDER BY random() LIMIT 1" % mine)
        if not pid:
            return False
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def _check_what_it_says(self, said: dict[str, Any]) -> None:
        if said["error"] is not None:
            one_sentence(said["error"])

    def _check_repository(self) -> None:
        if self.case.victim == BACKEND:
            self.circle.query("SELECT 1")
        verified = self.circle.verify(**({"identity_file": self.keys["identity_file"]} if self.keys else {}))
        assert verified.damaged == ()
        assert set(self.circle.statuses().values()) <= {"completed", "interrupted", "failed"}

    def _check_live(self, live: str) -> None:
        if self.case.verb == "create":
            assert self.circle.word() == "backed up"
        elif self.is_new:
            assert self.circle.word() == live
            assert not self.circle.exists(self.circle.copy) or self.circle.word(self.circle.copy) == "backed up"
        else:
            word = self.circle.word()
            assert word in (live, "backed up")
            if word == "backed up" and self.circle.engine == "postgresql":
                assert live in self.circle.kept_words()

    def _check_next(self, live: str) -> None:
        """The same once more, unharmed; whoever held the lock is gone."""
        was_there = self.is_new and self.circle.exists(self.circle.copy)
        said = self._start(live).end()
        assert said["error"] is None, said
        if self.case.verb == "create":
            self.circle.prune(2)
        else:
            assert self.circle.word(self.circle.copy if self.is_new else None) == "backed up", was_there
        assert self.circle.unfinished() == []
        assert "running" not in self.circle.statuses().values()
