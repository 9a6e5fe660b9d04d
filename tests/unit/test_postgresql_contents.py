"""Reading an archive's table of contents, hostile names included."""

from __future__ import annotations

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.contents import (
    KINDS,
    list_file,
    read_contents,
)
from ansible_collections.holdfast.db.plugins.module_utils.errors import ToolFailed
from hypothesis import given
from hypothesis import strategies as st

HEAD = """;
; Archive created at 2026-11-20 08:28:01 UTC
;     dbname: a; b
;     TOC Entries: 336
;     Format: CUSTOM
;     Dumped from database version: 15.18 (Debian 15.18-0+deb12u1)
;     Dumped by pg_dump version: 16.2
;
;
; Selected TOC Entries:
;
"""


def one(line: str, **known: list[str]):
    (entry,) = read_contents(HEAD + line + "\n", **known).entries
    return entry


def test_the_head_says_which_versions_wrote_it() -> None:
    contents = read_contents(HEAD)
    assert contents.server_version == "15.18 (Debian 15.18-0+deb12u1)"
    assert contents.client_version == "16.2"
    assert contents.facts["Format"] == "CUSTOM"
    assert contents.entries == ()


@pytest.mark.parametrize(
    ("line", "kind", "schema", "name", "owner"),
    [
        ("215; 1259 16385 TABLE public t bob", "TABLE", "public", "t", "bob"),
        ("3350; 0 16385 TABLE DATA public t bob", "TABLE DATA", "public", "t", "bob"),
        ("9; 2615 2200 SCHEMA - public pg_database_owner", "SCHEMA", None, "public", "pg_database_owner"),
        ("4; 3079 18928 EXTENSION - btree_gist ", "EXTENSION", None, "btree_gist", ""),
        ("4295; 0 0 COMMENT - EXTENSION btree_gist ", "COMMENT", None, "EXTENSION btree_gist", ""),
        ("4286; 0 0 ACL - SCHEMA app bob", "ACL", None, "SCHEMA app", "bob"),
        ("5; 1255 1 FUNCTION app f(integer, text) bob", "FUNCTION", "app", "f(integer, text)", "bob"),
        ("6; 2620 7 TRIGGER app t my trigger bob", "TRIGGER", "app", "t my trigger", "bob"),
        ("7; 0 0 MATERIALIZED VIEW DATA app m bob", "MATERIALIZED VIEW DATA", "app", "m", "bob"),
        ("8; 0 0 SEQUENCE OWNED BY app s bob", "SEQUENCE OWNED BY", "app", "s", "bob"),
        ("8; 2613 16400 BLOB METADATA - 16400..16402 bob", "BLOB METADATA", None, "16400..16402", "bob"),
    ],
)
def test_each_line_falls_into_its_parts(line: str, kind: str, schema: str | None, name: str, owner: str) -> None:
    entry = one(line)
    assert (entry.kind, entry.schema, entry.name, entry.owner) == (kind, schema, name, owner)


def test_names_with_spaces_are_settled_by_what_is_known() -> None:
    text = HEAD + "1; 2615 5 SCHEMA - my schema the boss\n2; 1259 6 TABLE my schema a table the boss\n"
    schema, table = read_contents(text, roles=["boss", "the boss"]).entries
    assert (schema.name, schema.owner) == ("my schema", "the boss")
    assert (table.schema, table.name, table.owner) == ("my schema", "a table", "the boss")


def test_a_line_break_in_a_name_is_the_space_that_the_list_prints() -> None:
    entry = one("2; 1259 6 TABLE odd one t some role", roles=["some\nrole"], schemas=["odd\none"])
    assert (entry.schema, entry.name, entry.owner) == ("odd one", "t", "some role")


def test_a_table_called_like_a_kind_is_a_table() -> None:
    entry = one("2; 1259 6 TABLE public TABLE DATA bob")
    assert (entry.kind, entry.schema, entry.name) == ("TABLE", "public", "TABLE DATA")


def test_an_unknown_kind_is_refused_rather_than_guessed() -> None:
    with pytest.raises(ToolFailed, match="does not know"):
        one("2; 1259 6 PROPERTY GRAPH public g bob")


def test_a_list_file_names_entries_by_their_numbers_alone() -> None:
    entries = read_contents(HEAD + "12; 1259 1 TABLE a b c\n7; 1259 2 VIEW a ;d c\n").entries
    assert list_file(entries) == "12;\n7;\n"


NAMES = st.text(
    st.characters(blacklist_characters="\0\n\r", blacklist_categories=("Cs",)), min_size=1, max_size=30
).filter(lambda name: name == name.strip(" ") and name != "-")


@given(kind=st.sampled_from(KINDS), schema=NAMES, name=NAMES, owner=NAMES)
def test_any_names_that_are_known_come_back(kind: str, schema: str, name: str, owner: str) -> None:
    line = "1; 2 3 %s %s %s %s" % (kind, schema, name, owner)
    other_kinds = [one for one in KINDS if (kind + " " + schema + " " + name).startswith(one + " ") and one != kind]
    if any(len(one) > len(kind) for one in other_kinds):
        return  # the schema reads as the rest of a longer kind, which nobody can tell
    entry = one(line, schemas=[schema], roles=[owner])
    assert (entry.dump_id, entry.kind, entry.schema, entry.name, entry.owner) == (1, kind, schema, name, owner)
