"""How a source writes a person down. A municipality copies the BRP, with old addresses and a rare slip of the pen; a welfare
organisation types what it hears: the call name, half a double surname, a house number with everything in one field.

All functions are pure: the same random source and person give the same record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from samenloop_schemas.bsn import passes_eleven_test

from .people import Address, NameUsage, Person, weighted

YearMonthDay = tuple[int, int, int]  # 0 = that part is not known


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
        achternaam=_slip(rng, person.surname.name, 0.012),
        voorvoegsel_echtgenoot=partner.prefix if partner and known else "",
        achternaam_echtgenoot=partner.name if partner and known else "",
        aanduiding_naamgebruik=str(int(usage)),
        geslacht=person.sex,
        geboortedatum=_municipal_birth_date(rng, person),
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


def _heard_first_name(rng: Random, person: Person) -> str | None:
    first = person.given_names.split()[0]
    return weighted(
        rng, ((person.call_name, 78.0), (_slip(rng, person.call_name, 1.0), 4.0), (first, 13.0), (None, 5.0))
    )


def _heard_surname(rng: Random, person: Person) -> tuple[str | None, str]:
    """Prefix and surname. Who has a partner's name may be known by it, by both, or only by the own name."""
    own, partner = person.surname, person.partner_surname
    used = (own.prefix, own.name)
    if partner is not None:
        own_double = f"{_slip(rng, own.name, 0.02)}-{partner.full}"
        partner_double = f"{partner.name}-{own.full}"
        spoken = {
            NameUsage.OWN: (own.prefix, own.name),
            NameUsage.PARTNER: (partner.prefix, partner.name),
            NameUsage.PARTNER_OWN: (partner.prefix, partner_double),
            NameUsage.OWN_PARTNER: (own.prefix, own_double),
            NameUsage.UNKNOWN: (own.prefix, own.name),
        }[person.name_usage]
        used = spoken if rng.random() < 0.8 else weighted(rng, ((used, 1.0), ((partner.prefix, partner.name), 1.0)))
    prefix, surname = used[0], _slip(rng, used[1], 0.05)
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


def _gws_initials(rng: Random, person: Person) -> str:
    letters = person.initials.replace(".", "")
    return weighted(rng, ((person.initials, 80.0), (letters, 12.0), (".".join(letters), 8.0)))[:12]


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
        return _other_day(rng, person)
    return born.isoformat()


def _other_day(rng: Random, person: Person) -> str:
    """Day and month swapped where that is a date, else a day off."""
    born = person.birth_date
    if born.day <= 12 and born.day != born.month:
        return born.replace(month=born.day, day=born.month).isoformat()
    return born.replace(day=born.day - 1 if born.day > 15 else born.day + 1).isoformat()


def _municipal_birth_date(rng: Random, person: Person) -> YearMonthDay:
    born = person.birth_date
    if person.birth_known == "year":
        return (born.year, 0, 0) if rng.random() < 0.7 else (born.year, 1, 1)
    if person.birth_known == "month":
        return (born.year, born.month, 0)
    return (born.year, born.month, born.day)


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


_SPELLINGS: Final = (
    ("ij", "y"), ("ck", "k"), ("k", "ck"), ("ss", "s"), ("sz", "s"), ("ph", "f"), ("dt", "t"), ("ui", "uy"), ("uij", "ui"),
    ("ae", "aa"), ("ë", "e"), ("ü", "u"), ("ö", "o"), ("ş", "s"), ("ı", "i"), ("ğ", "g"), ("ł", "l"), ("ń", "n"), ("ç", "c"),
    ("ch", "g"), ("ee", "e"), ("ou", "au"), ("sen", "se"), ("s", "z"), ("i", "ie"), ("nn", "n"), ("tt", "t"),
)  # fmt: skip


def _slip(rng: Random, name: str, chance: float) -> str:
    """With this chance another spelling that sounds alike, else two letters swapped or one dropped."""
    if rng.random() >= chance:
        return name
    options = [name.replace(old, new, 1) for old, new in _SPELLINGS if old in name[1:]]
    options = [option for option in options if option != name and option[0] == name[0]]
    if options and rng.random() < 0.8:
        return rng.choice(options)
    at = rng.randrange(1, max(2, len(name) - 1))
    if rng.random() < 0.5 and len(name) > 4:
        return name[:at] + name[at + 1 :]
    return name[:at] + name[at : at + 2][::-1] + name[at + 2 :]
