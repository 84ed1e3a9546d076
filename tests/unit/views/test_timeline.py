"""The picture tells the same facts as the table: both are read back from the page and compared."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from samenloop_schemas.codes import CaseState
from samenloop_schemas.records import CaseFact, OverlapStatement
from samenloop_views.web.case_view import CaseView, Lane, Stretch
from samenloop_views.web.rendering import render
from samenloop_views.web.showing import last_day
from samenloop_views.web.texts import Language
from samenloop_views.web.timeline import draw

days = st.dates(date(1995, 1, 1), date(2040, 1, 1))


@st.composite
def stretches(draw: st.DrawFn) -> Stretch:
    start = draw(st.none() | days)
    length = draw(st.none() | st.integers(1, 9000))
    return Stretch(start, None if length is None else (start or date(2020, 1, 1)) + timedelta(days=length))


lanes = st.builds(
    Lane,
    party=st.sampled_from(["a/x", "b/x", "c/x"]),
    name=st.sampled_from(["Maatschappelijk werk", "Jeugd <b>&'", "Wmo"]),
    organisation=st.just("org"),
    own=st.booleans(),
    stretches=st.lists(stretches(), min_size=1, max_size=3, unique=True).map(tuple),
    hidden=st.booleans(),
)


@st.composite
def views(draw: st.DrawFn) -> CaseView:
    start = draw(days)
    end = draw(st.none() | st.integers(1, 5000))
    case = OverlapStatement(
        case_id="0" * 32,
        state=CaseState.NOTIFIED,
        episode_from=start,
        episode_to=None if end is None else start + timedelta(days=end),
    )
    return CaseView(case, tuple(draw(st.lists(lanes, min_size=1, max_size=4))), (), (), draw(st.none() | days))


class Page(HTMLParser):
    """Gathers the elements that carry the facts, and what the rows of the table say."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.bars: list[tuple[str, str, str]] = []
        self.rows: list[tuple[str, str, str]] = []
        self.overlaps: list[tuple[str, str]] = []
        self.shapes: list[dict[str, str]] = []
        self._row: tuple[str, str] | None = None
        self._header = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "rect":
            self.shapes.append(at)
        if tag == "rect" and "data-party" in at:
            self.bars.append((at["data-party"], at["data-from"], at["data-to"]))
        if "data-overlap-from" in at:
            self.overlaps.append((at["data-overlap-from"], at["data-overlap-to"]))
        if tag == "tr" and "data-from" in at:
            self._row = at["data-from"], at["data-to"]
        self._header = tag == "th" and self._row is not None

    def handle_data(self, data: str) -> None:
        if self._header and self._row:
            self.rows.append((data.strip(), *self._row))
            self._header, self._row = False, None


def page_of(view: CaseView) -> str:
    class Session:
        form_token = "t"

    values: dict[str, Any] = {"view": view, "timeline": draw(view), "state": "", "deadline": "", "grounds": []}
    return render(
        "case.html",
        Language("nl"),
        visit=None,
        at="",
        here="",
        feeds=[],
        stand="",
        name="N",
        born="",
        role_name=str,
        involvement_role=str,
        last_day=last_day,
        **values,
    )


@given(views())
def test_picture_and_table_say_the_same(view: CaseView) -> None:
    text = page_of(view)
    page = Page(text)
    expected = sorted(
        ("Een dienst is betrokken" if lane.hidden else lane.name, str(s.start or ""), str(s.end or ""))
        for lane in view.lanes
        for s in lane.stretches
    )
    assert sorted(page.bars) == sorted(page.rows) == expected
    assert len(page.overlaps) == 2
    assert page.overlaps[0] == page.overlaps[1] == (str(view.overlap.start), str(view.overlap.end or ""))
    assert not re.search(r"\sstyle=", text)


def test_an_end_to_come_is_told_only_when_a_party_named_it() -> None:
    """The other ends are days on which an unconfirmed involvement would stop counting."""
    start, today, later = date(2026, 1, 1), date(2026, 6, 1), date(2028, 5, 1)

    def told(end: date, named: date | None, on: date) -> date | None:
        facts = (CaseFact(involvement_id="i", ends_on=named),)
        case = OverlapStatement(episode_from=start, episode_to=end, facts=facts)
        return CaseView(case, (), (), (), on).overlap.end

    assert told(later, None, today) is None
    assert told(later, later, today) == later
    assert told(later, None, later) == later


@given(views())
def test_geometry_keeps_the_order_of_days_and_stays_in_the_picture(view: CaseView) -> None:
    timeline = draw(view)
    bars = [bar for row in timeline.rows for bar in row.bars] + [timeline.overlap]
    for bar in bars:
        assert 0 <= bar.x <= 100
        assert bar.width > 0
        assert bar.right <= 100.5
        if bar.hatch:
            assert bar.x <= bar.hatch[0] <= bar.hatch[0] + bar.hatch[1] <= bar.right + 0.02
    starts = sorted((bar.stretch.start, bar.x) for bar in bars if bar.stretch.start)
    assert [x for _, x in starts] == sorted(x for _, x in starts)
    assert len(timeline.ticks) <= 7


def test_the_hatch_covers_exactly_the_overlap() -> None:
    case = OverlapStatement(episode_from=date(2026, 2, 1), episode_to=date(2026, 3, 1), state=CaseState.NOTIFIED)
    lane = Lane("a/x", "A", "a", True, (Stretch(date(2026, 1, 1), date(2026, 4, 1)),))
    timeline = draw(CaseView(case, (lane,), (), (), date(2026, 3, 10)))
    bar = timeline.rows[0].bars[0]
    assert bar.hatch == (timeline.overlap.x, timeline.overlap.width)
