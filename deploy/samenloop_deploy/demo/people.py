"""What is true of a person, before any source writes it down; and the test BSNs that such persons may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from functools import cache
from random import Random
from typing import Final, Literal, TypeVar

from samenloop_schemas.bsn import passes_eleven_test

from .names import STREETS, Surname, initials_of
from .places import Area, Municipality, Village, postcode

T = TypeVar("T")

FIRST_TEST_BSN: Final = 999900006
LAST_TEST_BSN: Final = 999999990


@cache
def valid_test_bsns() -> tuple[str, ...]:
    """Every number of the published test range that passes the eleven-test, ascending (about 9,100)."""
    candidates = (str(number) for number in range(FIRST_TEST_BSN, LAST_TEST_BSN + 1))
    return tuple(bsn for bsn in candidates if passes_eleven_test(bsn))


class NameUsage(IntEnum):
    """Aanduiding naamgebruik in the numbering of GWS."""

    UNKNOWN = 0
    OWN = 1
    PARTNER = 2
    PARTNER_OWN = 3
    OWN_PARTNER = 4


@dataclass(frozen=True, slots=True)
class Address:
    """A dwelling. Two dwellings at one number differ in letter or addition."""

    street: str
    number: int
    letter: str
    addition: str
    postcode: str
    city: str
    municipality: Municipality
    dialling_code: str


@dataclass(frozen=True, slots=True)
class Person:
    """One human being of the synthetic world.

    ``birth_known`` says to which part the birth date is known anywhere ("year" for some who came from abroad).
    ``family`` is the parent-child group; ``household`` the people of one dwelling; ``parents`` are person ids.
    """

    person: str
    family: str
    household: str
    given_names: str
    call_name: str
    surname: Surname
    sex: Literal["M", "V"]
    birth_date: date
    address: Address
    birth_known: Literal["day", "month", "year"] = "day"
    partner_surname: Surname | None = None
    name_usage: NameUsage = NameUsage.OWN
    mobile: str | None = None
    landline: str | None = None
    email: str | None = None
    bsn: str | None = None
    parents: tuple[str, ...] = ()
    twin: str | None = None

    @property
    def initials(self) -> str:
        return initials_of(self.given_names)

    def age(self, on: date) -> int:
        """Whole years on a day."""
        born = self.birth_date
        return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def pick_municipality(rng: Random, area: Area) -> Municipality:
    return rng.choices(area.municipalities, [each.share for each in area.municipalities])[0]


def pick_village(rng: Random, municipality: Municipality) -> Village:
    return rng.choices(municipality.villages, [each.share for each in municipality.villages])[0]


def pick_address(rng: Random, municipality: Municipality) -> Address:
    """A dwelling in the municipality: plain number mostly, sometimes a letter, an addition ("2", "bis") or both."""
    village = pick_village(rng, municipality)
    street = rng.choice(STREETS)
    letter = rng.choice("abcd").upper() if rng.random() < 0.12 else ""
    addition = rng.choice(("1", "2", "3", "II", "III", "bis", "14")) if rng.random() < 0.10 else ""
    number = int(1 + 180 * rng.random() ** 1.6)
    return Address(
        street, number, letter, addition, postcode(village, street), village.name, municipality, village.dialling_code
    )


def pick_mobile(rng: Random) -> str:
    """Ten digits that no subscriber has: mobile numbers never begin with 060."""
    return f"060{rng.randrange(10**7):07d}"


def pick_landline(rng: Random, dialling_code: str) -> str:
    """Ten digits that no subscriber has: a local number never begins with 0."""
    local = 10 - len(dialling_code) - 1
    return f"{dialling_code}0{rng.randrange(10**local):0{local}d}"


def weighted(rng: Random, choices: Sequence[tuple[T, float]]) -> T:
    """One of the values by weight."""
    return rng.choices([value for value, _ in choices], [weight for _, weight in choices])[0]
