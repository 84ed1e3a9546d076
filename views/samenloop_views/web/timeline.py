"""The picture of a case: lanes on a common axis in percents of its width, so that text keeps its size at any width.

Pure geometry. The template draws it, and writes the same facts in the table below from the same lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from textwrap import wrap

from samenloop_views.web.case_view import CaseView, Lane, Stretch

MOST_TICKS = 6
NAME_WIDTH = 30
LINE_HEIGHT, ROW_HEIGHT = 18, 54
_STEPS = (1, 3, 6, 12, 24, 60, 120)
"""Months between ticks."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch as it is drawn. An open end gets an arrow. `hatch`: x and width of the part within the overlap."""

    stretch: Stretch
    x: float
    width: float
    hatch: tuple[float, float] | None = None

    @property
    def right(self) -> float:
        return round(self.x + self.width, 2)


@dataclass(frozen=True, slots=True)
class Row:
    """A lane at its height in pixels. `lines`: its name, wrapped to fit a narrow screen; a hidden lane has one empty line."""

    lane: Lane
    bars: tuple[Bar, ...]
    lines: tuple[str, ...]
    y: int


@dataclass(frozen=True, slots=True)
class Tick:
    day: date
    x: float
    minor: bool
    """Left out of the narrow picture."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """x and widths are percents of the picture's width; `today_x` is None when the clock has no day yet."""

    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    overlap: Bar
    today: date | None
    today_x: float | None
    overlap_anchor: str
    height: int
    """Of all rows, in pixels."""


def draw(view: CaseView) -> Timeline:
    first, last = _range(view)
    scale = 100 / (last - first).days

    def x(day: date) -> float:
        return round(min(max((day - first).days * scale, 0.0), 100.0), 2)

    def bar(stretch: Stretch) -> Bar:
        left = x(stretch.start) if stretch.start else 0.0
        right = x(stretch.end) if stretch.end else 100.0
        return Bar(stretch, left, round(max(right - left, 0.4), 2))

    overlap = bar(view.overlap)

    def hatched(plain: Bar) -> Bar:
        left, right = max(plain.x, overlap.x), min(plain.right, overlap.right)
        return replace(plain, hatch=(left, round(right - left, 2))) if left < right else plain

    middle = overlap.x + overlap.width / 2
    rows, height = [], 0
    for lane in view.lanes:
        lines = tuple(wrap(lane.name, NAME_WIDTH)) or ("",)
        rows.append(Row(lane, tuple(hatched(bar(stretch)) for stretch in lane.stretches), lines, height))
        height += ROW_HEIGHT + LINE_HEIGHT * len(lines)
    return Timeline(
        rows=tuple(rows),
        ticks=_ticks(first, last, x),
        overlap=overlap,
        today=view.today,
        today_x=x(view.today) if view.today else None,
        height=height,
        overlap_anchor="start" if middle < 35 else "end" if middle > 65 else "middle",
    )


def _range(view: CaseView) -> tuple[date, date]:
    """From just before the first known day until just after the last, so that open ends have room to fade."""
    days: list[date] = [day for lane in view.lanes for s in lane.stretches for day in (s.start, s.end) if day]
    days += [day for day in (view.overlap.start, view.overlap.end, view.today) if day]
    first, last = (min(days), max(days)) if days else (date(2000, 1, 1), date(2000, 1, 2))
    margin = timedelta(days=max((last - first).days // 20, 7))
    return first - margin, last + margin


def _ticks(first: date, last: date, x: Callable[[date], float]) -> tuple[Tick, ...]:
    months = _months(first, last)
    step = next((s for s in _STEPS if len(months) / s <= MOST_TICKS), _STEPS[-1])
    chosen = [month for month in months if (month.year * 12 + month.month - 1) % step == 0] or months[:1]
    return tuple(Tick(day, x(day), index % 2 == 1) for index, day in enumerate(chosen) if 2 <= x(day) <= 94)


def _months(first: date, last: date) -> Sequence[date]:
    """The first days of the months within the range."""
    month = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    months = []
    while month < last:
        months.append(month)
        month = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return months
