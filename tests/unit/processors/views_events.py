"""Small events for the tests of the views: built whole, from a few words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from samenloop_processors.views.domain import Event
from samenloop_schemas.codes import CaseState, DecisionKind, NoticeChange, OverlapKind, Status
from samenloop_schemas.ids import derived_id
from samenloop_schemas.records import (
    AcceptedStatement,
    CaseFact,
    ClientStatement,
    ClockDay,
    Decision,
    DueNotice,
    NoticeBasis,
    NoticeSent,
    OverlapStatement,
    SealedPerson,
)

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
AREAS = ("a2", "zwolle")


def key(what: str, number: int) -> UUID:
    return derived_id("test-key", what, number)


def involvement(
    area: str, case: int, revision: int, minute: int, variant: int, stands: bool = True
) -> AcceptedStatement:
    return AcceptedStatement(
        area=area,
        statement_id=derived_id("test-statement", area, case, revision, minute, variant),
        partner="smwo" if case % 2 else "backoffice",
        revision=revision,
        identity_revision=revision,
        stated_at=START + timedelta(minutes=minute),
        recorded_at=START + timedelta(minutes=minute, seconds=case + variant),
        agreement_version=1,
        case_key_id=key("case", case),
        person_key_id=key("person", case // 2),
        facts=f"facts {case} {revision} {variant}".encode(),
        identity=b"identity" if stands else None,
        related=(SealedPerson(key("person", 9), revision, b"related"),) if variant and stands else (),
    )


def client(area: str, number: int, version: int) -> ClientStatement:
    return ClientStatement(
        area=area,
        client_id=f"client{number}",
        subject_version=version,
        members=tuple(f"p{i}" for i in range(version % 3)),
    )


def overlap(area: str, number: int, version: int, state: CaseState = CaseState.NOTIFIED) -> OverlapStatement:
    facts = tuple(
        CaseFact(
            f"i{number}{i}",
            f"p{i}",
            key("case", i),
            f"org{i}/social-work",
            f"org{i}",
            date(2026, 1, 1),
            None,
            Status.ACTIVE,
        )
        for i in range(version % 4)
    )
    due = (DueNotice(derived_id("n", number), NoticeChange.NEW, "org0/social-work", "org0"),) if version % 2 else ()
    return OverlapStatement(
        area,
        f"case{number}",
        version,
        OverlapKind.CLIENT,
        state,
        f"client{number}",
        f"i{number}0",
        facts=facts,
        due=due,
    )


def delivered(area: str, number: int, kind: DecisionKind = DecisionKind.NOTICE_DELIVERED) -> Decision:
    basis = NoticeBasis("org1/social-work", (f"i{number}0",), (f"i{number}1",))
    payload = NoticeSent(
        derived_id("n", number),
        NoticeChange.NEW,
        OverlapKind.CLIENT,
        "org0/social-work",
        (basis,),
        f"case{number}",
        "topic",
    )
    return Decision(derived_id("d", area, kind, number), area, kind, START, payload=payload)


def contact_made(area: str, number: int) -> Decision:
    return Decision(derived_id("c", area, number), area, DecisionKind.CONTACT_MADE, START, facts=(f"i{number}0",))


def day(area: str, number: int) -> ClockDay:
    return ClockDay(derived_id("day", area, number), area, date(2026, 3, number), number, True)


small = st.integers(0, 3)
area_names = st.sampled_from(AREAS)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(involvement, area_names, small, small, small, st.integers(0, 1), st.booleans()),
    st.builds(client, area_names, small, st.integers(1, 6)),
    st.builds(overlap, area_names, small, st.integers(1, 6)),
    st.builds(
        delivered, area_names, small, st.sampled_from([DecisionKind.NOTICE_INTENDED, DecisionKind.NOTICE_DELIVERED])
    ),
    st.builds(contact_made, area_names, small),
    st.builds(day, area_names, st.integers(1, 9)),
)


def one_statement_per_id(taken: list[Event]) -> list[Event]:
    """What the log promises: an id, or a subject's version, never names two contents."""
    seen: dict[object, Event] = {}
    return [event for event in taken if seen.setdefault(_identity(event), event) == event]


def _identity(event: Event) -> object:
    match event:
        case AcceptedStatement():
            return event.statement_id
        case ClientStatement():
            return event.area, event.client_id, event.subject_version
        case OverlapStatement():
            return event.area, event.case_id, event.subject_version
        case Decision():
            return event.decision_id
        case ClockDay():
            return event.event_id
