"""A small area to try the overlaps domain in: six cases, five persons, one agreement with two versions, forty days."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID

from samenloop_processors.agreement import Agreement, Published, agreement_decision, parse_agreement
from samenloop_processors.overlaps.domain.involvements import Involvement, stated
from samenloop_processors.overlaps.domain.state import AreaState
from samenloop_schemas.codes import CaseState, DecisionKind, Domain, Sensitivity, Status
from samenloop_schemas.ids import client_id, derived_id
from samenloop_schemas.records import (
    AcceptedStatement,
    Actor,
    ClientStatement,
    ClockDay,
    Decision,
    DueNotice,
    InvolvementFacts,
    NoticeSent,
    OverlapStatement,
)

AREA = "a2"
FIRST = date(2026, 1, 5)
DAYS = 40
KINDS = (
    ("lumens", Domain.WMO, "social_work"),
    ("lumens", Domain.WMO, "client_support"),
    ("valkenswaard", Domain.JW, "youth_help"),
    ("valkenswaard", Domain.PW, "income_support"),
)
PARTIES = ("lumens/social-work", "lumens/client-support", "valkenswaard/jeugd", "valkenswaard/werk-inkomen")
PERSONS = tuple(f"p{i}" for i in range(1, 6))
CASES = tuple(f"f{i}" for i in range(1, 7))

Event = Involvement | ClientStatement | Decision | ClockDay


def on(day: int) -> date:
    return FIRST + timedelta(days=day)


def at(day: int, minute: int = 0) -> datetime:
    return datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(days=day, minutes=minute)


def agreement(
    version: int = 1, valid_from: date = date(2025, 1, 1), grace: int = 0, without: Sequence[str] = ()
) -> Agreement:
    organisations = [
        {"id": o, "name": o, "partner": "smwo", "help_giving": True, "bsn": False, "consent": "not_required"}
        for o in ("lumens", "valkenswaard")
    ]
    parties = [
        {"id": p, "name": p, "organisation": o, "domain": d, "service_group": g}
        for p, (o, d, g) in zip(PARTIES, KINDS, strict=True)
        if p not in without
    ]
    return parse_agreement(
        json.dumps(
            {
                "area": AREA,
                "version": version,
                "valid_from": valid_from.isoformat(),
                "municipalities": [{"code": "0858", "name": "Valkenswaard"}],
                "organisations": organisations,
                "parties": parties,
                "purposes": ["early_coordination"],
                "legal_bases": ["wmo_5_2"],
                "terms": {"grace_days": grace},
            }
        )
    )


def publish(version: Agreement, published: datetime = datetime(2025, 1, 1, 12, tzinfo=UTC)) -> Decision:
    return agreement_decision(version, Actor("steward"), published)


def statement(
    case: str,
    person: str,
    kind: int = 0,
    revision: int = 1,
    starts: int | None = 0,
    ends: int | None = None,
    status: Status = Status.ACTIVE,
    recorded: datetime | None = None,
    confirmed: date | None = FIRST,
    sensitivity: Sensitivity = Sensitivity.NORMAL,
    stated_at: datetime | None = None,
) -> Involvement:
    organisation, domain, group = KINDS[kind]
    facts = InvolvementFacts(
        involvement_id=case,
        source_person_id=person,
        organisation=organisation,
        case_ref=case,
        status=status,
        confirmed_on=confirmed,
        starts_on=None if starts is None else on(starts),
        ends_on=None if ends is None else on(ends),
        domain=domain,
        service_group=group,
        sensitivity=sensitivity,
    )
    said = stated_at or at(0, revision)
    accepted = AcceptedStatement(
        area=AREA,
        statement_id=derived_id("test", case, revision, said, repr(facts)),
        revision=revision,
        stated_at=said,
        recorded_at=recorded or said,
        case_key_id=derived_id("key", case),
    )
    return stated(accepted, facts)


def clock_day(day: int) -> ClockDay:
    """Monday to Friday are working days; day 0 is a Monday."""
    ahead = [on(n) for n in range(day + 1, day + 60) if on(n).weekday() < 5]
    working = sum(on(n).weekday() < 5 for n in range(day + 1))
    return ClockDay(derived_id("clock", day), AREA, on(day), working, on(day).weekday() < 5, tuple(ahead[:30]))


def delivered(notice: DueNotice, case_id: str, moment: datetime) -> Decision:
    sent = NoticeSent(notice.notice_id, notice.change, recipient=notice.recipient, about=notice.about, case_id=case_id)
    return Decision(
        derived_id("delivered", notice.notice_id), AREA, DecisionKind.NOTICE_DELIVERED, moment, payload=sent
    )


def take(state: AreaState, event: Event) -> list[OverlapStatement]:
    """One event through the domain, as the stage hands it over."""
    match event:
        case Involvement():
            state.state_involvement(event)
        case ClientStatement():
            state.state_client(event)
        case ClockDay():
            state.begin_day(event)
        case Decision(kind=DecisionKind.AGREEMENT_PUBLISHED):
            state.publish(Published.of(event))
        case Decision():
            state.deliver(event)
    return state.settle()


def final(state: AreaState) -> list[OverlapStatement]:
    """What is compared. Which ids were ever stated hangs on arrival, so of an id that is gone only what was told is kept."""
    found = [s for case_id in state.cases() if (s := state.statement(case_id)) is not None]
    return [s if s.facts else replace(s, anchor="", state=CaseState.NEVER_OVERLAPPED) for s in found]


def random_statement(rng: Random, cases: int = len(CASES)) -> Involvement:
    """Few cases make much back and forth: told, recalled, told again."""
    number = rng.randrange(cases)
    start = rng.randrange(-5, 20)
    status = rng.choices(
        (Status.ACTIVE, Status.ENDED, Status.PAUSED, Status.ANNOUNCED, Status.RETRACTED, Status.WITHHELD),
        (14, 3, 1, 1, 2, 1),
    )[0]
    return statement(
        CASES[number],
        PERSONS[number % 5] if rng.random() < 0.9 else rng.choice(PERSONS),
        kind=number % 4 if rng.random() < 0.8 else rng.randrange(4),
        revision=rng.randrange(1, 9),
        starts=None if rng.random() < 0.05 else start,
        ends=start + rng.randrange(0, 25) if rng.random() < 0.35 else None,
        status=status,
        confirmed=on(rng.randrange(DAYS)).replace(year=2024) if rng.random() < 0.06 else FIRST,
        sensitivity=Sensitivity.PROTECTED if rng.random() < 0.04 else Sensitivity.NORMAL,
        stated_at=at(rng.randrange(DAYS // 2), rng.randrange(600)),
        recorded=at(rng.randrange(DAYS // 2), rng.randrange(600)),
    )


@dataclass
class Clients:
    """A clients stage that only deals partitions: it states who gains before who loses, wherever there is such an order."""

    version: int = 0
    of: dict[str, str] = field(default_factory=lambda: dict.fromkeys(PERSONS, ""))
    """Person to the anchor of his client; "" before he was ever stated."""

    def repartition(self, groups: Iterable[Sequence[str]]) -> list[ClientStatement]:
        before, now = dict(self.of), {p: min(group) for group in groups for p in group}
        self.of = {p: now.get(p, "") for p in PERSONS}
        changed = {a for p in PERSONS if before[p] != self.of[p] for a in (before[p], self.of[p]) if a}
        waits = {a: {self.of[p] for p in PERSONS if before[p] == a and self.of[p] not in ("", a)} for a in changed}
        order: list[str] = []
        while len(order) < len(changed):
            left = sorted(changed - set(order))
            order.append(next((a for a in left if not waits[a] - set(order)), left[0]))
        return [self._state(anchor) for anchor in order]

    def _state(self, anchor: str) -> ClientStatement:
        self.version += 1
        members = tuple(p for p in PERSONS if self.of[p] == anchor)
        return ClientStatement(AREA, client_id(anchor), self.version, anchor if members else "", members)

    def random(self, rng: Random) -> list[ClientStatement]:
        groups: dict[int, list[str]] = {}
        for person in PERSONS:
            if rng.random() < 0.95:
                groups.setdefault(rng.choices(range(4), (12, 2, 1, 1))[0], []).append(person)
        return self.repartition(groups.values())


@dataclass
class Notifier:
    """Sees the statements, takes due notices at random moments, and records their delivery at later ones."""

    rng: Random
    seen: dict[str, OverlapStatement] = field(default_factory=dict)
    on_its_way: list[tuple[DueNotice, str]] = field(default_factory=list)
    taken: set[UUID] = field(default_factory=set)
    decisions: list[Decision] = field(default_factory=list)

    def see(self, statements: Iterable[OverlapStatement]) -> None:
        self.seen |= {s.case_id: s for s in statements}

    def due(self) -> list[tuple[DueNotice, str]]:
        return [(n, s.case_id) for s in self.seen.values() for n in s.due if n.notice_id not in self.taken]

    def pick_up(self, chance: float = 1.0) -> None:
        for notice, case_id in self.due():
            if self.rng.random() < chance:
                self.taken.add(notice.notice_id)
                self.on_its_way.append((notice, case_id))

    def record(self, moment: datetime) -> Decision | None:
        if not self.on_its_way:
            return None
        notice, case_id = self.on_its_way.pop(self.rng.randrange(len(self.on_its_way)))
        self.decisions.append(delivered(notice, case_id, moment))
        return self.decisions[-1]


def interleaved(rng: Random, *queues: Sequence[Event]) -> list[Event]:
    """One order of all events that keeps each queue's own."""
    left = [list(reversed(queue)) for queue in queues if queue]
    events: list[Event] = []
    while left:
        queue = rng.choices(left, [len(q) for q in left])[0]
        events.append(queue.pop())
        left = [q for q in left if q]
    return events
