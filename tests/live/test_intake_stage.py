"""Intake end to end: real broker, real databases, a worker process of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from gate_rig import AGREEMENT, BSN, KEK, MATCHING, SOCIAL_WORK, T0, Rig, ref, stated
from wire import PARTITIONS

from samenloop_processors.intake.domain.persons import MatchingKey
from samenloop_processors.intake.domain.reconcile import hash_of
from samenloop_processors.keys import DataKey, KeyKind, KeyStore
from samenloop_schemas import codec, envelope, sealing
from samenloop_schemas.codes import Domain, ReceiptCode, ReceiptKind, RelationKind, Status
from samenloop_schemas.ids import canonical_json
from samenloop_schemas.records import (
    AcceptedStatement,
    IdentityFacts,
    InvolvementFacts,
    Receipt,
    Relation,
)
from samenloop_schemas.topics import partition_for

pytestmark = pytest.mark.live
pytest_plugins = ("gate_fixtures",)


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
    foreign = rig.say(stated("f", **SOCIAL_WORK | {"organisation": "mee-a2"}))
    told = rig.verdicts(foreign)
    assert told[never.statement_id] == (ReceiptKind.REFUSED, (ReceiptCode.PURPOSE_NOT_AGREED,))
    assert told[foreign.statement_id] == (ReceiptKind.REFUSED, (ReceiptCode.WRONG_SENDER,))
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
    assert set(days) == {organisation.id for organisation in AGREEMENT.organisations_of("backoffice")}
    mine = days["gemeente-valkenswaard"]
    assert (mine.day, mine.held_count) == (T0.date(), 2)
    assert mine.held_hash == hash_of(str(statement.statement_id) for statement in held[1:])
    assert days["gemeente-cranendonck"].held_count == 0
