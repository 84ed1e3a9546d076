"""The frozen model: what each level of agreement is worth, and the few numbers that bound the work.

Weights are whole hundredths of a bit, so that sums and averages are exact and come out the same in any order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Any

CENTIBITS = 100
"""Units in one bit."""


class Bsn(IntEnum):
    """`UNKNOWN` also when the two tokens were made under different versions of the matching key."""

    UNKNOWN = 0
    SAME = 1
    DIFFERENT = 2


class Birth(IntEnum):
    """`FILLER`: equal, but 1 January or 1 July. `TYPO`: one digit. `PART`: one of year, month and day is another; `TWO`: two
    are; `CLASH`: all, or a generation. `UNSAID`: no birth date on a side, and no number in its place.
    """

    UNKNOWN = 0
    SAME = 1
    FILLER = 2
    PARTIAL = 3
    YEAR = 4
    SWAP = 5
    TYPO = 6
    PART = 7
    TWO = 8
    DIFFERENT = 9
    CLASH = 10
    UNSAID = 11


class Given(IntEnum):
    """`CLASH`: call names or first formal names that cannot be one. `DIFFERENT`: a call name that fits no formal name.
    `LETTER`: the same, yet the first initial is one. `ALIKE`: two spellings with more between them than one slip.
    `CROSSED`: the first name of the one is the surname of the other. `UNSAID`: no first name or initial on a side, and no
    BSN in its place.
    """

    UNKNOWN = 0
    SAME_FULL = 1
    SAME = 2
    NICKNAME = 3
    SIMILAR = 4
    ALIKE = 5
    INITIALS_SAME = 6
    INITIALS_FIT = 7
    INITIALS_DIFFER = 8
    DIFFERENT = 9
    CLASH = 10
    LETTER = 11
    CROSSED = 12
    UNSAID = 13


class Surname(IntEnum):
    """`PART`: one half of a double name, or one's own name against the other's partner name."""

    UNKNOWN = 0
    SAME = 1
    SIMILAR = 2
    ALIKE = 3
    PART = 4
    DIFFERENT = 5


class Address(IntEnum):
    """`BUILDING`: same building, another or no door. `STREET`: same house number in a street that is spelled alike.
    `NEAR`: same postcode, or street and town. `TOWN`: only the town."""

    UNKNOWN = 0
    SAME = 1
    BUILDING = 2
    STREET = 3
    NEAR = 4
    TOWN = 5
    DIFFERENT = 6


class Other(IntEnum):
    """A number from elsewhere. `CLOSE`: one slip apart."""

    UNKNOWN = 0
    SAME = 1
    CLOSE = 2
    DIFFERENT = 3


class Same(IntEnum):
    """Fields that agree or do not: phone, e-mail, sex, and the source itself (a source seldom holds a person twice)."""

    UNKNOWN = 0
    SAME = 1
    DIFFERENT = 2


FIELDS: tuple[tuple[str, type[IntEnum]], ...] = (
    ("bsn", Bsn),
    ("other", Other),
    ("birth", Birth),
    ("given", Given),
    ("given_of_twin", Given),
    ("surname", Surname),
    ("surname_at_home", Surname),
    ("address", Address),
    ("phone", Same),
    ("phone_at_home", Same),
    ("email", Same),
    ("email_at_home", Same),
    ("sex", Same),
    ("source", Same),
)
"""The fields in the order of a comparison's levels. Of a field with a twin ``at_home`` the twin counts where two records share
a home, for there a surname, a telephone or a mailbox is shared by people who are not one."""


Tables = tuple[tuple[float, ...], ...]
"""A probability per field and level, 0 for the unknown one."""
VETOES = ("incompatible_birth_dates", "same_birth_and_address_other_name")
"""The vetoes that a model may apply. Two different BSNs always are one."""


@dataclass(frozen=True, slots=True)
class Model:
    """`link`, `possible`: thresholds in centibits up to `prior_base` persons; both rise by `rise` per doubling beyond it.

    `margin`: two rivals that cannot both be right must differ by more than this, else neither is linked.
    `block_cap`: a block with more members counts for nobody. `component_cap`: larger components are cut, weak edges first.
    `surnames`, `given`: what agreeing on this very name is worth beyond any name; under the empty text for all others.
    """

    version: str
    link: int
    possible: int
    margin: int
    prior_base: int
    block_cap: int
    component_cap: int
    weights: tuple[tuple[int, ...], ...]
    rise: int = CENTIBITS
    vetoes: frozenset[str] = frozenset()
    surnames: Mapping[str, int] = field(default_factory=dict, repr=False)
    given: Mapping[str, int] = field(default_factory=dict, repr=False)

    def step(self, persons: int) -> int:
        """Whole doublings of the area beyond `prior_base`: the prior is a step function of the number of persons only."""
        return max(0, (max(persons, 1) - 1).bit_length() - (self.prior_base - 1).bit_length())

    def thresholds(self, step: int) -> tuple[int, int]:
        """(link, possible) in centibits at a step of the prior."""
        return self.link + step * self.rise, self.possible + step * self.rise


def parse_model(text: str) -> Model:
    """A model from its JSON text. Raises ValueError that names the field at fault."""
    raw: dict[str, Any] = json.loads(text)
    if raw.get("format") != 2:
        raise ValueError("format: only 2 is known")
    m, u = parse_tables(raw["fields"])
    vetoes = raw.get("vetoes", [])
    if unknown := set(vetoes) - set(VETOES):
        raise ValueError(f"vetoes: unknown {sorted(unknown)}")
    return Model(
        version=str(raw["version"]),
        link=_centibits(raw["link_bits"]),
        possible=_centibits(raw["possible_bits"]),
        margin=_centibits(raw["margin_bits"]),
        prior_base=int(raw["prior_base"]),
        block_cap=int(raw["block_cap"]),
        component_cap=int(raw["component_cap"]),
        weights=tuple(
            (0, *(_centibits(math.log2(p / q)) for p, q in zip(ms[1:], us[1:], strict=True)))
            for ms, us in zip(m, u, strict=True)
        ),
        rise=_centibits(raw["rise_bits"]),
        vetoes=frozenset(vetoes),
        surnames={name: int(worth) for name, worth in raw.get("surnames", {}).items()},
        given={name: int(worth) for name, worth in raw.get("given", {}).items()},
    )


@cache
def default_model() -> Model:
    """The model packaged with this release."""
    return parse_model((files(__package__) / "model.json").read_text("utf-8"))


@cache
def anchor() -> tuple[Tables, Tables]:
    """(m, u) from which training starts, and to which it keeps where a set says little."""
    raw = json.loads((files(__package__) / "anchor.json").read_text("utf-8"))
    m, u = parse_tables(raw["fields"])
    return _normed(m), _normed(u)


def parse_tables(raw: Mapping[str, Any]) -> tuple[Tables, Tables]:
    """(m, u) from ``{field: {level: [m, u]}}``. Raises ValueError that names the field at fault."""
    m, u = [], []
    for name, kind in FIELDS:
        given = raw.get(name)
        if not isinstance(given, dict) or (wrong := set(given) ^ {level.name.lower() for level in kind if level}):
            raise ValueError(
                f"fields.{name}: the levels are not those of the comparison: {sorted(wrong) if given else 'none'}"
            )
        pairs = [given[level.name.lower()] for level in kind if level]
        for level, (p, q) in zip(list(kind)[1:], pairs, strict=True):
            if not (0 < p < 1 and 0 < q < 1):
                raise ValueError(f"fields.{name}.{level.name.lower()}: m and u are probabilities above 0 and below 1")
        m.append((0.0, *(p for p, _ in pairs)))
        u.append((0.0, *(q for _, q in pairs)))
    return tuple(m), tuple(u)


def written_tables(m: Tables, u: Tables) -> dict[str, dict[str, list[float]]]:
    """The same the other way round, for a model's file; six digits are more than any set can tell."""
    return {
        name: {level.name.lower(): [_digits(ms[level]), _digits(us[level])] for level in kind if level}
        for (name, kind), ms, us in zip(FIELDS, m, u, strict=True)
    }


def _normed(tables: Tables) -> Tables:
    return tuple(tuple(value / sum(table) for value in table) for table in tables)


def _digits(probability: float) -> float:
    return float(f"{probability:.6g}")


def _centibits(bits: float) -> int:
    return round(bits * CENTIBITS)
