# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore never takes the last room from the databases that live on the same disk: it is ended before that."""

from __future__ import annotations

import os
import pathlib
import tempfile
import threading
import time

import pytest
from integration.circle_support import PostgresqlCircle
from integration.postgresql_support import own_major, running_server, system_programs
from integration.test_invariants_full_disk import MIB, fails, fill, reached

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small tmpfs"),
]

SLOW = (
    "CREATE FUNCTION slow(integer) RETURNS boolean LANGUAGE plpgsql AS"
    " $$ BEGIN PERFORM pg_sleep(0.02); RETURN true; END $$",
    "CREATE TABLE slowly (id integer CHECK (slow(id)))",
    "INSERT INTO slowly SELECT generate_series(1, 150)",
)


def fill_once_loading(circle: PostgresqlCircle, disk: pathlib.Path) -> None:
    until = time.monotonic() + 30
    while circle.server.psql("SELECT count(*) FROM pg_database WHERE datname LIKE 'holdfast_load_%'") != "1":
        assert time.monotonic() < until
        time.sleep(0.02)
    fill(disk, 120 * MIB)


def test_a_load_is_ended_while_the_live_databases_still_have_room(tmp_path: pathlib.Path) -> None:
    tuned = {"max_wal_size": "48MB", "min_wal_size": "32MB"}
    with tempfile.TemporaryDirectory(prefix="holdfast-disk-", dir="/tmp") as place, reached(place) as disk:
        with running_server(system_programs()[own_major()], place=str(disk), **tuned) as server:
            circle = PostgresqlCircle(tmp_path, server, rows=500)
            for statement in SLOW:
                circle.execute(statement)
            circle.create()
            circle.change("live")
            filling = threading.Thread(target=fill_once_loading, args=(circle, disk))
            filling.start()
            sentence = fails(circle.restore, "make room")
            filling.join()
            assert "The load was ended" in sentence
            assert circle.word() == "live", "the server never ran out of room"
            assert circle.unfinished() == []
            (disk / "filler").unlink()
            assert circle.restore().changed
            assert circle.word() == "first"
