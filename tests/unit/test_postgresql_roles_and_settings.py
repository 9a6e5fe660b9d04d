"""Roles and settings as SQL, and which form a dump takes."""

from __future__ import annotations

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.by_hand import properties_sql
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.dump import check_contents, chosen_form
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.parameters import (
    list_items,
    set_clause,
    split_settings,
)
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.roles import (
    creation_steps,
    membership_sql,
    roles_sql,
)
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.snapshot import Snapshot
from ansible_collections.holdfast.db.plugins.module_utils.errors import BadInput, ToolFailed
from ansible_collections.holdfast.db.plugins.module_utils.model import EngineSettings

ROLE = {
    "name": "app",
    "superuser": False,
    "inherit": True,
    "createrole": False,
    "createdb": False,
    "login": False,
    "replication": False,
    "bypassrls": False,
    "connection_limit": -1,
    "valid_until": None,
    "comment": None,
    "settings": [],
    "member_of": [],
}


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ('"$user", public', ["$user", "public"]),
        ('"with, comma", "quote""d",Bare', ["with, comma", 'quote"d', "bare"]),
        ("", []),
        ('"open', ['"open']),
        ("public; DROP TABLE x", ["public; drop table x"]),
    ],
)
def test_a_list_setting_is_taken_apart_as_the_server_does(value: str, items: list[str]) -> None:
    assert list_items(value) == items


@pytest.mark.parametrize(
    ("name", "value", "clause"),
    [
        ("work_mem", "4MB", "SET \"work_mem\" TO '4MB'"),
        ("search_path", '"$user", public', "SET \"search_path\" TO '$user', 'public'"),
        ("search_path", "", "SET \"search_path\" TO ''"),
        ("app.tenant", "it's", "SET \"app\".\"tenant\" TO 'it''s'"),
        ("DateStyle", "SQL, DMY", "SET \"DateStyle\" TO 'SQL, DMY'"),
    ],
)
def test_settings_become_sql(name: str, value: str, clause: str) -> None:
    assert set_clause(name, value) == clause


def test_own_settings_are_left_out_and_values_keep_their_equals_signs() -> None:
    assert split_settings(["a=b=c", "holdfast.restored={}", "Holdfast.x=1"]) == [("a", "b=c")]


def test_a_role_is_made_with_what_differs_from_the_default() -> None:
    role = dict(
        ROLE, name='a"b', login=True, inherit=False, connection_limit=3, comment="it's", settings=[("x.y", "1")]
    )
    assert creation_steps(role) == [
        'CREATE ROLE "a""b" NOINHERIT LOGIN CONNECTION LIMIT 3',
        'ALTER ROLE "a""b" SET "x"."y" TO \'1\'',
        "COMMENT ON ROLE \"a\"\"b\" IS 'it''s'",
    ]
    assert "rolname = 'a\"b'" in roles_sql([role])


@pytest.mark.parametrize(
    ("membership", "options"),
    [
        ({"role": "g", "admin": False}, ""),
        ({"role": "g", "admin": True}, " WITH ADMIN OPTION"),
        ({"role": "g", "admin": True, "inherit": True, "set": True}, " WITH ADMIN OPTION"),
        ({"role": "g", "admin": False, "inherit": False, "set": True}, " WITH ADMIN FALSE, INHERIT FALSE, SET TRUE"),
        ({"role": "g", "admin": True, "inherit": True, "set": False}, " WITH ADMIN TRUE, INHERIT TRUE, SET FALSE"),
    ],
)
def test_memberships_use_the_newer_words_only_where_they_are_needed(membership: dict, options: str) -> None:
    assert membership_sql(ROLE, membership) == 'GRANT "g" TO "app"' + options


def test_properties_name_no_database_so_that_they_fit_any() -> None:
    script = properties_sql(
        {
            "owner": "app",
            "acl": None,
            "settings": [{"role": "app", "name": "work_mem", "value": "1MB"}],
            "comment": "x",
            "security_labels": [],
            "connection_limit": 5,
            "is_template": True,
        }
    )
    assert script.count(':"database"') == 5


MANY = [50 << 20] * 4


@pytest.mark.parametrize(
    ("settings", "sizes", "encrypted", "form"),
    [
        (EngineSettings(jobs=2), MANY, False, "directory"),
        (EngineSettings(jobs=2), MANY, True, "stream"),
        (EngineSettings(jobs=1), MANY, False, "stream"),
        (EngineSettings(jobs=2), [], False, "stream"),
        (EngineSettings(jobs=2), [1000] * 4, False, "stream"),
        (EngineSettings(jobs=2), [1 << 30, 1 << 20], False, "stream"),
        (EngineSettings(jobs=2), [8192] * 20000, False, "stream"),
        (EngineSettings(jobs=1, form="directory"), [1000], False, "directory"),
        (EngineSettings(jobs=8, form="stream"), MANY, False, "stream"),
    ],
)
def test_the_form_follows_the_tables_the_jobs_and_encryption(
    settings: EngineSettings, sizes: list[int], encrypted: bool, form: str
) -> None:
    assert chosen_form(settings, sizes, encrypted=encrypted) == form


def test_forms_that_cannot_be_are_refused() -> None:
    with pytest.raises(BadInput, match="cannot be encrypted"):
        chosen_form(EngineSettings(form="directory"), MANY, encrypted=True)
    with pytest.raises(BadInput, match='no form "tar"'):
        chosen_form(EngineSettings(form="tar"), MANY, encrypted=False)


def test_contents_that_lack_objects_are_no_backup() -> None:
    snapshot = Snapshot("x", None, ())
    objects = {(1259, number): "public.t%d" % number for number in range(10)}
    listed = "; Archive\n" + "".join("%d; 1259 %d TABLE public t%d me\n" % (n, n, n) for n in range(10))
    check_contents(listed, snapshot, objects)
    with pytest.raises(ToolFailed, match=r'lacks "public.t3"; this'):
        check_contents(listed.replace("1259 3 ", "1259 33 "), snapshot, objects)
    with pytest.raises(ToolFailed, match="and 4 more"):
        check_contents("1; 1259 0 TABLE public t0 me\n", snapshot, objects)
    with pytest.raises(ToolFailed, match="no objects"):
        check_contents("; Archive\n", snapshot, objects)
