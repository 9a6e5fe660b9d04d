# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused, what is damage, what is only remarked upon: real files of every unpleasant kind."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.engines.base import LoadOrder
from ansible_collections.holdfast.db.plugins.module_utils.errors import (
    BadInput,
    Damaged,
    HoldfastError,
    NotFound,
    Refused,
    RestoreFailed,
    ToolFailed,
)
from ansible_collections.holdfast.db.plugins.module_utils.external import ExternalFile
from ansible_collections.holdfast.db.plugins.module_utils.pipeline import Processes
from integration.sqlite_support import (
    JOURNALS,
    TOTAL,
    Holder,
    Place,
    a_marker,
    connect,
    copy_with_all_beside,
    engine_for,
    execute,
    make_shop,
    rows_of,
    sum_of,
    tree_of,
)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def shop(tmp_path):
    return make_shop(tmp_path / "shop.db")


def external(path):
    return LoadOrder(file=ExternalFile(str(path), Processes()), replaces=True, is_foreign=True)


def one_sentence(reason):
    text = str(reason.value)
    assert "\n" not in text
    assert "Traceback" not in text
    assert text.endswith(".")
    return text


# Wrong input


def test_a_relative_path_is_refused():
    with pytest.raises(BadInput, match="absolute path") as reason:
        engine_for("shop.db")
    one_sentence(reason)


def test_a_missing_file_is_not_made(tmp_path):
    with pytest.raises(NotFound, match="no file") as reason:
        engine_for(tmp_path / "none.db").look()
    one_sentence(reason)
    assert os.listdir(tmp_path) == []


def test_a_missing_directory_is_named(tmp_path):
    engine = engine_for(tmp_path / "none" / "shop.db")
    for act in (engine.look, engine.target):
        with pytest.raises(NotFound, match="none") as reason:
            act()
        one_sentence(reason)


def test_a_directory_a_pipe_and_garbage_are_no_databases(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "garbage").write_bytes(random.Random(1).randbytes(8192))
    (tmp_path / "text").write_text("SELECT 1;\n")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "garbage", tmp_path / "text"):
        engine = engine_for(path)
        for act in (engine.look, engine.target):
            with pytest.raises(BadInput) as reason:
                act()
            one_sentence(reason)


@pytest.mark.parametrize(
    "name",
    [
        "a b.db",
        "?mode=memory&cache=shared",
        "#fragment%41",
        "quote'\".db",
        "line\nbreak.db",
        "-leading",
        "unicode-\u00fc\u2603.db",
        b"\xff\xfe.db",
        "; rm -rf x",
        "x" * 240,
    ],
)
def test_hostile_names_go_round_the_circle(place, tmp_path, name):
    folder = tmp_path / "data"
    folder.mkdir()
    path = os.path.join(str(folder), os.fsdecode(name))
    make_shop(tmp_path / "plain.db")
    os.rename(tmp_path / "plain.db", path)
    kept = place.take(path)
    connection = sqlite3.connect(os.fsencode(path), isolation_level=None)
    connection.execute("DELETE FROM account")
    connection.close()
    place.restore(path, kept.order(), safety=True)
    assert engine_for(path).target().marker is not None
    connection = sqlite3.connect(os.fsencode(path))
    assert connection.execute("SELECT sum(balance) FROM account").fetchone() == (TOTAL,)
    connection.close()
    assert os.listdir(os.fsencode(str(folder))) == [os.fsencode(os.path.basename(path))]


def test_a_link_to_the_file_leads_to_the_file(place, shop, tmp_path):
    os.symlink(shop, tmp_path / "link.db")
    kept = place.take(tmp_path / "link.db")
    execute(shop, "DELETE FROM account")
    place.restore(tmp_path / "link.db", kept.order())
    assert sum_of(shop) == TOTAL
    assert os.path.islink(tmp_path / "link.db")
    assert engine_for(tmp_path / "link.db").target().display == str(tmp_path / "link.db")


def test_an_empty_database_is_empty_until_it_has_an_object(tmp_path):
    path = str(tmp_path / "empty.db")
    open(path, "wb").close()
    assert engine_for(path).target().is_empty
    execute(path, "CREATE TABLE t (x); DROP TABLE t")
    assert engine_for(path).target().is_empty
    with Holder(path) as holder:
        holder.execute("PRAGMA journal_mode = wal")
        holder.execute("CREATE TABLE t (x)")
        assert not engine_for(path).target().is_empty
    assert not engine_for(path).target().is_empty


# Damage


def damage(path, page_size=4096, seed=1):
    """Overwrite the middle of the file with noise, sparing the first page."""
    size = os.path.getsize(path)
    with open(path, "r+b") as stream:
        stream.seek((size // page_size // 2) * page_size)
        stream.write(random.Random(seed).randbytes(2 * page_size))


def test_a_damaged_database_fails_its_backup_by_name(place, tmp_path):
    shop = make_shop(tmp_path / "shop.db", filler=2000)
    damage(shop)
    with pytest.raises(ToolFailed, match="damaged") as reason:
        place.take(shop)
    assert "shop.db" in one_sentence(reason)
    assert os.listdir(place.space) == []


def test_a_damaged_database_can_be_restored_over_and_is_kept_as_it_was(place, tmp_path):
    shop = make_shop(tmp_path / "shop.db", filler=2000)
    kept = place.take(shop)
    damage(shop)
    noise = open(shop, "rb").read()
    _swapped, (safety,) = place.restore(shop, kept.order(), safety=True)
    assert sum_of(shop) == TOTAL
    assert safety.manifest.properties["integrity"] != "ok"
    copy = open(safety.unpacked(tmp_path / "copy.db"), "rb").read()
    assert copy[4096:] == noise[4096:]


def test_a_bit_that_flipped_in_the_stored_copy_is_found(place, tmp_path, shop):
    kept = place.take(shop)
    dump = kept.path / kept.manifest.artifact("dump").name
    plain = kept.unpacked(tmp_path / "plain.db")
    execute(plain, "DELETE FROM filler WHERE id = 7")
    subprocess.run(["zstd", "-q", "-f", plain, "-o", dump], check=True)
    with pytest.raises(Damaged, match="199") as reason:
        engine_for(shop).check_structure(kept.manifest, kept.reader(), place.workspace())
    one_sentence(reason)
    engine = engine_for(shop)
    with engine.loaded(kept.order(), place.workspace()) as loaded:
        (sentence,) = engine.differences(loaded, kept.taken.fingerprint)
    assert "filler" in sentence
    assert "199" in sentence
    assert "200" in sentence


def test_a_stored_copy_with_a_damaged_page_fails_check_and_load(place, tmp_path):
    shop = make_shop(tmp_path / "shop.db", filler=2000)
    kept = place.take(shop)
    dump = kept.path / kept.manifest.artifact("dump").name
    plain = kept.unpacked(tmp_path / "plain.db")
    damage(plain)
    subprocess.run(["zstd", "-q", "-f", plain, "-o", dump], check=True)
    with pytest.raises(Damaged):
        engine_for(shop).check_structure(kept.manifest, kept.reader(), place.workspace())
    before = open(shop, "rb").read()
    with pytest.raises(RestoreFailed, match="live database is as it was"):
        place.restore(shop, kept.order())
    assert open(shop, "rb").read() == before


def test_random_damage_never_makes_a_traceback(place, tmp_path):
    shop = make_shop(tmp_path / "shop.db", filler=500)
    good = open(shop, "rb").read()
    for seed in range(40):
        draw = random.Random(seed)
        bad = bytearray(good)
        for _one in range(draw.choice((1, 4, 64))):
            bad[draw.randrange(len(bad) if seed % 2 else 200)] = draw.randrange(256)
        with open(shop, "wb") as stream:
            stream.write(bad[: draw.choice((len(bad), draw.randrange(len(bad))))])
        try:
            place.take(shop)
        except HoldfastError as reason:
            assert "unexpectedly" not in str(reason)


# What the owner's data may be


def test_rows_without_their_parent_are_remarked_upon(place, tmp_path, shop):
    execute(
        shop, "CREATE TABLE item (id INTEGER PRIMARY KEY, a REFERENCES account (id)); INSERT INTO item VALUES (1, 99)"
    )
    kept = place.take(shop)
    assert kept.taken.properties["foreign_key_violations"] == {"item": 1}
    assert any("foreign_key_check" in one for one in kept.taken.warnings)
    execute(shop, "DELETE FROM item")
    place.restore(shop, kept.order())
    assert rows_of(shop, "SELECT * FROM item") == [(1, 99)]


def test_a_foreign_key_that_cannot_be_checked_is_remarked_upon(place, shop):
    execute(shop, "CREATE TABLE p (x); CREATE TABLE c (y REFERENCES p (x)); INSERT INTO c VALUES (1)")
    assert any("could not be checked" in one for one in place.take(shop).taken.warnings)


def test_a_collation_that_only_the_application_knows_is_remarked_upon(place, shop):
    base = connect(shop)
    base.create_collation("reverse", lambda one, other: (one < other) - (one > other))
    base.execute("CREATE TABLE word (w TEXT COLLATE reverse PRIMARY KEY) WITHOUT ROWID")
    base.execute("CREATE TABLE name (n TEXT)")
    base.execute("CREATE INDEX by_name ON name (n COLLATE reverse)")
    base.executemany("INSERT INTO word VALUES (?)", [("w%d" % one,) for one in range(500)])
    base.executemany("INSERT INTO name VALUES (?)", [("n%d" % one,) for one in range(500)])
    base.close()
    kept = place.take(shop)
    assert kept.taken.properties["unknown"] == ['the collation "reverse"']
    counts = {table.name: table.rows for table in kept.taken.fingerprint.tables}
    assert counts["name"] == 500
    assert counts["word"] == 500
    place.restore(shop, kept.order(), safety=True)
    assert rows_of(shop, "SELECT count(*) FROM account") == [(50,)]


def test_a_function_that_only_the_application_knows_is_remarked_upon(place, shop):
    base = connect(shop)
    base.create_function("double", 1, lambda x: 2 * x, deterministic=True)
    base.execute("CREATE TABLE n (x INTEGER CHECK (double(x) > x), d INTEGER GENERATED ALWAYS AS (double(x)) VIRTUAL)")
    base.execute("CREATE INDEX by_double ON n (double(x))")
    base.executemany("INSERT INTO n (x) VALUES (?)", [(one,) for one in range(1, 300)])
    base.close()
    kept = place.take(shop)
    assert kept.taken.properties["unknown"] == ['the function "double"']
    assert {table.name: table.rows for table in kept.taken.fingerprint.tables}["n"] == 299


def test_damage_beside_an_unknown_collation_is_still_damage(place, tmp_path):
    shop = make_shop(tmp_path / "shop.db", filler=2000)
    base = connect(shop)
    base.create_collation("reverse", lambda one, other: (one < other) - (one > other))
    base.execute("CREATE TABLE name (n TEXT COLLATE reverse UNIQUE)")
    base.close()
    damage(shop)
    with pytest.raises(ToolFailed, match="damaged"):
        place.take(shop)


def test_a_module_that_only_the_application_knows_is_remarked_upon(place, shop):
    base = connect(shop)
    base.execute("CREATE VIRTUAL TABLE search USING fts5 (text)")
    base.execute("INSERT INTO search VALUES ('found')")
    base.execute("PRAGMA writable_schema = on")
    base.execute(
        "INSERT INTO sqlite_master VALUES"
        " ('table', 'strange', 'strange', 0, 'CREATE VIRTUAL TABLE strange USING nowhere (x)')"
    )
    base.close()
    kept = place.take(shop)
    assert kept.taken.properties["uncounted"] == ["strange"]
    counts = {table.name: table.rows for table in kept.taken.fingerprint.tables}
    assert counts["search"] == 1
    execute(shop, "DELETE FROM account")
    place.restore(shop, kept.order())
    assert rows_of(shop, "SELECT text FROM search") == [("found",)]


def test_values_that_break_their_rules_are_remarked_upon(place, shop):
    execute(
        shop,
        "CREATE TABLE r (x); INSERT INTO r VALUES (NULL); PRAGMA writable_schema = on;"
        "UPDATE sqlite_master SET sql = 'CREATE TABLE r (x NOT NULL)' WHERE name = 'r'",
    )
    kept = place.take(shop)
    assert any("rules" in one for one in kept.taken.warnings)
    assert kept.taken.properties["integrity"] == "ok"


# Where it cannot go


def test_another_page_size_is_refused_for_a_target_in_wal_mode(place, tmp_path, shop):
    kept = place.take(shop)
    other = make_shop(tmp_path / "other.db", "wal", page_size=8192)
    before = tree_of(tmp_path)
    with pytest.raises(Refused, match="journal_mode=DELETE") as reason:
        engine_for(other).preflight(kept.order())
    one_sentence(reason)
    assert tree_of(tmp_path) == before


def test_another_page_size_goes_into_a_target_in_rollback_mode(place, tmp_path, shop):
    kept = place.take(shop)
    for page_size in (1024, 16384):
        other = make_shop(tmp_path / ("other-%d.db" % page_size), page_size=page_size)
        execute(other, "DELETE FROM account")
        with Holder(other) as holder:
            holder.execute("SELECT * FROM account")
            place.restore(other, kept.order(), safety=True)
            assert holder.execute("SELECT sum(balance) FROM account") == [(TOTAL,)]
        assert sum_of(other) == TOTAL


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_what_an_earlier_database_left_beside_is_never_applied(place, tmp_path, shop, suffix):
    kept = place.take(shop)
    stale = tmp_path / ("new.db" + suffix)
    stale.write_bytes(b"left over")
    with pytest.raises(Refused, match="move it away") as reason:
        engine_for(tmp_path / "new.db").preflight(kept.order(replaces=False))
    one_sentence(reason)
    with pytest.raises(Refused, match="move it away"):
        with engine_for(tmp_path / "new.db").loaded(kept.order(replaces=False), place.workspace()) as loaded:
            engine_for(tmp_path / "new.db").swap(loaded, kept.order(replaces=False), a_marker(), None)
    assert not (tmp_path / "new.db").exists()


def test_a_file_that_appears_meanwhile_is_not_replaced(place, tmp_path, shop):
    kept = place.take(shop)
    order = kept.order(replaces=False)
    engine = engine_for(tmp_path / "new.db")
    with engine.loaded(order, place.workspace()) as loaded:
        make_shop(tmp_path / "new.db", filler=3)
        with pytest.raises(Refused, match="appeared meanwhile"):
            engine.swap(loaded, order, a_marker(), None)
    assert rows_of(tmp_path / "new.db", "SELECT count(*) FROM filler") == [(3,)]


# Files from elsewhere


@pytest.mark.parametrize("journal", JOURNALS)
def test_a_file_from_elsewhere_is_taken_with_what_lies_beside_it(place, tmp_path, shop, journal):
    other = make_shop(tmp_path / "other.db", journal)
    holder = connect(other)
    holder.execute("PRAGMA wal_autocheckpoint = 0")
    holder.execute("INSERT INTO filler VALUES (1000, 'late')")
    (tmp_path / "away").mkdir()
    moved = copy_with_all_beside(other, tmp_path / "away" / "other.db")
    holder.close()
    place.restore(shop, external(moved))
    assert rows_of(shop, "SELECT text FROM filler WHERE id = 1000") == [("late",)]


def test_a_file_with_a_hot_journal_is_taken_as_it_was_before(place, tmp_path, shop):
    other = make_shop(tmp_path / "other.db", filler=3000)
    holder = connect(other)
    holder.execute("PRAGMA cache_size = 5")
    holder.execute("BEGIN")
    holder.execute("UPDATE filler SET text = 'half done'")
    (tmp_path / "away").mkdir()
    moved = copy_with_all_beside(other, tmp_path / "away" / "other.db")
    assert os.path.getsize(moved + "-journal") > 0
    holder.close()
    place.restore(shop, external(moved))
    assert rows_of(shop, "SELECT count(*) FROM filler WHERE text = 'half done'") == [(0,)]
    assert sum_of(shop) == TOTAL


def test_a_live_database_with_a_hot_journal_is_backed_up_as_it_was_before(place, tmp_path):
    other = make_shop(tmp_path / "other.db", filler=3000)
    holder = connect(other)
    holder.execute("PRAGMA cache_size = 5")
    holder.execute("BEGIN")
    holder.execute("UPDATE filler SET text = 'half done'")
    crashed = copy_with_all_beside(other, tmp_path / "crashed.db")
    holder.close()
    kept = place.take(crashed)
    copy = kept.unpacked(tmp_path / "copy.db")
    assert rows_of(copy, "SELECT count(*) FROM filler WHERE text = 'half done'") == [(0,)]


def test_a_compressed_file_from_elsewhere_is_restored(place, tmp_path, shop):
    other = make_shop(tmp_path / "other.db", filler=321)
    for tool, suffix in (("gzip", "gz"), ("zstd", "zst")):
        packed = tmp_path / ("other.db." + suffix)
        packed.write_bytes(subprocess.run([tool, "-q", "-c", other], check=True, capture_output=True).stdout)
        execute(shop, "DELETE FROM filler")
        engine_for(shop).preflight(external(packed))
        place.restore(shop, external(packed))
        assert rows_of(shop, "SELECT count(*) FROM filler") == [(321,)]


def test_garbage_and_empty_files_from_elsewhere_are_refused(place, tmp_path, shop):
    (tmp_path / "garbage").write_bytes(random.Random(2).randbytes(5000))
    (tmp_path / "empty").write_bytes(b"")
    shutil.copy(shop, tmp_path / "short")
    with open(tmp_path / "short", "r+b") as stream:
        stream.truncate(50)
    (tmp_path / "folder").mkdir()
    for name in ("garbage", "empty", "short", "folder"):
        with pytest.raises(BadInput) as reason:
            engine_for(shop).preflight(external(tmp_path / name))
        one_sentence(reason)


@pytest.mark.parametrize("journal", JOURNALS)
@pytest.mark.parametrize("auto_vacuum", [0, 1])
def test_a_database_without_any_object_can_be_restored(place, tmp_path, journal, auto_vacuum):
    bare = str(tmp_path / "bare.db")
    base = connect(bare)
    base.execute("PRAGMA auto_vacuum = %d" % auto_vacuum)
    base.execute("PRAGMA user_version = 7")
    base.close()
    kept = place.take(bare)
    shop = make_shop(tmp_path / "shop.db", journal)
    _swapped, (safety,) = place.restore(shop, kept.order(), safety=True)
    assert rows_of(shop, "SELECT count(*) FROM sqlite_master") == [(0,)]
    assert rows_of(shop, "PRAGMA user_version") == [(7,)]
    assert rows_of(shop, "PRAGMA integrity_check") == [("ok",)]
    assert {table.name for table in safety.taken.fingerprint.tables} == {"account", "filler", "ledger"}
    execute(shop, "CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    assert rows_of(shop, "PRAGMA integrity_check") == [("ok",)]
