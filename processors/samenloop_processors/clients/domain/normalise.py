"""From what a source wrote to what can be compared. Done once per identity; a pure function of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from samenloop_processors.clients.domain.text import fold
from samenloop_schemas.codes import AddressKind, Sex
from samenloop_schemas.dates import PartialDate
from samenloop_schemas.records import Address, IdentityFacts

_PREFIXES = frozenset(
    [
        "aan",
        "af",
        "al",
        "am",
        "auf",
        "bei",
        "ben",
        "bij",
        "d",
        "da",
        "dal",
        "dalla",
        "de",
        "del",
        "dela",
        "dell",
        "della",
        "den",
        "der",
        "des",
        "di",
        "die",
        "do",
        "don",
        "dos",
        "du",
        "el",
        "ver",
        "het",
        "in",
        "la",
        "las",
        "le",
        "les",
        "lo",
        "los",
        "op",
        "over",
        "s",
        "t",
        "te",
        "ten",
        "ter",
        "tes",
        "to",
        "toe",
        "tot",
        "uit",
        "uijt",
        "van",
        "vanden",
        "vander",
        "vd",
        "ver",
        "vom",
        "von",
        "voor",
        "zu",
        "zum",
        "zur",
        "v",
        "onder",
    ]
)
"""Words of the BRP's table of voorvoegsels (folded). They are left out: *van Maassen* must be found under *Maassen*."""
_TITLES = frozenset(
    [
        "baron",
        "barones",
        "freule",
        "graaf",
        "gravin",
        "jhr",
        "jkvr",
        "jonkheer",
        "jonkvrouw",
        "prins",
        "prinses",
        "ridder",
        "sr",
        "jr",
    ]
)
_NO_NAME = frozenset(("", "x", "xx", "xxx", "nn", "onbekend", "geen", "nvt", "unknown"))
_DOUBLE_INITIAL = frozenset(("chr", "th", "ph"))
_MARRIED = re.compile(r"\be[\s/]?v\b|\bgeb\b|\bgeboren\b|\bw[\s/]?v\b")
_POSTCODE = re.compile(r"^\s*([1-9]\d{3})\s*([A-Za-z]{2})\s*$")
_HOUSE = re.compile(r"^\s*(\d{1,5})\s*(.*)$")
_NO_MAILBOX = frozenset(("", "onbekend", "geen", "nvt", "info", "noreply", "no-reply", "test", "x"))
_NO_HOUSEHOLD = (AddressKind.POSTAL, AddressKind.TEMPORARY_STAY)


@dataclass(frozen=True, slots=True)
class Features:
    """One identity, ready to compare. Empty text and 0 mean unknown.

    `own` is the whole own surname, `surnames` every surname the person may go by (own, partner's, halves of a double name).
    `house` is a building, `addition` the door in it. `bsn` is a token, never a number.
    """

    source: str = ""
    bsn: str = ""
    own: str = ""
    surnames: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    call: str = ""
    initials: str = ""
    year: int = 0
    month: int = 0
    day: int = 0
    sex: str = ""
    postcode: str = ""
    house: str = ""
    addition: str = ""
    phone: str = ""
    email: str = ""
    street: str = ""
    number: str = ""
    city: str = ""
    other: str = ""

    @property
    def filler(self) -> bool:
        """1 January or 1 July: what is written when nobody knows better."""
        return self.day == 1 and self.month in (1, 7)


def features(identity: IdentityFacts, other: str = "") -> Features:
    """Normalise one identity."""
    own, own_parts = surname(identity.surname)
    _, partner_parts = surname(identity.partner_surname)
    given = given_names(identity.given_names)
    calls = given_names(identity.call_name)
    postcode, house, addition = address_key(identity.address)
    street, number, city = place(identity.address)
    birth: PartialDate = identity.birth_date
    return Features(
        source=identity.source,
        bsn=identity.bsn_token,
        own=own,
        surnames=tuple(sorted({*own_parts, *partner_parts})),
        given=given,
        call="".join(calls),
        initials=initials(identity.initials) or "".join(initial(name) for name in given),
        year=birth.year,
        month=birth.month,
        day=birth.day,
        sex={Sex.FEMALE: "F", Sex.MALE: "M"}.get(identity.sex, ""),
        postcode=postcode,
        house=house,
        addition=addition,
        phone=phone(identity.phone),
        email=email(identity.email),
        street=street,
        number=number,
        city=city,
        other=other_id(other),
    )


def surname(text: str) -> tuple[str, tuple[str, ...]]:
    """The whole name as one word, and every part under which a system may file it. *Jansen-de Vries*: jansen, vries."""
    folded = _MARRIED.sub("|", fold(text)).replace("-", "|").replace("/", "|")
    whole: list[str] = []
    parts: list[str] = []
    for piece in folded.split("|"):
        words = [word for word in piece.split() if word not in _TITLES]
        while len(words) > 1 and words[0] in _PREFIXES:
            del words[0]
        while len(words) > 1 and words[-1] in _PREFIXES:
            del words[-1]
        if not words or words[0] in _PREFIXES:
            continue
        core = [word for word in words if word not in _PREFIXES] or words
        joined = "".join(words)
        if joined in _NO_NAME:
            continue
        whole.append(joined)
        parts.append(joined)
        if len(core) > 1:
            parts.extend(word for word in core if len(word) >= 4)
    return "".join(whole), tuple(parts)


def given_names(text: str) -> tuple[str, ...]:
    """Formal names in order. A compound (*Anne-Fleur*) is one name; a single letter or ``Th.`` is an initial, not a name."""
    names = []
    for word in fold(text).replace("/", " ").split():
        name = word.replace("-", "")
        if len(name) > 1 and name not in _NO_NAME and name not in _TITLES and name not in _DOUBLE_INITIAL:
            names.append(name)
    return tuple(names)


def initial(name: str) -> str:
    """The one letter of a first name. The BRP's double initials Th, Ph, IJ and Chr give one letter, and *IJ* is written y."""
    return name[:1]


def initials(text: str) -> str:
    """A letter sequence from ``J.P.``, ``JP``, ``Th.M.``, ``A-F`` (one letter per compound) or ``J. Ph. IJ.``."""
    letters = []
    for word in re.split(r"[\s.,]+", text.strip()):
        letter = fold(word.split("-", 1)[0]).replace(" ", "").replace("/", "")
        one = letter in _DOUBLE_INITIAL or (word[:1].isupper() and word[1:2].islower())
        letters.append(letter[:1] if one else letter)
    return "".join(letters)


def address_key(address: Address) -> tuple[str, str, str]:
    """(postcode, building, door). All empty where an address says nothing of where somebody lives: post boxes, doubt, abroad."""
    if address.kind in _NO_HOUSEHOLD or address.abroad or address.under_investigation:
        return "", "", ""
    written = _POSTCODE.match(address.postcode)
    postcode = f"{written[1]}{written[2].upper()}" if written else _foreign(address.postcode)
    number = _HOUSE.match(address.house_number)
    if number is None or int(number[1]) == 0:
        return postcode, "", ""
    extra = f"{number[2]}{address.house_letter}{address.house_addition}{address.house_designation}"
    door = "".join(c for c in extra.upper() if c.isalnum())
    if postcode:
        return postcode, f"{postcode}{int(number[1])}", door
    street, city = fold(address.street), fold(address.city)
    return "", f"{street}|{int(number[1])}|{city}" if street and city else "", door


def _foreign(text: str) -> str:
    """A postcode of another country, or a Dutch one of which only the digits are known."""
    code = "".join(c for c in text.upper() if c.isalnum())
    return code if 4 <= len(code) <= 10 and any(c.isdigit() for c in code) and len(set(code)) > 1 else ""


def place(address: Address) -> tuple[str, str, str]:
    """(street, number, town) as they are written, folded; empty where the address says nothing of where somebody lives."""
    if address.kind in _NO_HOUSEHOLD or address.abroad or address.under_investigation:
        return "", "", ""
    number = _HOUSE.match(address.house_number)
    return (
        fold(address.street).replace(" ", ""),
        str(int(number[1])) if number and int(number[1]) else "",
        fold(address.city).replace(" ", ""),
    )


def other_id(text: str) -> str:
    """A number that a source has from elsewhere (a card, another register): letters and digits only."""
    plain = "".join(c for c in text.upper() if c.isalnum())
    return plain if len(plain) >= 4 and len(set(plain)) > 1 else ""


def phone(text: str) -> str:
    """National significant digits: ``+31 6 12345678``, ``0031(0)612345678`` and ``06-12345678`` are one number."""
    digits = "".join(c for c in text.replace("(0)", "") if c.isdigit() or c == "+")
    for abroad in ("+31", "0031"):
        if digits.startswith(abroad):
            digits = "0" + digits[len(abroad) :].removeprefix("0")
            break
    if digits.startswith(("+", "00")):
        number = digits.lstrip("+0")
        return f"+{number}" if 8 <= len(number) <= 14 else ""
    number = digits.lstrip("0")
    return number if len(number) == 9 and len(set(number[1:])) > 1 else ""


def email(text: str) -> str:
    """The address in lower case, or empty when it is nobody's own."""
    low = text.strip().lower()
    mailbox, at, host = low.partition("@")
    return low if at and "." in host and " " not in low and mailbox not in _NO_MAILBOX else ""
