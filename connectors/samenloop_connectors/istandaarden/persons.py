"""Who a message tells of: the client as the hub may know him, and those of his relations who make a family."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from samenloop_connectors.sdk.names import letters_only, tidy_phone, tidy_postcode
from samenloop_producers.statement import RelatedPerson
from samenloop_schemas.codes import AddressKind, NameUsage, RelationKind, Sex
from samenloop_schemas.dates import UNKNOWN_DATE, PartialDate
from samenloop_schemas.records import Address, PersonIdentity

_USAGE = {
    "1": NameUsage.OWN,
    "2": NameUsage.PARTNER,
    "3": NameUsage.PARTNER_OWN,
    "4": NameUsage.OWN_PARTNER,
    "5": NameUsage.PSEUDONYM,
}
"""COD700."""
_SEX = {"1": Sex.MALE, "2": Sex.FEMALE}
"""COD046."""
_ADDRESS_KINDS = {
    "01": AddressKind.HOME,
    "03": AddressKind.STAY,
    "04": AddressKind.TEMPORARY_STAY,
    "02": AddressKind.POSTAL,
}
"""COD757, in the order in which one is preferred."""
_RELATIONS = {
    "10": RelationKind.PARENT,
    "11": RelationKind.GUARDIAN,
    "12": RelationKind.PARTNER,
    "13": RelationKind.FOSTER_PARENT,
    "16": RelationKind.CHILD,
    "06": RelationKind.HOUSEHOLD_MEMBER,
    "18": RelationKind.HOUSEHOLD_MEMBER,
}
"""COD472; helpers, doctors, neighbours and officials are not even read."""


def identity(client: Mapping[str, Any], municipality: str, day: date, *, deceased: bool = False) -> PersonIdentity:
    """The client. `day` is the message's, on which the address has to be valid. That he died is told, not when."""
    return _person(client, municipality, day, bsn=client["bsn"], deceased=deceased)


def relations(client: Mapping[str, Any], municipality: str, day: date) -> tuple[RelatedPerson, ...]:
    """Those around the client. Their numbers are unique per municipality and client (OP071)."""
    return tuple(
        RelatedPerson(
            _RELATIONS[each["kind"]],
            f"{municipality}/{client['bsn']}/{each['number']}",
            _person(each, municipality, day),
        )
        for each in client["relations"]
    )


def birth_date(text: str, known: str) -> PartialDate:
    """*Datum* with *DatumGebruik*: 1 the day is a filler, 2 the month too, 3 all of it (OP252, IV009)."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return UNKNOWN_DATE
    if known == "3":
        return UNKNOWN_DATE
    return PartialDate(day.year, 0 if known == "2" else day.month, 0 if known in ("1", "2") else day.day)


def _person(
    who: Mapping[str, Any], municipality: str, day: date, *, bsn: str = "", deceased: bool = False
) -> PersonIdentity:
    contact = _contact(who["contacts"], day)
    return PersonIdentity(
        given_names=who["given"],
        initials=letters_only(who["initials"]),
        surname_prefix=who["prefix"],
        surname="" if who["surname"] == "." else who["surname"],
        partner_prefix=who["partner_prefix"],
        partner_surname=who["partner"],
        name_usage=_USAGE.get(who["usage"], NameUsage.UNKNOWN),
        birth_date=birth_date(who["born"], who["born_known"]),
        sex=_SEX.get(who["sex"], Sex.UNKNOWN),
        address=_address(contact) if contact else Address(),
        phone=_phone(contact) if contact else "",
        email=contact["email"].lower() if contact else "",
        bsn=bsn,
        municipality=municipality if bsn else "",
        deceased_on=UNKNOWN_DATE if deceased else None,
    )


def _contact(contacts: list[Mapping[str, Any]], day: date) -> Mapping[str, Any] | None:
    """The one to be found at: of those valid that day by kind, then the newest."""
    order = list(_ADDRESS_KINDS)
    usable = [each for each in contacts if each["kind"] in _ADDRESS_KINDS]
    valid = [each for each in usable if each["from"] <= day.isoformat() and (each["to"] or "9") >= day.isoformat()]
    return max(
        valid or usable,
        key=lambda each: (-order.index(each["kind"]), each["from"], sorted(each.items())),
        default=None,
    )


def _address(contact: Mapping[str, Any]) -> Address:
    abroad = contact["country"] not in ("", "NL")
    return Address(
        street=contact["street"],
        house_number=contact["number"].lstrip("0"),
        house_letter=contact["letter"].upper(),
        house_addition=contact["addition"].upper(),
        house_designation=contact["designation"].lower(),
        postcode=contact["postcode"] if abroad else tidy_postcode(contact["postcode"]),
        city=contact["city"],
        kind=_ADDRESS_KINDS[contact["kind"]],
        abroad=abroad,
    )


def _phone(contact: Mapping[str, Any]) -> str:
    number = contact["phone"]
    foreign = contact["country_number"].lstrip("0") not in ("", "31")
    return f"00{contact['country_number'].lstrip('0')}{number}" if foreign and number else tidy_phone(number)
