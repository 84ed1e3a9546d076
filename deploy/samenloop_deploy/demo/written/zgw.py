"""How a youth team writes a person down in its case system: mostly fetched by BSN from the BRP, now and then typed at the door."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from ..people import Address, Person, weighted
from .slips import YearMonthDay, known_birth_date, other_day, slip

WITH_BSN = 0.90
"""The rest came to the front desk with a question and was never looked up."""


@dataclass(frozen=True, slots=True)
class ZgwPerson:
    """The ``betrokkeneIdentificatie`` of a role (natuurlijk persoon); empty text for what is not filled in."""

    inp_bsn: str
    geslachtsnaam: str
    voorvoegsel_geslachtsnaam: str
    voorletters: str
    voornamen: str
    geboortedatum: YearMonthDay
    geslachtsaanduiding: str
    straat: str
    huisnummer: str
    huisletter: str
    toevoeging: str
    postcode: str
    woonplaats: str


def write_zgw(rng: Random, person: Person) -> ZgwPerson:
    fetched = person.bsn is not None and rng.random() < WITH_BSN
    record = _fetched(rng, person) if fetched else _typed(rng, person)
    return move_zgw(rng, record, person.address)


def move_zgw(rng: Random, record: ZgwPerson, address: Address) -> ZgwPerson:
    """The record with this address; what was typed sometimes lacks the letter and the addition."""
    typed = not record.inp_bsn and rng.random() < 0.2
    return replace(
        record,
        straat=address.street,
        huisnummer=str(address.number),
        huisletter="" if typed else address.letter,
        toevoeging="" if typed else address.addition,
        postcode=address.postcode,
        woonplaats=address.city,
    )


def _fetched(rng: Random, person: Person) -> ZgwPerson:
    return ZgwPerson(
        inp_bsn=person.bsn or "",
        geslachtsnaam=person.surname.name,
        voorvoegsel_geslachtsnaam=person.surname.prefix,
        voorletters=person.initials,
        voornamen=person.given_names,
        geboortedatum=known_birth_date(rng, person),
        geslachtsaanduiding=person.sex.lower(),
        straat="",
        huisnummer="",
        huisletter="",
        toevoeging="",
        postcode="",
        woonplaats="",
    )


def _typed(rng: Random, person: Person) -> ZgwPerson:
    """The call name instead of the first names, one initial, another spelling, a prefix inside the surname."""
    born = known_birth_date(rng, person)
    if person.birth_known == "day" and rng.random() < 0.03:
        wrong = other_day(rng, person.birth_date)
        born = (wrong.year, wrong.month, wrong.day)
    prefix, surname = person.surname.prefix, slip(rng, person.surname.name, 0.04)
    if prefix and rng.random() < 0.15:
        prefix, surname = "", f"{prefix} {surname}"
    call_name = slip(rng, person.call_name, 0.03)
    first = weighted(rng, ((call_name, 60.0), (person.given_names.split()[0], 30.0), ("", 10.0)))
    record = _fetched(rng, person)
    return replace(
        record,
        inp_bsn="",
        geslachtsnaam=surname,
        voorvoegsel_geslachtsnaam=prefix,
        voorletters=weighted(rng, ((person.initials, 50.0), (person.initials[:2], 35.0), ("", 15.0))),
        voornamen=first,
        geboortedatum=born,
        geslachtsaanduiding=record.geslachtsaanduiding if rng.random() < 0.97 else "o",
    )
