# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of backups line up, fit into a terminal, and are not spoilt by hostile names."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.holdfast.db.plugins.filter.backup_table import FilterModule, show_backups
from ansible_collections.holdfast.db.plugins.module_utils.errors import BadInput
from ansible_collections.holdfast.db.plugins.module_utils.tables import Column, backup_table, table

BACKUP = {
    "id": "20261120T063000Z-3f9a1c",
    "source_host": "db1",
    "policy": "shop",
    "database": "shop",
    "engine": "postgresql",
    "method": "pg_dump",
    "type": "full",
    "purpose": "ordinary",
    "status": "completed",
    "started": "2026-11-20T06:30:00Z",
    "duration_human": "1m 12s",
    "size_human": "1023.9 MiB",
    "stored_size_human": "307.2 MiB",
    "age_human": "23h 59m",
    "rows": 1204331,
    "pinned": False,
    "flags": [],
    "acknowledged": False,
}
WIDEST = BACKUP | {"method": "mariadb-backup", "type": "incremental", "status": "interrupted"}
FAILED = BACKUP | {"status": "failed", "size_human": None, "stored_size_human": None, "type": None}


def test_the_usual_table_shows_what_a_person_asks_first() -> None:
    assert backup_table([BACKUP]).splitlines() == [
        '"shop" of policy "shop" on "db1"',
        "  METHOD   TYPE  STATUS     STARTED (UTC)        DURATION        SIZE     STORED      AGE",
        "  pg_dump  full  completed  2026-11-20 06:30:00    1m 12s  1023.9 MiB  307.2 MiB  23h 59m",
    ]


def test_an_ordinary_line_fits_into_100_columns_with_a_note() -> None:
    lines = backup_table([BACKUP | {"purpose": "safety"}, BACKUP]).splitlines()
    assert lines[2].endswith("  safety")
    assert max(map(len, lines)) <= 100


def test_what_is_not_known_is_a_dash() -> None:
    cells = backup_table([FAILED]).splitlines()[2].split()
    assert cells == ["pg_dump", "-", "failed", "2026-11-20", "06:30:00", "1m", "12s", "-", "-", "23h", "59m"]


def test_sources_stand_apart_and_their_columns_below_each_other() -> None:
    lines = backup_table([BACKUP, WIDEST | {"database": "till"}, BACKUP]).splitlines()
    assert lines[0].startswith('"shop"')
    assert lines[4:6] == ["", '"till" of policy "shop" on "db1"']
    assert lines[1] == lines[6]
    assert lines[1].index("STARTED") == lines[2].index("2026") == lines[7].index("2026")


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"pinned": True}, "pinned"),
        ({"flags": ["It holds no tables."]}, "flagged"),
        ({"flags": ["It holds no tables."], "acknowledged": True}, ""),
        ({"purpose": "safety", "pinned": True}, "safety, pinned"),
    ],
)
def test_notes_say_what_is_special(change: dict[str, object], note: str) -> None:
    assert backup_table([BACKUP | change]).splitlines()[2].endswith(note or "23h 59m")


def test_other_columns_can_be_chosen() -> None:
    assert backup_table([BACKUP], ["id", "rows"]).splitlines()[1:] == [
        "  ID                          ROWS",
        "  20261120T063000Z-3f9a1c  1204331",
    ]


def test_a_newline_in_a_name_cannot_draw_a_line() -> None:
    assert len(backup_table([BACKUP | {"database": 'a\nb"\x1b[31m'}]).splitlines()) == 3


def test_wide_and_combining_characters_keep_columns_in_line() -> None:
    lines = table([Column("A"), Column("B")], [["日本", "x"], ["u\u0308ber", "x"], ["abcd", "x"]])
    assert lines == ["A     B", "日本  x", "u\u0308ber  x", "abcd  x"]


def test_no_backups_is_a_sentence() -> None:
    assert backup_table([]) == "There are no backups."


def test_an_unknown_column_is_named_with_those_that_exist() -> None:
    with pytest.raises(BadInput, match=r'"colour" is no column .* choose from id, engine, method'):
        backup_table([BACKUP], ["status", "colour"])


def test_the_filter_is_known_by_its_name() -> None:
    assert FilterModule().filters() == {"backup_table": show_backups}


@pytest.mark.parametrize("wrong", ["backups", {"backups": []}, [1]])
def test_the_filter_says_what_it_wants(wrong: object) -> None:
    with pytest.raises(AnsibleFilterError, match="takes a list of backups"):
        show_backups(wrong)


def test_the_filter_hands_on_complaints_about_columns() -> None:
    with pytest.raises(AnsibleFilterError, match="no column was named"):
        show_backups([BACKUP], [])
