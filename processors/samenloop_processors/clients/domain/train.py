"""Weights without labels: expectation-maximisation over the pairs that blocking brings together.

Both m and u are estimated on blocked pairs: among those, people of one household are the usual non-match, so that a shared
address or surname is worth what it is worth there. A few pairs of strangers are added, for a set without households. Starting
values, and pseudo-counts in proportion, come from an anchor, and matches may contradict each other only so often: else, in a
small or lopsided set, people of one name would pass for one person. Deterministic: counts only, no random choice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from samenloop_processors.clients.domain.blocking import Blocks, keys
from samenloop_processors.clients.domain.compare import Veto, levels, veto_of
from samenloop_processors.clients.domain.model import FIELDS, Birth, Given, Tables, anchor, written_tables
from samenloop_processors.clients.domain.normalise import Features

Patterns = Mapping[tuple[int, ...], int]
Progress = Callable[[str, int, int], None]
"""What is being done, how far, of how much."""

BLOCK_CAP: Final = 256
COMPONENT_CAP: Final = 48
MARGIN_BITS: Final = 3.0
REVIEW_BITS: Final = 3.5
"""How far below the threshold of a link a pair is still worth a person's look."""
RISE_BITS: Final = 0.7
"""Per doubling: less than one, because most blocks hold a place, and places do not grow with the store."""
MOST_PAIRS: Final = 1_500_000
STRANGERS: Final = 2
"""Pairs of records that share no block, per record."""
_ANCHORED: Final = 0.03
"""The anchor's part in each estimate."""
_ROUNDS: Final = 60
_ENOUGH: Final = 1e-7
_LEAST: Final = 1e-5
_MOST: Final[Mapping[str, Mapping[str, float]]] = {
    "birth": {"part": 0.04, "two": 0.04, "different": 0.04, "clash": 0.06, "unsaid": 0.3},
    "given": {"different": 0.1, "initials_differ": 0.03, "clash": 0.12},
    "given_of_twin": {"different": 0.1, "initials_differ": 0.03, "clash": 0.12},
    "surname": {"different": 0.2},
    "sex": {"different": 0.05},
}
"""How often two records of one person may contradict each other, at most."""
_VETO_BELOW: Final = {Veto.BIRTH: ("birth", Birth.CLASH, 0.02), Veto.TWINS: ("given_of_twin", Given.CLASH, 0.04)}
"""A veto is for sets in which such a contradiction hardly ever is a slip of the pen."""
_TRUST: Final = 0.8
_WORTH: Final = 4.0
"""Bits by which a name's frequency may change what it is worth, and how far the frequency is trusted."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """`share`: of the pairs looked at, how many are matches. `m`, `u`: see `model.Tables`."""

    share: float
    m: Tables
    u: Tables


def train(
    records: Sequence[Features], version: str, progress: Progress = lambda *_: None, caution: float = 0.0
) -> dict[str, Any]:
    """A model's document, from records alone: the same records in the same order give the same document.

    `caution`: bits on top of even odds before a pair is linked; fewer false links for more missed ones.
    Raises ValueError when there is nothing to learn from: fewer than two records share any block.
    """
    found = patterns(records, progress)
    if not found:
        raise ValueError("no two records have anything in common: there is nothing to learn from")
    learned = estimate(found, progress)
    link = math.log2((1 - learned.share) / learned.share) + caution
    names = [name for name, _ in FIELDS]
    vetoes = [veto for veto, (name, level, most) in _VETO_BELOW.items() if learned.m[names.index(name)][level] < most]
    return {
        "format": 2,
        "version": version,
        "origin": f"{len(records)} records, {sum(found.values())} pairs, share of matches {learned.share:.6f}",
        "link_bits": round(link, 2),
        "possible_bits": round(link - REVIEW_BITS, 2),
        "margin_bits": MARGIN_BITS,
        "rise_bits": RISE_BITS,
        "prior_base": 1 << max(0, len(records) - 1).bit_length(),
        "block_cap": BLOCK_CAP,
        "component_cap": COMPONENT_CAP,
        "vetoes": sorted(vetoes),
        "fields": written_tables(learned.m, learned.u),
        "surnames": rarity(f.own for f in records),
        "given": rarity((f.given[0] if f.given else f.call) for f in records),
    }


def patterns(records: Sequence[Features], progress: Progress = lambda *_: None) -> Patterns:
    """How often each combination of levels occurs among blocked pairs (of very many an even part) and pairs of strangers."""
    keyed = [keys(f) for f in records]
    blocks = Blocks(BLOCK_CAP)
    for at, own in enumerate(keyed):
        for key in own:
            blocks.add(key, at)
    part = -(-sum(len(_earlier(blocks, own, at)) for at, own in enumerate(keyed)) // MOST_PAIRS) or 1
    counted: Counter[tuple[int, ...]] = Counter()
    for at, own in enumerate(keyed):
        if at % 1000 == 0:
            progress("comparing", at, len(records))
        for other in _earlier(blocks, own, at):
            if part == 1 or (at * 2654435761 ^ other * 40503) % part == 0:
                counted[levels(records[at], records[other])] += 1
        if counted:
            for other in _strangers(keyed, at):
                counted[levels(records[at], records[other])] += 1
    return counted


def estimate(found: Patterns, progress: Progress = lambda *_: None) -> Estimate:
    """Expectation-maximisation under conditional independence; what is unknown on a side says nothing."""
    m0, u0 = anchor()
    m, u, share = m0, u0, 0.1
    rows = [(at, n, veto_of(at) is Veto.BSN) for at, n in sorted(found.items())]
    total = sum(n for _, n, _ in rows)
    for turn in range(_ROUNDS):
        progress("estimating", turn, _ROUNDS)
        bits = [
            [math.log2(x / y) if x and y else 0.0 for x, y in zip(a, b, strict=True)] for a, b in zip(m, u, strict=True)
        ]
        prior = math.log2(share / (1 - share))
        matched = _pseudo(m0, _ANCHORED * (20 + share * total))
        unmatched = _pseudo(u0, _ANCHORED * (20 + (1 - share) * total))
        matches = 1.0
        for at, n, barred in rows:
            weight = -60.0 if barred else prior + sum(table[level] for table, level in zip(bits, at, strict=True))
            chance = n / (1 + 2**-weight) if weight > -60 else 0.0
            matches += chance
            for field, level in enumerate(at):
                if level:
                    matched[field][level] += chance
                    unmatched[field][level] += n - chance
        before, share = share, min(0.98, matches / (total + 2))
        m = tuple(_shares(_bounded(field, counts)) for field, counts in enumerate(matched))
        u = tuple(_shares(counts) for counts in unmatched)
        if abs(before - share) < _ENOUGH:
            break
    return Estimate(share, m, u)


def rarity(names: Iterable[str], most: int = 3000) -> dict[str, int]:
    """What agreeing on a name is worth beyond agreeing on any name, in centibits: less for a common one, more for a rare one.

    Under the empty text: for every name that is not listed. Empty when there are too few names to tell.
    """
    counted = Counter(name for name in names if name)
    total = sum(counted.values())
    if total < 50:
        return {}
    mean = sum(n * n for n in counted.values()) / total

    def worth(n: float) -> int:
        return round(100 * _TRUST * max(-_WORTH, min(_WORTH, math.log2(mean / n))))

    ordered = sorted(counted.items(), key=lambda each: (-each[1], each[0]))
    listed = [(name, n) for name, n in ordered if n > 2][:most]
    rest = ordered[len(listed) :]
    usual = sum(n for _, n in rest) / len(rest) if rest else 1.0
    return {"": worth(usual), **{name: worth(n) for name, n in listed}}


def _earlier(blocks: Blocks, own: tuple[str, ...], at: int) -> set[int]:
    return {other for key in own if blocks.live(key) for other in blocks.members(key) if other < at}


def _strangers(keyed: Sequence[tuple[str, ...]], at: int) -> Iterator[int]:
    for turn in range(1, STRANGERS + 1):
        other = (at + 1 + (at * 7919 + turn * 104729) % (len(keyed) - 1)) % len(keyed)
        if other != at and set(keyed[at]).isdisjoint(keyed[other]):
            yield other


def _pseudo(tables: Tables, weight: float) -> list[list[float]]:
    return [[weight * value for value in table] for table in tables]


def _bounded(field: int, counts: list[float]) -> list[float]:
    name, kind = FIELDS[field]
    most = {int(kind[level.upper()]): share for level, share in _MOST.get(name, {}).items()}
    total = sum(counts)
    return [min(count, most.get(level, 1.0) * total) for level, count in enumerate(counts)]


def _shares(counts: Sequence[float]) -> tuple[float, ...]:
    total = sum(counts)
    return (0.0, *(min(1 - _LEAST, max(_LEAST, count / total)) for count in counts[1:]))
