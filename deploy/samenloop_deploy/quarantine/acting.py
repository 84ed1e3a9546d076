"""Puts quarantined records back where they came from, or discards them; each time a decision says who did what to which.

A record is put back first and the decision follows: when this process dies in between, the record is seen as open and may be
put back again, which does no harm since a statement has one effect. The other way round it could be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from kafka import KafkaProducer

from samenloop_deploy.publishing import HUB_OIN
from samenloop_deploy.quarantine.reading import copies
from samenloop_deploy.quarantine.records import Entry, original_headers
from samenloop_processors.engine.quarantine import ATTEMPTS, RETRY_OF
from samenloop_schemas import codec
from samenloop_schemas.codes import ActorRole, DecisionKind
from samenloop_schemas.headers import cloud_event, source_urn
from samenloop_schemas.ids import derived_id
from samenloop_schemas.kafka_access import KafkaAccess
from samenloop_schemas.records import Actor, Decision
from samenloop_schemas.topics import Topics, area_key

NO_AREA = "hub"
"""Under it a decision stands on a record whose key names no area."""
_AT_ONCE = 200
_CONFIRM_S = 30.0
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that cannot be put back, and what to do instead."""

    record: str
    advice: str


def sort_out(chosen: Sequence[Entry], topics: Topics) -> tuple[list[Entry], list[Refused]]:
    """Which of them can be put back. Only a partner's inbox takes what somebody else wrote; what a stage could not read was
    written by another stage or process, which states it again when that is mended."""
    good, refused = [], []
    for entry in chosen:
        if topics.partner_of(entry.newest.place.topic):
            good.append(entry)
        else:
            refused.append(Refused(str(entry.newest.place), _advice(entry, topics)))
    return good, refused


def retry(
    access: KafkaAccess,
    topics: Topics,
    chosen: Sequence[Entry],
    actor: str,
    at: datetime,
    progress: Progress = lambda done, total: None,
) -> None:
    """Put the original bytes and key back on the inbox, with a header that says where they first came from. The partition
    follows from the key, so what lay in a wrong one comes right. Raises KafkaError; what was done until then stands."""
    waiting, done = iter(chosen), 0
    with closing(_producer(access)) as producer:
        while some := list(islice(waiting, _AT_ONCE)):
            raws = copies(access, [entry.newest for entry in some])
            _confirm([_put_back(producer, entry, raws[entry.newest.lies]) for entry in some])
            _decide(producer, topics, some, DecisionKind.QUARANTINE_RETRIED, actor, at)
            done += len(some)
            progress(done, len(chosen))


def discard(
    access: KafkaAccess,
    topics: Topics,
    chosen: Sequence[Entry],
    actor: str,
    at: datetime,
    progress: Progress = lambda done, total: None,
) -> None:
    """Only say that nothing is to be done with them; they stay until they age out."""
    with closing(_producer(access)) as producer:
        for start in range(0, len(chosen), _AT_ONCE):
            some = chosen[start : start + _AT_ONCE]
            _decide(producer, topics, some, DecisionKind.QUARANTINE_DISCARDED, actor, at)
            progress(start + len(some), len(chosen))


def _put_back(producer: KafkaProducer, entry: Entry, raw: Any) -> Any:
    place = entry.newest.place
    headers = [
        *original_headers(tuple(raw.headers)),
        (RETRY_OF, str(entry.origin).encode()),
        (ATTEMPTS, str(entry.newest.attempts).encode()),
    ]
    partition = place.partition if raw.key is None else None
    return producer.send(place.topic, key=raw.key, value=raw.value, headers=headers, partition=partition)


def _decide(
    producer: KafkaProducer, topics: Topics, some: Sequence[Entry], kind: DecisionKind, actor: str, at: datetime
) -> None:
    sent = []
    for entry in some:
        target = str(entry.newest.place)
        decision = Decision(
            decision_id=derived_id("quarantine", kind, target, at.isoformat()),
            area=entry.newest.area or NO_AREA,
            kind=kind,
            decided_at=at,
            actor=Actor(user=actor, role=ActorRole.ADMINISTRATOR),
            reason_code="-".join(entry.reasons),
            target=target,
        )
        headers = cloud_event(decision.decision_id, Decision, source_urn(HUB_OIN, "samenloop"), at)
        sent.append(
            producer.send(
                topics.decisions, key=area_key(decision.area), value=codec.encode(decision), headers=list(headers)
            )
        )
    _confirm(sent)


def _confirm(sent: Sequence[Any]) -> None:
    for future in sent:
        future.get(_CONFIRM_S)


def _producer(access: KafkaAccess) -> KafkaProducer:
    return KafkaProducer(**access.client_args(), acks="all", enable_idempotence=True, allow_auto_create_topics=False)


def _advice(entry: Entry, topics: Topics) -> str:
    stages = " or ".join(entry.stages) or "that stage"
    if entry.newest.place.topic == topics.decisions:
        return f"it is a decision: have it taken again in a form that {stages} can read, then discard this one"
    return (
        f"only a stage of the hub writes {entry.newest.place.topic}: mend what wrote it, then "
        f"`samenloop stage rebuild {stages}`, and discard this record"
    )
