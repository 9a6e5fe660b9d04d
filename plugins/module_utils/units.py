# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations, times and sizes: read strictly from what people write, written back for people to read.

Everything in this file is pure: no clock, no locale, no environment.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from .errors import BadInput, shown

_DURATION = re.compile(r"(?P<number>[0-9]+)(?P<unit>[smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
# Far beyond any backup, and small enough that a moment of our time plus or minus it is a valid datetime.
_LONGEST_WEEKS = 52_000

_OFFSET = r"(?P<offset>[Zz]|(?P<sign>[+-])(?P<off_hour>[0-9]{2})(?::?(?P<off_minute>[0-9]{2}))?)"
_FRACTION = r"(?:[.,](?P<fraction>[0-9]+))?"
_DATE = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}")
_TIMES = (
    re.compile(  # 2026-11-20T06:30:00Z
        r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})[Tt ]"
        r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})" + _FRACTION + r")?"
        r"(?: ?" + _OFFSET + r")?"
    ),
    re.compile(  # 20261120T063000Z
        r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})[Tt]"
        r"(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?:(?P<second>[0-9]{2})" + _FRACTION + r")?" + _OFFSET + r"?"
    ),
)

_SIZE = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?) ?(?P<unit>B|(?:[KMGTP](?:iB)?))?")
_SIZE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_LARGEST_SIZE = 2**63 - 1  # what a file offset can hold


def parse_duration(text: str) -> timedelta:
    """``90s``, ``30m``, ``26h``, ``7d``, ``4w`` as a timedelta; zero is allowed, nothing is negative.

    Raises BadInput for anything else. Months and years are refused because they have no fixed length.
    """
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise BadInput(
            f"{shown(text)} is not a duration; write a whole number and one of s, m, h, d, w, "
            "such as 90s, 30m, 26h, 7d or 4w (months and years vary in length, so write 30d or 52w)."
        )
    # Decimal, because int() of a very long string of digits is refused by newer versions of Python.
    seconds = Decimal(found["number"]) * _SECONDS[found["unit"]]
    if seconds > _LONGEST_WEEKS * _SECONDS["w"]:
        raise BadInput(
            f"{shown(text)} is too long for a duration; write at most {_LONGEST_WEEKS}w, in a form such as "
            "30m, 26h, 7d or 4w."
        )
    return timedelta(seconds=int(seconds))


def format_duration(duration: timedelta) -> str:
    """A duration for people, in its two largest units: ``3d 4h``, ``2h 5m``, ``12s``, ``0.8s``."""
    milliseconds = abs(duration) // timedelta(milliseconds=1)
    sign = "-" if duration < timedelta(0) and milliseconds else ""
    if milliseconds < 10_000:
        return sign + _short_duration(milliseconds)
    rest = milliseconds // 1000
    counts = []
    for unit in "dhms":
        count, rest = divmod(rest, _SECONDS[unit])
        counts.append((count, unit))
    largest = next(index for index, (count, _unit) in enumerate(counts) if count)
    return sign + " ".join(f"{count}{unit}" for count, unit in counts[largest : largest + 2] if count)


def _short_duration(milliseconds: int) -> str:
    if milliseconds == 0:
        return "0s"
    if milliseconds < 100:
        return f"{milliseconds}ms"
    seconds, tenths = divmod(milliseconds // 100, 10)
    return f"{seconds}.{tenths}s" if tenths else f"{seconds}s"


def parse_time(text: str) -> datetime:
    """An ISO 8601 time with its offset, as an aware datetime in UTC.

    Read are the extended form (``2026-11-20T06:30:00Z``, a space for the ``T``, without seconds, with a
    fraction, offsets ``Z``, ``+01:00``, ``+0100``, ``+01``) and the basic form (``20261120T063000Z``). Digits
    of a fraction beyond the microsecond are cut off. Raises BadInput for anything else, above all for a time
    without an offset: what it means would depend on the machine that reads it.
    """
    if not isinstance(text, str):
        raise BadInput(f"{shown(text)} is not a time; write text such as 2026-11-20T06:30:00Z.")
    if _DATE.fullmatch(text):
        raise BadInput(
            f"{shown(text)} is a date without a time of day; write the time and its offset too, such as "
            "2026-11-20T06:30:00Z."
        )
    found = next(filter(None, (form.fullmatch(text) for form in _TIMES)), None)
    if found is None:
        raise BadInput(
            f"{shown(text)} is not a time; write ISO 8601 with an offset, such as 2026-11-20T06:30:00Z or "
            "2026-11-20T07:30:00+01:00."
        )
    if found["offset"] is None:
        raise BadInput(
            f"{shown(text)} has no offset from UTC, so it names no moment; add one, such as {text}Z for UTC "
            f"or {text}+01:00."
        )
    try:
        return _moment(found)
    except (ValueError, OverflowError) as error:
        raise BadInput(
            f"{shown(text)} is not a time that exists ({error}); write one such as 2026-11-20T06:30:00Z."
        ) from error


def _moment(found: re.Match[str]) -> datetime:
    offset = timezone.utc
    if found["sign"]:
        if int(found["off_minute"] or 0) > 59:
            raise ValueError("the minutes of the offset must be in 0..59")
        distance = timedelta(hours=int(found["off_hour"]), minutes=int(found["off_minute"] or 0))
        offset = timezone(-distance if found["sign"] == "-" else distance)
    local = datetime(
        int(found["year"]),
        int(found["month"]),
        int(found["day"]),
        int(found["hour"]),
        int(found["minute"]),
        int(found["second"] or 0),
        int((found["fraction"] or "0")[:6].ljust(6, "0")),
        tzinfo=offset,
    )
    return local.astimezone(timezone.utc)


def format_time(moment: datetime, *, microseconds: bool = False) -> str:
    """A moment as ``2026-11-20T06:30:00Z``, or ``2026-11-20T06:30:00.250000Z`` with ``microseconds``.

    Raises ValueError for a datetime without an offset: our own code has no such datetimes.
    """
    if moment.utcoffset() is None:
        raise ValueError(f"{moment!r} has no offset from UTC")
    utc = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return utc.isoformat(timespec="microseconds" if microseconds else "seconds") + "Z"


def parse_size(text: str) -> int:
    """``4096``, ``512 KiB``, ``1.5 GiB`` or ``10G`` as bytes; K, M, G, T and P are powers of 1024.

    A fraction of a byte is cut off. Raises BadInput for anything else; ``GB`` and its kin are refused,
    because half of the world reads them as powers of 1000.
    """
    found = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise BadInput(
            f"{shown(text)} is not a size; write a number and B, KiB, MiB, GiB, TiB or PiB, such as 512 MiB "
            "or 1.5 GiB (units are powers of 1024, so GB is not read)."
        )
    power = "BKMGTP".index((found["unit"] or "B")[0])
    size = Decimal(found["number"]) * 1024**power
    if size > _LARGEST_SIZE:
        raise BadInput(f"{shown(text)} is too large for a size; write less than 8192 PiB, such as 512 MiB or 1.5 GiB.")
    return int(size)


def format_size(size: int) -> str:
    """Bytes for people: ``0 B``, ``512 B``, ``1.5 GiB``, ``2 TiB``."""
    sign = "-" if size < 0 else ""
    number, power = float(abs(size)), 0
    # 1023.95 would be printed as 1024.0, so it moves to the next unit already.
    while number >= 1023.95 and power < len(_SIZE_UNITS) - 1:
        number, power = number / 1024, power + 1
    digits = f"{number:.1f}"
    return f"{sign}{digits[:-2] if digits.endswith('.0') else digits} {_SIZE_UNITS[power]}"
