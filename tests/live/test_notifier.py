"""The notifier on a real broker and database: each due notice told once, whatever kills it, and never with a person in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from views_world import World
from wire import Record, Wire

from samenloop_deploy.local import Databases, LocalStack
from samenloop_processors.keys import KeyKind
from samenloop_schemas import codec, sealing
from samenloop_schemas.codes import ActorRole, DecisionKind, NoticeChange
from samenloop_schemas.ids import derived_id
from samenloop_schemas.records import Decision, DueNotice, Notice, NoticeSent, OverlapStatement
from samenloop_schemas.topics import Topics

pytestmark = pytest.mark.live
WORKER = Path(__file__).with_name("notifier_worker.py")


@pytest.fixture
def world(databases: Databases, topics: Topics) -> Iterator[World]:
    made = World(databases, topics)
    made.begin("a2")
    yield made
    made.close()


class Process:
    """A notifier of its own, with the rights of `hub-notifier` and of the role `notifier`."""

    def __init__(self, world: World, stack: LocalStack) -> None:
        self._admin_url = world.databases.admin_url()
        self._environment = (
            os.environ
            | stack.kafka_access("hub-notifier").environment()
            | {
                "DATABASE_URL": world.databases.url("notifier"),
                "SAMENLOOP_KEYS_URL": world.databases.keys_url("notifier"),
                "SAMENLOOP_KEK": sealing.key_to_text(world.kek),
                "SAMENLOOP_TOPIC_PREFIX": world.topics.prefix,
                "SAMENLOOP_PUBLIC_URL": "https://samenloop.example",
                "SAMENLOOP_POLL_SECONDS": "0.5",
            }
        )

    def start(self, *point: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(WORKER), *point], env=self._environment)

    @contextmanager
    def running(self) -> Iterator[None]:
        with psycopg.connect(self._admin_url, autocommit=True) as admin:
            (before,) = admin.execute("SELECT now()").fetchone() or ()
            process = self.start()
            listening = (
                "SELECT FROM pg_stat_activity WHERE application_name = 'samenloop notifier ear' AND backend_start > %s"
            )
            deadline = time.monotonic() + 30
            while admin.execute(listening, (before,)).fetchone() is None:
                assert time.monotonic() < deadline, "the notifier does not listen"
                time.sleep(0.02)
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()

    def dies_at(self, *point: str) -> None:
        process = self.start(*point)
        try:
            assert process.wait(60) == -signal.SIGKILL
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def notifier(world: World, stack: LocalStack) -> Process:
    return Process(world, stack)


def sent(wire: Wire, topic: str, record: type[Decision] | type[Notice]) -> list[tuple[Record, Decision | Notice]]:
    return [(raw, codec.decode(raw.value, record)) for raw in wire.read(topic)]


def decisions(wire: Wire, topics: Topics) -> list[tuple[DecisionKind, UUID]]:
    found = []
    for _, decision in sent(wire, topics.decisions, Decision):
        assert isinstance(decision, Decision)
        assert isinstance(decision.payload, NoticeSent)
        found.append((decision.kind, decision.payload.notice_id))
    return found


def steps(world: World) -> list[int]:
    with psycopg.connect(world.databases.admin_url()) as connection:
        if connection.execute("SELECT to_regclass('notifier.delivery')").fetchone() == (None,):
            return []
        return [row[0] for row in connection.execute("SELECT step FROM notifier.delivery")]


def told(world: World, number: int, eventually: Callable[..., None]) -> None:
    eventually(lambda: steps(world) == [3] * number, f"{number} notices delivered", 60)


def overlap(world: World, name: str) -> OverlapStatement:
    return world.overlap(
        world.involve("lumens/social-work", f"{name}-own"), world.involve("gemeente-valkenswaard/wmo", f"{name}-other")
    )


def test_each_party_is_told_by_its_own_refs_and_the_log_says_so(
    world: World, notifier: Process, wire: Wire, topics: Topics, eventually: Callable[..., None]
) -> None:
    with notifier.running():
        case = overlap(world, "one")
        told(world, 2, eventually)
    for partner, party, ref in (
        ("smwo", "lumens/social-work", "ref-one-own"),
        ("backoffice", "gemeente-valkenswaard/wmo", "ref-one-other"),
    ):
        ((raw, notice),) = sent(wire, topics.notices(partner), Notice)
        due = next(d for d in case.due if d.recipient == party)
        assert notice == Notice(
            due.notice_id, "a2", party.split("/")[0], party, (ref,), case.case_id, case.kind, NoticeChange.NEW,
            due.deadline, f"https://samenloop.example/overlappen/{case.case_id}",
        )  # fmt: skip
        assert raw.key == b"a2"
        assert dict(raw.headers)["ce_id"] == str(due.notice_id).encode()
        for secret in (b"Noor", b"Bakker", b"1984", case.client_id.encode()):
            assert raw.value is not None
            assert secret not in raw.value
    found = [decision for _, decision in sent(wire, topics.decisions, Decision)]
    assert [d.kind for d in found if isinstance(d, Decision)] == [
        *[DecisionKind.NOTICE_INTENDED] * 2,
        *[DecisionKind.NOTICE_DELIVERED] * 2,
    ]
    for decision in found:
        assert isinstance(decision, Decision)
        assert isinstance(decision.payload, NoticeSent)
        due = next(d for d in case.due if d.notice_id == decision.payload.notice_id)
        assert (decision.payload.about, decision.payload.recipient) == (due.about, due.recipient)
        assert decision.actor.role is ActorRole.SYSTEM


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_anywhere_every_notice_is_told_once(
    world: World, notifier: Process, wire: Wire, topics: Topics, eventually: Callable[..., None], moment: str
) -> None:
    """Each kill leaves something half done, and finds something new to do beside it."""
    cases = []
    for function, call in (("take", "1"), ("advance", "1"), ("advance", "2"), ("advance", "3")):
        cases.append(overlap(world, f"{function}{call}"))
        notifier.dies_at(function, call, moment)
    with notifier.running():
        told(world, 2 * len(cases), eventually)
    due = {notice.notice_id for case in cases for notice in case.due}
    notices: dict[UUID, set[bytes | None]] = {}
    for partner in ("smwo", "backoffice"):
        for raw, notice in sent(wire, topics.notices(partner), Notice):
            assert isinstance(notice, Notice)
            notices.setdefault(notice.notice_id, set()).add(raw.value)
    assert notices.keys() == due
    log = decisions(wire, topics)
    for kind in (DecisionKind.NOTICE_INTENDED, DecisionKind.NOTICE_DELIVERED):
        assert {notice_id for k, notice_id in log if k is kind} == due
    values: dict[UUID, set[bytes | None]] = {}
    for raw, decision in sent(wire, topics.decisions, Decision):
        assert isinstance(decision, Decision)
        values.setdefault(decision.decision_id, set()).add(raw.value)
    assert len(values) == 2 * len(due)
    for copies in (*notices.values(), *values.values()):
        assert len(copies) == 1  # a repeat is the same to the byte
    for notice_id in due:
        kinds = [kind for kind, told_id in log if told_id == notice_id]
        assert kinds.index(DecisionKind.NOTICE_DELIVERED) > kinds.index(DecisionKind.NOTICE_INTENDED)


def test_what_the_log_calls_delivered_is_not_told_again_when_the_own_memory_is_lost(
    world: World, notifier: Process, wire: Wire, topics: Topics, eventually: Callable[..., None]
) -> None:
    with notifier.running():
        overlap(world, "one")
        told(world, 2, eventually)
    for raw, _ in sent(wire, topics.decisions, Decision):
        world.harness.feed(topics.decisions, "a2", raw.value)
    with psycopg.connect(world.databases.admin_url(), autocommit=True) as admin:
        admin.execute("TRUNCATE notifier.delivery")
    with notifier.running():
        overlap(world, "two")
        told(world, 2, eventually)
    assert len(sent(wire, topics.notices("smwo"), Notice)) == 2


def test_a_recall_finds_the_ref_of_a_case_that_vanished(
    world: World, notifier: Process, wire: Wire, topics: Topics, eventually: Callable[..., None]
) -> None:
    case = overlap(world, "one")
    recalls = tuple(
        DueNotice(derived_id("recall", d.notice_id), NoticeChange.RECALLED, d.recipient, d.organisation, d.about)
        for d in case.due
    )
    world.restate(case, facts=(), due=recalls)
    with notifier.running():
        told(world, 2, eventually)
    ((_, notice),) = sent(wire, topics.notices("smwo"), Notice)
    assert isinstance(notice, Notice)
    assert (notice.change, notice.case_refs) == (NoticeChange.RECALLED, ("ref-one-own",))


def test_a_notice_waits_for_its_own_involvement_and_an_erased_case_has_no_ref(
    world: World, notifier: Process, wire: Wire, topics: Topics, eventually: Callable[..., None]
) -> None:
    own = world.involve("lumens/social-work", "one")
    other = world.involve("gemeente-valkenswaard/wmo", "two")
    with psycopg.connect(world.databases.admin_url(), autocommit=True) as admin:
        schema = world.harness.schema
        (late,) = admin.execute(
            f"DELETE FROM {schema}.involvement WHERE case_key_id = %s RETURNING 1", (own.case_key.key_id,)
        )
        assert late == (1,)
    world.erase(other.case_key, KeyKind.CASE)
    world.overlap(own, other)
    with notifier.running():
        told(world, 1, eventually)
        ((_, notice),) = sent(wire, topics.notices("backoffice"), Notice)
        assert isinstance(notice, Notice)
        assert notice.case_refs == ()
        world.involve("lumens/social-work", "one", revision=2)
        told(world, 2, eventually)


def test_only_one_of_two_delivers(
    world: World, notifier: Process, wire: Wire, topics: Topics, eventually: Callable[..., None]
) -> None:
    with notifier.running(), notifier.running():
        for number in range(5):
            overlap(world, str(number))
            time.sleep(0.05)
        told(world, 10, eventually)
    assert len(sent(wire, topics.notices("smwo"), Notice)) == 5
    assert len(sent(wire, topics.decisions, Decision)) == 20
