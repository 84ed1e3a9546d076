"""Partial dates and half-open periods in the Dutch calendar.

Dutch sources deliver birth dates with unknown parts: the BRP writes zeros (``19680700``), iWmo and iJw fill with 1 and say so
in *DatumGebruik*, spreadsheets carry ``00-00-1980``. A `PartialDate` keeps what is known and compares only that.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

DUTCH_TIME = ZoneInfo("Europe/Amsterdam")
_ISO = re.compile(r"^(\d{4})-(\d{2})-(\d{2})$")


@dataclass(frozen=True, slots=True, order=True)
class PartialDate:
    """A date of which the year, the month or the day may be unknown (0). A day is never known without its month."""

    year: int = 0
    month: int = 0
    day: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.year <= 9999 and 0 <= self.month <= 12 and 0 <= self.day <= 31):
            raise ValueError("a partial date has a year 0-9999, a month 0-12 and a day 0-31")
        if self.day and not self.month:
            raise ValueError("a day without a month says nothing")
        if self.day and self.day > calendar.monthrange(self.year or 2000, self.month)[1]:
            raise ValueError("this month has fewer days")

    @classmethod
    def parse(cls, text: str) -> PartialDate:
        """Read ``YYYY-MM-DD`` with ``00`` (or ``0000``) for an unknown part; raises ValueError, without echoing the input."""
        match = _ISO.match(text)
        if not match:
            raise ValueError("a partial date is written YYYY-MM-DD with 00 for an unknown part")
        return cls(int(match[1]), int(match[2]), int(match[3]))

    @classmethod
    def of(cls, day: date) -> PartialDate:
        return cls(day.year, day.month, day.day)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}-{self.day:02d}"

    @property
    def complete(self) -> bool:
        return bool(self.year and self.month and self.day)

    @property
    def known(self) -> bool:
        return bool(self.year or self.month)

    @property
    def filler(self) -> bool:
        """1 January and 1 July are what systems and registrars write when they do not know better: weak evidence."""
        return self.day == 1 and self.month in (1, 7)

    def compatible(self, other: PartialDate) -> bool:
        """Whether no part that both know differs."""
        return all(
            not a or not b or a == b
            for a, b in zip((self.year, self.month, self.day), (other.year, other.month, other.day), strict=True)
        )


UNKNOWN_DATE = PartialDate()


@dataclass(frozen=True, slots=True)
class Period:
    """Full days ``[start, end)``; ``end`` is None while it lasts."""

    start: date
    end: date | None = None

    def __bool__(self) -> bool:
        return self.end is None or self.start < self.end

    def __contains__(self, day: date) -> bool:
        return self.start <= day and (self.end is None or day < self.end)

    def intersect(self, other: Period) -> Period:
        """The days in both; an empty period when there are none."""
        ends = [end for end in (self.end, other.end) if end is not None]
        return Period(max(self.start, other.start), min(ends) if ends else None)


def after_last_day(last_day: date) -> date:
    """The half-open end of a period whose source names its last day (*tot en met*)."""
    return last_day + timedelta(days=1)


def dutch_day(instant: datetime) -> date:
    """The Dutch calendar day on which an instant falls."""
    return instant.astimezone(DUTCH_TIME).date()


def first_instant(day: date) -> datetime:
    """Of a Dutch calendar day."""
    return datetime(day.year, day.month, day.day, tzinfo=DUTCH_TIME)


def instant_of_ms(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def micros(instant: datetime) -> int:
    """Whole microseconds since 1970, exact (no floating point)."""
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def years_later(day: date, years: int) -> date:
    """The same day so many years on; 29 February becomes 1 March, so that a term never ends a day early."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)
