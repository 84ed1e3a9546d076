"""Intake as a worker process of its own, what may be said to it, and what it answered."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from wire import Wire

from samenloop_deploy.local import Databases, LocalStack
from samenloop_processors.agreement import agreement_decision, load_agreement
from samenloop_processors.intake import store, waiting
from samenloop_schemas import codec, sealing
from samenloop_schemas.codes import Consent, Domain, ReceiptCode, ReceiptKind, Role, Sensitivity, Status
from samenloop_schemas.dates import PartialDate
from samenloop_schemas.ids import derived_id, keyed_hash
from samenloop_schemas.records import (
    AcceptedStatement,
    Actor,
    InvolvementStatement,
    PersonIdentity,
    Receipt,
)
from samenloop_schemas.topics import Topics

KEK, MATCHING = bytes(range(32)), bytes(range(1, 33))
PRIVATE, PUBLIC = sealing.new_hub_key()
AGREEMENT = load_agreement(Path(__file__).parents[2] / "deploy" / "agreements" / "a2.yaml")
T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)
BSN = "999900006"
BOTH = ("backoffice", "smwo")


def ref(text: str) -> str:
    return keyed_hash(b"edge", text)


def seal(person: PersonIdentity) -> bytes:
    return sealing.seal(sealing.public_key(PUBLIC), codec.encode(person))


def stated(case: str = "1", person: dict[str, Any] | None = None, **fields: Any) -> InvolvementStatement:
    """A municipality's youth involvement; identities sealed for this statement."""
    statement = InvolvementStatement(
        area="a2",
        organisation="gemeente-valkenswaard",
        source_system="gws",
        case_ref=ref(f"case {case}"),
        person_ref=ref(f"person {case}"),
        revision=3,
        stated_at=T0,
        confirmed_on=T0.date(),
        status=Status.ACTIVE,
        starts_on=date(2026, 2, 1),
        domain=Domain.JW,
        service_group="youth_help",
        role=Role.HELP,
        legal_basis="jw_7_1",
        purpose="early_coordination",
        consent=Consent.NOT_ASKED,
        sensitivity=Sensitivity.NORMAL,
        identity_revision=3,
    )
    statement = replace(statement, **fields)
    statement = replace(statement, statement_id=derived_id("test", repr(statement), repr(person)))
    said: dict[str, Any] = {"surname": "Jansen", "birth_date": PartialDate(2014, 5, 17), "bsn": BSN} | (person or {})
    said = {"statement_id": statement.statement_id, "organisation": statement.organisation} | said
    return replace(
        statement,
        identity=None if statement.status is Status.RETRACTED else seal(PersonIdentity(**said)),
        relations=tuple(
            replace(r, identity=seal(PersonIdentity(statement.statement_id, statement.organisation, surname="Bos")))
            for r in statement.relations
        ),
    )


SOCIAL_WORK: dict[str, Any] = {
    "organisation": "lumens",
    "source_system": "regas",
    "domain": Domain.WMO,
    "service_group": "social_work",
    "legal_basis": "wmo_5_2",
}


@dataclass
class Rig:
    stack: LocalStack
    databases: Databases
    topics: Topics
    wire: Wire
    directory: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    now: datetime = T0 + timedelta(hours=1)

    def start(self) -> subprocess.Popen[bytes]:
        environment = {
            **self.stack.kafka_access("hub-intake").environment(),
            "DATABASE_URL": self.databases.url("intake"),
            "SAMENLOOP_TOPIC_PREFIX": self.topics.prefix,
            "SAMENLOOP_KEYS_URL": self.databases.keys_url("intake"),
            "SAMENLOOP_KEK": sealing.key_to_text(KEK),
            "SAMENLOOP_MATCHING_KEY": sealing.key_to_text(MATCHING),
            "SAMENLOOP_HUB_PRIVATE_KEY": sealing.key_to_text(PRIVATE),
            "SAMENLOOP_PARTNERS": ",".join(BOTH),
            "SAMENLOOP_SESSION_TIMEOUT_S": "6",
        }
        with (self.directory / "worker.log").open("ab") as log:
            self.workers.append(
                subprocess.Popen([sys.executable, "-c", WORKER], env=os.environ | environment, stdout=log, stderr=log)
            )
        return self.workers[-1]

    def stop(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait(10)

    def raw(self, topic: str, value: bytes | None, key: bytes = b"a2", **options: Any) -> None:
        at = int(self.now.timestamp() * 1000)
        self.wire.produce(topic, key, value, timestamp_ms=at, **options)

    def say(self, statement: InvolvementStatement, partner: str = "backoffice") -> InvolvementStatement:
        self.raw(self.topics.inbox(partner), codec.encode(statement), principal=partner)
        return statement

    def publish(self) -> None:
        decision = agreement_decision(AGREEMENT, Actor(), datetime(2026, 1, 5, tzinfo=UTC))
        self.raw(self.topics.decisions, codec.encode(decision), principal="hub-web")

    def receipts(self, *statements: InvolvementStatement, partner: str = "backoffice") -> dict[UUID, Receipt]:
        """The last receipt of each statement, as the partner itself reads them, once all of these were answered.

        Statements go out before their receipts, so what these statements led to is on `involvements` by then.
        """
        wanted = {statement.statement_id for statement in statements}
        deadline = time.monotonic() + 40
        while True:
            records = self.wire.read(self.topics.receipts(partner), principal=partner)
            found = [codec.decode(record.value, Receipt) for record in records]
            if wanted <= {receipt.statement_id for receipt in found}:
                return {receipt.statement_id: receipt for receipt in found}
            assert time.monotonic() < deadline, "not all were answered"

    def verdicts(self, *statements: InvolvementStatement) -> dict[UUID, tuple[ReceiptKind, tuple[ReceiptCode, ...]]]:
        return {sid: (receipt.kind, receipt.codes) for sid, receipt in self.receipts(*statements).items()}

    def accepted(self) -> dict[UUID, AcceptedStatement]:
        """What is on `involvements` now. The broker may hold a statement twice, but never in two encryptions."""
        found = [codec.decode(record.value, AcceptedStatement) for record in self.wire.read(self.topics.involvements)]
        by_id = {statement.statement_id: statement for statement in found}
        assert all(by_id[statement.statement_id] == statement for statement in found)
        return by_id

    def ready(self) -> None:
        """Until something is accepted: from then on the agreement was read, whatever topic comes first."""
        self.publish()
        self.start()
        probe = self.say(stated("probe"))
        while self.receipts(probe)[probe.statement_id].kind is not ReceiptKind.ACCEPTED:
            time.sleep(0.05)

    def restart(self) -> None:
        self.workers[-1].kill()
        self.workers[-1].wait(10)
        self.start()

    def export(self) -> list[dict[str, Any]]:
        with psycopg.connect(self.databases.admin_url()) as connection:
            connection.execute("SET search_path = intake_v1")
            return [*store.export(connection, "a2"), *waiting.export(connection, "a2")]


WORKER = """
import sys
from samenloop_processors.engine.worker import run_stage
from samenloop_processors.intake.stage import build
from samenloop_processors.settings import HubSettings
settings = HubSettings()
sys.exit(run_stage(build(settings), settings))
"""
