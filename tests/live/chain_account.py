"""Kills and freezes while statements flow, and the account of every statement at every place where it leaves a trace."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from random import Random
from typing import Any

from chain_rig import SESSION_TIMEOUT_S, Chain
from wire import PARTITIONS

from samenloop_deploy.demo.hub import STAGES
from samenloop_schemas import codec
from samenloop_schemas.codes import DecisionKind, ReceiptKind
from samenloop_schemas.records import AcceptedStatement, ClientStatement, Notice, OverlapStatement, Receipt

PACE = 22
"""Statements per second: what is killed is killed while they flow."""


def disturb(chain: Chain, rng: Random, rounds: int, frozen: tuple[str, ...]) -> None:
    """Kills of everybody at random moments, then a freeze in which another worker takes over, while statements flow."""
    said = [*chain.world.said, *chain.world.said[::20]]
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


def account(chain: Chain) -> None:
    """Every statement that was sent, at every place where it leaves a trace."""
    world, topics, note = chain.world, chain.topics, f"seed {chain.world.seed}"
    sent = Counter(chain.sent.keys())
    last: dict[str, ReceiptKind] = {}
    for partner in chain.hub.partners:
        for record in chain.wire.read(topics.receipts(partner)):
            receipt = codec.decode(record.value or b"", Receipt)
            if receipt.kind is not ReceiptKind.RECONCILIATION:
                last[str(receipt.statement_id)] = receipt.kind
        assert chain.wire.read(topics.quarantine(partner)) == [], note
    same(chain, "with a receipt", Counter(last.keys()), sent)
    refused = Counter(i for i, kind in last.items() if kind is not ReceiptKind.ACCEPTED)
    same(chain, "refused", refused, Counter(world.refused()))
    stated: dict[str, AcceptedStatement] = {}
    for record in chain.wire.read(topics.involvements):
        accepted = codec.decode(record.value or b"", AcceptedStatement)
        known = stated.setdefault(str(accepted.statement_id), accepted)
        assert known == accepted, f"{note}: {accepted.statement_id} was stated in two encryptions"
    same(chain, "on involvements", Counter(stated.keys()), Counter(world.stated()))
    same(chain, "in intake's table", ids(chain, "intake", "SELECT statement_id FROM statement"), sent)
    emitted = ids(chain, "intake", "SELECT statement_id FROM statement WHERE emitted")
    same(chain, "emitted by intake", emitted, Counter(world.stated()))
    winners = ids(chain, "views", "SELECT statement_id FROM involvement")
    same(chain, "winning in the views", winners, Counter(world.winners()))
    whole_versions(chain)
    one_client_per_person(chain)
    one_notice_per_reason(chain)


def ids(chain: Chain, stage: str, query: str) -> Counter[str]:
    return Counter(str(found) for (found,) in chain.query(stage, query))


def same(chain: Chain, where: str, found: Counter[str], expected: Counter[str]) -> None:
    lost, more = expected - found, found - expected
    assert not lost, f"seed {chain.world.seed}: {len(lost)} are not {where}: {sorted(lost)[:5]}"
    assert not more, f"seed {chain.world.seed}: {len(more)} are {where} and should not, or twice: {sorted(more)[:5]}"


def whole_versions(chain: Chain) -> None:
    """What clients and overlaps stated: a version without holes per area, each with one content, however often sent."""
    for topic, kind in ((chain.topics.clients, ClientStatement), (chain.topics.overlaps, OverlapStatement)):
        said: dict[tuple[str, int], Any] = {}
        for record in chain.wire.read(topic):
            statement: Any = codec.decode(record.value or b"", kind)
            known = said.setdefault((statement.area, statement.subject_version), statement)
            assert known == statement, f"{topic}: two contents under version {statement.subject_version}"
        for area in {area for area, _ in said}:
            numbers = sorted(version for a, version in said if a == area)
            assert numbers == list(range(1, len(numbers) + 1)), f"versions of {area} on {topic} have holes"


def one_client_per_person(chain: Chain) -> None:
    persons: Counter[tuple[str, str]] = Counter()
    for (data,) in chain.query("views", "SELECT statement FROM client"):
        client = codec.decode(data, ClientStatement)
        persons.update((client.area, member) for member in client.members)
    twice = [person for person, times in persons.items() if times > 1]
    assert persons, "nobody is in any client"
    assert not twice, f"seed {chain.world.seed}: {len(twice)} persons are in two clients"


def one_notice_per_reason(chain: Chain) -> None:
    """What partners got is what was delivered, and nothing that stands was told twice on the same facts."""
    got: dict[object, Notice] = {}
    for partner in chain.hub.partners:
        for record in chain.wire.read(chain.topics.notices(partner)):
            notice = codec.decode(record.value or b"", Notice)
            known = got.setdefault((notice.notice_id, partner), notice)
            assert (known.party, known.change) == (notice.party, notice.change), "one notice id, two contents"
    delivered, intended = chain.notices(), chain.notices(DecisionKind.NOTICE_INTENDED)
    arrived = Counter({str(notice.notice_id): 1 for notice in got.values()})
    same(chain, "with their partner", arrived, Counter(map(str, delivered)))
    assert set(delivered) <= set(intended), "delivered without being intended"
    reasons: Counter[tuple[str, str, str, str]] = Counter()
    for (recipient, basis), times in chain.told().items():
        for own in basis.own:
            reasons.update({(recipient, basis.party, own, other): times for other in basis.other})
    twice = [reason for reason, times in reasons.items() if times > 1]
    assert reasons, "nobody was told anything"
    assert not twice, f"seed {chain.world.seed}: told twice on the same facts: {twice[:3]}"
