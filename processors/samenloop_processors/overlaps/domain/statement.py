"""A case as it is stated: the case itself, its life, what its parties were told, and what is due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from uuid import UUID

from samenloop_processors.overlaps.domain.calendar import Calendar
from samenloop_processors.overlaps.domain.case import Case
from samenloop_processors.overlaps.domain.ledger import Ledger, Told
from samenloop_processors.overlaps.domain.notices import Truth, due_answers, due_news
from samenloop_processors.overlaps.domain.parties import FOREVER
from samenloop_schemas.codes import CaseState, OverlapKind
from samenloop_schemas.records import CaseFact, DueNotice, OverlapStatement

Placed = Sequence[tuple[Told, Truth]]


def living(
    area: str, case: Case, placed: Placed, ledger: Ledger, calendar: Calendar, organisation_of: Callable[[str], str]
) -> OverlapStatement:
    """A case that F holds. DETECTED until a notice was delivered, NOTIFIED from then on, CLOSED once its episode is over."""
    today = calendar.today
    kept = [(item, truth) for item, truth in placed if item.key not in ledger.recalled]
    told_on = min((item.day for item, truth in kept if truth is not Truth.FALSE), default=None)
    terms = case.agreement.terms
    due: list[DueNotice] = []
    if today is not None:
        standing = [item for item, truth in kept if truth is Truth.STANDS and item.key not in ledger.ended]
        deadline = calendar.deadline(today, terms.contact_working_days)
        due = [*due_news(case, standing, ledger, today, deadline), *due_answers(placed, ledger, organisation_of)]
    return OverlapStatement(
        area=area,
        case_id=case.case_id,
        kind=OverlapKind.CLIENT,
        state=_state(case, today, told_on is not None),
        client_id=case.client_id,
        anchor=case.anchor,
        episode_from=case.start,
        episode_to=None if case.end == FOREVER else case.end,
        detected_at=case.detected_at,
        facts=case_facts(case),
        parties=case.parties,
        due=_in_order(due),
        told=_told(kept),
        contact_by=calendar.deadline(told_on, terms.contact_working_days) if told_on else None,
        coordinator_by=calendar.deadline(told_on, terms.coordinator_working_days) if told_on else None,
        agreement_version=case.agreement.version,
    )


def gone(
    area: str,
    case_id: str,
    anchor: str,
    superseded: bool,
    placed: Placed,
    ledger: Ledger,
    today: date | None,
    organisation_of: Callable[[str], str],
) -> OverlapStatement:
    """An id that F no longer holds: its least fact lies in another case now, or it never was an overlap."""
    return OverlapStatement(
        area=area,
        case_id=case_id,
        kind=OverlapKind.CLIENT,
        state=CaseState.SUPERSEDED if superseded else CaseState.NEVER_OVERLAPPED,
        anchor=anchor,
        due=_in_order(list(due_answers(placed, ledger, organisation_of))) if today is not None else (),
        told=_told([(item, truth) for item, truth in placed if item.key not in ledger.recalled]),
    )


def case_facts(case: Case) -> tuple[CaseFact, ...]:
    return tuple(
        CaseFact(
            involvement_id=i.involvement_id,
            source_person_id=i.facts.source_person_id,
            case_key_id=i.case_key_id,
            party=case.party_of(i.involvement_id),
            organisation=i.facts.organisation,
            starts_on=i.facts.starts_on,
            ends_on=i.facts.ends_on,
            status=i.facts.status,
            sensitivity=i.facts.sensitivity,
        )
        for i in case.facts
    )


def _state(case: Case, today: date | None, notified: bool) -> CaseState:
    if today is not None and case.end <= today:
        return CaseState.CLOSED
    return CaseState.NOTIFIED if notified else CaseState.DETECTED


def _in_order(due: list[DueNotice]) -> tuple[DueNotice, ...]:
    return tuple(sorted(due, key=lambda notice: (notice.recipient, notice.change, notice.notice_id)))


def _told(placed: Placed) -> tuple[UUID, ...]:
    return tuple(sorted({item.notice_id for item, _ in placed}))
