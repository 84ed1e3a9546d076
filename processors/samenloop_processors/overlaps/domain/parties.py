"""On which days an involvement counts, and as which party: the facts held against every agreement version in its own time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from samenloop_processors.agreement import Agreement
from samenloop_processors.overlaps.domain.involvements import Involvement, claims_days
from samenloop_schemas.codes import Status
from samenloop_schemas.dates import Period, dutch_day, years_later

FOREVER = date.max
"""The end of a period that has none: no case ever compares with None."""

Spans = Sequence[tuple[Period, Agreement]]


@dataclass(frozen=True, slots=True)
class Segment:
    """Days ``[start, end)`` on which one involvement counts as one party."""

    fact: str
    party: str
    start: date
    end: date


def segments(involvement: Involvement, spans: Spans) -> tuple[Segment, ...]:
    """The counted days of an involvement, in order; those that touch under one party are one segment.

    A source that does not know when it began was involved at least from its first statement; one that ended without a date
    is taken to have ended on the day it said so; one without `confirmed_on` confirmed by stating.
    """
    facts = involvement.facts
    if not claims_days(facts):
        return ()
    stated_on = dutch_day(involvement.order[1])
    begins = facts.starts_on or dutch_day(involvement.first_stated_at)
    ends = facts.ends_on or (stated_on if facts.status is Status.ENDED else FOREVER)
    confirmed = facts.confirmed_on or stated_on
    found: list[Segment] = []
    for period, agreement in spans:
        party = agreement.party_of(facts.organisation, facts.domain, facts.service_group)
        start = max(begins, period.start)
        end = min(ends, period.end or FOREVER, years_later(confirmed, agreement.terms.active_years))
        if party is None or start >= end:
            continue
        if found and found[-1].end == start and found[-1].party == party.id:
            found[-1] = Segment(facts.involvement_id, party.id, found[-1].start, end)
        else:
            found.append(Segment(facts.involvement_id, party.id, start, end))
    return tuple(found)


def agreement_on(spans: Spans, day: date) -> Agreement | None:
    return next((agreement for period, agreement in spans if day in period), None)


def organisation_of(spans: Spans, party_id: str) -> str:
    """Whose party this is, by the newest version that knows it: a recall also reaches a party that has left the agreement."""
    for _, agreement in reversed(spans):
        if party := agreement.party(party_id):
            return party.organisation
    return ""
