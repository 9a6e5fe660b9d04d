# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations, times and sizes are read strictly, refused helpfully and written for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import BadInput
from ansible_collections.holdfast.db.plugins.module_utils.units import (
    format_duration,
    format_size,
    format_time,
    parse_duration,
    parse_size,
    parse_time,
)
from hypothesis import given
from hypothesis import strategies as st

HALF_PAST_SIX = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)


# ---- durations ----


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("26h", timedelta(hours=26)),
        ("7d", timedelta(days=7)),
        ("4w", timedelta(weeks=4)),
        ("0s", timedelta(0)),
        ("007d", timedelta(days=7)),
        ("52000w", timedelta(weeks=52000)),
    ],
)
def test_a_duration_is_a_whole_number_and_a_unit(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    ["", " ", "7", "d", "1.5h", "-7d", "+7d", "7 d", " 7d", "7d\n", "7D", "2h30m", "P7D", "6mo", "1M", "1y",
     "\N{ARABIC-INDIC DIGIT SEVEN}d", "x" * 500],
)  # fmt: skip
def test_anything_else_is_refused_with_the_forms_that_are_allowed(text):
    with pytest.raises(BadInput) as refused:
        parse_duration(text)
    message = str(refused.value)
    assert "\n" not in message
    assert text.strip() in message
    for form in ("30m", "26h", "7d", "4w"):
        assert form in message


@pytest.mark.parametrize("value", [7, 7.5, True, None, ["7d"], b"7d", timedelta(days=7)])
def test_a_duration_that_is_not_text_is_refused(value):
    with pytest.raises(BadInput, match="is not a duration"):
        parse_duration(value)


def test_the_refusal_of_months_says_why():
    with pytest.raises(BadInput, match="months and years vary in length, so write 30d or 52w"):
        parse_duration("6mo")


@pytest.mark.parametrize("text", ["99999999999w", "52001w", "9" * 30 + "s", "9" * 6000 + "d"])
def test_a_duration_too_long_for_a_calendar_is_refused(text):
    with pytest.raises(BadInput, match=r"is too long for a duration.*30m, 26h, 7d or 4w"):
        parse_duration(text)


def test_the_longest_duration_can_be_added_to_and_taken_from_a_moment_of_our_time():
    assert (HALF_PAST_SIX - parse_duration("52000w")).year == 1030
    assert (HALF_PAST_SIX + parse_duration("52000w")).year == 3023


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(microseconds=400), "0s"),
        (timedelta(microseconds=-400), "0s"),
        (timedelta(milliseconds=35), "35ms"),
        (timedelta(milliseconds=800), "0.8s"),
        (timedelta(seconds=3), "3s"),
        (timedelta(milliseconds=9999), "9.9s"),
        (timedelta(seconds=12.7), "12s"),
        (timedelta(seconds=90), "1m 30s"),
        (timedelta(minutes=30), "30m"),
        (timedelta(hours=2, minutes=5, seconds=59), "2h 5m"),
        (timedelta(hours=2, seconds=59), "2h"),
        (timedelta(hours=26), "1d 2h"),
        (timedelta(days=3, hours=4, minutes=5), "3d 4h"),
        (timedelta(weeks=60), "420d"),
        (timedelta(hours=-2, minutes=-5), "-2h 5m"),
    ],
)
def test_a_duration_is_shown_in_its_two_largest_units(duration, text):
    assert format_duration(duration) == text


# ---- times ----


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T06:30:00Z",
        "2026-11-20t06:30:00z",
        "2026-11-20T06:30Z",
        "2026-11-20 06:30:00Z",
        "2026-11-20 06:30:00 +00:00",
        "2026-11-20T07:30:00+01:00",
        "2026-11-20T07:30:00+0100",
        "2026-11-20 07:30:00+01",
        "2026-11-20T01:00:00-05:30",
        "2026-11-20T06:30:00.000Z",
        "2026-11-20T06:30:00,000000000Z",
        "20261120T063000Z",
        "20261120T0630Z",
        "20261120T073000+0100",
        "2026-11-21T06:29:00+23:59",
    ],
)
def test_every_spelling_of_one_moment_is_that_moment_in_utc(text):
    moment = parse_time(text)
    assert moment == HALF_PAST_SIX
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-11-20T06:30:00.5Z", 500_000),
        ("2026-11-20T06:30:00.25Z", 250_000),
        ("2026-11-20T06:30:00.123456Z", 123_456),
        ("20261120T063000.123456789Z", 123_456),
    ],
)
def test_a_fraction_is_kept_to_the_microsecond(text, microsecond):
    assert parse_time(text).microsecond == microsecond


@pytest.mark.parametrize(
    "text", ["2026-11-20T06:30:00", "2026-11-20 06:30", "20261120T063000", "2026-11-20T06:30:00.5"]
)
def test_a_time_without_an_offset_is_refused_and_told_to_add_one(text):
    with pytest.raises(BadInput, match="add one") as refused:
        parse_time(text)
    assert f"{text}Z" in str(refused.value)
    assert parse_time(f"{text}Z")


@pytest.mark.parametrize("text", ["2026-11-20", "20261120"])
def test_a_date_alone_is_refused(text):
    with pytest.raises(BadInput, match="a date without a time of day"):
        parse_time(text)


@pytest.mark.parametrize(
    "text",
    ["", "now", "latest", "1763620200", "2026-11-20T6:30:00Z", "2026-11-20T06:30:00ZZ",
     "2026-11-20T06:30:00 CET",
     "2026-11-20T06:30:00Z\n", "20-11-2026T06:30:00Z", "2026-W47-5T06:30:00Z", "2026-11-20T063000Z",
     "\N{ARABIC-INDIC DIGIT TWO}026-11-20T06:30:00Z", "2026-11-20T06:30:00+1", None, 1763620200,
     HALF_PAST_SIX],
)  # fmt: skip
def test_what_is_no_time_is_refused(text):
    with pytest.raises(BadInput, match="is not a time; write") as refused:
        parse_time(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["2026-02-29T06:30:00Z", "2026-13-01T06:30:00Z", "2026-11-20T24:00:00Z", "2026-11-20T06:60:00Z",
     "2026-11-20T06:30:60Z", "2026-11-20T06:30:00+24:00", "2026-11-20T06:30:00+01:60",
     "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00Z"],
)  # fmt: skip
def test_a_time_that_no_calendar_has_is_refused(text):
    with pytest.raises(BadInput, match="is not a time that exists"):
        parse_time(text)


@given(
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)),
    st.integers(min_value=-23 * 60 - 59, max_value=23 * 60 + 59),
)
def test_what_python_writes_is_read_back_as_the_same_moment(naive, minutes):
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_time(moment.isoformat()) == moment
    assert parse_time(str(moment)) == moment
    assert parse_time(format_time(moment, microseconds=True)) == moment


def test_a_time_is_written_in_utc_with_microseconds_only_on_demand():
    moment = parse_time("2026-11-20T07:30:00.25+01:00")
    assert format_time(moment) == "2026-11-20T06:30:00Z"
    assert format_time(moment, microseconds=True) == "2026-11-20T06:30:00.250000Z"
    assert format_time(HALF_PAST_SIX, microseconds=True) == "2026-11-20T06:30:00.000000Z"


def test_a_time_without_an_offset_is_never_written():
    with pytest.raises(ValueError, match="no offset"):
        format_time(datetime(2026, 11, 20, 6, 30))


# ---- sizes ----


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("512 B", 512),
        ("1KiB", 1024),
        ("512 MiB", 512 * 1024**2),
        ("1.5 GiB", 3 * 1024**3 // 2),
        ("10G", 10 * 1024**3),
        ("2T", 2 * 1024**4),
        ("0.1 KiB", 102),
        ("8191 PiB", 8191 * 1024**5),
    ],
)
def test_a_size_is_read_in_powers_of_1024(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "GiB", "10 GB", "10gb", "10 gib", "-1", "1,5 GiB", ".5 GiB", "1e3", "1  GiB", " 1", "1\n", "nan",
     4096, None],
)  # fmt: skip
def test_a_size_in_any_other_form_is_refused(text):
    with pytest.raises(BadInput, match=r"is not a size.*512 MiB or 1\.5 GiB"):
        parse_size(text)


@pytest.mark.parametrize("text", ["8192 PiB", "9" * 5000])
def test_a_size_beyond_any_file_is_refused(text):
    with pytest.raises(BadInput, match="is too large for a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1 MiB"),
        (3 * 1024**3 // 2, "1.5 GiB"),
        (2 * 1024**4, "2 TiB"),
        (5000 * 1024**5, "5000 PiB"),
        (-1536, "-1.5 KiB"),
    ],
)
def test_a_size_is_shown_in_the_unit_that_fits(size, text):
    assert format_size(size) == text


@given(st.integers(min_value=0, max_value=2**62))
def test_a_size_shown_and_read_back_is_off_by_a_twentieth_of_its_unit_at_most(size):
    shown = format_size(size)
    unit = parse_size("1 " + shown.split()[1])
    assert abs(parse_size(shown) - size) <= unit / 20 + 1
