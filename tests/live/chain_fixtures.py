"""The fixtures of the tests of the whole chain."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest
from chain_rig import Chains, Outcome
from chain_world import make_world
from kafka import KafkaAdminClient
from wire import Wire

from samenloop_deploy.demo.hub import Secrets
from samenloop_deploy.local import LocalStack
from samenloop_processors.keys import KeyStore

SEED = int(os.environ.get("SAMENLOOP_TEST_SEED", "20260320"))
PERSONS = 40
"""Per area: nearly four hundred statements over two areas."""


@pytest.fixture(scope="session")
def chains(
    stack: LocalStack, admin: KafkaAdminClient, wire: Wire, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chains]:
    keys = stack.new_databases(secrets.token_hex(4))
    hub_secrets = Secrets()
    store = KeyStore(keys.keys_url("intake"), hub_secrets.kek, may_create=True)
    world = make_world(SEED, PERSONS, hub_secrets, store)
    store.close()
    made = Chains(stack, admin, wire, tmp_path_factory.mktemp("chains"), keys, hub_secrets, world, [])
    yield made
    made.close()


@pytest.fixture(scope="session")
def calm(chains: Chains) -> Outcome:
    """An undisturbed run: the days first, then the statements as they were stated, then what people decided."""
    with chains.running("calm") as chain:
        chain.tell_days()
        chain.send(chain.world.said)
        chain.decide(chain.world.decisions)
        chain.rest()
        return chain.outcome()
