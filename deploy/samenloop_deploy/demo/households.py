"""How households come about: singles, couples, families with children and twins, parents who live apart, shared dwellings.

Each function yields people of one household from its own random source; nothing here knows of organisations or cases.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random
from typing import Final, Literal

from .names import GivenName, Origin, Surname, pick_given, pick_origin, pick_surname
from .people import Address, NameUsage, Person, pick_address, pick_landline, pick_mobile, weighted
from .places import Municipality

Sex = Literal["M", "V"]


@dataclass(slots=True)
class Registry:
    """Gives out person, family and household numbers in order, so that a world is the same each time it is made."""

    today: date
    persons: list[Person] = field(default_factory=list)
    groups: int = 0

    def group(self) -> str:
        self.groups += 1
        return f"g{self.groups:06d}"

    def next_person(self) -> str:
        return f"p{len(self.persons) + 1:06d}"

    def add(self, person: Person) -> Person:
        self.persons.append(person)
        return person


def household(rng: Random, registry: Registry, municipality: Municipality) -> None:
    """Adds one household of a weighted kind to the registry."""
    kind = weighted(rng, _KINDS)
    kind(rng, registry, municipality)


def _born(rng: Random, today: date, youngest: int, oldest: int) -> date:
    """A birth date for an age between the two, both included."""
    days = rng.randrange(youngest * 365 + youngest // 4 + 1, (oldest + 1) * 365 + oldest // 4)
    return today - timedelta(days=days)


def _email(rng: Random, call_name: str, surname: Surname) -> str:
    plain = unicodedata.normalize("NFKD", f"{call_name}.{surname.full}".lower()).encode("ascii", "ignore").decode()
    local = "".join(letter for letter in plain if letter.isalnum() or letter == ".")
    return f"{local}{rng.randrange(100) if rng.random() < 0.5 else ''}@{rng.choice(('post', 'mail', 'thuis'))}.example"


def _given(rng: Random, first: GivenName, second: tuple[GivenName, ...]) -> tuple[str, str]:
    """Formal names (one to three) and the call name: usually the first way to call the first name, sometimes another."""
    formal = [first.formal]
    for chance in (0.42, 0.12):
        if rng.random() < chance:
            formal.append(pick_given(rng, second).formal)
    call = first.calls[0] if rng.random() < 0.75 else rng.choice(first.calls)
    return " ".join(dict.fromkeys(formal)), call


def _adult(
    rng: Random, registry: Registry, origin: Origin, sex: Sex, born: date, home: Address, household_id: str, family: str
) -> Person:
    older = registry.today.year - born.year > 40
    lists = {("M", True): origin.men, ("M", False): origin.boys, ("V", True): origin.women, ("V", False): origin.girls}
    names = lists[sex, older]
    given, call = _given(rng, pick_given(rng, names), names)
    surname = pick_surname(rng, origin)
    foreign = origin.weight < 50
    known: Literal["day", "month", "year"] = "day"
    if foreign and older and rng.random() < 0.10:
        known = "year" if rng.random() < 0.7 else "month"
        born = born.replace(day=1) if known == "month" else born.replace(month=1, day=1)
    return registry.add(
        Person(
            person=registry.next_person(),
            family=family,
            household=household_id,
            given_names=given,
            call_name=call,
            surname=surname,
            sex=sex,
            birth_date=born,
            address=home,
            birth_known=known,
            mobile=pick_mobile(rng) if rng.random() < 0.92 else None,
            email=_email(rng, call, surname) if rng.random() < 0.6 else None,
        )
    )


def _marry(rng: Random, registry: Registry, one: Person, other: Person, origin: Origin) -> tuple[Person, Person]:
    """Partners take note of each other's name; who uses which name differs, older wives most often the husband's."""
    wife, husband = (one, other) if one.sex == "V" else (other, one)
    older = registry.today.year - wife.birth_date.year > 55
    own = 0.9 if not origin.partner_name else 0.15 if older else 0.5
    rest = 1 - own
    usages = [
        (NameUsage.OWN, own),
        (NameUsage.PARTNER_OWN, rest * 0.6),
        (NameUsage.PARTNER, rest * 0.3),
        (NameUsage.OWN_PARTNER, rest * 0.1),
    ]
    wife = replace(wife, partner_surname=husband.surname, name_usage=weighted(rng, usages))
    his = NameUsage.OWN_PARTNER if rng.random() < 0.03 else NameUsage.OWN
    husband = replace(husband, partner_surname=wife.surname, name_usage=his)
    return _settle(registry, wife), _settle(registry, husband)


def _settle(registry: Registry, person: Person) -> Person:
    """Puts a changed person in the place of the one with its id."""
    registry.persons[int(person.person[1:]) - 1] = person
    return person


def _couple(
    rng: Random, registry: Registry, home: Address, youngest: int, oldest: int
) -> tuple[Person, Person, Origin]:
    origin = pick_origin(rng)
    other_origin = origin if rng.random() < 0.85 else pick_origin(rng)
    household_id, family = registry.group(), registry.group()
    born = _born(rng, registry.today, youngest, oldest)
    wife = _adult(rng, registry, origin, "V", born, home, household_id, family)
    his_birth = _his_birth(rng, born)
    husband = _adult(rng, registry, other_origin, "M", his_birth, home, household_id, family)
    landline = pick_landline(rng, home.dialling_code) if rng.random() < (0.8 if oldest > 55 else 0.35) else None
    wife, husband = (_settle(registry, replace(each, landline=landline)) for each in (wife, husband))
    if rng.random() < 0.72:
        wife, husband = _marry(rng, registry, wife, husband, origin)
    return wife, husband, origin


def _his_birth(rng: Random, hers: date) -> date:
    """Two years before hers on average, at most two after: fathers of her children are grown men."""
    return hers - timedelta(days=max(-730, int(rng.gauss(700, 1100))))


def _children(
    rng: Random, registry: Registry, mother: Person, father: Person | None, father_name: Surname, origin: Origin
) -> None:
    """One to five children under 25, at their mother's; one birth in about twenty is a twin birth."""
    oldest = min(24, mother.age(registry.today) - 19)
    if oldest < 0:
        return
    surname = father_name if rng.random() < 0.9 else mother.surname
    parents = (mother.person, father.person) if father else (mother.person,)
    age_days = float(rng.uniform(0.05, oldest + 1) * 365)
    used: set[str] = set()
    for _ in range(weighted(rng, ((1, 35.0), (2, 42.0), (3, 16.0), (4, 7.0)))):
        if age_days < 5:
            return
        born = registry.today - timedelta(days=int(age_days))
        twin = rng.random() < 0.055
        first = _child(rng, registry, mother, father, surname, origin, born, parents, used)
        if twin:
            second = _child(rng, registry, mother, father, surname, origin, born, parents, used)
            _settle(registry, replace(first, twin=second.person))
            _settle(registry, replace(second, twin=first.person))
        age_days -= rng.uniform(1.1, 4.5) * 365


def _child(
    rng: Random,
    registry: Registry,
    mother: Person,
    father: Person | None,
    surname: Surname,
    origin: Origin,
    born: date,
    parents: tuple[str, ...],
    used: set[str],
) -> Person:
    sex: Sex = "M" if rng.random() < 0.51 else "V"
    names = origin.boys if sex == "M" else origin.girls
    given, call = _given(rng, _unused(rng, names, used), names)
    if father and sex == "M" and surname == father.surname and father.given_names not in used and rng.random() < 0.09:
        given = father.given_names  # named after his father: same name, same address, another generation
        call = father.call_name if rng.random() < 0.6 else call
    used.update((given, given.split()[0], call))
    age = registry.today.year - born.year
    own_phone = age >= 12 and rng.random() < 0.7
    return registry.add(
        Person(
            person=registry.next_person(),
            family=mother.family,
            household=mother.household,
            given_names=given,
            call_name=call,
            surname=surname,
            sex=sex,
            birth_date=born,
            address=mother.address,
            mobile=pick_mobile(rng) if own_phone else mother.mobile,
            landline=mother.landline,
            email=_email(rng, call, surname) if age >= 14 and rng.random() < 0.5 else mother.email,
            parents=parents,
        )
    )


def _unused(rng: Random, names: tuple[GivenName, ...], used: set[str]) -> GivenName:
    """A name that no sibling has; in a tenth of the cases with a sibling's first letter, the hard case for twins."""
    free = [name for name in names if name.formal not in used and name.calls[0] not in used] or list(names)
    letters = {name[0] for name in used}
    if letters and rng.random() < 0.15:
        free = [name for name in free if name.formal[0] in letters] or free
    return rng.choices(free, [name.weight for name in free])[0]


def _single(rng: Random, registry: Registry, municipality: Municipality) -> None:
    _alone(rng, registry, pick_address(rng, municipality), 24, 92)


def _young_adult(rng: Random, registry: Registry, municipality: Municipality) -> None:
    _alone(rng, registry, pick_address(rng, municipality), 18, 23)


def _alone(rng: Random, registry: Registry, home: Address, youngest: int, oldest: int) -> None:
    born = _born(rng, registry.today, youngest, oldest)
    sex: Sex = "M" if rng.random() < 0.5 else "V"
    group = registry.group()
    person = _adult(rng, registry, pick_origin(rng), sex, born, home, group, group)
    widowed = person.age(registry.today) > 65 and sex == "V" and rng.random() < 0.6
    if widowed:
        usage = NameUsage.PARTNER_OWN if rng.random() < 0.7 else NameUsage.PARTNER
        person = replace(person, partner_surname=pick_surname(rng, pick_origin(rng)), name_usage=usage)
    if person.age(registry.today) > 60:
        person = replace(person, landline=pick_landline(rng, home.dialling_code))
    _settle(registry, person)


def _couple_without_children(rng: Random, registry: Registry, municipality: Municipality) -> None:
    _couple(rng, registry, pick_address(rng, municipality), 24, 86)


def _couple_with_children(rng: Random, registry: Registry, municipality: Municipality) -> None:
    wife, husband, origin = _couple(rng, registry, pick_address(rng, municipality), 22, 52)
    _children(rng, registry, wife, husband, husband.surname, origin)


def _parent_alone(rng: Random, registry: Registry, municipality: Municipality) -> None:
    """A mother with her children; the father lives elsewhere in the municipality, or is not known to anybody."""
    origin = pick_origin(rng)
    home = pick_address(rng, municipality)
    household_id, family = registry.group(), registry.group()
    born = _born(rng, registry.today, 21, 50)
    mother = _adult(rng, registry, origin, "V", born, home, household_id, family)
    father = None
    if rng.random() < 0.5:
        his_birth = _his_birth(rng, born)
        elsewhere = pick_address(rng, municipality)
        father = _adult(rng, registry, origin, "M", his_birth, elsewhere, registry.group(), family)
    surname = father.surname if father else pick_surname(rng, origin) if rng.random() < 0.6 else mother.surname
    _children(rng, registry, mother, father, surname, origin)


def _shared_dwelling(rng: Random, registry: Registry, municipality: Municipality) -> None:
    """Strangers at one address with one telephone (sheltered housing): the trap for address matching."""
    home = pick_address(rng, municipality)
    landline = pick_landline(rng, home.dialling_code)
    for _ in range(rng.randint(4, 8)):
        _alone(rng, registry, home, 18, 60)
        _settle(registry, replace(registry.persons[-1], landline=landline))


_KINDS: Final[tuple[tuple[Callable[[Random, Registry, Municipality], None], float], ...]] = (
    (_couple_with_children, 38.0),
    (_parent_alone, 17.0),
    (_single, 20.0),
    (_young_adult, 9.0),
    (_couple_without_children, 15.0),
    (_shared_dwelling, 1.0),
)


def households(rng: Random, registry: Registry, municipality: Callable[[], Municipality], people: int) -> Iterator[int]:
    """Adds households until ``people`` are there; yields how many are, after each household."""
    target = len(registry.persons) + people
    while len(registry.persons) < target:
        household(rng, registry, municipality())
        yield len(registry.persons)
