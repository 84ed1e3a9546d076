"""Time as events: the clock days of an area, and the deadlines that follow from them."""

from __future__ import annotations

from bisect import bisect_left, insort
from datetime import date

from samenloop_schemas.records import ClockDay


class Calendar:
    """A set of clock days. The first event of a day stays: two clock processes send the same."""

    def __init__(self) -> None:
        self._days: list[date] = []
        self._ahead: dict[date, tuple[date, ...]] = {}

    @property
    def today(self) -> date | None:
        """T, the highest day that has begun."""
        return self._days[-1] if self._days else None

    def begin(self, event: ClockDay) -> bool:
        """Whether the day was not known yet."""
        if event.day in self._ahead:
            return False
        insort(self._days, event.day)
        self._ahead[event.day] = event.next_working_days
        return True

    def deadline(self, start: date, working_days: int) -> date | None:
        """The n-th working day after `start`, as the clock saw the calendar when `start` began.

        No calendar of the future is needed here, and a changed list of holidays never moves a deadline. None until the day
        `start` has begun; a start before the first clock day counts from that day.
        """
        at = bisect_left(self._days, start)
        if at == len(self._days):
            return None
        ahead = self._ahead[self._days[at]]
        return ahead[working_days - 1] if 0 < working_days <= len(ahead) else None
