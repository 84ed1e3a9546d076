"""How youth health care writes a child down: the record begins at birth with what the BRP sent, names part by part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from random import Random

from ..people import Address, NameUsage, Person, weighted

NEWBORN_DAYS = 180
"""In its first months a child may still be on file under its mother's BSN, as on the heel-prick form."""
ORDER = {
    NameUsage.UNKNOWN: "NL1",
    NameUsage.OWN: "NL1",
    NameUsage.PARTNER: "NL2",
    NameUsage.PARTNER_OWN: "NL3",
    NameUsage.OWN_PARTNER: "NL4",
}


@dataclass(frozen=True, slots=True)
class FhirPerson:
    """What an nl-core Patient holds. ``birth_date`` is yyyy-mm-dd, yyyy-mm or yyyy; ``name_usage`` NL1 to NL4.

    ``multiple_birth``: which of the twins, 1 or 2; None for a single birth.
    """

    bsn: str
    given: tuple[str, ...]
    call_name: str
    initials: str
    own_prefix: str
    own_name: str
    partner_prefix: str
    partner_name: str
    name_usage: str
    birth_date: str
    gender: str
    street: str
    house_number: str
    letter: str
    addition: str
    postcode: str
    city: str
    phone: str
    multiple_birth: int | None


def write_fhir(rng: Random, person: Person, mother: Person | None, today: date) -> FhirPerson:
    partner = person.partner_surname
    record = FhirPerson(
        bsn=_bsn(rng, person, mother, today),
        given=tuple(person.given_names.split()),
        call_name=person.call_name if rng.random() < 0.8 else "",
        initials=person.initials if rng.random() < 0.9 else "",
        own_prefix=person.surname.prefix,
        own_name=person.surname.name,
        partner_prefix=partner.prefix if partner else "",
        partner_name=partner.name if partner else "",
        name_usage=ORDER[person.name_usage],
        birth_date=_birth_date(person),
        gender=weighted(
            rng, (({"M": "male", "V": "female"}[person.sex], 97.0), ("unknown", 2.0), ("other", 1.0))
        ),
        street="",
        house_number="",
        letter="",
        addition="",
        postcode="",
        city="",
        phone=(mother.mobile if mother and mother.mobile else person.mobile or person.landline or "")
        if rng.random() < 0.85
        else "",
        multiple_birth=None if person.twin is None else 1 if person.person < person.twin else 2,
    )  # fmt: skip
    return move_fhir(rng, record, person.address)


def move_fhir(rng: Random, record: FhirPerson, address: Address) -> FhirPerson:
    return replace(
        record,
        street=address.street,
        house_number=str(address.number),
        letter=address.letter,
        addition=address.addition,
        postcode=f"{address.postcode[:4]} {address.postcode[4:]}" if rng.random() < 0.5 else address.postcode,
        city=address.city,
    )


def _bsn(rng: Random, person: Person, mother: Person | None, today: date) -> str:
    newborn = (today - person.birth_date).days < NEWBORN_DAYS
    if newborn and mother is not None and mother.bsn and rng.random() < 0.4:
        return mother.bsn
    return person.bsn or "" if rng.random() < 0.97 else ""


def _birth_date(person: Person) -> str:
    born = person.birth_date.isoformat()
    return {"day": born, "month": born[:7], "year": born[:4]}[person.birth_known]
