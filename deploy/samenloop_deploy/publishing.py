"""Puts published agreements on the decisions log, each confirmed by the broker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from kafka import KafkaProducer

from samenloop_processors.agreement import Agreement, agreement_decision
from samenloop_schemas import codec
from samenloop_schemas.codes import ActorRole
from samenloop_schemas.headers import cloud_event, source_urn
from samenloop_schemas.kafka_access import KafkaAccess
from samenloop_schemas.records import Actor, Decision
from samenloop_schemas.topics import Topics, area_key

HUB_OIN = "00000000000000000000"
"""The hub's organisation number in CloudEvents; a deployment sets its own."""


def publish_agreements(
    access: KafkaAccess,
    topics: Topics,
    agreements: Sequence[Agreement],
    user: str,
    at: datetime,
    progress: Callable[[int, int], None] = lambda confirmed, total: None,
) -> list[Decision]:
    """`progress` hears how many are confirmed. Raises KafkaError when the broker does not confirm."""
    actor = Actor(user=user, role=ActorRole.ADMINISTRATOR)
    decisions = [agreement_decision(agreement, actor, at) for agreement in agreements]
    producer = KafkaProducer(**access.client_args(), acks="all", enable_idempotence=True)
    try:
        sent = [
            producer.send(
                topics.decisions,
                key=area_key(decision.area),
                value=codec.encode(decision),
                headers=list(
                    cloud_event(decision.decision_id, Decision, source_urn(HUB_OIN, "samenloop"), decision.decided_at)
                ),
            )
            for decision in decisions
        ]
        progress(0, len(sent))
        for number, future in enumerate(sent, 1):
            future.get(30)
            progress(number, len(sent))
    finally:
        producer.close()
    return decisions
