"""Which days are to be told, and what each is: pure, and the only place that knows the Dutch holidays."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import holidays

from samenloop_schemas.ids import clock_event_id
from samenloop_schemas.records import ClockDay

AHEAD = 65
"""Working days named in advance: a quarter, longer than any term of an agreement."""
_FIRST_COUNTED = date(2020, 1, 1)
_DAY = timedelta(days=1)


def missing_days(last: date | None, today: date) -> list[date]:
    """The days still to be told, in order. An area that never heard of one starts at `today`."""
    if last is None:
        return [today]
    return [last + n * _DAY for n in range(1, (today - last).days + 1)]


def is_working_day(day: date) -> bool:
    """By the Algemene termijnenwet, article 3: no weekend, no general holiday, nor Good Friday, nor 5 May in any year."""
    return day.weekday() < 5 and day not in _free_days(day.year)


def clock_day(area: str, day: date, last: ClockDay | None = None) -> ClockDay:
    """The event of one day. It counts on from the day before, so that a corrected list of holidays never changes the past."""
    works = is_working_day(day)
    before = last.working_day if last else _counted_before(day)
    return ClockDay(clock_event_id(area, day), area, day, before + works, works, _working_days_after(day))


@cache
def _free_days(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("NL", years=year, categories=("public", "optional")))


@cache
def _working_days_after(day: date) -> tuple[date, ...]:
    found: list[date] = []
    while len(found) < AHEAD:
        day += _DAY
        if is_working_day(day):
            found.append(day)
    return tuple(found)


@cache
def _counted_before(day: date) -> int:
    """Working days from 2020 up to the day: two clocks that start on the same day agree."""
    return sum(is_working_day(_FIRST_COUNTED + n * _DAY) for n in range((day - _FIRST_COUNTED).days))
