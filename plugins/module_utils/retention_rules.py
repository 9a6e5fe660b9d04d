# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What retention is asked: the backups as it sees them, and the rules that their owner gave."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .errors import BadInput, shown


@dataclass(frozen=True)
class Candidate:
    """One backup as retention sees it. Raises BadInput for a moment without an offset from UTC."""

    id: str
    moment: datetime  # the time of consistency; kept in UTC, whichever offset it came with
    good: bool = True
    pinned: bool = False
    safety: bool = False  # what a restore took of the database it was about to replace
    proven: bool = False  # a drill restored it and found everything
    flagged: bool = False  # departs from its predecessors and nobody has acknowledged that
    parent: str | None = None  # the backup that this incremental one needs

    def __post_init__(self) -> None:
        if self.moment.utcoffset() is None:
            raise BadInput(f"The time of backup {self.id}, {self.moment.isoformat()}, has no offset from UTC; add one.")
        # Python subtracts two times of one zone by their wall clocks, an hour wrong when clocks were changed.
        object.__setattr__(self, "moment", self.moment.astimezone(timezone.utc))


@dataclass(frozen=True)
class Rules:
    """What the owner asked for. Raises BadInput unless at least one rule is given and all of them make sense.

    A keep_* count of 0 or None turns that rule off. ``timezone`` is the IANA name of the zone whose hours,
    days, weeks (ISO: from Monday), months, quarters and years are meant; UTC when it is None.
    """

    keep_last: int | None = None
    keep_hourly: int | None = None
    keep_daily: int | None = None
    keep_weekly: int | None = None
    keep_monthly: int | None = None
    keep_quarterly: int | None = None
    keep_yearly: int | None = None
    keep_within: timedelta | None = None  # back from the newest good backup, so that silence removes nothing
    remove_older_than: timedelta | None = None  # back from now; stronger than every keep_*
    max_count: int | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        for name, count in self.keep_counts().items():
            if count is not None and (not _is_whole(count) or count < 0):
                raise BadInput(f"The option {name} is {shown(count)}; write how many backups to keep, such as 7.")
        if self.max_count is not None and (not _is_whole(self.max_count) or self.max_count < 1):
            raise BadInput(
                f"The option max_count is {shown(self.max_count)}; write how many backups may stay, 1 or more."
            )
        for name, span in self._spans().items():
            if span is not None and (not isinstance(span, timedelta) or span <= timedelta(0)):
                raise BadInput(
                    f"The option {name} is {shown(span)}; write a duration longer than nothing, such as 30d."
                )
        given = [*self.keep_counts().values(), *self._spans().values(), self.max_count]
        if not any(given):
            raise BadInput(
                "No retention rule is given, and without one nothing says what to keep; give at least one of "
                + ", ".join([*self.keep_counts(), *self._spans(), "max_count"])
                + "."
            )
        self.zone()

    def keep_counts(self) -> dict[str, int | None]:
        """The counts by the name of their option, finest first."""
        return {
            "keep_last": self.keep_last,
            "keep_hourly": self.keep_hourly,
            "keep_daily": self.keep_daily,
            "keep_weekly": self.keep_weekly,
            "keep_monthly": self.keep_monthly,
            "keep_quarterly": self.keep_quarterly,
            "keep_yearly": self.keep_yearly,
        }

    def _spans(self) -> dict[str, timedelta | None]:
        return {"keep_within": self.keep_within, "remove_older_than": self.remove_older_than}

    def zone(self) -> tzinfo:
        """The zone of the calendar periods. Raises BadInput when this host does not know it."""
        if self.timezone is None or self.timezone == "UTC":
            return timezone.utc  # there even where the operating system has no time zone data
        unknown = BadInput(
            f"The timezone {shown(self.timezone)} is not known on this host; write an IANA name such as "
            "Europe/Amsterdam, and see that the package tzdata is installed."
        )
        if not isinstance(self.timezone, str):
            raise unknown
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: "Europe" may be a directory
            raise unknown from error


def _is_whole(count: object) -> bool:
    """Whether it is a whole number; true and false are none, although Python counts with them."""
    return isinstance(count, int) and not isinstance(count, bool)
