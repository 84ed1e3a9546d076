"""What a trajectory means: pure, from the API's JSON to a case report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, NoReturn

from samenloop_connectors.sdk.errors import DataError
from samenloop_connectors.sdk.names import letters_only, split_house_number, split_surname, tidy_phone, tidy_postcode
from samenloop_connectors.smwo.config import SmwoOrganisation
from samenloop_producers.statement import CaseReport
from samenloop_schemas.codes import AddressKind, Consent, Domain, EndReason, Sensitivity, Sex, Status
from samenloop_schemas.dates import UNKNOWN_DATE, PartialDate, after_last_day, dutch_day, instant_of_ms, micros
from samenloop_schemas.records import EPOCH, Address, PersonIdentity

_SERVICES = {"AMW": "social_work", "CO": "client_support", "SMW": "school_social_work"}
_STATUS = {
    "aanmelding": Status.ANNOUNCED,
    "wachtlijst": Status.ANNOUNCED,
    "lopend": Status.ACTIVE,
    "afgesloten": Status.ENDED,
}
_CONSENT = {"ja": Consent.GIVEN, "nee": Consent.REFUSED, "niet_gevraagd": Consent.NOT_ASKED}
_SEX = {"V": Sex.FEMALE, "M": Sex.MALE, "O": Sex.OTHER, "X": Sex.OTHER}
_REASONS = {
    "doel bereikt": EndReason.PLANNED,
    "overgedragen": EndReason.OTHER_PROVIDER,
    "op verzoek client": EndReason.CLIENT,
    "op verzoek cliënt": EndReason.CLIENT,
    "geen contact": EndReason.CLIENT,
    "verhuisd": EndReason.MOVED,
    "overleden": EndReason.DECEASED,
}
_PARTIAL = re.compile(r"^(\d{4})-(\d{2})-(\d{2})$")


def case_number(trajectory: Mapping[str, Any]) -> str:
    """The trajectory's own number. Raises DataError."""
    number = trajectory.get("traject_id")
    if not isinstance(number, (str, int)) or isinstance(number, bool) or not str(number).strip():
        raise DataError("missing", "traject_id")
    return str(number).strip()


def version(trajectory: Mapping[str, Any]) -> int:
    """When the source last changed it, in microseconds. Raises DataError."""
    try:
        changed = datetime.fromisoformat(str(trajectory.get("gewijzigd_op")))
    except ValueError:
        _bad("gewijzigd_op")
    if changed.tzinfo is None or changed <= EPOCH:
        _bad("gewijzigd_op")
    return micros(changed)


def report(organisation: SmwoOrganisation, legal_basis: str, purpose: str, trajectory: Mapping[str, Any]) -> CaseReport:
    """What a trajectory says. Raises DataError.

    A waiting list is an announcement. `einddatum` is the last day of it; without one, what is closed ended when that was
    written. What was deleted, or closed before it began, never happened. Where consent is required, who did not give it is not
    named.
    """
    status = _coded(_STATUS, trajectory, "status")
    service_group = _coded(_SERVICES, trajectory, "soort")
    consent = _CONSENT.get(_text(_mapping(trajectory, "toestemming").get("delen_regie")), Consent.UNKNOWN)
    number = trajectory.get("client_id")
    if number is None or not str(number).strip():
        raise DataError("missing", "client_id")
    starts_on, last_day = _day(trajectory, "startdatum"), _day(trajectory, "einddatum")
    if starts_on and last_day and last_day < starts_on:
        raise DataError("ends_before_start", "einddatum")
    if status is Status.ACTIVE and starts_on is None:
        raise DataError("missing", "startdatum")
    if trajectory.get("verwijderd_op") or (status is Status.ENDED and starts_on is None):
        status = Status.RETRACTED
    if status is Status.ENDED and last_day is None:
        last_day = max(starts_on or date.min, dutch_day(instant_of_ms(version(trajectory) // 1000)) - timedelta(days=1))
    stands = status is not Status.RETRACTED
    named = stands and (organisation.consent == "not_required" or consent is Consent.GIVEN)
    ended = status is Status.ENDED
    return CaseReport(
        area=organisation.area,
        organisation=organisation.id,
        case_number=case_number(trajectory),
        person_number=str(number).strip(),
        version=EPOCH,
        status=status,
        domain=Domain.WMO,
        service_group=service_group,
        starts_on=starts_on,
        ends_on=after_last_day(last_day) if last_day and stands else None,
        end_reason=_REASONS.get(_text(trajectory.get("afsluitreden")).lower(), EndReason.AGREED)
        if ended
        else EndReason.NONE if stands else EndReason.WRONGLY_MADE,
        contact=organisation.route(_text(trajectory.get("team"))),
        legal_basis=legal_basis,
        purpose=purpose,
        consent=consent,
        sensitivity=Sensitivity(organisation.sensitivity),
        identity=_identity(_mapping(trajectory, "client")) if named else None,
    )  # fmt: skip


def _identity(client: Mapping[str, Any]) -> PersonIdentity:
    name = split_surname(_text(client.get("tussenvoegsel")), _text(client.get("achternaam")))
    number, letter, addition = split_house_number(_text(client.get("huisnummer_volledig")))
    postcode = tidy_postcode(_text(client.get("postcode")))
    return PersonIdentity(
        call_name=_text(client.get("roepnaam")),
        initials=letters_only(_text(client.get("voorletters"))),
        surname_prefix=name.prefix,
        surname=name.surname,
        partner_prefix=name.partner_prefix,
        partner_surname=name.partner_surname,
        name_usage=name.usage,
        birth_date=_birth_date(client.get("geboortedatum")),
        sex=_SEX.get(_text(client.get("geslacht")).upper(), Sex.UNKNOWN),
        address=Address(
            house_number=number,
            house_letter=letter,
            house_addition=addition,
            postcode=postcode,
            kind=AddressKind.HOME if postcode or number else AddressKind.UNKNOWN,
        ),
        phone=tidy_phone(_text(client.get("telefoon"))),
        email=_text(client.get("email")).lower(),
    )


def _birth_date(value: Any) -> PartialDate:
    """1 January stays as it is: whether it is a filler is for the matching to weigh. What is no date says nothing."""
    match = _PARTIAL.match(_text(value))
    try:
        return PartialDate(int(match[1]), int(match[2]), int(match[3])) if match else UNKNOWN_DATE
    except ValueError:
        return UNKNOWN_DATE


def _day(trajectory: Mapping[str, Any], field: str) -> date | None:
    text = _text(trajectory.get(field))
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        _bad(field)


def _mapping(trajectory: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = trajectory.get(field)
    return value if isinstance(value, Mapping) else {}


def _coded(codes: Mapping[str, Any], trajectory: Mapping[str, Any], field: str) -> Any:
    found = codes.get(_text(trajectory.get(field)))
    if found is None:
        _bad(field, "unknown_code")
    return found


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _bad(field: str, code: str = "unreadable") -> NoReturn:
    raise DataError(code, field)
