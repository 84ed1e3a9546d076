"""How two records agree: a level per field, its worth in bits, and what forbids a link whatever the rest says.

Symmetric, and a function of the two records and the model alone: no counts, no order of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from samenloop_processors.clients.domain.given_names import KNOWN, forms, match
from samenloop_processors.clients.domain.model import (
    CENTIBITS,
    FIELDS,
    Address,
    Birth,
    Bsn,
    Given,
    Model,
    Same,
    Surname,
)
from samenloop_processors.clients.domain.normalise import Features
from samenloop_processors.clients.domain.text import similar, sound

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


def levels(a: Features, b: Features, common: frozenset[str] = frozenset()) -> tuple[int, ...]:
    """The level of each field, in the order of `model.FIELDS`."""
    bsn = bsn_level(a, b)
    return (
        bsn,
        birth_level(a, b, bsn),
        given_level(a, b, bsn),
        surname_level(a, b, common),
        address_level(a, b),
        _same(a.phone, b.phone),
        _same(a.email, b.email),
        _same(a.sex, b.sex),
        _same(a.source, b.source),
    )


def veto_of(at: tuple[int, ...]) -> Veto | None:
    """What the levels of a pair forbid.

    Twins: the same birth date and door with first names that clash; a call name that merely fits no formal name is taken
    for a twin's too, unless the BSN is the same.
    """
    bsn, birth, given, _, address = at[:5]
    if bsn == Bsn.DIFFERENT:
        return Veto.BSN
    if birth == Birth.CLASH:
        return Veto.BIRTH
    if (
        Birth.SAME <= birth <= Birth.TYPO
        and address in (Address.SAME, Address.BUILDING)
        and (given == Given.CLASH or (given in (Given.DIFFERENT, Given.INITIALS_DIFFER) and bsn != Bsn.SAME))
    ):
        return Veto.TWINS
    return None


class Comparer:
    """Scores pairs under one model."""

    def __init__(self, model: Model) -> None:
        self._weights = model.weights
        self._common = model.common_surnames

    def score(self, a: Features, b: Features) -> int:
        """Prior-free weight in centibits, or FORBIDDEN."""
        bsn = bsn_level(a, b)
        if bsn == Bsn.DIFFERENT or birth_level(a, b, bsn) == Birth.CLASH:
            return FORBIDDEN
        at = levels(a, b, self._common)
        if veto_of(at) is not None:
            return FORBIDDEN
        return sum(table[level] for table, level in zip(self._weights, at, strict=True))

    def explain(self, a: Features, b: Features) -> Comparison:
        """The same in words: field, level, weight."""
        at = levels(a, b, self._common)
        fields = tuple(
            Field(name, kind(level).name.lower(), table[level])
            for (name, kind), table, level in zip(FIELDS, self._weights, at, strict=True)
            if level
        )
        return Comparison(sum(f.weight for f in fields), fields, veto_of(at))


def bsn_level(a: Features, b: Features) -> Bsn:
    """Tokens of different key versions say nothing about each other."""
    if not a.bsn or not b.bsn:
        return Bsn.UNKNOWN
    if a.bsn == b.bsn:
        return Bsn.SAME
    return Bsn.DIFFERENT if a.bsn.rpartition(":")[0] == b.bsn.rpartition(":")[0] else Bsn.UNKNOWN


def birth_level(a: Features, b: Features, bsn: int = Bsn.UNKNOWN) -> Birth:
    """Only known parts count. A slip is one wrong digit (never in the decade: that is a parent) or day and month swapped."""
    if not a.year or not b.year:
        return Birth.UNKNOWN if bsn == Bsn.SAME else Birth.UNSAID
    if a.year == b.year and a.month == b.month and a.day == b.day:
        if a.day:
            return Birth.FILLER if a.filler else Birth.SAME
        return Birth.PARTIAL if a.month else Birth.YEAR
    if a.year == b.year:
        if a.filler or b.filler or not a.month or not b.month:
            return Birth.YEAR
        if not a.day or not b.day:
            return Birth.PARTIAL if a.month == b.month else Birth.DIFFERENT
        if a.month == b.day and a.day == b.month:
            return Birth.SWAP
        if (a.month == b.month and _one_digit(a.day, b.day)) or (a.day == b.day and _one_digit(a.month, b.month)):
            return Birth.TYPO
        return Birth.CLASH
    if abs(a.year - b.year) >= 10:
        return Birth.CLASH
    if not a.day or not b.day or a.filler or b.filler:
        return Birth.DIFFERENT
    if a.month == b.month and a.day == b.day and a.year // 10 == b.year // 10:
        return Birth.TYPO
    return Birth.CLASH


def _one_digit(a: int, b: int) -> bool:
    return (a // 10 == b // 10) != (a % 10 == b % 10)


def surname_level(a: Features, b: Features, common: frozenset[str]) -> Surname:
    """Own name first; then any name of the one against any name of the other."""
    if not a.surnames or not b.surnames:
        return Surname.UNKNOWN
    if a.own and a.own == b.own:
        return Surname.SAME_COMMON if a.own in common else Surname.SAME
    shared = len(set(a.surnames).intersection(b.surnames))
    if shared:
        return Surname.SAME if shared > 1 else Surname.PART
    for x in a.surnames:
        for y in b.surnames:
            if similar(x, y) or (len(x) >= 4 and len(y) >= 4 and sound(x) == sound(y)):
                return Surname.SIMILAR
    return Surname.DIFFERENT


def given_level(a: Features, b: Features, bsn: int = Bsn.UNKNOWN) -> Given:
    """Formal names against formal names, call name against call name, each across; initials only where no names are."""
    if not (a.call or a.given) or not (b.call or b.given):
        level = _initials_level(a, b)
        return Given.UNSAID if level == Given.UNKNOWN and bsn != Bsn.SAME else level
    if a.given and b.given:
        formal = match(a.given[0], b.given[0])
        if formal == 3:
            return Given.SAME_FULL if len(a.given) > 1 and a.given == b.given else _unless_called(a, b)
        if formal:
            return Given.NICKNAME if formal == 2 else _or_clash(Given.SIMILAR, a, b)
        return Given.NICKNAME if a.call and a.call == b.call else Given.CLASH
    if a.call and b.call:
        called = match(a.call, b.call)
        if called:
            return (Given.SIMILAR, Given.NICKNAME, Given.SAME)[called - 1]
        return Given.NICKNAME if _call_fits(a, b) or _call_fits(b, a) else Given.CLASH
    one, other = (a, b) if a.call and b.given else (b, a)
    best = match(one.call, other.given[0])
    if best:
        return (Given.SIMILAR, Given.NICKNAME, Given.SAME)[best - 1]
    return Given.NICKNAME if _call_fits(one, other) else _by_letters(one, other)


def _by_letters(one: Features, other: Features) -> Given:
    """A call name that comes from no formal name: two equal letters still tell, a single one keeps the question open."""
    if not one.initials or not other.initials:
        return Given.DIFFERENT
    letters = _initials_level(one, other)
    if letters == Given.INITIALS_SAME:
        return letters
    return Given.LETTER if letters == Given.INITIALS_FIT and one.call not in KNOWN else Given.DIFFERENT


def _unless_called(a: Features, b: Features) -> Given:
    return Given.SAME if not a.call or not b.call or match(a.call, b.call) else Given.NICKNAME


def _or_clash(level: Given, a: Features, b: Features) -> Given:
    return Given.CLASH if a.call and b.call and not match(a.call, b.call) else level


def _call_fits(caller: Features, other: Features) -> bool:
    """Whether a call name comes from any formal name of the other: as a form of it, or as its beginning or end.

    From a later name only if what is known of the initials agrees: a twin's second name may be anything.
    """
    call = caller.call
    if not call:
        return False
    agree = not caller.initials or not other.initials or caller.initials[0] == other.initials[0]
    return any(
        match(call, name) >= 2 or (len(call) >= 3 and (name.startswith(call) or name.endswith(call)))
        for name in (other.given if agree else other.given[:1])
    )


def _initials_level(a: Features, b: Features) -> Given:
    """Letter sequences; a source may know only the first few. A call name may give the letter of its formal name."""
    x, y = a.initials, b.initials
    if x and y:
        if x == y:
            return Given.INITIALS_SAME if len(x) > 1 else Given.INITIALS_FIT
        if x.startswith(y) or y.startswith(x):
            return Given.INITIALS_FIT
        if x[0] == y[0]:
            return Given.INITIALS_DIFFER if len(x) > 1 and len(y) > 1 and x[1] != y[1] else Given.INITIALS_FIT
        return Given.INITIALS_DIFFER
    named, lettered = (a, b) if a.call and y else (b, a)
    if named.call and lettered.initials:
        letters = {named.call[0], *(form[0] for form in forms(named.call))}
        return Given.INITIALS_FIT if not letters.isdisjoint(lettered.initials) else Given.INITIALS_DIFFER
    return Given.UNKNOWN


def address_level(a: Features, b: Features) -> Address:
    if a.house and b.house:
        if a.house == b.house:
            return Address.SAME if a.addition == b.addition else Address.BUILDING
        if a.postcode and a.postcode == b.postcode:
            return Address.POSTCODE
        return Address.DIFFERENT if bool(a.postcode) == bool(b.postcode) else Address.UNKNOWN
    if a.postcode and b.postcode:
        return Address.POSTCODE if a.postcode == b.postcode else Address.DIFFERENT
    return Address.UNKNOWN


def _same(x: str, y: str) -> Same:
    if not x or not y:
        return Same.UNKNOWN
    return Same.SAME if x == y else Same.DIFFERENT
