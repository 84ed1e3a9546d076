"""The notifier process: finds what is due, tells it, and puts on the log that it was told. Each notice exactly once.

Per round and in this order: fix the bytes; say that they are intended; send them; say that they were delivered.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
from kafka import KafkaProducer
from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry, Counter, Gauge

from samenloop_processors.metrics import MetricsServer
from samenloop_processors.views.store import CHANGED
from samenloop_schemas import codec
from samenloop_schemas.headers import cloud_event, source_urn
from samenloop_schemas.records import Decision, Notice
from samenloop_schemas.topics import Topics, area_key
from samenloop_views.database import NotThereYet, ViewsDatabase
from samenloop_views.notifier import deliveries
from samenloop_views.notifier.deliveries import Delivery, Step
from samenloop_views.notifier.due import DueNotices, delivered
from samenloop_views.notifier.settings import NotifierSettings
from samenloop_views.opening import key_store

log = logging.getLogger(__name__)

AT_ONCE = 500
SEND_TIMEOUT_S = 30.0
RETRY_S = 1.0
_SLICE_S = 0.5


class NotifierMetrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.delivered = Counter("samenloop_notices_delivered", "Notices.", ["partner"], registry=self.registry)
        self.failures = Counter(
            "samenloop_notifier_failures", "Rounds that failed.", ["reason"], registry=self.registry
        )
        self.unfinished = Gauge("samenloop_notices_unfinished", "Notices on their way.", registry=self.registry)
        self.feed_silence = Gauge(
            "samenloop_feed_silence_seconds",
            "Time since a partner was last heard: its last accepted statement in the views.",
            ["partner"],
            registry=self.registry,
        )


class Notifier:
    """One round at a time; whoever calls `round` holds the right to deliver (`deliveries.be_the_only_one`)."""

    def __init__(
        self, database: ViewsDatabase, due: DueNotices, producer: KafkaProducer, topics: Topics, oin: str
    ) -> None:
        self._database, self._due, self._producer, self._topics = database, due, producer, topics
        self._source = source_urn(oin, "samenloop-notifier")
        self.metrics = NotifierMetrics()

    def round(self) -> int:
        """Deliver what is due; the number that was finished. Raises psycopg and Kafka errors: the next round goes on."""
        found = self._due.find(AT_ONCE)
        with self._database.pool.connection() as connection:
            deliveries.take(connection, found)
            waiting = deliveries.unfinished(connection, AT_ONCE)
            self.metrics.unfinished.set(len(waiting))
            waiting = self._step(connection, waiting, Step.INTENDED, self._topic_of_decisions, _intended)
            waiting = self._step(connection, waiting, Step.SENT, self._topic_of_notices, _notice)
            done = self._step(connection, waiting, Step.DONE, self._topic_of_decisions, _delivered)
        for delivery in done:
            self.metrics.delivered.labels(delivery.partner).inc()
        self.metrics.unfinished.set(0)
        return len(done)

    def listen_for_silence(self) -> None:
        """How long ago each partner was heard, by the database's clock. Raises NotThereYet."""
        with self._database.look() as connection:
            rows = connection.execute(
                "SELECT partner, extract(epoch FROM now() - max(heard_at))::float8 FROM feed GROUP BY partner"
            ).fetchall()
        for partner, seconds in rows:
            self.metrics.feed_silence.labels(partner).set(max(0.0, seconds))

    def _step(
        self,
        connection: psycopg.Connection[Any],
        waiting: Sequence[Delivery],
        step: Step,
        topic: Callable[[Delivery], str],
        record: Callable[[Delivery], tuple[bytes, type, str]],
    ) -> list[Delivery]:
        """Send what stands right before this step, wait for every confirmation, write it down."""
        ready = [delivery for delivery in waiting if delivery.step == step - 1]
        futures = []
        for delivery in ready:
            value, kind, event_id = record(delivery)
            headers = cloud_event(event_id, kind, self._source, datetime.now(UTC))
            futures.append(
                self._producer.send(topic(delivery), key=area_key(delivery.area), value=value, headers=list(headers))
            )
        deadline = time.monotonic() + SEND_TIMEOUT_S
        for future in futures:
            future.get(max(0.0, deadline - time.monotonic()))
        came = [replace(delivery, step=step) for delivery in ready]
        if step is Step.SENT:
            came = [replace(delivery, delivered=delivered(delivery)) for delivery in came]
        deliveries.advance(connection, came)
        return [*came, *(delivery for delivery in waiting if delivery.step >= step)]

    def _topic_of_decisions(self, _: Delivery) -> str:
        return self._topics.decisions

    def _topic_of_notices(self, delivery: Delivery) -> str:
        return self._topics.notices(delivery.partner)


def _intended(delivery: Delivery) -> tuple[bytes, type, str]:
    return delivery.intended, Decision, str(codec.decode(delivery.intended, Decision).decision_id)


def _notice(delivery: Delivery) -> tuple[bytes, type, str]:
    return delivery.notice, Notice, str(delivery.notice_id)


def _delivered(delivery: Delivery) -> tuple[bytes, type, str]:
    assert delivery.delivered is not None  # fixed with the step before
    return delivery.delivered, Decision, str(codec.decode(delivery.delivered, Decision).decision_id)


def run_notifier(settings: NotifierSettings | None = None, stop: threading.Event | None = None) -> int:
    """Deliver until SIGTERM, or until `stop` is set. Faults that pass are waited out; returns the exit code."""
    settings = settings or NotifierSettings()  # type: ignore[call-arg]  # from the environment
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("samenloop_views").setLevel(logging.INFO)
    logging.getLogger("kafka").setLevel(logging.ERROR)  # what matters of it comes back as an exception
    if stop is None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    url = settings.database_url.get_secret_value()
    database, keys = ViewsDatabase(url, name="notifier", size=2), key_store(settings)
    producer = KafkaProducer(**settings.kafka().client_args(), acks="all", enable_idempotence=True)
    notifier = Notifier(
        database, DueNotices(database, keys, settings.public_url), producer, settings.topics, settings.hub_oin
    )
    server = MetricsServer(notifier.metrics.registry, settings.metrics_port)
    server.start()
    log.info("notifier: started, metrics on 127.0.0.1:%d", server.port)
    try:
        while not stop.is_set():
            try:
                _listen(url, notifier, settings.poll_seconds, stop)
            except (psycopg.OperationalError, KafkaError) as error:
                notifier.metrics.failures.labels(type(error).__name__).inc()
                log.warning("notifier: %s, trying again", type(error).__name__)
                stop.wait(RETRY_S)
    finally:
        server.close()
        producer.close(timeout=5)
        keys.close()
        database.close()
    log.info("notifier: stopped")
    return 0


def _listen(url: str, notifier: Notifier, poll_seconds: float, stop: threading.Event) -> None:
    """One session that holds the right to deliver and hears of changes; rounds run when it does, and every few seconds."""
    with psycopg.connect(url, autocommit=True, application_name="samenloop notifier ear", connect_timeout=5) as session:
        deliveries.prepare(session)
        session.execute(f"LISTEN {CHANGED}")
        alone = False
        while not stop.is_set():
            alone = alone or deliveries.be_the_only_one(session)
            if alone:
                try:
                    while notifier.round() and not stop.is_set():
                        pass
                    notifier.listen_for_silence()
                except NotThereYet:
                    log.debug("the views stage has not run yet")
            _await_change(session, poll_seconds, stop)


def _await_change(session: psycopg.Connection[Any], seconds: float, stop: threading.Event) -> None:
    deadline = time.monotonic() + seconds
    while not stop.is_set() and time.monotonic() < deadline:
        if list(session.notifies(timeout=_SLICE_S, stop_after=1)):
            return
