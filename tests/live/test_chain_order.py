"""State is a function of sets, on the whole chain: other orders, repeats, other moments of delivery, restarted stages."""

from __future__ import annotations

import signal
from random import Random

import pytest
from chain_rig import Chain, Chains, Outcome
from chain_world import DAYS

from samenloop_deploy.demo.hub import STAGES
from samenloop_schemas.codes import NoticeChange

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
pytest_plugins = ("chain_rig",)


def test_another_order_with_restarts_ends_the_same(chains: Chains, calm: Outcome) -> None:
    """Shuffled, in parts with rest between, so that much is told that turns out otherwise; one day first, two in the middle."""
    chain = chains.start("shuffled")
    rng = Random(chain.world.seed + 1)
    said = chain.world.shuffled(rng)
    part = len(said) // 4
    decisions = list(chain.world.decisions)
    chain.decide(decisions[:3])
    chain.tell_days(DAYS[0])
    chain.send(said[:part])
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
    changes = {sent.change for sent in chain.deliveries()}
    assert changes == {NoticeChange.NEW, NoticeChange.GROWN, NoticeChange.RECALLED, NoticeChange.ENDED}
    the_same(chain, calm)


def the_same(chain: Chain, calm: Outcome) -> None:
    found = chain.outcome()
    chain.stop()
    for stage in STAGES:
        mine, theirs = set(found.exports[stage]), set(calm.exports[stage])
        differ = [*(b"- " + row for row in theirs - mine), *(b"+ " + row for row in mine - theirs)]
        assert found.exports[stage] == calm.exports[stage], (
            f"seed {chain.world.seed}: {stage} differs in {len(differ)} rows\n"
            + "\n".join(row.decode()[:1500] for row in sorted(differ, key=lambda r: r[2:])[:8])
        )
    assert set(found.standing) == set(calm.standing), f"seed {chain.world.seed}"
