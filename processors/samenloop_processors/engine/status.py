"""What an operator can see of a stage and do to its positions, without a worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from samenloop_processors.engine.api import Stage
from samenloop_processors.engine.errors import EngineError
from samenloop_processors.engine.positions import LogInspector, check_logs, read_positions
from samenloop_processors.engine.replay import LogReader
from samenloop_processors.engine.schema import Connection, connect, live_schema
from samenloop_processors.settings import HubSettings
from samenloop_schemas.kafka_access import KafkaAccess

RebaseTo = Literal["earliest", "end", "keep"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One input partition: `first` offset kept, `end` next offset to be written, `position` next to be applied."""

    topic: str
    partition: int
    first: int
    position: int
    end: int

    @property
    def waiting(self) -> int:
        return max(0, self.end - self.position)


@dataclass(frozen=True, slots=True)
class Status:
    stage: str
    schema: str
    inputs: list[Standing]
    outbox_rows: int
    outbox_oldest_seconds: float
    quarantined: dict[str, int]
    """Per reason."""
    paused: dict[str, str]
    """Topic to the time until which it is paused."""
    published: int
    trouble: str | None
    """Why a worker would refuse to start, if it would."""

    @property
    def waiting(self) -> int:
        return sum(standing.waiting for standing in self.inputs)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"waiting": self.waiting}


def status(stage: Stage, settings: HubSettings, access: KafkaAccess) -> Status:
    """Looks at the tables and the broker. LookupError if the stage never ran."""
    with _session(stage, settings) as connection:
        trouble: str | None = None
        inspector = LogInspector(access)
        try:
            check_logs(connection, stage.name, stage.inputs, inspector.look(stage.inputs))
        except EngineError as error:
            trouble = str(error)
        finally:
            inspector.close()
        rows, oldest = _one(
            connection, "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM outbox"
        )
        quarantined = connection.execute(
            "SELECT code, count(*) FROM quarantined GROUP BY code ORDER BY code"
        ).fetchall()
        paused = connection.execute(
            "SELECT topic, until FROM paused_input WHERE until > now() ORDER BY topic"
        ).fetchall()
        return Status(
            stage.name,
            live_schema(connection, stage.name),
            _standings(connection, access),
            rows,
            oldest,
            dict(quarantined),
            {topic: until.isoformat() for topic, until in paused},
            _one(connection, "SELECT count(*) FROM published")[0],
            trouble,
        )


def export(stage: Stage, settings: HubSettings, area: str | None = None) -> Iterator[dict[str, Any]]:
    """The stage's state as canonical rows, from one snapshot."""
    with _session(stage, settings) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield from stage.export(connection, area)


def rebase(stage: Stage, settings: HubSettings, access: KafkaAccess, to: RebaseTo = "earliest") -> list[Standing]:
    """Binds the positions to the logs as they are now. Stop the workers first.

    "earliest": read everything again, which full statements make harmless; "end": skip what is there, which loses it;
    "keep": trust the numbers, where the log still holds them. Returns where the stage stands afterwards.
    """
    inspector = LogInspector(access)
    try:
        logs = inspector.look(stage.inputs)
    finally:
        inspector.close()
    with _session(stage, settings) as connection, connection.transaction():
        connection.execute("SELECT FROM partition_head ORDER BY partition FOR UPDATE")
        for standing in _standings(connection, access):
            position = {"earliest": standing.first, "end": standing.end}.get(to, standing.position)
            connection.execute(
                "UPDATE position SET next = %s WHERE topic = %s AND partition = %s",
                (min(max(position, standing.first), standing.end), standing.topic, standing.partition),
            )
        connection.execute("DELETE FROM input_log")
        check_logs(connection, stage.name, stage.inputs, logs)
        # caches of a worker that was not stopped after all
        connection.execute("UPDATE partition_head SET batch_no = batch_no + 1")
        return _standings(connection, access)


def resume(stage: Stage, settings: HubSettings, topic: str) -> bool:
    """Ends the pause of a partner's topic now. False if it was not paused."""
    with _session(stage, settings) as connection:
        ended = "UPDATE paused_input SET until = now() WHERE topic = %s AND until > now()"
        return bool(connection.execute(ended, (topic,)).rowcount)


def _session(stage: Stage, settings: HubSettings) -> Connection:
    url = settings.database_url.get_secret_value()
    connection = connect(url, name=f"look at {stage.name}", guarded=False)
    connection.execute("SELECT set_config('search_path', %s, false)", (f'"{live_schema(connection, stage.name)}"',))
    return connection


def _standings(connection: Connection, access: KafkaAccess) -> list[Standing]:
    positions = read_positions(connection)
    reader = LogReader(access)
    try:
        first, end = reader.bounds(sorted(positions))
    finally:
        reader.close()
    return [Standing(*place, first[place], positions[place], end[place]) for place in sorted(positions)]


def _one(connection: Connection, query: str) -> Any:
    return connection.execute(query.encode()).fetchone()
