"""The notifier process: what is due is put on the log as intended, sent to its partner, and put on the log as delivered.

1. NOTICE_INTENDED on `decisions`, confirmed. *Whatever goes wrong after this, it is known that somebody may have been told.*
2. The notice on `notices.<partner>`, confirmed.
3. NOTICE_DELIVERED on `decisions`, confirmed. *Only this makes it told: what is not told stays due and comes again.*

All ids derive from the notice's own id, so a kill between any two steps repeats the same ids and no more; consumers know them.
Nothing is kept here: what was delivered is on the log, and the views say what is still due.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from kafka import KafkaProducer
from kafka.errors import KafkaError

from samenloop_processors.engine.logs import set_up_logging
from samenloop_processors.keys import KeyStore
from samenloop_processors.metrics import HubMetrics, MetricsServer
from samenloop_processors.views.store import CHANGED
from samenloop_schemas import codec
from samenloop_schemas.codes import ActorRole, DecisionKind
from samenloop_schemas.headers import cloud_event, source_urn
from samenloop_schemas.ids import derived_id
from samenloop_schemas.records import Actor, Decision, Notice, NoticeSent
from samenloop_schemas.topics import area_key
from samenloop_views.database import NotThereYet, ViewsDatabase
from samenloop_views.notifier.due import Due, read_due
from samenloop_views.notifier.settings import NotifierSettings
from samenloop_views.opening import key_store

log = logging.getLogger(__name__)

ROUND = 500
"""Notices per round: each step of a round is confirmed before the next begins."""
CONFIRM_S = 60.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
CHANNEL = "topic"
NOTIFIER = Actor(user="notifier", role=ActorRole.SYSTEM)
Now = Callable[[], datetime]


def run_notifier(
    settings: NotifierSettings, stop: threading.Event | None = None, now: Now = lambda: datetime.now(UTC)
) -> int:
    """Runs until SIGTERM or SIGINT (or `stop`). A broker or database that is away is waited for."""
    set_up_logging()
    if stop is None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    metrics = HubMetrics()
    server = MetricsServer(metrics.registry, settings.metrics_port, lambda: True, lambda: True)
    server.start()
    wait = FIRST_WAIT_S
    try:
        while not stop.is_set():
            try:
                with Notifier(settings, now) as notifier:
                    wait = FIRST_WAIT_S
                    notifier.serve(stop)
            except (psycopg.OperationalError, KafkaError) as error:
                log.warning("notifier: %s; trying again in %.1f s", type(error).__name__, wait)
                stop.wait(wait)
                wait = min(2 * wait, LONGEST_WAIT_S)
    finally:
        server.close()
    return 0


class Notifier:
    """One connection to each: the views to read, the log to write, a wake-up to listen to."""

    def __init__(self, settings: NotifierSettings, now: Now) -> None:
        self._settings, self._now = settings, now
        self._told: set[UUID] = set()
        """Delivered by this process, not yet seen in the views."""

    def __enter__(self) -> Notifier:
        url = self._settings.database_url.get_secret_value()
        self._views = ViewsDatabase(url, name="notifier", size=2)
        self._keys: KeyStore = key_store(self._settings)
        self._bell = psycopg.connect(url, autocommit=True, application_name="samenloop notifier", connect_timeout=5)
        self._bell.execute(f"LISTEN {CHANGED}")
        self._producer = KafkaProducer(**self._settings.kafka().client_args(), acks="all", enable_idempotence=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._producer.close(timeout=5)
        self._bell.close()
        self._keys.close()
        self._views.close()

    def serve(self, stop: threading.Event) -> None:
        """Deliver, then wait for the next change; a lost wake-up costs `poll_seconds`."""
        while not stop.is_set():
            while self.round() and not stop.is_set():
                pass
            for _ in self._bell.notifies(timeout=self._settings.poll_seconds, stop_after=1):
                pass

    def round(self) -> int:
        """Deliver what is due now, at most `ROUND`; returns how many."""
        try:
            with self._views.look() as connection:
                due = read_due(connection, self._keys, self._told)[:ROUND]
        except (NotThereYet, psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
            return 0
        if due:
            self.deliver(due)
        return len(due)

    def deliver(self, due: Sequence[Due]) -> None:
        """The three steps, each confirmed whole before the next. Raises KafkaError; what was not delivered stays due."""
        self._decide(DecisionKind.NOTICE_INTENDED, due)
        self._confirmed(self._notices(due))
        self._decide(DecisionKind.NOTICE_DELIVERED, due)
        self._told.update(each.notice.notice_id for each in due)
        log.info("notifier: %d notices delivered", len(due))

    def _decide(self, kind: DecisionKind, due: Sequence[Due]) -> None:
        at = self._now()
        decisions = [decision(kind, each, at) for each in due]
        topic = self._settings.topics.decisions
        self._confirmed(self._send(topic, d.area, d, d.decision_id, at) for d in decisions)

    def _notices(self, due: Sequence[Due]) -> Iterable[Any]:
        at = self._now()
        for each in due:
            for partner, case_refs in sorted(each.case_refs.items()):
                message = notice(each, case_refs, self._settings.public_url)
                yield self._send(self._settings.topics.notices(partner), each.area, message, message.notice_id, at)

    def _send(self, topic: str, area: str, record: Decision | Notice, event_id: UUID, at: datetime) -> Any:
        source = source_urn(self._settings.oin, "samenloop")
        return self._producer.send(
            topic,
            key=area_key(area),
            value=codec.encode(record),
            headers=list(cloud_event(event_id, type(record), source, at)),
        )

    def _confirmed(self, futures: Iterable[Any]) -> None:
        for future in list(futures):
            future.get(CONFIRM_S)


def decision(kind: DecisionKind, due: Due, at: datetime) -> Decision:
    """What the log remembers of a notice: to whom, about which facts."""
    notice_id = due.notice.notice_id
    return Decision(
        decision_id=derived_id(kind.value, due.area, notice_id),
        area=due.area,
        kind=kind,
        decided_at=at,
        actor=NOTIFIER,
        facts=tuple(sorted({fact for basis in due.notice.about for fact in (*basis.own, *basis.other)})),
        payload=NoticeSent(
            notice_id, due.notice.change, due.kind, due.notice.recipient, due.notice.about, due.case_id, CHANNEL
        ),
    )


def notice(due: Due, case_refs: tuple[str, ...], public_url: str) -> Notice:
    """What the partner hears: which of its own cases, and that it should look. No other party, no person."""
    return Notice(
        notice_id=due.notice.notice_id,
        area=due.area,
        organisation=due.notice.organisation,
        party=due.notice.recipient,
        case_refs=case_refs,
        case_id=due.case_id,
        kind=due.kind,
        change=due.notice.change,
        deadline=due.notice.deadline,
        link=f"{public_url}/overlappen/{due.case_id}" if public_url else "",
    )
