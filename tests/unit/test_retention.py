# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What retention keeps and removes, case by case, and the reasons it gives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import BadInput
from ansible_collections.holdfast.db.plugins.module_utils.retention import Candidate, Rules, plan
from ansible_collections.holdfast.db.plugins.module_utils.units import parse_time

NOW = parse_time("2026-11-20T12:00:00Z")
DAY = timedelta(days=1)


def backup(when: str | datetime, **properties) -> Candidate:
    """A backup of that moment, whose id is the moment as it was written."""
    if isinstance(when, datetime):
        return Candidate(id=when.isoformat(), moment=when, **properties)
    return Candidate(id=when, moment=parse_time(when if "T" in when else f"{when}T03:30:00Z"), **properties)


def days(*numbers: int) -> list[Candidate]:
    return [backup(f"2026-11-{number:02d}") for number in numbers]


def kept(decided) -> list[str]:
    return [decision.candidate.id for decision in decided.keep]


def why(decided, wanted: str) -> tuple[str, ...]:
    return next(decision.reasons for decision in decided.decisions if decision.candidate.id == wanted)


# ---- rules that cannot be meant ----


@pytest.mark.parametrize("options", [{}, {"keep_daily": 0}, {"keep_last": 0, "keep_yearly": 0}])
def test_without_any_rule_nothing_is_decided(options):
    with pytest.raises(BadInput, match="No retention rule is given"):
        Rules(**options)


@pytest.mark.parametrize("count", [-1, True, False, "7", 7.0])
@pytest.mark.parametrize("rule", ["keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly",
                                  "keep_quarterly", "keep_yearly", "max_count"])  # fmt: skip
def test_a_count_is_a_whole_number(rule, count):
    with pytest.raises(BadInput, match=f"{rule} is"):
        Rules(**{"keep_last": 3, rule: count})


def test_no_backup_at_all_is_not_a_count_that_one_can_ask_for():
    with pytest.raises(BadInput, match=r'max_count is "0".*1 or more'):
        Rules(max_count=0)


@pytest.mark.parametrize("rule", ["keep_within", "remove_older_than"])
@pytest.mark.parametrize("span", [timedelta(0), -DAY, 7, "7d", True])
def test_a_span_is_a_duration_longer_than_nothing(rule, span):
    with pytest.raises(BadInput, match=f"{rule} is"):
        Rules(**{rule: span})


@pytest.mark.parametrize("name", ["Europe/Atlantis", "Europe", "", "../etc/passwd", "/etc/localtime", "a\0b", 1])
def test_a_timezone_that_is_not_known_is_refused_by_name(name):
    with pytest.raises(BadInput, match=r"timezone .* is not known on this host"):
        Rules(keep_daily=7, timezone=name)


def test_a_time_without_an_offset_is_refused():
    with pytest.raises(BadInput, match="The time of backup one, 2026-11-20T03:30:00, has no offset"):
        Candidate("one", datetime(2026, 11, 20, 3, 30))
    with pytest.raises(BadInput, match="The time now"):
        plan([], Rules(keep_last=1), datetime(2026, 11, 20))


def test_a_backup_that_is_listed_twice_is_refused():
    with pytest.raises(BadInput, match="2026-11-20 is listed twice"):
        plan(days(19, 20, 20), Rules(keep_last=1), NOW)


def test_no_backups_no_decisions():
    assert plan([], Rules(keep_last=1), NOW).decisions == ()


# ---- keep_*: the newest backup of each of the newest periods ----


def test_keep_last_keeps_the_newest_and_says_what_the_others_lack():
    decided = plan(days(17, 18, 19, 20), Rules(keep_last=2), NOW)
    assert kept(decided) == ["2026-11-20", "2026-11-19"]
    assert why(decided, "2026-11-20") == ("the last good backup", "last 1 of 2")
    assert why(decided, "2026-11-19") == ("last 2 of 2",)
    assert why(decided, "2026-11-18") == ("no rule keeps it: last is full with 2 newer",)


def test_the_newest_of_a_day_stands_for_it():
    morning, noon, evening = (backup(f"2026-11-18T{hour}:00:00Z") for hour in ("06", "12", "18"))
    decided = plan([noon, morning, evening, *days(19, 20)], Rules(keep_daily=7), NOW)
    assert kept(decided) == ["2026-11-20", "2026-11-19", "2026-11-18T18:00:00Z"]
    assert why(decided, evening.id) == ("daily 3 of 7 (2026-11-18)",)
    assert why(decided, noon.id) == ("no rule keeps it: daily 2026-11-18 is held by 2026-11-18T18:00:00Z",)


def test_days_without_a_backup_use_up_no_count():
    decided = plan(days(1, 5, 9, 20), Rules(keep_daily=3), NOW)
    assert kept(decided) == ["2026-11-20", "2026-11-09", "2026-11-05"]


@pytest.mark.parametrize(
    ("rule", "moments", "wanted", "period"),
    [
        ("keep_hourly", ["2026-11-20T05:59:00Z", "2026-11-20T06:00:00Z", "2026-11-20T06:59:59Z"], [2, 0],
         "hourly 2 of 9 (2026-11-20 05:00+0000)"),
        ("keep_daily", ["2026-11-18T23:59:59Z", "2026-11-19T00:00:00Z", "2026-11-19T23:59:59Z"], [2, 0],
         "daily 2 of 9 (2026-11-18)"),
        # 2027-01-03 is a Sunday of ISO week 53 of 2026
        ("keep_weekly", ["2026-12-27", "2026-12-28", "2027-01-03"], [2, 0], "weekly 2 of 9 (2026-W52)"),
        ("keep_monthly", ["2026-09-30", "2026-10-01", "2026-10-31"], [2, 0], "monthly 2 of 9 (2026-09)"),
        ("keep_quarterly", ["2026-06-30", "2026-07-01", "2026-09-30"], [2, 0], "quarterly 2 of 9 (2026-Q2)"),
        ("keep_yearly", ["2025-12-31", "2026-01-01", "2026-11-20"], [2, 0], "yearly 2 of 9 (2025)"),
    ],
)  # fmt: skip
def test_each_period_ends_where_the_calendar_says(rule, moments, wanted, period):
    decided = plan([backup(moment) for moment in moments], Rules(**{rule: 9}), NOW + 60 * DAY)
    assert kept(decided) == [moments[index] for index in wanted]
    assert why(decided, moments[0]) == (period,)


def test_one_backup_can_serve_several_rules():
    decided = plan(days(20), Rules(keep_last=1, keep_daily=7, keep_yearly=2), NOW)
    assert why(decided, "2026-11-20") == (
        "the last good backup",
        "last 1 of 1",
        "daily 1 of 7 (2026-11-20)",
        "yearly 1 of 2 (2026)",
    )


def test_a_backup_removed_has_the_answer_of_every_rule():
    decided = plan(days(18, 19, 20), Rules(keep_daily=2, keep_monthly=3, keep_within=DAY), NOW)
    assert why(decided, "2026-11-18") == (
        "no rule keeps it: daily is full with 2 newer; monthly 2026-11 is held by 2026-11-20; "
        "not within 1d of the newest good backup",
    )


def test_equal_moments_are_ordered_by_id():
    twins = [Candidate(name, NOW - DAY) for name in ("b", "c", "a")]
    decided = plan(twins, Rules(keep_daily=1), NOW)
    assert [decision.candidate.id for decision in decided.decisions] == ["c", "b", "a"]
    assert kept(decided) == ["c"]


# ---- time zones ----


def test_a_day_is_a_day_of_the_declared_zone():
    late, later = backup("2026-11-18T22:30:00Z"), backup("2026-11-18T23:30:00Z")  # in Amsterdam 23:30, 00:30
    assert kept(plan([late, later], Rules(keep_daily=7), NOW)) == [later.id]
    in_amsterdam = Rules(keep_daily=7, timezone="Europe/Amsterdam")
    assert kept(plan([late, later], in_amsterdam, NOW)) == [later.id, late.id]


def test_the_offset_that_a_time_is_written_with_does_not_matter():
    elsewhere = replace(backup("2026-11-18T23:30:00Z"), moment=parse_time("2026-11-19T08:30:00+09:00"))
    decided = plan([elsewhere], Rules(keep_daily=7), NOW)
    assert why(decided, elsewhere.id)[1] == "daily 1 of 7 (2026-11-18)"


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-03-28T23:00:00Z", "2026-03-29T21:59:00Z"),  # the clocks go forward: a day of 23 hours
        ("2026-10-24T22:00:00Z", "2026-10-25T22:59:00Z"),  # the clocks go back: a day of 25 hours
    ],
)
def test_a_day_on_which_the_clocks_change_is_one_day(first, last):
    minute = timedelta(minutes=1)
    day = [backup(first), backup(last)]
    around = [backup(day[0].moment - minute), *day, backup(day[1].moment + minute)]
    decided = plan(around, Rules(keep_daily=9, timezone="Europe/Amsterdam"), NOW)
    assert kept(decided) == [around[3].id, around[2].id, around[0].id]


def test_the_hour_that_comes_twice_is_two_hours():
    hours = [backup(f"2026-10-25T0{hour}:30:00Z") for hour in (0, 1)]  # both 02:30 in Amsterdam
    decided = plan(hours, Rules(keep_hourly=5, timezone="Europe/Amsterdam"), NOW)
    assert [decision.reasons[-1] for decision in decided.keep] == [
        "hourly 1 of 5 (2026-10-25 02:00+0100)",
        "hourly 2 of 5 (2026-10-25 02:00+0200)",
    ]


def test_spans_are_counted_in_elapsed_time_even_over_a_change_of_the_clocks():
    amsterdam = ZoneInfo("Europe/Amsterdam")
    before, after = (datetime(2026, 10, day, 12, tzinfo=amsterdam) for day in (24, 25))  # 25 hours apart
    rules = Rules(keep_within=DAY)
    assert kept(plan([backup(before), backup(after)], rules, NOW)) == [after.isoformat()]
    decided = plan([backup(before), backup(after)], Rules(remove_older_than=DAY), after)
    assert kept(decided) == [after.isoformat()]


def test_the_calendar_of_a_zone_far_ahead_of_utc_is_its_own():
    new_year = backup(datetime(2025, 12, 31, 10, 30, tzinfo=UTC))  # 2026 already on Kiritimati
    decided = plan([new_year], Rules(keep_yearly=1, timezone="Pacific/Kiritimati"), NOW)
    assert decided.keep[0].reasons[-1] == "yearly 1 of 1 (2026)"


# ---- keep_within, remove_older_than, max_count ----


def test_keep_within_counts_back_from_the_newest_good_backup():
    decided = plan(days(1, 5, 6, 7, 8), Rules(keep_within=2 * DAY), NOW)
    assert kept(decided) == ["2026-11-08", "2026-11-07", "2026-11-06"]
    assert why(decided, "2026-11-06") == ("within 2d of the newest good backup",)


def test_a_year_of_silence_removes_nothing_that_keep_within_kept():
    backups, rules = days(5, 6, 7, 8), Rules(keep_within=3 * DAY)
    assert kept(plan(backups, rules, NOW + 365 * DAY)) == kept(plan(backups, rules, NOW)) == [
        "2026-11-08", "2026-11-07", "2026-11-06", "2026-11-05",
    ]  # fmt: skip


@pytest.mark.parametrize("odd", [{"good": False}, {"safety": True}])
def test_keep_within_does_not_count_from_a_damaged_or_safety_backup(odd):
    backups = [*days(5, 6), backup("2026-11-19", **odd)]
    assert kept(plan(backups, Rules(keep_within=DAY), NOW)) == ["2026-11-19", "2026-11-06", "2026-11-05"]


def test_remove_older_than_is_stronger_than_keep_rules_and_weaker_than_guards():
    backups = [*days(1, 2, 18), backup("2026-10-01", pinned=True), backup("2026-10-02", proven=True)]
    decided = plan(backups, Rules(keep_daily=30, remove_older_than=7 * DAY), NOW)
    assert kept(decided) == ["2026-11-18", "2026-10-02", "2026-10-01"]
    assert why(decided, "2026-11-01") == ("older than 7d",)
    assert why(decided, "2026-10-02") == ("the newest proven backup", "daily 4 of 30 (2026-10-02)")
    assert why(decided, "2026-10-01") == ("pinned", "daily 5 of 30 (2026-10-01)")


def test_with_an_age_alone_everything_younger_stays():
    decided = plan(days(1, 18, 19, 20), Rules(remove_older_than=7 * DAY), NOW)
    assert kept(decided) == ["2026-11-20", "2026-11-19", "2026-11-18"]
    assert why(decided, "2026-11-19") == ("neither too old nor one too many",)


def test_a_backup_exactly_of_the_age_is_not_yet_older():
    backups = [backup(NOW - 7 * DAY), backup(NOW - 7 * DAY - timedelta(microseconds=1)), backup(NOW)]
    assert kept(plan(backups, Rules(remove_older_than=7 * DAY), NOW)) == [backups[2].id, backups[0].id]


def test_max_count_leaves_the_newest():
    decided = plan(days(16, 17, 18, 19, 20), Rules(max_count=3), NOW)
    assert kept(decided) == ["2026-11-20", "2026-11-19", "2026-11-18"]
    assert why(decided, "2026-11-17") == ("beyond max_count 3",)


def test_max_count_counts_what_the_other_rules_leave():
    backups = [*days(17, 18, 19, 20), *(backup(f"2026-11-{day}T01:00:00Z") for day in (18, 19, 20))]
    decided = plan(backups, Rules(keep_daily=9, max_count=3), NOW)
    assert kept(decided) == ["2026-11-20", "2026-11-19", "2026-11-18"]
    assert why(decided, "2026-11-19T01:00:00Z") == ("no rule keeps it: daily 2026-11-19 is held by 2026-11-19",)


def test_guards_are_counted_by_max_count_but_not_removed():
    backups = [*days(18, 20), backup("2026-11-19", pinned=True), backup("2026-11-10", pinned=True)]
    assert kept(plan(backups, Rules(max_count=2), NOW)) == ["2026-11-20", "2026-11-19", "2026-11-10"]


def test_all_limits_that_are_passed_are_named():
    decided = plan(days(1, 2, 19, 20), Rules(keep_monthly=1, remove_older_than=7 * DAY, max_count=1), NOW)
    assert why(decided, "2026-11-01") == (
        "no rule keeps it: monthly 2026-11 is held by 2026-11-20",
        "older than 7d",
        "beyond max_count 1",
    )


# ---- guards ----


def test_the_last_good_backup_stays_however_old():
    decided = plan(days(1, 2), Rules(remove_older_than=DAY), NOW + 1000 * DAY)
    assert kept(decided) == ["2026-11-02"]
    assert why(decided, "2026-11-02")[0] == "the last good backup"


def test_the_newest_proven_backup_stays_and_older_proofs_may_go():
    backups = [backup("2026-11-03", proven=True), backup("2026-11-04", proven=True), *days(19, 20)]
    decided = plan(backups, Rules(keep_last=1), NOW)
    assert kept(decided) == ["2026-11-20", "2026-11-04"]
    assert why(decided, "2026-11-04") == ("the newest proven backup",)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"safety": True}, "a safety backup, outside retention"),
        ({"good": False}, "not a good backup, so it is not counted: look at it"),
    ],
)
def test_safety_and_damaged_backups_stay_and_take_no_place(odd, reason):
    backups = [*days(17, 18), backup("2026-11-19", **odd), backup("2026-11-20", **odd)]
    decided = plan(backups, Rules(keep_daily=2, remove_older_than=30 * DAY, max_count=2), NOW)
    assert decided.remove == ()
    assert why(decided, "2026-11-20") == (reason,)
    assert why(decided, "2026-11-18") == ("the last good backup", "daily 1 of 2 (2026-11-18)")


def test_a_damaged_proof_does_not_release_the_sound_one_before_it():
    damaged = backup("2026-11-18", proven=True, good=False)
    backups = [backup("2026-11-01", proven=True), *days(19, 20), damaged]
    assert "2026-11-01" in kept(plan(backups, Rules(keep_last=1), NOW))


def test_a_backup_from_the_future_stays_and_takes_no_place():
    future = backup("2027-11-20")
    decided = plan([*days(18, 19, 20), future], Rules(keep_last=2, keep_within=DAY, max_count=2), NOW)
    assert kept(decided) == [future.id, "2026-11-20", "2026-11-19"]
    assert why(decided, future.id) == (
        "dated in the future (2027-11-20T03:30:00Z), so it is not counted: check the clocks",
    )


def test_this_very_moment_is_not_the_future():
    assert why(plan([backup(NOW)], Rules(keep_last=1), NOW), NOW.isoformat())[0] == "the last good backup"


def test_a_flagged_backup_holds_everything_until_it_is_acknowledged():
    backups = [*days(17, 18, 19), backup("2026-11-20", flagged=True)]
    decided = plan(backups, Rules(keep_last=1, remove_older_than=DAY), NOW)
    assert decided.remove == ()
    assert decided.held is not None
    assert "2026-11-20" in decided.held
    assert "acknowledge: 2026-11-20" in decided.held
    assert why(decided, "2026-11-17") == ("nothing is removed while a backup is flagged",)
    assert "flagged: departs from the backups before it" in why(decided, "2026-11-20")
    assert plan(days(17, 18, 19, 20), Rules(keep_last=1), NOW).held is None


def test_many_flagged_backups_still_make_one_short_sentence():
    backups = [replace(one, flagged=True) for one in days(*range(1, 20))]
    held = plan(backups, Rules(keep_last=1), NOW).held
    assert "2026-11-19, 2026-11-18, 2026-11-17 and 16 more" in held
    assert "\n" not in held


# ---- chains ----


def chain(*numbers: int) -> list[Candidate]:
    """A full backup and the incremental ones that each stand on the one before."""
    links = days(*numbers)
    return [links[0], *(replace(link, parent=before.id) for before, link in pairwise(links))]


def test_everything_that_a_kept_incremental_backup_stands_on_stays():
    rules = Rules(keep_last=1, remove_older_than=DAY, max_count=1)
    decided = plan([*days(1), *chain(15, 16, 17)], rules, NOW)
    assert kept(decided) == ["2026-11-17", "2026-11-16", "2026-11-15"]
    assert why(decided, "2026-11-15") == ("the incremental backup 2026-11-16 needs it",)


def test_a_chain_that_nothing_needs_goes_as_a_whole():
    decided = plan([*chain(10, 11, 12), *chain(18, 19)], Rules(keep_last=1), NOW)
    assert kept(decided) == ["2026-11-19", "2026-11-18"]


def test_a_pinned_incremental_backup_keeps_its_parents():
    full, link, tip = chain(10, 11, 12)
    decided = plan([full, replace(link, pinned=True), tip, *days(20)], Rules(keep_last=1), NOW)
    assert kept(decided) == ["2026-11-20", "2026-11-11", "2026-11-10"]


def test_a_parent_that_looks_newer_than_its_child_stays_too():
    full, child = backup("2026-11-15"), backup("2026-11-10", parent="2026-11-15", pinned=True)
    decided = plan([full, child, *days(20)], Rules(keep_last=1), NOW)
    assert kept(decided) == ["2026-11-20", full.id, child.id]


def test_chains_that_are_broken_or_circular_do_not_stop_the_plan():
    lost = backup("2026-11-19", parent="gone")
    ring = [backup("2026-11-10", parent="2026-11-11", pinned=True), backup("2026-11-11", parent="2026-11-10")]
    decided = plan([lost, *ring], Rules(keep_last=1), NOW)
    assert kept(decided) == ["2026-11-19", "2026-11-11", "2026-11-10"]


def test_a_chain_of_ten_thousand_links_is_followed_to_its_full_backup():
    ages = range(10_000)
    links = [Candidate(str(age), NOW - timedelta(minutes=age), parent=str(age + 1)) for age in ages]
    assert plan(links, Rules(keep_last=1), NOW).remove == ()
