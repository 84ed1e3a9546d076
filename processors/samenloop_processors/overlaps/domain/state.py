"""Everything known of one area, and the step that follows each event.

State is F(S, D, T, A): `settle` brings the derived part up to date with the sets, and only where they changed. A client is
looked at again when its members, its facts or the agreement changed, or when one of its days was passed; a told item when a
fact it rests on lies in such a client; a case when it, or an item placed in it, changed.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta

from samenloop_processors.agreement import AgreementBook, Published
from samenloop_processors.overlaps.domain import statement
from samenloop_processors.overlaps.domain.calendar import Calendar
from samenloop_processors.overlaps.domain.case import Case, cases_of
from samenloop_processors.overlaps.domain.involvements import Involvement, joined
from samenloop_processors.overlaps.domain.ledger import ItemKey, Ledger, Told
from samenloop_processors.overlaps.domain.members import Membership
from samenloop_processors.overlaps.domain.notices import Judged, Truth, judge
from samenloop_processors.overlaps.domain.parties import Segment, Spans, organisation_of, segments
from samenloop_schemas.records import ClientStatement, ClockDay, Decision, OverlapStatement

KIND = "client"
_DAY = timedelta(days=1)


class AreaState:
    """One area in memory. The event methods take in a member of a set and say whether it was new; `settle` derives."""

    def __init__(self, area: str) -> None:
        self.area = area
        self.book = AgreementBook()
        self.calendar = Calendar()
        self.ledger = Ledger()
        self.membership = Membership()
        self.involvements: dict[str, Involvement] = {}
        self.erased: set[str] = set()
        self.stated: dict[str, str] = {}
        """Every case id ever stated, with its anchor: outside F, kept so that an id that F drops is stated as gone."""
        self.new_ids: dict[str, str] = {}
        """Those of the last `settle`."""
        self._spans: Spans = ()
        self._segments: dict[str, tuple[Segment, ...]] = {}
        self._of_person: defaultdict[str, set[str]] = defaultdict(set)
        self._cases_of: dict[str, tuple[Case, ...]] = {}
        self._cases: dict[str, Case] = {}
        self._in_case: dict[str, int] = {}
        self._ids_on_anchor: defaultdict[str, list[str]] = defaultdict(list)
        self._judged: dict[ItemKey, tuple[str, Truth]] = {}
        self._placed: defaultdict[str, set[ItemKey]] = defaultdict(set)
        self._turns: list[tuple[date, str]] = []
        self._queued: set[tuple[date, str]] = set()
        self._waiting: defaultdict[date, set[str]] = defaultdict(set)
        self._clients: set[str] = set()
        self._items: set[ItemKey] = set()
        self._due_cases: set[str] = set()

    # what comes in

    def state_involvement(self, stated: Involvement) -> Involvement | None:
        """What now stands of the case; None when this statement added nothing."""
        fact = stated.involvement_id
        if fact in self.erased:
            return None
        known = self.involvements.get(fact)
        now = stated if known is None else joined(known, stated)
        if now is known:
            return None
        if known is not None:
            self._touch_fact(known)
            self._of_person[known.facts.source_person_id].discard(fact)
        self.involvements[fact] = now
        self._of_person[now.facts.source_person_id].add(fact)
        self._segments[fact] = segments(now, self._spans)
        self._touch_fact(now)
        return now

    def erase(self, fact: str) -> Involvement | None:
        """A case whose key was destroyed counts as never stated, whether its statements come before or after."""
        self.erased.add(fact)
        known = self.involvements.pop(fact, None)
        if known is None:
            return None
        self._touch_fact(known)
        self._segments.pop(fact, None)
        self._of_person[known.facts.source_person_id].discard(fact)
        return known

    def state_client(self, client: ClientStatement) -> bool:
        touched = self.membership.state(client)
        self._clients |= touched or set()
        return touched is not None

    def deliver(self, decision: Decision) -> bool:
        items = self.ledger.deliver(decision)
        for item in items or ():
            self._items.add(item.key)
            for fact in item.basis.own:
                if client := self._client_of(fact):
                    self._clients.add(client)
        return items is not None

    def publish(self, published: Published) -> bool:
        """Raises AgreementInvalid when the version is known with another text."""
        if not self.book.add(published):
            return False
        self._spans = self.book.spans(self.area)
        for fact, involvement in self.involvements.items():
            self._segments[fact] = segments(involvement, self._spans)
        self._touch_everything()
        return True

    def begin_day(self, day: ClockDay) -> bool:
        before = self.calendar.today
        if not self.calendar.begin(day):
            return False
        today = self.calendar.today
        assert today is not None
        if before is None:
            self._touch_everything()
        while self._turns and self._turns[0][0] <= today:
            turn, client = heapq.heappop(self._turns)
            self._queued.discard((turn, client))
            self._clients.add(client)
        for start in [start for start in self._waiting if start <= day.day]:
            self._due_cases |= self._waiting.pop(start)
        return True

    # what follows

    def settle(self) -> list[OverlapStatement]:
        """Bring everything derived up to date; the cases that may have changed, as they are stated now (version 0)."""
        old = {client: self._cases_of.pop(client, ()) for client in self._clients}
        new = {client: self._build(client) for client in self._clients}
        for case in (case for cases in old.values() for case in cases):
            self._leave(case)
        for case in (case for cases in new.values() for case in cases):
            self._enter(case)
        for client, cases in new.items():
            if cases:
                self._cases_of[client] = cases
            self._set_turn(client, cases)
        for key in self._items:
            self._judge(self.ledger.items[key])
        statements = [s for i in sorted(self._due_cases) if (s := self.statement(i)) is not None]
        self._clients, self._items, self._due_cases = set(), set(), set()
        self.new_ids = {s.case_id: s.anchor for s in statements if s.case_id not in self.stated}
        for stated in statements:
            self._remember(stated)
        return statements

    def _remember(self, stated: OverlapStatement) -> None:
        """Ids outlive their cases; deadlines wait for their day, and what is due has a later deadline each day."""
        if stated.case_id not in self.stated:
            self.stated[stated.case_id] = stated.anchor
            self._ids_on_anchor[_fact_of(stated.anchor)].append(stated.case_id)
        today = self.calendar.today or date.min
        tomorrow = self._waiting[today + _DAY]
        tomorrow.discard(stated.case_id)
        if any(notice.deadline for notice in stated.due):
            tomorrow.add(stated.case_id)
        for key in self._placed.get(stated.case_id, ()):
            if (day := self.ledger.items[key].day) > today:
                self._waiting[day].add(stated.case_id)

    def statement(self, case_id: str) -> OverlapStatement | None:
        """A case as it stands; None for an id that nobody ever heard of."""
        placed = [(self.ledger.items[key], self._judged[key][1]) for key in sorted(self._placed.get(case_id, ()))]
        case = self._cases.get(case_id)
        if case is not None:
            return statement.living(self.area, case, placed, self.ledger, self.calendar, self._organisation_of)
        if case_id not in self.stated and not placed:
            return None
        anchor = self.stated.get(case_id, "")
        return statement.gone(
            self.area,
            case_id,
            anchor,
            _fact_of(anchor) in self._in_case,
            placed,
            self.ledger,
            self.calendar.today,
            self._organisation_of,
        )

    def restore_stated(self, stated: dict[str, str]) -> None:
        """Ids stated before this state was loaded."""
        self.stated = dict(stated)
        for known, anchor in stated.items():
            self._ids_on_anchor[_fact_of(anchor)].append(known)

    def standing(self) -> Iterator[Told]:
        """What the parties were told and still holds: told minus recalled minus ended."""
        for key, (_, truth) in self._judged.items():
            if truth is Truth.STANDS and key not in self.ledger.recalled and key not in self.ledger.ended:
                yield self.ledger.items[key]

    def cases(self) -> list[str]:
        """The ids of the cases that F holds now, and of those that something told rests on."""
        return sorted({*self._cases, *(case for case, items in self._placed.items() if items)})

    def place_of(self, item: Told) -> str:
        return self._judged[item.key][0]

    def _build(self, client: str) -> tuple[Case, ...]:
        facts = [fact for person in self.membership.members(client) for fact in self._of_person.get(person, ())]
        return cases_of(client, ((self.involvements[f], self._segments[f]) for f in facts), self._spans, KIND)

    def _enter(self, case: Case) -> None:
        self._cases[case.case_id] = case
        for involvement in case.facts:
            fact = involvement.involvement_id
            self._in_case[fact] = self._in_case.get(fact, 0) + 1
        self._touch_case(case)

    def _leave(self, case: Case) -> None:
        del self._cases[case.case_id]
        for involvement in case.facts:
            fact = involvement.involvement_id
            self._in_case[fact] -= 1
            if not self._in_case[fact]:
                del self._in_case[fact]
        self._touch_case(case)

    def _touch_case(self, case: Case) -> None:
        self._due_cases.add(case.case_id)
        for involvement in case.facts:
            fact = involvement.involvement_id
            self._items.update(self.ledger.about(fact))
            self._due_cases.update(self._ids_on_anchor.get(fact, ()))

    def _judge(self, item: Told) -> None:
        """Where an item belongs: the case in which it last held, else the id under which it was told."""
        today = self.calendar.today or date.min
        judged = judge(item, today, self._client_of, lambda fact: self._segments.get(fact, ()))
        place = self._case_on(judged) or item.case_id
        before = self._judged.get(item.key)
        if before is not None:
            self._placed[before[0]].discard(item.key)
            self._due_cases.add(before[0])
        self._judged[item.key] = place, judged.truth
        self._placed[place].add(item.key)
        self._due_cases.add(place)

    def _case_on(self, judged: Judged) -> str | None:
        cases = self._cases_of.get(judged.client, ())
        return next((c.case_id for c in cases if c.start <= judged.last_day < c.end), None)

    def _set_turn(self, client: str, cases: tuple[Case, ...]) -> None:
        """The next day on which this client must be looked at again: the earliest turning day after T."""
        today = self.calendar.today or date.min
        turn = min((day for case in cases for day in case.turning_days() if today < day < date.max), default=None)
        if turn is not None:
            self._turn_on(client, turn)

    def _turn_on(self, client: str, day: date) -> None:
        """Turns that a later statement made needless cost one look, no more."""
        if (day, client) not in self._queued:
            self._queued.add((day, client))
            heapq.heappush(self._turns, (day, client))

    def _client_of(self, fact: str) -> str | None:
        involvement = self.involvements.get(fact)
        return self.membership.client_of(involvement.facts.source_person_id) if involvement else None

    def _touch_fact(self, involvement: Involvement) -> None:
        if client := self.membership.client_of(involvement.facts.source_person_id):
            self._clients.add(client)

    def _touch_everything(self) -> None:
        self._clients.update(self.membership.clients())
        self._items.update(self.ledger.items)
        self._due_cases.update(self.stated)

    def _organisation_of(self, party: str) -> str:
        return organisation_of(self._spans, party)


def _fact_of(anchor: str) -> str:
    return anchor.partition("#")[0]
