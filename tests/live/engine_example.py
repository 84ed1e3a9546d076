"""A stage of thirty lines for the engine's tests: counts records per subject, from two topics, with an account of every id."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from samenloop_processors.engine.api import (
    BadRecord,
    Body,
    Incoming,
    PauseNotice,
    QuarantineReason,
    ResumeNotice,
    Stage,
    Tx,
)
from samenloop_schemas.topics import Topics


class Counting(Stage):
    """Per area and subject: the number of records. `ledger` keeps each id as often as it was applied.

    `rule` 2 counts subjects that end in 7 tenfold, and those that end in 9 not at all. A barrier file halts `apply`
    between lock and commit for as long as it exists.
    """

    ddl = """
    CREATE TABLE IF NOT EXISTS counted(area text, subject text COLLATE "C", n bigint NOT NULL, PRIMARY KEY (area, subject));
    CREATE TABLE IF NOT EXISTS ledger(id text NOT NULL);
    """

    def __init__(self, topics: Topics, *, name: str = "clients", rule: int = 1, barrier: Path | None = None) -> None:
        self.name = name
        self.rule = rule
        self.barrier = barrier
        self.topics = topics
        if name == "intake":
            self.inputs = (topics.inbox("smwo"), topics.inbox("backoffice"), topics.decisions)
            self.output = topics.involvements
            self.outputs = (self.output, topics.receipts("smwo"), topics.receipts("backoffice"))
        else:
            self.inputs = (topics.involvements, topics.decisions)
            self.output = topics.clients
            self.outputs = (self.output,)

    def decode(self, record: Incoming) -> tuple[str, str]:
        try:
            value = json.loads(record.value or b"")
            return value["id"], value["subject"]
        except (ValueError, KeyError, TypeError):
            raise BadRecord(QuarantineReason.UNDECODABLE) from None

    def apply(self, tx: Tx, batch: Sequence[tuple[Incoming, Any]]) -> None:
        added: dict[str, Counter[str]] = {}
        for record, (_, subject) in batch:
            assert record.key is not None
            added.setdefault(record.key.decode(), Counter())[subject] += self._weight(subject)
        known = {area: tx.cache(area, _load) for area in added}
        tx.execute("INSERT INTO ledger SELECT * FROM unnest(%b::text[])", ([value[0] for _, value in batch],))
        for area, counts in added.items():
            known[area].update(counts)
            rows = [(area, s, known[area][s]) for s in sorted(counts) if known[area][s]]
            columns = list(map(list, zip(*rows, strict=True))) or [[], [], []]
            tx.execute(
                "INSERT INTO counted SELECT * FROM unnest(%b::text[], %b::text[], %b::bigint[]) "
                "ON CONFLICT (area, subject) DO UPDATE SET n = excluded.n",
                columns,
            )
            for _, subject, n in rows:
                body, content = statement(subject, n)
                tx.state(subject, area, self.output, body, content)
        if self.barrier and self.barrier.exists():
            tx.execute("SELECT 1").fetchone()
            self.barrier.with_suffix(".reached").touch()
            while self.barrier.exists():
                time.sleep(0.01)

    def paused(self, tx: Tx, notice: PauseNotice) -> str:
        assert notice.record.key is not None
        text = json.dumps({"paused": notice.topic, "bad": notice.bad, "seen": notice.seen}).encode()
        tx.send(self.topics.receipts(notice.partner), notice.record.key.decode(), text)
        return notice.record.key.decode()

    def resumed(self, tx: Tx, notice: ResumeNotice) -> None:
        tx.send(self.topics.receipts(notice.partner), notice.area, json.dumps({"resumed": notice.topic}).encode())

    def export(self, connection: psycopg.Connection[Any], area: str | None) -> Iterator[dict[str, Any]]:
        query = "SELECT area, subject, n FROM counted WHERE area = %(area)s OR %(area)s IS NULL ORDER BY area, subject"
        for row in connection.execute(query, {"area": area}):
            yield dict(zip(("area", "subject", "n"), row, strict=True))

    def restate(self, topic: str, value: bytes, version: int) -> bytes:
        return _encode(json.loads(value) | {"v": version})

    def emptied(self, topic: str, area: str, subject: str) -> tuple[Body, bytes] | None:
        return statement(subject, 0)

    def _weight(self, subject: str) -> int:
        if self.rule == 2 and subject.endswith("9"):
            return 0
        return 10 if self.rule == 2 and subject.endswith("7") else 1


def statement(subject: str, n: int) -> tuple[Body, bytes]:
    def body(version: int) -> bytes:
        return _encode({"subject": subject, "n": n, "v": version})

    return body, body(0)


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _load(connection: psycopg.Connection[Any], area: str) -> Counter[str]:
    rows = connection.execute("SELECT subject, n FROM counted WHERE area = %s", (area,)).fetchall()
    return Counter(dict(rows))


def build() -> Counting:
    """As the environment of a worker process says."""
    barrier = os.environ.get("EXAMPLE_BARRIER")
    return Counting(
        Topics(os.environ["SAMENLOOP_TOPIC_PREFIX"]),
        name=os.environ.get("EXAMPLE_NAME", "clients"),
        rule=int(os.environ.get("EXAMPLE_RULE", "1")),
        barrier=Path(barrier) if barrier else None,
    )
