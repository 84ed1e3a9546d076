"""What the checks look at: the settings in the environment, and connections that are made once and shared."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from pydantic import ValidationError

from samenloop_deploy.doctor.finding import CannotTell
from samenloop_deploy.shipped import shipped
from samenloop_producers.log_in import Answer, ask_to_log_in
from samenloop_schemas.kafka_access import KafkaAccess
from samenloop_schemas.topics import Topics

if TYPE_CHECKING:
    import psycopg
    from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

    from samenloop_deploy.topology import Plan, Topology

CONNECT_TIMEOUT_S = 5
_ATTEMPTS = 5
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Edge:
    """A connector to look at: its file, and the environment in which it runs when that is not our own."""

    name: str
    config: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


class Scene:
    """Close it. Each part is opened when a check first asks for it; one that cannot be had raises `CannotTell`."""

    def __init__(self, edges: Sequence[Edge] = (), agreements: Path | None = None) -> None:
        self.edges = tuple(edges)
        self.agreement_folder = agreements or shipped("agreements")
        self._answers: dict[str, Answer] = {}
        self._open: list[Any] = []
        self._found: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._open:
            with suppress(Exception):
                one.close()

    def given(self, variable: str) -> str:
        if not (value := os.environ.get(variable)):
            raise CannotTell(f"{variable} is not set")
        return value

    @property
    def prefix(self) -> str:
        return os.environ.get("SAMENLOOP_TOPIC_PREFIX", "")

    @property
    def topics(self) -> Topics:
        return Topics(self.prefix)

    @cached_property
    def topology(self) -> Topology:
        from samenloop_deploy import topology

        return topology.load()

    @cached_property
    def plan(self) -> Plan:
        """What the broker should hold; the number of brokers decides about replicas."""
        return self.topology.plan(self.prefix, single_node=len(self.cluster["brokers"]) == 1)

    def access(self) -> KafkaAccess:
        self.given("SAMENLOOP_KAFKA_BOOTSTRAP")
        try:
            return KafkaAccess()  # type: ignore[call-arg]  # from the environment
        except ValidationError:
            raise CannotTell("the broker's settings are not complete") from None

    def answers(self) -> dict[str, Answer]:
        """What each address says to a log-in."""
        access = self.access()
        if not self._answers:
            self._answers = {server: ask_to_log_in(access, server) for server in access.bootstrap.split(",")}
        return self._answers

    def let_in(self) -> KafkaAccess:
        """Access with which a client can work: kafka-python keeps trying for long where it cannot."""
        if Answer.LET_IN not in self.answers().values():
            raise CannotTell("the broker does not let us in")
        return self.access()

    @cached_property
    def admin(self) -> KafkaAdminClient:
        from kafka import KafkaAdminClient

        return self._kept(KafkaAdminClient(**self.let_in().client_args(), request_timeout_ms=10_000))

    @cached_property
    def consumer(self) -> KafkaConsumer:
        from kafka import KafkaConsumer

        args = self.let_in().client_args()
        return self._kept(KafkaConsumer(**args, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"))

    def bounds(self, parts: Sequence[TopicPartition]) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """First offset kept and next offset to be written. Raises KafkaError."""
        for _ in range(_ATTEMPTS):
            try:
                return self.consumer.beginning_offsets(parts), self.consumer.end_offsets(parts)
            except KeyError:
                # kafka-python 3.0 answers for the topics of which it knows the leader, and stumbles over the others.
                for topic in {part.topic for part in parts}:
                    self.consumer.partitions_for_topic(topic)
        raise CannotTell("the broker does not say where its logs end")

    @cached_property
    def cluster(self) -> dict[str, Any]:
        return dict(self.admin.describe_cluster())

    @cached_property
    def seen(self) -> dict[str, dict[str, Any]]:
        """Every topic that this user may see, by name, as the broker describes it."""
        return {t["name"]: t for t in self.admin.describe_topics() if not t["is_internal"]}

    @property
    def ours(self) -> dict[str, dict[str, Any]]:
        """Those of them that the topology names. Raises `CannotTell` when there is none."""
        wanted = set(self.topology.topic_names(self.prefix))
        found = {name: topic for name, topic in self.seen.items() if name in wanted}
        if not found:
            raise CannotTell("this user sees no topic of ours")
        return found

    @cached_property
    def database(self) -> psycopg.Connection[Any]:
        return self._connected("DATABASE_URL")

    @cached_property
    def keys_database(self) -> psycopg.Connection[Any]:
        return self._connected("SAMENLOOP_KEYS_URL")

    def readable(self, schema: str) -> bool:
        """Whether this role may look into a schema of the hub's database. Raises `CannotTell` when it is not there."""
        row = self.database.execute(
            "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = %s", (schema,)
        ).fetchone()
        if row is None:
            raise CannotTell(f"there is no schema {schema} yet")
        return bool(row[0])

    def live(self, stage: str) -> str | None:
        """The schema that holds a stage's state now; None when it never ran. Raises `CannotTell` for want of rights."""
        from samenloop_processors.engine.schema import live_version, schema_name

        if self.database.execute("SELECT FROM pg_namespace WHERE nspname = %s", (stage,)).fetchone() is None:
            return None
        if not self.readable(stage):
            raise CannotTell(f"this role may not look into the state of {stage}")
        version = live_version(self.database, stage)
        return None if version is None else schema_name(stage, version)

    def once(self, name: str, find: Callable[[], T]) -> T:
        """What several checks ask for, found by the first."""
        if name not in self._found:
            self._found[name] = find()
        return cast(T, self._found[name])

    def _connected(self, variable: str) -> psycopg.Connection[Any]:
        """For checks behind the log-in, which another check is about."""
        url = self.given(variable)
        import psycopg

        try:
            connection = psycopg.connect(
                url,
                connect_timeout=CONNECT_TIMEOUT_S,
                autocommit=True,
                application_name="samenloop doctor",
                options="-c statement_timeout=10s -c timezone=UTC",
            )
        except psycopg.Error:
            raise CannotTell("the database does not let us in") from None
        self._open.append(connection)
        return connection

    def _kept(self, one: Any) -> Any:
        self._open.append(one)
        return one
