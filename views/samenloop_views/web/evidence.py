"""Why records are held to be one person, in words: which field agrees and how well, never what stands in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from samenloop_schemas.records import CaseFact, ClientStatement, FieldEvidence, LinkEvidence

Gettext = Callable[[str], str]


class How(Enum):
    """Whether a field speaks for the link."""

    SAME = "same"
    ALIKE = "alike"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Reason:
    how: How
    text: str


@dataclass(frozen=True, slots=True)
class Ground:
    """Why an own record and another party's are one person. No reasons: they are tied only through other records."""

    reasons: tuple[Reason, ...]
    same_record: bool = False
    decided: bool = False


# msgids; looked up when shown. `source` says only that a source seldom holds a person twice: nothing to a reader.
_FIELDS: Mapping[str, str] = {
    "bsn": "Citizen service number",
    "other": "Another number",
    "birth": "Date of birth",
    "given": "First name",
    "surname": "Surname",
    "address": "Address",
    "phone": "Telephone",
    "email": "E-mail",
    "sex": "Sex",
}
_ALIKE = "is almost the same"
_LEVELS: Mapping[tuple[str, str], tuple[How, str]] = {
    ("birth", "filler"): (How.ALIKE, "is the same, but may be a stand-in date"),
    ("birth", "partial"): (How.ALIKE, "agrees as far as it is known"),
    ("birth", "year"): (How.ALIKE, "has the same year"),
    ("birth", "swap"): (How.ALIKE, "is the same with day and month swapped"),
    ("birth", "typo"): (How.ALIKE, _ALIKE),
    ("birth", "unsaid"): (How.DIFFERENT, "is not known"),
    ("given", "same_full"): (How.SAME, "is the same"),
    ("given", "nickname"): (How.ALIKE, "is a short form of the other"),
    ("given", "similar"): (How.ALIKE, _ALIKE),
    ("given", "alike"): (How.ALIKE, "looks like the other"),
    ("given", "crossed"): (How.ALIKE, "stands in the place of the surname"),
    ("given", "initials_same"): (How.ALIKE, "has the same initials"),
    ("given", "initials_fit"): (How.ALIKE, "has initials that fit"),
    ("surname", "similar"): (How.ALIKE, _ALIKE),
    ("surname", "alike"): (How.ALIKE, "looks like the other"),
    ("surname", "part"): (How.ALIKE, "agrees in part"),
    ("address", "building"): (How.ALIKE, "is in the same building"),
    ("address", "street"): (How.ALIKE, "has the same street and number"),
    ("address", "near"): (How.ALIKE, "is near the other"),
    ("address", "town"): (How.ALIKE, "is in the same town"),
    ("other", "close"): (How.ALIKE, _ALIKE),
}


def grounds(
    client: ClientStatement | None, own: Iterable[CaseFact], other: Iterable[CaseFact], _: Gettext
) -> Ground | None:
    """The strongest ground between the viewer's own records and those of one other party; None while it is not known yet."""
    mine = {fact.source_person_id for fact in own}
    theirs = {fact.source_person_id for fact in other}
    if mine & theirs:
        return Ground((), same_record=True)
    if client is None:
        return None
    links = [link for link in client.links if _ties(link, mine, theirs)]
    if not links:
        return Ground(())
    best = max(links, key=lambda link: (link.weight, link.a, link.b))
    reasons = [reason for field in best.fields if (reason := _reason(field, _))]
    return Ground(tuple(sorted(reasons, key=lambda r: list(How).index(r.how))), decided=best.decided)


def _ties(link: LinkEvidence, mine: set[str], theirs: set[str]) -> bool:
    return (link.a in mine and link.b in theirs) or (link.b in mine and link.a in theirs)


def _reason(field: FieldEvidence, _: Gettext) -> Reason | None:
    said = field.name.removesuffix("_at_home").removesuffix("_of_twin")
    name = _FIELDS.get(said)
    if name is None:
        return None
    plain = (How.SAME, "is the same") if field.weight > 0 else (How.DIFFERENT, "differs")
    how, words = _LEVELS.get((said, field.level.lower()), plain)
    return Reason(how, f"{_(name)} {_(words)}")
