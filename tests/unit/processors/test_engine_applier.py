"""The applier against a database of ten lines: order, back-pressure, retries, revocation, pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import chain
from typing import Any, cast

import psycopg
import pytest

from samenloop_processors.engine.api import Incoming, PauseNotice, Stage
from samenloop_processors.engine.applier import Applier, BatchLimits
from samenloop_processors.engine.cache import AreaCaches
from samenloop_processors.engine.errors import WrongLog
from samenloop_processors.engine.transaction import Applied, StageDatabase, Work
from samenloop_processors.metrics import HubMetrics

PLACE = ("t", 0)


class NamedStage:
    name = "s"


class FakeDatabase:
    """Applies in memory; `errors` are raised first, one per attempt."""

    def __init__(self) -> None:
        self.stage = cast(Stage, NamedStage())
        self.caches = AreaCaches()
        self.errors: list[Exception] = []
        self.batches: list[list[int]] = []
        self.pause: list[PauseNotice] = []

    def decode(self, batch: list[Incoming]) -> Work:
        return [(record, record.offset) for record in batch]

    def apply(self, work: Work, confirmed: Mapping[int, int]) -> Applied:
        if self.errors:
            raise self.errors.pop(0)
        self.batches.append([offset for _, offset in work])
        paused, self.pause = self.pause, []
        return Applied(ends={PLACE: work[-1][1] + 1}, applied=len(work), paused=paused)

    def close(self) -> None: ...


class Rig:
    def __init__(self, records: int = 10) -> None:
        self.database = FakeDatabase()
        self.doubts = 0
        self.applied: list[Applied] = []
        self.applier = Applier(
            cast(StageDatabase, self.database),
            HubMetrics(),
            BatchLimits(records, 1.0),
            self.applied.append,
            self._doubt,
            dict,
        )
        self.applier.start({PLACE: 0})

    def _doubt(self) -> None:
        self.doubts += 1

    async def settle(self, position: int) -> None:
        task = asyncio.ensure_future(self.applier.run())
        try:
            async with asyncio.timeout(5):
                while self.applier.done.get(PLACE) != position and not task.done():
                    await asyncio.sleep(0)
            if task.done():
                await task
        finally:
            task.cancel()
            self.applier.close()


def records(start: int, end: int, topic: str = "t") -> dict[tuple[str, int], list[Incoming]]:
    return {(topic, 0): [Incoming(topic, 0, n, b"a2", b"", (), 0) for n in range(start, end)]}


def run(coroutine: Any) -> None:
    asyncio.run(coroutine)


def test_batches_are_cut_by_count_and_keep_order() -> None:
    rig = Rig(records=10)
    assert rig.applier.feed(records(0, 25)) == {}
    run(rig.settle(25))
    assert rig.database.batches == [list(range(10)), list(range(10, 20)), list(range(20, 25))]


def test_a_list_that_starts_elsewhere_is_fetched_again_once() -> None:
    rig = Rig()
    assert rig.applier.feed(records(5, 8)) == {PLACE: 0}
    assert rig.applier.feed(records(0, 3)) == {}
    run(rig.settle(3))


def test_a_hole_that_stays_is_passed_on_for_the_transaction_to_judge() -> None:
    rig = Rig()
    rig.applier.feed(records(5, 8))
    assert rig.applier.feed(records(5, 8)) == {}
    assert rig.applier.pending == 3


def test_a_log_that_stays_below_the_position_was_replaced() -> None:
    rig = Rig()
    rig.applier.start({PLACE: 9})
    assert rig.applier.feed(records(0, 3)) == {PLACE: 9}
    with pytest.raises(WrongLog, match="asked for 9, the log gives 0"):
        rig.applier.feed(records(0, 3))


def test_what_is_no_longer_ours_is_ignored() -> None:
    rig = Rig()
    assert rig.applier.feed(records(0, 3, "other")) == {}
    assert rig.applier.pending == 0


def test_a_transient_fault_is_retried_in_place_and_doubts_the_outbox() -> None:
    rig = Rig()
    rig.database.errors = [psycopg.OperationalError("gone"), psycopg.errors.LockNotAvailable()]
    rig.applier.feed(records(0, 3))
    run(rig.settle(3))
    assert rig.database.batches == [[0, 1, 2]]
    assert rig.doubts == 2


def test_a_batch_that_takes_too_long_is_shortened_and_nothing_of_it_is_lost() -> None:
    rig = Rig()
    rig.database.errors = [psycopg.errors.TransactionTimeout()]
    rig.applier.feed(records(0, 8))
    run(rig.settle(8))
    assert rig.database.batches[0] == [0, 1]
    assert list(chain(*rig.database.batches)) == list(range(8))


def test_any_other_error_ends_the_task() -> None:
    rig = Rig()
    rig.database.errors = [psycopg.errors.UniqueViolation()]
    rig.applier.feed(records(0, 3))
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(rig.settle(3))


def test_a_revocation_gives_up_a_retry_and_forgets_what_waits() -> None:
    rig = Rig()
    rig.database.errors = [psycopg.OperationalError("gone")] * 1000

    async def revoke() -> None:
        task = asyncio.ensure_future(rig.applier.run())
        rig.applier.feed(records(0, 30))
        while not rig.doubts:
            await asyncio.sleep(0)
        async with asyncio.timeout(2):
            await rig.applier.drop()
        assert rig.applier.pending == 0
        assert rig.applier.done == {}
        task.cancel()
        rig.applier.close()

    run(revoke())
    assert rig.database.batches == []


def test_the_feeder_waits_for_room() -> None:
    rig = Rig(records=10)
    rig.applier.feed(records(0, 20))

    async def full() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rig.applier.has_room(), 0.05)
        waiting = asyncio.ensure_future(rig.applier.has_room())
        await rig.settle(20)
        await asyncio.wait_for(waiting, 1)

    run(full())


def test_a_pause_forgets_what_waits_of_that_topic_and_goes_back_to_the_position() -> None:
    rig = Rig(records=10)
    rig.applier.start({PLACE: 0, ("other", 0): 0})
    rig.database.pause = [PauseNotice("t", "p", 5, 10, records(0, 1)[PLACE][0])]
    rig.applier.feed(records(0, 15))
    rig.applier.feed(records(0, 2, "other"))

    async def settle() -> None:
        task = asyncio.ensure_future(rig.applier.run())
        async with asyncio.timeout(5):
            while len(rig.database.batches) < 2:
                await asyncio.sleep(0)
        task.cancel()
        rig.applier.close()

    run(settle())
    assert rig.database.batches == [list(range(10)), [0, 1]]
    assert rig.applier.positions_of("t") == {PLACE: 10}
