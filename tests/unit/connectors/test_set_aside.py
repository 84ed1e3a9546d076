"""What was set aside at the edge: shown by the partner's own numbers, read again on request, discarded until it changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from edge_tools import NOON, Edge, raw_bytes

from samenloop_connectors.sdk import set_aside
from samenloop_connectors.sdk.connector import Failed, Item, Reading, Unreadable
from samenloop_connectors.sdk.errors import DataError, TransientError
from samenloop_connectors.sdk.status import status
from samenloop_producers.outbox import Event
from samenloop_producers.statement import CaseReport
from samenloop_schemas.codes import Domain, Status
from samenloop_schemas.dates import micros

DAY = 86_400_000_000
FIRST = micros(NOON)


@dataclass
class Source:
    """A connector over rows in memory. As a poll it has a cursor; as a drop folder it remembers in memory which files it took."""

    kind: str
    rows: dict[str, str] = field(default_factory=dict)
    files: dict[int, dict[str, str]] = field(default_factory=dict)
    words: set[str] = field(default_factory=lambda: {"good"})
    taken: set[int] = field(default_factory=set)
    shown: list[str] = field(default_factory=list)
    fails: bool = False
    source_system = "test"

    def check(self) -> list[str]:
        return []

    def forget(self, stream: str) -> None:
        self.taken.clear()

    def read(self, known: Any) -> Iterator[Reading | Failed]:
        if self.fails:
            yield Failed("s", TransientError("away"))
            return
        if self.kind == "poll":
            cursor = known.cursor("s") or {"seen": {}, "at": FIRST}
            new = {number: word for number, word in self.rows.items() if cursor["seen"].get(number) != word}
            at = cursor["at"] + 1
            yield Reading("s", at, False, self._items(new, at), cursor={"seen": dict(self.rows), "at": at})
            return
        for at, rows in sorted(self.files.items()):
            if at not in self.taken and at not in known.readings("s"):
                yield Reading("s", at, True, self._items(rows, at), digest="d", done=lambda at=at: self.taken.add(at))

    def _items(self, rows: dict[str, str], at: int) -> Iterator[Item | Unreadable]:
        for number, word in rows.items():
            self.shown.append(number)
            if number.startswith("-"):
                yield Unreadable(f"file {at}, line 7", "missing", "number", payload={"word": word})
            else:
                yield Item("lumens", number, FIRST, {"word": word})

    def report(self, organisation: str, case_number: str, payload: Any) -> CaseReport:
        if payload["word"] not in self.words:
            raise DataError("unknown_code", "word")
        return CaseReport(
            area="a2", organisation=organisation, case_number=case_number, person_number=f"p{case_number}", version=NOON,
            status=Status.ACTIVE, domain=Domain.WMO, service_group="social_work", starts_on=NOON.date(),
            legal_basis="wmo_5_2", purpose="early_coordination",
        )  # fmt: skip


@pytest.fixture(params=["poll", "folder"])
def source(request: pytest.FixtureRequest) -> Source:
    return Source(request.param)


@pytest.fixture
def edge(tmp_path: Path, source: Source) -> Iterator[Edge]:
    made = Edge(tmp_path, source)  # type: ignore[arg-type]
    yield made
    made.close()


def show(source: Source, day: int, **rows: str) -> None:
    """As the source has it on a day."""
    named = {name.replace("n", "-").replace("c", ""): word for name, word in rows.items()}
    source.rows |= named
    source.files[FIRST + day * DAY] = named


def opened(edge: Edge) -> list[set_aside.Aside]:
    return [one for one in set_aside.listing(edge.state) if one.open]


def test_it_is_shown_with_the_partners_own_number_and_nothing_of_it_lies_in_clear(source: Source, edge: Edge) -> None:
    show(source, 1, c70012345="good", c70054321="Zwartkruis", n1="Zwartkruis")
    edge.runner.round()
    assert sorted((one.case_number, one.code, one.field, one.times) for one in opened(edge) if one.case_number) == [
        ("70054321", "unknown_code", "word", 1)
    ]
    assert next(one.place for one in opened(edge) if not one.case_number).endswith("line 7")
    set_aside.discard(edge.state, opened(edge), "j.doe")
    assert {(done.actor, done.action, done.case_number) for done in set_aside.audit_trail(edge.state)} == {
        ("j.doe", "discarded", "70054321"),
        ("j.doe", "discarded", None),
    }
    for text in (b"70054321", b"70012345", b"Zwartkruis"):
        assert text not in raw_bytes(edge.store.path.parent)


def test_a_retry_reads_it_again_at_the_next_round_whatever_the_source(source: Source, edge: Edge) -> None:
    show(source, 1, c1="good", c2="odd")
    assert edge.runner.round().stated == 1
    source.words.add("odd")  # a newer release can read it
    assert edge.runner.round().stated == 0, "what was read is not read again by itself"
    (one,) = opened(edge)
    assert set_aside.retry(edge.state, [one], "j.doe") == {"s"}
    assert [each.reread for each in opened(edge)] == [True]
    source.shown.clear()
    assert edge.runner.round().stated == 1, "the other case says nothing new"
    assert source.shown == ["1", "2"]
    assert (opened(edge), edge.state.reread()) == ([], frozenset())
    source.shown.clear()
    edge.runner.round()
    assert source.shown == [], "only once"


def test_a_retry_waits_while_the_source_is_away(source: Source, edge: Edge) -> None:
    show(source, 1, c2="odd")
    edge.runner.round()
    set_aside.retry(edge.state, opened(edge), "j.doe")
    source.fails = True
    edge.runner.round()
    source.fails, source.words = False, {"odd"}
    assert edge.runner.round().stated == 1


def test_a_retry_in_vain_leaves_it_set_aside(source: Source, edge: Edge) -> None:
    show(source, 1, c2="odd")
    edge.runner.round()
    set_aside.retry(edge.state, opened(edge), "j.doe")
    edge.runner.round()
    assert [(one.case_number, one.times, one.reread) for one in opened(edge)] == [("2", 2, False)]


def test_what_was_discarded_stays_so_until_it_changes(source: Source, edge: Edge) -> None:
    show(source, 1, c1="good", c2="odd")
    edge.runner.round()
    set_aside.discard(edge.state, opened(edge), "j.doe")
    show(source, 2, c1="good", c2="odd")
    edge.runner.round()
    stand = status(edge.state, "partner")
    assert (opened(edge), stand.set_aside_open, stand.set_aside_discarded) == ([], 0, 1)
    assert [(one.discarded_by, one.case_number) for one in set_aside.listing(edge.state)] == [("j.doe", "2")]
    show(source, 3, c1="good", c2="odder")
    edge.runner.round()
    assert [one.case_number for one in opened(edge)] == ["2"]


def test_a_row_without_a_number_is_one_row_night_after_night_and_gone_when_it_is_gone(tmp_path: Path) -> None:
    source = Source("folder")
    edge = Edge(tmp_path, source)  # type: ignore[arg-type]
    for night in (1, 2):
        show(source, night, c1="good", n1="Zwartkruis")
        edge.runner.round()
    assert [(one.times, one.place) for one in opened(edge)] == [(2, f"file {FIRST + 2 * DAY}, line 7")]
    show(source, 3, c1="good")
    edge.runner.round()
    assert opened(edge) == []
    edge.close()


def test_a_statement_that_the_broker_never_took_can_be_sent_again_or_discarded(tmp_path: Path) -> None:
    source = Source("poll", {"1": "good"})
    edge = Edge(tmp_path, source)  # type: ignore[arg-type]
    edge.runner.round()
    with edge.store.transaction() as db:
        edge.store.put(db, [Event(UUID(int=1), "in.partner", b"a2", b"x", (), 0)])
    for waiting in edge.store.waiting(10):
        edge.store.park(waiting.seq, "too_big")
    assert [(one.id, one.case_number, one.code) for one in opened(edge)] == [
        ("outbox-1", "1", "too_big"),
        ("outbox-2", None, "too_big"),
    ]
    first, second = opened(edge)
    set_aside.discard(edge.state, [second], "j.doe")
    set_aside.retry(edge.state, [first], "j.doe")
    assert [waiting.seq for waiting in edge.store.waiting(10)] == [1]
    assert edge.store.outbox_state().parked == {set_aside.DISCARDED: 1}
    assert [(done.action, done.case_number) for done in set_aside.audit_trail(edge.state)] == [
        ("discarded", None),
        ("retried", "1"),
    ]
    edge.close()
