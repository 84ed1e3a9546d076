"""What stands of each case: the winning statement, and what the whole set of its statements says beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from samenloop_schemas.codes import Sensitivity, Status
from samenloop_schemas.records import AcceptedStatement, InvolvementFacts

Order = tuple[int, datetime, UUID]
_COUNTING = frozenset((Status.ACTIVE, Status.PAUSED, Status.ENDED))


@dataclass(frozen=True, slots=True)
class Involvement:
    """One case as F sees it. `facts` are the winner's; `order` is what it won by.

    `first_stated_at` is the earliest statement of the case. `counted_since` is when the hub first recorded a statement of it
    that claims days of involvement: grace is counted from there, so that a confirmation does not start it anew.
    """

    case_key_id: UUID
    order: Order
    facts: InvolvementFacts
    first_stated_at: datetime
    counted_since: datetime | None

    @property
    def involvement_id(self) -> str:
        return self.facts.involvement_id

    @property
    def rank(self) -> tuple[datetime, str]:
        """The order in which facts anchor cases: it rests on the sources' own times, not on arrival."""
        return self.first_stated_at, self.facts.involvement_id


def claims_days(facts: InvolvementFacts) -> bool:
    """Whether a statement claims any day at all. ANNOUNCED, RETRACTED and WITHHELD do not; PROTECTED never shows."""
    return facts.status in _COUNTING and facts.sensitivity is not Sensitivity.PROTECTED


def stated(statement: AcceptedStatement, facts: InvolvementFacts) -> Involvement:
    """What one statement says alone."""
    return Involvement(
        statement.case_key_id,
        (statement.revision, statement.stated_at, statement.statement_id),
        facts,
        statement.stated_at,
        statement.recorded_at if claims_days(facts) else None,
    )


def joined(a: Involvement, b: Involvement) -> Involvement:
    """Two parts of a case's set of statements taken together, in any order and grouping; `a` itself if b adds nothing."""
    winner = b if b.order > a.order else a
    first = min(a.first_stated_at, b.first_stated_at)
    since = min((s for s in (a.counted_since, b.counted_since) if s is not None), default=None)
    if winner is a and first == a.first_stated_at and since == a.counted_since:
        return a
    return Involvement(winner.case_key_id, winner.order, winner.facts, first, since)
