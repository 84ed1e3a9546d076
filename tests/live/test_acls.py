"""What the broker itself lets each principal do: every one tries everything, and only its own list works.

The lists for partners stand here once more, on purpose: comparing the broker with `topology.yaml` alone would bless a
mistake in that file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    AuthorizationError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
)

from samenloop_deploy import topology_apply
from samenloop_deploy.local import LocalStack
from samenloop_deploy.topology import Plan, load

pytestmark = pytest.mark.live

PREFIX = "acl."
SHIPPED = load()
PARTNERS = tuple(SHIPPED.partners)
HUB = tuple(SHIPPED.principals)
TOPICS = tuple(SHIPPED.topic_names(PREFIX))
GROUPS = (
    *(f"{PREFIX}{partner}.connector" for partner in PARTNERS),
    *(f"{PREFIX}{rights.group}" for rights in SHIPPED.principals.values() if rights.group),
    "smwo.connector",
    "anything",
)
BAD_TOPIC = 29
"""Error code of a topic that one may not even see."""


@pytest.fixture(scope="module")
def plan(stack: LocalStack, admin: KafkaAdminClient) -> Iterator[Plan]:
    """One prefix for the module, with a record in every topic."""
    made = SHIPPED.plan(PREFIX, partitions=1, single_node=True)
    topology_apply.apply(made, admin)
    with KafkaProducer(**stack.kafka_access().client_args()) as producer:
        for sent in [producer.send(topic, b"x", key=b"a2") for topic in TOPICS]:
            sent.get(10)
    yield made
    topology_apply.remove(made, admin)


class Principal:
    """One log-in for everything it tries; a fresh one costs a tenth of a second."""

    def __init__(self, stack: LocalStack, name: str) -> None:
        self.name = name
        self._args = stack.kafka_access(name).client_args()
        self.admin = KafkaAdminClient(**self._args)
        # Not idempotent: that producer takes an error on one topic along to its next sends.
        self._producer = KafkaProducer(**self._args, enable_idempotence=False, retries=0, retry_backoff_ms=10)
        self._consumer = KafkaConsumer(
            **self._args, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
        )

    def visible(self) -> set[str]:
        """Topics that the broker admits exist: any right on one implies this."""
        answers = {topic["name"]: topic["error_code"] for topic in self.admin.describe_topics(list(TOPICS))}
        assert set(answers.values()) <= {0, BAD_TOPIC}
        return {name for name, code in answers.items() if code == 0}

    def writable(self, topics: Iterable[str]) -> set[str]:
        """Those it can write; the producer waits a tenth of a second for each topic it may not see, hence the threads.

        Threads share one look-up of topics, and are now and then given the refusal of another's topic: then it is asked again.
        """

        def may_write(topic: str) -> bool:
            while True:
                try:
                    self._producer.send(topic, b"x", key=b"a2").get(10)
                except TopicAuthorizationFailedError as refused:
                    if refused.args[0] in (topic, {topic}):
                        return False
                else:
                    return True

        asked = list(topics)
        with ThreadPoolExecutor(8) as pool:
            return {topic for topic, yes in zip(asked, pool.map(may_write, asked), strict=True) if yes}

    def may_read(self, topic: str) -> bool:
        return allowed(lambda: self._read(topic), TopicAuthorizationFailedError)

    def may_use_group(self, group: str, topic: str) -> bool:
        return allowed(lambda: self._commit(group, topic), GroupAuthorizationFailedError)

    def close(self) -> None:
        self.admin.close()
        self._producer.close(timeout=5)
        self._consumer.close()

    def _read(self, topic: str) -> None:
        part = TopicPartition(topic, 0)
        self._consumer.assign([part])
        self._consumer.seek(part, 0)
        deadline = time.monotonic() + 10
        while not self._consumer.poll(timeout_ms=1000):
            assert time.monotonic() < deadline, f"{self.name} is neither given nor refused {topic}"

    def _commit(self, group: str, topic: str) -> None:
        consumer = KafkaConsumer(**self._args, group_id=group, enable_auto_commit=False)
        try:
            part = TopicPartition(topic, 0)
            consumer.assign([part])
            consumer.commit({part: OffsetAndMetadata(0, "", -1)}, timeout_ms=10_000)
        finally:
            consumer.close(autocommit=False)


def allowed(attempt: Callable[[], Any], refusal: type[AuthorizationError]) -> bool:
    try:
        attempt()
    except refusal:
        return False
    return True


@pytest.fixture
def principal(stack: LocalStack, plan: Plan, request: pytest.FixtureRequest) -> Iterator[Principal]:
    made = Principal(stack, request.param)
    yield made
    made.close()


@pytest.mark.parametrize("principal", PARTNERS, indirect=True)
def test_a_partner_writes_only_its_inbox(principal: Principal) -> None:
    assert principal.writable(TOPICS) == {f"{PREFIX}in.{principal.name}"}


@pytest.mark.parametrize("principal", PARTNERS, indirect=True)
def test_a_partner_reads_only_its_own_answers_and_sees_no_other_topic(principal: Principal) -> None:
    answers = {f"{PREFIX}receipts.{principal.name}", f"{PREFIX}notices.{principal.name}"}
    visible = principal.visible()
    assert visible == {f"{PREFIX}in.{principal.name}", *answers}
    assert {topic for topic in visible if principal.may_read(topic)} == answers
    assert {name for name in principal.admin.list_topics() if name.startswith(PREFIX)} == visible


@pytest.mark.parametrize("principal", PARTNERS, indirect=True)
def test_a_partner_uses_only_groups_under_its_own_name(principal: Principal) -> None:
    readable = f"{PREFIX}receipts.{principal.name}"
    groups = {group for group in GROUPS if principal.may_use_group(group, readable)}
    assert groups == {f"{PREFIX}{principal.name}.connector"}


@pytest.mark.parametrize("principal", PARTNERS[:1], indirect=True)
@pytest.mark.parametrize(
    "attempt",
    [
        lambda admin: admin.create_topics({f"{PREFIX}smwo.own": {"num_partitions": 1, "replication_factor": 1}}),
        lambda admin: admin.delete_topics([f"{PREFIX}in.smwo"]),
        lambda admin: admin.delete_records({TopicPartition(f"{PREFIX}in.smwo", 0): 1}),
        lambda admin: admin.create_partitions({f"{PREFIX}in.smwo": 9}),
        lambda admin: topology_apply.apply(SHIPPED.plan(PREFIX, partitions=1, single_node=True), admin),
    ],
    ids=["create topic", "delete topic", "delete records", "add partitions", "apply topology"],
)
def test_a_partner_administers_nothing(principal: Principal, attempt: Callable[[KafkaAdminClient], Any]) -> None:
    with pytest.raises((TopicAuthorizationFailedError, ClusterAuthorizationFailedError)):
        attempt(principal.admin)


@pytest.mark.parametrize("principal", PARTNERS[:1], indirect=True)
def test_a_partner_cannot_shorten_the_life_of_its_own_inbox(principal: Principal) -> None:
    inbox = f"{PREFIX}in.smwo"
    shorter = ConfigResource(ConfigResourceType.TOPIC, inbox, {"retention.ms": "1"})
    answers = principal.admin.alter_configs([shorter], raise_on_unknown=False)
    assert "TopicAuthorizationFailedError" in answers["topic"][inbox]


@pytest.mark.parametrize("principal", HUB, indirect=True)
def test_a_hub_process_has_the_rights_of_the_plan_and_no_more(principal: Principal, plan: Plan) -> None:
    visible = principal.visible()
    assert principal.writable(visible) == {t for t in TOPICS if plan.allows(principal.name, "write", t)}
    assert {t for t in visible if principal.may_read(t)} == {
        t for t in TOPICS if plan.allows(principal.name, "read", t)
    }
    readable = next((topic for topic in TOPICS if plan.allows(principal.name, "read", topic)), TOPICS[0])
    groups = {group for group in GROUPS if principal.may_use_group(group, readable)}
    assert groups == {group for group in GROUPS if plan.allows_group(principal.name, group)}


@pytest.mark.parametrize(("principal", "topic"), [("smwo", "in.smwo"), ("hub-overlaps", "overlaps")])
def test_the_right_to_write_is_enough_for_an_idempotent_producer(
    stack: LocalStack, plan: Plan, principal: str, topic: str
) -> None:
    args = stack.kafka_access(principal).client_args()
    with KafkaProducer(**args, enable_idempotence=True, acks="all") as producer:
        assert producer.send(PREFIX + topic, b"x", key=b"a2").get(10).topic == PREFIX + topic


def test_a_group_of_ones_own_can_be_joined(stack: LocalStack, plan: Plan) -> None:
    consumer = KafkaConsumer(
        f"{PREFIX}receipts.smwo",
        **stack.kafka_access("smwo").client_args(),
        group_id=f"{PREFIX}smwo.connector",
        auto_offset_reset="earliest",
    )
    deadline = time.monotonic() + 15
    while not consumer.poll(timeout_ms=500):
        assert time.monotonic() < deadline, "no record came"
    consumer.close()


def test_without_the_right_password_nobody_gets_in(stack: LocalStack, plan: Plan) -> None:
    args = stack.kafka_access("smwo").client_args() | {"sasl_plain_password": "guess"}
    with pytest.raises(KafkaTimeoutError):
        KafkaAdminClient(**args, bootstrap_timeout_ms=1500)
