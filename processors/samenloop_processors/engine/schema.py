"""Where a stage lives in PostgreSQL: schema `<name>` says which number is live, schema `<name>_v<n>` holds the state.

Engine tables stand beside the stage's own in `<name>_v<n>`, so position, effect and outbox share one transaction.
Reserved table names: input_log, position, partition_head, area_version, published, outbox, quarantined, paused_input,
replay_value, replay_quarantine.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from samenloop_processors.engine.api import Stage
from samenloop_processors.engine.errors import Misconfigured

Connection = psycopg.Connection[Any]

ENGINE_DDL = """
CREATE TABLE IF NOT EXISTS input_log(
    topic text PRIMARY KEY, cluster_id text NOT NULL, topic_id uuid NOT NULL, partitions int NOT NULL);
CREATE TABLE IF NOT EXISTS position(
    partition int, topic text COLLATE "C", next bigint NOT NULL, PRIMARY KEY (partition, topic));
CREATE TABLE IF NOT EXISTS partition_head(
    partition int PRIMARY KEY, batch_no bigint NOT NULL DEFAULT 0, outbox_seq bigint NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS area_version(area text COLLATE "C" PRIMARY KEY, version bigint NOT NULL);
CREATE TABLE IF NOT EXISTS published(
    topic text COLLATE "C", subject text COLLATE "C", area text NOT NULL, version bigint NOT NULL,
    digest bytea NOT NULL, PRIMARY KEY (topic, subject));
CREATE TABLE IF NOT EXISTS outbox(
    partition int, seq bigint, topic text NOT NULL, key bytea, value bytea, headers text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (partition, seq));
CREATE TABLE IF NOT EXISTS quarantined(
    topic text, partition int, record_offset bigint, code text, partner text NOT NULL,
    PRIMARY KEY (topic, partition, record_offset, code));
CREATE TABLE IF NOT EXISTS paused_input(
    topic text PRIMARY KEY, partner text NOT NULL, bad int NOT NULL, seen int NOT NULL,
    since timestamptz NOT NULL, until timestamptz NOT NULL);
ALTER TABLE paused_input ADD COLUMN IF NOT EXISTS area text NOT NULL DEFAULT '';
"""

REPLAY_DDL = """
CREATE TABLE replay_value(topic text, subject text, value bytea NOT NULL, PRIMARY KEY (topic, subject));
CREATE TABLE replay_quarantine(
    topic text, partition int, record_offset bigint, code text, out_topic text NOT NULL, key bytea, value bytea,
    headers text NOT NULL, PRIMARY KEY (topic, partition, record_offset, code));
"""

SESSION = {
    # a worker frozen inside its transaction lets go of its locks after this
    "idle_in_transaction_session_timeout": "3s",
    "transaction_timeout": "30s",
    "lock_timeout": "2s",
    "synchronous_commit": "on",
    "client_min_messages": "warning",
    "timezone": "UTC",
}
KEEPALIVE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


def schema_name(stage: str, version: int) -> str:
    return f"{stage}_v{version}"


def connect(url: str, search_path: str | None = None, *, name: str, guarded: bool = True) -> Connection:
    """A session of the engine, autocommit. `guarded`: with the time-outs that a stage's transactions need."""
    options = dict(SESSION) if guarded else {k: SESSION[k] for k in ("client_min_messages", "timezone")}
    if search_path:
        options["search_path"] = search_path
    flags = " ".join(f"-c {key}={value}" for key, value in options.items())
    args: dict[str, Any] = {**KEEPALIVE, "application_name": f"samenloop {name}"[:63], "options": flags}
    return psycopg.connect(url, autocommit=True, **args)


def advisory_lock(connection: Connection, what: str) -> None:
    """Held until the end of the transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"samenloop {what}",))


def live_version(connection: Connection, stage: str) -> int | None:
    """The number of the stage's live schema; None if the stage never ran."""
    if connection.execute("SELECT to_regclass(%s)", (f'"{stage}".live',)).fetchone() == (None,):
        return None
    row = connection.execute(sql.SQL("SELECT version FROM {}.live").format(sql.Identifier(stage))).fetchone()
    return None if row is None else int(row[0])


def live_schema(connection: Connection, stage: str) -> str:
    """For readers of a stage's tables (the web): the schema to put in search_path. LookupError if it never ran."""
    version = live_version(connection, stage)
    if version is None:
        raise LookupError(f"stage {stage} has no state yet")
    return schema_name(stage, version)


def ensure_live(connection: Connection, stage: Stage, partitions: int) -> str:
    """Creates what is missing of the live schema and returns its name."""
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '30s'")
        advisory_lock(connection, f"schema {stage.name}")
        version = live_version(connection, stage.name)
        if version is None:
            version = 1
            control = sql.Identifier(stage.name)
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(control))
            connection.execute(
                sql.SQL(
                    "CREATE TABLE {}.live(one bool PRIMARY KEY DEFAULT true CHECK (one), version int NOT NULL)"
                ).format(control)
            )
            connection.execute(sql.SQL("INSERT INTO {}.live(version) VALUES (%s)").format(control), (version,))
        name = schema_name(stage.name, version)
        create_schema(connection, stage, name, partitions)
    return name


def create_schema(connection: Connection, stage: Stage, name: str, partitions: int) -> None:
    """Engine and stage tables of one schema, and a head per partition. In the caller's transaction."""
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))
    connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(name)))
    connection.execute(ENGINE_DDL)
    connection.execute(stage.ddl.encode())
    heads = connection.execute("SELECT count(*) FROM partition_head").fetchone()
    if heads not in [(0,), (partitions,)]:
        raise Misconfigured(
            f"stage {stage.name} was made for {heads and heads[0]} partitions and its topics now have {partitions}: "
            "the number is fixed for the life of a prefix"
        )
    connection.execute(
        "INSERT INTO partition_head(partition) SELECT generate_series(0, %s - 1) ON CONFLICT DO NOTHING", (partitions,)
    )
