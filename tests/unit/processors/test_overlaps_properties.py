"""The promises of the overlaps domain: order does not matter, notices come right, nothing false stays told, no flicker."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from overlaps_reference import Reference
from overlaps_world import (
    AREA,
    DAYS,
    PARTIES,
    PERSONS,
    Clients,
    Event,
    Notifier,
    agreement,
    at,
    clock_day,
    final,
    interleaved,
    on,
    publish,
    random_statement,
    statement,
    take,
)

from samenloop_processors.overlaps.domain.state import AreaState
from samenloop_schemas.codes import CaseState, NoticeChange, Status
from samenloop_schemas.records import Decision

seeds = st.integers(0, 2**32)
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def agreements(rng: Random) -> list[Event]:
    """One version, or two of which the second changes parties and grace while cases run."""
    events: list[Event] = [publish(agreement(grace=rng.choice((0, 0, 3))))]
    if rng.random() < 0.5:
        without = rng.sample(PARTIES, 1)
        events.append(publish(agreement(2, on(rng.randrange(DAYS)), rng.choice((0, 2)), without)))
    return events


def run(rng: Random, queues: list[list[Event]], chance: float) -> tuple[AreaState, Notifier, list[Event]]:
    """Events in a random order beside a notifier that answers at random moments, until nothing is left to say."""
    state, notifier, log = AreaState(AREA), Notifier(rng), []

    def enter(event: Event) -> None:
        log.append(event)
        notifier.see(take(state, event))

    clients, published, days, *involvements = queues
    if rng.random() < 0.8:  # as it mostly goes: without an agreement or a clock there is nothing to tell
        enter(published[0])
        enter(days[0])
        published, days = published[1:], days[1:]
    for event in interleaved(rng, clients, published, days, *involvements):
        enter(event)
        if rng.random() < 0.1:
            enter(rng.choice(log))
        if rng.random() < chance:
            notifier.pick_up(0.7)
        while notifier.on_its_way and rng.random() < chance:
            enter(notifier.record(at(rng.randrange(DAYS), len(log))))
        statements = [s for case_id in state.cases() if (s := state.statement(case_id))]
        assert all(notifier.seen[s.case_id] == s for s in statements), "a case changed and was not stated"
        ids = [n.notice_id for s in statements for n in s.due]
        assert len(ids) == len(set(ids)), "one id in two places"
        assert not set(ids) & {d.payload.notice_id for d in notifier.decisions}, "an id that was delivered is due again"
    while notifier.on_its_way or notifier.due():
        notifier.pick_up()
        enter(notifier.record(at(rng.randrange(DAYS), len(log))))
    return state, notifier, log


def world(seed: int, size: int) -> list[list[Event]]:
    rng = Random(seed)
    clients = Clients()
    steps = [s for _ in range(size // 8 + 1) for s in clients.random(rng)]
    cases = rng.choice((3, 6, 6, 6))
    involvements = [[random_statement(rng, cases)] for _ in range(size)]
    return [steps, agreements(rng), [clock_day(n) for n in range(rng.choice((6, 12, DAYS)))], *involvements]


def standing(state: AreaState) -> set[tuple[str, str, str]]:
    return {(state.place_of(t), t.recipient, t.basis.party) for t in state.standing()}


@unhurried
@given(seeds, seeds, st.integers(1, 25))
def test_every_interleaving_gives_the_same_state(seed: int, other: int, size: int) -> None:
    queues = world(seed, size)
    first, notifier, _ = run(Random(other), queues, 0.6)
    clients, published, days, *involvements = queues
    again = AreaState(AREA)
    rng = Random(other + 1)
    for event in interleaved(rng, clients, [*published, *notifier.decisions], days, *involvements):
        take(again, event)
        if rng.random() < 0.2:
            take(again, event)
    assert final(again) == final(first)
    assert again.membership.persons() == first.membership.persons()


@unhurried
@given(seeds, st.integers(1, 25))
def test_one_batch_or_many_give_the_same_state(seed: int, size: int) -> None:
    """What is looked at again after each event adds up to what one look at everything sees."""
    queues = world(seed, size)
    one_by_one, _, log = run(Random(seed), queues, 0.6)
    at_once = AreaState(AREA)
    at_once.settle, settle = list, at_once.settle  # type: ignore[method-assign]
    for event in log:
        take(at_once, event)
    settle()
    assert final(at_once) == final(one_by_one)


@unhurried
@given(seeds, seeds, seeds, st.integers(1, 25))
def test_two_interleavings_with_deliveries_end_with_the_same_told(seed: int, a: int, b: int, size: int) -> None:
    queues = world(seed, size)
    queues[2] = [clock_day(n) for n in range(DAYS)]
    first, notifier, log = run(Random(a), queues, 0.7)
    second, _, _ = run(Random(b), queues, 0.05)
    assert [x.facts for x in final(first) if x.facts] == [x.facts for x in final(second) if x.facts]
    assert standing(first) == standing(second) == Reference(log).desired()
    recalled = [
        (d.payload.recipient, basis)
        for d in notifier.decisions
        if d.payload.change is NoticeChange.RECALLED
        for basis in d.payload.about
    ]
    reference = Reference(log)
    for place, told in ((p, s) for s in reference.sent if s.change in ("NEW", "GROWN") for p in range(len(s.about))):
        if not reference.held_on(told, place):
            assert (told.recipient, told.about[place]) in recalled, "told something false and left without a recall"


def compare(state: AreaState, log: list[Event]) -> None:
    reference, statements = Reference(log), final(state)
    living = [s for s in statements if s.facts]
    assert {
        (s.case_id, s.client_id, s.episode_from, s.detected_at, frozenset(f.involvement_id for f in s.facts))
        for s in living
    } == {(c.case_id, c.client, c.days[0], c.detected_at, c.facts) for c in reference.cases}
    assert standing(state) == reference.standing()
    due = {
        (str(d.change) if d.change in ("ENDED", "RECALLED") else "TOLD", d.recipient, basis.party)
        for s in statements
        for d in s.due
        for basis in d.about
    }
    assert due == reference.due()
    for s in living:
        over = state.calendar.today is not None and s.episode_to is not None and s.episode_to <= state.calendar.today
        assert (s.state is CaseState.CLOSED) == over


def check_against_reference(seed: int, size: int) -> int:
    rng, queues = Random(seed), world(seed, size)
    state, notifier, log = AreaState(AREA), Notifier(rng), []
    for n, event in enumerate(interleaved(rng, *queues)):
        entries = [event]
        notifier.pick_up(0.5)
        if n % 3 == 0 and (decision := notifier.record(at(DAYS, n))):
            entries.append(decision)
        for entry in entries:
            log.append(entry)
            notifier.see(take(state, entry))
        compare(state, log)
    return len(log)


@settings(unhurried, max_examples=25)
@given(seeds)
def test_one_pair_going_back_and_forth_agrees_with_the_reference(seed: int) -> None:
    """Told, put off, taken back, ended and told again, while a relay repeats old deliveries."""
    rng, state = Random(seed), AreaState(AREA)
    notifier, log = Notifier(rng), []
    days = [clock_day(n) for n in range(13)]
    moves: list[Event] = [
        publish(agreement()),
        days.pop(0),
        *Clients().repartition([["p1", "p2"]]),
        statement("f1", "p1"),
    ]
    for revision in range(12):
        status = rng.choices((Status.ACTIVE, Status.ENDED, Status.RETRACTED), (4, 1, 1))[0]
        ends = rng.randrange(1, 12) if status is Status.ENDED else None
        moves.append(statement("f2", "p2", 2, revision, rng.choice((0, 0, 8)), ends, status))
        if rng.random() < 0.7:
            moves.append(days.pop(0))
    for move in moves:
        entries = [move, *rng.sample(notifier.decisions, min(len(notifier.decisions), rng.randrange(2)))]
        while entries:
            entry = entries.pop(0)
            log.append(entry)
            notifier.see(take(state, entry))
            notifier.pick_up(0.8)
            if not entries and rng.random() < 0.9 and (decision := notifier.record(at(1, len(log)))):
                entries.append(decision)
        compare(state, log)


@pytest.mark.parametrize("seed", range(16))
def test_it_agrees_with_the_slow_and_obvious_reference(seed: int) -> None:
    check_against_reference(seed, 30)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_agrees_with_the_reference_over_thousands_of_steps() -> None:
    steps, seed = 0, 1000
    while steps < 8000:
        steps += check_against_reference(seed, 60)
        seed += 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
@settings(unhurried, max_examples=3000)
@given(seeds, seeds, st.integers(1, 40))
def test_every_interleaving_gives_the_same_state_over_many_worlds(seed: int, other: int, size: int) -> None:
    test_every_interleaving_gives_the_same_state.hypothesis.inner_test(seed, other, size)  # type: ignore[attr-defined]


@unhurried
@given(seeds, st.lists(st.sampled_from(("merge", "split")), min_size=1, max_size=12))
def test_merges_and_splits_never_take_a_notice_back_to_give_it_again(seed: int, moves: list[str]) -> None:
    """The notifier answers at once, so each false moment between two client statements would be told to somebody."""
    rng, clients, state = Random(seed), Clients(), AreaState(AREA)
    notifier = Notifier(rng)

    def enter(event: Event) -> None:
        notifier.see(take(state, event))
        notifier.pick_up()
        while decision := notifier.record(at(1)):
            notifier.see(take(state, decision))

    for event in (publish(agreement()), clock_day(0), clock_day(1)):
        enter(event)
    for n, person in enumerate(PERSONS):
        enter(statement(f"f{n}", person, kind=n % 4))
    groups = [[p] for p in PERSONS]
    for client in clients.repartition(groups):
        enter(client)
    for move in moves:
        before = {(t.recipient, t.basis.own, t.basis.party, t.basis.other) for t in state.standing()}
        sent = len(notifier.decisions)
        rng.shuffle(groups)
        if move == "merge" and len(groups) > 1:
            groups = [[*groups[0], *groups[1]], *groups[2:]]
        elif move == "split":
            whole = max(groups, key=len)
            rng.shuffle(whole)
            cut = rng.randrange(1, len(whole)) if len(whole) > 1 else 1
            groups = [g for g in groups if g is not whole] + [part for part in (whole[:cut], whole[cut:]) if part]
        for client in clients.repartition(groups):
            enter(client)
        after = {(t.recipient, t.basis.own, t.basis.party, t.basis.other) for t in state.standing()}
        news = [d.payload for d in notifier.decisions[sent:]]
        recalled = {(d.recipient, b) for d in news if d.change is NoticeChange.RECALLED for b in d.about}
        given_again = {(d.recipient, b) for d in news if d.change in ("NEW", "GROWN") for b in d.about}
        assert not recalled & given_again
        assert move == "split" or before <= after


def test_a_world_is_worth_trying() -> None:
    """The random worlds reach every state and every kind of notice; without that the properties above prove little."""
    changes: set[NoticeChange] = set()
    states: set[CaseState] = set()
    for seed in range(40):
        rng = Random(seed)
        state, notifier, log = run(rng, world(seed, 30), 0.6)
        changes |= {d.payload.change for d in notifier.decisions}
        states |= {s.state for s in final(state)}
        assert all(isinstance(d, Decision) for d in notifier.decisions)
        assert log
    assert changes == {NoticeChange.NEW, NoticeChange.GROWN, NoticeChange.ENDED, NoticeChange.RECALLED}
    assert states >= {CaseState.DETECTED, CaseState.NOTIFIED, CaseState.CLOSED}
