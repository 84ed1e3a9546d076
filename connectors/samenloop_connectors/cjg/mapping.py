"""What the payload of a case means: pure, from what a look at the zaak kept to a case report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from samenloop_connectors.cjg.config import CaseType, CjgConfig, CjgOrganisation
from samenloop_connectors.cjg.snapshot import text
from samenloop_connectors.sdk.connector import Payload
from samenloop_connectors.sdk.errors import DataError
from samenloop_connectors.sdk.names import letters_only, tidy_postcode
from samenloop_producers.statement import CaseReport, RelatedPerson
from samenloop_schemas.bsn import normalise_bsn
from samenloop_schemas.codes import (
    AddressKind,
    Consent,
    Domain,
    EndReason,
    RelationKind,
    Role,
    Sensitivity,
    Sex,
    Status,
)
from samenloop_schemas.dates import UNKNOWN_DATE, PartialDate, after_last_day
from samenloop_schemas.records import EPOCH, Address, PersonIdentity

_LEGAL_BASES = {"JW": "jw_7_1", "WMO": "wmo_5_2", "PW": "pw_64", "WGS": "wgs_8", "WPG": "wpg_5"}
_SENSITIVITY = {
    "confidentieel": Sensitivity.SENSITIVE,
    "geheim": Sensitivity.PROTECTED,
    "zeer_geheim": Sensitivity.PROTECTED,
}
_STRICTEST = (Sensitivity.PROTECTED, Sensitivity.SENSITIVE, Sensitivity.NORMAL)
_RESULTS = {
    "doel bereikt": EndReason.PLANNED,
    "afgehandeld": EndReason.PLANNED,
    "afgerond": EndReason.PLANNED,
    "verleend": EndReason.PLANNED,
    "hulp geboden": EndReason.PLANNED,
    "afgebroken": EndReason.CLIENT,
    "ingetrokken": EndReason.CLIENT,
    "op verzoek client": EndReason.CLIENT,
    "op verzoek cliënt": EndReason.CLIENT,
    "geen contact": EndReason.CLIENT,
    "doorverwezen": EndReason.OTHER_PROVIDER,
    "overgedragen": EndReason.OTHER_PROVIDER,
    "verhuisd": EndReason.MOVED,
    "overleden": EndReason.DECEASED,
}
_RETRACTING = frozenset({"ten onrechte", "ten onrechte aangemaakt", "foutief aangemaakt", "niet doorgegaan"})
_SEX = {"m": Sex.MALE, "v": Sex.FEMALE}
_BIRTH = re.compile(r"(\d{4})(?:-?(\d{2})(?:-?(\d{2}))?)?|(\d{2})-(\d{2})-(\d{4})")


def report(config: CjgConfig, organisation: CjgOrganisation, case_number: str, payload: Payload) -> CaseReport:
    """What is known of one person in one zaak. Raises DataError.

    `einddatum` is the last day of it. A zaak without a status, or with one that is configured as such, is announced. What is
    closed as wrongly made, was destroyed while it went on, concerns somebody else by now or is no longer shared: taken back.
    """
    case_type = config.case_types.get(payload["zaaktype"])
    shared = case_type if isinstance(case_type, CaseType) else None
    starts_on = _day(payload, "startdatum")
    if starts_on is None:
        raise DataError("missing", "startdatum")
    last_day, status = None, Status.RETRACTED
    if shared is not None and "withdrawn" not in payload:
        last_day = min(filter(None, (_day(payload, "einddatum"), _day(payload, "tot"))), default=None)
        status = _status(config, shared, payload, last_day)
        if status is Status.ENDED and last_day and last_day < starts_on:
            raise DataError("ends_before_start", "einddatum")
    stands = status is not Status.RETRACTED
    service_group = shared.service_group if shared else payload["as"]["service_group"]
    domain = shared.domain if shared else payload["as"]["domain"]
    basis = (shared.legal_basis if shared else None) or config.legal_bases.get(domain) or _LEGAL_BASES[domain]
    named = stands and organisation.consent == "not_required"
    planned = _day(payload, "einddatumGepland") if stands else None
    return CaseReport(
        area=organisation.area,
        organisation=organisation.id,
        case_number=case_number,
        person_number=payload["key"],
        version=EPOCH,
        status=status,
        domain=Domain(domain),
        service_group=service_group,
        starts_on=None if status is Status.ANNOUNCED else starts_on,
        expected_end_on=after_last_day(planned) if planned and planned >= starts_on else None,
        ends_on=after_last_day(last_day) if last_day and status is Status.ENDED else None,
        end_reason=_reason(config, status, payload),
        role=Role.CASE_DIRECTOR if payload.get("regie") else Role.HELP,
        contact=organisation.route(payload.get("team", "")),
        legal_basis=basis,
        purpose=config.purpose,
        consent=Consent.UNKNOWN,
        sensitivity=_sensitivity(organisation, payload),
        identity=_identity(payload["persoon"]) if named else None,
        relations=tuple(_related(each) for each in payload["relaties"]) if named else (),
    )


def _status(config: CjgConfig, shared: CaseType, payload: Payload, last_day: date | None) -> Status:
    if _results(payload) & (_RETRACTING | {word.lower() for word in config.retracting}):
        return Status.RETRACTED
    if last_day is not None:
        return Status.ENDED
    if payload["opgeschort"]:
        return Status.PAUSED
    waiting = payload["status"] is None or payload["status"].lower() in {word.lower() for word in shared.announced}
    return Status.ANNOUNCED if waiting else Status.ACTIVE


def _reason(config: CjgConfig, status: Status, payload: Payload) -> EndReason:
    if status is Status.RETRACTED:
        return EndReason.WRONGLY_MADE
    if status is not Status.ENDED:
        return EndReason.NONE
    table = {**_RESULTS, **{word.lower(): reason for word, reason in config.results.items()}}
    return next((table[word] for word in sorted(_results(payload)) if word in table), EndReason.AGREED)


def _results(payload: Payload) -> set[str]:
    return {word.lower() for word in payload["resultaat"] if word}


def _sensitivity(organisation: CjgOrganisation, payload: Payload) -> Sensitivity:
    """The stricter of what the organisation and the zaak ask for."""
    own = _SENSITIVITY.get(payload.get("vertrouwelijkheidaanduiding", ""), Sensitivity.NORMAL)
    return min(own, Sensitivity(organisation.sensitivity), key=_STRICTEST.index)


def _related(relation: Mapping[str, Any]) -> RelatedPerson:
    return RelatedPerson(RelationKind(relation["kind"]), relation["key"], _identity(relation["persoon"]))


def _identity(person: Mapping[str, Any]) -> PersonIdentity:
    address = person["verblijfsadres"]
    number, postcode = address["aoaHuisnummer"].lstrip("0"), tidy_postcode(address["aoaPostcode"])
    return PersonIdentity(
        given_names=person["voornamen"],
        initials=letters_only(person["voorletters"]),
        surname_prefix=person["voorvoegselGeslachtsnaam"].lower(),
        surname=person["geslachtsnaam"],
        birth_date=_birth_date(person["geboortedatum"]),
        sex=_SEX.get(person["geslachtsaanduiding"].lower(), Sex.UNKNOWN),
        address=Address(
            street=address["gorOpenbareRuimteNaam"],
            house_number=number,
            house_letter=address["aoaHuisletter"].upper(),
            house_addition=address["aoaHuisnummertoevoeging"].upper(),
            postcode=postcode,
            city=address["wplWoonplaatsNaam"],
            kind=AddressKind.HOME if postcode or number else AddressKind.UNKNOWN,
        ),
        bsn=normalise_bsn(person.get("inpBsn", "")) or "",
    )


def _birth_date(written: str) -> PartialDate:
    """``1980-03-12``, ``19800312``, ``1980-03``, ``1980``, ``12-03-1980``; zeros for unknown parts. What is no date says
    nothing."""
    match = _BIRTH.fullmatch(written.strip())
    if not match:
        return UNKNOWN_DATE
    year, month, day = match[1] or match[6], match[2] or match[5], match[3] or match[4]
    try:
        return PartialDate(int(year), int(month or 0), int(day or 0))
    except ValueError:
        return UNKNOWN_DATE


def _day(payload: Payload, field: str) -> date | None:
    written = text(payload.get(field))
    if not written:
        return None
    try:
        return date.fromisoformat(written[:10])
    except ValueError:
        raise DataError("unreadable", field) from None


def days_before(day: date, days: int) -> date:
    """So many days earlier, as far as the calendar goes."""
    return day - timedelta(days=min(days, day.toordinal() - 1))
