"""A seeded synthetic population of the demo's three areas. The same seed, size and day give the same people, always."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, partial
from random import Random
from types import MappingProxyType
from typing import Final

from .households import Registry, households
from .people import Person, pick_municipality, valid_test_bsns
from .places import AREAS

Progress = Callable[[str, int, int], None]  # what is being made, how many are there, how many there will be

PROGRESS_STEP: Final = 5000
WITH_BSN: Final = 0.965  # the rest has none: just arrived, or never registered


@dataclass(frozen=True)
class Population:
    """Everybody, in order of creation. ``of_area`` lists the ids of those who lived there at the start."""

    persons: Mapping[str, Person]
    of_area: Mapping[str, tuple[str, ...]]

    @cached_property
    def families(self) -> Mapping[str, tuple[str, ...]]:
        """Family id -> the ids of parents and children."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for person in self.persons.values():
            found[person.family].append(person.person)
        return MappingProxyType({family: tuple(members) for family, members in found.items()})


def build_population(seed: int, people: int, today: date, progress: Progress | None = None) -> Population:
    """At least ``people`` persons over the three areas (a household is never cut), aged as on ``today``.

    Valid test BSNs are given out once each, evenly over everybody; when there are more people than numbers, fewer have one.
    """
    registry = Registry(today)
    of_area: dict[str, tuple[str, ...]] = {}
    shares = sum(area.share for area in AREAS)
    told = 0
    for area in AREAS:
        rng = Random(f"population:{seed}:{area.area}")
        first = len(registry.persons)
        municipality = partial(pick_municipality, rng, area)
        for made in households(rng, registry, municipality, people * area.share // shares):
            if progress and made // PROGRESS_STEP > told:
                told = made // PROGRESS_STEP
                progress("people", made, people)
        of_area[area.area] = tuple(person.person for person in registry.persons[first:])
    return Population(
        MappingProxyType({each.person: each for each in _with_bsns(seed, registry)}), MappingProxyType(of_area)
    )


def _with_bsns(seed: int, registry: Registry) -> list[Person]:
    rng = Random(f"bsn:{seed}")
    numbers = list(valid_test_bsns())
    rng.shuffle(numbers)
    chance = min(WITH_BSN, len(numbers) / len(registry.persons))
    return [
        replace(person, bsn=numbers.pop()) if numbers and rng.random() < chance else person
        for person in registry.persons
    ]
