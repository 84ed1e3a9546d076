"""What a row of a GWS extract means: pure, from named columns to a case report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NoReturn

from samenloop_connectors.backoffice.config import BackofficeConfig, Municipality, Scheme
from samenloop_connectors.sdk.errors import DataError
from samenloop_connectors.sdk.names import tidy_postcode
from samenloop_producers.statement import CaseReport
from samenloop_schemas.bsn import normalise_bsn
from samenloop_schemas.codes import AddressKind, Consent, Domain, EndReason, NameUsage, Sensitivity, Sex, Status
from samenloop_schemas.dates import UNKNOWN_DATE, PartialDate, after_last_day, micros
from samenloop_schemas.records import EPOCH, Address, PersonIdentity

_STATUS = {
    "aangevraagd": Status.ANNOUNCED,
    "toegekend": Status.ANNOUNCED,
    "lopend": Status.ACTIVE,
    "actief": Status.ACTIVE,
    "opgeschort": Status.PAUSED,
    "geblokkeerd": Status.PAUSED,
    "beeindigd": Status.ENDED,
    "beëindigd": Status.ENDED,
    "overleden": Status.ENDED,
    "ingetrokken": Status.RETRACTED,
    "afgewezen": Status.RETRACTED,
    "vervallen": Status.RETRACTED,
}
_MODULES = {
    "PW": Scheme(service_group="income_support", domain="PW"),
    "WMO": Scheme(service_group="household_support", domain="WMO"),
    "JW": Scheme(service_group="youth_help", domain="JW"),
}
_SCHEMES = {
    "schuldhulpverlening": Scheme(service_group="debt_support", domain="WGS"),
    "wgs": Scheme(service_group="debt_support", domain="WGS"),
    "cliëntondersteuning": Scheme(service_group="client_support", domain="WMO"),
}
_LEGAL_BASES = {"PW": "pw_64", "WMO": "wmo_5_2", "JW": "jw_7_1"}
_USAGE = (
    NameUsage.UNKNOWN, NameUsage.OWN, NameUsage.PARTNER, NameUsage.PARTNER_OWN, NameUsage.OWN_PARTNER, NameUsage.PSEUDONYM,
)  # fmt: skip
_SEX = {"M": Sex.MALE, "V": Sex.FEMALE, "1": Sex.MALE, "2": Sex.FEMALE, "X": Sex.OTHER, "O": Sex.OTHER}
_EIGHT = re.compile(r"^\d{8}$")


def case_number(module: str, dossier: str) -> str:
    """The municipality's own number of a case; the same dossier number may occur in another module."""
    return f"{module}/{dossier}"


def version(row: Mapping[str, str], extracted_on: date) -> int:
    """The mutation date in microseconds. Raises DataError; a mutation after the extract would outrank all that follows."""
    changed = day(row, "mutatiedatum")
    if changed is None:
        raise DataError("missing", "mutatiedatum")
    if changed > extracted_on:
        raise DataError("in_the_future", "mutatiedatum")
    return micros(datetime(changed.year, changed.month, changed.day, tzinfo=UTC))


def report(config: BackofficeConfig, municipality: Municipality, module: str, row: Mapping[str, str]) -> CaseReport:
    """What a row says. Raises DataError.

    `datum_einde` is the last day of it; without one, what has ended ended on its mutation date. What ended before it began,
    never was.
    """
    word = row["status"].lower()
    status = _STATUS.get(word)
    if status is None:
        raise DataError("unknown_code", "status")
    if not row["clientnummer"]:
        raise DataError("missing", "clientnummer")
    scheme = _scheme(config, module, row["regeling"])
    starts_on, last_day = day(row, "datum_aanvang"), day(row, "datum_einde")
    died = partial(row.get("datum_overlijden", ""), "datum_overlijden")
    deceased = died.known or word == "overleden"
    if status is Status.ENDED and starts_on is None:
        status = Status.RETRACTED
    if status is Status.ENDED and last_day is None:
        last_day = max(starts_on or date.min, (day(row, "mutatiedatum") or date.max) - timedelta(days=1))
    stands = status is not Status.RETRACTED
    if starts_on and last_day and last_day < starts_on and stands:
        raise DataError("ends_before_start", "datum_einde")
    if status in (Status.ACTIVE, Status.PAUSED) and starts_on is None:
        raise DataError("missing", "datum_aanvang")
    reason = EndReason.NONE if stands else EndReason.WRONGLY_MADE
    if status is Status.ENDED:
        reason = EndReason.DECEASED if deceased else EndReason.PLANNED
    return CaseReport(
        area=municipality.area,
        organisation=municipality.id,
        case_number=case_number(module, row["dossiernummer"]),
        person_number=row["clientnummer"],
        version=EPOCH,
        status=status,
        domain=Domain(scheme.domain or module),
        service_group=scheme.service_group,
        starts_on=starts_on,
        ends_on=after_last_day(last_day) if last_day and stands else None,
        end_reason=reason,
        contact=municipality.route(row["consulent_team"]),
        legal_basis=config.legal_bases.get(module, _LEGAL_BASES[module]),  # type: ignore[call-overload]
        purpose=config.purpose,
        consent=Consent.UNKNOWN,
        sensitivity=Sensitivity(municipality.sensitivity),
        identity=_identity(municipality, row, died if deceased else None) if stands else None,
    )


def day(row: Mapping[str, str], field: str) -> date | None:
    """A whole date; empty and all zeros mean none. Raises DataError."""
    found = partial(row.get(field, ""), field)
    if not found.known:
        return None
    if not found.complete:
        raise DataError("unreadable", field)
    return date(found.year, found.month, found.day)


def partial(text: str, field: str) -> PartialDate:
    """``yyyymmdd`` or ``ddmmyyyy`` with zeros for unknown parts. Raises DataError.

    Years from 1900 to 2099 tell the two apart without doubt: in one way of reading, 19 or 20 would have to be a month.
    """
    digits = re.sub(r"[\s.\-/]", "", text)
    if not digits or set(digits) == {"0"}:
        return UNKNOWN_DATE
    if not _EIGHT.match(digits):
        _bad(field)
    year_first = digits[:2] in ("19", "20") and int(digits[4:6]) <= 12
    year, month, of_month = (
        (digits[:4], digits[4:6], digits[6:]) if year_first else (digits[4:], digits[2:4], digits[:2])
    )
    if year[:2] not in ("19", "20"):
        _bad(field)
    try:
        return PartialDate(int(year), int(month), int(of_month))
    except ValueError:
        _bad(field)


def _scheme(config: BackofficeConfig, module: str, scheme: str) -> Scheme:
    own = {name.lower(): each for name, each in config.schemes.items()}
    name = scheme.lower()
    return own.get(name) or _SCHEMES.get(name) or own.get(module.lower()) or _MODULES[module]


def _identity(municipality: Municipality, row: Mapping[str, str], died: PartialDate | None) -> PersonIdentity:
    usage = row["aanduiding_naamgebruik"]
    if usage and (not usage.isdigit() or int(usage) >= len(_USAGE)):
        raise DataError("unknown_code", "aanduiding_naamgebruik")
    number = row["huisnummer"].lstrip("0")
    postcode = tidy_postcode(row["postcode"])
    return PersonIdentity(
        given_names=row["voornamen"],
        initials=row["voorletters"],
        surname_prefix=row["voorvoegsel"],
        surname="" if row["achternaam"] == "." else row["achternaam"],
        partner_prefix=row["voorvoegsel_echtgenoot"],
        partner_surname=row["achternaam_echtgenoot"],
        name_usage=_USAGE[int(usage or 0)],
        birth_date=partial(row["geboortedatum"], "geboortedatum"),
        sex=_SEX.get(row["geslacht"].upper(), Sex.UNKNOWN),
        address=Address(
            street=row["straatnaam"],
            house_number=number,
            house_letter=row["huisletter"].upper(),
            house_addition=row["huisnr_toevoeging"].upper(),
            postcode=postcode,
            city=row["woonplaats"],
            kind=AddressKind.HOME if postcode or number else AddressKind.UNKNOWN,
        ),
        bsn=normalise_bsn(row["bsn"]) or "",
        municipality=municipality.code,
        deceased_on=died,
    )


def _bad(field: str) -> NoReturn:
    raise DataError("unreadable", field)
