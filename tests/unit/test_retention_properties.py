# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What retention promises for every history of backups and every set of rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from ansible_collections.holdfast.db.plugins.module_utils.retention import Candidate, Plan, Rules, plan
from ansible_collections.holdfast.db.plugins.module_utils.units import parse_time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NOW = parse_time("2026-11-20T12:00:00Z")
COUNTS = tuple(Rules(max_count=1).keep_counts())
ZONES = (None, "Europe/Amsterdam", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
SPANS = (st.integers(min_value=1, max_value=96) | st.integers(min_value=1, max_value=800 * 24)).map(
    lambda hours: timedelta(hours=hours)
)
# In days before NOW: today, the clocks going back in Europe, and New Year inside an ISO week.
CROWDED = (0, 26, 324)
MINUTES_OF_DAYS = 24 * 60

EVERY = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def histories(draw, *, flagged: bool = False) -> list[Candidate]:
    """Up to 30 backups: crowded, old and future ones, a few of them of special standing."""
    rarely = st.sampled_from([False] * 9 + [True])
    crowds = st.builds(
        lambda days, minutes: days * MINUTES_OF_DAYS + minutes,
        st.sampled_from(CROWDED),
        st.integers(min_value=-3 * MINUTES_OF_DAYS, max_value=3 * MINUTES_OF_DAYS),
    )
    ages = crowds | st.integers(min_value=0, max_value=800 * MINUTES_OF_DAYS)
    backups: list[Candidate] = []
    for number in range(draw(st.integers(min_value=0, max_value=30))):
        parent = draw(st.sampled_from(backups)).id if backups and draw(rarely) else None
        backups.append(
            Candidate(
                id=f"b{number:02d}",
                moment=NOW - timedelta(minutes=draw(ages)),
                good=not draw(rarely),
                pinned=draw(rarely),
                safety=draw(rarely),
                proven=draw(rarely),
                flagged=flagged and draw(rarely),
                parent=parent,
            )
        )
    return backups


@st.composite
def rule_sets(draw, *, limits: bool = True) -> Rules:
    counts = draw(st.dictionaries(st.sampled_from(COUNTS), st.integers(min_value=0, max_value=12)))
    within = draw(st.none() | SPANS)
    older = draw(st.none() | SPANS) if limits else None
    most = draw(st.none() | st.integers(min_value=1, max_value=20)) if limits else None
    if not any(counts.values()) and within is None and older is None and most is None:
        counts = {**counts, "keep_last": draw(st.integers(min_value=1, max_value=12))}
    zone = draw(st.sampled_from(ZONES))
    return Rules(**counts, keep_within=within, remove_older_than=older, max_count=most, timezone=zone)


def ids(decisions) -> set[str]:
    return {decision.candidate.id for decision in decisions}


def countable(backups: list[Candidate]) -> list[Candidate]:
    """Newest first, the backups that rules may look at: said here once more, independently of the code."""
    sound = [one for one in backups if one.good and not one.safety and not one.flagged and one.moment <= NOW]
    return sorted(sound, key=lambda one: (one.moment, one.id), reverse=True)


# ---- what is never removed ----


@EVERY
@given(histories(), rule_sets())
def test_the_last_good_and_the_newest_proven_backup_are_never_removed(backups, rules):
    removed = ids(plan(backups, rules, NOW).remove)
    good = countable(backups)
    proven = [one for one in good if one.proven]
    assert not removed & {one.id for one in good[:1] + proven[:1]}


@EVERY
@given(histories(), rule_sets())
def test_pinned_safety_damaged_and_future_backups_are_never_removed(backups, rules):
    for decision in plan(backups, rules, NOW).remove:
        one = decision.candidate
        assert one.good
        assert not one.pinned
        assert not one.safety
        assert one.moment <= NOW


@EVERY
@given(histories(), rule_sets())
def test_no_kept_backup_loses_its_parent(backups, rules):
    decided = plan(backups, rules, NOW)
    assert not ids(decided.remove) & {decision.candidate.parent for decision in decided.keep}


@EVERY
@given(histories(flagged=True), rule_sets())
def test_while_a_backup_is_flagged_nothing_is_removed(backups, rules):
    decided = plan(backups, rules, NOW)
    flagged = [one.id for one in backups if one.flagged]
    assert (decided.held is not None) == bool(flagged)
    if flagged:
        assert not decided.remove
        assert any(one in decided.held for one in flagged)


# ---- the plan as a whole ----


@EVERY
@given(histories(flagged=True), rule_sets())
def test_every_backup_gets_one_decision_with_a_reason_newest_first(backups, rules):
    decisions = plan(backups, rules, NOW).decisions
    assert sorted(one.id for one in backups) == sorted(decision.candidate.id for decision in decisions)
    order = [(decision.candidate.moment, decision.candidate.id) for decision in decisions]
    assert order == sorted(order, reverse=True)
    for decision in decisions:
        assert decision.reasons
        assert all(reason.strip() and "\n" not in reason for reason in decision.reasons)


@EVERY
@given(histories(flagged=True), rule_sets(), st.randoms(use_true_random=False))
def test_the_order_in_which_backups_are_listed_is_irrelevant(backups, rules, chance):
    shuffled = chance.sample(backups, len(backups))
    assert plan(shuffled, rules, NOW) == plan(backups, rules, NOW)


@EVERY
@given(histories(), rule_sets())
def test_planning_again_over_the_survivors_removes_nothing(backups, rules):
    survivors = [decision.candidate for decision in plan(backups, rules, NOW).keep]
    assert not plan(survivors, rules, NOW).remove


@EVERY
@given(histories(), rule_sets(limits=False), st.sampled_from(COUNTS), st.integers(min_value=1, max_value=5))
def test_a_larger_keep_count_keeps_all_that_a_smaller_one_keeps(backups, rules, name, more):
    count = getattr(rules, name)
    if not count:
        rules = replace(rules, **{name: 1})
    larger = replace(rules, **{name: (count or 1) + more})
    assert ids(plan(backups, rules, NOW).keep) <= ids(plan(backups, larger, NOW).keep)


@EVERY
@given(histories(), rule_sets(limits=False), SPANS, SPANS)
def test_a_longer_keep_within_keeps_all_that_a_shorter_one_keeps(backups, rules, span, more):
    shorter, longer = replace(rules, keep_within=span), replace(rules, keep_within=span + more)
    assert ids(plan(backups, shorter, NOW).keep) <= ids(plan(backups, longer, NOW).keep)


@EVERY
@given(histories(), rule_sets(), SPANS, SPANS)
def test_a_later_remove_older_than_keeps_all_that_an_earlier_one_keeps(backups, rules, span, more):
    earlier, later = replace(rules, remove_older_than=span), replace(rules, remove_older_than=span + more)
    assert ids(plan(backups, earlier, NOW).keep) <= ids(plan(backups, later, NOW).keep)


@EVERY
@given(histories(), rule_sets(), st.integers(min_value=1, max_value=9), st.integers(min_value=1, max_value=5))
def test_a_larger_max_count_keeps_all_that_a_smaller_one_keeps(backups, rules, most, more):
    fewer, many = replace(rules, max_count=most), replace(rules, max_count=most + more)
    assert ids(plan(backups, fewer, NOW).keep) <= ids(plan(backups, many, NOW).keep)


@EVERY
@given(histories(), rule_sets(), st.integers(min_value=1, max_value=9))
def test_max_count_leaves_the_newest_of_what_the_other_rules_keep(backups, rules, most):
    backups = [replace(one, parent=None) for one in backups if not one.pinned]
    unlimited = ids(plan(backups, replace(rules, max_count=1000), NOW).keep)
    limited = ids(plan(backups, replace(rules, max_count=most), NOW).keep)
    counted = countable(backups)
    newest = [one.id for one in counted if one.id in unlimited][:most]
    proven = [one.id for one in counted if one.proven][:1]
    assert limited & {one.id for one in counted} == {*newest, *proven}


# ---- what is no reference ----


@EVERY
@given(histories(), rule_sets())
def test_damaged_safety_and_future_backups_change_nothing_for_the_others(backups, rules):
    backups = [replace(one, parent=None) for one in backups]
    counted = countable(backups)
    among_others = [one for one in plan(backups, rules, NOW).decisions if one.candidate in counted]
    assert among_others == list(plan(counted, rules, NOW).decisions)


@EVERY
@given(histories(), rule_sets(limits=False), st.integers(min_value=1, max_value=2000))
def test_silence_alone_removes_nothing(backups, rules, silence):
    past = [one for one in backups if one.moment <= NOW]
    later = NOW + timedelta(days=silence)
    assert kept_with_reasons(plan(past, rules, later)) == kept_with_reasons(plan(past, rules, NOW))


def kept_with_reasons(decided: Plan) -> list[tuple[str, tuple[str, ...]]]:
    return [(decision.candidate.id, decision.reasons) for decision in decided.keep]


# ---- against a naive oracle: sort all into periods, take the newest of each of the newest periods ----


def start_of_hour(local: datetime) -> datetime:
    return local.astimezone(UTC) - timedelta(minutes=local.minute)  # histories are made of whole minutes


def start_of_week(local: datetime) -> date:
    return date.fromordinal(local.toordinal() - (local.toordinal() - 1) % 7)


def start_of_quarter(local: datetime) -> date:
    return max(date(local.year, month, 1) for month in (1, 4, 7, 10) if month <= local.month)


STARTS = {
    "keep_hourly": start_of_hour,
    "keep_daily": datetime.toordinal,
    "keep_weekly": start_of_week,
    "keep_monthly": lambda local: date(local.year, local.month, 1),
    "keep_quarterly": start_of_quarter,
    "keep_yearly": lambda local: local.year,
}


def newest_of_each(counted: list[Candidate], count: int, start_of, zone: ZoneInfo) -> set[str]:
    start = {one.id: start_of(one.moment.astimezone(zone)) for one in counted}
    periods = sorted(set(start.values()), reverse=True)[:count]
    return {next(one.id for one in counted if start[one.id] == period) for period in periods}


@settings(EVERY, max_examples=400)
@given(
    histories(),
    st.dictionaries(st.sampled_from(sorted(STARTS)), st.integers(min_value=1, max_value=12), min_size=1),
    st.sampled_from(ZONES),
)
def test_calendar_rules_agree_with_a_naive_oracle(backups, counts, zone):
    backups = [replace(one, pinned=False, parent=None) for one in backups]
    counted = countable(backups)
    wanted = {one.id for one in counted[:1] + [one for one in counted if one.proven][:1]}
    for name, count in counts.items():
        wanted |= newest_of_each(counted, count, STARTS[name], ZoneInfo(zone or "UTC"))
    decided = plan(backups, Rules(**counts, timezone=zone), NOW)
    assert ids(decided.keep) & {one.id for one in counted} == wanted
