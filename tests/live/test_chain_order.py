"""State is a function of sets, on the whole chain: other orders, repeats, other moments of delivery, restarted stages."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

import pytest
from chain_rig import Chains, Outcome, the_same
from chain_world import DAYS

from samenloop_deploy.demo.hub import STAGES
from samenloop_schemas.codes import NoticeChange

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
pytest_plugins = ("chain_fixtures",)


def test_another_order_with_restarts_ends_the_same(chains: Chains, calm: Outcome) -> None:
    """Shuffled, in parts with rest between, so that much is told that turns out otherwise; one day first, two in the middle;
    and the agreements only after the first part."""
    with chains.running("shuffled", agreed=False) as chain:
        rng = Random(chain.world.seed + 1)
        said = chain.world.shuffled(rng)
        part = len(said) // 4
        decisions = list(chain.world.decisions)
        chain.decide(decisions[:3])
        chain.tell_days(DAYS[0])
        chain.send(said[:part])
        chain.rest()
        assert not chain.query("intake", "SELECT FROM statement")
        assert len(chain.query("intake", "SELECT FROM waiting")) == len(chain.sent)
        chain.decide(chain.world.agreements)
        chain.rest()
        chain.send(said[part : 2 * part])
        chain.signal("intake", signal.SIGTERM)
        chain.signal("overlaps", signal.SIGKILL)
        chain.tell_days(DAYS[1])
        chain.rest()
        chain.decide(decisions[3:])
        chain.send(said[2 * part : 3 * part])
        chain.signal("clients", signal.SIGKILL)
        chain.tell_days(DAYS[2])
        chain.signal("views", signal.SIGTERM)
        chain.rest()
        chain.send(said[3 * part :])
        chain.rest()
        changes = {sent.change for sent in chain.notices().values()}
        assert changes >= {NoticeChange.NEW, NoticeChange.RECALLED}, "too little was told that turned out otherwise"
        the_same(chain, calm)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4))
def test_any_order_ends_the_same(number: int, chains: Chains, calm: Outcome) -> None:
    """Statements, decisions, days, rests and restarts, each in any place; decisions and days in their own order."""
    with chains.running(f"any{number}", agreed=False) as chain:
        rng = Random(chain.world.seed + 100 + number)
        steps: list[Callable[[], None]] = [partial(chain.send, [said]) for said in chain.world.shuffled(rng)]
        kills = [(stage, rng.choice((signal.SIGTERM, signal.SIGKILL))) for stage in (*STAGES, "notifier")]
        decisions = [*chain.world.agreements, *chain.world.decisions]
        for others in (
            [partial(chain.decide, [decision]) for decision in decisions],
            [partial(chain.tell_days, day) for day in DAYS],
            [chain.rest] * rng.randrange(6),
            [partial(chain.signal, child, number) for child, number in kills],
        ):
            steps = merged(rng, steps, others)
        for step in steps:
            step()
        chain.rest()
        the_same(chain, calm)


def merged(rng: Random, a: list[Callable[[], None]], b: Sequence[Callable[[], None]]) -> list[Callable[[], None]]:
    """Both in their own order, any way together."""
    places = sorted(rng.randrange(len(a) + 1) for _ in b)
    for place, step in reversed(list(zip(places, b, strict=True))):
        a.insert(place, step)
    return a
