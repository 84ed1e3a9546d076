"""State F of intake follows from the set of statements: any order, repeats, splits, and agreements published in between."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st
from intake_samples import PUBLISHED_ON, STATED_AT, changed, opened, ref

from samenloop_processors.agreement import AgreementBook, Published
from samenloop_processors.intake.domain.gate import Opened, judge
from samenloop_processors.intake.domain.ledger import Case, CaseId, Effect, Emission, Told, codes_of, winner
from samenloop_processors.intake.domain.reconcile import Standing, held
from samenloop_schemas.codes import Consent, ReceiptCode, ReceiptKind, Status
from samenloop_schemas.dates import dutch_day

Said = tuple[Opened, str]


@dataclass
class PureIntake:
    """The stage without engine, database and keys: what is stored between two batches is the entries and those that wait."""

    book: AgreementBook = field(default_factory=AgreementBook)
    stored: dict[CaseId, dict[Any, Any]] = field(default_factory=dict)
    waiting: dict[Any, Said] = field(default_factory=dict)
    out: list[Effect] = field(default_factory=list)
    taken: int = 0

    def batch(self, events: list[Said | Published]) -> None:
        cases: dict[CaseId, Case] = {}
        for item in events:
            if isinstance(item, Published):
                self.book.add(item)
                since = self.book.covered_from("a2")
                assert since is not None
                for name, said in list(self.waiting.items()):
                    if dutch_day(said[0].statement.stated_at) >= since:
                        self.take(cases, *self.waiting.pop(name))
            else:
                self.take(cases, *item)
        for case_id, case in cases.items():
            kept = self.stored.setdefault(case_id, {})
            kept.update({sid: case.entries[sid] for sid in case.changed})

    def take(self, cases: dict[CaseId, Case], statement: Opened, partner: str) -> None:
        case_id, verdict = CaseId.of(statement, partner), judge(statement, partner, self.book)
        if verdict.waits:
            self.waiting.setdefault((case_id, statement.statement.statement_id), (statement, partner))
            return
        case = cases.setdefault(case_id, Case(case_id, dict(self.stored.get(case_id, {}))))
        self.taken += 1
        at = STATED_AT + timedelta(seconds=self.taken)
        self.out += case.take(statement, verdict, (), at, self.book)

    def state(self) -> dict[Any, Any]:
        """What `samenloop stage export` shows, and everything that was stated downstream."""
        cases = {}
        for case_id, entries in self.stored.items():
            best = winner(entries.values())
            assert best is not None
            known = any(entry.passed for entry in entries.values())
            cases[case_id] = (known, best.statement_id, best.status, codes_of(best, entries.values()))
        return {"cases": cases, "stated": self.stated(), "waiting": set(self.waiting)}

    def stated(self) -> dict[tuple[Any, ...], int]:
        counts: dict[tuple[Any, ...], int] = {}
        for effect in self.out:
            if isinstance(effect, Emission):
                key = (effect.case, effect.entry.statement_id, effect.entry.status, effect.opened is not None)
                counts[key] = counts.get(key, 0) + 1
        return counts


TOO_EARLY = STATED_AT - timedelta(days=200)
FAULTS: list[dict[str, Any]] = [
    {},
    {},
    {},
    {"legal_basis": "none"},
    {"consent": Consent.WITHDRAWN},
    {"identity": None},
    {"service_group": "Not A Code"},
    {"organisation": "lumens"},
    {"stated_at": TOO_EARLY},
]


@st.composite
def said(draw: st.DrawFn) -> Said:
    status = draw(st.sampled_from([Status.ACTIVE, Status.ACTIVE, Status.PAUSED, Status.ENDED, Status.RETRACTED]))
    fields: dict[str, Any] = {
        "case_ref": ref(draw(st.sampled_from(["one", "two"]))),
        "revision": draw(st.integers(1, 4)),
        "stated_at": STATED_AT + timedelta(days=draw(st.integers(0, 6))),
        "status": status,
        "ends_on": date(2026, 2, 20) if status is Status.ENDED else None,
        "confirmed_on": date(2026, 3, draw(st.integers(1, 2))),
    }
    return opened(**(fields | draw(st.sampled_from(FAULTS)))), draw(st.sampled_from(["backoffice"] * 5 + ["smwo"]))


FIRST = Published(changed(), PUBLISHED_ON)
LATER = [  # published after the last day on which anything is stated; of FIRST's days they cover none
    Published(changed(version=2, purposes=("other",)), STATED_AT.date() + timedelta(days=7)),
    Published(changed(version=3, legal_bases=("none",)), STATED_AT.date() + timedelta(days=9)),
]


def some_order(statements: list[Said], rnd: random.Random) -> list[list[Said | Published]]:
    """Shuffled, some sent again, agreements anywhere, the first one too, cut into batches anywhere."""
    events: list[Said | Published] = [*statements, *rnd.choices(statements, k=len(statements) // 2), FIRST, *LATER]
    rnd.shuffle(events)
    cuts = sorted(rnd.sample(range(len(events) + 1), k=rnd.randint(0, len(events))))
    return [events[a:b] for a, b in zip([0, *cuts], [*cuts, len(events)], strict=True)]


def run(batches: list[list[Said | Published]]) -> PureIntake:
    intake = PureIntake()
    for batch in batches:
        intake.batch(batch)
    return intake


def by_the_book(statements: list[Said]) -> dict[tuple[Any, ...], int]:
    """The rule of the package's docstring, said over the whole set at once."""
    book = AgreementBook([FIRST])
    cases: dict[CaseId, dict[Any, tuple[Opened, bool]]] = {}
    for item, partner in statements:
        verdict = judge(item, partner, book)
        if verdict.waits:
            continue
        passes = verdict.passes and item.statement.status is not Status.RETRACTED
        cases.setdefault(CaseId.of(item, partner), {})[item.statement.statement_id] = (item, passes)
    stated = {}
    for case_id, all_said in cases.items():
        if any(passes for _, passes in all_said.values()):
            for sid, (item, passes) in all_said.items():
                status = item.statement.status
                keeps = passes or status in (Status.ENDED, Status.RETRACTED)
                stated[case_id, sid, status if keeps else Status.WITHHELD, passes] = 1
    return stated


@settings(max_examples=400)
@given(st.lists(said(), min_size=1, max_size=9), st.integers(0, 2**32))
def test_state_and_statements_follow_from_the_set(statements: list[Said], seed: int) -> None:
    rnd = random.Random(seed)
    one, other = run(some_order(statements, rnd)), run(some_order(statements, rnd))
    assert one.state() == other.state()
    assert one.stated() == by_the_book(statements)
    event(f"withheld: {any(key[2] is Status.WITHHELD for key in one.stated())}")
    event(f"marks of unknown cases: {any(not known for known, *_ in one.state()['cases'].values())}")


@settings(max_examples=200)
@given(st.lists(said(), min_size=1, max_size=6), st.integers(0, 2**32))
def test_every_statement_gets_an_answer_and_its_last_one_is_right(statements: list[Said], seed: int) -> None:
    intake = run(some_order(statements, random.Random(seed)))
    last = {(e.case, e.entry.statement_id): e for e in intake.out if isinstance(e, Told)}
    for case_id, entries in intake.stored.items():
        known = any(entry.passed for entry in entries.values())
        for sid, entry in entries.items():
            told = last[case_id, sid]
            final = entry.status in (Status.ENDED, Status.RETRACTED)
            accepted = entry.passed or (final and (known or not entry.codes))
            assert told.kind is (ReceiptKind.ACCEPTED if accepted else ReceiptKind.REFUSED)
            assert told.codes == codes_of(entry, entries.values())


@given(st.lists(said(), min_size=1, max_size=6), st.integers(0, 2**32))
def test_without_an_agreement_everything_waits_and_nothing_is_told(statements: list[Said], seed: int) -> None:
    """And what is stated on a day before the first agreement waits for good: it has no part in its case."""
    early = PureIntake()
    early.batch(list(statements))
    assert not early.stored
    assert not early.out
    assert set(early.waiting) == {(CaseId.of(*said), said[0].statement.statement_id) for said in statements}
    later = run(some_order(statements, random.Random(seed)))
    assert {said[0].statement.stated_at for said in later.waiting.values()} <= {TOO_EARLY}


def revisions(*parts: tuple[int, dict[str, Any]]) -> list[Said]:
    return [(opened(revision=number, **fields), "backoffice") for number, fields in parts]


def statuses(statements: list[Said]) -> list[tuple[int, Status, bool]]:
    intake = run([[FIRST, *statements]])
    return [(e.entry.revision, e.entry.status, e.opened is not None) for e in intake.out if isinstance(e, Emission)]


BAD: dict[str, Any] = {"purpose": "other"}


def test_a_refused_newer_revision_takes_the_case_out_in_either_order() -> None:
    three, five = revisions((3, {}), (5, BAD))
    assert statuses([three, five]) == [(3, Status.ACTIVE, True), (5, Status.WITHHELD, False)]
    assert statuses([five, three]) == [(3, Status.ACTIVE, True), (5, Status.WITHHELD, False)]
    assert statuses([five]) == []


def test_an_end_that_does_not_pass_ends_a_known_case_only() -> None:
    active, ended = revisions((3, {}), (5, BAD | {"status": Status.ENDED, "ends_on": date(2026, 2, 20)}))
    assert statuses([active, ended]) == [(3, Status.ACTIVE, True), (5, Status.ENDED, False)]
    assert statuses([ended, active]) == [(3, Status.ACTIVE, True), (5, Status.ENDED, False)]
    assert statuses([ended]) == []


def test_a_retraction_of_an_unknown_case_is_taken_note_of_and_goes_nowhere() -> None:
    (retracted,) = revisions((5, {"status": Status.RETRACTED, "identity": None}))
    intake = run([[FIRST, retracted]])
    assert [e.kind for e in intake.out if isinstance(e, Told)] == [ReceiptKind.ACCEPTED]
    assert not intake.stated()


def test_another_feed_cannot_take_a_case_out() -> None:
    (mine,) = revisions((3, {}))
    retraction = opened(revision=9, status=Status.RETRACTED, identity=None)
    intake = run([[FIRST, mine, (retraction, "smwo")]])
    assert [key[2] for key in intake.stated()] == [Status.ACTIVE]
    assert [e.codes for e in intake.out if isinstance(e, Told)][-1] == (ReceiptCode.WRONG_SENDER,)


def test_two_contents_under_one_revision_are_reported_on_both() -> None:
    one, other = revisions((3, {}), (3, {"confirmed_on": date(2026, 3, 2)}))
    intake = run([[FIRST, one, other]])
    told = [(e.entry.statement_id, e.codes) for e in intake.out if isinstance(e, Told)]
    conflict = (ReceiptCode.REVISION_CONFLICT,)
    assert told == [
        (one[0].statement.statement_id, ()),
        (other[0].statement.statement_id, conflict),
        (one[0].statement.statement_id, conflict),
    ]


def test_reconciliation_counts_what_stands_and_hashes_it_whatever_the_order() -> None:
    rows = [
        Standing("a", opened(revision=n).statement.statement_id, status, passed)
        for n, status, passed in [(1, Status.ACTIVE, True), (2, Status.ENDED, True), (3, Status.WITHHELD, False)]
    ]
    one, other = held(rows, ["a", "b"]), held(rows[::-1], ["b", "a"])
    assert one == other
    assert (one["a"].count, one["b"].count) == (2, 0)
    assert one["a"].sha256 != held(rows[:1], ["a"])["a"].sha256
