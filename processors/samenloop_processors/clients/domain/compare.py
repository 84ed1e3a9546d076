"""How two records agree: a level per field, its worth in bits, and what forbids a link whatever the rest says.

Symmetric, and a function of the two records and the model alone: no counts, no order of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from samenloop_processors.clients.domain import fields
from samenloop_processors.clients.domain.model import (
    CENTIBITS,
    FIELDS,
    Address,
    Birth,
    Bsn,
    Given,
    Model,
    Other,
    Surname,
)
from samenloop_processors.clients.domain.normalise import Features

FORBIDDEN = -1_000_000
"""The score of a pair under a veto: below every sum of weights."""


class Veto(StrEnum):
    """Why two records must never be one client. `hard` ones stand even when a person confirms the link."""

    BSN = "two_different_bsn"
    BIRTH = "incompatible_birth_dates"
    TWINS = "same_birth_and_address_other_name"

    @property
    def hard(self) -> bool:
        return self is Veto.BSN


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    level: str
    weight: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The evidence on a pair: prior-free sum in centibits, levels of the fields that say something, and the veto if any."""

    weight: int
    fields: tuple[Field, ...]
    veto: Veto | None

    @property
    def bits(self) -> float:
        return self.weight / CENTIBITS


def levels(a: Features, b: Features) -> tuple[int, ...]:
    """The level of each field, in the order of `model.FIELDS`."""
    bsn = fields.bsn_level(a, b)
    other = fields.other_level(a, b)
    known = bsn == Bsn.SAME or other == Other.SAME
    address = fields.address_level(a, b)
    crossed = fields.crossed(a, b)
    surname = Surname.UNKNOWN if crossed else fields.surname_level(a, b)
    given = Given.CROSSED if crossed else fields.given_level(a, b, known)
    phone, email = fields.same(a.phone, b.phone), fields.same(a.email, b.email)
    home = address in _HOME
    birth = fields.birth_level(a, b, known)
    twin = home and Birth.SAME <= birth <= Birth.TYPO and birth not in (Birth.YEAR, Birth.PARTIAL)
    return (
        bsn,
        other,
        birth,
        0 if twin else given,
        given if twin else 0,
        0 if home else surname,
        surname if home else 0,
        address,
        0 if home else phone,
        phone if home else 0,
        0 if home else email,
        email if home else 0,
        fields.same(a.sex, b.sex),
        fields.same(a.source, b.source),
    )


_HOME = (Address.SAME, Address.BUILDING, Address.STREET)


def veto_of(at: tuple[int, ...]) -> Veto | None:
    """What the levels of a pair forbid.

    Twins: the same birth date and door with first names that clash; a call name that merely fits no formal name is taken
    for a twin's too, unless a number is the same.
    """
    bsn, other, birth, _, twin = at[:5]
    if bsn == Bsn.DIFFERENT:
        return Veto.BSN
    if birth == Birth.CLASH:
        return Veto.BIRTH
    if twin == Given.CLASH or (
        twin in (Given.DIFFERENT, Given.INITIALS_DIFFER) and bsn != Bsn.SAME and other != Other.SAME
    ):
        return Veto.TWINS
    return None


class Comparer:
    """Scores pairs under one model."""

    def __init__(self, model: Model) -> None:
        self._weights = model.weights
        self._surnames = model.surnames
        self._given = model.given
        self._vetoes = model.vetoes

    def score(self, a: Features, b: Features) -> int:
        """Prior-free weight in centibits, or FORBIDDEN."""
        if a.bsn and b.bsn and a.bsn != b.bsn and fields.bsn_level(a, b) == Bsn.DIFFERENT:
            return FORBIDDEN
        at = levels(a, b)
        if self._veto(at) is not None:
            return FORBIDDEN
        weight = sum([table[level] for table, level in zip(self._weights, at, strict=True)])
        return weight + self._surname_worth(a, b, at) + self._given_worth(a, b, at)

    def explain(self, a: Features, b: Features) -> Comparison:
        """The same in words: field, level, weight."""
        at = levels(a, b)
        more = {"given": self._given_worth(a, b, at), "surname": self._surname_worth(a, b, at)}
        evidence = tuple(
            Field(name, kind(level).name.lower(), table[level] + more.get(name.partition("_")[0], 0))
            for (name, kind), table, level in zip(FIELDS, self._weights, at, strict=True)
            if level
        )
        return Comparison(sum(field.weight for field in evidence), evidence, self._veto(at))

    def _veto(self, at: tuple[int, ...]) -> Veto | None:
        veto = veto_of(at)
        return veto if veto is not None and (veto.hard or veto in self._vetoes) else None

    def _surname_worth(self, a: Features, b: Features, at: tuple[int, ...]) -> int:
        """What agreeing on this surname is worth beyond any surname. Nothing at one address, where a name is shared anyway."""
        if not self._surnames or at[_SURNAME] != Surname.SAME or a.own != b.own:
            return 0
        return self._surnames.get(a.own, self._surnames[""])

    def _given_worth(self, a: Features, b: Features, at: tuple[int, ...]) -> int:
        if not self._given or (at[_GIVEN] or at[_GIVEN_OF_TWIN]) not in (Given.SAME, Given.SAME_FULL):
            return 0
        both = {*a.given[:1], a.call} & {*b.given[:1], b.call} - {""}
        return min((self._given.get(name, self._given[""]) for name in both), default=0)


_NAMES = [name for name, _ in FIELDS]
_GIVEN, _GIVEN_OF_TWIN, _SURNAME = (_NAMES.index(name) for name in ("given", "given_of_twin", "surname"))
