"""The one transaction of the engine. Position, effects and outbox move together or not at all.

 1. Decode before the transaction. *Inside it, slow decoding would hold locks.*
 2. Lock the partition heads FOR UPDATE in sorted order. *A frozen worker that wakes up, or two that both believe they
    own a partition, would interleave; unsorted, they would deadlock.* No row: a rebuild has retired this schema.
 3. Read the positions under that lock, in a second statement. *One joined statement would see positions from before
    the wait for the lock.*
 4. Skip records below the position. *After a restart, a rebalance or a commit of unknown outcome they come again.*
    Stop at one above it. *Going on would lose what lies between.*
 5. Throw away in-memory state that does not stand at the locked batch number. *Another worker was here meanwhile.*
 6. Let the stage apply the good records, in pipelined statements.
 7. Set the bad ones apart and judge the share of bad input. *Outside the transaction they could be lost or doubled.*
 8. Compare states with what was last published; give out versions; write the outbox. *Versions given out outside the
    lock could fall.*
 9. Remove outbox rows that the broker has confirmed. *Removing at once would cost a commit per send.*
10. Move positions and heads by compare-and-set, last. *If the lock-first rule were ever broken, this notices.*
11. Commit, and only then move the caches and the bad-share windows on. *A failed commit must leave no trace in memory.*

Time-outs of the session (`schema.SESSION`) bound how long a frozen worker can hold the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg

from samenloop_processors.engine import outbox
from samenloop_processors.engine.api import BadRecord, Incoming, Outgoing, PauseNotice, ResumeNotice, Stage
from samenloop_processors.engine.cache import AreaCaches, CacheMiss
from samenloop_processors.engine.errors import Fenced, Gap, Retired
from samenloop_processors.engine.pause import BadShare
from samenloop_processors.engine.schema import Connection, connect, live_version, schema_name
from samenloop_processors.engine.tx import Head, StageTx, SyncedCursor, partition_of
from samenloop_schemas.topics import Topics

T = TypeVar("T")
Place = tuple[str, int]
"""(topic, partition)."""
Work = Sequence[tuple[Incoming, Any]]
"""Records with their decoded value, or the `BadRecord` that decoding raised."""

_LOCK_HEADS = """SELECT partition, batch_no, outbox_seq FROM partition_head
WHERE partition = ANY(%s) ORDER BY partition FOR UPDATE"""
_LOCK_POSITIONS = """SELECT topic, partition, next FROM position
WHERE partition = ANY(%s) AND topic = ANY(%s) ORDER BY partition, topic FOR UPDATE"""
_MOVE_POSITIONS = """UPDATE position p SET next = new.next
FROM unnest(%b::text[], %b::int[], %b::bigint[], %b::bigint[]) AS new(topic, partition, old, next)
WHERE p.topic = new.topic AND p.partition = new.partition AND p.next = new.old RETURNING p.partition"""
_MOVE_HEADS = """UPDATE partition_head h SET batch_no = new.batch_no, outbox_seq = new.seq
FROM unnest(%b::int[], %b::bigint[], %b::bigint[]) AS new(partition, batch_no, seq)
WHERE h.partition = new.partition AND h.batch_no = new.batch_no - 1 RETURNING h.partition"""
_PAUSE = """INSERT INTO paused_input(topic, partner, bad, seen, since, until, area)
VALUES (%s, %s, %s, %s, now(), now() + make_interval(secs => %s), %s) ON CONFLICT (topic) DO UPDATE SET
bad = excluded.bad, seen = excluded.seen, since = excluded.since, until = excluded.until, area = excluded.area"""
_PAUSED = "SELECT topic FROM paused_input WHERE until > now()"
_TO_TELL = "SELECT topic, area FROM paused_input WHERE until <= now() AND area <> ''"
_RESUME = "DELETE FROM paused_input WHERE topic = %s AND until <= now() RETURNING partner, area, until"
_SNAPSHOT = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_PATIENT = "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL transaction_timeout = 0"


@dataclass(frozen=True, slots=True)
class PausePolicy:
    """When a partner's topic is paused; see `pause.BadShare`. `seconds`: for how long."""

    window: int = 200
    share: float = 0.5
    seconds: float = 900.0


@dataclass(slots=True)
class Applied:
    """What one transaction did."""

    ends: dict[Place, int] = field(default_factory=dict)
    outgoing: list[Outgoing] = field(default_factory=list)
    paused: list[PauseNotice] = field(default_factory=list)
    applied: int = 0
    skipped: int = 0
    quarantined: list[tuple[str, str]] = field(default_factory=list)
    """(partner, reason) of each record set apart."""


class StageDatabase:
    """One connection, used by one thread. Any psycopg error leaves it ready for another attempt."""

    def __init__(
        self,
        stage: Stage,
        url: str,
        schema: str,
        partitions: int,
        topics: Topics,
        *,
        pause: PausePolicy | None = None,
        replaying: bool = False,
    ) -> None:
        self.stage = stage
        self.schema = schema
        self.partitions = partitions
        self.caches = AreaCaches()
        self._url = url
        self._topics = topics
        self._replaying = replaying
        self._pause = pause or PausePolicy()
        self._shares: dict[str, BadShare] = {}
        self._connection: Connection | None = None

    def connection(self) -> Connection:
        """The session, made anew when the old one broke. psycopg.OperationalError if the server is away."""
        if self._connection is None or self._connection.broken or self._connection.closed:
            self._connection = connect(self._url, self.schema, name=f"stage {self.stage.name}")
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()

    def decode(self, batch: Iterable[Incoming]) -> Work:
        """Step 1."""
        work: list[tuple[Incoming, Any]] = []
        for record in batch:
            try:
                work.append((record, self.stage.decode(record)))
            except BadRecord as bad:
                work.append((record, bad))
        return work

    def apply(self, work: Work, confirmed: Mapping[int, int]) -> Applied:
        """Steps 2 to 11; loads missing caches in between. Raises psycopg errors, `EngineError`, what the stage raises."""
        while True:
            try:
                return self._attempt(work, confirmed)
            except CacheMiss as miss:
                self._load(miss, work)

    def run(self, query: Callable[[Connection], T]) -> T:
        """A small query of the engine outside the transaction (positions, outbox)."""
        try:
            return query(self.connection())
        except psycopg.Error as error:
            self._recover(error)
            raise

    @staticmethod
    def paused_topics(connection: Connection) -> frozenset[str]:
        """Topics that are paused now, by the database's clock. For `run`."""
        return frozenset(row[0] for row in connection.execute(_PAUSED).fetchall())

    @staticmethod
    def pauses_to_end(connection: Connection) -> list[tuple[str, str]]:
        """(topic, area) of each pause that is over and of which the partner was not yet told so. For `run`."""
        return [(topic, area) for topic, area in connection.execute(_TO_TELL).fetchall()]

    def resume(self, topic: str, area: str) -> Applied:
        """Tells the end of a pause: steps 2, 8, 10 and 11, without a record. Does nothing if it was told meanwhile."""
        partition, result = partition_of(area, self.partitions), Applied()
        try:
            connection = self.connection()
            with connection.pipeline() as pipeline, connection.transaction():
                heads, _ = self._lock(SyncedCursor(connection, pipeline), [partition], [])
                tx = StageTx(
                    connection, pipeline, self.stage, self._topics, self.partitions, heads, self.caches, self._replaying
                )
                ended = tx.execute(_RESUME, (topic,)).fetchone()
                if ended is None or ended[1] != area:
                    raise psycopg.Rollback
                self.stage.resumed(tx, ResumeNotice(topic, *ended))
                result.outgoing = tx.finish()
                head = heads[partition]
                moved = tx.execute(_MOVE_HEADS, ([partition], [head.batch_no + 1], [head.last_seq])).fetchall()
                if len(moved) != 1:
                    raise Fenced(f"partition {partition} moved under the lock")
                result.applied = 1
        except BaseException as error:
            self.caches.drop(partition)
            self._recover(error)
            raise
        if result.applied:
            self.caches.advance(partition, head.batch_no + 1)
        return result

    def forget_verdicts(self, topic: str) -> None:
        """After a pause the topic gets a fresh start."""
        if share := self._shares.get(topic):
            share.clear()

    def _attempt(self, work: Work, confirmed: Mapping[int, int]) -> Applied:
        partitions = sorted({record.partition for record, _ in work})
        tx: StageTx | None = None
        try:
            connection = self.connection()
            with connection.pipeline() as pipeline, connection.transaction():
                heads, positions = self._lock(SyncedCursor(connection, pipeline), partitions, work)
                tx = StageTx(
                    connection, pipeline, self.stage, self._topics, self.partitions, heads, self.caches, self._replaying
                )
                todo, moved = self._select(work, positions)
                result = Applied(ends=positions | moved, applied=len(todo), skipped=len(work) - len(todo))
                flags = self._apply(tx, todo, result)
                result.outgoing = tx.finish()
                if confirmed:
                    outbox.delete(tx.execute, confirmed)
                touched = sorted({partition for _, partition in moved})
                self._move(tx, heads, positions, moved, touched)
        except CacheMiss:
            if tx is not None:
                self.caches.drop(*tx.touched)
            raise
        except BaseException as error:
            self.caches.drop(*partitions)
            self._recover(error)
            raise
        for partition in touched:
            self.caches.advance(partition, heads[partition].batch_no + 1)
        for topic, verdicts in flags.items():
            self._share(topic).remember(verdicts)
        return result

    def _lock(
        self, cursor: SyncedCursor, partitions: list[int], work: Work
    ) -> tuple[dict[int, Head], dict[Place, int]]:
        """Steps 2, 3 and 5."""
        topics = sorted({record.topic for record, _ in work})
        locked = cursor.execute(_LOCK_HEADS, (partitions,)).fetchall()
        read = cursor.execute(_LOCK_POSITIONS, (partitions, topics)).fetchall()
        heads = {partition: Head(batch_no, seq) for partition, batch_no, seq in locked}
        if len(heads) != len(partitions):
            raise Retired(f"schema {self.schema} is no longer live: start again")
        self.caches.check({partition: head.batch_no for partition, head in heads.items()})
        return heads, {(topic, partition): next_ for topic, partition, next_ in read}

    @staticmethod
    def _select(work: Work, positions: Mapping[Place, int]) -> tuple[Work, dict[Place, int]]:
        """Step 4: what is to be applied, and where the positions go."""
        moved: dict[Place, int] = {}
        todo: list[tuple[Incoming, Any]] = []
        for item in work:
            record = item[0]
            place = (record.topic, record.partition)
            expected = moved.get(place)
            if expected is None:
                expected = positions.get(place)
                if expected is None:
                    raise Gap(f"{record.topic}/{record.partition} has no position")
            if record.offset < expected:
                continue
            if record.offset > expected:
                raise Gap(
                    f"{record.topic}/{record.partition}: the log goes on at {record.offset}, the position is {expected}"
                )
            moved[place] = expected + 1
            todo.append(item)
        return todo, moved

    def _apply(self, tx: StageTx, todo: Work, result: Applied) -> dict[str, list[bool]]:
        """Steps 6 and 7. Returns the verdicts per topic that may be paused."""
        good: list[tuple[Incoming, Any]] = []
        for record, value in todo:
            if isinstance(value, BadRecord):
                tx.quarantine(record, value.code, value.partner)
            else:
                good.append((record, value))
        if good:
            self.stage.apply(tx, good)
        result.quarantined = [(q.partner, q.code.value) for q in tx.quarantined.values()]
        if self._replaying:
            return {}
        bad = {key[:3] for key in tx.quarantined}
        by_topic: dict[str, list[Incoming]] = {}
        for record, _ in todo:
            if self._topics.partner_of(record.topic):
                by_topic.setdefault(record.topic, []).append(record)
        flags: dict[str, list[bool]] = {}
        for topic, records in by_topic.items():
            flags[topic] = [(r.topic, r.partition, r.offset) in bad for r in records]
            if tipped := self._share(topic).judge(flags[topic]):
                partner = self._topics.partner_of(topic) or ""
                notice = PauseNotice(topic, partner, tipped.bad, tipped.seen, records[tipped.index])
                area = self.stage.paused(tx, notice)
                tx.execute(_PAUSE, (topic, partner, tipped.bad, tipped.seen, self._pause.seconds, area))
                result.paused.append(notice)
        return flags

    @staticmethod
    def _move(
        tx: StageTx,
        heads: Mapping[int, Head],
        positions: Mapping[Place, int],
        moved: Mapping[Place, int],
        touched: Sequence[int],
    ) -> None:
        """Step 10."""
        if not moved:
            return
        places = sorted(moved)
        topics, numbers = [t for t, _ in places], [p for _, p in places]
        old, new = [positions[p] for p in places], [moved[p] for p in places]
        batches, seqs = [heads[p].batch_no + 1 for p in touched], [heads[p].last_seq for p in touched]
        positions_moved = tx.execute(_MOVE_POSITIONS, (topics, numbers, old, new))
        heads_moved = tx.execute(_MOVE_HEADS, (list(touched), batches, seqs))
        if len(positions_moved.fetchall()) != len(places) or len(heads_moved.fetchall()) != len(touched):
            raise Fenced(f"positions {places} moved under the lock")

    def _load(self, miss: CacheMiss, work: Work) -> None:
        """Loads the missing area, and every other area of the batch that is missing, from one read-only snapshot."""
        by_area = {miss.area: partition_of(miss.area, self.partitions)}
        for record, value in work:
            if record.key and not isinstance(value, BadRecord):
                area = record.key.decode(errors="replace")
                if partition_of(area, self.partitions) == record.partition:
                    by_area[area] = record.partition
        try:
            connection = self.connection()
            connection.execute(_SNAPSHOT)
            connection.execute(_PATIENT)
            rows = connection.execute("SELECT partition, batch_no FROM partition_head").fetchall()
            heads = dict(rows)
            self.caches.check(heads)
            for area, partition in by_area.items():
                if partition not in heads:
                    raise Retired(f"schema {self.schema} is no longer live: start again")
                try:
                    self.caches.get(partition, area)
                except KeyError:
                    self.caches.put(partition, heads[partition], area, miss.load(connection, area))
            connection.execute("COMMIT")
        except BaseException as error:
            self._recover(error)
            raise

    def _recover(self, error: BaseException) -> None:
        """Leaves the session usable or closed; tells a dropped schema from a mistake in SQL."""
        connection = self._connection
        if connection is None:
            return
        if not connection.closed and not connection.broken:
            try:
                connection.rollback()
            except psycopg.Error:
                self.close()
        if isinstance(error, psycopg.errors.UndefinedTable) and not self._replaying:
            version = live_version(self.connection(), self.stage.name)
            if version is None or schema_name(self.stage.name, version) != self.schema:
                raise Retired(f"schema {self.schema} is gone: start again") from error

    def _share(self, topic: str) -> BadShare:
        if topic not in self._shares:
            self._shares[topic] = BadShare(self._pause.window, self._pause.share)
        return self._shares[topic]
