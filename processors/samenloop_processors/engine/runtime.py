"""One stage in one process: the applier, the relay, the watchdog and Faust, tied together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast

import faust
from faust.types import TP

from samenloop_processors.engine.api import Stage
from samenloop_processors.engine.applier import LONGEST_WAIT_S, Applier, BatchLimits
from samenloop_processors.engine.errors import EngineError, Unreachable, is_transient
from samenloop_processors.engine.faust_feed import DbConsumer, make_app
from samenloop_processors.engine.logs import one_line
from samenloop_processors.engine.positions import LogInspector, Logs, check_logs, starting_positions
from samenloop_processors.engine.relay import Relay
from samenloop_processors.engine.schema import Connection
from samenloop_processors.engine.transaction import Applied, PausePolicy, Place, StageDatabase
from samenloop_processors.engine.watchdog import Watchdog
from samenloop_processors.metrics import HubMetrics
from samenloop_processors.settings import HubSettings
from samenloop_schemas.kafka_access import KafkaAccess

T = TypeVar("T")
log = logging.getLogger(__name__)

PATIENCE_S = 30.0
"""How long a start or an assignment waits for a database that is away."""
CHECK_S = 2.0
LOOK_S = 30.0
"""How often the ids of the logs are looked at while running."""


def group_of(stage: Stage, settings: HubSettings) -> str:
    """The consumer group: its name is part of the ACLs."""
    return f"{settings.topic_prefix}stage.{stage.name}"


class StageRuntime:
    """Implements `faust_feed.Runtime`. All of it lives in Faust's event loop; SQL runs in the applier's thread."""

    def __init__(
        self, stage: Stage, settings: HubSettings, access: KafkaAccess, schema: str, logs: Logs, metrics: HubMetrics
    ) -> None:
        self.stage = stage
        self.pace_seconds = settings.pace_seconds
        self.paused: frozenset[str] = frozenset()
        self.error: BaseException | None = None
        self.ready = False
        self._look_now = asyncio.Event()
        self._metrics = metrics
        self._inspector = LogInspector(access)
        self._database = StageDatabase(
            stage,
            settings.database_url.get_secret_value(),
            schema,
            logs.partitions(stage.name),
            settings.topics,
            pause=PausePolicy(settings.pause_window, settings.pause_share, settings.pause_seconds),
        )
        self.relay = Relay(access, stage.name, metrics)
        self.applier = Applier(
            self._database,
            metrics,
            BatchLimits(settings.batch_records, settings.batch_seconds),
            on_applied=self._applied,
            on_doubt=self.relay.doubt,
            confirmed=self.relay.confirmed,
        )
        group = group_of(stage, settings)
        self.app: faust.App = make_app(
            group,
            stage.inputs,
            self,
            broker=[f"kafka://{address}" for address in access.bootstrap.split(",")],
            broker_credentials=faust.SASLCredentials(
                username=access.username,
                password=access.password.get_secret_value(),
                mechanism=access.sasl_mechanism,
                ssl_context=access.ssl_context(),
            ),
            broker_session_timeout=settings.session_timeout_s,
            broker_heartbeat_interval=settings.session_timeout_s / 3,
            **({"consumer_group_instance_id": settings.instance} if settings.instance else {}),
        )
        self._watchdog = Watchdog(
            stage.name, group, settings.assignment_timeout_s, settings.stall_timeout_s, time.monotonic()
        )

    @property
    def consumer(self) -> DbConsumer:
        return cast(DbConsumer, self.app.consumer)

    async def positions(self, first: Mapping[Place, int], end: Mapping[Place, int]) -> dict[Place, int]:
        """From the database, retried in place while it is away."""
        give_up, wait = time.monotonic() + PATIENCE_S, 0.1
        while True:
            found = await self._ask(lambda c: starting_positions(c, self.stage.name, first, end))
            if found is not None:
                return found
            if time.monotonic() > give_up:
                raise Unreachable(f"stage {self.stage.name}: the database does not answer")
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)

    async def revoking(self) -> None:
        """Lets go: the running transaction ends, what is confirmed leaves the outbox."""
        self.ready = False
        self.relay.disown()
        await self.applier.drop()
        await self.relay.tidy(self.applier)

    def assigned(self, positions: Mapping[Place, int]) -> None:
        self._watchdog.assigned()
        self.applier.start(positions)
        self.relay.own(self.applier.owned)
        self._metrics.partitions.labels(self.stage.name).set(len(self.applier.owned))
        self.ready = True
        self._look_now.set()
        log.info("%s: partitions %s", self.stage.name, self.applier.owned)

    async def fail(self, error: BaseException) -> None:
        """The first error stops the worker; the process ends with its exit code."""
        if self.error is None:
            self.error = error
            self.ready = False
            await self.app.crash(error)

    async def run(self) -> None:
        """The tasks beside Faust's own; Faust cancels them at the stop."""
        tasks = (self.applier.run(), self.relay.run(self.applier), self._watch(), self._look(), self._follow_pauses())
        running = [asyncio.ensure_future(self._guard(task)) for task in tasks]
        try:
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()

    def close(self) -> None:
        self._inspector.close()
        self.applier.close()

    async def _guard(self, task: Coroutine[Any, Any, None]) -> None:
        try:
            await task
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            await self.fail(error)

    async def _ask(self, query: Callable[[Connection], T]) -> T | None:
        """A query in the applier's thread; None while the database is away."""
        try:
            return await self.applier.in_thread(self._database.run, query)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("%s: %s; trying again", self.stage.name, one_line(error))
            return None

    def _applied(self, applied: Applied) -> None:
        self.relay.add(applied.outgoing)
        for notice in applied.paused:
            self._metrics.pauses.labels(self.stage.name, notice.partner).inc()
            log.error(
                "%s: %s of the last %s records of %s are bad", self.stage.name, notice.bad, notice.seen, notice.topic
            )
            self._pause(notice.topic)

    def _pause(self, topic: str) -> None:
        self.paused |= {topic}
        self.applier.hold_back(topic)
        self.consumer.hold(topic)
        self._metrics.paused.labels(self.stage.name, topic).set(1)
        log.error("%s: %s is paused", self.stage.name, topic)

    async def _unpause(self, topic: str) -> None:
        self.paused -= {topic}
        self._database.forget_verdicts(topic)
        await self.consumer.resume(topic)
        self._metrics.paused.labels(self.stage.name, topic).set(0)
        log.warning("%s: %s goes on", self.stage.name, topic)

    async def _follow_pauses(self) -> None:
        """Follows the table of pauses: another worker, an operator or the time may have changed it."""
        while True:
            await asyncio.sleep(CHECK_S)
            if not self.ready:
                continue
            now = await self._ask(self._database.paused_topics)
            if now is None:
                continue
            for topic in now - self.paused:
                self._pause(topic)
            for topic in self.paused - now:
                await self._unpause(topic)
            for topic, area in await self._ask(self._database.pauses_to_end) or ():
                await self.applier.tell_resumed(topic, area)

    async def _watch(self) -> None:
        name = self.stage.name
        while True:
            await asyncio.sleep(CHECK_S)
            now = time.monotonic()
            try:
                self._watchdog.check_assignment(now)
                self._metrics.cached_areas.labels(name).set(self._database.caches.areas())
                # read before the broker is asked: its answer cannot lie below, unless the log is another one
                position = {p: offset for p, offset in self.applier.done.items() if p[0] not in self.paused}
                end = await self._end_offsets(position) if self.ready and position else None
                if end is None or not self.ready:
                    continue
                self._watchdog.check_progress(now, position, end, excused=self.applier.retrying)
            except EngineError as error:
                self._metrics.stalls.labels(name, type(error).__name__).inc()
                raise
            for topic, (records, seconds) in self._watchdog.lag(now, position, end).items():
                self._metrics.lag_records.labels(name, topic).set(records)
                self._metrics.lag_seconds.labels(name, topic).set(seconds)

    async def _end_offsets(self, places: Iterable[Place]) -> dict[Place, int] | None:
        """None while the broker is silent."""
        try:
            found = await asyncio.wait_for(self.consumer.highwaters(*[TP(*place) for place in places]), CHECK_S)
        except Exception:
            return None
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def _look(self) -> None:
        """A topic that is made anew while we run, and filled beyond our position, shows only in its id.

        While it is gone Faust just rebalances without it, so each assignment is a reason to look.
        """
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look_now.wait(), LOOK_S)
            self._look_now.clear()
            try:
                logs = await asyncio.to_thread(self._inspector.look, self.stage.inputs)
            except Unreachable:
                continue
            await self._ask(partial(check_logs, stage=self.stage.name, inputs=self.stage.inputs, logs=logs))
