"""How a person stands in iWmo and iJw messages: by BSN, checked against the BRP before the first message goes out.

Unknown parts of a birth date are filled with 01 and 1900, and ``datum_gebruik`` says which they are (rules OP252 and IV009).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from ..people import Address, NameUsage, Person
from .slips import slip

USAGE = {
    NameUsage.UNKNOWN: 1,
    NameUsage.OWN: 1,
    NameUsage.PARTNER: 2,
    NameUsage.PARTNER_OWN: 3,
    NameUsage.OWN_PARTNER: 4,
}


@dataclass(frozen=True, slots=True)
class IstandaardPerson:
    """``Client`` of a message. ``geboortedatum`` is yyyy-mm-dd with fillers; ``datum_gebruik`` 0 whole, 1 no day, 2 no month
    either, 3 nothing known. Only a 301 carries the address."""

    bsn: str
    geboortedatum: str
    datum_gebruik: int
    geslacht: int
    achternaam: str
    voorvoegsel: str
    partnernaam: str
    partner_voorvoegsel: str
    voornamen: str
    voorletters: str
    naam_gebruik: int
    straat: str
    huisnummer: str
    huisletter: str
    toevoeging: str
    postcode: str
    plaats: str


def write_istandaarden(rng: Random, person: Person) -> IstandaardPerson:
    """Raises ValueError for somebody without a BSN, about whom no message can be sent."""
    if person.bsn is None:
        raise ValueError("no message without a BSN")
    partner = person.partner_surname
    born = person.birth_date
    known = {"day": 0, "month": 1, "year": 2}[person.birth_known]
    record = IstandaardPerson(
        bsn=person.bsn,
        geboortedatum=(born, born.replace(day=1), born.replace(month=1, day=1))[known].isoformat(),
        datum_gebruik=known,
        geslacht=({"M": 1, "V": 2}[person.sex]) if rng.random() < 0.985 else rng.choice((0, 9)),
        achternaam=slip(rng, person.surname.name, 0.01),
        voorvoegsel=person.surname.prefix,
        partnernaam=partner.name if partner else "",
        partner_voorvoegsel=partner.prefix if partner else "",
        voornamen=person.given_names if rng.random() < 0.6 else "",
        voorletters=person.initials.replace(".", "")[:6],
        naam_gebruik=USAGE[person.name_usage],
        straat="",
        huisnummer="",
        huisletter="",
        toevoeging="",
        postcode="",
        plaats="",
    )
    return move_istandaarden(rng, record, person.address)


def move_istandaarden(rng: Random, record: IstandaardPerson, address: Address) -> IstandaardPerson:
    return replace(
        record,
        straat=address.street[:24],
        huisnummer=str(address.number),
        huisletter=address.letter,
        toevoeging=address.addition[:4],
        postcode=address.postcode,
        plaats=address.city,
    )
