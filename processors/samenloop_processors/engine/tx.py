"""The transaction as a stage sees it: gathers what the stage wants to say, and turns it into outbox rows at the end."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Self, TypeVar

import psycopg
from psycopg.pq import Format

from samenloop_processors.engine import outbox
from samenloop_processors.engine.api import Body, Headers, Incoming, Outgoing, QuarantineReason, Stage
from samenloop_processors.engine.cache import AreaCaches, CacheMiss
from samenloop_processors.engine.errors import WrongUse
from samenloop_processors.engine.quarantine import NO_PARTNER, attempts_of, headers_of
from samenloop_schemas.topics import Topics, area_key, partition_for

T = TypeVar("T")
partition_of = lru_cache(maxsize=4096)(partition_for)

_READ_PUBLISHED = """SELECT topic, subject, digest FROM published
WHERE (topic, subject) IN (SELECT * FROM unnest(%b::text[], %b::text[]))"""
_READ_VERSIONS = "SELECT area, version FROM area_version WHERE area = ANY(%s)"
_WRITE_VERSIONS = """INSERT INTO area_version(area, version) SELECT * FROM unnest(%b::text[], %b::bigint[])
ON CONFLICT (area) DO UPDATE SET version = excluded.version"""
_WRITE_PUBLISHED = """INSERT INTO published(topic, subject, area, version, digest)
SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::bigint[], %b::bytea[])
ON CONFLICT (topic, subject) DO UPDATE SET area = excluded.area, version = excluded.version, digest = excluded.digest"""
_WRITE_REPLAY_VALUE = """INSERT INTO replay_value(topic, subject, value)
SELECT * FROM unnest(%b::text[], %b::text[], %b::bytea[])
ON CONFLICT (topic, subject) DO UPDATE SET value = excluded.value"""
_WRITE_QUARANTINED = """INSERT INTO quarantined(topic, partition, record_offset, code, partner)
SELECT * FROM unnest(%b::text[], %b::int[], %b::bigint[], %b::text[], %b::text[]) ON CONFLICT DO NOTHING"""
_WRITE_REPLAY_QUARANTINE = """INSERT INTO replay_quarantine
SELECT * FROM unnest(%b::text[], %b::int[], %b::bigint[], %b::text[], %b::text[], %b::bytea[], %b::bytea[], %b::text[])
ON CONFLICT DO NOTHING"""


def digest_of(content: bytes) -> bytes:
    """What `published` remembers of a statement, to see whether it changed."""
    return blake2b(content, digest_size=16).digest()


class SyncedCursor(psycopg.Cursor[Any]):
    """A binary cursor that follows each statement with a pipeline sync, which costs a few microseconds.

    Without it the server never becomes "idle in transaction" inside a pipeline, and the time-out that frees the locks of
    a frozen worker does not run: seen, 24 s instead of 3.
    """

    def __init__(self, connection: psycopg.Connection[Any], pipeline: psycopg.Pipeline) -> None:
        super().__init__(connection)
        self.format = Format.BINARY
        self._pipeline = pipeline

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        super().execute(query, params, **options)
        push_all(self.connection)
        self._pipeline.sync()
        return self

    def executemany(self, query: Any, params_seq: Iterable[Any], **options: Any) -> None:
        super().executemany(query, params_seq, **options)
        push_all(self.connection)
        self._pipeline.sync()


def push_all(connection: psycopg.Connection[Any]) -> None:
    """Sends all that libpq still holds of a large statement.

    psycopg 3.3 flushes once per command of a pipeline and then waits for an answer alone; when a statement is larger than
    the socket's buffer, the server waits for the rest of it and both wait for ever.
    """
    pgconn = connection.pgconn
    while pgconn.flush():
        readable, _, _ = select.select([pgconn.socket], [pgconn.socket], [])
        if readable:
            pgconn.consume_input()


@dataclass(slots=True)
class Head:
    """A locked row of partition_head, and the last outbox number given out in this transaction."""

    batch_no: int
    outbox_seq: int
    last_seq: int = field(init=False)

    def __post_init__(self) -> None:
        self.last_seq = self.outbox_seq


@dataclass(frozen=True, slots=True)
class Quarantined:
    record: Incoming
    code: QuarantineReason
    partner: str


class StageTx:
    """Implements `api.Tx`. One per attempt."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        pipeline: psycopg.Pipeline,
        stage: Stage,
        topics: Topics,
        partitions: int,
        heads: dict[int, Head],
        caches: AreaCaches,
        replaying: bool,
    ) -> None:
        self._connection = connection
        self._pipeline = pipeline
        self._stage = stage
        self._topics = topics
        self._partitions = partitions
        self._heads = heads
        self._caches = caches
        self._replaying = replaying
        self._sends: list[tuple[int, str, bytes | None, bytes | None, Headers]] = []
        self._states: dict[tuple[str, str], tuple[str, Body, bytes]] = {}
        self.quarantined: dict[tuple[str, int, int, str], Quarantined] = {}
        self.touched: set[int] = set()

    @property
    def cursor(self) -> psycopg.Cursor[Any]:
        return SyncedCursor(self._connection, self._pipeline)

    def execute(self, query: str, params: Any = None) -> psycopg.Cursor[Any]:
        return self.cursor.execute(query.encode(), params)

    def executemany(self, query: str, rows: Sequence[Any]) -> None:
        self.cursor.executemany(query.encode(), rows)

    @property
    def replaying(self) -> bool:
        return self._replaying

    @property
    def partitions(self) -> int:
        return self._partitions

    def cache(self, area: str, load: Callable[[psycopg.Connection[Any], str], T]) -> T:
        partition = self._locked_partition(area)
        try:
            value: T = self._caches.get(partition, area)
        except KeyError:
            raise CacheMiss(area, load) from None
        self.touched.add(partition)
        return value

    def send(self, topic: str, area: str, value: bytes, headers: Headers = ()) -> None:
        partition = self._locked_partition(area)
        self._allow(topic)
        if not self._replaying:
            self._sends.append((partition, topic, area_key(area), value, headers))

    def state(self, subject: str, area: str, topic: str, body: Body, content: bytes) -> None:
        self._locked_partition(area)
        self._allow(topic)
        key = (topic, subject)
        self._states.pop(key, None)  # the last call decides the place, too
        self._states[key] = (area, body, content)

    def quarantine(self, record: Incoming, code: QuarantineReason, partner: str | None = None) -> None:
        label = self._topics.partner_of(record.topic) or partner or NO_PARTNER
        key = (record.topic, record.partition, record.offset, code.value)
        self.quarantined.setdefault(key, Quarantined(record, code, label))

    def finish(self) -> list[Outgoing]:
        """Writes versions, published, quarantine and outbox. Returns the new outbox rows in the order to send them."""
        rows: list[Outgoing] = []
        if self.quarantined:
            rows += self._write_quarantine()
        rows += [self._row(*parts) for parts in self._sends]
        if self._states:
            rows += self._write_states()
        if rows:
            outbox.insert(self.execute, rows)
        return rows

    def _row(self, partition: int, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Outgoing:
        head = self._heads[partition]
        head.last_seq += 1
        return Outgoing(partition, head.last_seq, topic, key, value, headers)

    def _write_quarantine(self) -> list[Outgoing]:
        bad = list(self.quarantined.values())
        places = ([b.record.topic for b in bad], [b.record.partition for b in bad], [b.record.offset for b in bad])
        codes = [b.code.value for b in bad]
        self.execute(_WRITE_QUARANTINED, (*places, codes, [b.partner for b in bad]))
        outs = [
            (
                b.record,
                self._quarantine_topic(b.record),
                headers_of(b.record, b.code, attempts_of(b.record), self._stage.name),
            )
            for b in bad
        ]
        if self._replaying:
            texts = [outbox.pack_headers(headers) for _, _, headers in outs]
            payload = ([t for _, t, _ in outs], [r.key for r, _, _ in outs], [r.value for r, _, _ in outs], texts)
            self.execute(_WRITE_REPLAY_QUARANTINE, (*places, codes, *payload))
            return []
        return [self._row(r.partition, topic, r.key, r.value, headers) for r, topic, headers in outs]

    def _quarantine_topic(self, record: Incoming) -> str:
        """That of the inbox it came from. What came from another topic is the hub's own trouble, whoever it is about."""
        return self._topics.quarantine(self._topics.partner_of(record.topic) or NO_PARTNER)

    def _write_states(self) -> list[Outgoing]:
        keys = list(self._states)
        areas = sorted({area for area, _, _ in self._states.values()})
        published = self.execute(_READ_PUBLISHED, ([t for t, _ in keys], [s for _, s in keys]))
        versions_read = self.execute(_READ_VERSIONS, (areas,))
        known = {(topic, subject): bytes(digest) for topic, subject, digest in published.fetchall()}
        versions: dict[str, int] = dict(versions_read.fetchall())
        changed: list[tuple[str, str, str, int, bytes, bytes]] = []
        for (topic, subject), (area, body, content) in self._states.items():
            digest = digest_of(content)
            if known.get((topic, subject)) == digest:
                continue
            version = versions[area] = versions.get(area, 0) + 1
            changed.append((topic, subject, area, version, digest, body(version)))
        if not changed:
            return []
        topics, subjects, of_areas, numbers, digests, values = map(list, zip(*changed, strict=True))
        self.execute(_WRITE_VERSIONS, (list(versions), list(versions.values())))
        self.execute(_WRITE_PUBLISHED, (topics, subjects, of_areas, numbers, digests))
        if self._replaying:
            self.execute(_WRITE_REPLAY_VALUE, (topics, subjects, values))
            return []
        return [
            self._row(self._locked_partition(area), topic, area_key(area), value, ())
            for topic, _, area, _, _, value in changed
        ]

    def _locked_partition(self, area: str) -> int:
        partition = partition_of(area, self._partitions)
        if partition not in self._heads:
            raise WrongUse(f"area {area} lives in partition {partition}, of which this batch holds no record")
        return partition

    def _allow(self, topic: str) -> None:
        if topic not in self._stage.outputs:
            raise WrongUse(f"stage {self._stage.name} does not name {topic} among its outputs")
