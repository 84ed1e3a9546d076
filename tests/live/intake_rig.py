"""Intake alone as its own process, on topics and databases of its own, with the operator's command line beside it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from typer.testing import CliRunner
from wire import Record, Wire

from samenloop_deploy.cli.main import app
from samenloop_deploy.local import Databases, LocalStack
from samenloop_deploy.shipped import shipped
from samenloop_processors import keys
from samenloop_processors.agreement import agreement_decision, load_agreement
from samenloop_schemas import codec, sealing
from samenloop_schemas.codes import Consent, Domain, ReceiptKind, Role, Sensitivity, Status
from samenloop_schemas.dates import PartialDate
from samenloop_schemas.ids import derived_id, keyed_hash
from samenloop_schemas.records import Actor, InvolvementStatement, PersonIdentity, Receipt
from samenloop_schemas.topics import Topics

PARTNERS = ("backoffice", "smwo")
HUB_KEY = sealing.new_hub_key()
WRONG_KEY = sealing.new_hub_key()
_SECRETS = {
    "SAMENLOOP_KEK": sealing.key_to_text(bytes(range(32))),
    "SAMENLOOP_MATCHING_KEY": sealing.key_to_text(bytes(range(1, 33))),
}
_OF = {
    "smwo": ("lumens", "regas", Domain.WMO, "social_work", "wmo_5_2"),
    "backoffice": ("gemeente-valkenswaard", "gws", Domain.PW, "income_support", "pw_64"),
}


def stated(partner: str, case: str, **changes: Any) -> InvolvementStatement:
    """A statement that the gate lets through, sealed for the hub."""
    organisation, system, domain, group, basis = _OF[partner]
    said = InvolvementStatement(
        area="a2",
        organisation=organisation,
        source_system=system,
        case_ref=keyed_hash(b"edge", partner, case),
        person_ref=keyed_hash(b"edge", partner, "person", case),
        revision=1,
        stated_at=datetime.now(UTC).replace(microsecond=0),
        status=Status.ACTIVE,
        starts_on=date(2026, 1, 5),
        domain=domain,
        service_group=group,
        role=Role.HELP,
        legal_basis=basis,
        purpose="early_coordination",
        consent=Consent.NOT_ASKED,
        sensitivity=Sensitivity.NORMAL,
        identity_revision=1,
    )
    said = replace(said, **changes)
    said = replace(said, statement_id=derived_id("test", partner, repr(said)))
    person = PersonIdentity(
        said.statement_id, said.organisation, surname="Zwartkruis", birth_date=PartialDate(1980, 2, 1)
    )
    return replace(said, identity=sealing.seal(sealing.public_key(HUB_KEY[1]), codec.encode(person)))


@dataclass
class Outcome:
    """What the command line answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out.strip().splitlines()[-1])


@dataclass
class IntakeRig:
    stack: LocalStack
    databases: Databases
    topics: Topics
    wire: Wire
    directory: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def prepare(self) -> None:
        keys.prepare(self.databases.admin_keys_url())
        keys.grant(self.databases.admin_keys_url(), {login.name: role for role, login in self.databases.logins.items()})

    def publish(self) -> None:
        agreement = load_agreement(shipped("agreements") / "a2.yaml")
        decision = agreement_decision(agreement, Actor(), datetime(2025, 1, 1, tzinfo=UTC))
        self.wire.produce(self.topics.decisions, b"a2", codec.encode(decision))

    def environment(self, hub_key: bytes = HUB_KEY[0]) -> dict[str, str]:
        """Intake's own."""
        return {
            **self.stack.kafka_access("hub-intake").environment(),
            **_SECRETS,
            "DATABASE_URL": self.databases.url("intake"),
            "SAMENLOOP_TOPIC_PREFIX": self.topics.prefix,
            "SAMENLOOP_KEYS_URL": self.databases.keys_url("intake"),
            "SAMENLOOP_HUB_PRIVATE_KEY": sealing.key_to_text(hub_key),
            "SAMENLOOP_PARTNERS": ",".join(PARTNERS),
            "SAMENLOOP_SESSION_TIMEOUT_S": "6",
            "SAMENLOOP_METRICS_PORT": "0",
        }

    def start(self, hub_key: bytes = HUB_KEY[0], **environment: str) -> None:
        settings = self.environment(hub_key) | environment
        with (self.directory / "intake.log").open("ab") as log:
            command = [sys.executable, "-m", "samenloop_deploy", "stage", "run", "intake"]
            self.workers.append(subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log))

    def ready(self, **environment: str) -> None:
        self.publish()
        self.start(**environment)
        self.say("backoffice", "probe")

    def stop(self) -> None:
        """On request, as an operator does it."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(20)
        self.workers.clear()

    def kill(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait(10)

    @property
    def log(self) -> str:
        return (self.directory / "intake.log").read_text()[-4000:]

    def send(self, partner: str, statement: InvolvementStatement) -> None:
        self.raw(partner, codec.encode(statement))

    def raw(self, partner: str, value: bytes | None, key: bytes = b"a2", **options: Any) -> None:
        self.wire.produce(self.topics.inbox(partner), key, value, principal=partner, **options)

    def say(self, partner: str, case: str, **changes: Any) -> Receipt:
        """State and wait for the receipt."""
        statement = stated(partner, case, **changes)
        self.send(partner, statement)
        return self.receipt(partner, statement.statement_id)

    def receipt(
        self, partner: str, statement_id: UUID, kind: ReceiptKind | None = None, timeout: float = 40
    ) -> Receipt:
        """The first receipt of a statement (of that kind), as its partner reads it."""

        def fits(record: Record) -> bool:
            receipt = codec.decode(record.value, Receipt)
            return receipt.statement_id == statement_id and kind in (None, receipt.kind)

        found = self._heard(partner, fits, timeout)
        return codec.decode(found.value, Receipt)

    def receipts(self, partner: str) -> list[Receipt]:
        """All that are there now."""
        records = self.wire.read(self.topics.receipts(partner), principal=partner)
        return [codec.decode(record.value, Receipt) for record in records]

    def heard(self, partner: str, kind: ReceiptKind, timeout: float = 40, number: int = 1) -> Receipt:
        """A message of this kind about the feed."""
        records = self.wire.await_records(
            self.topics.receipts(partner), number, principal=partner, timeout=timeout,
            accept=lambda record: codec.decode(record.value, Receipt).kind is kind,
        )  # fmt: skip
        return codec.decode(records[-1].value, Receipt)

    def _heard(self, partner: str, fits: Callable[[Record], bool], timeout: float) -> Record:
        try:
            return self.wire.await_records(
                self.topics.receipts(partner), 1, principal=partner, accept=fits, timeout=timeout
            )[0]
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from None

    def samenloop(self, *command: str, principal: str = "hub-operator", **environment: str) -> Outcome:
        """The command line as that user has it, in this process: starting one costs two seconds."""
        settings = self.stack.kafka_access(principal).environment() | {
            "SAMENLOOP_TOPIC_PREFIX": self.topics.prefix,
            "COLUMNS": "220",
        }
        done = CliRunner().invoke(app, command, env=settings | environment)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Outcome(done.exit_code, done.stdout, done.stderr)

    def wait(self, condition: Callable[[], bool], what: str, timeout: float = 30) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout} s: {what}\n{self.log}"
            time.sleep(0.1)


@contextmanager
def intake_rig(stack: LocalStack, plan: Any, wire: Wire, directory: Path) -> Iterator[IntakeRig]:
    databases = stack.new_databases(secrets.token_hex(4))
    rig = IntakeRig(stack, databases, Topics(plan.prefix), wire, directory)
    rig.prepare()
    try:
        yield rig
    finally:
        rig.kill()
        databases.drop()
