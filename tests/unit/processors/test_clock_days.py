from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop_processors.clock.days import AHEAD, clock_day, is_working_day, missing_days
from samenloop_schemas import codec
from samenloop_schemas.records import ClockDay

days = st.dates(date(2021, 1, 1), date(2040, 1, 1))


def test_an_area_starts_today_and_never_goes_back() -> None:
    today = date(2026, 3, 4)
    assert missing_days(None, today) == [today]
    assert missing_days(today, today) == []
    assert missing_days(date(2026, 3, 9), today) == []
    assert missing_days(date(2026, 2, 27), today) == [date(2026, 2, 28), *(date(2026, 3, n) for n in (1, 2, 3, 4))]


@given(days, st.integers(0, 400), st.integers(0, 400))
def test_an_interruption_changes_nothing(first: date, before: int, after: int) -> None:
    middle, end = first + timedelta(days=before), first + timedelta(days=before + after)
    assert missing_days(first, middle) + missing_days(middle, end) == missing_days(first, end)


def test_the_dutch_holidays_of_the_terms_act() -> None:
    """Algemene termijnenwet, article 3, for 2026: 5 May is not a lustrum year and counts all the same; Good Friday too."""
    free = [date(2026, m, d) for m, d in ((1, 1), (4, 3), (4, 6), (4, 27), (5, 5), (5, 14), (5, 25), (12, 25))]
    assert not any(is_working_day(day) for day in free)
    working = [date(2026, m, d) for m, d in ((1, 2), (4, 2), (4, 7), (4, 28), (5, 4), (5, 15), (12, 24), (12, 31))]
    assert all(is_working_day(day) for day in working)
    weekdays = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    assert sum(map(is_working_day, weekdays)) == 261 - len(free)


@settings(deadline=None)  # the first look at a year reads its holidays
@given(days, st.integers(1, 60))
def test_ordinals_count_working_days_wherever_the_clock_started(first: date, length: int) -> None:
    last = clock_day("a2", first)
    for n in range(1, length):
        day = first + timedelta(days=n)
        event = clock_day("a2", day, last)
        assert event.working_day - last.working_day == is_working_day(day) == event.is_working_day
        assert event.working_day == clock_day("a2", day).working_day
        assert last.next_working_days[0] == day if event.is_working_day else last.next_working_days[0] > day
        last = event


def test_the_past_is_kept_when_the_list_of_holidays_changes() -> None:
    before = ClockDay(area="a2", day=date(2026, 3, 4), working_day=77)
    assert clock_day("a2", date(2026, 3, 5), before).working_day == 78


def test_an_event_is_the_same_whoever_makes_it() -> None:
    day = date(2026, 4, 2)
    one, other = clock_day("zwolle", day), clock_day("zwolle", day, clock_day("zwolle", date(2026, 4, 1)))
    assert one == other
    assert codec.encode(one) == codec.encode(other)
    assert codec.decode(codec.encode(one), ClockDay) == one
    assert clock_day("a2", day).event_id != one.event_id
    assert len(one.next_working_days) == AHEAD
    assert one.next_working_days[:3] == (date(2026, 4, 7), date(2026, 4, 8), date(2026, 4, 9))
