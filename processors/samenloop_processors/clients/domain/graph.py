"""The pairs that are worth remembering: an edge joins two records that share a block that counts and score above the floor.

Kept up to date change by change; what it holds after `update` is a function of the records, the caps and the model alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from samenloop_processors.clients.domain.blocking import Blocks, keys
from samenloop_processors.clients.domain.compare import Comparer, Comparison
from samenloop_processors.clients.domain.model import Model
from samenloop_processors.clients.domain.normalise import Features

_NONE: dict[int, int] = {}


class Node:
    """One source person in memory. Neighbours are slots: small whole numbers that are used again and mean nothing."""

    __slots__ = ("edges", "features", "first", "keys", "person")

    def __init__(self, person: str, first: int, features: Features, blocking: tuple[str, ...]) -> None:
        self.person = person
        self.first = first
        self.features = features
        self.keys = blocking
        self.edges = _NONE

    @property
    def rank(self) -> tuple[int, str]:
        """By content, never by arrival: what all ties and anchors go by."""
        return self.first, self.person


class Graph:
    """Records, blocks and edges of one area."""

    def __init__(self, model: Model) -> None:
        self._floor = model.possible
        self._comparer = Comparer(model)
        self._blocks = Blocks(model.block_cap)
        self._nodes: list[Node | None] = []
        self._free: list[int] = []
        self._slots: dict[str, int] = {}
        self._unindexed: set[int] = set()
        self._was_over: dict[str, bool] = {}
        self._touched: set[int] = set()

    def __len__(self) -> int:
        return len(self._slots)

    def __getitem__(self, slot: int) -> Node:
        node = self._nodes[slot]
        if node is None:
            raise KeyError(slot)
        return node

    def slots(self) -> Iterator[int]:
        return iter(self._slots.values())

    def slot(self, person: str) -> int | None:
        return self._slots.get(person)

    def score(self, a: int, b: int) -> int:
        """The pair's weight or compare.FORBIDDEN; from memory when it is an edge."""
        one = self[a]
        known = one.edges.get(b)
        return known if known is not None else self._comparer.score(one.features, self[b].features)

    def explain(self, a: int, b: int) -> Comparison:
        return self._comparer.explain(self[a].features, self[b].features)

    def put(self, person: str, first: int, features: Features) -> int | None:
        """Add or change a record. Returns its slot, or None when nothing changed."""
        slot = self._slots.get(person)
        if slot is None:
            node = Node(person, first, features, keys(features))
            if self._free:
                slot = self._free.pop()
                self._nodes[slot] = node
            else:
                slot = len(self._nodes)
                self._nodes.append(node)
            self._slots[person] = slot
            self._enter(slot, node.keys)
            self._unindexed.add(slot)
            return slot
        node = self[slot]
        if node.features == features:
            if node.first == first:
                return None
            node.first = first
            return slot
        node.first = first
        blocking = keys(features)
        self._leave(slot, (key for key in node.keys if key not in blocking))
        self._enter(slot, (key for key in blocking if key not in node.keys))
        node.features, node.keys = features, blocking
        self._unindexed.add(slot)
        return slot

    def remove(self, slot: int) -> None:
        """Forget a record with its edges. The slot may be used again at once."""
        node = self[slot]
        self._drop_edges(slot)
        self._leave(slot, node.keys)
        self._unindexed.discard(slot)
        self._touched.discard(slot)
        del self._slots[node.person]
        self._nodes[slot] = None
        self._free.append(slot)

    def update(self) -> set[int]:
        """Bring the edges up to date. Returns the slots of which an edge came, went or may have changed."""
        fresh = self._unindexed
        for slot in fresh:
            self._drop_edges(slot)
        for key, was_over in self._was_over.items():
            over = self._blocks.over(key)
            if over and not was_over:
                self._withdraw(key)
            elif was_over and not over:
                self._compare_block(key)
        done: set[int] = set()
        for slot in fresh:
            self._compare_record(slot, done)
            done.add(slot)
        touched = self._touched | fresh
        self._unindexed, self._was_over, self._touched = set(), {}, set()
        return touched

    def _enter(self, slot: int, blocking: Iterable[str]) -> None:
        for key in blocking:
            self._watch(key)
            self._blocks.add(key, slot)

    def _leave(self, slot: int, blocking: Iterable[str]) -> None:
        for key in blocking:
            self._watch(key)
            self._blocks.discard(key, slot)

    def _watch(self, key: str) -> None:
        """Remember on which side of the cap a block stood at the last update, before it can cross."""
        if self._blocks.at_cap(key):
            self._was_over.setdefault(key, self._blocks.over(key))

    def _compare_record(self, slot: int, done: set[int]) -> None:
        node = self[slot]
        candidates: set[int] = set()
        for key in node.keys:
            if self._blocks.live(key):
                candidates.update(self._blocks.members(key))
        candidates.discard(slot)
        score, features, nodes = self._comparer.score, node.features, self._nodes
        for other in candidates:
            if other in done:
                continue
            weight = score(features, nodes[other].features)  # type: ignore[union-attr]  # blocks hold live slots only
            if weight >= self._floor:
                self._set_edge(slot, other, weight)

    def _compare_block(self, key: str) -> None:
        """A block came below its cap: its pairs are compared anew."""
        members = [slot for slot in self._blocks.members(key) if slot not in self._unindexed]
        for at, slot in enumerate(members):
            node = self[slot]
            for other in members[at + 1 :]:
                if other not in node.edges:
                    weight = self._comparer.score(node.features, self[other].features)
                    if weight >= self._floor:
                        self._set_edge(slot, other, weight)

    def _withdraw(self, key: str) -> None:
        """A block passed its cap: the edges that no other block supports go."""
        for slot in self._blocks.members(key):
            node = self[slot]
            for other in [n for n in node.edges if key in self[n].keys and not self._supported(slot, n)]:
                self._drop_edge(slot, other)

    def _supported(self, a: int, b: int) -> bool:
        others = self[b].keys
        return any(key in others and self._blocks.live(key) for key in self[a].keys)

    def _set_edge(self, a: int, b: int, weight: int) -> None:
        for one, other in ((self[a], b), (self[b], a)):
            if one.edges is _NONE:
                one.edges = {}
            one.edges[other] = weight
        self._touched.add(a)
        self._touched.add(b)

    def _drop_edge(self, a: int, b: int) -> None:
        del self[a].edges[b]
        del self[b].edges[a]
        self._touched.add(a)
        self._touched.add(b)

    def _drop_edges(self, slot: int) -> None:
        for other in list(self[slot].edges):
            self._drop_edge(slot, other)
