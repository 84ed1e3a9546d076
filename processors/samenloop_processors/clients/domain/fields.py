"""The level at which two records agree on each field. Symmetric; 0 (`UNKNOWN`) where a side says nothing."""

from __future__ import annotations

from rapidfuzz.distance import OSA

from samenloop_processors.clients.domain.given_names import KNOWN, forms, match
from samenloop_processors.clients.domain.model import Address, Birth, Bsn, Given, Other, Same, Surname
from samenloop_processors.clients.domain.normalise import Features
from samenloop_processors.clients.domain.text import alike, similar, sound

_GENERATION = 14
"""Years between two births after which they are those of a parent and a child."""


def bsn_level(a: Features, b: Features) -> Bsn:
    """Tokens of different key versions say nothing about each other."""
    if not a.bsn or not b.bsn:
        return Bsn.UNKNOWN
    if a.bsn == b.bsn:
        return Bsn.SAME
    return Bsn.DIFFERENT if a.bsn.rpartition(":")[0] == b.bsn.rpartition(":")[0] else Bsn.UNKNOWN


def crossed(a: Features, b: Features) -> bool:
    """First name and surname in each other's place."""
    if not a.given or not b.given or not a.own or not b.own:
        return False
    x, y = a.given[0], b.given[0]
    if x == y or a.own == b.own:
        return False
    return (x == b.own and (y == a.own or alike(y, a.own))) or (y == a.own and alike(x, b.own))


def other_level(a: Features, b: Features) -> Other:
    x, y = a.other, b.other
    if not x or not y:
        return Other.UNKNOWN
    if x == y:
        return Other.SAME
    return Other.CLOSE if len(x) > 5 and OSA.distance(x, y, score_cutoff=1) <= 1 else Other.DIFFERENT


def birth_level(a: Features, b: Features, known: bool = False) -> Birth:
    """Only known parts count. A slip is one wrong digit (never in the decade) or day and month swapped."""
    if not a.year or not b.year:
        return Birth.UNKNOWN if known else Birth.UNSAID
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
        return Birth.PART if a.month == b.month or a.day == b.day else Birth.TWO
    if not a.day or not b.day or a.filler or b.filler:
        return Birth.CLASH if abs(a.year - b.year) >= _GENERATION else Birth.DIFFERENT
    apart = (a.month != b.month) + (a.day != b.day)
    if not apart:
        if a.year // 10 == b.year // 10:
            return Birth.TYPO
        slip = sum(x != y for x, y in zip(str(a.year), str(b.year), strict=False)) == 1
        return Birth.PART if slip or abs(a.year - b.year) < _GENERATION else Birth.CLASH
    if apart == 1 and abs(a.year - b.year) < _GENERATION:
        return Birth.TWO
    return Birth.CLASH


def _one_digit(a: int, b: int) -> bool:
    return (a // 10 == b // 10) != (a % 10 == b % 10)


def surname_level(a: Features, b: Features) -> Surname:
    """Own name first; then any name of the one against any name of the other."""
    if not a.surnames or not b.surnames:
        return Surname.UNKNOWN
    if a.own and a.own == b.own:
        return Surname.SAME
    shared = len(set(a.surnames).intersection(b.surnames))
    if shared:
        return Surname.SAME if shared > 1 else Surname.PART
    for x in a.surnames:
        for y in b.surnames:
            if similar(x, y) or (len(x) >= 4 and len(y) >= 4 and sound(x) == sound(y)):
                return Surname.SIMILAR
    return Surname.ALIKE if a.own and b.own and alike(a.own, b.own) else Surname.DIFFERENT


def given_level(a: Features, b: Features, known: bool = False) -> Given:
    """Formal names against formal names, call name against call name, each across; initials only where no names are."""
    if not (a.call or a.given) or not (b.call or b.given):
        level = _initials_level(a, b)
        return Given.UNSAID if level == Given.UNKNOWN and not known else level
    if a.given and b.given:
        formal = match(a.given[0], b.given[0])
        if formal == 3:
            if len(a.given) > 1 and a.given == b.given:
                return Given.SAME_FULL
            return _unless_called(a, b)
        if formal:
            return Given.NICKNAME if formal == 2 else _or_clash(Given.SIMILAR, a, b)
        if a.call and a.call == b.call:
            return Given.NICKNAME
        return (
            Given.ALIKE
            if alike(a.given[0], b.given[0]) and not (a.given[0] in KNOWN and b.given[0] in KNOWN)
            else Given.CLASH
        )
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
    if a.house and a.house == b.house:
        return Address.SAME if a.addition == b.addition else Address.BUILDING
    if not (a.postcode or a.street or a.city) or not (b.postcode or b.street or b.city):
        return Address.UNKNOWN
    street = bool(a.street and b.street) and (a.street == b.street or alike(a.street, b.street))
    town = bool(a.city and b.city) and (a.city == b.city or similar(a.city, b.city))
    code = bool(a.postcode) and a.postcode == b.postcode
    number = bool(a.number) and a.number == b.number
    if number and (street and (town or code or not (a.city and b.city))):
        return Address.STREET
    if code or (street and (town or number)):
        return Address.NEAR
    if town:
        return Address.TOWN
    if (a.postcode and b.postcode) or (a.city and b.city) or (a.street and b.street):
        return Address.DIFFERENT
    return Address.UNKNOWN


def same(x: str, y: str) -> Same:
    if not x or not y:
        return Same.UNKNOWN
    return Same.SAME if x == y else Same.DIFFERENT
