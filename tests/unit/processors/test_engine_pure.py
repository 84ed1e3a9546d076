"""Parts of the engine that need neither broker nor database."""

from __future__ import annotations

import psycopg
import pytest

from samenloop_processors.engine import faust_guard, outbox
from samenloop_processors.engine.api import Incoming, QuarantineReason
from samenloop_processors.engine.cache import AreaCaches
from samenloop_processors.engine.errors import Gap, Stalled, WrongLog, is_transient, too_long
from samenloop_processors.engine.logs import one_line
from samenloop_processors.engine.pause import BadShare
from samenloop_processors.engine.quarantine import attempts_of, headers_of
from samenloop_processors.engine.transaction import StageDatabase
from samenloop_processors.engine.watchdog import Watchdog

# On a new Faust: read the difference in each changed body, run tests/live/test_engine_account.py with its slow tests, pin.
PINNED = {
    "Fetcher._fetcher": "68f894f0b577",
    "Consumer._drain_messages": "44a2500309e8",
    "Consumer._wait_next_records": "6218e1969a63",
    "Consumer.getmany": "4b168d84882a",
    "Consumer.wait_empty": "e4662fe24f09",
    "Consumer.commit": "a354437baaa0",
    "Consumer._commit_handler": "4e5da5df0730",
    "Consumer.on_stop": "45b1d2210ce2",
    "Consumer.perform_seek": "0e8c130ff4b0",
    "Consumer.stop_flow": "cf7e875a2b0d",
    "Consumer.resume_flow": "db59630f25b5",
    "Consumer.pause_partitions": "27a1c94bdacd",
    "Consumer.resume_partitions": "afe6b7c02a41",
    "ThreadDelegateConsumer._getmany": "f9d47aa9010b",
    "ThreadDelegateConsumer._commit": "a20eec84e4b2",
    "ThreadDelegateConsumer.seek_wait": "e9db5bbc4ceb",
    "AIOKafkaConsumerThread._fetch_records": "39a2c6c79fc1",
    "AIOKafkaConsumerThread._seek_wait": "9d221e816d94",
    "AIOKafkaConsumerThread._commit": "932852ce7a23",
    "AIOKafkaConsumerThread._highwaters": "a7f4f97d9f32",
    "PartitionRecords._unpack_records": "b803e6d46480",
    "_MemoryRecordsPy.next_batch": "f1779ecb6d0d",
    "_DefaultRecordBatchPy._read_msg": "0997ab7a5850",
    "App._stop_consumer": "55854a5de12c",
    "App._on_partitions_revoked": "d5c895bbe57d",
    "App._on_partitions_assigned": "de932b7927db",
    "Recovery._resume_streams": "d986a6710c1a",
}


def test_the_faust_bodies_that_the_batch_intake_leans_on_are_those_that_were_read() -> None:
    assert faust_guard.digests() == PINNED


def record(offset: int, topic: str = "t", partition: int = 0, headers: tuple[tuple[str, bytes], ...] = ()) -> Incoming:
    return Incoming(topic, partition, offset, b"a2", b"v", headers, 0)


class TestSelect:
    def test_below_is_skipped_and_the_rest_moves_the_position(self) -> None:
        work = [(record(n), n) for n in range(3, 8)]
        todo, moved = StageDatabase._select(work, {("t", 0): 5})
        assert [value for _, value in todo] == [5, 6, 7]
        assert moved == {("t", 0): 8}

    def test_places_are_apart(self) -> None:
        work = [(record(0), "a"), (record(7, "u"), "b"), (record(1), "c"), (record(0, partition=1), "d")]
        todo, moved = StageDatabase._select(work, {("t", 0): 0, ("u", 0): 8, ("t", 1): 0})
        assert [value for _, value in todo] == ["a", "c", "d"]
        assert moved == {("t", 0): 2, ("t", 1): 1}

    @pytest.mark.parametrize("offsets", [(6,), (5, 7)])
    def test_a_hole_stops(self, offsets: tuple[int, ...]) -> None:
        with pytest.raises(Gap):
            StageDatabase._select([(record(n), n) for n in offsets], {("t", 0): 5})

    def test_a_place_without_position_stops(self) -> None:
        with pytest.raises(Gap, match="no position"):
            StageDatabase._select([(record(0), 0)], {})


class TestBadShare:
    def test_needs_a_quarter_of_the_window(self) -> None:
        share = BadShare(40, 0.5)
        assert share.judge([True] * 9) is None
        tipped = share.judge([True] * 10)
        assert tipped
        assert (tipped.index, tipped.bad, tipped.seen) == (9, 10, 10)

    def test_judging_remembers_nothing(self) -> None:
        share = BadShare(40, 0.5)
        for _ in range(5):
            assert share.judge([True] * 9) is None
        share.remember([True] * 9)
        assert share.judge([True])

    def test_old_verdicts_leave_the_window(self) -> None:
        share = BadShare(4, 0.5)
        share.remember([True, True, False, False])
        assert share.judge([False, False, True]) is None
        assert share.judge([False, True, True, True])


class TestCaches:
    def test_valid_at_one_batch_number_only(self) -> None:
        caches = AreaCaches()
        caches.put(0, 7, "a2", "value")
        caches.check({0: 7})
        assert caches.get(0, "a2") == "value"
        caches.advance(0, 8)
        caches.check({0: 8})
        assert caches.get(0, "a2") == "value"
        caches.check({0: 9})
        with pytest.raises(KeyError):
            caches.get(0, "a2")

    def test_a_later_snapshot_drops_neighbours(self) -> None:
        caches = AreaCaches()
        caches.put(0, 7, "a2", "old")
        caches.put(0, 8, "peel", "new")
        with pytest.raises(KeyError):
            caches.get(0, "a2")

    def test_what_others_own_is_forgotten(self) -> None:
        caches = AreaCaches()
        caches.put(0, 1, "a2", 1)
        caches.put(1, 1, "peel", 1)
        caches.keep_only({1})
        assert caches.areas() == 1


class TestWatchdog:
    def dog(self) -> Watchdog:
        return Watchdog("s", "g", assignment_timeout_s=30, stall_timeout_s=60, started=0)

    def test_a_member_that_is_never_assigned_is_told_which_right_to_look_at(self) -> None:
        dog = self.dog()
        dog.check_assignment(30)
        with pytest.raises(Stalled, match="Read on group g"):
            dog.check_assignment(31)

    def test_an_empty_assignment_is_one(self) -> None:
        dog = self.dog()
        dog.assigned()
        dog.check_assignment(1000)

    def test_waiting_records_and_no_movement(self) -> None:
        dog, place = self.dog(), ("t", 0)
        dog.check_progress(0, {place: 5}, {place: 9}, excused=False)
        dog.check_progress(60, {place: 5}, {place: 9}, excused=False)
        with pytest.raises(Stalled, match="4 records wait in t/0"):
            dog.check_progress(61, {place: 5}, {place: 9}, excused=False)

    @pytest.mark.parametrize(("position", "excused"), [(6, False), (5, True)])
    def test_movement_or_an_excuse_starts_the_clock_anew(self, position: int, excused: bool) -> None:
        dog, place = self.dog(), ("t", 0)
        dog.check_progress(0, {place: 5}, {place: 9}, excused=False)
        dog.check_progress(61, {place: position}, {place: 9}, excused=excused)
        dog.check_progress(121, {place: position}, {place: 9}, excused=False)

    def test_idle_at_the_end_is_well(self) -> None:
        dog, place = self.dog(), ("t", 0)
        for now in (0, 1000):
            dog.check_progress(now, {place: 9}, {place: 9}, excused=False)

    def test_beyond_the_end_is_another_log(self) -> None:
        with pytest.raises(WrongLog, match="stage rebase s"):
            self.dog().check_progress(0, {("t", 0): 10}, {("t", 0): 9}, excused=False)

    def test_lag_counts_from_when_records_began_to_wait(self) -> None:
        dog, place = self.dog(), ("t", 0)
        assert dog.lag(10, {place: 5}, {place: 9}) == {"t": (4, 0)}
        assert dog.lag(15, {place: 8}, {place: 9}) == {"t": (1, 5)}
        assert dog.lag(20, {place: 9}, {place: 9}) == {"t": (0, 0)}
        assert dog.lag(30, {place: 9}, {place: 10}) == {"t": (1, 0)}


def test_quarantine_headers_hold_no_message_and_keep_the_records_own() -> None:
    first = headers_of(record(3, headers=(("ce_id", b"x"),)), QuarantineReason.SEAL_BROKEN)
    assert [name for name, _ in first][:7] == ["ce_id"] + [
        "__streams.errors." + part for part in ("exception", "stacktrace", "message", "topic", "partition", "offset")
    ]
    again = record(9, headers=first)
    assert attempts_of(again) == 2
    second = headers_of(again, QuarantineReason.WRONG_KEY, attempts_of(again))
    assert len(second) == len(first)
    assert dict(second)["samenloop-reason"] == b"wrong_key"


def test_any_header_value_survives_the_outbox_table() -> None:
    headers = (("a", bytes(range(256))), ("b", b""), ("a", b"\x00"))
    assert outbox.unpack_headers(outbox.pack_headers(headers)) == headers
    assert outbox.unpack_headers(outbox.pack_headers(())) == ()


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (psycopg.OperationalError("server closed the connection"), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.LockNotAvailable(), True),
        (psycopg.errors.IdleInTransactionSessionTimeout(), True),
        (psycopg.errors.DeadlockDetected(), True),
        (psycopg.errors.DiskFull(), True),
        (psycopg.errors.UniqueViolation(), False),
        (psycopg.errors.UndefinedTable(), False),
        (psycopg.errors.InsufficientPrivilege(), False),
        (psycopg.ProgrammingError(), False),
        (ValueError(), False),
    ],
)
def test_what_is_worth_another_try(error: BaseException, transient: bool) -> None:
    assert is_transient(error) is transient
    assert not (too_long(error) and not transient)


def test_the_last_line_tells_no_values() -> None:
    try:
        raise KeyError("J. de Vries")
    except KeyError as error:
        line = one_line(error)
    assert "Vries" not in line
    assert line.startswith("KeyError at test_engine_pure.py:")
    assert one_line(Gap("t/0: the log goes on at 3")) == "t/0: the log goes on at 3"
