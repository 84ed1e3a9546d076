"""Rebuild beside, not over: new tables are filled from the logs while the live worker goes on, then take its place.

1. A new schema; nothing is sent while it fills. *Sending again what was sent would flood partners and people.*
2. Read up to the live positions, again and again, until little is left. *So the locks at the end are short.*
3. Lock all partition heads of the live schema. *Its workers wait at their lock time-out and retry.*
4. Catch up to exactly the live positions. *Beyond them lie records whose output the live worker has not yet queued.*
5. Compare what both have published; number and queue only the differences, after what the live outbox still holds.
6. Retire the old heads, point `live` to the new schema, commit. *One commit: no moment with two or none.*
7. Drop the old schema. Its workers find themselves retired and start again.

A rebuild that fails leaves the live schema as it was; the next one clears what it left. `shadow` stops at 5 and reports.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from samenloop_processors.engine.api import Stage
from samenloop_processors.engine.errors import EngineError, Misconfigured
from samenloop_processors.engine.handover import Differences, Handover
from samenloop_processors.engine.positions import (
    LogInspector,
    Place,
    check_logs,
    read_positions,
    starting_positions,
)
from samenloop_processors.engine.replay import LogReader, Replayer
from samenloop_processors.engine.schema import (
    REPLAY_DDL,
    Connection,
    connect,
    create_schema,
    live_version,
    schema_name,
)
from samenloop_processors.engine.transaction import StageDatabase
from samenloop_processors.settings import HubSettings
from samenloop_schemas.kafka_access import KafkaAccess

NEARLY = 2000
"""So few records left: lock and finish."""
DROP_ATTEMPTS = 9


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` and `total` are records; `phase` is "replay", "compare" or "done"."""

    phase: str
    done: int
    total: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """`swapped` is False for a shadow run."""

    stage: str
    schema: str
    records: int
    seconds: float
    locked_seconds: float
    differences: Differences
    swapped: bool


def rebuild(
    stage: Stage,
    settings: HubSettings,
    access: KafkaAccess,
    *,
    shadow: bool = False,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> RebuildReport:
    """Fills a new schema from the logs and puts it in place. Raises `EngineError` with a line for people."""
    if not stage.rebuildable:
        raise Misconfigured(f"stage {stage.name} cannot be rebuilt: its inputs do not hold everything it was made of")
    url = settings.database_url.get_secret_value()
    with connect(url, name=f"rebuild {stage.name}", guarded=False) as connection, _alone(connection, stage.name):
        version = live_version(connection, stage.name)
        if version is None:
            raise EngineError(f"stage {stage.name} never ran: there is nothing to rebuild, just run it")
        run = _Rebuild(stage, settings, access, connection, version, progress)
        try:
            return run.run(shadow)
        finally:
            run.close()


class _Rebuild:
    def __init__(
        self,
        stage: Stage,
        settings: HubSettings,
        access: KafkaAccess,
        connection: Connection,
        version: int,
        progress: Callable[[Progress], None],
    ) -> None:
        self._stage = stage
        self._connection = connection
        self._version = version
        self._old, self._new = schema_name(stage.name, version), schema_name(stage.name, version + 1)
        self._progress = progress
        self._began = time.monotonic()
        inspector = LogInspector(access)
        try:
            self._logs = inspector.look(stage.inputs)
        finally:
            inspector.close()
        self._partitions = self._logs.partitions(stage.name)
        self._reader = LogReader(access)
        self._url = settings.database_url.get_secret_value()
        self._database = StageDatabase(stage, self._url, self._new, self._partitions, settings.topics, replaying=True)
        self._replayer = Replayer(self._database)

    def run(self, shadow: bool) -> RebuildReport:
        self._search(self._old)
        check_logs(self._connection, self._stage.name, self._stage.inputs, self._logs)
        self._create()
        while self._left() > NEARLY:
            self._replay()
        swapped, locked = not shadow, time.monotonic()
        with self._connection.transaction() as transaction:
            self._connection.execute("SET LOCAL lock_timeout = '30s'")
            self._connection.execute(
                sql.SQL("SELECT FROM {}.partition_head ORDER BY partition FOR UPDATE").format(sql.Identifier(self._old))
            )
            self._replay()
            self._carry()
            self._tell("compare")
            handover = Handover(self._connection, self._stage, self._old, self._new, self._partitions)
            differences = handover.run()
            handover.swap(self._version + 1)
            if shadow:
                raise psycopg.Rollback(transaction)
        seconds = time.monotonic() - locked
        self._drop(self._new if shadow else self._old)
        self._tell("done")
        return RebuildReport(
            self._stage.name,
            self._old if shadow else self._new,
            self._replayer.applied,
            time.monotonic() - self._began,
            seconds,
            differences,
            swapped,
        )

    def close(self) -> None:
        self._database.close()
        self._reader.close()

    def _create(self) -> None:
        """Step 1, on what is left of an earlier attempt."""
        self._drop(self._new)
        with self._connection.transaction():
            create_schema(self._connection, self._stage, self._new, self._partitions)
            self._carry()
            self._connection.execute(REPLAY_DDL)
            self._connection.execute(
                sql.SQL("INSERT INTO input_log SELECT * FROM {}.input_log").format(sql.Identifier(self._old))
            )
        self._search(self._old)
        live = read_positions(self._connection)
        first, end = self._reader.bounds(sorted(live))
        self._search(self._new)
        starting_positions(self._connection, self._stage.name, first, end)
        # what is not there at a crash is made again by the next rebuild
        self._database.connection().execute("SET synchronous_commit = off")

    def _carry(self) -> None:
        """At the start, so that the replay knows of it; at the end once more, for what the live worker added meanwhile."""
        for table in self._stage.carried:
            old, new = sql.Identifier(self._old, table), sql.Identifier(self._new, table)
            self._connection.execute(sql.SQL("INSERT INTO {} SELECT * FROM {} ON CONFLICT DO NOTHING").format(new, old))

    def _positions(self) -> tuple[dict[Place, int], dict[Place, int]]:
        """Of the new schema and of the live one. A place that the live one gained meanwhile joins at its log's start."""
        self._search(self._old)
        target = read_positions(self._connection)
        self._search(self._new)
        now = read_positions(self._connection)
        if missing := sorted(set(target) - set(now)):
            first, end = self._reader.bounds(missing)
            now |= starting_positions(self._connection, self._stage.name, first, end)
        return now, target

    def _left(self) -> int:
        now, target = self._positions()
        return sum(max(0, target[p] - now[p]) for p in target)

    def _replay(self) -> None:
        now, target = self._positions()
        total = self._replayer.applied + sum(max(0, target[p] - now[p]) for p in target)

        def take(records: list[Any]) -> None:
            self._replayer.take(records)
            self._tell("replay", total)

        self._reader.read(now, target, take)

    def _tell(self, phase: str, total: int | None = None) -> None:
        done = self._replayer.applied
        self._progress(Progress(phase, done, done if total is None else total, time.monotonic() - self._began))

    def _search(self, schema: str) -> None:
        self._connection.execute("SELECT set_config('search_path', %s, false)", (f'"{schema}"',))

    def _drop(self, schema: str) -> None:
        """A worker that just lost its locks may still be looking."""
        for _ in range(DROP_ATTEMPTS):
            with suppress(psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                self._drop_now(schema)
                return
        self._drop_now(schema)

    def _drop_now(self, schema: str) -> None:
        with self._connection.transaction():
            self._connection.execute("SET LOCAL lock_timeout = '3s'")
            self._connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


@contextmanager
def _alone(connection: Connection, stage: str) -> Iterator[None]:
    """One rebuild at a time per stage; the lock goes with the session."""
    row = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (f"samenloop rebuild {stage}",)
    ).fetchone()
    if row != (True,):
        raise EngineError(f"another rebuild of stage {stage} is running")
    yield
