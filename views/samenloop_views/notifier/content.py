"""What is said of a due notice: that it is intended, the notice itself, that it was delivered. Pure; ids derive from it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from samenloop_schemas.codes import ActorRole, DecisionKind
from samenloop_schemas.ids import derived_id
from samenloop_schemas.records import Actor, Decision, DueNotice, Notice, NoticeSent, OverlapStatement

NOTIFIER = Actor(user="notifier", role=ActorRole.SYSTEM)
CHANNEL = "notices"


def intended(due: DueNotice, case: OverlapStatement, at: datetime) -> Decision:
    """Before anything is sent: a crash after this leaves a trace of what may have been sent."""
    sent = NoticeSent(due.notice_id, due.change, case.kind, due.recipient, due.about, case.case_id, CHANNEL)
    return _decision(DecisionKind.NOTICE_INTENDED, sent, case.area, at)


def delivered(intention: Decision, at: datetime) -> Decision:
    """The same, as done: it repeats the facts that the recipient was told of, whatever the case has become since."""
    assert isinstance(intention.payload, NoticeSent)
    return _decision(DecisionKind.NOTICE_DELIVERED, intention.payload, intention.area, at)


def notice(due: DueNotice, case: OverlapStatement, case_refs: Iterable[str], public_url: str) -> Notice:
    """What the partner's connector gets: its own cases by its own refs, and where to look. No other party, no person."""
    return Notice(
        notice_id=due.notice_id,
        area=case.area,
        organisation=due.organisation,
        party=due.recipient,
        case_refs=tuple(sorted(set(case_refs))),
        case_id=case.case_id,
        kind=case.kind,
        change=due.change,
        deadline=due.deadline,
        link=f"{public_url.rstrip('/')}/overlappen/{case.case_id}" if public_url else "",
    )


def own_facts(due: DueNotice) -> list[str]:
    """The recipient's own involvements on which the notice rests."""
    return sorted({fact for basis in due.about for fact in basis.own})


def _decision(kind: DecisionKind, sent: NoticeSent, area: str, at: datetime) -> Decision:
    return Decision(
        decision_id=derived_id(kind.value, area, sent.notice_id),
        area=area,
        kind=kind,
        decided_at=at,
        actor=NOTIFIER,
        facts=tuple(sorted({fact for basis in sent.about for fact in basis.own})),
        target=sent.case_id,
        payload=sent,
    )
