"""What is kept of a FHIR resource: the elements that a statement needs and no others, with the resource's version.

General practitioners, diagnoses, narrative, marital status, languages, care managers and the type of the episode itself stay
behind here, before anything is written to disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from samenloop_connectors.ggd.config import GgdConfig, GgdOrganisation
from samenloop_connectors.sdk.errors import DataError
from samenloop_schemas.bsn import normalise_bsn
from samenloop_schemas.dates import micros
from samenloop_schemas.records import EPOCH

BSN_SYSTEMS = ("http://fhir.nl/fhir/NamingSystem/bsn", "urn:oid:2.16.840.1.113883.2.4.6.3")
AGB_SYSTEMS = ("http://fhir.nl/fhir/NamingSystem/agb-z", "urn:oid:2.16.840.1.113883.2.4.6.1")
URA_SYSTEMS = ("http://fhir.nl/fhir/NamingSystem/ura", "urn:oid:2.16.528.1.1007.3.3")
CONTAINED = "contained"
"""Stands for the person that an episode carries with it."""
ELSEWHERE = ""
"""Stands for every organisation for which this connector does not speak."""

_ID = re.compile(r"^[A-Za-z0-9\-.]{1,64}$")
_REFERENCE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?$")
_PARENTS = {
    **dict.fromkeys(("MTH", "FTH", "PRN", "NMTH", "NFTH", "NPRN", "NMTHF", "NFTHF", "ADOPTP", "ADOPTM", "ADOPTF"), "PARENT"),
    **dict.fromkeys(("PRNFOST", "MTHFOST", "FTHFOST"), "FOSTER_PARENT"),
    "GUARD": "GUARDIAN",
    "11": "GUARDIAN",
}  # fmt: skip
"""v3-RoleCode and Rolcodelijst (11: voogd) to kinds of relation; helpers, neighbours and so on are no family."""
_IN_USE = (None, "usual", "official")

Resource = Mapping[str, Any]
Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Episode:
    """An episode that is on the allow-list. `contained` is the person it carries, if any; `person` the name of his part."""

    number: str
    organisation: str
    person: str
    rank: tuple[int, str]
    payload: Payload
    contained: Payload | None


def resource_id(resource: Resource) -> str:
    found = resource.get("id")
    if not isinstance(found, str) or not _ID.match(found):
        _bad("id", "missing")
    return found


def rank_of(resource: Resource) -> tuple[int, str]:
    """When the server last changed it, in microseconds, and then the number of the version: a number that runs back says
    nothing against the time, and only tells two versions of one moment apart. Raises DataError."""
    meta = _mapping(resource.get("meta"))
    try:
        changed = datetime.fromisoformat(str(meta.get("lastUpdated")))
    except ValueError:
        _bad("meta.lastUpdated")
    if changed.tzinfo is None or changed <= EPOCH:
        _bad("meta.lastUpdated")
    number = meta.get("versionId")
    return micros(changed), number.zfill(20) if isinstance(number, str) and number.isdecimal() else str(number or "")


def service_group(config: GgdConfig, resource: Resource) -> str | None:
    """The service group of an episode on the allow-list; None for all others. Of several the first in the configuration."""
    found = {
        token
        for concept in _list(resource, "type")
        for coding in _list(concept, "coding")
        for token in (_text(coding.get("code")), f"{_text(coding.get('system'))}|{_text(coding.get('code'))}")
    }
    return next((group for token, group in config.episode_types.items() if token in found), None)


def episode(config: GgdConfig, resource: Resource, group: str) -> Episode:
    """What is kept of an episode on the allow-list. Raises DataError."""
    number, rank = resource_id(resource), rank_of(resource)
    organisation = _organisation(config, resource)
    person, contained = _person(resource, number, rank)
    period = _mapping(resource.get("period"))
    marks = {_text(mark.get("code")) for mark in _list(_mapping(resource.get("meta")), "security")}
    payload = {
        **_version(rank),
        "status": _text(resource.get("status")),
        "start": _text(period.get("start")),
        "end": _text(period.get("end")),
        "status_since": max(
            (_text(_mapping(past.get("period")).get("end")) for past in _list(resource, "statusHistory")), default=""
        ),
        "service_group": group,
        "team": _team(organisation, resource) if organisation else "",
        "person": person,
        "mark": "V" if "V" in marks else "R" if "R" in marks else "",
    }
    return Episode(number, organisation.id if organisation else ELSEWHERE, person, rank, payload, contained)


def person(resource: Resource, rank: tuple[int, str]) -> Payload:
    """What is kept of a Patient or RelatedPerson. A BSN that the server itself marks as temporary, old or no longer valid, or
    that is one of several, is left out, and `left_out` says so."""
    numbers = {(number, valid) for number, valid in bsns(resource)}
    valid = {number for number, is_valid in numbers if is_valid}
    kept = {name: resource[name] for name in ("name", "telecom", "gender", "birthDate", "address") if name in resource}
    contacts = [
        {"kind": kind, **{name: contact[name] for name in ("name", "telecom", "address", "gender") if name in contact}}
        for contact in _list(resource, "contact")
        if (kind := relation_kind(contact)) and _mapping(contact.get("name"))
    ]
    died = resource.get("deceasedDateTime") or bool(resource.get("deceasedBoolean") is True)
    return {
        **_version(rank),
        **kept,
        **({"contacts": contacts} if contacts else {}),
        **({"deceased": died} if died else {}),
        "bsn": next(iter(valid)) if len(valid) == 1 else "",
        "left_out": bool(numbers) and len(valid) != 1,
    }


def bsns(resource: Resource) -> Iterator[tuple[str, bool]]:
    """Each BSN of a person, and whether it is in use as his own."""
    for identifier in _list(resource, "identifier"):
        if identifier.get("system") not in BSN_SYSTEMS:
            continue
        number = normalise_bsn(_text(identifier.get("value")))
        if number:
            ended = bool(_mapping(identifier.get("period")).get("end"))
            yield number, identifier.get("use") in _IN_USE and not ended


def relation_kind(resource: Resource) -> str:
    """What a contact or RelatedPerson is to the child, when he is parent, foster parent or guardian."""
    codes = {str(coding.get("code")) for each in _list(resource, "relationship") for coding in _list(each, "coding")}
    return next((_PARENTS[code] for code in sorted(codes) if code in _PARENTS), "")


def reference(value: Any, kind: str) -> str:
    """``Patient/123`` from a relative or absolute reference to it; empty for any other."""
    match = _REFERENCE.search(_text(_mapping(value).get("reference")))
    return f"{kind}/{match[2]}" if match and match[1] == kind else ""


def deletions(resource: Resource) -> list[tuple[str, str]]:
    """(kind, id) of every entry of a transaction bundle of deletions. Raises DataError for anything else."""
    if resource.get("resourceType") != "Bundle" or resource.get("type") != "transaction":
        _bad("type", "unknown_code")
    found = []
    for entry in _list(resource, "entry"):
        request = _mapping(entry.get("request"))
        match = _REFERENCE.search(_text(request.get("url")))
        if request.get("method") != "DELETE" or not match:
            _bad("entry.request")
        found.append((match[1], match[2]))
    return found


def _person(resource: Resource, number: str, rank: tuple[int, str]) -> tuple[str, Payload | None]:
    """The name of the person's part, and the person himself when the episode carries him."""
    subject = _mapping(resource.get("patient"))
    if name := reference(subject, "Patient"):
        return name, None
    local = _text(subject.get("reference")).removeprefix("#")
    inside = [each for each in _list(resource, "contained") if each.get("resourceType") == "Patient"]
    found = next((each for each in inside if each.get("id") == local), None) if local else None
    if found is None and isinstance(subject.get("identifier"), Mapping):
        found = {"identifier": [subject["identifier"]]}
    if found is None:
        _bad("patient", "missing")
    identifiers = [(_text(each.get("system")), _text(each.get("value"))) for each in _list(found, "identifier")]
    own = [f"{system}|{value}" for system, value in identifiers if value and system not in BSN_SYSTEMS]
    known_by = own[0] if own else f"EpisodeOfCare/{number}"
    return CONTAINED, {**person(found, rank), "number": known_by}


def _organisation(config: GgdConfig, resource: Resource) -> GgdOrganisation | None:
    """By identifier, by the identifiers of a contained Organization, or by reference; None when it is another."""
    managing = _mapping(resource.get("managingOrganization"))
    local = _text(managing.get("reference"))
    identifiers = [_mapping(managing.get("identifier"))]
    for inside in _list(resource, "contained"):
        if inside.get("resourceType") == "Organization" and local == f"#{inside.get('id')}":
            identifiers += _list(inside, "identifier")
    codes = {(_text(each.get("system")), _text(each.get("value"))) for each in identifiers}
    for organisation in config.organisations:
        names = {(system, organisation.agb) for system in AGB_SYSTEMS if organisation.agb}
        names |= {(system, organisation.ura) for system in URA_SYSTEMS if organisation.ura}
        if codes & names or (organisation.reference and reference(managing, "Organization") == organisation.reference):
            return organisation
    return None


def _team(organisation: GgdOrganisation, resource: Resource) -> str:
    """The first name of a team that the configuration has a route for; a care manager counts only by his reference."""
    told = [name for team in _list(resource, "team") for name in (team.get("display"), team.get("reference"))]
    told.append(_mapping(resource.get("careManager")).get("reference"))
    return next((name for each in told if (name := _text(each)) in organisation.teams), "")


def _version(rank: tuple[int, str]) -> Payload:
    """`_v` comes first among the keys, so that of two contents of one moment the higher version number counts."""
    return {"at": rank[0], "_v": rank[1]}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(resource: Resource, name: str) -> list[Mapping[str, Any]]:
    value = resource.get(name)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _bad(field: str, code: str = "unreadable") -> NoReturn:
    raise DataError(code, field)
