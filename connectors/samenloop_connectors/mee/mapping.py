"""What a row of MEE's export means: pure, from named cells to what is kept of it, and from that to a case report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from samenloop_connectors.mee import cells
from samenloop_connectors.mee.cells import Cell
from samenloop_connectors.mee.config import MeeConfig, MeeOrganisation
from samenloop_connectors.mee.files import FileName
from samenloop_connectors.sdk.connector import Payload
from samenloop_connectors.sdk.errors import DataError
from samenloop_connectors.sdk.names import letters_only, split_house_number, split_surname, tidy_postcode
from samenloop_producers.statement import CaseReport
from samenloop_schemas.codes import AddressKind, Consent, Domain, EndReason, Sensitivity, Status
from samenloop_schemas.dates import PartialDate, after_last_day
from samenloop_schemas.records import EPOCH, Address, PersonIdentity

PRODUCTS = {
    "clientondersteuning": "client_support",
    "onafhankelijke clientondersteuning": "client_support",
    "oco": "client_support",
    "co": "client_support",
    "ivh": "early_support",
    "integrale vroeghulp": "early_support",
    "vroeghulp": "early_support",
}
"""Service groups by product; the product itself never leaves."""
_MUTATIONS = {
    "n": "N", "nieuw": "N", "w": "W", "wijziging": "W", "gewijzigd": "W", "v": "V", "verwijderd": "V", "vervallen": "V",
}  # fmt: skip
_NAMES = ("voorletters", "tussenvoegsels", "achternaam", "partnernaam")


@dataclass(frozen=True, slots=True)
class Kept:
    """A row with consent, reduced to what a statement needs. `rank` orders the rows of one dossier in one file."""

    rank: int
    payload: Payload


@dataclass(frozen=True, slots=True)
class NotKept:
    """A row of which nothing may stay; `reason` counts it as refused, and is empty for one that was taken out."""

    reason: Literal["", "consent_missing", "consent_withdrawn", "consent_not_yet", "consent_scope"] | str


def keep(config: MeeConfig, name: FileName, row: Mapping[str, Cell]) -> Kept | NotKept:
    """What may be kept of a row. Raises DataError only for a row with consent: of others nothing is looked at."""
    given = cells.consent(row["toestemming_schriftelijk"], name.day, config.consent_scopes)
    if isinstance(given, str):
        return NotKept(given)
    mutation = _MUTATIONS.get(cells.plain(cells.text_of(row["mutatie"], "mutatie")), "")
    if not mutation and name.whole:
        mutation = "W"
    if not mutation:
        raise DataError("unknown_code", "mutatie")
    starts_on, last_day = (cells.whole_day(row[field], field) for field in ("startdatum", "einddatum"))
    if last_day and starts_on and last_day < starts_on and mutation != "V":
        raise DataError("ends_before_start", "einddatum")
    if (mutation == "V" or last_day) and not (starts_on and last_day and starts_on <= last_day):
        return NotKept("")
    payload: dict[str, Any] = {field: cells.text_of(row[field], field) for field in _NAMES}
    if not payload["achternaam"] and not payload["partnernaam"]:
        raise DataError("missing", "achternaam")
    number, letter, addition = split_house_number(
        f"{cells.house_number_of(row['huisnr'])} {cells.text_of(row['toevoeging'], 'toevoeging')}".strip()
    )
    payload |= {
        "day": name.day.isoformat(),
        "at": name.at,
        "gone": mutation == "V",
        "geboortedatum": str(cells.partial(row["geboortedatum"], "geboortedatum")),
        "postcode": tidy_postcode(cells.text_of(row["postcode"], "postcode")),
        "house": [number if number != "0" else "", letter, addition],
        "starts_on": starts_on.isoformat() if starts_on else "",
        "last_day": last_day.isoformat() if last_day else "",
        "service_group": _service_group(config, row["product"]),
        "team": cells.text_of(row["consulent_team"], "consulent_team"),
    }
    return Kept("NWV".index(mutation), payload)


def report(config: MeeConfig, organisation: MeeOrganisation, case_number: str, kept: Payload) -> CaseReport:
    """What was kept of a case says; nothing kept: RETRACTED."""
    if not kept:
        return CaseReport(
            area=organisation.area,
            organisation=organisation.id,
            case_number=case_number,
            person_number=case_number,
            version=EPOCH,
            status=Status.RETRACTED,
            domain=Domain.WMO,
            service_group=config.other_products,
            end_reason=EndReason.WRONGLY_MADE,
            contact=organisation.contact.record(),
            legal_basis=config.legal_basis,
            purpose=config.purpose,
            consent=Consent.WITHDRAWN,
            sensitivity=Sensitivity(organisation.sensitivity),
        )
    starts_on, last_day = _day(kept["starts_on"]), _day(kept["last_day"])
    status = Status.ACTIVE if starts_on else Status.ANNOUNCED
    if kept["gone"] or (last_day and last_day < date.fromisoformat(kept["day"])):
        status = Status.ENDED
    return CaseReport(
        area=organisation.area,
        organisation=organisation.id,
        case_number=case_number,
        person_number=case_number,
        version=EPOCH,
        status=status,
        domain=Domain.WMO,
        service_group=kept["service_group"],
        starts_on=starts_on,
        ends_on=after_last_day(last_day) if last_day else None,
        contact=organisation.route(kept["team"]),
        legal_basis=config.legal_basis,
        purpose=config.purpose,
        consent=Consent.GIVEN,
        sensitivity=Sensitivity(organisation.sensitivity),
        identity=_identity(kept),
    )


def _identity(kept: Payload) -> PersonIdentity:
    name = split_surname(kept["tussenvoegsels"], kept["achternaam"])
    partner = split_surname("", kept["partnernaam"])
    number, letter, addition = kept["house"]
    return PersonIdentity(
        initials=letters_only(kept["voorletters"]),
        surname_prefix=name.prefix,
        surname=name.surname,
        partner_prefix=partner.prefix if partner.surname else name.partner_prefix,
        partner_surname=partner.surname or name.partner_surname,
        birth_date=PartialDate.parse(kept["geboortedatum"]),
        address=Address(
            house_number=number,
            house_letter=letter,
            house_addition=addition,
            postcode=kept["postcode"],
            kind=AddressKind.HOME if kept["postcode"] or number else AddressKind.UNKNOWN,
        ),
    )


def _service_group(config: MeeConfig, product: Cell) -> str:
    table = PRODUCTS | {_word(name): group for name, group in config.products.items()}
    return table.get(_word(cells.text_of(product, "product")), config.other_products)


def _word(product: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", cells.plain(product)))


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None
