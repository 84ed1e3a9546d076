"""An nl-core Patient, RelatedPerson or contact in the hub's words. What cannot be read says nothing; nothing raises.

Names by zib NameInformation: own and partner's name as extensions of `family`, the order in which they are used (NL1 to NL4),
and each given name marked as birth name (BR), call name (CL) or initials (IN). Addresses by zib AddressInformation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from samenloop_connectors.sdk.names import letters_only, split_house_number, split_surname, tidy_phone, tidy_postcode
from samenloop_schemas.codes import AddressKind, NameUsage, Sex
from samenloop_schemas.dates import UNKNOWN_DATE, PartialDate
from samenloop_schemas.records import Address, PersonIdentity

_EXTENSION = "http://hl7.org/fhir/StructureDefinition/"
_ADDRESS_TYPE = "http://nictiz.nl/fhir/StructureDefinition/ext-AddressInformation.AddressType"
_USAGE = {
    "NL1": NameUsage.OWN,
    "NL2": NameUsage.PARTNER,
    "NL3": NameUsage.PARTNER_OWN,
    "NL4": NameUsage.OWN_PARTNER,
}
_SEX = {"female": Sex.FEMALE, "male": Sex.MALE, "other": Sex.OTHER}
_NAME_ORDER = {"official": 0, "": 1, "usual": 2, "nickname": 3}
"""Other uses (old, maiden, temp, anonymous) are no name by which somebody is found now."""
_HOME = {"HP": AddressKind.HOME, "PHYS": AddressKind.STAY, "TMP": AddressKind.TEMPORARY_STAY, "HV": AddressKind.TEMPORARY_STAY,
         "PST": AddressKind.POSTAL}  # fmt: skip
_KIND_ORDER = (AddressKind.HOME, AddressKind.STAY, AddressKind.TEMPORARY_STAY, AddressKind.POSTAL)
_DATE = re.compile(r"^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(?:T.*)?$")
_LINE = re.compile(r"^(.*?)\s+(\d{1,5}\b.*|\d{1,5}[A-Za-z].*)$")
_HERE = ("", "nl", "nld", "nederland", "netherlands", "the netherlands")

Element = Mapping[str, Any]


@dataclass(slots=True)
class _Names:
    given: list[str]
    call_name: str = ""
    initials: str = ""


def identity(person: Element, bsn: str = "") -> PersonIdentity:
    """What a person's resource says of who he is."""
    names = sorted(
        (name for name in _elements(person.get("name")) if _text(name.get("use")) in _NAME_ORDER),
        key=lambda name: _NAME_ORDER[_text(name.get("use"))],
    )
    family = next((name for name in names if name.get("family") or name.get("_family")), {})
    own_prefix, own, partner_prefix, partner, usage = _surname(family)
    given = _given(names)
    died = person.get("deceased")
    return PersonIdentity(
        given_names=" ".join(given.given),
        initials=letters_only(given.initials),
        call_name=given.call_name,
        surname_prefix=own_prefix,
        surname=own,
        partner_prefix=partner_prefix,
        partner_surname=partner,
        name_usage=usage,
        birth_date=partial_date(person.get("birthDate")),
        sex=_SEX.get(_text(person.get("gender")), Sex.UNKNOWN),
        address=_address(_elements(person.get("address"))),
        phone=tidy_phone(_telecom(person, "phone")),
        email=_telecom(person, "email").lower(),
        bsn=bsn,
        deceased_on=partial_date(died) if died else None,
    )


def partial_date(value: Any) -> PartialDate:
    """``yyyy``, ``yyyy-mm`` or ``yyyy-mm-dd``; of an instant the day as written."""
    match = _DATE.match(_text(value))
    try:
        return PartialDate(*(int(part or 0) for part in match.groups())) if match else UNKNOWN_DATE
    except ValueError:
        return UNKNOWN_DATE


def _surname(name: Element) -> tuple[str, str, str, str, NameUsage]:
    """From the extensions of `family`; without them from `family` itself."""
    parts = _element(name.get("_family"))
    own = _extension(parts, "humanname-own-name")
    partner = _extension(parts, "humanname-partner-name")
    usage = _USAGE.get(_extension(name, "humanname-assembly-order"), NameUsage.UNKNOWN)
    if not own and not partner:
        found = split_surname("", _text(name.get("family")))
        usage = found.usage if usage is NameUsage.UNKNOWN else usage
        return found.prefix, found.surname, found.partner_prefix, found.partner_surname, usage
    own_prefix, partner_prefix = (_extension(parts, f"humanname-{whose}-prefix") for whose in ("own", "partner"))
    return own_prefix, own, partner_prefix, partner, usage


def _given(names: Sequence[Element]) -> _Names:
    """Without a mark, a given name is a birth name; in a name for daily use it is what one is called."""
    found = _Names([])
    for name in names:
        marks = name.get("_given")
        marks = marks if isinstance(marks, list) else []
        daily = name.get("use") in ("usual", "nickname")
        birth: list[str] = []
        initials: list[str] = []
        values = name.get("given")
        for place, value in enumerate(values if isinstance(values, list) else ()):
            text = _text(value)
            mark = _extension(_element(marks[place]) if place < len(marks) else {}, "iso21090-EN-qualifier")
            if not text or text == ".":
                continue
            if mark == "IN":
                initials.append(text)
            elif mark == "CL" or (daily and mark != "BR"):
                found.call_name = found.call_name or text
            else:
                birth.append(text)
        found.given = found.given or birth
        found.initials = found.initials or " ".join(initials)
    return found


def _address(addresses: Sequence[Element]) -> Address:
    """The home address, else another at which one stays, else the postal one; never one from before or of work."""
    now = [
        (kind, address)
        for address in addresses
        if (kind := _kind(address)) and not _element(address.get("period")).get("end")
    ]
    if not now:
        return Address()
    kind, address = min(now, key=lambda found: _KIND_ORDER.index(found[0]))
    lines = address.get("line")
    line = _text(lines[0]) if isinstance(lines, list) and lines else ""
    marks = address.get("_line")
    parts = _element(marks[0]) if isinstance(marks, list) and marks else {}
    street, number, letter, addition = _house(line, parts)
    return Address(
        street=street,
        house_number=number,
        house_letter=letter,
        house_addition=addition,
        house_designation=_extension(parts, "iso21090-ADXP-additionalLocator").lower(),
        postcode=tidy_postcode(_text(address.get("postalCode"))),
        city=_text(address.get("city")),
        kind=kind,
        abroad=_text(address.get("country")).lower() not in _HERE,
    )


def _kind(address: Element) -> AddressKind | None:
    concept = next((each for each in _elements(address.get("extension")) if each.get("url") == _ADDRESS_TYPE), {})
    codings = _elements(_element(concept.get("valueCodeableConcept")).get("coding"))
    for coding in codings:
        if found := _HOME.get(_text(coding.get("code"))):
            return found
    if address.get("use") in ("old", "work", "billing") or codings:
        return None
    if address.get("type") == "postal":
        return AddressKind.POSTAL
    return AddressKind.TEMPORARY_STAY if address.get("use") == "temp" else AddressKind.HOME


def _house(line: str, parts: Element) -> tuple[str, str, str, str]:
    """Street, number, letter, addition.

    In buildingNumberSuffix the letter stands before the first space and the addition after it (so an addition alone has a space
    in front); several signs without a space, against that rule, are taken apart as people write them.
    """
    street, number = _extension(parts, "iso21090-ADXP-streetName"), _extension(parts, "iso21090-ADXP-houseNumber")
    if not number:
        match = _LINE.match(line)
        if not match:
            return street or line, "", "", ""
        return street or match[1], *split_house_number(match[2])
    suffix = _extension(parts, "iso21090-ADXP-buildingNumberSuffix", strip=False)
    letter, _, addition = suffix.partition(" ")
    if len(letter) > 1 or (letter and not letter.isalpha()):
        _, letter, more = split_house_number(f"1{letter}")
        addition = f"{more}{addition}"
    first = split_house_number(number)
    return street, first[0], (letter or first[1]).upper(), re.sub(r"[\s\-/]+", "", addition or first[2]).upper()


def _telecom(person: Element, system: str) -> str:
    """The one to be tried first: by rank, then in the order given; none from before."""
    found = [
        each for each in _elements(person.get("telecom")) if each.get("system") == system and each.get("use") != "old"
    ]
    ranked = sorted(found, key=lambda each: each["rank"] if isinstance(each.get("rank"), int) else 99)
    return next((text for each in ranked if (text := _text(each.get("value")))), "")


def _extension(element: Element, name: str, strip: bool = True) -> str:
    for each in _elements(element.get("extension")):
        if each.get("url") == _EXTENSION + name:
            value = each.get("valueString", each.get("valueCode"))
            return _text(value) if strip else value if isinstance(value, str) else ""
    return ""


def _element(value: Any) -> Element:
    return value if isinstance(value, Mapping) else {}


def _elements(value: Any) -> list[Element]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""
