"""The clients of one area, kept right change by change.

Whatever the order of `put`, `remove` and `decide`, and wherever `settle` falls between them, the clients and their evidence
are those of a resolver that was given the final records and verdicts at once. `settle` redoes only components that a change
touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from samenloop_processors.clients.domain import clustering
from samenloop_processors.clients.domain.compare import FORBIDDEN, Comparison
from samenloop_processors.clients.domain.graph import Graph
from samenloop_processors.clients.domain.model import CENTIBITS, Model
from samenloop_processors.clients.domain.normalise import Features


class Verdict(StrEnum):
    """What people decided about a pair of source persons.

    REJECTED: never one client, nor through a third record. CONFIRMED: one client, whatever the score, unless the pair holds two
    different BSNs (a wrong number is put right at its source) or would bring a rejected or vetoed pair together.
    """

    REJECTED = "rejected"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Client:
    """Source persons held to be one person, by (first_stated_at, id). The first is the anchor."""

    members: tuple[str, ...]

    @property
    def anchor(self) -> str:
        return self.members[0]


@dataclass(frozen=True, slots=True)
class Link:
    """One of the pairs that hold a client together, with its evidence."""

    a: str
    b: str
    evidence: Comparison
    decided: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """What a `settle` did. `now`: every client of a component that was redone, in the order to state them (those that gain
    members before those that lose some); `emptied`: anchors of clients that are no more, to be stated last.
    """

    now: tuple[Client, ...]
    emptied: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.now or self.emptied)


@dataclass(frozen=True, slots=True, eq=False)
class _Component:
    """Records tied by active edges. `holds` says for which thresholds its clients stay; None: not known, look again."""

    slots: tuple[int, ...]
    holds: clustering.Clustering | None


class Resolver:
    """All clients of one area under one model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._graph = Graph(model)
        self._verdicts: dict[str, dict[str, Verdict]] = {}
        self._component: dict[int, _Component] = {}
        self._client: dict[int, Client] = {}
        self._touched: set[int] = set()
        self._left: set[Client] = set()
        self._step = 0
        self._link, self._possible = model.thresholds(0)

    def __len__(self) -> int:
        return len(self._graph)

    def __contains__(self, person: str) -> bool:
        return self._graph.slot(person) is not None

    @property
    def step(self) -> int:
        """Doublings of the area that the thresholds account for, as of the last `settle`."""
        return self._step

    def first(self, person: str) -> int | None:
        """`first_stated_at` in microseconds of a person that is held, else None."""
        slot = self._graph.slot(person)
        return None if slot is None else self._graph[slot].first

    def put(self, person: str, first: int, features: Features) -> None:
        """Add a source person or change what is known of him. `first`: his first_stated_at in microseconds."""
        slot = self._graph.put(person, first, features)
        if slot is not None:
            self._touched.add(slot)

    def put_first(self, person: str, first: int) -> None:
        """An older statement of a person came to light: only the instant changes. Nothing happens when he is not held."""
        slot = self._graph.slot(person)
        if slot is not None and self._graph[slot].first != first:
            self._graph[slot].first = first
            self._touched.add(slot)

    def remove(self, person: str) -> None:
        """Forget a source person; nothing happens when he is not held."""
        slot = self._graph.slot(person)
        if slot is None:
            return
        component = self._component.pop(slot, None)
        if component:
            self._touched.update(s for s in component.slots if s in self._component)
        left = self._client.pop(slot, None)
        if left:
            self._left.add(left)
        self._graph.remove(slot)
        self._touched.discard(slot)

    def decide(self, a: str, b: str, verdict: Verdict | None) -> None:
        """Set or lift (None) the verdict on a pair. It waits while either person is not held."""
        for one, other in ((a, b), (b, a)):
            decided = self._verdicts.setdefault(one, {})
            if verdict is None:
                decided.pop(other, None)
                if not decided:
                    del self._verdicts[one]
            else:
                decided[other] = verdict
            slot = self._graph.slot(one)
            if slot is not None:
                self._touched.add(slot)

    def settle(self) -> Changes:
        """Bring the clients up to date with everything given since the last time."""
        touched = self._touched | self._graph.update()
        self._touched = set()
        touched |= self._take_step()
        for slot in list(touched):
            component = self._component.get(slot)
            if component:
                touched.update(s for s in component.slots if s in self._component)
        before, self._left = self._left, set()
        now: list[Client] = []
        seen: set[int] = set()
        for slot in touched:
            if slot not in seen:
                slots = self._reach(slot, 0)
                seen |= slots
                before.update(self._client[s] for s in slots if s in self._client)
                now.extend(self._redo(slots))
        return changes_between(before, now)

    def clients(self) -> Iterator[Client]:
        """Every client, once, in no order."""
        return iter(set(self._client.values()))

    def client_of(self, person: str) -> Client | None:
        slot = self._graph.slot(person)
        return None if slot is None else self._client.get(slot)

    def links(self, client: Client) -> tuple[Link, ...]:
        """The pairs that hold a client together, one fewer than it has members; the same for the same set of records."""
        if len(client.members) < 2:
            return ()
        slots = [slot for slot in map(self._graph.slot, client.members) if slot is not None]
        matrix, _, together = self._matrix(slots)
        decided = frozenset((min(pair), max(pair)) for pair in together)
        return tuple(
            Link(client.members[i], client.members[j], self._graph.explain(slots[i], slots[j]), (i, j) in decided)
            for i, j in clustering.spanning(matrix, decided, range(len(slots)))
        )

    def possible(self) -> Iterator[tuple[str, str, int]]:
        """The review queue: pairs that may be one person but are not linked, with their weight. Rejected ones are out."""
        for slot in self._graph.slots():
            node = self._graph[slot]
            for other, weight in node.edges.items():
                mate = self._graph[other]
                if (
                    node.person < mate.person
                    and weight >= self._possible
                    and self._client[slot] is not self._client[other]
                    and self._verdict(slot, other) is not Verdict.REJECTED
                ):
                    yield node.person, mate.person, weight

    def explain(self, a: str, b: str) -> Comparison | None:
        """The evidence on any two persons that are held."""
        one, other = self._graph.slot(a), self._graph.slot(b)
        return None if one is None or other is None else self._graph.explain(one, other)

    def _take_step(self) -> set[int]:
        """When the prior crossed a step: the records whose component could look different under the new thresholds."""
        step = self.model.step(len(self._graph))
        if step == self._step:
            return set()
        old = self._possible
        self._step = step
        self._link, self._possible = self.model.thresholds(step)
        low, high = sorted((old, self._possible))
        found = {s for s in self._graph.slots() if any(low <= w < high for w in self._graph[s].edges.values())}
        for slot, component in self._component.items():
            if component.holds is None or not component.holds.holds_at(self._link):
                found.add(slot)
        return found

    def _verdict(self, a: int, b: int) -> Verdict | None:
        if not self._verdicts:
            return None
        decided = self._verdicts.get(self._graph[a].person)
        return decided.get(self._graph[b].person) if decided else None

    def _neighbours(self, slot: int, above: int) -> Iterator[int]:
        """Over active edges: as heavy as the possible band asks plus `above`, or decided by people."""
        node = self._graph[slot]
        decided = self._verdicts.get(node.person) if self._verdicts else None
        least = self._possible + above
        for other, weight in node.edges.items():
            if weight >= least and not (decided and decided.get(self._graph[other].person) is Verdict.REJECTED):
                yield other
        if decided:
            for person, verdict in decided.items():
                mate = self._graph.slot(person)
                if verdict is Verdict.CONFIRMED and mate is not None and not self._hard_veto(slot, mate):
                    yield mate

    def _hard_veto(self, a: int, b: int) -> bool:
        veto = self._graph.explain(a, b).veto
        return veto is not None and veto.hard

    def _reach(self, start: int, above: int, within: set[int] | None = None) -> set[int]:
        reached, edge = {start}, [start]
        while edge:
            for other in self._neighbours(edge.pop(), above):
                if other not in reached and (within is None or other in within):
                    reached.add(other)
                    edge.append(other)
        return reached

    def _redo(self, slots: set[int]) -> list[Client]:
        """Cluster one component afresh and remember the outcome."""
        if len(slots) <= self.model.component_cap:
            groups, holds = self._cluster(slots)
        else:
            holds = None
            groups = [group for part in self._cut(slots, CENTIBITS) for group in self._cluster(part)[0]]
        component = _Component(tuple(slots), holds)
        clients = []
        for group in groups:
            client = Client(tuple(self._graph[slot].person for slot in group))
            clients.append(client)
            for slot in group:
                self._client[slot] = client
                self._component[slot] = component
        return clients

    def _cut(self, slots: set[int], above: int) -> Iterator[set[int]]:
        """Parts of an oversized component that are small enough, weak edges first; what no cut makes smaller stays apart."""
        rest = set(slots)
        heaviest = max((w for slot in slots for w in self._graph[slot].edges.values()), default=0)
        if self._possible + above > heaviest + CENTIBITS:
            yield from ({slot} for slot in slots)
            return
        while rest:
            part = self._reach(next(iter(rest)), above, rest)
            rest -= part
            if len(part) <= self.model.component_cap:
                yield part
            else:
                yield from self._cut(part, above + CENTIBITS)

    def _cluster(self, slots: Iterable[int]) -> tuple[list[tuple[int, ...]], clustering.Clustering]:
        order = sorted(slots, key=lambda slot: self._graph[slot].rank)
        if len(order) == 1:
            return [(order[0],)], _ALONE
        matrix, apart, together = self._matrix(order)
        held = clustering.rivals(matrix, apart, self.model.possible, self.model.margin)
        for i, j in together:
            held[i] &= ~(1 << j)
            held[j] &= ~(1 << i)
        apart = [mask | more for mask, more in zip(apart, held, strict=True)]
        done = clustering.cluster(matrix, apart, together, self._link)
        return [tuple(order[i] for i in group) for group in done.groups], done

    def _matrix(self, order: list[int]) -> tuple[list[list[int]], list[int], list[tuple[int, int]]]:
        """All pairs of a component: weights, who must stay apart (bit masks), who was joined by people."""
        n = len(order)
        matrix = [[0] * n for _ in range(n)]
        apart = [0] * n
        together: list[tuple[int, int]] = []
        for i in range(n):
            for j in range(i + 1, n):
                verdict = self._verdict(order[i], order[j])
                weight = self._graph.score(order[i], order[j])
                if verdict is Verdict.CONFIRMED and not self._hard_veto(order[i], order[j]):
                    together.append((i, j))
                    weight = self._graph.explain(order[i], order[j]).weight
                elif verdict is Verdict.REJECTED or weight == FORBIDDEN:
                    apart[i] |= 1 << j
                    apart[j] |= 1 << i
                matrix[i][j] = matrix[j][i] = weight
        return matrix, apart, together


_ALONE = clustering.Clustering(((0,),), None, None)


def changes_between(before: set[Client], now: list[Client]) -> Changes:
    """Order the changed clients so that nobody is out of every client while the statements go out one by one.

    Two clients that swap members both gain and lose; one of them has to go first.
    """
    was = {client.anchor: frozenset(client.members) for client in before}

    def place(client: Client) -> tuple[bool, bool, str]:
        old, new = was.get(client.anchor, frozenset()), frozenset(client.members)
        return bool(old - new), not new - old, client.anchor

    left = was.keys() - {client.anchor for client in now}
    return Changes(tuple(sorted(now, key=place)), tuple(sorted(left)))
