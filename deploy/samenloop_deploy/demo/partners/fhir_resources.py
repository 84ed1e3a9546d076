"""What the youth health care system of the demo holds, as FHIR R4 resources by the Dutch nl-core profiles. Pure.

Beside the episodes of extra care stand the universal contact moments of every child, which a connector must leave behind. An
organisation of the older kind (``CARRYING``) writes the child into the episode itself.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final

from ..cases import Case, State
from ..people import Person
from ..written.fhir import FhirPerson
from .seam import instant_text

Resource = dict[str, Any]

BSN: Final = "http://fhir.nl/fhir/NamingSystem/bsn"
AGB: Final = "http://fhir.nl/fhir/NamingSystem/agb-z"
EPISODE_KINDS: Final = "https://jgz.example/fhir/CodeSystem/episode-type"
EXTRA: Final = ("extra-care", "care-coordination", "stevig-ouderschap", "psychosocial")
UNIVERSAL: Final = "universal"
_EXTENSION: Final = "http://hl7.org/fhir/StructureDefinition/"
_ROLES: Final = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
_STATUS: Final = {
    State.ANNOUNCED: "planned",
    State.WAITING: "waitlist",
    State.ACTIVE: "active",
    State.PAUSED: "onhold",
    State.ENDED: "finished",
    State.WITHDRAWN: "entered-in-error",
}
_LONG_AGO: Final = timedelta(days=90)
"""Of what was so long ago, a file now and then only knows the month."""


def episode(case: Case, agb: str, patient: Resource, version: int, today: date, carried: bool) -> Resource:
    """An episode of extra care. One in six that began long ago has only the month of its start."""
    number = int(case.number.lstrip("E"))
    vague = case.starts_on is not None and number % 6 == 0 and today - case.starts_on > _LONG_AGO
    period = {
        "start": case.starts_on.isoformat()[: 7 if vague else 10] if case.starts_on else None,
        "end": case.ends_on.isoformat() if case.ends_on else None,
    }
    own = {"reference": "#child"} if carried else {"reference": f"Patient/{patient['id']}", "type": "Patient"}
    return {
        "resourceType": "EpisodeOfCare",
        "id": f"{case.organisation}-{case.number}",
        "meta": _meta(case.changed_at, version),
        **({"contained": [patient | {"id": "child"}]} if carried else {}),
        "status": _STATUS[case.state],
        "type": _kind(EXTRA[number % len(EXTRA)]),
        "diagnosis": [{"condition": {"display": "Zorgen over de opvoeding"}}],
        "patient": own,
        "managingOrganization": _organisation(agb),
        "period": {name: value for name, value in period.items() if value},
        "team": [{"display": case.team}],
        "careManager": {"display": "J. de Verpleegkundige"},
    }


def universal(number: str, patient: str, agb: str, since: date, changed_at: datetime) -> Resource:
    """The contact moments that every child has."""
    return {
        "resourceType": "EpisodeOfCare",
        "id": f"u-{number}",
        "meta": _meta(changed_at, 1),
        "status": "active",
        "type": _kind(UNIVERSAL),
        "patient": {"reference": f"Patient/{patient}", "type": "Patient"},
        "managingOrganization": _organisation(agb),
        "period": {"start": since.isoformat()},
    }


def patient(number: str, dossier: str, record: FhirPerson, changed_at: datetime, version: int) -> Resource:
    """A child's file by nl-core-Patient."""
    identifiers = [{"system": "https://jgz.example/dossier", "value": dossier}]
    if record.bsn:
        identifiers.append({"system": BSN, "value": record.bsn})
    found: Resource = {
        "resourceType": "Patient",
        "id": number,
        "meta": _meta(changed_at, version) | {"profile": ["http://nictiz.nl/fhir/StructureDefinition/nl-core-Patient"]},
        "identifier": identifiers,
        "name": _names(record),
        "gender": record.gender,
        "birthDate": record.birth_date,
        "address": [_address(record)],
        "generalPractitioner": [{"display": "Huisartsenpraktijk De Brink"}],
    }
    if record.phone:
        found["telecom"] = [{"system": "phone", "value": record.phone, "use": "mobile"}]
    if record.multiple_birth is not None:
        found["multipleBirthInteger"] = record.multiple_birth
    return found


def mother(number: str, child: str, person: Person, changed_at: datetime) -> Resource:
    """The mother of a child that is still on file under her number: it came with the notice of birth."""
    return {
        "resourceType": "RelatedPerson",
        "id": number,
        "meta": _meta(changed_at, 1),
        "patient": {"reference": f"Patient/{child}"},
        "relationship": [{"coding": [{"system": _ROLES, "code": "MTH"}]}],
        "identifier": [{"system": BSN, "value": person.bsn}],
        "name": [{
            "use": "official", "family": " ".join(filter(None, (person.surname.prefix, person.surname.name))),
            "_family": {"extension": [
                _said("humanname-own-prefix", person.surname.prefix), _said("humanname-own-name", person.surname.name),
            ]},
            "given": person.given_names.split(),
        }],
        "gender": "female",
        "birthDate": person.birth_date.isoformat(),
    }  # fmt: skip


def deletion(number: str, at: datetime) -> Resource:
    """One line of a file of deletions."""
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "meta": {"lastUpdated": instant_text(at)},
        "entry": [{"request": {"method": "DELETE", "url": f"EpisodeOfCare/{number}"}}],
    }


def _names(record: FhirPerson) -> list[Resource]:
    own = " ".join(filter(None, (record.own_prefix, record.own_name)))
    partner = " ".join(filter(None, (record.partner_prefix, record.partner_name)))
    order = {"NL1": (own,), "NL2": (partner,), "NL3": (partner, own), "NL4": (own, partner)}[record.name_usage]
    parts = {
        "humanname-own-prefix": record.own_prefix,
        "humanname-own-name": record.own_name,
        "humanname-partner-prefix": record.partner_prefix,
        "humanname-partner-name": record.partner_name,
    }
    given = [(name, "BR") for name in record.given]
    given += [(f"{letter}.", "IN") for letter in record.initials.replace(".", " ").split()]
    names: list[Resource] = [{
        "use": "official", "extension": [{"url": _EXTENSION + "humanname-assembly-order", "valueCode": record.name_usage}],
        "family": "-".join(filter(None, order)) or own,
        "_family": {"extension": [_said(name, value) for name, value in parts.items() if value]},
        "given": [text for text, _ in given],
        "_given": [{"extension": [{"url": _EXTENSION + "iso21090-EN-qualifier", "valueCode": mark}]} for _, mark in given],
    }]  # fmt: skip
    return [*names, {"use": "usual", "given": [record.call_name]}] if record.call_name else names


def _address(record: FhirPerson) -> Resource:
    suffix = f"{record.letter} {record.addition}" if record.addition else record.letter
    parts = {"streetName": record.street, "houseNumber": record.house_number, "buildingNumberSuffix": suffix}
    return {
        "use": "home",
        "type": "both",
        "line": [f"{record.street} {record.house_number}{suffix}"],
        "_line": [{"extension": [_said(f"iso21090-ADXP-{name}", value) for name, value in parts.items() if value]}],
        "city": record.city,
        "postalCode": record.postcode,
        "country": "Nederland",
    }


def _organisation(agb: str) -> Resource:
    return {"type": "Organization", "identifier": {"system": AGB, "value": agb}}


def _kind(code: str) -> list[Resource]:
    return [{"coding": [{"system": EPISODE_KINDS, "code": code}]}]


def _meta(changed_at: datetime, version: int) -> Resource:
    return {"versionId": str(version), "lastUpdated": instant_text(changed_at)}


def _said(name: str, value: str) -> Resource:
    return {"url": _EXTENSION + name, "valueString": value}
