"""Where a stage stands in its logs, and whether they are still the same logs.

A position is worth nothing without the log it belongs to: after a topic was deleted and made anew, or a broker restored,
the same number points at other records, and everything below it would be skipped in silence. So each position carries the
cluster's id and the topic's UUID.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from samenloop_processors.engine.errors import Gap, Misconfigured, Unreachable, WrongLog
from samenloop_processors.engine.schema import Connection
from samenloop_schemas.kafka_access import KafkaAccess

Place = tuple[str, int]
_UNKNOWN_TOPIC = 3
_NOT_AUTHORISED = 29


@dataclass(frozen=True, slots=True)
class Logs:
    """What the broker says about topics now: `topics` maps a name to its UUID and number of partitions."""

    cluster_id: str
    topics: Mapping[str, tuple[UUID, int]]

    def partitions(self, stage: str) -> int:
        """The one number of partitions. Raises `Misconfigured` when topics differ: they would not be co-partitioned."""
        numbers = {count for _, count in self.topics.values()}
        if len(numbers) != 1:
            found = ", ".join(f"{name} {count}" for name, (_, count) in sorted(self.topics.items()))
            raise Misconfigured(f"topics of stage {stage} differ in their number of partitions: {found}")
        return numbers.pop()


class LogInspector:
    """A small admin client of its own; needs Describe on the topics (which Read and Write imply) and nothing else."""

    def __init__(self, access: KafkaAccess, *, timeout_s: float = 10.0) -> None:
        self._access = access
        self._timeout_ms = int(timeout_s * 1000)
        self._admin: KafkaAdminClient | None = None

    def look(self, topics: Collection[str]) -> Logs:
        """Raises `Unreachable` (also for a wrong password) or `Misconfigured` naming the topics that are not there."""
        try:
            if self._admin is None:
                self._admin = KafkaAdminClient(
                    **self._access.client_args(),
                    request_timeout_ms=self._timeout_ms,
                    bootstrap_timeout_ms=self._timeout_ms,
                )
            described: Sequence[Mapping[str, Any]] = self._admin.describe_topics(sorted(topics))
            cluster_id = str(self._admin.describe_cluster()["cluster_id"])
        except KafkaError as error:
            self.close()
            raise Unreachable(
                f"broker {self._access.bootstrap} does not answer user {self._access.username} "
                f"({type(error).__name__}): is it up, is the password right?"
            ) from error
        missing = [t["name"] for t in described if t["error_code"] in (_UNKNOWN_TOPIC, _NOT_AUTHORISED)]
        if missing:
            raise Misconfigured(
                f"no such topics, or user {self._access.username} has no right on them: {', '.join(sorted(missing))}"
            )
        if failed := [t["name"] for t in described if t["error_code"]]:
            raise Unreachable(f"the broker has no leader yet for {', '.join(sorted(failed))}")
        return Logs(cluster_id, {t["name"]: (UUID(str(t["topic_id"])), len(t["partitions"])) for t in described})

    def close(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()


def check_logs(connection: Connection, stage: str, inputs: Collection[str], logs: Logs) -> None:
    """Binds positions to their logs the first time; later raises `WrongLog` if a log is another one."""
    rows = connection.execute("SELECT topic, cluster_id, topic_id FROM input_log").fetchall()
    known = {topic: (cluster_id, topic_id) for topic, cluster_id, topic_id in rows}
    for topic in sorted(inputs):
        topic_id, partitions = logs.topics[topic]
        if topic not in known:
            connection.execute(
                "INSERT INTO input_log VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (topic, logs.cluster_id, topic_id, partitions),
            )
        elif known[topic][0] != logs.cluster_id:
            raise WrongLog(
                f"{topic} is on cluster {logs.cluster_id}, the position belongs to cluster {known[topic][0]}", stage
            )
        elif known[topic][1] != topic_id:
            raise WrongLog(f"{topic} was deleted and made anew since the position was written", stage)


def starting_positions(
    connection: Connection, stage: str, first: Mapping[Place, int], end: Mapping[Place, int]
) -> dict[Place, int]:
    """The position of each place, made at the start of its log if there is none yet.

    `first` and `end`: first offset kept and next offset to be written. Raises `Gap` or `WrongLog` outside them.
    """
    places = sorted(first)
    connection.execute(
        "INSERT INTO position(topic, partition, next) SELECT * FROM unnest(%s::text[], %s::int[], %s::bigint[]) "
        "ON CONFLICT DO NOTHING",
        ([t for t, _ in places], [p for _, p in places], [first[p] for p in places]),
    )
    found = read_positions(connection)
    for place in places:
        name, position = f"{place[0]}/{place[1]}", found[place]
        if position < first[place]:
            raise Gap(
                f"{name}: the log now starts at {first[place]}, the position is {position}: "
                f"{first[place] - position} records are gone before they were read. "
                f"Restore them, rebuild, or accept the loss with: samenloop stage rebase {stage}"
            )
        if position > end[place]:
            raise WrongLog(f"{name}: the log ends at {end[place]}, the position is {position}", stage)
    return {place: found[place] for place in places}


def read_positions(connection: Connection) -> dict[Place, int]:
    rows = connection.execute("SELECT topic, partition, next FROM position").fetchall()
    return {(topic, partition): next_ for topic, partition, next_ in rows}
