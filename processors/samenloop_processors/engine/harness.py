"""A stage on a real database without a broker: records in, outbox rows out, through the engine's own transaction.

For tests of a stage and for tools that replay files. Offsets and partitions are given out as a broker would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from samenloop_processors.engine import outbox
from samenloop_processors.engine.api import Headers, Incoming, Outgoing, Stage
from samenloop_processors.engine.schema import connect, ensure_live
from samenloop_processors.engine.transaction import Applied, PausePolicy, StageDatabase
from samenloop_processors.engine.tx import partition_of
from samenloop_schemas.topics import Topics, area_key


class Harness:
    """Owns one connection. `sent` gathers every outbox row in order; `applied` is the account of the last batch."""

    def __init__(
        self, stage: Stage, database_url: str, *, topics: Topics | None = None, partitions: int = 4, batch: int = 1000
    ) -> None:
        self.stage = stage
        self.partitions = partitions
        self.sent: list[Outgoing] = []
        self.applied: Applied | None = None
        self._batch = batch
        self._offsets: dict[tuple[str, int], int] = {}
        with connect(database_url, name="harness") as connection:
            self.schema = ensure_live(connection, stage, partitions)
        # a test that feeds bad records on purpose is not to be paused
        never = PausePolicy(share=1.0)
        self.database = StageDatabase(stage, database_url, self.schema, partitions, topics or Topics(), pause=never)
        self.database.connection().execute(
            "INSERT INTO position(topic, partition, next) SELECT t, p, 0 "
            "FROM unnest(%s::text[]) t, generate_series(0, %s - 1) p ON CONFLICT DO NOTHING",
            (list(stage.inputs), partitions),
        )
        for topic, partition, next_ in self.database.connection().execute(
            "SELECT topic, partition, next FROM position"
        ):
            self._offsets[topic, partition] = next_

    def record(
        self, topic: str, area: str, value: bytes | None, *, headers: Headers = (), timestamp_ms: int = 0
    ) -> Incoming:
        """The next record of this topic, in the area's partition."""
        partition = partition_of(area, self.partitions)
        offset = self._offsets[topic, partition]
        self._offsets[topic, partition] = offset + 1
        return Incoming(topic, partition, offset, area_key(area), value, headers, timestamp_ms)

    def apply(self, records: Iterable[Incoming]) -> list[Outgoing]:
        """Applies the records in batches, each a committed transaction. Returns what they put in the outbox."""
        waiting, rows = list(records), []
        for start in range(0, len(waiting), self._batch):
            work = self.database.decode(waiting[start : start + self._batch])
            self.applied = self.database.apply(work, {row.partition: row.seq for row in self.sent})
            self.sent += self.applied.outgoing
            rows += self.applied.outgoing
        return rows

    def feed(
        self, topic: str, area: str, value: bytes | None, *, headers: Headers = (), timestamp_ms: int = 0
    ) -> list[Outgoing]:
        """One record, one transaction."""
        return self.apply([self.record(topic, area, value, headers=headers, timestamp_ms=timestamp_ms)])

    def outbox(self) -> list[Outgoing]:
        """Rows of the outbox table that no later batch has removed as confirmed."""
        connection = self.database.connection()
        return outbox.select(
            lambda query, params: connection.cursor(binary=True).execute(query.encode(), params),
            range(self.partitions),
            1_000_000,
        )

    def export(self, area: str | None = None) -> Iterator[dict[str, Any]]:
        return self.stage.export(self.database.connection(), area)

    def close(self) -> None:
        self.database.close()
