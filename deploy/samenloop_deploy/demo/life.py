"""What goes on: one change at a time, picked by weight, from the world's own random source.

Each kind of change is a function that makes it happen and returns True, or finds nothing to change and returns False.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from .beginning import new_case, organisation_for, pick_service, possible
from .cases import PAUSING, REGAS_SERVICES, UNTIL_AGE, Case, Consent, Service, State
from .people import Address, Person, pick_address, pick_municipality, weighted
from .places import AREAS, area_of

if TYPE_CHECKING:
    from .world import World

_TRIES: Final = 400


def happen(world: World) -> str:
    """Makes one change and returns its name. What cannot happen now is replaced by a confirmation, or by a new case."""
    name = weighted(world.rng, [(name, weight) for name, (weight, _) in _KINDS.items()])
    for choice in (name, "confirmed", "started"):
        if _KINDS[choice][1](world):
            return choice
    raise RuntimeError("nothing can happen in an empty world")


def _find(world: World, fits: Callable[[Case], bool]) -> Case | None:
    """A case that fits, by a bounded number of draws: the world is large, and most kinds of case are common."""
    if not world.case_order:
        return None
    for _ in range(_TRIES):
        case = world.cases[world.rng.choice(world.case_order)]
        if case.vanished_on is None and fits(case):
            return case
    return None


def _begun(case: Case) -> bool:
    return case.state in (State.ACTIVE, State.PAUSED)


def _started(world: World) -> bool:
    """A new case: two in three for somebody whom nobody is involved with, else for somebody with one party already."""
    rng = world.rng
    newcomer = rng.random() < 0.66
    for _ in range(_TRIES):
        person = world.persons[rng.choice(world.residents)]
        running = [case for case in world.cases_with(person.person) if case.open]
        if (newcomer and running) or (not newcomer and len({case.party for case in running}) != 1):
            continue
        service = pick_service(rng, person, world.today, [case.service for case in running])
        if service is None:
            continue
        early = State.WAITING if service in REGAS_SERVICES and rng.random() < 0.4 else State.ANNOUNCED
        state = State.ACTIVE if rng.random() < 0.8 else early
        start = world.today - timedelta(days=rng.choice((0, 0, 0, 1, 2, 5))) if state is State.ACTIVE else None
        if start and start <= person.birth_date:
            start = world.today
        world.put(new_case(world, person, service, starts_on=start, state=state))
        return True
    return False


def _activated(world: World) -> bool:
    """An announced or waiting case begins."""
    case = _find(world, lambda case: case.state in (State.ANNOUNCED, State.WAITING))
    if case is None:
        return False
    world.put(replace(case, state=State.ACTIVE, starts_on=max(case.registered_on, world.today - timedelta(days=2))))
    return True


def _ended(world: World) -> bool:
    """A case ends, most often entered a few days late."""
    case = _find(world, _begun)
    if case is None or case.starts_on is None:
        return False
    late = world.today - timedelta(days=world.rng.choice((0, 1, 1, 3, 7, 14)))
    world.put(replace(case, state=State.ENDED, ends_on=max(case.starts_on, late)))
    return True


def _reopened(world: World) -> bool:
    """An end of the past weeks is taken back, if the person still lives where the organisation works."""
    recent = world.today - timedelta(days=60)

    def fits(case: Case) -> bool:
        late = case.state is State.ENDED and case.ends_on is not None and case.ends_on >= recent
        return late and organisation_for(world.persons[case.person], case.service) == case.organisation

    case = _find(world, fits)
    if case is None:
        return False
    world.put(replace(case, state=State.ACTIVE, ends_on=None))
    return True


def _paused(world: World) -> bool:
    """A case rests for a while, or is taken up again, where the source can say so."""
    case = _find(world, lambda case: case.source in PAUSING and _begun(case))
    if case is None:
        return False
    world.put(replace(case, state=State.ACTIVE if case.state is State.PAUSED else State.PAUSED))
    return True


def _confirmed(world: World) -> bool:
    """A review: nothing changes but the time of the last change."""
    case = _find(world, _begun)
    if case is None:
        return False
    world.put(case)
    return True


def _withdrawn(world: World) -> bool:
    """A recent case turns out to have been made by mistake: deleted softly, or marked as withdrawn."""
    recent = world.today - timedelta(days=120)
    case = _find(world, lambda case: case.open and case.registered_on >= recent)
    if case is None:
        return False
    world.put(replace(case, state=State.WITHDRAWN))
    return True


def _vanished(world: World) -> bool:
    """A back-office row is gone from one night to the next. No other source loses one without a word."""
    case = _find(world, lambda case: case.source == "gws" and case.open)
    if case is None:
        return False
    world.put(replace(case, vanished_on=world.today))
    return True


def _consent_changed(world: World) -> bool:
    """A client who is asked for consent is asked at last, agrees after all, or withdraws it."""
    case = _find(world, lambda case: case.consent is not Consent.NOT_NEEDED and case.open)
    if case is None:
        return False
    consent = Consent.NO if case.consent is Consent.YES else Consent.YES
    world.put(replace(case, consent=consent, consent_on=world.today))
    return True


def _corrected(world: World) -> bool:
    """A registration is typed again: a spelling corrected, a telephone number found, or a new mistake."""
    case = _find(world, lambda case: case.open)
    if case is None:
        return False
    world.rewrite(world.clients[case.organisation, case.client], moved=False)
    return True


def _moved(world: World) -> bool:
    """Somebody who is known moves, with the household or (an adult) alone. Not every organisation hears of it at once."""
    rng = world.rng
    case = _find(world, lambda case: case.open)
    if case is None:
        return False
    mover = world.persons[case.person]
    alone = mover.age(world.today) >= 18 and rng.random() < 0.35
    movers = [mover] if alone else [each for each in world.persons.values() if each.household == mover.household]
    household = f"{mover.household}-{mover.person}-{world.today:%Y%m%d}" if alone else mover.household
    address = _new_address(world, mover)
    for person in movers:
        _settle_at(world, person, address, household)
    return True


def _new_address(world: World, person: Person) -> Address:
    rng = world.rng
    here = area_of(person.address.municipality.organisation)
    way = rng.random()
    if way < 0.80:
        return pick_address(rng, person.address.municipality)
    area = here if way < 0.93 else rng.choice(AREAS)
    return pick_address(rng, pick_municipality(rng, area))


def _settle_at(world: World, person: Person, address: Address, household: str) -> None:
    left, arrived = person.address.municipality, address.municipality
    person = replace(person, address=address, household=household)
    world.persons[person.person] = person
    left_area = area_of(left.organisation).area != area_of(arrived.organisation).area
    told: set[tuple[str, str]] = set()
    for case in list(world.cases_with(person.person)):
        if not case.open:
            continue
        must_end = left_area or (case.source == "gws" and left.code != arrived.code)
        if must_end:
            _hand_over(world, case, person)
        elif (case.organisation, case.client) not in told and world.rng.random() < 0.7:
            told.add((case.organisation, case.client))
            world.rewrite(world.clients[case.organisation, case.client], moved=True)


def _hand_over(world: World, case: Case, person: Person) -> None:
    """The old place stops, and for most the new place goes on with the same work."""
    if case.starts_on is None or not _begun(case):
        world.put(replace(case, state=State.WITHDRAWN))
        return
    last_day = max(case.starts_on, world.today - timedelta(days=1))
    world.put(replace(case, state=State.ENDED, ends_on=last_day))
    goes_on = case.service is not Service.SMW and possible(person, case.service, world.today)
    if goes_on and world.rng.random() < 0.7:
        world.put(new_case(world, person, case.service, starts_on=world.today, state=State.ACTIVE))


def grow_up(world: World) -> None:
    """A new day: whoever reached the age at which a kind of work stops leaves it, the day before that birthday at the latest."""
    for key in world.case_order:
        case = world.cases[key]
        until = UNTIL_AGE.get(case.service)
        if until is None or not case.open or world.persons[case.person].age(world.today) < until:
            continue
        if _begun(case) and case.starts_on is not None:
            world.put(replace(case, state=State.ENDED, ends_on=max(case.starts_on, world.today - timedelta(days=1))))
        else:
            world.put(replace(case, state=State.WITHDRAWN))
        world.changes["outgrown"] += 1


_KINDS: Final[dict[str, tuple[float, Callable[[World], bool]]]] = {
    "started": (30.0, _started),
    "activated": (8.0, _activated),
    "ended": (21.0, _ended),
    "reopened": (2.0, _reopened),
    "paused": (4.0, _paused),
    "confirmed": (15.0, _confirmed),
    "corrected": (7.0, _corrected),
    "moved": (6.0, _moved),
    "consent_changed": (3.0, _consent_changed),
    "withdrawn": (3.0, _withdrawn),
    "vanished": (1.5, _vanished),
}
