"""From the outbox to the broker: in order, at least once, and out of the outbox only after the broker's confirmation."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kafka import errors as kafka_errors

from samenloop_producers.broker import is_too_big, judge, open_producer
from samenloop_producers.errors import ConfigurationError, EdgeError, TransientError
from samenloop_producers.metrics import EdgeMetrics
from samenloop_producers.outbox import EdgeStore, Waiting
from samenloop_schemas.kafka_access import KafkaAccess

log = logging.getLogger(__name__)
_BATCH = 500
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_LOOK_S = 2.0
"""How long it may take to see what another process put into the outbox; our own says so at once."""


class Sender:
    """Sends what waits in a store. A time-out is *unknown*, not failed: the same bytes go again under the same id.

    `on_confirmed` is called after the broker's confirmation and before the events leave the outbox.
    """

    def __init__(
        self,
        access: KafkaAccess,
        store: EdgeStore,
        metrics: EdgeMetrics,
        *,
        delivery_timeout_ms: int = 30_000,
        on_confirmed: Callable[[list[Waiting]], None] = lambda confirmed: None,
    ) -> None:
        self._access = access
        self._store = store
        self._metrics = metrics
        self._delivery_timeout_ms = delivery_timeout_ms
        self._on_confirmed = on_confirmed
        self._producer: Any = None
        self.trouble: EdgeError | None = None

    def send_waiting(self) -> int:
        """Send one batch; returns how many events were confirmed. Raises ConfigurationError or TransientError."""
        batch = self._store.waiting(_BATCH)
        if not batch:
            return 0
        if self._producer is None:
            self._producer = open_producer(self._access, self._delivery_timeout_ms)
        confirmed, trouble = self._send(batch)
        if confirmed:
            self._on_confirmed(confirmed)
            self._store.confirm([waiting.seq for waiting in confirmed])
            self._metrics.sent.inc(len(confirmed))
        if trouble is not None:
            # An idempotent producer that lost a batch may be stuck in its epoch: the next try starts with a fresh one.
            self.close()
            raise trouble
        return len(confirmed)

    def run(self, stop: threading.Event) -> None:
        """Until told to stop. Trouble is kept in `trouble`, counted and tried again with a growing pause."""
        wait = _FIRST_WAIT
        while not stop.is_set():
            self._store.changed.clear()
            try:
                sent = self.send_waiting()
            except (ConfigurationError, TransientError) as error:
                self._note(error)
                stop.wait(wait * random.uniform(0.5, 1.0))
                wait = min(wait * 2, _LONGEST_WAIT)
                continue
            self.trouble, wait = None, _FIRST_WAIT
            self._metrics.watch(self._store.outbox_state())
            if not sent:
                self._wait_for_work(stop)
        with suppress(ConfigurationError, TransientError):
            while self.trouble is None and self.send_waiting():
                pass
        self.close()

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(kafka_errors.KafkaError):
                producer.close(timeout=5)

    def _send(self, batch: list[Waiting]) -> tuple[list[Waiting], EdgeError | None]:
        futures: list[tuple[Waiting, Any]] = []
        trouble: EdgeError | None = None
        for waiting in batch:
            event = waiting.event
            try:
                future = self._producer.send(
                    event.topic,
                    key=event.key,
                    value=event.value,
                    headers=list(event.headers),
                    timestamp_ms=event.time_ms,
                )
            except kafka_errors.KafkaError as error:
                if self._set_aside(waiting, error):
                    continue
                trouble = judge(error, self._access, event.topic)
                break
            futures.append((waiting, future))
        confirmed: list[Waiting] = []
        for waiting, future in futures:
            try:
                future.get(timeout=self._delivery_timeout_ms / 1000 + 5)
            except kafka_errors.KafkaError as error:
                if not self._set_aside(waiting, error):
                    trouble = trouble or judge(error, self._access, waiting.event.topic)
            else:
                confirmed.append(waiting)
        return confirmed, trouble

    def _set_aside(self, waiting: Waiting, error: Exception) -> bool:
        """An event that is too big for the broker would hold up all others for ever."""
        if not is_too_big(error):
            return False
        self._store.park(waiting.seq, "too_big")
        self._metrics.parked.inc()
        log.error("event %s is too big for the broker and was set aside", waiting.event.event_id)
        return True

    def _note(self, error: EdgeError) -> None:
        if self.trouble is None or str(self.trouble) != str(error):
            log.warning("sending waits: %s", error)
        self.trouble = error
        self._metrics.send_errors.labels(_kind(error)).inc()
        self._metrics.watch(self._store.outbox_state())

    def _wait_for_work(self, stop: threading.Event) -> None:
        until = time.monotonic() + _LOOK_S
        while not stop.is_set() and not self._store.changed.wait(0.25) and time.monotonic() < until:
            pass


def _kind(error: EdgeError) -> str:
    return "configuration" if isinstance(error, ConfigurationError) else "transient"
