"""The clock against a real broker, as its own principal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from threading import Event, Thread

import pytest
from wire import Wire

from samenloop_deploy.local import LocalStack
from samenloop_processors.clock.run import ClockSettings, run_clock
from samenloop_schemas import codec
from samenloop_schemas.records import ClockDay
from samenloop_schemas.topics import Topics, partition_for

pytestmark = pytest.mark.live
AREAS = ("a2", "bevelanden", "zwolle")


@pytest.fixture
def clock(stack: LocalStack, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> ClockSettings:
    for name, value in stack.kafka_access("hub-clock").environment().items():
        monkeypatch.setenv(name, value)
    return ClockSettings(topic_prefix=topics.prefix)


def told(wire: Wire, topics: Topics, area: str) -> list[ClockDay]:
    return [codec.decode(r.value, ClockDay) for r in wire.read(topics.clock) if r.key == area.encode()]


def test_missed_days_come_in_order_and_once(clock: ClockSettings, topics: Topics, wire: Wire) -> None:
    assert run_clock(clock, AREAS, until=date(2026, 4, 1)) == 3
    assert run_clock(clock, AREAS, until=date(2026, 4, 1)) == 0
    assert run_clock(clock, AREAS, until=date(2026, 4, 8)) == 3 * 7
    for area in AREAS:
        days = told(wire, topics, area)
        assert [d.day.day for d in days] == list(range(1, 9))
        first = days[0].working_day
        assert [d.working_day - first for d in days] == [0, 1, 1, 1, 1, 1, 2, 3]
    for record in wire.read(topics.clock):
        assert record.key is not None
        assert record.partition == partition_for(record.key.decode(), 4)
        assert dict(record.headers)["ce_type"] == b"nl.samenloop.day.begun.v1"
        assert dict(record.headers)["ce_id"].decode() == str(codec.decode(record.value, ClockDay).event_id)


def test_it_starts_at_today_and_waits_for_the_next_dutch_day(
    clock: ClockSettings, topics: Topics, wire: Wire, eventually: Callable[..., None]
) -> None:
    """23:59:59.9 in Amsterdam, on the evening before the clocks go forward."""
    moments = iter([datetime(2026, 3, 28, 22, 59, 59, 900_000, tzinfo=UTC)] * 3)
    after = datetime(2026, 3, 28, 23, 0, 0, tzinfo=UTC)
    stop = Event()
    thread = Thread(target=run_clock, args=(clock, ("a2",)), kwargs={"stop": stop, "now": lambda: next(moments, after)})
    thread.start()
    try:
        eventually(lambda: len(told(wire, topics, "a2")) == 2, "the second day")
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert [d.day for d in told(wire, topics, "a2")] == [date(2026, 3, 28), date(2026, 3, 29)]


def test_two_clocks_do_no_harm(clock: ClockSettings, topics: Topics, wire: Wire) -> None:
    threads = [Thread(target=run_clock, args=(clock, AREAS), kwargs={"until": date(2026, 5, 6)}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    days = told(wire, topics, "zwolle")
    assert {d.event_id for d in days} == {days[0].event_id}
    assert set(days) == {days[0]}
