"""The clock process: the one place where a wall clock decides something, and its log, the topic `clock`, remembers what.

It keeps no state of its own: at the start, and before each new day, it reads its own output. Two of them do no harm: ids are
derived from area and day, and consumers keep the first event of a day.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from threading import Event

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from pydantic_settings import BaseSettings, SettingsConfigDict

from samenloop_processors.clock.days import clock_day, missing_days
from samenloop_schemas import codec
from samenloop_schemas.dates import DUTCH_TIME, dutch_day
from samenloop_schemas.headers import cloud_event, source_urn
from samenloop_schemas.kafka_access import KafkaAccess
from samenloop_schemas.records import ClockDay
from samenloop_schemas.topics import Topics, area_key

log = logging.getLogger(__name__)

LONGEST_WAIT_S = 60.0
"""A machine that slept, or whose clock was set, notices a new day within this time."""
READ_TIMEOUT_S = 60.0
SEND_TIMEOUT_S = 60.0


class ClockSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SAMENLOOP_", extra="ignore", frozen=True)

    topic_prefix: str = ""
    hub_oin: str = "0" * 20

    @property
    def topics(self) -> Topics:
        return Topics(self.topic_prefix)

    def kafka(self) -> KafkaAccess:
        return KafkaAccess()  # type: ignore[call-arg]  # fields come from the environment


def run_clock(
    settings: ClockSettings,
    areas: Iterable[str],
    *,
    until: date | None = None,
    stop: Event | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    """Tell each area every day up to today, then each new Dutch day as it begins, until `stop` is set.

    With `until`, tell the days up to that date, in the past or the future, and return. Returns the number of days told.
    Raises kafka.errors.KafkaError when the broker stays away: start again.
    """
    areas, stop, told = tuple(areas), stop or Event(), 0
    access, topic = settings.kafka(), settings.topics.clock
    with KafkaProducer(**access.client_args(), acks="all", enable_idempotence=True) as producer:
        while not stop.is_set():
            moment = now()
            today = until or dutch_day(moment)
            last = last_days(access, topic)
            for area in areas:
                told += _tell(producer, topic, settings.hub_oin, area, last.get(area), today, moment)
            if until is not None:
                break
            while not stop.is_set() and dutch_day(now()) <= today:
                stop.wait(min(LONGEST_WAIT_S, _seconds_until(today + timedelta(days=1), now())))
    return told


def last_days(access: KafkaAccess, topic: str) -> dict[str, ClockDay]:
    """The highest day told to each area, by the log."""
    consumer = KafkaConsumer(
        **access.client_args(), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        parts = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        if not parts:
            raise LookupError(f"topic {topic} does not exist, or this principal may not see it")
        consumer.assign(parts)
        ends = consumer.end_offsets(parts)
        consumer.seek_to_beginning(*parts)
        found: dict[str, ClockDay] = {}
        waited = 0.0
        while any(consumer.position(part) < ends[part] for part in parts):
            records = consumer.poll(timeout_ms=1000)
            waited = 0.0 if records else waited + 1
            if waited > READ_TIMEOUT_S:
                raise TimeoutError(f"topic {topic} could not be read to its end")
            for record in (r for batch in records.values() for r in batch):
                day = codec.decode(record.value, ClockDay)
                if day.area not in found or found[day.area].day < day.day:
                    found[day.area] = day
        return found
    finally:
        consumer.close()


def _tell(
    producer: KafkaProducer, topic: str, oin: str, area: str, last: ClockDay | None, today: date, moment: datetime
) -> int:
    """The missing days in order. All are confirmed before this returns; an interrupted run goes on where the log ends."""
    waiting = []
    for day in missing_days(last.day if last else None, today):
        last = clock_day(area, day, last)
        headers = cloud_event(last.event_id, ClockDay, source_urn(oin, "samenloop-clock"), moment)
        waiting.append(producer.send(topic, key=area_key(area), value=codec.encode(last), headers=list(headers)))
    for future in waiting:
        future.get(SEND_TIMEOUT_S)
    if last is not None and waiting:
        log.info("clock: %s has come to %s (%s days told)", area, last.day, len(waiting))
    return len(waiting)


def _seconds_until(day: date, moment: datetime) -> float:
    """To the first instant of a Dutch day; at least a little, so that nothing spins."""
    begins = datetime(day.year, day.month, day.day, tzinfo=DUTCH_TIME)
    return max(0.05, (begins - moment).total_seconds())
