"""The relay against a producer and a table of a few lines: what is confirmed, what is sent again, what is left to others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import psycopg
import pytest
from aiokafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError

from samenloop_processors.engine import outbox, relay
from samenloop_processors.engine.api import Outgoing
from samenloop_processors.engine.applier import Applier
from samenloop_processors.engine.errors import Misconfigured
from samenloop_processors.engine.relay import Relay
from samenloop_processors.metrics import HubMetrics
from samenloop_schemas.kafka_access import KafkaAccess

Answer = Callable[[Outgoing], Any]


def row(partition: int, seq: int) -> Outgoing:
    return Outgoing(partition, seq, "t", b"a2", b"%d" % seq, ())


class Table:
    """The outbox table and the applier's thread in one."""

    def __init__(self) -> None:
        self.rows: list[Outgoing] = []
        self.reads = 0
        self.database = self

    def run(self, query: Callable[[Any], Any]) -> Any:
        return query(self)

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)


class Producer:
    """Answers as the test says: a result, an error, or a future that the test settles."""

    answer: Answer = staticmethod(lambda sent: None)
    sent: list[tuple[int, int]]

    def __init__(self, **_: Any) -> None: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    async def send(self, topic: str, value: bytes, *, key: Any, partition: int, headers: Any) -> Awaitable[Any]:
        future = asyncio.get_running_loop().create_future()
        Producer.sent.append((partition, int(value)))
        answer = Producer.answer(row(partition, int(value)))
        if isinstance(answer, asyncio.Future):
            return answer
        future.set_exception(answer) if isinstance(answer, BaseException) else future.set_result(answer)
        return future


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    table = Table()

    def select(_: Any, partitions: list[int], limit: int) -> list[Outgoing]:
        table.reads += 1
        return sorted((r for r in table.rows if r.partition in partitions), key=lambda r: (r.partition, r.seq))[:limit]

    def delete(_: Any, confirmed: dict[int, int]) -> None:
        table.rows = [r for r in table.rows if r.seq > confirmed.get(r.partition, -1)]

    monkeypatch.setattr(outbox, "select", select)
    monkeypatch.setattr(outbox, "delete", delete)
    monkeypatch.setattr(outbox, "oldest_seconds", lambda *_: 0.0)
    monkeypatch.setattr(relay, "AIOKafkaProducer", Producer)
    monkeypatch.setattr(relay, "QUIET_S", 0.01)
    Producer.sent, Producer.answer = [], staticmethod(lambda sent: None)
    return table


def make() -> Relay:
    access = KafkaAccess(bootstrap="h:1", username="u", password="p")  # type: ignore[arg-type]
    made = Relay(access, "s", HubMetrics())
    made.own([0, 1])
    return made


async def serve(made: Relay, table: Table, until: Callable[[], bool]) -> None:
    task = asyncio.ensure_future(made.run(cast(Applier, table)))
    try:
        async with asyncio.timeout(5):
            while not until() and not task.done():
                await asyncio.sleep(0.001)
        if task.done():
            await task
    finally:
        task.cancel()


def test_rows_leave_the_table_only_after_the_brokers_word(table: Table) -> None:
    async def story() -> None:
        made, word = make(), asyncio.get_running_loop().create_future()
        Producer.answer = staticmethod(lambda sent: word)
        table.rows = [row(0, 1)]
        task = asyncio.ensure_future(serve(made, table, lambda: not table.rows))
        while not Producer.sent:
            await asyncio.sleep(0)
        assert made.confirmed() == {}
        await asyncio.sleep(0.05)  # several quiet times long
        assert table.rows == [row(0, 1)]
        word.set_result(None)
        await task
        assert table.rows == []

    asyncio.run(story())


def test_a_doubtful_row_is_sent_again_with_all_behind_it_and_other_partitions_go_on(table: Table) -> None:
    table.rows = [row(0, 1), row(0, 2), row(0, 3), row(1, 1)]
    failed: list[Outgoing] = []

    def answer(sent: Outgoing) -> BaseException | None:
        if sent == row(0, 2) and not failed:
            failed.append(sent)
            return KafkaTimeoutError()
        return None

    Producer.answer = staticmethod(answer)
    asyncio.run(serve(make(), table, lambda: not table.rows))
    assert Producer.sent == [(0, 1), (0, 2), (0, 3), (1, 1), (0, 2), (0, 3)]


def test_a_hole_in_the_numbers_sends_it_to_the_table(table: Table) -> None:
    async def story() -> None:
        made = make()
        table.rows = [row(0, 1)]
        task = asyncio.ensure_future(serve(made, table, lambda: len(Producer.sent) >= 4 and not table.rows))
        while table.rows:
            await asyncio.sleep(0.001)
        table.rows = [row(0, n) for n in (2, 3, 4)]  # 2 was committed by a transaction whose outcome nobody heard
        made.add([row(0, 3), row(0, 4)])
        await task

    asyncio.run(story())
    assert Producer.sent == [(0, 1), (0, 2), (0, 3), (0, 4)]


@pytest.mark.parametrize("count", [2, 12])
def test_confirmed_rows_leave_although_their_removal_failed_once(
    count: int, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when they fill more than one chunk, with new rows behind them."""
    monkeypatch.setattr(relay, "CHUNK", 5)
    monkeypatch.setattr(relay, "LONGEST_WAIT_S", 0.01)
    broken = [psycopg.OperationalError()]
    query = table.run

    def run(what: Callable[[Any], Any]) -> Any:
        if broken and len(Producer.sent) == count:
            raise broken.pop()
        return query(what)

    async def story() -> None:
        made = make()
        monkeypatch.setattr(table, "run", run)
        table.rows = [row(0, n) for n in range(count)]
        made.add(list(table.rows))
        made._reread = False  # straight from memory, so that nothing is removed on the way
        task = asyncio.ensure_future(serve(made, table, lambda: not broken and not table.rows))
        while broken:
            await asyncio.sleep(0.001)
        table.rows.append(row(0, count))
        made.add([row(0, count)])
        await task

    asyncio.run(story())
    assert Producer.sent == [(0, n) for n in range(count + 1)]


def test_rows_of_lost_partitions_stay_for_their_next_owner(table: Table) -> None:
    async def story() -> None:
        made = make()
        made.own([1])
        table.rows = [row(0, 1), row(1, 1)]
        made.add([row(0, 2)])
        await serve(made, table, lambda: table.rows == [row(0, 1)])

    asyncio.run(story())
    assert Producer.sent == [(1, 1)]


def test_too_many_rows_for_memory_are_left_to_the_table(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "MEMORY_ROWS", 2)
    monkeypatch.setattr(relay, "CHUNK", 2)
    made = make()
    table.rows = [row(0, n) for n in range(1, 8)]
    made.add(list(table.rows))
    asyncio.run(serve(made, table, lambda: not table.rows))
    assert Producer.sent == [(0, n) for n in range(1, 8)]


def test_a_missing_right_stops_the_worker(table: Table) -> None:
    table.rows = [row(0, 1)]
    Producer.answer = staticmethod(lambda sent: TopicAuthorizationFailedError())
    with pytest.raises(Misconfigured, match="user u cannot write"):
        asyncio.run(serve(make(), table, lambda: False))
