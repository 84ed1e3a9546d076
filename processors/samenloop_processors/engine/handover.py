"""The end of a rebuild, as SQL in one transaction: what differs goes out, the new schema takes the old one's place.

The caller holds the locks of all partition heads of the old schema, and the new one stands at exactly its positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from samenloop_processors.engine import outbox
from samenloop_processors.engine.api import Outgoing, Stage
from samenloop_processors.engine.tx import digest_of, partition_of
from samenloop_schemas.topics import area_key

Connection = psycopg.Connection[Any]
CHUNK = 2000


@dataclass(slots=True)
class Differences:
    """Subjects by what became of them, and bad records that were not set apart before."""

    unchanged: int = 0
    changed: int = 0
    new: int = 0
    emptied: int = 0
    quarantined: int = 0

    @property
    def sent(self) -> int:
        return self.changed + self.new + self.emptied + self.quarantined


class Handover:
    """`old` and `new` are schema names. `connection` is inside the transaction of the hand-over."""

    def __init__(self, connection: Connection, stage: Stage, old: str, new: str, partitions: int) -> None:
        self._connection = connection
        self._stage = stage
        self._old, self._new = old, new
        self._partitions = partitions
        self._versions: dict[str, int] = {}
        self._seqs: dict[int, int] = {}
        self._rows: list[Outgoing] = []

    def run(self) -> Differences:
        """Numbers and queues the differences, and swaps. Nothing shows before the commit."""
        found = Differences()
        self._versions = dict(self._ask("SELECT area, version FROM {old}.area_version").fetchall())
        self._seqs = dict(self._ask("SELECT partition, outbox_seq FROM {old}.partition_head").fetchall())
        self._ask("INSERT INTO {new}.outbox SELECT * FROM {old}.outbox")
        self._ask("INSERT INTO {new}.paused_input SELECT * FROM {old}.paused_input ON CONFLICT DO NOTHING")
        found.quarantined = self._quarantine()
        found.unchanged = self._ask(
            "UPDATE {new}.published n SET version = o.version FROM {old}.published o "
            "WHERE n.topic = o.topic AND n.subject = o.subject AND n.digest = o.digest"
        ).rowcount
        self._changed(found)
        self._emptied(found)
        self._flush()
        self._ask(
            "INSERT INTO {new}.area_version SELECT * FROM unnest(%s::text[], %s::bigint[]) "
            "ON CONFLICT (area) DO UPDATE SET version = excluded.version",
            (list(self._versions), list(self._versions.values())),
        )
        self._ask(
            "UPDATE {new}.partition_head h SET outbox_seq = u.seq FROM unnest(%s::int[], %s::bigint[]) u(partition, seq) "
            "WHERE h.partition = u.partition",
            (list(self._seqs), list(self._seqs.values())),
        )
        return found

    def swap(self, version: int) -> None:
        """Retires the old schema: its workers find no partition heads and start again."""
        self._ask("DROP TABLE {new}.replay_value, {new}.replay_quarantine")
        self._ask("DELETE FROM {old}.partition_head")
        self._connection.execute(
            sql.SQL("UPDATE {}.live SET version = %s").format(sql.Identifier(self._stage.name)), (version,)
        )

    def _quarantine(self) -> int:
        rows = self._ask(
            "SELECT r.partition, r.out_topic, r.key, r.value, r.headers FROM {new}.replay_quarantine r "
            "WHERE NOT EXISTS (SELECT FROM {old}.quarantined q WHERE q.topic = r.topic AND q.partition = r.partition "
            "AND q.record_offset = r.record_offset) ORDER BY r.partition, r.topic, r.record_offset"
        ).fetchall()
        for partition, topic, key, value, headers in rows:
            self._queue(partition, topic, key, value, outbox.unpack_headers(headers))
        return len(rows)

    def _changed(self, found: Differences) -> None:
        """In the order in which the replay stated them last."""
        rows = self._stream(
            "SELECT n.topic, n.subject, n.area, v.value, o.subject IS NULL FROM {new}.published n "
            "JOIN {new}.replay_value v USING (topic, subject) "
            "LEFT JOIN {old}.published o ON o.topic = n.topic AND o.subject = n.subject "
            "WHERE o.digest IS DISTINCT FROM n.digest ORDER BY n.area, n.version"
        )
        renumbered: list[tuple[str, str, int]] = []
        for topic, subject, area, value, is_new in rows:
            version = self._next_version(area)
            renumbered.append((topic, subject, version))
            self._state(topic, area, self._stage.restate(topic, bytes(value), version))
            found.new += is_new
            found.changed += not is_new
        for start in range(0, len(renumbered), CHUNK):
            topics, subjects, versions = map(list, zip(*renumbered[start : start + CHUNK], strict=True))
            self._ask(
                "UPDATE {new}.published n SET version = u.version "
                "FROM unnest(%s::text[], %s::text[], %s::bigint[]) u(topic, subject, version) "
                "WHERE n.topic = u.topic AND n.subject = u.subject",
                (topics, subjects, versions),
            )

    def _emptied(self, found: Differences) -> None:
        """Subjects that the new rules never state."""
        rows = self._ask(
            "SELECT o.topic, o.subject, o.area, o.version, o.digest FROM {old}.published o "
            "WHERE NOT EXISTS (SELECT FROM {new}.published n WHERE n.topic = o.topic AND n.subject = o.subject) "
            "ORDER BY o.area, o.version"
        ).fetchall()
        for topic, subject, area, version, digest in rows:
            statement = self._stage.emptied(topic, area, subject)
            if statement is not None and digest_of(statement[1]) != bytes(digest):
                version, digest = self._next_version(area), digest_of(statement[1])
                self._state(topic, area, statement[0](version))
                found.emptied += 1
            else:
                found.unchanged += 1
            self._ask(
                "INSERT INTO {new}.published VALUES (%s, %s, %s, %s, %s)", (topic, subject, area, version, digest)
            )

    def _next_version(self, area: str) -> int:
        version = self._versions[area] = self._versions.get(area, 0) + 1
        return version

    def _state(self, topic: str, area: str, value: bytes) -> None:
        self._queue(partition_of(area, self._partitions), topic, area_key(area), value, ())

    def _queue(self, partition: int, topic: str, key: bytes | None, value: bytes | None, headers: Any) -> None:
        seq = self._seqs[partition] = self._seqs[partition] + 1
        self._rows.append(Outgoing(partition, seq, topic, key, value, headers))
        if len(self._rows) >= CHUNK:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(self._new)))
            outbox.insert(lambda query, params: self._connection.execute(query.encode(), params), self._rows)
            self._rows = []

    def _compose(self, query: str) -> sql.Composed:
        names = {"old": sql.Identifier(self._old), "new": sql.Identifier(self._new)}
        return sql.SQL(query).format(**names)

    def _ask(self, query: str, params: Any = None) -> psycopg.Cursor[Any]:
        return self._connection.execute(self._compose(query), params)

    def _stream(self, query: str) -> Iterator[Any]:
        """In chunks: after a new rule every subject may differ."""
        with self._connection.cursor(name="differences") as cursor:
            cursor.itersize = CHUNK
            cursor.execute(self._compose(query))
            yield from cursor
