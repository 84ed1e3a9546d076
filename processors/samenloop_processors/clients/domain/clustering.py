"""Which records of one component are one client: average linkage under constraints, exact and free of order.

Records come sorted by content, so that an index is a tie-break that no arrival can change. All numbers are whole, so that
averages compare exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Matrix = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Clustering:
    """Groups of indices (each ascending, ordered by first index), and for which thresholds they stay the same.

    `accepted` is the lowest average that was joined, `rejected` the highest that was not; both rounded down. Average linkage
    under must-not-link never joins at a higher average than before, so every threshold in (rejected, accepted] gives these groups.
    """

    groups: tuple[tuple[int, ...], ...]
    accepted: int | None
    rejected: int | None

    def holds_at(self, threshold: int) -> bool:
        return (self.accepted is None or threshold <= self.accepted) and (
            self.rejected is None or threshold > self.rejected
        )


def cluster(weights: Matrix, apart: Sequence[int], together: Sequence[tuple[int, int]], threshold: int) -> Clustering:
    """Join the two groups with the highest average weight while it reaches the threshold and nothing forbids it.

    `weights` is symmetric; `apart[i]` is a bit mask of what `i` may not join; pairs `together` are joined first, in order,
    unless that would bring two records together that are apart and not themselves such a pair.
    """
    n = len(weights)
    members: dict[int, int] = {i: 1 << i for i in range(n)}
    barred: dict[int, int] = dict(enumerate(apart))
    sums: dict[int, dict[int, int]] = {i: {j: weights[i][j] for j in range(n) if j != i} for i in range(n)}

    def join(i: int, j: int) -> None:
        i, j = min(i, j), max(i, j)
        gone, kept = sums.pop(j), sums[i]
        del kept[j]
        for k in kept:
            kept[k] += gone[k]
            sums[k][i] = kept[k]
            del sums[k][j]
        members[i] |= members.pop(j)
        barred[i] |= barred.pop(j)

    for x, y in together:
        i, j = _home(members, x), _home(members, y)
        if i != j and not barred[i] & members[j]:
            join(i, j)

    accepted: int | None = None
    while True:
        best = _best(sums, members, barred)
        if best is None:
            return Clustering(_groups(members), accepted, None)
        i, j, average = best
        if average < threshold:
            return Clustering(_groups(members), accepted, average)
        accepted = average if accepted is None else min(accepted, average)
        join(i, j)


def _best(
    sums: dict[int, dict[int, int]], members: dict[int, int], barred: dict[int, int]
) -> tuple[int, int, int] | None:
    """The pair of groups with the highest average; of equals the one with the lowest indices. The average is rounded down."""
    found: tuple[int, int] | None = None
    top, over = 0, 1
    for i in sorted(sums):
        size = members[i].bit_count()
        for j in sorted(sums[i]):
            if j < i or barred[i] & members[j]:
                continue
            total, pairs = sums[i][j], size * members[j].bit_count()
            if found is None or total * over > top * pairs:
                found, top, over = (i, j), total, pairs
    return (*found, top // over) if found else None


def _home(members: dict[int, int], index: int) -> int:
    return next(i for i, mask in members.items() if mask >> index & 1)


def _groups(members: dict[int, int]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(_bits(mask)) for _, mask in sorted(members.items()))


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def rivals(weights: Matrix, apart: Sequence[int], floor: int, margin: int) -> list[int]:
    """Per record, a mask of the candidates that it fits about equally well although they exclude each other.

    One of two twins with a single initial, or somebody between two different BSNs: a guess either way may be a data breach, so
    neither is linked. Candidates count from `floor` up.
    """
    n = len(weights)
    masks = [0] * n
    for i in range(n):
        fits = [j for j in range(n) if j != i and weights[i][j] >= floor and not apart[i] >> j & 1]
        for at, j in enumerate(fits):
            for k in fits[at + 1 :]:
                if apart[j] >> k & 1 and abs(weights[i][j] - weights[i][k]) <= margin:
                    for rival in (j, k):
                        masks[i] |= 1 << rival
                        masks[rival] |= 1 << i
    return masks


def spanning(weights: Matrix, decided: frozenset[tuple[int, int]], group: Sequence[int]) -> list[tuple[int, int]]:
    """The pairs that hold a group together: a maximum spanning tree, what people decided first, then weight, then content."""
    tree: list[tuple[int, int]] = []
    inside = {group[0]}
    outside = set(group[1:])
    while outside:
        i, j = min(
            ((i, j) for i in inside for j in outside),
            key=lambda pair: (
                (min(pair), max(pair)) not in decided,
                -weights[pair[0]][pair[1]],
                min(pair),
                max(pair),
            ),
        )
        tree.append((min(i, j), max(i, j)))
        inside.add(j)
        outside.remove(j)
    return sorted(tree)
