"""The account between partner and hub: equal when nothing is amiss, and when it is, exactly the differing cases by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from edge_tools import KEYS
from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop_connectors.sdk import account
from samenloop_connectors.sdk.inbox import _keep_receipt
from samenloop_connectors.sdk.receipt_words import CODES, KINDS, REMARKS, reason
from samenloop_connectors.sdk.state import DDL, State
from samenloop_producers.outbox import EdgeStore
from samenloop_schemas.codes import ReceiptCode, ReceiptKind, Status
from samenloop_schemas.ids import derived_id
from samenloop_schemas.reconciliation import hash_of
from samenloop_schemas.records import InvolvementStatement, Receipt

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)
AREA, ORGANISATION = "a2", "lumens"
TAKES = "takes"


@dataclass(frozen=True)
class Sent:
    """A statement and what the hub makes of it: takes, or a receipt kind."""

    case: str
    revision: int
    status: Status
    fate: str
    at: datetime = T0

    @property
    def statement(self) -> InvolvementStatement:
        made = derived_id("test", self.case, self.revision, self.status, self.fate)
        return InvolvementStatement(
            made, AREA, ORGANISATION, "regas", self.case, "p", self.revision, self.at, status=self.status
        )

    @property
    def rank(self) -> tuple[int, datetime, UUID]:
        return self.revision, self.at, self.statement.statement_id


@dataclass
class Hub:
    """The hub's rules on the statements of a day, in the few words of docs/architecture.md."""

    sent: list[Sent] = field(default_factory=list)

    def holds(self) -> list[str]:
        held = []
        for case in {one.case for one in self.sent}:
            mine = [one for one in self.sent if one.case == case and one.fate in (TAKES, ReceiptKind.REFUSED)]
            passed = [one for one in mine if one.fate == TAKES and one.status is not Status.RETRACTED]
            top = max(mine, key=lambda one: one.rank, default=None)
            if passed and top in passed:
                held.append(str(top.statement.statement_id))
        return held

    def receipts(self) -> Iterator[Receipt]:
        known = {one.case for one in self.sent if one.fate == TAKES and one.status is not Status.RETRACTED}
        for one in self.sent:
            marked = (
                one.fate == ReceiptKind.REFUSED and one.case in known and one.status in (Status.ENDED, Status.RETRACTED)
            )
            kind = ReceiptKind.ACCEPTED if one.fate == TAKES or marked else ReceiptKind(one.fate)
            codes = () if one.fate == TAKES else (ReceiptCode.NO_PARTY,)
            said = one.statement
            yield Receipt(
                said.statement_id, AREA, kind, said.statement_id, ORGANISATION, one.case, one.revision, codes, 1, T0
            )

    def count(self, day: date) -> Receipt:
        ids = self.holds()
        return Receipt(
            derived_id("count", day), AREA, ReceiptKind.RECONCILIATION, organisation=ORGANISATION,
            recorded_at=T0 + timedelta(days=1), day=day, held_count=len(ids), held_hash=hash_of(ids),
        )  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    store = EdgeStore(tmp_path, DDL)
    yield State(store, KEYS)
    store.close()


def say(state: State, *sent: Sent) -> None:
    with state.store.transaction() as db:
        for one in sent:
            account.note_stated(db, one.statement)


def hear(state: State, *receipts: Receipt) -> None:
    with state.store.transaction() as db:
        for receipt in receipts:
            _keep_receipt(db, receipt)


def compared(state: State) -> account.Comparison:
    (one,) = account.compare(state.store.connection)
    return one


fates = st.sampled_from([TAKES, TAKES, TAKES, "REFUSED", "REFUSED", "QUARANTINED"])
statuses = st.sampled_from([Status.ACTIVE, Status.ACTIVE, Status.ENDED, Status.RETRACTED])
sent = st.builds(Sent, st.sampled_from("abc"), st.integers(1, 4), statuses, fates)


@settings(max_examples=150, deadline=None)
@given(st.lists(sent, max_size=8, unique_by=lambda one: (one.case, one.revision)), st.data())
def test_the_difference_is_always_named_in_whole(everything: list[Sent], data: st.DataObject) -> None:
    """Two days, counted after each; on the second the statements that were replaced are forgotten."""
    # a case that was never taken and is taken back is refused nothing
    everything = [replace(one, fate=TAKES) if one.status is Status.RETRACTED else one for one in everything]
    cut = data.draw(st.integers(0, len(everything)))
    with TemporaryDirectory() as directory, closing(EdgeStore(Path(directory), DDL)) as store:
        state = State(store, KEYS)
        hub = Hub()
        for day, some in ((date(2026, 3, 2), everything[:cut]), (date(2026, 3, 3), everything[cut:])):
            say(state, *some)
            hub.sent += some
            hear(state, *hub.receipts(), hub.count(day))
            for one in account.compare(store.connection):
                tops = [
                    max((s for s in hub.sent if s.case == case), key=lambda s: s.rank)
                    for case in {s.case for s in hub.sent}
                ]
                mine = {str(s.statement.statement_id) for s in tops if s.status is not Status.RETRACTED}
                assert (one.hub_count, one.own_count, one.later) == (len(hub.holds()), len(mine), 0)
                assert one.equal == (mine == set(hub.holds()))
                assert one.explained
                assert bool(one.differences) != one.equal


def test_nothing_is_compared_before_the_hub_has_counted(state: State) -> None:
    say(state, Sent("a", 1, Status.ACTIVE, TAKES))
    one = compared(state)
    assert (one.day, one.equal, one.differences) == (None, False, ())
    assert [(c.area, c.organisation) for c in account.compare(state.store.connection, [("a2", "other")])] == [
        (AREA, ORGANISATION),
        (AREA, "other"),
    ]


def test_what_comes_after_the_day_is_later_and_changes_no_verdict(state: State) -> None:
    hub = Hub([Sent("a", 1, Status.ACTIVE, TAKES), Sent("b", 1, Status.ACTIVE, TAKES)])
    say(state, *hub.sent)
    hear(state, *hub.receipts(), hub.count(T0.date()))
    more = Hub(
        [Sent("a", 2, Status.ENDED, TAKES), Sent("b", 2, Status.ACTIVE, "REFUSED"), Sent("c", 1, Status.ACTIVE, TAKES)]
    )
    say(state, *more.sent)
    hear(state, *more.receipts())
    one = compared(state)
    assert (one.equal, one.hub_count, one.own_count, one.later) == (True, 2, 2, 3)


def test_a_refusal_that_is_taken_later_is_still_a_difference_of_that_day(state: State) -> None:
    refused = Hub([Sent("a", 1, Status.ACTIVE, "REFUSED")])
    say(state, *refused.sent)
    hear(state, *refused.receipts(), refused.count(T0.date()))
    (receipt,) = refused.receipts()
    hear(state, replace(receipt, kind=ReceiptKind.ACCEPTED, codes=()))
    assert [(d.case_ref, d.why) for d in compared(state).differences] == [("a", account.REFUSED)]


@pytest.mark.parametrize(
    ("fates", "why"),
    [
        (("REFUSED",), "refused"),
        ((TAKES, "REFUSED"), "withheld"),
        ((TAKES, "QUARANTINED"), "quarantined"),
    ],
)
def test_each_difference_says_why(state: State, fates: tuple[str, ...], why: str) -> None:
    hub = Hub([Sent("a", number, Status.ACTIVE, fate) for number, fate in enumerate(fates, 1)])
    say(state, *hub.sent)
    hear(state, *hub.receipts(), hub.count(T0.date()))
    one = compared(state)
    assert [(d.case_ref, d.why, d.codes) for d in one.differences] == [("a", why, ("NO_PARTY",))]
    assert one.explained


def test_for_want_of_an_agreement_the_hub_keeps_what_it_held_before(state: State) -> None:
    """Such a statement waited, was never judged and takes nothing out."""
    hub = Hub([Sent("a", 1, Status.ACTIVE, TAKES)])
    waited = Sent("a", 2, Status.ACTIVE, "REFUSED")
    say(state, *hub.sent, waited)
    (refusal,) = Hub([waited]).receipts()
    for kind in (ReceiptKind.WAITING, ReceiptKind.REFUSED):
        hear(state, *hub.receipts(), replace(refusal, kind=kind, codes=(ReceiptCode.NO_AGREEMENT,)))
    hear(state, hub.count(T0.date()))
    one = compared(state)
    assert ([d.why for d in one.differences], one.explained, one.hub_count) == (["refused"], True, 1)


def test_a_difference_that_cannot_be_explained_says_so_and_names_what_was_never_heard_of(state: State) -> None:
    hub = Hub([Sent("a", 1, Status.ACTIVE, TAKES), Sent("b", 1, Status.ACTIVE, TAKES)])
    say(state, *hub.sent)
    hear(state, *(r for r in hub.receipts() if r.case_ref == "a"), hub.count(T0.date()))
    one = compared(state)
    assert (one.equal, one.explained, one.hub_count, one.own_count) == (False, False, 2, 1)
    assert [(d.case_ref, d.why) for d in one.differences] == [("b", account.UNHEARD)]


def test_a_case_of_another_connector_is_no_error_but_a_lost_one_is_counted(state: State) -> None:
    theirs = Hub([Sent("x", 1, Status.ACTIVE, TAKES)])
    hear(state, *theirs.receipts(), theirs.count(T0.date()))
    assert account.compare(state.store.connection) == []
    say(state, Sent("a", 1, Status.ACTIVE, TAKES))
    assert compared(state).unknown == 1


def test_an_older_count_that_is_heard_again_changes_nothing(state: State) -> None:
    hub = Hub([Sent("a", 1, Status.ACTIVE, TAKES)])
    say(state, *hub.sent)
    hear(state, *hub.receipts(), hub.count(T0.date()), Hub().count(T0.date() - timedelta(days=3)))
    assert compared(state).equal


def test_what_an_accepted_statement_replaced_is_forgotten(state: State) -> None:
    hub = Hub([Sent("a", number, Status.ACTIVE, TAKES) for number in range(1, 6)])
    say(state, *hub.sent)
    hear(state, *hub.receipts(), hub.count(T0.date()))
    for table in ("stated", "heard"):
        assert state.store.connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


def test_every_code_and_kind_has_words_in_both_languages() -> None:
    for language in ("en", "nl"):
        assert set(CODES[language]) == set(ReceiptCode)
        assert set(KINDS[language]) == set(ReceiptKind)
        assert all(words.meaning and words.advice for words in CODES[language].values())
    assert {reason(code).code for code in REMARKS} == set(REMARKS)
    assert reason("FROM_THE_FUTURE").meaning == CODES["en"][ReceiptCode.UNKNOWN].meaning
