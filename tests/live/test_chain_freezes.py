"""The account of every statement once more, longer: more kills, and each stage frozen in its turn."""

from __future__ import annotations

from random import Random

import pytest
from chain_account import account, disturb
from chain_rig import Chains, Outcome, the_same

from samenloop_deploy.demo.hub import STAGES

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
pytest_plugins = ("chain_fixtures",)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_the_account_again_with_more_kills_and_each_stage_frozen(stage: str, chains: Chains, calm: Outcome) -> None:
    with chains.running(f"frozen-{stage}") as chain:
        chain.tell_days()
        disturb(chain, Random(f"{chain.world.seed} {stage}"), 4, (stage,))
        account(chain)
        the_same(chain, calm)
