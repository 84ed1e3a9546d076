"""Intake end to end: real broker, real databases, a worker process of its own."""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from wire import PARTITIONS, Wire

from samenloop_deploy.local import Databases, LocalStack
from samenloop_processors import keys
from samenloop_processors.agreement import agreement_decision, load_agreement
from samenloop_processors.intake import store
from samenloop_processors.intake.domain.persons import MatchingKey
from samenloop_processors.intake.domain.reconcile import hash_of
from samenloop_processors.keys import DataKey, KeyKind, KeyStore
from samenloop_schemas import codec, envelope, sealing
from samenloop_schemas.codes import Consent, Domain, ReceiptCode, ReceiptKind, RelationKind, Role, Sensitivity, Status
from samenloop_schemas.dates import PartialDate
from samenloop_schemas.ids import canonical_json, derived_id, keyed_hash
from samenloop_schemas.records import (
    AcceptedStatement,
    Actor,
    IdentityFacts,
    InvolvementFacts,
    InvolvementStatement,
    PersonIdentity,
    Receipt,
    Relation,
)
from samenloop_schemas.topics import Topics, partition_for

pytestmark = pytest.mark.live

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
        """Say something until it is accepted: from then on the agreement was read, whatever topic comes first."""
        self.publish()
        self.start()
        probe = self.say(stated("probe"))
        while self.receipts(probe)[probe.statement_id].kind is ReceiptKind.REFUSED:
            self.say(probe)

    def restart(self) -> None:
        self.workers[-1].kill()
        self.workers[-1].wait(10)
        self.start()

    def export(self) -> list[dict[str, Any]]:
        with psycopg.connect(self.databases.admin_url()) as connection:
            connection.execute("SET search_path = intake_v1")
            return list(store.export(connection, "a2"))


WORKER = """
import sys
from samenloop_processors.engine.worker import run_stage
from samenloop_processors.intake.stage import build
from samenloop_processors.settings import HubSettings
settings = HubSettings()
sys.exit(run_stage(build(settings), settings))
"""


@pytest.fixture
def make_rig(
    stack: LocalStack, make_plan: Callable[..., Any], wire: Wire, tmp_path: Path
) -> Iterator[Callable[[], Rig]]:
    made: list[Rig] = []

    def make() -> Rig:
        databases = stack.new_databases(secrets.token_hex(4))
        keys.prepare(databases.admin_keys_url())
        keys.grant(databases.admin_keys_url(), {login.name: role for role, login in databases.logins.items()})
        topics = Topics(make_plan(timestamps_from_sender=True).prefix)
        made.append(Rig(stack, databases, topics, wire, tmp_path))
        return made[-1]

    yield make
    for rig in made:
        rig.stop()
        rig.databases.drop()


@pytest.fixture
def rig(make_rig: Callable[[], Rig]) -> Rig:
    return make_rig()


def open_facts(rig: Rig, statement: AcceptedStatement) -> InvolvementFacts:
    overlaps = KeyStore(rig.databases.keys_url("overlaps"), KEK)
    key = overlaps.get(KeyKind.CASE, statement.case_key_id)
    assert isinstance(key, DataKey)
    overlaps.close()
    return envelope.open_facts(key.key, statement)


def open_identities(rig: Rig, statement: AcceptedStatement) -> list[IdentityFacts]:
    clients = KeyStore(rig.databases.keys_url("clients"), KEK)
    found = clients.get_many(KeyKind.PERSON, [statement.person_key_id, *(p.person_key_id for p in statement.related)])
    opened = []
    for key_id, key in found.items():
        assert isinstance(key, DataKey)
        if key_id == statement.person_key_id:
            identity = envelope.open_identity(key.key, statement)
            assert identity is not None
            opened.append(identity)
        else:
            person = next(p for p in statement.related if p.person_key_id == key_id)
            opened.append(envelope.open_related(key.key, statement.statement_id, person))
    clients.close()
    return opened


def test_accepted_statements_open_for_those_who_may_and_hold_no_bsn(rig: Rig) -> None:
    rig.ready()
    mine = rig.say(stated(relations=(Relation(RelationKind.PARENT, ref("mother"), b"", 3),)))
    theirs = rig.say(stated("2", **SOCIAL_WORK), "smwo")
    receipt = rig.receipts(theirs, partner="smwo")[theirs.statement_id]
    assert (receipt.kind, receipt.codes) == (ReceiptKind.ACCEPTED, (ReceiptCode.BSN_STRIPPED,))
    assert rig.verdicts(mine)[mine.statement_id] == (ReceiptKind.ACCEPTED, ())
    first, second = (rig.accepted()[s.statement_id] for s in (mine, theirs))
    assert (first.partner, first.revision, first.stated_at, first.agreement_version) == ("backoffice", 3, T0, 1)
    assert first.recorded_at == rig.now
    facts = open_facts(rig, first)
    assert (facts.organisation, facts.case_ref, facts.status) == (mine.organisation, mine.case_ref, Status.ACTIVE)
    child, mother = open_identities(rig, first)
    assert child.surname == "Jansen"
    assert child.bsn_token == MatchingKey(MATCHING).token(BSN)
    assert child.source_person_id == facts.source_person_id
    assert mother.surname == "Bos"
    assert [(r.kind, r.source_person_id) for r in child.relations] == [(RelationKind.PARENT, mother.source_person_id)]
    assert open_identities(rig, second)[0].bsn_token == ""
    with psycopg.connect(rig.databases.admin_url()) as connection:
        connection.execute("SET search_path = intake_v1")
        dump = repr(connection.execute("SELECT * FROM statement").fetchall())
    for topic in (rig.topics.involvements, rig.topics.receipts("backoffice"), rig.topics.receipts("smwo")):
        dump += repr([(r.key, r.value, r.headers) for r in rig.wire.read(topic)])
    assert ref("case 1") in dump
    for secret in (BSN, "Jansen", "Bos"):
        assert secret not in dump


def test_refused_withheld_ended_and_retracted_in_either_order(rig: Rig) -> None:
    rig.ready()
    bad = {"purpose": "statistics", "revision": 5}
    for case, order in (("a", (0, 1)), ("b", (1, 0))):
        both = (stated(case), stated(case, **bad))
        for index in order:
            rig.say(both[index])
    ended = rig.say(stated("e", status=Status.ENDED, ends_on=date(2026, 2, 20), **bad))
    rig.say(stated("e"))
    rig.say(stated("r"))
    retracted = rig.say(stated("r", status=Status.RETRACTED, revision=6))
    never = rig.say(stated("n", **bad))
    foreign = rig.say(stated("f", **SOCIAL_WORK))
    told = rig.verdicts(foreign)
    assert told[never.statement_id] == (ReceiptKind.REFUSED, (ReceiptCode.PURPOSE_NOT_AGREED,))
    assert told[foreign.statement_id] == (ReceiptKind.REFUSED, (ReceiptCode.BSN_STRIPPED, ReceiptCode.WRONG_SENDER))
    assert told[ended.statement_id] == (ReceiptKind.ACCEPTED, (ReceiptCode.PURPOSE_NOT_AGREED,))
    assert told[retracted.statement_id] == (ReceiptKind.ACCEPTED, ())
    reduced = [statement for statement in rig.accepted().values() if statement.revision > 3]
    assert len(reduced) == 4
    for statement in reduced:
        facts = open_facts(rig, statement)
        assert (statement.identity, statement.related, facts.domain, facts.starts_on) == (
            None,
            (),
            Domain.UNKNOWN,
            None,
        )
        assert facts.involvement_id
    assert {open_facts(rig, s).status for s in reduced} == {Status.WITHHELD, Status.ENDED, Status.RETRACTED}
    rows = {row["case_ref"]: (row["known"], row["status"], row["revision"]) for row in rig.export()}
    assert rows[ref("case a")] == rows[ref("case b")] == (True, "WITHHELD", 5)
    assert rows[ref("case e")] == (True, "ENDED", 5)
    assert rows[ref("case r")] == (True, "RETRACTED", 6)
    assert rows[ref("case n")] == (False, "WITHHELD", 5)


def test_what_cannot_be_judged_is_set_apart(rig: Rig) -> None:
    rig.ready()
    inbox, good = rig.topics.inbox("backoffice"), stated("good")
    rig.raw(inbox, b"garbage")
    rig.raw(inbox, codec.encode(good), key=b"zwolle")
    rig.raw(inbox, codec.encode(good), partition=(partition_for("a2", PARTITIONS) + 1) % PARTITIONS)
    foreign_key = sealing.public_key(sealing.new_hub_key()[1])
    broken = rig.say(replace(good, identity=sealing.seal(foreign_key, b"?")))
    set_apart = rig.wire.await_records(rig.topics.quarantine("backoffice"), 4)
    reasons = sorted(value.decode() for r in set_apart for name, value in r.headers if name.endswith("reason"))
    assert reasons == ["seal_broken", "undecodable", "wrong_key", "wrong_partition"]
    assert {r.value for r in set_apart} == {b"garbage", codec.encode(good), codec.encode(broken)}
    assert rig.verdicts(good)[good.statement_id] == (ReceiptKind.QUARANTINED, (ReceiptCode.SEAL_NOT_OPENED,))
    rig.raw(rig.topics.decisions, b"no decision", principal="hub-web")
    rig.say(good)
    last = rig.say(stated("last"))
    assert rig.verdicts(last)[good.statement_id] == (ReceiptKind.ACCEPTED, ())


def test_a_repeat_has_one_effect_also_over_a_kill(rig: Rig) -> None:
    rig.ready()
    good = stated("good")
    for _ in range(3):
        rig.say(good)
    rig.receipts(good)
    rig.restart()
    rig.say(good)
    last = rig.say(stated("last"))
    rig.receipts(last)
    assert {good.statement_id, last.statement_id} <= set(rig.accepted())
    found = [codec.decode(record.value, Receipt) for record in rig.wire.read(rig.topics.receipts("backoffice"))]
    assert len({receipt.receipt_id for receipt in found if receipt.statement_id == good.statement_id}) == 1


def test_two_orders_end_in_the_same_export(make_rig: Callable[[], Rig]) -> None:
    faults: list[dict[str, Any]] = [{}, {"purpose": "none"}, {"status": Status.ENDED, "ends_on": date(2026, 1, 2)}]
    every = [stated(case, revision=n, **fault) for case in "abcd" for n in (1, 2, 3) for fault in faults]
    said = random.Random(11).sample(every, 20)
    exports = []
    for order in (said, [*reversed(said), *said[:7]]):
        rig = make_rig()
        rig.ready()
        for statement in order:
            rig.say(statement)
        rig.receipts(*said)
        exports.append(canonical_json(rig.export()))
        rig.stop()
    assert exports[0] == exports[1]
    assert exports[0].count(b"WITHHELD") > 0


def test_an_erased_case_does_not_come_back(rig: Rig) -> None:
    rig.ready()
    gone = rig.say(stated("gone"))
    rig.receipts(gone)
    desk = KeyStore(rig.databases.admin_keys_url(), KEK)
    assert desk.destroy(KeyKind.CASE, rig.accepted()[gone.statement_id].case_key_id, "erasure_request")
    desk.close()
    rig.restart()  # its cache would know the key for minutes yet
    again = rig.say(stated("gone", revision=4))
    assert rig.verdicts(again)[again.statement_id] == (ReceiptKind.REFUSED, (ReceiptCode.ERASED,))
    assert again.statement_id not in rig.accepted()


def test_a_new_dutch_day_brings_the_count_and_hash_of_what_is_held(rig: Rig) -> None:
    rig.ready()
    held = [rig.say(stated(str(n))) for n in range(3)]
    rig.say(stated("0", purpose="none", revision=9))
    rig.say(stated("probe", status=Status.RETRACTED, revision=9))
    rig.now += timedelta(days=1)
    rig.receipts(rig.say(stated("next day")))
    found = [codec.decode(record.value, Receipt) for record in rig.wire.read(rig.topics.receipts("backoffice"))]
    days = {receipt.organisation: receipt for receipt in found if receipt.kind is ReceiptKind.RECONCILIATION}
    assert set(days) == {"gemeente-valkenswaard", "gemeente-cranendonck", "gemeente-heeze-leende"}
    mine = days["gemeente-valkenswaard"]
    assert (mine.day, mine.held_count) == (T0.date(), 2)
    assert mine.held_hash == hash_of(str(statement.statement_id) for statement in held[1:])
    assert days["gemeente-cranendonck"].held_count == 0
