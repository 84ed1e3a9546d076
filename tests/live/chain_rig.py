"""The hub's whole chain as the demo starts it, on topics and tables of its own; what went in, and what it came to."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from chain_world import AREAS, DAYS, Said, World
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from pydantic import SecretStr
from wire import PARTITIONS, Record, Wire

from samenloop_deploy import topology_apply
from samenloop_deploy.cli.stages import build
from samenloop_deploy.demo.hub import OPENERS, STAGES, DemoHub, Secrets
from samenloop_deploy.local import Databases, LocalStack
from samenloop_deploy.local.supervisor import tail
from samenloop_processors.clock.run import ClockSettings, run_clock
from samenloop_processors.engine.api import Stage
from samenloop_processors.engine.schema import live_schema
from samenloop_processors.engine.status import export
from samenloop_processors.intake.stage import IntakeSettings
from samenloop_processors.intake.stage import build as build_intake
from samenloop_processors.settings import HubSettings
from samenloop_schemas import codec, sealing
from samenloop_schemas.codes import DecisionKind, NoticeChange
from samenloop_schemas.ids import canonical_json
from samenloop_schemas.kafka_access import KafkaAccess
from samenloop_schemas.records import Decision, NoticeBasis, NoticeSent
from samenloop_schemas.topics import Topics, area_key

SESSION_TIMEOUT_S = 6
PATIENCE_S = 150
_TELLS = (NoticeChange.NEW, NoticeChange.GROWN)
_DELIVERY = ("contact_by", "coordinator_by")
"""Of a stated case: counted from the day on which somebody was first told, which is a delivery and no part of F."""

Exports = dict[str, list[bytes]]
Standing = Counter[tuple[str, str, str, str]]
"""(area, case, recipient, other party), and how many notices that were neither recalled nor ended say so."""


@dataclass(frozen=True, slots=True)
class Outcome:
    exports: Exports
    standing: Standing


class _Clock(ClockSettings):
    """The clock's settings with an access that does not come from the environment."""

    access: KafkaAccess

    def kafka(self) -> KafkaAccess:
        return self.access


class _Hub(DemoHub):
    """The broker's clock is told by the world here, so a shuffled feed jumps by weeks: nothing may count as having waited long."""

    def stage_environment(self, name: str) -> dict[str, str]:
        return super().stage_environment(name) | ({"SAMENLOOP_WAITING_DAYS": "3650"} if name == "intake" else {})


class Chain:
    """Four stages and the notifier on one prefix. `world` is what may be sent; the keys are shared with other chains."""

    def __init__(
        self,
        stack: LocalStack,
        admin: KafkaAdminClient,
        wire: Wire,
        databases: Databases,
        hub_secrets: Secrets,
        world: World,
        logs: Path,
    ) -> None:
        self.stack, self.wire, self.databases, self.world = stack, wire, databases, world
        self.plan = stack.topology.plan(
            f"t{secrets.token_hex(4)}.", partitions=PARTITIONS, single_node=True, timestamps_from_sender=True
        )
        topology_apply.apply(self.plan, admin)
        self._admin = admin
        self.hub = _Hub(
            stack,
            0,
            self.plan.prefix,
            databases=databases,
            secrets=hub_secrets,
            logs=logs,
            session_timeout_s=SESSION_TIMEOUT_S,
        )
        self.topics: Topics = self.hub.topics
        self.inputs = {name: self.stage(name).inputs for name in STAGES}
        self.sent: Counter[str] = Counter()
        self.children: list[str] = []
        self._consumer: KafkaConsumer | None = None
        self._connection: psycopg.Connection[Any] | None = None

    # processes

    def start(self, *, agreed: bool = True) -> None:
        """Everything but the clock, which is told. `agreed`: the agreements are published, if not yet read everywhere."""
        if agreed:
            self.decide(self.world.agreements)
        for name in STAGES:
            self.start_stage(name)
        self.hub.start_notifier()
        self.children.append("notifier")

    def start_stage(self, name: str, slot: int = 0, *, restart: bool = True) -> str:
        child = self.hub.start_stage(name, slot, restart=restart)
        if child not in self.children:
            self.children.append(child)
        return child

    def signal(self, child: str, number: signal.Signals) -> None:
        """To the process as it runs now; the supervisor starts it again when it ends."""
        self.wait(lambda: self.stack.supervisor.pid(child) is not None, f"{child} to run")
        os.kill(self.stack.supervisor.pid(child) or 0, number)

    def stop(self) -> None:
        running = [child for child in self.children if self.stack.supervisor.pid(child)]
        for child in running:
            os.kill(self.stack.supervisor.pid(child) or 0, signal.SIGCONT)
        self.stack.supervisor.stop(*running)
        self.children.clear()

    def close(self) -> None:
        self.stop()
        if self._consumer:
            self._consumer.close()
        if self._connection:
            self._connection.close()
        topology_apply.remove(self.plan, self._admin)

    # what goes in

    def send(self, said: Iterable[Said], pace: float = 0.0) -> None:
        """As the partners themselves; `pace` is statements per second, 0 as fast as it goes."""
        futures, began = [], time.monotonic()
        for number, one in enumerate(said):
            producer = self.wire.producer(one.partner)
            at = int(one.at.timestamp() * 1000)
            key = area_key(one.statement.area)
            futures.append(producer.send(self.topics.inbox(one.partner), key=key, value=one.data, timestamp_ms=at))
            self.sent[str(one.statement.statement_id)] += 1
            if pace and (ahead := (number + 1) / pace - (time.monotonic() - began)) > 0:
                time.sleep(ahead)
        for future in futures:
            future.get(60)

    def decide(self, decisions: Sequence[Decision]) -> None:
        producer = self.wire.producer("hub-web")
        for decision in decisions:
            value = codec.encode(decision)
            producer.send(self.topics.decisions, key=area_key(decision.area), value=value).get(30)

    def tell_days(self, *until: date) -> None:
        settings = _Clock(topic_prefix=self.topics.prefix, access=self.stack.kafka_access("hub-clock"))
        for day in until or DAYS:
            run_clock(settings, AREAS, until=day)

    # rest

    def wait(self, condition: Callable[[], bool], what: str, timeout: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            for child in self.children:
                self.stack.supervisor.check(child)
            assert time.monotonic() < deadline, f"not within {timeout} s: {what}\nseed {self.world.seed}\n{self.logs()}"
            time.sleep(0.05)

    def rest(self, timeout: float = PATIENCE_S) -> None:
        """Until nothing is on its way any more: looked at twice, in the order of the flow."""
        try:
            self.wait(lambda: self.at_rest() and self.at_rest(), "rest", timeout)
        except AssertionError as error:
            left = {name: self.waiting(name) for name in STAGES}
            raise AssertionError(f"still to be done: {left}, and {self._due()} notices\n{error}") from None

    def at_rest(self) -> bool:
        return all(self.waiting(name) == 0 for name in STAGES) and self._due() == 0

    def logs(self) -> str:
        return "\n".join(f"--- {file.name}\n{tail(file)}" for file in sorted(self.hub.logs.glob("*.log")))

    def end_offsets(self) -> dict[str, int]:
        """Of every topic, the sum over its partitions."""
        names = [topic.name for topic in self.plan.topics]
        return {name: sum(self._ends([name]).values()) for name in names}

    def query(self, stage: str, query: str) -> list[Any]:
        """In the live tables of a stage, as the administrator. LookupError when it never ran."""
        if self._connection is None or self._connection.closed:  # a test may have taken the server away
            self._connection = psycopg.connect(self.databases.admin_url(), autocommit=True)
        try:
            schema = live_schema(self._connection, stage)
        except psycopg.OperationalError:
            if not self._connection.closed:
                raise
            return self.query(stage, query)
        self._connection.execute("SELECT set_config('search_path', %s, false)", (f'"{schema}"',))
        return self._connection.execute(query.encode()).fetchall()

    def waiting(self, stage: str) -> int | None:
        """Records not applied and rows not sent; None while there are no tables."""
        ends = self._ends(self.inputs[stage])
        try:
            rows = self.query(
                stage,
                "SELECT topic, partition, next, (SELECT count(*) FROM outbox) FROM position",
            )
        except (LookupError, psycopg.errors.UndefinedTable):
            return None
        positions = {(topic, number): following for topic, number, following, _ in rows}
        left = sum(end - positions.get((part.topic, part.partition), 0) for part, end in ends.items())
        return int(left + (rows[0][3] if rows else 0))

    def _due(self) -> int:
        return int(self.query("views", "SELECT count(*) FROM due_notice")[0][0])

    def _ends(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        if self._consumer is None:
            args = self.stack.kafka_access().client_args()
            self._consumer = KafkaConsumer(**args, group_id=None, enable_auto_commit=False)
            self._consumer.assign([TopicPartition(t.name, n) for t in self.plan.topics for n in range(PARTITIONS)])
        parts = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
        return dict(self._consumer.end_offsets(parts))

    # what it came to

    def settings(self, stage: str) -> HubSettings:
        """The stage's own, as its process gets them."""
        opens = stage in OPENERS
        known = self.hub.secrets

        def text(key: bytes) -> SecretStr:
            return SecretStr(sealing.key_to_text(key))

        return HubSettings(
            database_url=SecretStr(self.databases.url(stage)),
            topic_prefix=self.topics.prefix,
            keys_url=SecretStr(self.databases.keys_url(stage)) if opens else None,
            kek=text(known.kek) if opens else None,
            matching_key=text(known.matching_key) if stage == "intake" else None,
            hub_private_key=text(known.hub_key[0]) if stage == "intake" else None,
        )

    def stage(self, name: str) -> Stage:
        settings = self.settings(name)
        if name == "intake":
            return build_intake(settings, IntakeSettings(partners=",".join(self.hub.partners)))
        return build(name, settings)

    def export(self, name: str) -> list[bytes]:
        """The lines of `samenloop stage export`."""
        return sorted(canonical_json(row) for row in export(self.stage(name), self.settings(name)))

    def outcome(self) -> Outcome:
        """Every stage's export, without what hangs on deliveries; and the notices net of recalls."""
        exports: Exports = {}
        for name in STAGES:
            rows = export(self.stage(name), self.settings(name))
            exports[name] = sorted(canonical_json({k: v for k, v in row.items() if k not in _DELIVERY}) for row in rows)
        return Outcome(exports, self.standing())

    def notices(self, kind: DecisionKind = DecisionKind.NOTICE_DELIVERED) -> dict[UUID, NoticeSent]:
        """In the order of the log; a repeat under one notice id is one."""
        found: dict[UUID, NoticeSent] = {}
        for record in self.wire.read(self.topics.decisions):
            decision = _decision(record)
            if decision and decision.kind is kind and isinstance(decision.payload, NoticeSent):
                known = found.setdefault(decision.payload.notice_id, decision.payload)
                assert known == decision.payload, "one notice id, two contents"
        return found

    def told(self) -> Counter[tuple[str, NoticeBasis]]:
        """Told minus recalled minus ended, by the decisions alone."""
        told: Counter[tuple[str, NoticeBasis]] = Counter()
        for sent in self.notices().values():
            for basis in sent.about:
                told[sent.recipient, basis] = told[sent.recipient, basis] + 1 if sent.change in _TELLS else 0
        return +told

    def standing(self) -> Standing:
        """What stands told, laid beside the cases as overlaps exports them now."""
        cases: dict[str, tuple[str, str]] = {}
        for row in export(self.stage("overlaps"), self.settings("overlaps")):
            if row["row"] == "case" and not row["over"]:
                cases |= {fact["involvement_id"]: (row["area"], row["case_id"]) for fact in row["facts"]}
        found: Standing = Counter()
        for (recipient, basis), times in self.told().items():
            own, other = ({cases.get(fact, ("", "no case")) for fact in facts} for facts in (basis.own, basis.other))
            found[(*max(own & other, default=("", "no case")), recipient, basis.party)] += times
        return found


def the_same(chain: Chain, calm: Outcome) -> None:
    """Every export byte for byte, and who stands told of whom."""
    found, seed = chain.outcome(), chain.world.seed
    for stage in STAGES:
        mine, theirs = set(found.exports[stage]), set(calm.exports[stage])
        differ = sorted([*((row, "-") for row in theirs - mine), *((row, "+") for row in mine - theirs)])
        assert found.exports[stage] == calm.exports[stage], f"seed {seed}: {stage} differs in {len(differ)} rows\n" + (
            "\n".join(f"{sign} {row.decode()[:1500]}" for row, sign in differ[:8])
        )
    assert set(found.standing) == set(calm.standing), f"seed {seed}"


def _decision(record: Record) -> Decision | None:
    try:
        return codec.decode(record.value or b"", Decision)
    except codec.Undecodable:
        return None


@dataclass(slots=True)
class Chains:
    """Makes chains that share their secrets, their keys and their world."""

    stack: LocalStack
    admin: KafkaAdminClient
    wire: Wire
    directory: Path
    keys: Databases
    secrets: Secrets
    world: World
    made: list[tuple[Chain, Databases]]

    @contextmanager
    def running(self, name: str, *, agreed: bool = True) -> Iterator[Chain]:
        """A chain that was started; its processes end with the block, its topics and tables with the session."""
        databases = self.stack.new_databases(secrets.token_hex(4))
        mine = replace(databases, keys=self.keys.keys)
        logs = self.directory / name
        chain = Chain(self.stack, self.admin, self.wire, mine, self.secrets, self.world, logs)
        self.made.append((chain, databases))
        try:
            chain.start(agreed=agreed)
            yield chain
        finally:
            chain.stop()

    def close(self) -> None:
        for chain, databases in self.made:
            chain.close()
            databases.drop()
        self.keys.drop()
