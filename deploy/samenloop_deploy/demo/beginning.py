"""The first day: who is in care, with whom, since when. Most have one party, less than one in four two or more.

A fifth of the people of the Bevelanden come from families that Goes (Jeugd) and the social workers of SMWO share, because
that is where the hub's question comes from: the youth worker with the child, the social worker with the parent, or with both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from .cases import REGAS_SERVICES, Case, Consent, Service, State
from .people import Person, weighted
from .places import AREAS, Area, area_of
from .population import PROGRESS_STEP, Progress

if TYPE_CHECKING:
    from .world import World

SHARED_FAMILIES_IN: Final = "0664"
PARTIES: Final = ((1, 76.0), (2, 20.0), (3, 4.0))
FORMER_CLIENTS: Final = 0.22

_SERVICES: Final = (  # (up to this age, what somebody of that age has)
    (3, ((Service.JW, 80.0), (Service.AMW, 8.0), (Service.WMO, 12.0))),
    (17, ((Service.JW, 56.0), (Service.SMW, 30.0), (Service.AMW, 8.0), (Service.WMO, 6.0))),
    (21, ((Service.JW, 22.0), (Service.PW, 26.0), (Service.AMW, 24.0), (Service.WMO, 16.0), (Service.CO, 12.0))),
    (66, ((Service.PW, 32.0), (Service.AMW, 30.0), (Service.WMO, 24.0), (Service.CO, 14.0))),
    (120, ((Service.WMO, 62.0), (Service.AMW, 14.0), (Service.CO, 24.0))),
)
"""Jeugd stops a year before the 23rd birthday, where the agreements stop counting it."""


def pick_service(rng: Random, age: int, taken: Sequence[Service] = ()) -> Service | None:
    """A kind of work that fits the age and is not taken yet; None when nothing is left."""
    table = next(table for up_to, table in _SERVICES if age <= up_to)
    left = [(service, weight) for service, weight in table if service not in taken]
    return weighted(rng, left) if left else None


def organisation_for(person: Person, service: Service) -> str:
    """Who does that work where the person lives."""
    municipality = person.address.municipality
    return area_of(municipality.organisation).social_work if service in REGAS_SERVICES else municipality.organisation


def pick_team(rng: Random, person: Person, service: Service) -> str:
    """A team, never a professional."""
    if service in REGAS_SERVICES:
        return f"Team {person.address.city}" if service != Service.SMW else "Schoolteam"
    kind = {Service.PW: "Inkomen", Service.WMO: "Wmo", Service.JW: "Jeugd"}[service]
    return f"{kind} {person.address.municipality.name} {rng.choice(('1', '2'))}"


def new_case(world: World, person: Person, service: Service, *, starts_on: date | None, state: State) -> Case:
    """A case as its organisation opens it; not yet in the register. One registration in fifty is made twice."""
    rng = world.rng
    organisation = organisation_for(person, service)
    source = "regas" if service in REGAS_SERVICES else "gws"
    client = world.register(organisation, person, source, again=rng.random() < 0.02)
    if source == "regas":
        number = f"T{world.next_number(organisation, 'case', 100001)}"
        consent = weighted(rng, ((Consent.YES, 90.0), (Consent.NOT_ASKED, 6.0), (Consent.NO, 4.0)))
    else:
        number = str(world.next_number(organisation, "case", 10000001))
        consent = Consent.NOT_NEEDED
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
        service = pick_service(world.rng, person.age(world.today), taken)
        if service is None:
            break
        taken.append(service)
        lay(_running_case(world, person, service))
    if taken and world.rng.random() < 0.06:
        lay(_running_case(world, person, taken[0]))  # a second case at the same party: no overlap
    return bool(taken)


def _running_case(world: World, person: Person, service: Service) -> Case:
    rng = world.rng
    if service in REGAS_SERVICES:
        state = weighted(rng, ((State.ACTIVE, 91.0), (State.ANNOUNCED, 5.0), (State.WAITING, 4.0)))
    else:
        state = weighted(rng, ((State.ACTIVE, 92.0), (State.ANNOUNCED, 4.0), (State.PAUSED, 4.0)))
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
        service = pick_service(rng, person.age(world.today), taken)
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
