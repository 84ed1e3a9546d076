"""The account of every statement on the whole chain: kills, freezes, rebuilds, garbage. Nothing lost, nothing twice in effect."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from chain_rig import PERSONS, SESSION_TIMEOUT_S, Chain, Chains, Outcome, the_same
from chain_world import DAYS, Said
from conftest import PARTITIONS
from kafka.admin import KafkaAdminClient, NewTopic

from samenloop_deploy.demo.hub import STAGES
from samenloop_deploy.local import ChildFailed
from samenloop_processors.engine.quarantine import PREFIX, REASON
from samenloop_processors.engine.rebuild import rebuild
from samenloop_processors.engine.status import rebase
from samenloop_schemas import codec
from samenloop_schemas.codes import DecisionKind, ReceiptCode, ReceiptKind
from samenloop_schemas.records import AcceptedStatement, ClientStatement, Notice, OverlapStatement, Receipt
from samenloop_schemas.topics import area_key

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
pytest_plugins = ("chain_rig",)

PACE = 22
"""Statements per second: what is killed is killed while they flow."""


def disturb(chain: Chain, rng: Random, rounds: int, frozen: tuple[str, ...]) -> None:
    """Kills of everybody at random moments, then a freeze in which another worker takes over, while statements flow."""
    said = [*chain.world.said, *chain.world.said[:: PERSONS // 2]]
    flow = threading.Thread(target=chain.send, args=(said, PACE))
    flow.start()
    for _ in range(rounds):
        for child in rng.sample((*STAGES, "notifier"), len(STAGES) + 1):
            time.sleep(rng.uniform(0.1, 1.2))
            chain.signal(child, signal.SIGKILL)
    everything = str(list(range(PARTITIONS)))
    for stage in frozen:
        chain.wait(lambda stage=stage: owns(chain, stage) != "", f"{stage} to be at work again")  # type: ignore[misc]
        chain.signal(stage, signal.SIGSTOP)
        chain.start_stage(stage, 1)
    time.sleep(SESSION_TIMEOUT_S + 1)  # past the session time-out: what is tested is that span
    for stage in frozen:
        chain.wait(lambda stage=stage: owns(chain, f"{stage}-1") == everything, f"another {stage} to take over")  # type: ignore[misc]
        chain.signal(stage, signal.SIGCONT)
    flow.join()
    chain.decide(chain.world.decisions)
    chain.rest()


def owns(chain: Chain, child: str) -> str:
    """The partitions that a worker was last told to own since it was last started."""
    text = (chain.hub.logs / f"{child}.log").read_text(errors="replace")
    return text.rpartition("starting on schema")[2].rpartition("partitions ")[2].partition("\n")[0]


@pytest.fixture(scope="module")
def worn(chains: Chains, calm: Outcome) -> Iterator[Chain]:
    """A chain after kills and freezes, at rest and at work. The tests below leave it so, in the order in which they stand."""
    chain = chains.start("worn")
    for day in DAYS:
        chain.tell_days(day)
    disturb(chain, Random(chain.world.seed + 2), 2, ("clients", "overlaps"))
    yield chain
    chain.stop()


def account(chain: Chain) -> None:
    """Every statement that was sent, at every place where it leaves a trace."""
    world, topics, note = chain.world, chain.topics, f"seed {chain.world.seed}"
    sent = set(chain.sent)
    receipts: dict[str, Receipt] = {}
    for partner in chain.hub.partners:
        for record in chain.wire.read(topics.receipts(partner)):
            receipt = codec.decode(record.value or b"", Receipt)
            if receipt.kind is not ReceiptKind.RECONCILIATION:
                receipts[str(receipt.statement_id)] = receipt
        assert chain.wire.read(topics.quarantine(partner)) == [], note
    assert set(receipts) == sent, note
    assert {i for i, r in receipts.items() if r.kind is ReceiptKind.REFUSED} == world.refused(), note
    assert {r.kind for r in receipts.values()} == {ReceiptKind.ACCEPTED, ReceiptKind.REFUSED}, note
    stated: dict[str, AcceptedStatement] = {}
    for record in chain.wire.read(topics.involvements):
        accepted = codec.decode(record.value or b"", AcceptedStatement)
        # the broker may hold it twice, but never in two encryptions
        assert stated.setdefault(str(accepted.statement_id), accepted) == accepted, note
    assert set(stated) == world.stated(), note
    rows = Counter(
        {str(i): n for i, n in chain.query("intake", "SELECT statement_id, count(*) FROM statement GROUP BY 1")}
    )
    assert rows == Counter(sent), note
    emitted = {str(i) for (i,) in chain.query("intake", "SELECT statement_id FROM statement WHERE emitted")}
    assert emitted == world.stated(), note
    winners = Counter(str(i) for (i,) in chain.query("views", "SELECT statement_id FROM involvement"))
    assert winners == Counter(world.winners()), note
    whole_versions(chain)
    one_client_per_person(chain)
    one_notice_per_reason(chain)


def whole_versions(chain: Chain) -> None:
    """What clients and overlaps stated: a version without holes per area, each with one content, however often sent."""
    for topic, kind in ((chain.topics.clients, ClientStatement), (chain.topics.overlaps, OverlapStatement)):
        said: dict[tuple[str, int], Any] = {}
        for record in chain.wire.read(topic):
            statement: Any = codec.decode(record.value or b"", kind)
            assert said.setdefault((statement.area, statement.subject_version), statement) == statement, topic
        for area in {area for area, _ in said}:
            numbers = sorted(version for a, version in said if a == area)
            assert numbers == list(range(1, len(numbers) + 1)), f"versions of {area} on {topic} have holes"


def one_client_per_person(chain: Chain) -> None:
    persons: Counter[tuple[str, str]] = Counter()
    for (data,) in chain.query("views", "SELECT statement FROM client"):
        client = codec.decode(data, ClientStatement)
        persons.update((client.area, member) for member in client.members)
    assert set(persons.values()) == {1}


def one_notice_per_reason(chain: Chain) -> None:
    """What partners got is what was delivered, and nothing that stands was told twice on the same facts."""
    got: dict[object, Notice] = {}
    for partner in chain.hub.partners:
        for record in chain.wire.read(chain.topics.notices(partner)):
            notice = codec.decode(record.value or b"", Notice)
            known = got.setdefault((notice.notice_id, partner), notice)
            assert (known.party, known.change) == (notice.party, notice.change)
    delivered, intended = chain.notices(), chain.notices(DecisionKind.NOTICE_INTENDED)
    assert {notice.notice_id for notice in got.values()} == set(delivered)
    assert set(delivered) <= set(intended)
    reasons: Counter[tuple[str, str, str, str]] = Counter()
    for (recipient, basis), times in chain.told().items():
        for own in basis.own:
            reasons.update({(recipient, basis.party, own, other): times for other in basis.other})
    assert reasons
    assert set(reasons.values()) == {1}, f"seed {chain.world.seed}: {[r for r, n in reasons.items() if n > 1][:3]}"


def test_every_statement_is_accounted_for(worn: Chain, calm: Outcome) -> None:
    account(worn)
    the_same(worn, calm)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_the_account_again_with_more_kills_and_each_stage_frozen(stage: str, chains: Chains, calm: Outcome) -> None:
    chain = chains.start(f"frozen-{stage}")
    for day in DAYS:
        chain.tell_days(day)
    disturb(chain, Random(f"{chain.world.seed} {stage}"), 4, (stage,))
    account(chain)
    the_same(chain, calm)
    chain.stop()


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
