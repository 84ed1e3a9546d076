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
    """`FILLER`: equal, but 1 January or 1 July. `UNSAID`: no birth date on a side, and no BSN in its place."""

    UNKNOWN = 0
    SAME = 1
    FILLER = 2
    PARTIAL = 3
    YEAR = 4
    SWAP = 5
    TYPO = 6
    DIFFERENT = 7
    CLASH = 8
    UNSAID = 9


class Given(IntEnum):
    """`CLASH`: call names or first formal names that cannot be one. `DIFFERENT`: a call name that fits no formal name.
    `LETTER`: the same, yet the first initial is one. `UNSAID`: no first name or initial on a side, and no BSN in its place.
    """

    UNKNOWN = 0
    SAME_FULL = 1
    SAME = 2
    NICKNAME = 3
    SIMILAR = 4
    INITIALS_SAME = 5
    INITIALS_FIT = 6
    INITIALS_DIFFER = 7
    DIFFERENT = 8
    CLASH = 9
    LETTER = 10
    UNSAID = 11


class Surname(IntEnum):
    """`PART`: one half of a double name, or one's own name against the other's partner name."""

    UNKNOWN = 0
    SAME = 1
    SAME_COMMON = 2
    SIMILAR = 3
    PART = 4
    DIFFERENT = 5


class Address(IntEnum):
    """`BUILDING`: same postcode and number, another or no door. `POSTCODE`: same street side only."""

    UNKNOWN = 0
    SAME = 1
    BUILDING = 2
    POSTCODE = 3
    DIFFERENT = 4


class Same(IntEnum):
    """Fields that agree or do not: phone, e-mail, sex, and the source itself (a source seldom holds a person twice)."""

    UNKNOWN = 0
    SAME = 1
    DIFFERENT = 2


FIELDS: tuple[tuple[str, type[IntEnum]], ...] = (
    ("bsn", Bsn),
    ("birth", Birth),
    ("given", Given),
    ("surname", Surname),
    ("address", Address),
    ("phone", Same),
    ("email", Same),
    ("sex", Same),
    ("source", Same),
)
"""The fields in the order of a comparison's levels."""


@dataclass(frozen=True, slots=True)
class Model:
    """`link`, `possible`: thresholds in centibits up to `prior_base` persons; both rise one bit per doubling beyond it.

    `margin`: two rivals that cannot both be right must differ by more than this, else neither is linked.
    `block_cap`: a block with more members counts for nobody. `component_cap`: larger components are cut, weak edges first.
    """

    version: str
    link: int
    possible: int
    margin: int
    prior_base: int
    block_cap: int
    component_cap: int
    weights: tuple[tuple[int, ...], ...]
    common_surnames: frozenset[str] = field(default=frozenset(), repr=False)

    def step(self, persons: int) -> int:
        """Whole doublings of the area beyond `prior_base`: the prior is a step function of the number of persons only."""
        return max(0, (max(persons, 1) - 1).bit_length() - (self.prior_base - 1).bit_length())

    def thresholds(self, step: int) -> tuple[int, int]:
        """(link, possible) in centibits at a step of the prior."""
        rise = step * CENTIBITS
        return self.link + rise, self.possible + rise


def parse_model(text: str) -> Model:
    """A model from its JSON text. Raises ValueError that names the field at fault."""
    raw: dict[str, Any] = json.loads(text)
    if raw.get("format") != 1:
        raise ValueError("format: only 1 is known")
    return Model(
        version=str(raw["version"]),
        link=_centibits(raw["link_bits"]),
        possible=_centibits(raw["possible_bits"]),
        margin=_centibits(raw["margin_bits"]),
        prior_base=int(raw["prior_base"]),
        block_cap=int(raw["block_cap"]),
        component_cap=int(raw["component_cap"]),
        weights=tuple(_weights(name, levels, raw["fields"]) for name, levels in FIELDS),
        common_surnames=frozenset(raw.get("common_surnames", ())),
    )


@cache
def default_model() -> Model:
    """The model packaged with this release."""
    return parse_model((files(__package__) / "model.json").read_text("utf-8"))


def _weights(name: str, levels: type[IntEnum], fields: Mapping[str, Any]) -> tuple[int, ...]:
    given = fields.get(name)
    if not isinstance(given, dict) or (wrong := set(given) ^ {level.name.lower() for level in levels if level}):
        raise ValueError(
            f"fields.{name}: the levels are not those of the comparison: {sorted(wrong) if given else 'none'}"
        )
    weights = [0]
    for level in list(levels)[1:]:
        m, u = given[level.name.lower()]
        if not (0 < m < 1 and 0 < u < 1):
            raise ValueError(f"fields.{name}.{level.name.lower()}: m and u are probabilities above 0 and below 1")
        weights.append(_centibits(math.log2(m / u)))
    return tuple(weights)


def _centibits(bits: float) -> int:
    return round(bits * CENTIBITS)
