"""The outbox as SQL: rows in order per partition, removed once the broker has confirmed them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg

from samenloop_processors.engine.api import Headers, Outgoing

Execute = Callable[[str, Any], psycopg.Cursor[Any]]

_INSERT = """INSERT INTO outbox(partition, seq, topic, key, value, headers)
SELECT * FROM unnest(%b::int[], %b::bigint[], %b::text[], %b::bytea[], %b::bytea[], %b::text[])"""
_SELECT = """SELECT partition, seq, topic, key, value, headers FROM outbox
WHERE partition = ANY(%s) ORDER BY partition, seq LIMIT %s"""
_DELETE = """DELETE FROM outbox o USING unnest(%s::int[], %s::bigint[]) AS sent(partition, seq)
WHERE o.partition = sent.partition AND o.seq <= sent.seq"""
_OLDEST = (
    "SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM outbox WHERE partition = ANY(%s)"
)


def pack_headers(headers: Headers) -> str:
    """Header values are bytes: latin-1 keeps each of them in JSON."""
    return json.dumps([[name, value.decode("latin-1")] for name, value in headers]) if headers else ""


def unpack_headers(text: str) -> Headers:
    return tuple((name, value.encode("latin-1")) for name, value in json.loads(text)) if text else ()


def insert(execute: Execute, rows: Sequence[Outgoing]) -> None:
    execute(
        _INSERT,
        (
            [r.partition for r in rows],
            [r.seq for r in rows],
            [r.topic for r in rows],
            [r.key for r in rows],
            [r.value for r in rows],
            [pack_headers(r.headers) for r in rows],
        ),
    )


def select(execute: Execute, partitions: Sequence[int], limit: int) -> list[Outgoing]:
    rows = execute(_SELECT, (list(partitions), limit)).fetchall()
    return [Outgoing(p, seq, topic, key, value, unpack_headers(headers)) for p, seq, topic, key, value, headers in rows]


def delete(execute: Execute, confirmed: Mapping[int, int]) -> None:
    """Removes everything up to the confirmed number of each partition."""
    upto = sorted(confirmed.items())
    execute(_DELETE, ([p for p, _ in upto], [seq for _, seq in upto]))


def oldest_seconds(execute: Execute, partitions: Sequence[int]) -> float:
    """Age of the oldest row that waits for its confirmation, by the database's clock."""
    row = execute(_OLDEST, (list(partitions),)).fetchone()
    return float(row[0]) if row else 0.0
