"""How a municipal back office writes a person down: a copy of the BRP, with old addresses and a rare slip of the pen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from samenloop_schemas.bsn import passes_eleven_test

from ..people import Address, NameUsage, Person, weighted
from .slips import YearMonthDay, known_birth_date, slip


@dataclass(frozen=True, slots=True)
class GwsClient:
    """The person columns of a GWS extract; the birth date is written out by the extract's own date format."""

    bsn: str
    voorletters: str
    voornamen: str
    voorvoegsel: str
    achternaam: str
    voorvoegsel_echtgenoot: str
    achternaam_echtgenoot: str
    aanduiding_naamgebruik: str
    geslacht: str
    geboortedatum: YearMonthDay
    straatnaam: str
    huisnummer: str
    huisletter: str
    huisnr_toevoeging: str
    postcode: str
    woonplaats: str


def write_gws(rng: Random, person: Person) -> GwsClient:
    """The person as the back office holds it, with nearly everybody's BSN."""
    partner = person.partner_surname
    known = partner is not None and rng.random() < 0.93
    usage = person.name_usage if known or partner is None else NameUsage.UNKNOWN
    record = GwsClient(
        bsn=_municipal_bsn(rng, person),
        voorletters=_gws_initials(rng, person),
        voornamen=person.given_names if rng.random() < 0.97 else person.given_names.split()[0],
        voorvoegsel=person.surname.prefix,
        achternaam=slip(rng, person.surname.name, 0.012),
        voorvoegsel_echtgenoot=partner.prefix if partner and known else "",
        achternaam_echtgenoot=partner.name if partner and known else "",
        aanduiding_naamgebruik=str(int(usage)),
        geslacht=person.sex,
        geboortedatum=known_birth_date(rng, person),
        straatnaam="",
        huisnummer="",
        huisletter="",
        huisnr_toevoeging="",
        postcode="",
        woonplaats="",
    )
    return move_gws(rng, record, person.address)


def move_gws(rng: Random, record: GwsClient, address: Address) -> GwsClient:
    """The record with this address; letter and addition now and then share a column, as in older screens."""
    crammed = bool(address.letter) and rng.random() < 0.15
    return replace(
        record,
        straatnaam=address.street[:24],
        huisnummer=str(address.number),
        huisletter="" if crammed else address.letter,
        huisnr_toevoeging=f"{address.letter}{address.addition}" if crammed else address.addition,
        postcode=address.postcode,
        woonplaats=address.city,
    )


def _gws_initials(rng: Random, person: Person) -> str:
    letters = person.initials.replace(".", "")
    return weighted(rng, ((person.initials, 80.0), (letters, 12.0), (".".join(letters), 8.0)))[:12]


def _municipal_bsn(rng: Random, person: Person) -> str:
    """Mostly there; a missing one in about forty, a mistyped one (which fails the eleven-test) in about three hundred."""
    chance = rng.random()
    if person.bsn is None or chance < 0.025:
        return ""
    return _mistyped(rng, person.bsn) if chance < 0.028 else person.bsn


def _mistyped(rng: Random, bsn: str) -> str:
    at = rng.randrange(5, 9)
    wrong = bsn[:at] + str((int(bsn[at]) + rng.randint(1, 9)) % 10) + bsn[at + 1 :]
    return "" if passes_eleven_test(wrong) else wrong
