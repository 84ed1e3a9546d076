"""The promise of the clients stage: whatever the order, repeats, removals and splits, the clients are those of the set."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop_processors.clients.domain.blocking import keys
from samenloop_processors.clients.domain.compare import FORBIDDEN, Comparer
from samenloop_processors.clients.domain.model import CENTIBITS, Model, default_model
from samenloop_processors.clients.domain.normalise import Features, features
from samenloop_processors.clients.domain.resolver import Changes, Client, Resolver, Verdict

TIGHT = replace(default_model(), version="tight", prior_base=4, block_cap=3, component_cap=5)
"""Small caps and an early prior, so that a handful of records crosses every bound."""


@dataclass(frozen=True)
class World:
    """A set of records and verdicts: what the outcome must be a function of."""

    people: tuple[tuple[str, int, Features], ...]
    verdicts: tuple[tuple[str, str, Verdict], ...] = ()


def from_scratch(world: World, model: Model) -> Resolver:
    resolver = Resolver(model)
    for a, b, verdict in world.verdicts:
        resolver.decide(a, b, verdict)
    for person in world.people:
        resolver.put(*person)
    resolver.settle()
    return resolver


def outcome(resolver: Resolver) -> object:
    """Everything that may be published: partition, anchors, evidence, review queue."""
    return (
        sorted((client.members, resolver.links(client)) for client in resolver.clients()),
        sorted(resolver.possible()),
        resolver.step,
    )


def by_hand(world: World, model: Model) -> set[tuple[str, str]]:
    """The active edges, counted without any of the resolver's machinery: all pairs, all shared blocks."""
    score = Comparer(model).score
    members: dict[str, set[str]] = {}
    held = {person: f for person, _, f in world.people}
    for person, f in held.items():
        for key in keys(f):
            members.setdefault(key, set()).add(person)
    live = [m for m in members.values() if len(m) <= model.block_cap]
    least = model.thresholds(model.step(len(held)))[1]
    rejected = {frozenset((a, b)) for a, b, v in world.verdicts if v is Verdict.REJECTED}
    return {
        (a, b)
        for block in live
        for a in block
        for b in block
        if a < b and score(held[a], held[b]) >= least and frozenset((a, b)) not in rejected
    }


_FEATURES = st.builds(
    Features,
    source=st.sampled_from(("a", "b", "c")),
    bsn=st.sampled_from(("", "", "1:x", "1:y")),
    own=st.just("jansen"),
    surnames=st.sampled_from((("jansen",), ("jansen",), ("bos", "jansen"))),
    given=st.sampled_from(((), ("johannes",), ("petrus", "maria"))),
    call=st.sampled_from(("", "jan", "piet", "truus")),
    initials=st.sampled_from(("", "j", "pm")),
    year=st.sampled_from((0, 1980, 1981)),
    month=st.just(3),
    day=st.sampled_from((4, 5)),
    sex=st.sampled_from(("", "M", "F")),
    postcode=st.just("4461AB"),
    house=st.sampled_from(("", "4461AB1", "4461AB2")),
    phone=st.sampled_from(("", "612345678", "687654321")),
)
_NAMES = [f"p{n:02d}" for n in range(14)]
_PEOPLE = st.dictionaries(st.sampled_from(_NAMES), st.tuples(st.integers(0, 3), _FEATURES), max_size=14)
_PAIR = st.lists(st.sampled_from(_NAMES), min_size=2, max_size=2, unique=True).map(lambda p: tuple(sorted(p)))
_VERDICTS = st.dictionaries(_PAIR, st.sampled_from(tuple(Verdict)), max_size=4)


def _world(people: dict[str, tuple[int, Features]], verdicts: dict[tuple[str, str], Verdict]) -> World:
    return World(
        tuple((name, first, f) for name, (first, f) in people.items()),
        tuple((a, b, v) for (a, b), v in verdicts.items()),
    )


@given(start=_PEOPLE, end=_PEOPLE, before=_VERDICTS, after=_VERDICTS, order=st.randoms(use_true_random=False))
@settings(max_examples=400, deadline=None)
def test_any_history_ends_where_the_set_alone_leads(
    start: dict[str, tuple[int, Features]],
    end: dict[str, tuple[int, Features]],
    before: dict[tuple[str, str], Verdict],
    after: dict[tuple[str, str], Verdict],
    order: Random,
) -> None:
    """Two states and a random walk between them, settled at random points: adds, changes, removals, re-additions, repeats."""
    resolver = Resolver(TIGHT)
    published: dict[str, tuple[str, ...]] = {}
    steps = [functools.partial(resolver.put, name, first, f) for name, (first, f) in start.items()]
    steps += [functools.partial(resolver.decide, a, b, v) for (a, b), v in before.items()]
    order.shuffle(steps)
    late = [functools.partial(resolver.remove, name) for name in start.keys() - end.keys()]
    late += [functools.partial(resolver.put, name, first, f) for name, (first, f) in end.items()]
    late += [functools.partial(resolver.decide, a, b, after.get((a, b))) for a, b in before.keys() | after.keys()]
    detours = [functools.partial(resolver.remove, name) for name in order.sample(_NAMES, 4)]
    order.shuffle(late)
    for step in [*steps, *detours, *late, *late[: len(late) // 2]]:
        step()
        if order.random() < 0.4:
            _publish(resolver.settle(), published)
    _publish(resolver.settle(), published)
    world = _world(end, after)
    expected = from_scratch(world, TIGHT)
    assert outcome(resolver) == outcome(expected)
    assert published == {client.anchor: client.members for client in expected.clients()}


def _publish(changes: Changes, published: dict[str, tuple[str, ...]]) -> None:
    for client in changes.now:
        published[client.anchor] = client.members
    for anchor in changes.emptied:
        del published[anchor]


@given(people=_PEOPLE, verdicts=_VERDICTS)
@settings(max_examples=200, deadline=None)
def test_edges_are_those_of_a_plain_count_and_no_client_crosses_a_bar(
    people: dict[str, tuple[int, Features]], verdicts: dict[tuple[str, str], Verdict]
) -> None:
    world = _world(people, verdicts)
    resolver = from_scratch(world, TIGHT)
    edges = by_hand(world, TIGHT)
    apart = {(a, b) for a, b, _ in resolver.possible()}
    together = {(a, b) for c in resolver.clients() for a in c.members for b in c.members if a < b}
    assert edges - together == apart
    score = Comparer(TIGHT).score
    held = {person: f for person, _, f in world.people}
    for a, b in together:
        assert verdicts.get((a, b)) is not Verdict.REJECTED
        if score(held[a], held[b]) == FORBIDDEN:
            assert any(verdicts.get(pair) is Verdict.CONFIRMED for pair in verdicts)
        assert not (held[a].bsn and held[b].bsn and held[a].bsn != held[b].bsn)


def _person(**known: object) -> Features:
    base = Features(source="a", own="zandee", surnames=("zandee",), call="sem", year=1990, month=4, day=9, sex="M")
    return replace(base, **known)  # type: ignore[arg-type]


def _resolver(*people: tuple[str, Features], model: Model | None = None) -> Resolver:
    resolver = Resolver(model or default_model())
    for at, (name, f) in enumerate(people):
        resolver.put(name, at, f)
    resolver.settle()
    return resolver


def _partition(resolver: Resolver) -> set[tuple[str, ...]]:
    return {client.members for client in resolver.clients()}


def test_a_rejected_pair_is_never_bridged_by_a_third_record() -> None:
    resolver = _resolver(("a", _person()), ("b", _person(source="b")), ("c", _person(source="c")))
    assert _partition(resolver) == {("a", "b", "c")}
    resolver.decide("a", "b", Verdict.REJECTED)
    resolver.settle()
    client = resolver.client_of("a")
    assert client is not None
    assert "b" not in client.members
    resolver.decide("a", "b", None)
    resolver.settle()
    assert _partition(resolver) == {("a", "b", "c")}


def test_a_confirmed_link_holds_below_the_threshold_but_not_against_two_numbers() -> None:
    stranger = _person(source="b", own="bos", surnames=("bos",), call="truus", sex="F", year=1955)
    resolver = _resolver(("a", _person(bsn="1:x")), ("b", stranger))
    assert _partition(resolver) == {("a",), ("b",)}
    resolver.decide("a", "b", Verdict.CONFIRMED)
    resolver.settle()
    (client,) = resolver.clients()
    assert [link.decided for link in resolver.links(client)] == [True]
    resolver.put("b", 1, replace(stranger, bsn="1:y"))
    resolver.settle()
    assert _partition(resolver) == {("a",), ("b",)}


def test_a_verdict_waits_for_the_persons_it_names() -> None:
    resolver = Resolver(default_model())
    resolver.decide("b", "a", Verdict.REJECTED)
    resolver.put("a", 0, _person())
    resolver.put("b", 1, _person(source="b"))
    resolver.settle()
    assert _partition(resolver) == {("a",), ("b",)}


def test_somebody_between_two_numbers_is_linked_to_neither() -> None:
    resolver = _resolver(("a", _person(bsn="1:x")), ("b", _person(source="b", bsn="1:y")), ("c", _person(source="c")))
    assert _partition(resolver) == {("a",), ("b",), ("c",)}
    assert {frozenset(pair[:2]) for pair in resolver.possible()} == {frozenset("ac"), frozenset("bc")}


@pytest.mark.parametrize("cap", [3, 10])
def test_a_block_that_passes_its_cap_withdraws_its_edges_and_gives_them_back(cap: int) -> None:
    """Only the block of first initial, sound and year ties these records: no address, phone or complete date."""
    model = replace(default_model(), block_cap=cap, link=-2 * CENTIBITS, possible=-8 * CENTIBITS)

    def record(n: int) -> Features:
        return _person(source=f"s{n}", month=0, day=0)

    resolver = _resolver(*((f"p{n}", record(n)) for n in range(cap)), model=model)
    assert _partition(resolver) == {tuple(sorted(f"p{n}" for n in range(cap)))}
    resolver.put("q", 99, record(99))
    resolver.settle()
    assert len(_partition(resolver)) == cap + 1
    resolver.remove("q")
    resolver.settle()
    assert len(_partition(resolver)) == 1


def test_the_prior_parts_weak_clients_when_the_area_doubles_and_joins_them_again() -> None:
    strangers = [
        (
            f"x{n}",
            _person(own=f"naam{n}", surnames=(f"naam{n}",), call="", initials="", year=1900 + n, month=1 + n % 12),
        )
        for n in range(8)
    ]
    pair = (("a", _person()), ("b", _person(source="b")))
    resolver = _resolver(*pair, model=replace(TIGHT, prior_base=2))
    (weight,) = [link.evidence.weight for c in resolver.clients() for link in resolver.links(c)]
    model = replace(TIGHT, prior_base=2, rise=CENTIBITS, link=weight - 2 * CENTIBITS)
    resolver = _resolver(*pair, model=model)
    assert ("a", "b") in _partition(resolver)
    for at, (name, f) in enumerate(strangers):
        resolver.put(name, 10 + at, f)
        resolver.settle()
    assert resolver.step == 3
    assert ("a",) in _partition(resolver)
    for name, _ in strangers[2:]:
        resolver.remove(name)
        resolver.settle()
    assert resolver.step == 1
    assert ("a", "b") in _partition(resolver)


def test_the_anchor_is_the_least_member_whoever_came_first() -> None:
    resolver = Resolver(default_model())
    resolver.put("late", 50, _person())
    resolver.settle()
    resolver.put("early", 10, _person(source="b"))
    changes = resolver.settle()
    assert changes == Changes((Client(("early", "late")),), ("late",))


def test_gains_are_stated_before_losses() -> None:
    """c moves from one client to the other: the one that gains it goes first, so that c is never without a client."""
    other = {"own": "bos", "surnames": ("bos",), "call": "truus", "sex": "F"}
    resolver = _resolver(
        ("a", _person(bsn="1:x")), ("b", _person(source="b", bsn="1:y", **other)), ("c", _person(source="c", bsn="1:x"))
    )
    assert _partition(resolver) == {("a", "c"), ("b",)}
    resolver.put("c", 2, _person(source="c", bsn="1:y", **other))
    changes = resolver.settle()
    assert [client.members for client in changes.now] == [("b", "c"), ("a",)]


def test_a_large_lump_is_cut_and_each_record_stays_somewhere() -> None:
    model = replace(default_model(), component_cap=6)
    people = [(f"p{n:02d}", _person(source=f"s{n}", phone="612345678")) for n in range(20)]
    resolver = _resolver(*people, model=model)
    assert sorted(name for members in _partition(resolver) for name in members) == sorted(name for name, _ in people)
    assert max(map(len, _partition(resolver))) <= 6


def test_removing_a_thousand_and_adding_them_back_restores_everything() -> None:
    from clients_people import make_people

    people = [(ref, first, features(f)) for ref, first, f in make_people(3, 2500).records]
    resolver = Resolver(default_model())
    for person in people:
        resolver.put(*person)
    resolver.settle()
    before = outcome(resolver)
    gone = Random(1).sample(people, 1000)
    for at, (name, _, _) in enumerate(gone):
        resolver.remove(name)
        if at % 7 == 0:
            resolver.settle()
    for at, person in enumerate(reversed(gone)):
        resolver.put(*person)
        if at % 5 == 0:
            resolver.settle()
    resolver.settle()
    assert outcome(resolver) == before
