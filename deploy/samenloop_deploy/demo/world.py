"""The living truth behind the demo: persons, their cases at every organisation, and what each register says of them now.

A world is a function of its seed, size and starting instant, and of the calls made on it: it reads no clock. Time passes
when the caller says so, with ``advance_to`` (the clock moves), ``play`` (a number of changes now) or ``advance_days``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from .beginning import settle_first_cases
from .cases import SHARED, Case, CaseKey, Client, Consent, State, TrueOverlap, overlaps_on
from .life import grow_up, happen
from .people import Person
from .population import Population, Progress, build_population
from .written import move, source_of, write

AMSTERDAM: Final = ZoneInfo("Europe/Amsterdam")
PEOPLE_PER_PERSON_IN_CARE: Final = 2.6
MICROSECOND: Final = timedelta(microseconds=1)
_CLIENT_NUMBERS: Final = {
    "regas": ("C", 20001),
    "gws": ("", 400001),
    "zgw": ("K", 30001),
    "mee": ("M", 1001),
    "fhir": ("P", 60001),
    "istandaarden": ("I", 70001),
}
"""How each source numbers its clients: no two kinds of register of one organisation share a number."""


class World:
    """Holds the newest version of everything. Not thread-safe: the owner serialises.

    ``log[source, organisation]`` lists (changed_at, case number) in the order of the changes: the newest entry of a case is
    current, older ones are stale. ``change_count`` grows by one with each of them, whoever's it is.
    """

    def __init__(self, seed: int, scale: int, started_at: datetime, progress: Progress | None = None) -> None:
        """``scale``: persons with at least one case at the start, over all areas. ``started_at`` must have a time zone."""
        self.seed = seed
        self.scale = scale
        self.now = started_at.astimezone(UTC)
        self.rng = Random(f"world:{seed}")
        people = int(scale * PEOPLE_PER_PERSON_IN_CARE) + 60
        self.population: Population = build_population(seed, people, self.today, progress)
        self.persons: dict[str, Person] = dict(self.population.persons)
        self.residents: tuple[str, ...] = tuple(self.persons)
        self.clients: dict[tuple[str, str], Client] = {}
        self.cases: dict[CaseKey, Case] = {}
        self.case_order: list[CaseKey] = []
        self.log: defaultdict[tuple[str, str], list[tuple[datetime, str]]] = defaultdict(list)
        self.change_count = 0
        self.cases_of: defaultdict[str, list[CaseKey]] = defaultdict(list)
        self.registrations_of: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
        self.changes: Counter[str] = Counter()
        self._numbers: Counter[str] = Counter()
        self._rewritten: Counter[tuple[str, str]] = Counter()
        self._last_stamp = datetime.min.replace(tzinfo=UTC)
        settle_first_cases(self, progress)

    @property
    def today(self) -> date:
        """The Dutch calendar day of ``now``."""
        return self.now.astimezone(AMSTERDAM).date()

    # Time

    def advance_to(self, instant: datetime) -> None:
        """Moves the clock forward; an earlier instant changes nothing. On a new day some have outgrown their care."""
        before = self.today
        self.now = max(self.now, instant.astimezone(UTC))
        if self.today != before:
            grow_up(self)

    def play(self, changes: int) -> None:
        """Lets that many changes happen at this instant."""
        for _ in range(changes):
            self.changes[happen(self)] += 1

    def advance_days(self, days: int) -> None:
        """Lets whole days pass; each brings about one change per hundred persons in care, at office hours."""
        for _ in range(days):
            morning = datetime.combine(self.today + timedelta(days=1), time(8, 30), AMSTERDAM)
            changes = max(1, round(self.scale / 100 + self.rng.uniform(-1, 1)))
            for at in sorted(self.rng.randrange(8 * 3600) for _ in range(changes)):
                self.advance_to(morning + timedelta(seconds=at))
                self.play(1)
            self.advance_to(morning + timedelta(hours=9))

    def stamp(self) -> datetime:
        """An instant for a change made now: never before ``now`` by the clock, always after the one before."""
        self._last_stamp = max(self.now + MICROSECOND * self.rng.randrange(1000), self._last_stamp + MICROSECOND)
        return self._last_stamp

    # Registers

    def next_number(self, organisation: str, kind: str, first: int) -> int:
        """The organisation's own counter for clients or cases."""
        self._numbers[f"{organisation}|{kind}"] += 1
        return first + self._numbers[f"{organisation}|{kind}"] - 1

    def register(self, organisation: str, person: Person, source: str, again: bool = False) -> Client:
        """The person's registration in a source of the organisation; a new one when there is none yet, or when made ``again``."""
        known = self.registrations_of[source, organisation, person.person]
        if known and not again:
            return self.clients[organisation, known[-1]]
        mark, first = _CLIENT_NUMBERS[source]
        number = f"{mark}{self.next_number(organisation, f'{source} client', first)}"
        written = write(source, self._pen(organisation, number), person, self.mother_of(person), self.today)
        client = Client(organisation, number, person.person, written)
        self.clients[organisation, number] = client
        known.append(number)
        return client

    def mother_of(self, person: Person) -> Person | None:
        return self.persons[person.parents[0]] if person.parents else None

    def rewrite(self, client: Client, *, moved: bool) -> None:
        """A source corrects its registration, or only its address; every case of it then counts as changed."""
        self._rewritten[client.organisation, client.number] += 1
        rng = self._pen(client.organisation, client.number)
        person = self.persons[client.person]
        if moved:
            written = move(rng, client.written, person.address)
        else:
            written = write(source_of(client.written), rng, person, self.mother_of(person), self.today)
        self.clients[client.organisation, client.number] = replace(client, written=written)
        for key in self.cases_of[client.person]:
            case = self.cases[key]
            here = case.organisation == client.organisation and case.client == client.number
            if here and case.vanished_on is None and case.state is not State.WITHDRAWN:
                self.put(case)

    def _pen(self, organisation: str, number: str) -> Random:
        return Random(f"pen:{self.seed}:{organisation}:{number}:{self._rewritten[organisation, number]}")

    def put(self, case: Case, at: datetime | None = None) -> Case:
        """Writes a version of a case into its register, stamped now (or with a past instant, while history is laid down)."""
        case = replace(case, changed_at=at or self.stamp())
        if case.key not in self.cases:
            self.case_order.append(case.key)
            self.cases_of[case.person].append(case.key)
        self.cases[case.key] = case
        self.log[case.source, case.organisation].append((case.changed_at, case.number))
        self.change_count += 1
        return case

    def cases_with(self, person: str) -> Iterator[Case]:
        return (self.cases[key] for key in self.cases_of[person])

    def true_overlaps(self, on: date, consents: frozenset[Consent] = SHARED) -> list[TrueOverlap]:
        """Who has at least two parties on that day; by default without cases whose client refused to share."""
        return overlaps_on(self.cases.values(), on, consents)

    def in_care(self, on: date) -> int:
        """How many persons have somebody involved on that day, agreed to share or not."""
        return len({case.person for case in self.cases.values() if case.involved(on)})
