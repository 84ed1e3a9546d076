"""Reads the quarantine topics and, in the log of decisions, what became of their records."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from samenloop_deploy.quarantine.records import Entry, Place, SetApart, Verdict, entries, set_apart
from samenloop_schemas import codec
from samenloop_schemas.codes import DecisionKind
from samenloop_schemas.kafka_access import KafkaAccess
from samenloop_schemas.records import Decision
from samenloop_schemas.topics import Topics

ACTIONS = {DecisionKind.QUARANTINE_RETRIED: "retried", DecisionKind.QUARANTINE_DISCARDED: "discarded"}
SILENCE_S = 30.0
_SLACK = timedelta(hours=1)
"""Clocks of hub processes may differ by less."""

Progress = Callable[[str, int, int], None]
"""What is read, how many of how many records."""


def no_progress(what: str, done: int, total: int) -> None:
    return


class NotReadable(Exception):
    """The quarantine cannot be looked at; the message says what to do."""


def look(
    access: KafkaAccess, topics: Topics, partners: Sequence[str] = (), progress: Progress = no_progress
) -> list[Entry]:
    """Everything that is kept of the quarantine of these partners (`hub`: of the stages), or of all. Raises NotReadable,
    KafkaError, and TimeoutError when the broker goes silent."""
    with _consumer(access) as consumer:
        start = topics.quarantine("")
        seen = {name.removeprefix(start): name for name in consumer.topics() if name.startswith(start)}
        if missing := sorted(set(partners) - set(seen)):
            raise NotReadable(f"user {access.username!r} sees no quarantine of {', '.join(missing)}")
        if not seen:
            raise NotReadable(
                f"user {access.username!r} sees no quarantine topic: check SAMENLOOP_TOPIC_PREFIX, and use the hub's operator"
            )
        found: list[SetApart] = []
        for partner in sorted(partners or seen):
            for raw in _read(consumer, seen[partner], None, partial(progress, f"quarantine.{partner}")):
                if (one := set_apart(raw, partner)) is not None:
                    found.append(one)
        if not found:
            return []
        verdicts, retried = _verdicts(consumer, topics, min(one.at for one in found) - _SLACK, progress)
        return entries(found, verdicts, retried)


def copies(access: KafkaAccess, wanted: Sequence[SetApart]) -> Mapping[Place, Any]:
    """The raw records of these copies, by where they lie."""
    by_part: dict[tuple[str, int], set[int]] = {}
    for one in wanted:
        by_part.setdefault((one.lies.topic, one.lies.partition), set()).add(one.lies.offset)
    got: dict[Place, Any] = {}
    with _consumer(access) as consumer:
        for (topic, partition), offsets in by_part.items():
            part = TopicPartition(topic, partition)
            for offset in sorted(offsets):
                raw = _one(consumer, part, offset)
                got[Place(topic, partition, offset)] = raw
    return got


def _verdicts(
    consumer: KafkaConsumer, topics: Topics, since: datetime, progress: Progress
) -> tuple[dict[Place, Verdict], frozenset[Place]]:
    verdicts: dict[Place, Verdict] = {}
    retried: set[Place] = set()
    for raw in _read(consumer, topics.decisions, since, partial(progress, "decisions")):
        try:
            decision = codec.decode(raw.value, Decision)
            action = ACTIONS.get(decision.kind)
            place = Place.parse(decision.target) if action else None
        except (codec.Undecodable, ValueError):
            continue
        if action is None or place is None:
            continue
        if action == "retried":
            retried.add(place)
        known = verdicts.get(place)
        if known is None or decision.decided_at >= known.at:
            verdicts[place] = Verdict(action, decision.actor.user, decision.decided_at)
    return verdicts, frozenset(retried)


def _read(
    consumer: KafkaConsumer, topic: str, since: datetime | None, progress: Callable[[int, int], None]
) -> Iterator[Any]:
    numbers = consumer.partitions_for_topic(topic)
    if not numbers:
        raise NotReadable(f"there is no topic {topic}, or this user may not read it: apply the topology")
    parts = [TopicPartition(topic, number) for number in sorted(numbers)]
    consumer.assign(parts)
    first, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
    if since is not None:
        at = int(since.timestamp() * 1000)
        for part, found in consumer.offsets_for_times(dict.fromkeys(parts, at)).items():
            first[part] = found.offset if found is not None else ends[part]
    left = {part for part in parts if first[part] < ends[part]}
    total, done, heard = sum(ends[part] - first[part] for part in left), 0, time.monotonic()
    consumer.assign(sorted(left))
    for part in left:
        consumer.seek(part, first[part])
    while left:
        batches = consumer.poll(timeout_ms=200, max_records=2000)
        if not batches and time.monotonic() - heard > SILENCE_S:
            raise TimeoutError(f"{topic}: nothing read for {SILENCE_S:.0f} s although records are there")
        for part, raws in batches.items():
            heard = time.monotonic()
            for raw in raws:
                if raw.offset < ends[part]:
                    done += 1
                    yield raw
        left = {part for part in left if consumer.position(part) < ends[part]}
        progress(done, total)


def _one(consumer: KafkaConsumer, part: TopicPartition, offset: int) -> Any:
    consumer.assign([part])
    consumer.seek(part, offset)
    deadline = time.monotonic() + SILENCE_S
    while time.monotonic() < deadline:
        for raw in consumer.poll(timeout_ms=200, max_records=1).get(part, []):
            if raw.offset == offset:
                return raw
    raise TimeoutError(f"{part.topic}/{part.partition}: record {offset} could not be read")


@contextmanager
def _consumer(access: KafkaAccess) -> Iterator[KafkaConsumer]:
    with closing(
        KafkaConsumer(
            **access.client_args(), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest",
            allow_auto_create_topics=False,
        )
    ) as consumer:  # fmt: skip
        yield consumer
