"""The first day: who is in care, with whom, since when. Most have one party, about one in four two or more.

A fifth of the people of the Bevelanden come from families that Goes (Jeugd) and the social workers of SMWO share, because
that is where the hub's question comes from: the youth worker with the child, the social worker with the parent, or with both.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from .cases import REGAS_SERVICES, SOURCES, UNTIL_AGE, Case, Consent, Service, State
from .people import Person, weighted
from .places import AREAS, Area, area_of
from .population import PROGRESS_STEP, Progress

if TYPE_CHECKING:
    from .world import World

SHARED_FAMILIES_IN: Final = "0664"
PARTIES: Final = ((1, 74.0), (2, 21.0), (3, 5.0))
FORMER_CLIENTS: Final = 0.22
SEEN_TWICE: Final = 0.2
"""Of the adults whom a welfare organisation helps as a municipal provider too: the same help, told of by both."""

_SERVICES: Final = (  # (up to this age, what somebody of that age has)
    (3, ((Service.JW, 44.0), (Service.JT, 18.0), (Service.JGZ, 22.0), (Service.IJW, 6.0), (Service.AMW, 4.0),
         (Service.WMO, 6.0))),
    (18, ((Service.JW, 36.0), (Service.SMW, 20.0), (Service.JT, 16.0), (Service.JGZ, 10.0), (Service.IJW, 10.0),
          (Service.AMW, 4.0), (Service.WMO, 4.0))),
    (22, ((Service.JW, 15.0), (Service.JT, 8.0), (Service.IJW, 7.0), (Service.PW, 24.0), (Service.AMW, 20.0),
          (Service.WMO, 10.0), (Service.CO, 9.0), (Service.MEE, 7.0))),
    (66, ((Service.PW, 28.0), (Service.AMW, 26.0), (Service.WMO, 17.0), (Service.CO, 11.0), (Service.MEE, 9.0),
          (Service.IWMO, 9.0))),
    (120, ((Service.WMO, 42.0), (Service.IWMO, 24.0), (Service.AMW, 12.0), (Service.CO, 14.0), (Service.MEE, 8.0))),
)  # fmt: skip
_FIRST_NUMBERS: Final = {
    "regas": ("T", 100001),
    "gws": ("", 10000001),
    "zgw": ("ZAAK-", 200001),
    "mee": ("D", 3001),
    "fhir": ("E", 800001),
    "istandaarden": ("", 500001),
}
_CONSENTS: Final = {
    "regas": ((Consent.YES, 90.0), (Consent.NOT_ASKED, 6.0), (Consent.NO, 4.0)),
    "mee": ((Consent.YES, 86.0), (Consent.NOT_ASKED, 10.0), (Consent.NO, 4.0)),
}
_EARLY: Final = {
    "regas": ((State.ACTIVE, 91.0), (State.ANNOUNCED, 5.0), (State.WAITING, 4.0)),
    "mee": ((State.ACTIVE, 95.0), (State.ANNOUNCED, 5.0)),
}
_EARLY_ELSEWHERE: Final = ((State.ACTIVE, 92.0), (State.ANNOUNCED, 4.0), (State.PAUSED, 4.0))


def pick_service(rng: Random, person: Person, on: date, taken: Collection[Service] = ()) -> Service | None:
    """A kind of work that fits the age and is not taken yet; None when nothing is left."""
    age = person.age(on)
    table = next(table for up_to, table in _SERVICES if age <= up_to)
    left = [(service, weight) for service, weight in table if service not in taken and possible(person, service, on)]
    return weighted(rng, left) if left else None


def possible(person: Person, service: Service, on: date) -> bool:
    """Whether such work can begin: there are no messages about somebody without a BSN, and youth work is outgrown some day.

    The youth team stops a year before, since it may have written down another day or month of birth.
    """
    if person.bsn is None and SOURCES[service] == "istandaarden":
        return False
    return person.age(on) < UNTIL_AGE.get(service, 999) - (service is Service.JT)


def organisation_for(person: Person, service: Service) -> str:
    """Who does that work where the person lives; always the same for the same person."""
    municipality = person.address.municipality
    area = area_of(municipality.organisation)
    match service:
        case Service.JT:
            return area.youth_team
        case Service.MEE:
            return area.client_support
        case Service.JGZ:
            return area.youth_health
        case Service.IJW:
            return area.youth_help
        case Service.IWMO:
            return area.home_care[zlib.crc32(person.person.encode()) % len(area.home_care)]
    return area.social_work if service in REGAS_SERVICES else municipality.organisation


def pick_team(rng: Random, person: Person, service: Service) -> str:
    """A team, never a professional."""
    if service in REGAS_SERVICES:
        return f"Team {person.address.city}" if service != Service.SMW else "Schoolteam"
    return f"{_TEAMS[service]} {person.address.municipality.name} {rng.choice(('1', '2'))}"


_TEAMS: Final = {
    Service.PW: "Inkomen",
    Service.WMO: "Wmo",
    Service.JW: "Jeugd",
    Service.JT: "Jeugdteam",
    Service.MEE: "Consulenten",
    Service.JGZ: "JGZ",
    Service.IJW: "Jeugdhulp",
    Service.IWMO: "Thuiszorg",
}


def new_case(world: World, person: Person, service: Service, *, starts_on: date | None, state: State) -> Case:
    """A case as its organisation opens it; not yet in the register. One registration in fifty is made twice."""
    rng = world.rng
    organisation = organisation_for(person, service)
    source = SOURCES[service]
    client = world.register(organisation, person, source, again=rng.random() < 0.02)
    mark, first = _FIRST_NUMBERS[source]
    consent = weighted(rng, _CONSENTS[source]) if source in _CONSENTS else Consent.NOT_NEEDED
    number = f"{mark}{world.next_number(organisation, f'{source} case', first)}"
    registered = (starts_on or world.today) - timedelta(days=rng.choice((0, 0, 3, 7, 14, 28)))
    return Case(
        organisation=organisation,
        number=number,
        client=client.number,
        person=person.person,
        service=service,
        state=state,
        registered_on=registered,
        starts_on=starts_on,
        ends_on=None,
        team=pick_team(rng, person, service),
        consent=consent,
        consent_on=(starts_on or registered) if consent in (Consent.YES, Consent.NO) else None,
        changed_at=world.now,
    )


def settle_first_cases(world: World, progress: Progress | None) -> None:
    """Lays down the history up to now: running, announced, paused and ended cases, then the logs in order of time."""
    shares = sum(area.share for area in AREAS)
    laid: list[Case] = []
    stamps: set[datetime] = set()

    def lay(case: Case) -> None:
        at = _past_instant(world, case)
        while at in stamps:
            at += timedelta(microseconds=1)
        stamps.add(at)
        laid.append(world.put(case, at))

    for area in AREAS:
        target = world.scale * area.share // shares
        in_care: set[str] = set()
        residents = list(world.population.of_area[area.area])
        world.rng.shuffle(residents)
        if area.area == "bevelanden":
            _share_families(world, residents, int(target * 0.22), in_care, lay)
        for resident in residents:
            if len(in_care) >= target:
                break
            if resident not in in_care and _enter_care(world, world.persons[resident], lay):
                in_care.add(resident)
                if progress and len(in_care) % PROGRESS_STEP == 0:
                    progress(f"in care in {area.area}", len(in_care), target)
        _former_clients(world, area, residents, in_care, lay)
    for entries in world.log.values():
        entries.sort()


def _enter_care(world: World, person: Person, lay: Callable[[Case], None]) -> bool:
    taken: list[Service] = []
    for _ in range(weighted(world.rng, PARTIES)):
        service = pick_service(world.rng, person, world.today, taken)
        if service is None:
            break
        taken.append(service)
        lay(_running_case(world, person, service))
    if taken and world.rng.random() < 0.06:
        lay(_running_case(world, person, taken[0]))  # a second case at the same party: no overlap
    if Service.AMW in taken and Service.IWMO not in taken and _is_seen_twice(world, person):
        lay(_running_case(world, person, Service.IWMO))  # one party through two sources: no overlap either
    return bool(taken)


def _is_seen_twice(world: World, person: Person) -> bool:
    if person.age(world.today) < 18 or not possible(person, Service.IWMO, world.today):
        return False
    one_party = organisation_for(person, Service.IWMO) == organisation_for(person, Service.AMW)
    return one_party and world.rng.random() < SEEN_TWICE


def _running_case(world: World, person: Person, service: Service) -> Case:
    rng = world.rng
    state = weighted(rng, _EARLY.get(SOURCES[service], _EARLY_ELSEWHERE))
    days = int(5 + 1000 * rng.random() ** 2.2)
    days = min(days, max(1, (world.today - person.birth_date).days - 1))
    waiting = state in (State.ANNOUNCED, State.WAITING)
    start = None if waiting else world.today - timedelta(days=days)
    return new_case(world, person, service, starts_on=start, state=state)


def _former_clients(
    world: World, area: Area, residents: Sequence[str], in_care: set[str], lay: Callable[[Case], None]
) -> None:
    """Cases that ended in the past four years, of people still in care and of people who left it."""
    rng = world.rng
    count = int(len(in_care) * FORMER_CLIENTS)
    for resident in rng.sample(residents, min(count, len(residents))):
        person = world.persons[resident]
        taken = [case.service for case in world.cases_with(resident)]
        service = pick_service(rng, person, world.today, taken)
        if service is None:
            continue
        ended = world.today - timedelta(days=rng.randrange(20, 1400))
        started = ended - timedelta(days=rng.randrange(30, 700))
        if started <= person.birth_date:
            continue
        case = new_case(world, person, service, starts_on=started, state=State.ENDED)
        lay(replace(case, ends_on=ended))


def _share_families(
    world: World, residents: Sequence[str], people: int, in_care: set[str], lay: Callable[[Case], None]
) -> None:
    """Families in Goes: the children at Jeugd, a parent at social work, and now and then a child at both."""
    rng = world.rng
    for resident in residents:
        if len(in_care) >= people:
            return
        person = world.persons[resident]
        local = person.address.municipality.code == SHARED_FAMILIES_IN
        if not local or person.age(world.today) > 17 or not person.parents or resident in in_care:
            continue
        lay(_running_case(world, person, Service.JW))
        in_care.add(resident)
        if rng.random() < 0.35:
            lay(_running_case(world, person, rng.choice((Service.SMW, Service.AMW))))
        parent = world.persons[person.parents[0]]
        if parent.person not in in_care:
            lay(_running_case(world, parent, Service.AMW))
            in_care.add(parent.person)


def _past_instant(world: World, case: Case) -> datetime:
    """When the register was last touched: at the end if it ended, else at a review between the start and now."""
    rng = world.rng
    since = case.starts_on or case.registered_on
    if case.state is State.ENDED and case.ends_on:
        day = case.ends_on
    else:
        span = max(0, min((world.today - since).days, 300) - 1)
        day = world.today - timedelta(days=1 + int(span * rng.random()))
    working = datetime.combine(day, time(7), UTC) + timedelta(seconds=rng.randrange(9 * 3600))
    return min(working, world.now - timedelta(minutes=1)) + timedelta(microseconds=rng.randrange(10**6))
