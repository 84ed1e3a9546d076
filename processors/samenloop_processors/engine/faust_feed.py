"""Faust for membership, assignment, rebalance and seek; whole lists of raw records go past its event stream to the applier.

Leans on names that Faust calls internal (`_drain_messages`, `_wait_next_records`, `_commit`): `faust_guard` pins them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol, cast

import faust
from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from samenloop_processors.engine import lenient
from samenloop_processors.engine.api import Incoming
from samenloop_processors.engine.applier import Applier
from samenloop_processors.engine.transaction import Place


class Runtime(Protocol):
    """What the consumer needs of the running stage; `app.runtime`."""

    applier: Applier
    pace_seconds: float
    paused: frozenset[str]

    async def positions(self, first: Mapping[Place, int], end: Mapping[Place, int]) -> dict[Place, int]: ...
    async def revoking(self) -> None: ...
    def assigned(self, positions: Mapping[Place, int]) -> None: ...
    async def fail(self, error: BaseException) -> None: ...
    async def run(self) -> None: ...


# mode gives each service class a logger named after its module: ours would pass for our own words
_LIBRARY_LOG = logging.getLogger("faust.engine")


class StageApp(faust.App):
    logger = _LIBRARY_LOG
    runtime: Runtime

    def _create_directories(self) -> None:
        """There are no tables, so there is nothing to keep on disk, and nothing to leave behind after a kill."""


class DbConsumer(driver.Consumer):
    """Faust's consumer, positioned by the database and emptied in lists."""

    logger = _LIBRARY_LOG
    _told: dict[TP, int]

    @property
    def runtime(self) -> Runtime:
        return cast(StageApp, self.app).runtime

    async def perform_seek(self) -> None:
        """At the end of every assignment, sometimes twice: nothing may enter before the seek."""
        runtime = self.runtime
        self.stop_flow()
        self.app.flow_control.suspend()
        await runtime.revoking()
        self._told = {}
        places = self.assignment()
        try:
            if places:
                first, end = await self.earliest_offsets(*places), await self.highwaters(*places)
                positions = await runtime.positions(_plain(first), _plain(end))
                await self.seek_wait({TP(*place): offset for place, offset in positions.items()})
            else:
                positions = {}
        except Exception as error:
            await runtime.fail(error)
        else:
            runtime.assigned(positions)

    async def _drain_messages(self, fetcher: Any) -> None:
        """The body of Faust's fetcher task: lists go to the applier; no message objects, no acknowledgements."""
        runtime = self.runtime
        applier = runtime.applier
        try:
            while not (self.should_stop or fetcher.should_stop):
                await applier.has_room()
                records, _ = await self._wait_next_records(timeout=1.0)
                if not (records and self.flow_active):  # no await between this check and feed
                    continue
                if again := applier.feed(self._incoming(records, runtime.paused)):
                    await self.seek_back(again)
                if runtime.pace_seconds and applier.pending < 100:
                    await self.sleep(runtime.pace_seconds)
        except (asyncio.CancelledError, *self.consumer_stopped_errors):  # type: ignore[misc]
            if not self.app.should_stop:
                raise
        except Exception as error:
            await runtime.fail(error)

    async def seek_back(self, places: Mapping[Place, int]) -> None:
        """Fetches from these offsets next."""
        with suppress(IllegalStateError):  # revoked meanwhile: perform_seek will come
            await self.seek_wait({TP(*place): offset for place, offset in places.items()})

    def hold(self, topic: str) -> None:
        """Fetches no more of a topic."""
        self.pause_partitions({tp for tp in self.assignment() if tp.topic == topic})

    async def resume(self, topic: str) -> None:
        """Fetches a topic again, from its positions."""
        if places := self.runtime.applier.positions_of(topic):
            await self.seek_back(places)
            self.resume_partitions({TP(*place) for place in places})

    async def wait_empty(self) -> None:
        """At each revocation and at the stop, with the flow stopped: waits for the running transaction only."""
        await self.runtime.revoking()
        await self.commit()

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commits offsets for those who look at the group from outside; the database is the truth."""
        mine = self.assignment()
        done = {TP(*place): offset for place, offset in self.runtime.applier.done.items()}
        new = {tp: offset for tp, offset in done.items() if tp in mine and self._told.get(tp) != offset}
        if new and await self._commit(new):
            self._told.update(new)
        return bool(new)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's livelock checks look at stream timestamps, of which there are none: `watchdog` stands in."""

    def _incoming(self, records: Mapping[Any, list[Any]], paused: frozenset[str]) -> dict[Place, list[Incoming]]:
        fed: dict[Place, list[Incoming]] = {}
        for tp, batch in records.items():
            if tp.topic in paused:
                self.pause_partitions({TP(tp.topic, tp.partition)})  # a rebalance resumes everything
            else:
                fed[tp.topic, tp.partition] = [Incoming.of(raw) for raw in batch]
        return fed


class DbTransport(driver.Transport):
    logger = _LIBRARY_LOG
    Consumer = DbConsumer


def make_app(name: str, inputs: tuple[str, ...], runtime: Runtime, **conf: Any) -> StageApp:
    """A Faust application whose one agent makes it subscribe and carries no event."""
    lenient.install()
    app = StageApp(
        name,
        topic_allow_declare=False,
        topic_disable_leader=True,
        autodiscover=False,
        web_enabled=False,
        store="memory://",
        # with 0 Faust silently takes another assignor, and topics are no longer co-partitioned
        table_standby_replicas=1,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=True,
        worker_redirect_stdouts=False,
        broker_commit_interval=1.0,
        consumer_metadata_max_age_ms=30_000,
        **conf,
    )
    app.runtime = runtime
    app.transport = DbTransport(app.conf.broker_consumer, app)
    topic = app.topic(*inputs, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def main(stream: Any) -> None:
        task = asyncio.ensure_future(runtime.run())
        try:
            async for _ in stream:
                raise RuntimeError("an event came through the stream: the batch intake is not in place")
        finally:
            task.cancel()

    app.agent(topic, name="main", concurrency=1)(main)
    return app


def _plain(offsets: Mapping[Any, int]) -> dict[Place, int]:
    return {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}
