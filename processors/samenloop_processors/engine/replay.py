"""Reads logs from their start with a plain consumer, without a group, and puts them through the stage's transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from samenloop_processors.engine.api import Incoming
from samenloop_processors.engine.errors import is_transient, too_long
from samenloop_processors.engine.logs import one_line
from samenloop_processors.engine.transaction import Place, StageDatabase
from samenloop_schemas.kafka_access import KafkaAccess

log = logging.getLogger(__name__)

MOST_RECORDS = 5000
BATCH_SECONDS = 1.0
SILENCE_S = 60.0


class LogReader:
    """Never reads past the target: what lies beyond belongs to the live worker."""

    def __init__(self, access: KafkaAccess) -> None:
        self._consumer = KafkaConsumer(
            **access.client_args(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_bytes=16 * 1024 * 1024,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )

    def bounds(self, places: list[Place]) -> tuple[dict[Place, int], dict[Place, int]]:
        """First offset kept and next offset to be written, per place."""
        parts = [TopicPartition(*place) for place in places]
        first, end = self._consumer.beginning_offsets(parts), self._consumer.end_offsets(parts)
        return {(p.topic, p.partition): o for p, o in first.items()}, {
            (p.topic, p.partition): o for p, o in end.items()
        }

    def read(
        self, start: Mapping[Place, int], target: Mapping[Place, int], take: Callable[[list[Incoming]], None]
    ) -> None:
        """Hands lists of records from `start` up to `target` to `take`. TimeoutError if the broker goes silent."""
        left = {TopicPartition(*p): end for p, end in target.items() if start[p] < end}
        self._consumer.assign(list(left))
        for part in left:
            self._consumer.seek(part, start[part.topic, part.partition])
        heard = time.monotonic()
        while left:
            found: Mapping[Any, list[Any]] = self._consumer.poll(timeout_ms=500, max_records=MOST_RECORDS)
            if not found and time.monotonic() - heard > SILENCE_S:
                raise TimeoutError(f"nothing read for {SILENCE_S:.0f} s although records are there")
            for part, raws in found.items():
                heard = time.monotonic()
                end = left.get(part)
                if end is None:
                    continue
                if records := [Incoming.of(raw) for raw in raws if raw.offset < end]:
                    take(records)
                if raws[-1].offset + 1 >= end:
                    del left[part]
                    self._consumer.pause(part)

    def close(self) -> None:
        self._consumer.close()


class Replayer:
    """Applies lists of records in batches that take about a second each, retried while the database is away."""

    def __init__(self, database: StageDatabase) -> None:
        self._database = database
        self._size = 1000
        self.applied = 0

    def take(self, records: list[Incoming]) -> None:
        begin = 0
        while begin < len(records):
            batch = records[begin : begin + self._size]
            work = self._database.decode(batch)
            started, wait = time.perf_counter(), 0.1
            while True:
                try:
                    result = self._database.apply(work, {})
                except Exception as error:
                    if not is_transient(error):
                        raise
                    log.warning("replay: %s; trying again", one_line(error))
                    if too_long(error):
                        self._size = max(1, len(work) // 4)
                        work = work[: self._size]
                    time.sleep(wait)
                    wait = min(2 * wait, 5.0)
                else:
                    break
            seconds = time.perf_counter() - started
            if seconds > BATCH_SECONDS:
                self._size = max(1, int(len(work) * BATCH_SECONDS / seconds))
            elif seconds < BATCH_SECONDS / 2 and len(work) == self._size:
                self._size = min(MOST_RECORDS, 2 * self._size)
            self.applied += result.applied
            begin += len(work)
