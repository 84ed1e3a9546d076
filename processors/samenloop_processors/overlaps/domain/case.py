"""An overlap case: one episode of one client, with the facts in it. Nothing here depends on T or on what was told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from samenloop_processors.agreement import Agreement
from samenloop_processors.overlaps.domain.episodes import episodes
from samenloop_processors.overlaps.domain.involvements import Involvement
from samenloop_processors.overlaps.domain.parties import Segment, Spans, agreement_on
from samenloop_schemas.dates import dutch_day
from samenloop_schemas.ids import case_id


@dataclass(frozen=True, slots=True)
class Case:
    """`facts` by rank; `segments` are their counted days that touch the episode, in the order of time.

    `since` is per party when the hub first recorded an involvement of it here; `detected_at` the second of those moments.
    `agreement` is the version in force on the day on which the case came about.
    """

    case_id: str
    anchor: str
    client_id: str
    start: date
    end: date
    facts: tuple[Involvement, ...]
    segments: tuple[Segment, ...]
    since: dict[str, datetime]
    detected_at: datetime
    agreement: Agreement

    @property
    def parties(self) -> tuple[str, ...]:
        return tuple(sorted(self.since))

    def rank_of(self, fact: str) -> int:
        return next(i for i, involvement in enumerate(self.facts) if involvement.involvement_id == fact)

    def party_of(self, fact: str) -> str:
        """The party as which a fact counts in this case, the last one if the agreement changed under way."""
        return next(s.party for s in reversed(self.segments) if s.fact == fact)

    def organisation_of(self, party: str) -> str:
        fact = next(s.fact for s in self.segments if s.party == party)
        return self.facts[self.rank_of(fact)].facts.organisation

    def turning_days(self) -> Iterator[date]:
        """The days on which something about this case may change without any new statement."""
        for segment in self.segments:
            yield segment.start
            yield segment.end
        if grace := self.agreement.terms.grace_days:
            for since in self.since.values():
                yield dutch_day(since) + timedelta(days=grace)


def cases_of(
    client_id: str, involved: Iterable[tuple[Involvement, Sequence[Segment]]], spans: Spans, kind: str
) -> tuple[Case, ...]:
    """The cases of a client, in the order of their episodes.

    A case takes its id from its least fact that does not already anchor an earlier episode of this client, so that one id
    means one episode. Should all be taken (facts that count, pause by agreement and count again), a number tells them apart.
    """
    facts = sorted(((i, s) for i, s in involved if s), key=lambda pair: pair[0].rank)
    counted = [segment for _, segments in facts for segment in segments]
    if len({segment.party for segment in counted}) < 2:
        return ()
    found: list[Case] = []
    taken: set[str] = set()
    for start, end in episodes(counted):
        segments = sorted(
            (s for s in counted if s.start < end and start < s.end), key=lambda s: (s.start, s.end, s.fact, s.party)
        )
        inside = {s.fact for s in segments}
        case_facts = tuple(i for i, _ in facts if i.involvement_id in inside)
        anchor = next((i.involvement_id for i in case_facts if i.involvement_id not in taken), None)
        if anchor is None:
            anchor = f"{case_facts[0].involvement_id}#{len(found)}"
        taken.add(anchor)
        since = _since(case_facts, segments)
        detected_at = sorted(since.values())[1]
        agreement = agreement_on(spans, max(start, dutch_day(detected_at))) or agreement_on(spans, start)
        assert agreement is not None, "a counted day lies in an agreement"
        found.append(
            Case(
                case_id(kind, anchor),
                anchor,
                client_id,
                start,
                end,
                case_facts,
                tuple(segments),
                since,
                detected_at,
                agreement,
            )
        )
    return tuple(found)


def _since(facts: Iterable[Involvement], segments: Iterable[Segment]) -> dict[str, datetime]:
    recorded = {i.involvement_id: i.counted_since for i in facts}
    since: dict[str, datetime] = {}
    for segment in segments:
        at = recorded[segment.fact]
        assert at is not None, "a fact that counts was recorded"
        since[segment.party] = min(at, since.get(segment.party, at))
    return since
