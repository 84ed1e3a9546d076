"""The account of every id: kills, freezes, joins and leaves, restarts of broker and database. Nothing lost, nothing twice."""

from __future__ import annotations

import json
import signal
import threading
import time
from contextlib import suppress

import pytest
from engine_rig import Rig, Worker
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

pytestmark = pytest.mark.live
pytest_plugins = ("engine_fixtures",)


class Load:
    """Records sent from a thread at an even pace."""

    def __init__(self, rig: Rig, count: int, pace: float) -> None:
        self._rig = rig
        self._thread = threading.Thread(target=rig.put, args=(count,), kwargs={"pace": pace})
        self._thread.start()

    def finish(self) -> None:
        self._thread.join()
        self._rig.wait_applied(timeout=60)


def two_static_workers(rig: Rig) -> None:
    for slot in ("a", "b"):
        rig.start(SAMENLOOP_INSTANCE=slot)
    rig.wait(lambda: owners(rig) == 2, "two workers with partitions")


def owned(worker: Worker) -> list[int]:
    """Partitions that this worker was last told to own."""
    told = [line for line in worker.log.read_text().splitlines() if "partitions [" in line]
    return json.loads(told[-1].split("partitions ")[1]) if told else []


def owners(rig: Rig) -> int:
    return sum(bool(owned(worker)) for worker in rig.workers if worker.process.poll() is None)


def test_kill_and_freeze(rig: Rig) -> None:
    two_static_workers(rig)
    load = Load(rig, 3000, 300)
    for slot in (0, 1):
        rig.wait_applied(len(rig.sent) + 200)
        rig.workers[slot].kill()
        rig.start(SAMENLOOP_INSTANCE="ab"[slot])
    frozen = rig.workers[-1]
    rig.wait_applied(len(rig.sent) + 200)
    frozen.signal(signal.SIGSTOP)
    time.sleep(7)  # past the session time-out of 6 s: what is tested is that span
    frozen.signal(signal.SIGCONT)
    load.finish()
    rig.account()


def test_frozen_between_lock_and_commit(rig: Rig) -> None:
    two_static_workers(rig)
    rig.put(200)
    rig.wait_applied()
    rig.barrier.touch()
    reached = rig.barrier.with_suffix(".reached")
    rig.put(1, topics=(rig.topics.involvements,))
    rig.wait(reached.exists, "the barrier")
    holder = next(w for w in rig.workers if rig.partition_of_last() in owned(w))
    holder.signal(signal.SIGSTOP)
    rig.barrier.unlink()
    rig.put(400)
    rig.wait_applied()
    holder.signal(signal.SIGCONT)
    rig.put(100)
    rig.wait_applied()
    rig.account()


def joins_and_leaves(rig: Rig, rounds: int) -> None:
    for _ in range(rounds):
        rig.start()
        rig.wait(lambda: owners(rig) == 2, "a worker has joined")
        code, seconds = rig.workers.pop(0).stop()
        assert (code, seconds < 5) == (0, True), rig.logs()
        rig.wait(lambda: owners(rig) == 1, "a worker has left")


def test_join_and_leave_under_load(rig: Rig) -> None:
    rig.start()
    rig.wait(lambda: owners(rig) == 1, "the first worker")
    load = Load(rig, 2000, 300)
    joins_and_leaves(rig, 1)
    load.finish()
    rig.account()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_long_account(rig: Rig) -> None:
    """20,000 ids at 300 a second, dynamic members: kills, a freeze, joins and leaves."""
    rig.start()
    rig.wait(lambda: owners(rig) == 1, "the first worker")
    load = Load(rig, 20_000, 300)
    for _ in range(5):
        joins_and_leaves(rig, 1)
        rig.workers[0].kill()
        rig.workers.clear()
        rig.start()
        rig.wait(lambda: owners(rig) == 1, "a worker after the kill")
    rig.workers[0].signal(signal.SIGSTOP)
    time.sleep(9)  # past the session time-out: what is tested is that span
    rig.workers[0].signal(signal.SIGCONT)
    load.finish()
    rig.account()


def test_committed_offsets_deleted_or_ahead_mean_nothing(rig: Rig, admin: KafkaAdminClient) -> None:
    rig.put(500)
    worker = rig.start()
    rig.wait_applied()
    assert worker.stop()[0] == 0
    group = f"{rig.topics.prefix}stage.clients"
    positions = rig.query("SELECT topic, partition, next FROM position")
    deleted = [TopicPartition(topic, p) for topic, p, _ in positions if topic == rig.topics.decisions]
    admin.delete_group_offsets(group, deleted)
    ahead = {
        TopicPartition(topic, p): OffsetAndMetadata(next_ + 50, "", -1)
        for topic, p, next_ in positions
        if topic == rig.topics.involvements
    }
    answers = admin.alter_group_offsets(group, ahead)
    assert {error.__name__ for error in answers.values()} == {"NoError"}
    rig.put(500)
    rig.start()
    rig.wait_applied()
    rig.account()


def test_database_restart_and_broker_kill_in_mid_run(rig: Rig, admin: KafkaAdminClient) -> None:
    worker = rig.start()
    rig.wait(lambda: owners(rig) == 1, "the worker")
    load = Load(rig, 2500, 250)
    rig.wait_applied(300)
    rig.stack.kill_postgres()
    time.sleep(1)  # an outage has a length
    rig.stack.restart_postgres()
    rig.wait_applied(1000)
    rig.stack.kill_kafka()
    time.sleep(2)
    rig.stack.restart_kafka()
    load.finish()
    rig.account()
    assert worker.process.poll() is None, rig.logs()
    assert len(worker.log.read_text().splitlines()) < 120, "an outage floods the log"
    rig.wait(lambda: reaches(admin), "the session's own client has found the broker again")


def reaches(admin: KafkaAdminClient) -> bool:
    with suppress(KafkaError):
        return bool(admin.list_topics())
    return False
