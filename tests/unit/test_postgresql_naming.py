"""The names that a restore gives to databases and roles."""

from __future__ import annotations

from datetime import UTC, datetime

from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.naming import (
    KEPT,
    LONGEST,
    is_load_name,
    is_ours,
    kept_name,
    load_name,
    lock_key,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
NAMES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1).filter(
    lambda name: len(name.encode()) <= LONGEST
)


@given(NAMES)
def test_no_name_is_ever_too_long_and_each_is_recognised(target: str) -> None:
    for name in (load_name(target, NOW), kept_name(target, NOW)):
        assert len(name.encode()) <= LONGEST
        assert is_ours(name)
    assert is_load_name(load_name(target, NOW), target)
    assert not is_load_name(load_name(target, NOW), target + "x")


@given(NAMES, NAMES)
def test_two_databases_never_share_a_name_or_a_lock(one: str, other: str) -> None:
    if one != other:
        assert kept_name(one, NOW) != kept_name(other, NOW)
        assert lock_key(one) != lock_key(other)
    assert -(2**63) <= lock_key(one) < 2**63


def test_a_kept_database_says_whose_it_was_and_when() -> None:
    assert kept_name("shop", NOW) == "shop_holdfast_20261120T063000Z"


def test_a_long_name_is_shortened_with_a_hash_and_not_through_a_letter() -> None:
    name = kept_name("ü" * 31, NOW)
    assert name.startswith("üü") and name.endswith("_holdfast_20261120T063000Z")
    assert name != kept_name("ü" * 30 + "u", NOW)


def test_ordinary_databases_are_not_ours() -> None:
    for name in ("shop", "holdfast", "holdfast_load_", "tenant_holdfast", "my_holdfast_2026", "holdfast_load_1_2_3"):
        assert not is_ours(name)


def test_a_renamed_kept_database_is_still_known_by_its_setting() -> None:
    assert is_ours("brought_back", frozenset({KEPT}))
