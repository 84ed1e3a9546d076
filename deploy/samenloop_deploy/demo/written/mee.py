"""How MEE writes a person down: a small organisation with a workbook of its own, no BSN, no telephone, dates as people say them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from ..people import Address, NameUsage, Person, weighted
from .slips import other_day, slip

MONTHS: Final = (
    "januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november",
    "december",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MeePerson:
    """The person columns of the workbook; empty text for an empty cell."""

    voorletters: str
    tussenvoegsels: str
    achternaam: str
    partnernaam: str
    geboortedatum: str
    postcode: str
    huisnr: str
    toevoeging: str


def write_mee(rng: Random, person: Person) -> MeePerson:
    """Own name and partner's name each in its column, unless the person only ever said the partner's."""
    own, partner = person.surname, person.partner_surname
    prefix, surname, other = own.prefix, own.name, ""
    if partner is not None and person.name_usage is not NameUsage.OWN and rng.random() < 0.9:
        other = partner.full
        if person.name_usage is NameUsage.PARTNER and rng.random() < 0.5:
            prefix, surname, other = partner.prefix, partner.name, ""
    record = MeePerson(
        voorletters=weighted(
            rng, ((person.initials, 70.0), (person.initials.replace(".", ""), 18.0), (person.initials[:2], 12.0))
        ),
        tussenvoegsels=prefix,
        achternaam=slip(rng, surname, 0.03),
        partnernaam=slip(rng, other, 0.03) if len(other) > 2 else other,
        geboortedatum=_said_birth_date(rng, person),
        postcode="",
        huisnr="",
        toevoeging="",
    )
    return move_mee(rng, record, person.address)


def move_mee(rng: Random, record: MeePerson, address: Address) -> MeePerson:
    """The record with this address. One postcode in ten is not known, and then the number says little either."""
    if rng.random() < 0.10:
        return replace(record, postcode="", huisnr=str(address.number) if rng.random() < 0.4 else "", toevoeging="")
    spaced = f"{address.postcode[:4]} {address.postcode[4:]}"
    return replace(
        record,
        postcode=weighted(rng, ((address.postcode, 55.0), (spaced, 35.0), (spaced.lower(), 10.0))),
        huisnr=str(address.number),
        toevoeging=f"{address.letter}{address.addition}",
    )


def _said_birth_date(rng: Random, person: Person) -> str:
    """ "12-03-1980", "12 maart 1980", "00-00-1980" for a year alone; now and then another day, or nothing."""
    born = person.birth_date
    if person.birth_known == "year":
        return weighted(rng, ((f"00-00-{born.year}", 3.0), (f"01-01-{born.year}", 1.0)))
    if person.birth_known == "month":
        return f"00-{born.month:02d}-{born.year}"
    chance = rng.random()
    if chance < 0.01:
        return ""
    if chance < 0.03:
        return f"00-00-{born.year}"
    if chance < 0.04:
        born = other_day(rng, born)
    plain = f"{born.day:02d}-{born.month:02d}-{born.year}"
    in_words = f"{born.day} {MONTHS[born.month - 1]} {born.year}"
    return weighted(rng, ((plain, 80.0), (f"{born.day}-{born.month}-{born.year}", 8.0), (in_words, 12.0)))
