"""What is said of a due notice: ids that derive from it, facts that are repeated as they were, nothing about anybody."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from samenloop_schemas import codec
from samenloop_schemas.codes import ActorRole, CaseState, DecisionKind, NoticeChange, OverlapKind
from samenloop_schemas.ids import derived_id
from samenloop_schemas.records import Decision, DueNotice, NoticeBasis, NoticeSent, OverlapStatement
from samenloop_views.notifier import content

AT = datetime(2026, 3, 10, 9, tzinfo=UTC)
ABOUT = (NoticeBasis("b/y", ("i2", "i1"), ("i3",)), NoticeBasis("c/z", ("i1",), ("i4",)))
DUE = DueNotice(derived_id("n", 1), NoticeChange.NEW, "a/x", "a", ABOUT, date(2026, 3, 17))
CASE = OverlapStatement("a2", "c" * 32, 1, OverlapKind.CLIENT, CaseState.DETECTED, client_id="client", due=(DUE,))


def test_the_same_notice_has_the_same_ids_whenever_it_is_told() -> None:
    first, again = content.intended(DUE, CASE, AT), content.intended(DUE, CASE, AT + timedelta(hours=1))
    done = content.delivered(first, AT + timedelta(seconds=1))
    assert first.decision_id == again.decision_id
    assert done.decision_id == content.delivered(again, AT).decision_id
    assert first.decision_id != done.decision_id


def test_a_delivery_repeats_the_facts_of_its_intention() -> None:
    first = codec.decode(codec.encode(content.intended(DUE, CASE, AT)), Decision)
    done = content.delivered(first, AT + timedelta(seconds=1))
    assert isinstance(done.payload, NoticeSent)
    assert (done.payload.about, done.payload.case_id) == (ABOUT, CASE.case_id)
    assert (done.kind, done.facts, done.area) == (DecisionKind.NOTICE_DELIVERED, ("i1", "i2"), "a2")
    assert done.actor.role is ActorRole.SYSTEM


def test_a_notice_names_neither_the_other_party_nor_a_person() -> None:
    told = content.notice(DUE, CASE, ["r2", "r1", "r2"], "https://samenloop.example/")
    assert told.case_refs == ("r1", "r2")
    assert told.link == f"https://samenloop.example/overlappen/{CASE.case_id}"
    encoded = codec.encode(told)
    for word in (b"b/y", b"c/z", b"client", b"i3"):
        assert word not in encoded
    assert content.notice(DUE, CASE, [], "").link == ""
