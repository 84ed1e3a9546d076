"""What the views keep of the log: per key the statement that wins, and nothing that depends on the order of arrival.

Pure. No field is opened here: involvements and identities stay the ciphertext they came as, tied to a case by the ids that
the overlap statement carries in clear. So this stage needs no key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from samenloop_schemas.codes import CaseState, DecisionKind
from samenloop_schemas.records import (
    AcceptedStatement,
    AgreementPublished,
    ClientStatement,
    ClockDay,
    Decision,
    NoticeSent,
    OverlapStatement,
)

Event = AcceptedStatement | ClientStatement | OverlapStatement | Decision | ClockDay

KEPT_DECISIONS = frozenset(DecisionKind) - {DecisionKind.UNKNOWN, DecisionKind.MODEL_PUBLISHED}
"""An identity model is of no use to a page; every other decision is about a case, a notice or an agreement."""

GONE = (CaseState.UNKNOWN, CaseState.NEVER_OVERLAPPED, CaseState.SUPERSEDED)


def case_rank(statement: AcceptedStatement) -> tuple[int, datetime, UUID]:
    """The highest of these wins per case."""
    return statement.revision, statement.stated_at, statement.statement_id


def impossible(decision: Decision) -> bool:
    """A decision whose kind promises a payload that it does not hold."""
    if decision.kind is DecisionKind.AGREEMENT_PUBLISHED:
        return not isinstance(decision.payload, AgreementPublished)
    if decision.kind in (DecisionKind.NOTICE_INTENDED, DecisionKind.NOTICE_DELIVERED):
        return not isinstance(decision.payload, NoticeSent)
    return False


def on_show(case: OverlapStatement) -> bool:
    """Whether a page may know of this case: not during its grace, when nothing is due and nobody was told yet."""
    if case.state in GONE:
        return False
    return case.state is not CaseState.DETECTED or bool(case.due) or bool(case.told)


@dataclass(slots=True)
class Digest:
    """What a set of events comes to. `take` is a join: any order, repeat and split of the same events gives the same.

    The exception is a decision sent twice under one id with different content: decisions have an order, the first counts.
    """

    involvements: dict[tuple[str, UUID], AcceptedStatement] = field(default_factory=dict)
    heard: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """Per area and partner: the last moment at which a statement of that partner was recorded."""
    clients: dict[tuple[str, str], ClientStatement] = field(default_factory=dict)
    cases: dict[tuple[str, str], OverlapStatement] = field(default_factory=dict)
    known_facts: dict[tuple[str, str], UUID] = field(default_factory=dict)
    """Per area and involvement: its case key, of every overlap ever stated, so that a recall finds the case it is about."""
    decisions: dict[tuple[str, UUID], Decision] = field(default_factory=dict)
    days: dict[str, ClockDay] = field(default_factory=dict)
    areas: set[str] = field(default_factory=set)

    def take(self, event: Event) -> None:
        self.areas.add(event.area)
        if isinstance(event, AcceptedStatement):
            self._involvement(event)
        elif isinstance(event, ClientStatement):
            known = self.clients.get((event.area, event.client_id))
            if known is None or event.subject_version > known.subject_version:
                self.clients[event.area, event.client_id] = event
        elif isinstance(event, OverlapStatement):
            self._case(event)
        elif isinstance(event, Decision):
            if event.kind in KEPT_DECISIONS:
                self.decisions.setdefault((event.area, event.decision_id), event)
        else:
            day = self.days.get(event.area)
            if day is None or event.day > day.day:
                self.days[event.area] = event

    def take_all(self, events: Iterable[Event]) -> Digest:
        for event in events:
            self.take(event)
        return self

    def _involvement(self, event: AcceptedStatement) -> None:
        key = event.area, event.case_key_id
        known = self.involvements.get(key)
        if known is None or case_rank(event) > case_rank(known):
            self.involvements[key] = event
        feed = event.area, event.partner
        self.heard[feed] = max(self.heard.get(feed, event.recorded_at), event.recorded_at)

    def _case(self, event: OverlapStatement) -> None:
        for fact in event.facts:
            self.known_facts[event.area, fact.involvement_id] = fact.case_key_id
        known = self.cases.get((event.area, event.case_id))
        if known is None or event.subject_version > known.subject_version:
            self.cases[event.area, event.case_id] = event
