"""Garbage on a partner's inbox: it ends with a reason, nobody else notices, and an operator sorts it out by command."""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from intake_rig import HUB_KEY, WRONG_KEY, IntakeRig, intake_rig, stated
from wire import PARTITIONS, Wire

from samenloop_deploy.local import LocalStack
from samenloop_schemas import codec
from samenloop_schemas.codes import DecisionKind, ReceiptCode, ReceiptKind
from samenloop_schemas.records import Decision
from samenloop_schemas.topics import partition_for

pytestmark = pytest.mark.live

HERE = partition_for("a2", PARTITIONS)
SURNAME = "Zwartkruis"


@pytest.fixture
def rig(stack: LocalStack, make_plan: Callable[..., Any], wire: Wire, tmp_path: Path) -> Iterator[IntakeRig]:
    with intake_rig(stack, make_plan(), wire, tmp_path) as made:
        yield made


class NoText(str):
    """The name of a header that is no UTF-8: Kafka takes it, and aiokafka raises on it."""

    def encode(self, *_: Any, **__: Any) -> bytes:
        return b"\xff\xfe"


async def odd_header(rig: IntakeRig, name: str, value: bytes | None) -> None:
    """What kafka-python will not send: a header without a value."""
    async with AIOKafkaProducer(**rig.stack.kafka_access("smwo").aiokafka_args()) as producer:
        await producer.send_and_wait(rig.topics.inbox("smwo"), b"odd", key=b"a2", headers=[(name, value)])


def reasons(rig: IntakeRig, partner: str, number: int) -> Counter[str]:
    records = rig.wire.await_records(rig.topics.quarantine(partner), number, principal="hub-operator")
    return Counter(dict(record.headers)["samenloop-reason"].decode() for record in records)


def test_each_kind_of_garbage_ends_with_a_reason_while_everything_else_flows(rig: IntakeRig) -> None:
    rig.ready()
    whole = codec.encode(stated("smwo", "whole"))
    said, refused = [], stated("smwo", "theirs", organisation="gemeente-valkenswaard")
    garbage: list[Callable[[], None]] = [
        lambda: rig.raw("smwo", secrets.token_bytes(300)),
        lambda: rig.raw("smwo", b"\x00" + struct.pack(">I", 999_999) + whole[5:]),
        lambda: rig.raw("smwo", whole[: len(whole) // 2]),
        lambda: rig.raw("smwo", whole, key=b"zwolle", partition=HERE),
        lambda: rig.raw("smwo", whole, partition=(HERE + 1) % PARTITIONS),
        lambda: rig.raw("smwo", whole, key=None, partition=HERE),  # type: ignore[arg-type]
        lambda: rig.raw("smwo", None),
        lambda: asyncio.run(odd_header(rig, "a", None)),
        lambda: rig.raw("smwo", b"count", headers=[("samenloop-attempts", b"9" * 6000)]),
        lambda: rig.raw("smwo", b"name", headers=[("a\x00\u00eb", b"\xff")]),
        lambda: rig.raw("smwo", b"no name", headers=[(NoText("x"), b"v")]),
        lambda: rig.send("smwo", refused),
    ]
    for number, throw in enumerate(garbage):
        throw()
        for partner in ("smwo", "backoffice"):
            said.append((partner, stated(partner, f"good {number}")))
            rig.send(*said[-1])
    for partner, statement in said:
        assert rig.receipt(partner, statement.statement_id).kind is ReceiptKind.ACCEPTED
    answer = rig.receipt("smwo", refused.statement_id)
    assert (answer.kind, answer.codes) == (ReceiptKind.REFUSED, (ReceiptCode.WRONG_SENDER,))
    expected = {"undecodable": 6, "unknown_schema": 1, "wrong_key": 2, "wrong_partition": 1, "empty": 1}
    assert reasons(rig, "smwo", 11) == expected
    assert rig.workers[-1].poll() is None, rig.log
    report = rig.samenloop("quarantine", "list", "--json")
    assert report.code == 0, report.err
    assert {row["reason"]: row["open"] for row in report.json["summary"]} == expected


def test_a_flood_pauses_only_its_partner_which_hears_it_and_its_end(rig: IntakeRig) -> None:
    rig.ready(SAMENLOOP_PAUSE_WINDOW="40", SAMENLOOP_PAUSE_SECONDS="8")
    rig.say("smwo", "before")

    def delay(number: int) -> float:
        began = time.monotonic()
        rig.say("backoffice", f"flow {number}")
        return time.monotonic() - began

    calm = sorted(delay(number) for number in range(5))
    producer = rig.wire.producer("smwo")
    for _ in range(150):
        producer.send(rig.topics.inbox("smwo"), key=b"a2", value=secrets.token_bytes(200))
    producer.flush()
    paused = rig.heard("smwo", ReceiptKind.PAUSED)
    assert (paused.area, paused.codes) == ("a2", (ReceiptCode.TOO_MUCH_BAD_INPUT,))
    after = stated("smwo", "after the flood")
    rig.send("smwo", after)
    flood = sorted(delay(number) for number in range(10, 20))
    answered = {receipt.statement_id for receipt in rig.receipts("smwo")}
    assert after.statement_id not in answered, "it waits until the pause is over"
    assert flood[5] < max(3 * calm[2], calm[2] + 0.5), (calm, flood)
    assert rig.receipt("smwo", after.statement_id).kind is ReceiptKind.ACCEPTED
    resumed = rig.heard("smwo", ReceiptKind.RESUMED)
    assert resumed.recorded_at > paused.recorded_at

    # a second time, and the operator does not wait
    for _ in range(100):
        producer.send(rig.topics.inbox("smwo"), key=b"a2", value=secrets.token_bytes(200))
    producer.flush()
    rig.heard("smwo", ReceiptKind.PAUSED, number=2)
    done = rig.samenloop(
        "stage", "resume", "intake", rig.topics.inbox("smwo"), principal="hub-intake", **rig.environment()
    )
    assert done.code == 0, done.err
    rig.heard("smwo", ReceiptKind.RESUMED, number=2)


def test_an_operator_looks_retries_and_discards_and_all_of_it_is_audited(rig: IntakeRig) -> None:
    """Intake ran with the wrong private key. With the right one the statements are put back and accepted."""
    rig.publish()
    rig.start(hub_key=WRONG_KEY[0])
    sealed = [stated("backoffice", str(number)) for number in range(3)]
    for statement in sealed:
        rig.send("backoffice", statement)
    rig.raw("smwo", b"garbage " + SURNAME.encode(), headers=[("note", SURNAME.encode())])
    for statement in sealed:
        answer = rig.receipt("backoffice", statement.statement_id)
        assert (answer.kind, answer.codes) == (ReceiptKind.QUARANTINED, (ReceiptCode.SEAL_NOT_OPENED,))
    assert reasons(rig, "smwo", 1) == {"undecodable": 1}
    rig.stop()
    rig.start(HUB_KEY[0])

    listed = rig.samenloop("quarantine", "list", "--json").json
    rows = {row["partner"]: row for row in listed["records"]}
    assert Counter(row["partner"] for row in listed["records"]) == {"backoffice": 3, "smwo": 1}
    assert (rows["backoffice"]["reason"], rows["backoffice"]["stage"], rows["backoffice"]["area"]) == (
        "seal_broken",
        "intake",
        "a2",
    )
    garbage = rows["smwo"]["record"]
    shown = rig.samenloop("quarantine", "show", rows["backoffice"]["record"], garbage, "--json")
    (bad, good) = sorted(shown.json["records"], key=lambda row: row["type"] or "")
    assert good["statement_id"] in {str(statement.statement_id) for statement in sealed}
    assert good["identity"].startswith("sealed")
    assert (bad["type"], bad["headers_not_shown"]) == (None, 1)
    for answer in (shown, rig.samenloop("quarantine", "list"), rig.samenloop("quarantine", "show", garbage)):
        assert answer.code == 0, answer.err
        assert SURNAME not in answer.out + answer.err

    retry = ("quarantine", "retry", "--partner", "backoffice", "--reason", "seal_broken")
    unsure = rig.samenloop(*retry)
    assert (unsure.code, "no terminal" in unsure.err) == (2, True)
    assert rig.samenloop(*retry, "--dry-run", "--json").json["records"] == [
        row["record"] for row in listed["records"] if row["partner"] == "backoffice"
    ]
    assert decisions(rig) == []
    done = rig.samenloop(*retry, "--yes", "--actor", "j.doe", "--json")
    assert (done.code, done.json["done"]) == (0, 3), done.err
    for statement in sealed:
        rig.receipt("backoffice", statement.statement_id, ReceiptKind.ACCEPTED)
    assert rig.samenloop("quarantine", "list", "--partner", "backoffice", "--json").json["records"] == []

    # what cannot be mended comes back as the same record, counted, and is discarded
    assert rig.samenloop("quarantine", "retry", garbage, "--yes").code == 0
    assert reasons(rig, "smwo", 2) == {"undecodable": 2}
    (again,) = rig.samenloop("quarantine", "list", "--partner", "smwo", "--json").json["records"]
    assert (again["times"], again["origin"], again["record"] != garbage) == (2, garbage, True)
    gone = rig.samenloop(
        "quarantine", "discard", "--partner", "smwo", "--reason", "undecodable", "--yes", "--actor", "a.b"
    )
    assert gone.code == 0, gone.err
    assert rig.samenloop("quarantine", "list", "--json").json["records"] == []
    everything = rig.samenloop("quarantine", "list", "--all", "--json").json["records"]
    assert Counter((row["state"], row["by"]) for row in everything) == {
        ("retried", "j.doe"): 3,
        ("discarded", "a.b"): 1,
    }
    taken = decisions(rig)
    assert Counter(d.kind for d in taken) == {DecisionKind.QUARANTINE_RETRIED: 4, DecisionKind.QUARANTINE_DISCARDED: 1}
    assert {(d.actor.user, d.target, d.reason_code) for d in taken if d.kind is DecisionKind.QUARANTINE_DISCARDED} == {
        ("a.b", again["record"], "undecodable")
    }
    assert rig.workers[-1].poll() is None, rig.log


def test_what_a_stage_could_not_read_is_not_put_back_but_advised_on(rig: IntakeRig) -> None:
    rig.ready()
    rig.wire.produce(rig.topics.decisions, b"a2", b"no decision", principal="hub-web")
    assert reasons(rig, "hub", 1) == {"undecodable": 1}
    refused = rig.samenloop("quarantine", "retry", "--partner", "hub", "--reason", "undecodable", "--yes")
    assert refused.code == 2
    assert "have it taken again" in refused.err
    assert decisions(rig) == []


def decisions(rig: IntakeRig) -> list[Decision]:
    kinds = (DecisionKind.QUARANTINE_RETRIED, DecisionKind.QUARANTINE_DISCARDED)
    found = []
    for record in rig.wire.read(rig.topics.decisions):
        try:
            decision = codec.decode(record.value, Decision)
        except codec.Undecodable:
            continue
        if decision.kind in kinds:
            assert record.key == decision.area.encode()
            found.append(decision)
    return found
