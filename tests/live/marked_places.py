"""Where data of a person could lie: the broker, both databases, files, metrics, processes. Each gives (name, content) pairs."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import psutil
import psycopg
from kafka import KafkaConsumer, TopicPartition
from psycopg import sql

from samenloop_deploy.demo.hub import DemoHub
from samenloop_schemas import codec
from samenloop_schemas.ids import canonical_json


def broker_places(hub: DemoHub, *only: str) -> Iterator[tuple[str, bytes]]:
    """Every record of every topic, Kafka's own included: as it lies there, and as it reads when decoded."""
    access = hub.stack.kafka_access().client_args()
    consumer = KafkaConsumer(**access, group_id=None, enable_auto_commit=False, exclude_internal_topics=False)
    try:
        for topic in only or sorted(consumer.topics()):
            parts = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            assert parts
            ends = consumer.end_offsets(parts)
            consumer.assign(parts)
            consumer.seek_to_beginning(*parts)
            pieces = [topic.encode()]
            while any(consumer.position(part) < ends[part] for part in parts):
                for record in (one for batch in consumer.poll(timeout_ms=200).values() for one in batch):
                    headers = (piece for name, value in record.headers for piece in (name.encode(), value or b""))
                    pieces += [record.key or b"", record.value or b"", *headers, _decoded(record.value)]
            yield f"topic {topic}", b"\n".join(pieces)
    finally:
        consumer.close()


def _decoded(value: bytes | None) -> bytes:
    kind = codec.type_of(value)
    return canonical_json(codec.to_plain(codec.decode(value, kind))) if kind else b""


def database_places(hub: DemoHub) -> Iterator[tuple[str, bytes]]:
    """Every table of both databases in both of PostgreSQL's ways of writing: bytes as they are, dates in letters."""
    for url in (hub.databases.admin_url(), hub.databases.admin_keys_url()):
        with psycopg.connect(url) as connection:
            name = connection.info.dbname
            tables = connection.execute(
                "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE c.relkind IN ('r', 'm', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
            ).fetchall()
            assert tables
            for schema, table in sorted(tables):
                what = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT {})")
                for form in ("binary", "text"):
                    statement = what.format(sql.Identifier(schema, table), sql.SQL(form))
                    with connection.cursor().copy(statement) as copy:
                        yield f"{name}, {schema}.{table} ({form})", b"".join(bytes(block) for block in copy)
            for view in ("pg_stat_activity", "pg_description", "pg_statistic_ext_data", "pg_stats"):
                with connection.cursor().copy(f"COPY (SELECT * FROM {view}) TO STDOUT") as copy:  # type: ignore[arg-type]
                    yield f"{name}, {view}", b"".join(bytes(block) for block in copy)


def file_places(hub: DemoHub) -> Iterator[tuple[str, bytes]]:
    """Logs, configurations, the connectors' SQLite files with their write-ahead logs; not the source's own drop folder,
    nor the servers' data, which is read through the servers."""
    apart = {hub.drop_folder, *(hub.stack.directory / name for name in ("pg", "kafka", "run"))}
    for path in sorted(hub.stack.directory.rglob("*")):
        if path.is_file() and not apart & {*path.parents}:
            yield str(path.relative_to(hub.stack.directory)), path.name.encode() + path.read_bytes()


def metrics_places(ports: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    for name, port in ports.items():
        for path in ("metrics", "livez", "readyz"):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=30) as answer:
                    yield f"{name}'s {path}", answer.read() + str(answer.headers).encode()
            except urllib.error.HTTPError as refusal:
                yield f"{name}'s {path}", refusal.read()


def process_places(hub: DemoHub) -> Iterator[tuple[str, bytes]]:
    for name, pid in hub.stack.supervisor.pids().items():
        process = psutil.Process(pid)
        yield f"{name}'s command and environment", repr((process.cmdline(), process.environ())).encode()
