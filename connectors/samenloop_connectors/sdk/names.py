"""How Dutch names, house numbers, postcodes and telephone numbers are typed, taken apart. Pure; never raises."""

from __future__ import annotations

import re
from dataclasses import dataclass

from samenloop_schemas.codes import NameUsage

_PREFIXES = (
    "van de", "van den", "van der", "van het", "van 't", "van ’t", "van", "de", "den", "der", "het", "'t", "’t", "'s", "’s",
    "ten", "ter", "te", "in de", "in den", "in der", "in het", "in 't", "in", "op de", "op den", "op der", "op het", "op 't", "op",
    "aan de", "aan den", "aan der", "aan het", "aan 't", "aan", "bij de", "bij den", "bij", "onder de", "onder den", "onder",
    "over de", "over", "uit de", "uit den", "uit der", "uit het", "uit", "voor de", "voor den", "voor", "achter de", "achter",
    "tot", "von", "von der", "von dem", "zu", "zur", "du", "des", "d'", "d’", "l'", "la", "le", "les", "las", "los", "lo", "de la",
    "de las", "de los", "de l'", "da", "dos", "das", "do", "di", "del", "della", "dal", "el", "al", "ben", "bin", "ibn", "a", "à",
)  # fmt: skip
_BY_LENGTH = sorted(_PREFIXES, key=lambda prefix: (-len(prefix.split()), -len(prefix)))
_HOUSE = re.compile(r"^\s*(\d{1,5})\s*(.*)$")
_POSTCODE = re.compile(r"^([1-9]\d{3})\s*([A-Za-z]{2})$")


@dataclass(frozen=True, slots=True)
class Surname:
    """What a free surname field says. In a double name the first part may be the own or the partner's name: `usage` is then
    unknown, since both ways occur."""

    prefix: str
    surname: str
    partner_prefix: str = ""
    partner_surname: str = ""
    usage: NameUsage = NameUsage.UNKNOWN


def split_surname(prefix: str, surname: str) -> Surname:
    """Prefix and name apart, also from ``de Vries``, ``Vries, de`` and ``de Vries-van Dijk``."""
    if "," in surname:
        surname, _, behind = (part.strip() for part in surname.partition(","))
        prefix = prefix or behind
    first, dash, second = (part.strip() for part in surname.partition("-"))
    if dash and (not first or not second):
        first, second = first or second, ""
    own_prefix, own = _take_prefix(first)
    partner_prefix, partner = _take_prefix(second)
    return Surname((prefix or own_prefix).lower(), own, partner_prefix.lower(), partner)


def _take_prefix(name: str) -> tuple[str, str]:
    lower = name.lower()
    for prefix in _BY_LENGTH:
        glue = "" if prefix.endswith(("'", "’")) and " " not in prefix else " "
        if lower.startswith(prefix + glue) and len(name) > len(prefix + glue):
            return name[: len(prefix)], name[len(prefix + glue) :].strip()
    return "", name


def split_house_number(text: str) -> tuple[str, str, str]:
    """Number, letter and addition from one field: ``12a-3`` is 12, A, 3; ``7-II`` is 7, nothing, II; ``10 bis`` is 10, -, BIS."""
    match = _HOUSE.match(text)
    if not match:
        return "", "", ""
    number, rest = str(int(match[1])), match[2].strip()
    letter = ""
    if found := re.match(r"^([A-Za-z])(?![A-Za-z])[\s\-/]*(.*)$", rest):
        letter, rest = found[1].upper(), found[2]
    addition = re.sub(r"[\s\-/]+", "", rest).upper()
    return number, letter, addition[:6]


def tidy_postcode(text: str) -> str:
    """``1234AB``, or nothing when it is no Dutch postcode."""
    match = _POSTCODE.match(text.strip())
    return match[1] + match[2].upper() if match else ""


def tidy_phone(text: str) -> str:
    """Digits in the national form ``0612345678``; another country's number keeps its ``00``."""
    digits = re.sub(r"[^\d+]", "", text.replace("(0)", ""))
    digits = "00" + digits[1:] if digits.startswith("+") else digits
    return "0" + digits[4:] if digits.startswith("0031") else digits


def letters_only(initials: str) -> str:
    """``A.B.`` from ``a b``, ``AB`` or ``A.B``; ``Th.`` stays one initial."""
    if "." not in initials and " " not in initials:
        parts = list(initials)
    else:
        parts = [part for part in re.split(r"[.\s]+", initials) if part]
    return "".join(f"{part[:1].upper()}{part[1:].lower()}." for part in parts if part[:1].isalpha())
