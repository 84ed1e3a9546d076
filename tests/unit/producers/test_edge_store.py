"""The outbox: rows and state in one transaction, gone only after confirmation, one process at a time."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from kafka import errors as kafka_errors
from pydantic import SecretStr

from samenloop_producers import sender as sender_module
from samenloop_producers.errors import ConfigurationError, TransientError
from samenloop_producers.metrics import EdgeMetrics
from samenloop_producers.outbox import EdgeStore, Event, only_one
from samenloop_producers.sender import Sender
from samenloop_schemas.kafka_access import KafkaAccess

ACCESS = KafkaAccess(bootstrap="127.0.0.1:9", username="smwo", password=SecretStr("hidden"))


def event(number: int) -> Event:
    return Event(UUID(int=number), "in.smwo", b"a2", b"value %d" % number, (("ce_id", b"x"),), 1_000 + number)


@pytest.fixture
def store(tmp_path: Path) -> EdgeStore:
    return EdgeStore(tmp_path, "CREATE TABLE IF NOT EXISTS cursor (at INTEGER)")


def test_rows_and_cursor_stand_or_fall_together(store: EdgeStore) -> None:
    def break_off() -> None:
        with store.transaction() as db:
            db.execute("INSERT INTO cursor VALUES (1)")
            store.put(db, [event(1)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert store.waiting(10) == []
    assert store.connection.execute("SELECT count(*) FROM cursor").fetchone() == (0,)


def test_what_is_put_comes_back_byte_for_byte_in_order(store: EdgeStore) -> None:
    with store.transaction() as db:
        store.put(db, [event(2), event(1)])
    assert [waiting.event for waiting in store.waiting(10)] == [event(2), event(1)]


def test_it_is_on_disk_before_it_returns(store: EdgeStore) -> None:
    assert store.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store.connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store.path.stat().st_mode & 0o077 == 0


def test_a_kill_in_the_midst_of_a_transaction_leaves_nothing_of_it(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from uuid import UUID
        from samenloop_producers.outbox import EdgeStore, Event
        store = EdgeStore(Path({str(tmp_path)!r}), "CREATE TABLE IF NOT EXISTS cursor (at INTEGER)")
        for at in (1, 2):
            with store.transaction() as db:
                store.put(db, [Event(UUID(int=at), "t", b"k", b"v", (), 0)])
                db.execute("INSERT INTO cursor VALUES (?)", (at,))
                if at == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    store = EdgeStore(tmp_path)
    assert [waiting.event.event_id.int for waiting in store.waiting(10)] == [1]
    assert sqlite3.connect(store.path).execute("SELECT at FROM cursor").fetchall() == [(1,)]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(ConfigurationError, match="another process"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


class Future:
    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def get(self, timeout: float) -> None:
        if self._error:
            raise self._error


class Broker:
    """A producer whose answers are told beforehand; remembers what it was given."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.given: list[bytes] = []

    def send(self, topic: str, *, key: bytes, value: bytes, headers: list[Any], timestamp_ms: int) -> Future:
        self.given.append(value)
        return Future(self.answers.pop(0) if self.answers else None)

    def close(self, timeout: float) -> None:
        pass


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    monkeypatch.setattr(sender_module, "open_producer", lambda access, timeout: made)
    return made


def fill(store: EdgeStore, count: int) -> Sender:
    with store.transaction() as db:
        store.put(db, map(event, range(1, count + 1)))
    return Sender(ACCESS, store, EdgeMetrics("smwo"))


def test_a_time_out_is_unknown_so_the_same_bytes_go_again(store: EdgeStore, broker: Broker) -> None:
    broker.answers = [None, kafka_errors.KafkaTimeoutError(), None]
    sender = fill(store, 3)
    with pytest.raises(TransientError):
        sender.send_waiting()
    assert [waiting.event for waiting in store.waiting(10)] == [event(2)]
    assert sender.send_waiting() == 1
    assert broker.given == [b"value 1", b"value 2", b"value 3", b"value 2"]
    assert store.waiting(10) == []


def test_no_right_to_the_topic_needs_a_person_and_keeps_everything(store: EdgeStore, broker: Broker) -> None:
    broker.answers = [kafka_errors.TopicAuthorizationFailedError()]
    with pytest.raises(ConfigurationError, match=r"no right to in\.smwo"):
        fill(store, 1).send_waiting()
    assert len(store.waiting(10)) == 1


def test_an_event_too_big_is_set_aside_in_sight_and_the_others_go_on(store: EdgeStore, broker: Broker) -> None:
    broker.answers = [kafka_errors.MessageSizeTooLargeError(), None]
    assert fill(store, 2).send_waiting() == 1
    assert store.waiting(10) == []
    assert store.outbox_state().parked == {"too_big": 1}


def test_the_loop_sends_what_is_left_when_told_to_stop(store: EdgeStore, broker: Broker) -> None:
    sender = fill(store, 3)
    stop = threading.Event()
    stop.set()
    sender.run(stop)
    assert store.waiting(10) == []


def test_the_oldest_waiting_event_has_an_age(store: EdgeStore) -> None:
    metrics = EdgeMetrics("smwo")
    with store.transaction() as db:
        store.put(db, [event(1)], now=lambda: 1.0)
    metrics.watch(store.outbox_state())
    value = metrics.registry.get_sample_value("samenloop_outbox_oldest_seconds", {"partner": "smwo"})
    assert value is not None
    assert value > 1e9
