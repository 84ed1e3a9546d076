"""One real broker and one real database server per session; topics and databases of its own for each test."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient
from wire import PARTITIONS, Wire

from samenloop_deploy import topology_apply
from samenloop_deploy.local import Databases, LocalStack
from samenloop_deploy.topology import Plan, Topology
from samenloop_schemas.topics import Topics

# A producer that is kept goes on asking for topics that a test has removed, and kafka-python says so each time.
logging.getLogger("kafka.cluster").setLevel(logging.CRITICAL)


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    with LocalStack.start() as running:
        yield running


@pytest.fixture(scope="session")
def topology(stack: LocalStack) -> Topology:
    return stack.topology


@pytest.fixture(scope="session")
def admin(stack: LocalStack) -> Iterator[KafkaAdminClient]:
    with KafkaAdminClient(**stack.kafka_access().client_args()) as client:
        yield client


@pytest.fixture
def make_plan(stack: LocalStack, admin: KafkaAdminClient) -> Iterator[Callable[..., Plan]]:
    """Put a fresh prefix on the broker: `make_plan(timestamps_from_sender=True)` and so on, as `Topology.plan`."""
    made: list[Plan] = []

    def make(**options: Any) -> Plan:
        prefix = f"t{secrets.token_hex(4)}."
        plan = stack.topology.plan(prefix, **{"partitions": PARTITIONS, "single_node": True} | options)
        made.append(plan)
        topology_apply.apply(plan, admin)
        return plan

    yield make
    for plan in made:
        topology_apply.remove(plan, admin)


@pytest.fixture
def plan(make_plan: Callable[..., Plan]) -> Plan:
    return make_plan()


@pytest.fixture
def prefix(plan: Plan) -> str:
    """A topic prefix of this test's own, with every topic and right of the topology on the broker."""
    return plan.prefix


@pytest.fixture
def topics(prefix: str) -> Topics:
    return Topics(prefix)


@pytest.fixture
def databases(stack: LocalStack) -> Iterator[Databases]:
    """Empty databases of this test's own: `databases.url("intake")`, `databases.keys_url("clients")`."""
    made = stack.new_databases(secrets.token_hex(4))
    yield made
    made.drop()


@pytest.fixture(scope="session")
def wire(stack: LocalStack) -> Iterator[Wire]:
    kept = Wire(stack)
    yield kept
    kept.close()


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait for a condition: `eventually(lambda: count() == 3, "three rows")`."""

    def wait(condition: Callable[[], bool], what: str, timeout: float = 30.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
            time.sleep(0.02)

    return wait
