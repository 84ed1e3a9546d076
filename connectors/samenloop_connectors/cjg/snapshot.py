"""What one look at a zaak shows: a payload per person whom it concerns, with nothing in it that is not needed. Pure.

The API knows no "child of this zaak". The people concerned are the natural persons whose role is named in the configuration
(jeugdige, kind, cliënt), or is of the generic kind *belanghebbende*; a zaak that names none concerns whoever asked for it
(*initiator*). Parents and guardians, by the name of their role, are related to each of them. An employee is never looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from samenloop_connectors.cjg.config import CaseType, CjgConfig
from samenloop_connectors.sdk.connector import Payload
from samenloop_connectors.sdk.errors import DataError
from samenloop_schemas.bsn import valid_bsn
from samenloop_schemas.codes import RelationKind
from samenloop_schemas.ids import canonical_json

PERSON = (
    "inpBsn", "anpIdentificatie", "geslachtsnaam", "voorvoegselGeslachtsnaam", "voorletters", "voornamen", "geslachtsaanduiding",
    "geboortedatum",
)  # fmt: skip
ADDRESS = (
    "wplWoonplaatsNaam", "gorOpenbareRuimteNaam", "aoaPostcode", "aoaHuisnummer", "aoaHuisletter", "aoaHuisnummertoevoeging",
)  # fmt: skip
_CLIENTS = frozenset({"jeugdige", "kind", "cliënt", "client"})
_RELATIONS = {
    "ouder": RelationKind.PARENT,
    "vader": RelationKind.PARENT,
    "moeder": RelationKind.PARENT,
    "gezaghebbende ouder": RelationKind.PARENT,
    "ouder/verzorger": RelationKind.PARENT,
    "voogd": RelationKind.GUARDIAN,
    "pleegouder": RelationKind.FOSTER_PARENT,
}
_DIRECTORS = frozenset({"regisseur", "casusregisseur", "casemanager"})
_NOBODY = frozenset({"", "onbekend", "anoniem", "nn", "n.n.", "nomen nescio", "."})
_OF_ZAAK = ("startdatum", "einddatum", "einddatumGepland", "vertrouwelijkheidaanduiding")

Digest = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`cases`: payload by case number. `unnamed`: case numbers of persons whom another register describes."""

    cases: Mapping[str, Payload] = field(default_factory=dict)
    unnamed: tuple[str, ...] = ()


def row_mark(row: Mapping[str, Any]) -> str:
    """Changes whenever a zaak in a list says that something about it may have changed."""
    roles = row.get("rollen")
    seen = {
        name: row.get(name) for name in ("zaaktype", "status", "resultaat", "laatstGemuteerd", "opschorting", *_OF_ZAAK)
    }
    seen["rollen"] = sorted(map(str, roles)) if isinstance(roles, list) else None
    return hashlib.blake2b(canonical_json(seen), digest_size=12).hexdigest()


def shared_as(config: CjgConfig, case_type: Mapping[str, Any]) -> tuple[str, CaseType | None]:
    """The name under which a zaaktype stands in the configuration (or its own), and what it is there; None is not shared."""
    names = [text(case_type.get(name)) for name in ("identificatie", "omschrijving")]
    for name in names:
        found = config.case_types.get(name)
        if found is not None:
            return name, found if isinstance(found, CaseType) else None
    return names[0] or names[1], None


def snapshot(
    config: CjgConfig,
    name: str,
    shared: CaseType,
    zaak: Mapping[str, Any],
    status: Mapping[str, Any] | None,
    result: Mapping[str, Any] | None,
    roles: Sequence[Mapping[str, Any]],
    digest: Digest,
) -> Snapshot:
    """`status` is the statustype, `result` the resultaattype. Raises DataError for a zaak without its own number."""
    number = case_prefix(zaak)
    people = [role for role in roles if _is_person(role)]
    clients, related = _concerned(config, people)
    of_zaak = {
        "zaaktype": name,
        "as": {"service_group": shared.service_group, "domain": shared.domain},
        **{each: text(zaak.get(each)) for each in _OF_ZAAK},
        "opgeschort": _mapping(zaak, "opschorting").get("indicatie") is True,
        "status": text(status.get("omschrijving")) if status else None,
        "resultaat": [text(result.get("omschrijving")), text(result.get("omschrijvingGeneriek"))] if result else [],
        "team": _team(roles),
        "regie": any(_word(role) in _DIRECTORS | _lower(config.directors) for role in roles),
    }
    cases: dict[str, Payload] = {}
    unnamed = []
    for role in clients:
        key = _key(role, digest)
        if key is None:
            continue
        case_number = f"{number}/{_own_number(role) or key[:12]}"
        if not _is_named(role):
            unnamed.append(case_number)
            continue
        parents = {
            other: {"kind": str(kind), "persoon": _person(parent, shared.bsn)}
            for parent, kind in related
            if (other := _key(parent, digest)) not in (None, key) and _is_named(parent)
        }
        relations = [{"key": other, **parents[other]} for other in sorted(parents, key=str)]
        person = {"key": key, "persoon": _person(role, shared.bsn), "tot": text(role.get("eindeGeldigheid"))}
        previous = cases.get(case_number)
        made = {**of_zaak, **person, "relaties": relations}
        if previous is None or canonical_json(dict(previous)) < canonical_json(made):
            cases[case_number] = made  # two roles of one person: the fuller one, whatever order they come in
    return Snapshot(cases, tuple(number for number in sorted(unnamed) if number not in cases))


def case_prefix(zaak: Mapping[str, Any]) -> str:
    """What the case numbers of a zaak begin with: its own number, and enough of its uuid to tell two sources of it apart."""
    own, uuid = text(zaak.get("identificatie")), text(zaak.get("uuid"))
    if not own or not uuid:
        raise DataError("missing", "identificatie" if uuid else "uuid")
    return f"{own}/{uuid[:8]}"


def withdrawn(payload: Payload, why: str) -> Payload:
    """A case that was wrongly made: what is left of its last payload names nobody."""
    return {"withdrawn": why, **{name: payload[name] for name in ("zaaktype", "as", "startdatum", "key")}}


def _concerned(
    config: CjgConfig, people: Sequence[Mapping[str, Any]]
) -> tuple[list[Mapping[str, Any]], list[tuple[Mapping[str, Any], RelationKind]]]:
    kinds = {**_RELATIONS, **{name.lower(): kind for name, kind in config.relations.items()}}
    named = _CLIENTS | _lower(config.clients)
    related = [(role, kinds[_word(role)]) for role in people if _word(role) in kinds and _word(role) not in named]
    others = [role for role in people if _word(role) in named or _word(role) not in kinds]
    for wanted in (
        lambda role: _word(role) in named,
        lambda role: role.get("omschrijvingGeneriek") == "belanghebbende",
        lambda role: role.get("omschrijvingGeneriek") == "initiator",
    ):
        clients = [role for role in others if wanted(role)]
        if clients:
            return clients, related
    return [], related


def _is_person(role: Mapping[str, Any]) -> bool:
    """Somebody who acts for another (gemachtigde) is not whom the zaak is about."""
    return role.get("betrokkeneType") == "natuurlijk_persoon" and role.get("indicatieMachtiging") != "gemachtigde"


def _key(role: Mapping[str, Any], digest: Digest) -> str | None:
    """Who somebody is to this source, hashed: by the source's own number, else the BSN, an address, or name and birth date
    together. None for an anonymous consult."""
    person = _mapping(role, "betrokkeneIdentificatie")
    for kind, number in (
        ("anp", _own_number(role)),
        ("bsn", valid_bsn(text(person.get("inpBsn"))) or ""),
        ("betrokkene", text(role.get("betrokkene"))),
    ):
        if number:
            return digest(f"{kind}:{number}")
    if not _is_named(role):
        return None
    names = [text(person.get(each)).lower() for each in ("geslachtsnaam", "voornamen", "voorletters", "geboortedatum")]
    return digest("name:" + "|".join(names))


def _own_number(role: Mapping[str, Any]) -> str:
    return text(_mapping(role, "betrokkeneIdentificatie").get("anpIdentificatie"))


def _is_named(role: Mapping[str, Any]) -> bool:
    person = _mapping(role, "betrokkeneIdentificatie")
    surname = text(person.get("geslachtsnaam")).lower()
    return bool(valid_bsn(text(person.get("inpBsn")))) or surname not in _NOBODY


def _person(role: Mapping[str, Any], bsn: bool) -> dict[str, Any]:
    person = _mapping(role, "betrokkeneIdentificatie")
    address = _mapping(person, "verblijfsadres")
    found = {name: text(person.get(name)) for name in PERSON if name != "inpBsn" or bsn}
    return found | {"verblijfsadres": {name: text(address.get(name)) for name in ADDRESS}}


def _team(roles: Sequence[Mapping[str, Any]]) -> str:
    """The organisational unit that handles the zaak; the least of several, so that their order does not matter."""
    names = [
        text(_mapping(role, "betrokkeneIdentificatie").get("naam"))
        for role in roles
        if role.get("betrokkeneType") == "organisatorische_eenheid"
        and role.get("omschrijvingGeneriek") == "behandelaar"
    ]
    return min(filter(None, names), default="")


def text(value: Any) -> str:
    """Numbers as they are written; anything else that is no text says nothing."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return " ".join(value.split()) if isinstance(value, str) else ""


def _mapping(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = row.get(name)
    return value if isinstance(value, Mapping) else {}


def _word(role: Mapping[str, Any]) -> str:
    return text(role.get("omschrijving")).lower()


def _lower(words: Sequence[str]) -> frozenset[str]:
    return frozenset(word.lower() for word in words)
