"""The account of every statement on the whole chain: kills, freezes, rebuilds, garbage. Nothing lost, nothing twice in effect."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from chain_account import account, disturb
from chain_rig import Chain, Chains, Outcome, the_same
from chain_world import Said
from kafka.admin import KafkaAdminClient, NewTopic
from wire import PARTITIONS

from samenloop_deploy.demo.hub import STAGES
from samenloop_deploy.local import ChildFailed
from samenloop_processors.engine.quarantine import PREFIX, REASON
from samenloop_processors.engine.rebuild import rebuild
from samenloop_processors.engine.status import rebase
from samenloop_schemas import codec
from samenloop_schemas.codes import ReceiptCode, ReceiptKind
from samenloop_schemas.records import Receipt
from samenloop_schemas.topics import area_key

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
pytest_plugins = ("chain_fixtures",)


@pytest.fixture(scope="module")
def worn(chains: Chains, calm: Outcome) -> Iterator[Chain]:
    """A chain after kills and freezes, at rest and at work. The tests below leave it so, in the order in which they stand."""
    with chains.running("worn") as chain:
        chain.tell_days()
        disturb(chain, Random(chain.world.seed + 2), 2, ("clients", "overlaps"))
        yield chain


def test_every_statement_is_accounted_for(worn: Chain, calm: Outcome) -> None:
    account(worn)
    the_same(worn, calm)


def test_a_rebuild_of_what_did_not_change_sends_nothing(worn: Chain) -> None:
    worn.rest()
    before, ends = worn.outcome(), worn.end_offsets()
    for stage in ("clients", "overlaps", "views"):
        report = rebuild(worn.stage(stage), worn.settings(stage), worn.stack.kafka_access(f"hub-{stage}"))
        assert report.swapped
        assert report.records >= len(worn.world.stated())
    worn.rest()
    the_same(worn, before)
    assert worn.end_offsets() == ends


def test_garbage_is_set_apart_or_refused_while_the_others_flow_on(worn: Chain) -> None:
    before = worn.outcome()
    expected = send_garbage(worn, worn.world.said[:60])
    worn.rest()
    found: Counter[tuple[str, str]] = Counter()
    for name in (*worn.hub.partners, "hub"):
        for record in worn.wire.read(worn.topics.quarantine(name)):
            headers = {key: value.decode() for key, value in record.headers}
            found[headers[PREFIX + "topic"].removeprefix(worn.topics.prefix), headers[REASON]] += 1
    assert found == expected
    refused = [
        receipt.statement_id
        for record in worn.wire.read(worn.topics.receipts("smwo"))
        if ReceiptCode.WRONG_SENDER in (receipt := codec.decode(record.value or b"", Receipt)).codes
        and receipt.kind is ReceiptKind.REFUSED
    ]
    assert refused == [foreign(worn).statement.statement_id]
    after = worn.outcome()
    new = [json.loads(row) for row in set(after.exports["intake"]) ^ set(before.exports["intake"])]
    assert [(row["partner"], row["known"], row["codes"]) for row in new] == [("smwo", False, ["WRONG_SENDER"])]
    the_same(worn, Outcome(before.exports | {"intake": after.exports["intake"]}, before.standing))
    worn.send(worn.world.spare)
    worn.rest()
    held = {str(i) for (i,) in worn.query("views", "SELECT statement_id FROM involvement")}
    latest = {said.case: str(said.statement.statement_id) for said in sorted(worn.world.spare, key=lambda s: s.rank)}
    assert set(latest.values()) <= held
    assert all(worn.stack.supervisor.pid(child) for child in worn.children)


def foreign(chain: Chain) -> Said:
    """A municipality's statement, as social work would send it."""
    own = next(said for said in chain.world.said if said.partner == "backoffice" and said.passes)
    return replace(own, partner="smwo", data=own.data)


def send_garbage(chain: Chain, good: tuple[Said, ...]) -> Counter[tuple[str, str]]:
    """Between good statements that are repeated. Returns what is expected in quarantine, by topic and reason."""
    topics, rng = chain.topics, Random(chain.world.seed + 3)
    whole = next(said for said in chain.world.said if said.partner == "smwo" and said.statement.area == "a2")
    decision = codec.encode(chain.world.decisions[0])
    accepted = chain.wire.read(topics.involvements)[0].value or b""
    inbox = [
        (b"\x01" + rng.randbytes(200), b"a2", "undecodable"),
        (b"\x00" + (999_999).to_bytes(4, "big") + rng.randbytes(60), b"a2", "unknown_schema"),
        (whole.data[: len(whole.data) // 2], b"a2", "undecodable"),
        (whole.data, b"bevelanden", "wrong_key"),
        (decision, b"a2", "wrong_type"),
        (b"", b"a2", "empty"),
    ]
    expected: Counter[tuple[str, str]] = Counter()
    for number, (value, key, reason) in enumerate(inbox):
        chain.send(good[number::10])
        chain.wire.produce(topics.inbox("smwo"), key, value, principal="smwo", timestamp_ms=0)
        expected["in.smwo", reason] += 1
    chain.send([foreign(chain)])
    readers = {
        topics.involvements: ("clients", "overlaps", "views"),
        topics.decisions: STAGES,
        topics.clients: ("overlaps", "views"),
        topics.overlaps: ("views",),
        topics.clock: ("overlaps", "views"),
    }
    for topic, stages in readers.items():
        cut = "undecodable" if topic == topics.involvements else "wrong_type"
        rubbish: list[tuple[Any, str]] = [(b"\x01" + rng.randbytes(80), "undecodable"), (accepted[:-40], cut)]
        for junk, reason in [*rubbish, (None, "empty")]:
            chain.wire.produce(topic, area_key("a2"), junk)
            expected[topic.removeprefix(topics.prefix), reason] += len(stages)
    return expected


def test_a_topic_made_anew_is_refused_until_the_stage_is_rebased(worn: Chain, admin: KafkaAdminClient) -> None:
    worn.rest()
    worn.stop()
    topic = worn.topics.overlaps
    admin.delete_topics([topic])
    while topic in admin.list_topics():
        pass
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    admin.wait_for_topics([topic])
    worn.start_stage("views", restart=False)
    with pytest.raises(ChildFailed, match=r"made anew(?s:.*)samenloop stage rebase views"):
        worn.wait(lambda: False, "views to refuse")
    held = worn.export("views")
    rebase(worn.stage("views"), worn.settings("views"), worn.stack.kafka_access("hub-views"), to="keep")
    worn.children.clear()
    worn.start_stage("views")
    worn.wait(lambda: worn.waiting("views") == 0, "views to go on")
    assert worn.export("views") == held
