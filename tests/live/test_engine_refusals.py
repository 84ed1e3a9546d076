"""What a worker refuses to go on with, and what it says: the exit code and the last line are for people and supervisors."""

from __future__ import annotations

import json

import pytest
from engine_example import Counting
from engine_rig import Rig, Worker
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from pydantic import SecretStr

from samenloop_processors.engine.status import Standing, rebase, resume, status
from samenloop_processors.settings import HubSettings

pytestmark = pytest.mark.live
pytest_plugins = ("engine_fixtures",)


def settings_of(rig: Rig) -> HubSettings:
    return HubSettings(database_url=SecretStr(rig.url), topic_prefix=rig.topics.prefix)


def recreate(admin: KafkaAdminClient, topic: str) -> None:
    admin.delete_topics([topic])
    while topic in admin.list_topics():
        pass
    admin.create_topics([NewTopic(topic, 4, 1)])
    admin.wait_for_topics([topic])


def refused(worker: Worker, code: int, *words: str) -> None:
    assert worker.wait(60) == code, worker.log.read_text()
    for word in words:
        assert word in worker.last_line, worker.log.read_text()


def test_a_recreated_topic_is_refused_until_rebased(rig: Rig, admin: KafkaAdminClient) -> None:
    rig.put(200)
    worker = rig.start()
    rig.wait_applied()
    assert worker.stop()[0] == 0
    recreate(admin, rig.topics.involvements)
    rig.put(500, topics=(rig.topics.involvements,))
    refused(rig.start(), 1, "made anew", "samenloop stage rebase clients")
    stage, access = Counting(rig.topics), rig.stack.kafka_access("hub-clients")
    assert "made anew" in str(status(stage, settings_of(rig), access).trouble)
    standings = rebase(stage, settings_of(rig), access, to="keep")
    skipped = sum(s.position - s.first for s in standings if s.topic == rig.topics.involvements)
    assert 0 < skipped <= 100
    rebase(stage, settings_of(rig), access)
    rig.workers.clear()
    rig.start()
    # decisions are read a second time: an event log read again from the start is what "earliest" promises
    rig.wait_applied(200 + 500 + 100)


def test_a_topic_recreated_under_a_running_worker_stops_it(rig: Rig, admin: KafkaAdminClient) -> None:
    rig.put(400)
    worker = rig.start()
    rig.wait_applied()
    recreate(admin, rig.topics.involvements)
    rig.put(10, topics=(rig.topics.involvements,))
    assert worker.wait() in (1, 2), worker.log.read_text()
    assert any(
        words in worker.last_line for words in ("no such topics", "made anew", "the log ends at", "the log gives")
    )
    refused(rig.start(), 1, "samenloop stage rebase clients")
    assert rig.applied() == 400


def test_records_deleted_before_they_were_read_are_a_gap(rig: Rig, admin: KafkaAdminClient) -> None:
    rig.put(200)
    worker = rig.start()
    rig.wait_applied()
    assert worker.stop()[0] == 0
    rig.put(400)
    ends = {s.partition: s.end for s in standings(rig) if s.topic == rig.topics.involvements and s.waiting > 1}
    admin.delete_records({TopicPartition(rig.topics.involvements, p): end - 1 for p, end in ends.items()})
    refused(rig.start(), 1, "records are gone before they were read")
    assert rig.applied() == 200


def standings(rig: Rig) -> list[Standing]:
    return status(Counting(rig.topics), settings_of(rig), rig.stack.kafka_access("hub-clients")).inputs


def test_missing_topics_are_named(rig: Rig, admin: KafkaAdminClient) -> None:
    admin.delete_topics([rig.topics.decisions, rig.topics.clients])
    refused(rig.start(), 2, "no such topics", rig.topics.decisions, rig.topics.clients)


def test_a_member_that_may_not_join_its_group_says_so(rig: Rig) -> None:
    # hub-views may read both inputs, but not as this group
    access = rig.stack.kafka_access("hub-views").environment()
    settings = {"SAMENLOOP_ASSIGNMENT_TIMEOUT_S": "3", "EXAMPLE_OUTPUT": "none"}
    refused(rig.start(**access, **settings), 1, "group", "stage.clients")


def test_a_programming_error_stops_with_one_clear_line_and_no_values(rig: Rig) -> None:
    worker = rig.start()
    rig.wait(lambda: rig.query("SELECT count(*) FROM position") == [(8,)], "positions")
    rig.query("ALTER TABLE ledger ADD CONSTRAINT nothing_goes CHECK (id = '')")
    rig.put(5)
    refused(worker, 1, "CheckViolation 23514 on nothing_goes", "engine_example.py")
    assert "Failing row" not in worker.log.read_text()


def test_a_partner_with_too_much_bad_input_is_paused_alone(rig: Rig) -> None:
    rig.name = "intake"
    smwo, backoffice = rig.topics.inbox("smwo"), rig.topics.inbox("backoffice")
    worker = rig.start(SAMENLOOP_PAUSE_WINDOW="40")
    rig.put(50, topics=(smwo, backoffice))
    rig.wait_applied()
    for number in range(100):
        rig.wire.producer().send(smwo, key=b"a2", value=b"bad %d" % number)
    rig.wire.producer().flush()
    stage, access = Counting(rig.topics, name="intake"), rig.stack.kafka_access("hub-intake")
    rig.wait(lambda: rig.query("SELECT topic FROM paused_input") == [(smwo,)], "paused")
    told = rig.wire.await_records(rig.topics.receipts("smwo"), 1)
    assert json.loads(told[0].value or b"")["paused"] == smwo
    rig.put(50, topics=(smwo,))
    rig.put(50, topics=(backoffice,))
    rig.wait_applied(100)
    found = status(stage, settings_of(rig), access)
    assert smwo in found.paused
    assert {s.topic for s in found.inputs if s.waiting} == {smwo}
    while rig.applied() < 150:
        resume(stage, settings_of(rig), smwo)
    rig.account()
    assert worker.process.poll() is None
    assert len(rig.wire.await_records(rig.topics.quarantine("smwo"), 100)) == 100
