"""The overlaps question answered the slow and obvious way: day by day, pair by pair, from the whole sets each time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from overlaps_world import FIRST, Event

from samenloop_processors.agreement import Agreement, Published
from samenloop_processors.overlaps.domain.involvements import Involvement
from samenloop_schemas.codes import DecisionKind, NoticeChange, Sensitivity, Status
from samenloop_schemas.dates import dutch_day, years_later
from samenloop_schemas.ids import case_id
from samenloop_schemas.records import ClientStatement, ClockDay, Decision, NoticeSent

CALENDAR = [FIRST + timedelta(days=n) for n in range(-30, 100)]
"""Long enough that what still counts on its last day never ends."""


@dataclass(frozen=True)
class SlowCase:
    case_id: str
    client: str
    days: tuple[date, ...]
    facts: frozenset[str]
    detected_at: datetime


class Reference:
    def __init__(self, events: Iterable[Event]) -> None:
        events = list(events)
        self.statements = [e for e in events if isinstance(e, Involvement)]
        decisions = [e for e in events if isinstance(e, Decision)]
        self.published = [Published.of(d) for d in decisions if d.kind is DecisionKind.AGREEMENT_PUBLISHED]
        self.sent: list[NoticeSent] = []
        for decision in decisions:
            payload = decision.payload
            if isinstance(payload, NoticeSent) and payload.notice_id not in {s.notice_id for s in self.sent}:
                self.sent.append(payload)
        self.today = max((e.day for e in events if isinstance(e, ClockDay)), default=None)
        latest: dict[str, ClientStatement] = {}
        for client in (e for e in events if isinstance(e, ClientStatement)):
            if client.client_id not in latest or latest[client.client_id].subject_version < client.subject_version:
                latest[client.client_id] = client
        self.client_of: dict[str, str] = {}
        for client in sorted(latest.values(), key=lambda c: c.subject_version):
            self.client_of |= dict.fromkeys(client.members, client.client_id)
        self.facts = {f for s in self.statements if (f := s.involvement_id)}
        self.winner = {
            f: max((s for s in self.statements if s.involvement_id == f), key=lambda s: s.order) for f in self.facts
        }
        self.first = {f: min(s.order[1] for s in self.statements if s.involvement_id == f) for f in self.facts}
        self.party = {f: {d: p for d in CALENDAR if (p := self._party(f, d))} for f in self.facts}
        self.cases = [case for client in sorted(latest) for case in self._cases(client)]

    def agreement_on(self, day: date) -> Agreement | None:
        begun = [p.agreement for p in self.published if max(p.agreement.valid_from, p.published_on) <= day]
        return max(begun, key=lambda a: a.version, default=None)

    def _party(self, fact: str, day: date) -> str | None:
        winner, agreement = self.winner[fact], self.agreement_on(day)
        facts, said = winner.facts, dutch_day(winner.order[1])
        if (
            facts.status not in (Status.ACTIVE, Status.PAUSED, Status.ENDED)
            or facts.sensitivity is Sensitivity.PROTECTED
        ):
            return None
        if agreement is None or day < (facts.starts_on or dutch_day(self.first[fact])):
            return None
        if facts.ends_on is not None and day >= facts.ends_on:
            return None
        if facts.ends_on is None and facts.status is Status.ENDED and day >= said:
            return None
        if day >= years_later(facts.confirmed_on or said, agreement.terms.active_years):
            return None
        party = agreement.party_of(facts.organisation, facts.domain, facts.service_group)
        return party.id if party else None

    def _cases(self, client: str) -> list[SlowCase]:
        facts = [f for f in self.facts if self.client_of.get(self.winner[f].facts.source_person_id) == client]
        runs: list[list[date]] = []
        for day in CALENDAR:
            if len({p for f in facts if (p := self.party[f].get(day))}) >= 2:
                if runs and runs[-1][-1] == day - timedelta(days=1):
                    runs[-1].append(day)
                else:
                    runs.append([day])
        cases: list[SlowCase] = []
        anchors: list[str] = []
        for run in runs:
            inside = sorted((f for f in facts if set(run) & set(self.party[f])), key=lambda f: (self.first[f], f))
            free = [f for f in inside if f not in anchors]
            anchors.append(free[0] if free else f"{inside[0]}#{len(cases)}")
            since = sorted(
                min(self.recorded(f) for f in inside if self._acts_as(f, p, run)) for p in self._parties(inside, run)
            )
            cases.append(SlowCase(case_id("client", anchors[-1]), client, tuple(run), frozenset(inside), since[1]))
        return cases

    def recorded(self, fact: str) -> datetime:
        return min(s.counted_since for s in self.statements if s.involvement_id == fact and s.counted_since)

    def _acts_as(self, fact: str, party: str, days: Iterable[date]) -> bool:
        return any(self.party[fact].get(day) == party for day in days)

    def _parties(self, facts: Iterable[str], days: Iterable[date]) -> set[str]:
        return {p for f in facts for d in days if (p := self.party[f].get(d))}

    def desired(self) -> set[tuple[str, str, str]]:
        """(case, recipient, other party) that should stand at T."""
        found = set()
        for case in self.cases:
            if self.today not in case.days:
                continue
            terms = (
                self.agreement_on(max(case.days[0], dutch_day(case.detected_at))) or self.agreement_on(case.days[0])
            ).terms
            now = {
                p: [f for f in case.facts if self._acts_as(f, p, case.days)]
                for p in self._parties(case.facts, [self.today])
            }
            for r in now:
                for q in now:
                    fresh = max(min(map(self.recorded, now[r])), min(map(self.recorded, now[q])))
                    waits = terms.grace_days and self.today < dutch_day(fresh) + timedelta(days=terms.grace_days)
                    if r != q and not waits:
                        found.add((case.case_id, r, q))
        return found

    def held_on(self, sent: NoticeSent, place: int) -> list[date]:
        """The days up to T on which what was told was so."""
        basis, today = sent.about[place], self.today
        client = {f: self.client_of.get(self.winner[f].facts.source_person_id) for f in self.facts}
        return [
            day
            for day in CALENDAR
            for own in basis.own
            for other in basis.other
            if today and day <= today and own in self.facts and other in self.facts
            if client[own] is not None and client[own] == client[other]
            if self.party[own].get(day) == sent.recipient and self.party[other].get(day) == basis.party
        ]

    def told(self) -> dict[tuple[str, str, str], tuple[list[date], set[NoticeChange]]]:
        """Per (notice, recipient, other party): the days it held, and what was said of it afterwards."""
        found = {}
        for n, sent in enumerate(self.sent):
            if sent.change in (NoticeChange.NEW, NoticeChange.GROWN):
                for place, basis in enumerate(sent.about):
                    later = {s.change for s in self.sent[n + 1 :] if s.recipient == sent.recipient and basis in s.about}
                    answers = later & {NoticeChange.ENDED, NoticeChange.RECALLED}
                    found[str(sent.notice_id), sent.recipient, basis.party] = (self.held_on(sent, place), answers)
        return found

    def standing(self) -> set[tuple[str, str, str]]:
        return {
            (next(c.case_id for c in self.cases if self.today in c.days and self._holds(c, key)), key[1], key[2])
            for key, (days, answers) in self.told().items()
            if self.today in days and not answers
        }

    def _holds(self, case: SlowCase, key: tuple[str, str, str]) -> bool:
        sent = next(s for s in self.sent if str(s.notice_id) == key[0])
        basis = next(b for b in sent.about if b.party == key[2])
        return bool(case.facts & set(basis.own)) and bool(case.facts & set(basis.other))

    def due(self) -> set[tuple[str, str, str]]:
        """(RECALLED, ENDED or TOLD; recipient; other party) that must be said now."""
        if self.today is None:
            return set()
        owed = {("TOLD", r, q) for _, r, q in self.desired() - self.standing()}
        for (_, r, q), (days, answers) in self.told().items():
            if not days and NoticeChange.RECALLED not in answers:
                owed.add(("RECALLED", r, q))
            if days and self.today not in days and not answers:
                owed.add(("ENDED", r, q))
        return owed
