"""How a welfare organisation writes a person down: it types what it hears. The call name, half a double surname, a house number
with everything in one field, and never a BSN."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from ..people import Address, NameUsage, Person, weighted
from .slips import other_day, slip


@dataclass(frozen=True, slots=True)
class RegasClient:
    """The ``client`` of a trajectory, field for field as the registration system holds it."""

    roepnaam: str | None
    voorletters: str | None
    tussenvoegsel: str | None
    achternaam: str
    geboortedatum: str | None
    geslacht: str
    postcode: str | None
    huisnummer_volledig: str | None
    telefoon: str | None
    email: str | None


def write_regas(rng: Random, person: Person) -> RegasClient:
    """What a welfare worker enters at the first contact."""
    prefix, surname = _heard_surname(rng, person)
    initials = _loose_initials(rng, person)
    record = RegasClient(
        roepnaam=_heard_first_name(rng, person),
        voorletters=initials,
        tussenvoegsel=prefix,
        achternaam=surname,
        geboortedatum=_told_birth_date(rng, person),
        geslacht=person.sex if rng.random() < 0.98 else "O",
        postcode=None,
        huisnummer_volledig=None,
        telefoon=_told_phone(rng, person),
        email=person.email if rng.random() < 0.55 else None,
    )
    return move_regas(rng, record, person.address)


def move_regas(rng: Random, record: RegasClient, address: Address) -> RegasClient:
    """The record with this address: postcode sometimes missing or spaced, the whole house number in one field."""
    spaced = f"{address.postcode[:4]} {address.postcode[4:]}"
    postcode = weighted(
        rng,
        ((address.postcode, 60.0), (spaced, 22.0), (spaced.lower(), 4.0), (address.postcode.lower(), 7.0), (None, 7.0)),
    )
    number = None if rng.random() < 0.04 else _whole_number(rng, address)
    return replace(record, postcode=postcode, huisnummer_volledig=number)


def _heard_first_name(rng: Random, person: Person) -> str | None:
    first = person.given_names.split()[0]
    return weighted(
        rng, ((person.call_name, 78.0), (slip(rng, person.call_name, 1.0), 4.0), (first, 13.0), (None, 5.0))
    )


def _heard_surname(rng: Random, person: Person) -> tuple[str | None, str]:
    """Prefix and surname. Who has a partner's name may be known by it, by both, or only by the own name."""
    own, partner = person.surname, person.partner_surname
    used = (own.prefix, own.name)
    if partner is not None:
        own_double = f"{slip(rng, own.name, 0.02)}-{partner.full}"
        partner_double = f"{partner.name}-{own.full}"
        spoken = {
            NameUsage.OWN: (own.prefix, own.name),
            NameUsage.PARTNER: (partner.prefix, partner.name),
            NameUsage.PARTNER_OWN: (partner.prefix, partner_double),
            NameUsage.OWN_PARTNER: (own.prefix, own_double),
            NameUsage.UNKNOWN: (own.prefix, own.name),
        }[person.name_usage]
        used = spoken if rng.random() < 0.8 else weighted(rng, ((used, 1.0), ((partner.prefix, partner.name), 1.0)))
    prefix, surname = used[0], slip(rng, used[1], 0.05)
    if not prefix:
        return None, surname
    way = rng.random()
    if way < 0.72:
        return (prefix, surname)
    if way < 0.90:
        return None, f"{prefix} {surname}"  # all in one field: "de Vries-Jansen"
    if way < 0.95:
        return None, f"{surname}, {prefix}"
    return prefix.title(), surname


def _loose_initials(rng: Random, person: Person) -> str | None:
    letters = person.initials.replace(".", "")
    return weighted(
        rng,
        (
            (person.initials, 45.0),
            (letters, 15.0),
            (" ".join(f"{letter}." for letter in letters), 6.0),
            (f"{letters[0]}.", 17.0),
            (letters[0].lower(), 2.0),
            (None, 15.0),
        ),
    )


def _told_birth_date(rng: Random, person: Person) -> str | None:
    born = person.birth_date
    if person.birth_known != "day":
        return weighted(rng, ((f"{born.year}-01-01", 4.0), (None, 1.0)))
    chance = rng.random()
    if chance < 0.045:
        return None
    if chance < 0.075:
        return f"{born.year}-01-01"
    if chance < 0.090:
        return other_day(rng, person.birth_date).isoformat()
    return born.isoformat()


def _told_phone(rng: Random, person: Person) -> str | None:
    number = person.mobile or person.landline
    if person.mobile and person.landline and rng.random() < 0.25:
        number = person.landline
    if number is None or rng.random() < 0.10:
        return None
    if not number.startswith("06"):
        code = 3 if number[:3] in ("040", "038") else 4
        return weighted(rng, ((number, 1.0), (f"{number[:code]}-{number[code:]}", 3.0)))
    pairs = " ".join(number[at : at + 2] for at in range(0, 10, 2))
    return weighted(rng, ((number, 3.0), (f"06-{number[2:]}", 4.0), (pairs, 2.0), (f"+31{number[1:]}", 2.0)))


def _whole_number(rng: Random, address: Address) -> str:
    """ "12a-3": number, letter and addition as typed."""
    letter = address.letter.lower() if rng.random() < 0.6 else address.letter
    between = "-" if rng.random() < 0.7 else " "
    space = " " if letter and rng.random() < 0.15 else ""
    text = f"{address.number}{space}{letter}"
    return f"{text}{between}{address.addition}" if address.addition else text
