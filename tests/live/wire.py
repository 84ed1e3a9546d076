"""Raw records in and out of the broker, for live tests of every kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from samenloop_deploy.local import LocalStack

PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class Record:
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


class Wire:
    """Raw records in and out, as any principal. Clients are kept, since each log-in costs a tenth of a second."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._producers: dict[str, KafkaProducer] = {}

    def producer(self, principal: str = "admin") -> KafkaProducer:
        if principal not in self._producers:
            args = self._stack.kafka_access(principal).client_args()
            self._producers[principal] = KafkaProducer(**args, acks="all", enable_idempotence=True)
        return self._producers[principal]

    def produce(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        *,
        principal: str = "admin",
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
        partition: int | None = None,
        timeout: float = 10,
    ) -> Any:
        """Send one record and wait for its confirmation; raises what the broker answers."""
        future = self.producer(principal).send(
            topic, key=key, value=value, headers=list(headers), timestamp_ms=timestamp_ms, partition=partition
        )
        return future.get(timeout)

    def read(self, topic: str, *, principal: str = "admin") -> list[Record]:
        """Everything that the topic holds now, by partition and offset."""
        return self._read(topic, principal, lambda records, complete: complete, 30.0)

    def await_records(
        self,
        topic: str,
        count: int,
        *,
        principal: str = "admin",
        accept: Callable[[Record], bool] = lambda record: True,
        timeout: float = 30.0,
    ) -> list[Record]:
        """Wait until at least ``count`` acceptable records are there; returns all acceptable ones that were read."""
        found = self._read(topic, principal, lambda records, _: sum(map(accept, records)) >= count, timeout)
        return [record for record in found if accept(record)]

    def _read(
        self, topic: str, principal: str, enough: Callable[[list[Record], bool], bool], timeout: float
    ) -> list[Record]:
        args = self._stack.kafka_access(principal).client_args()
        consumer = KafkaConsumer(**args, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest")
        try:
            parts = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
            assert parts, f"no topic {topic}, or no right to see it"
            ends = consumer.end_offsets(parts)
            consumer.assign(parts)
            consumer.seek_to_beginning(*parts)
            records: list[Record] = []
            deadline = time.monotonic() + timeout
            while not enough(records, all(consumer.position(part) >= ends[part] for part in parts)):
                assert time.monotonic() < deadline, f"{topic}: {len(records)} records within {timeout} s"
                for batch in consumer.poll(timeout_ms=100).values():
                    records += [_record(raw) for raw in batch]
            return sorted(records, key=lambda record: (record.partition, record.offset))
        finally:
            consumer.close()

    def close(self) -> None:
        for producer in self._producers.values():
            producer.close(timeout=5)


def _record(raw: Any) -> Record:
    return Record(raw.topic, raw.partition, raw.offset, raw.key, raw.value, tuple(raw.headers), raw.timestamp)
