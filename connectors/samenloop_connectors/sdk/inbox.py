"""What the hub says back: receipts and notices, kept with the positions up to which they were read, in one transaction."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from kafka import TopicPartition
from kafka import errors as kafka_errors

from samenloop_connectors.sdk import account
from samenloop_connectors.sdk.errors import ConfigurationError, EdgeError, TransientError
from samenloop_connectors.sdk.state import State
from samenloop_producers.broker import judge, open_consumer
from samenloop_producers.metrics import EdgeMetrics
from samenloop_schemas import codec
from samenloop_schemas.codes import ReceiptKind
from samenloop_schemas.dates import micros
from samenloop_schemas.kafka_access import KafkaAccess
from samenloop_schemas.records import Notice, Receipt
from samenloop_schemas.topics import Topics

log = logging.getLogger(__name__)
_SILENCE_S = 15.0
_OF_THE_FEED = (ReceiptKind.PAUSED, ReceiptKind.RESUMED)
"""What no statement is named in."""


class Listener:
    """Reads ``receipts.<partner>`` and ``notices.<partner>``. Positions are the store's own: no consumer group."""

    def __init__(
        self, access: KafkaAccess, state: State, topics: Topics, partner: str, metrics: EdgeMetrics | None = None
    ) -> None:
        self._access = access
        self._state = state
        self._metrics = metrics or EdgeMetrics(partner)
        self._receipts, self._notices = topics.receipts(partner), topics.notices(partner)
        self._consumer: Any = None
        self.trouble: EdgeError | None = None

    def listen(self, timeout_ms: int = 250) -> int:
        """Take what is there; returns how many records. Raises ConfigurationError or TransientError."""
        try:
            if self._consumer is None:
                self._consumer = self._open()
            batches = self._consumer.poll(timeout_ms=timeout_ms)
        except kafka_errors.KafkaError as error:
            self.close()
            raise judge(error, self._access, f"{self._receipts} or {self._notices}") from None
        records = [record for batch in batches.values() for record in batch]
        if records:
            with self._state.store.transaction() as db:
                found = self._keep(db, records)
            self._count(found)
        return len(records)

    def catch_up(self) -> int:
        """Take what is there now and come back; returns how many records. Raises ConfigurationError or TransientError."""
        try:
            if self._consumer is None:
                self._consumer = self._open()
            ends = self._consumer.end_offsets(list(self._consumer.assignment()))
            taken, heard = 0, time.monotonic()
            while any(self._consumer.position(part) < end for part, end in ends.items()):
                if found := self.listen():
                    taken, heard = taken + found, time.monotonic()
                elif time.monotonic() - heard > _SILENCE_S:
                    raise TransientError(f"the broker at {self._access.bootstrap} holds answers and does not give them")
        except kafka_errors.KafkaError as error:
            self.close()
            raise judge(error, self._access, f"{self._receipts} or {self._notices}") from None
        return taken

    def run(self, stop: threading.Event) -> None:
        wait = 0.5
        while not stop.is_set():
            try:
                self.listen()
            except (ConfigurationError, TransientError) as error:
                if str(error) != str(self.trouble):
                    log.warning("receipts and notices wait: %s", error)
                self.trouble = error
                stop.wait(wait)
                wait = min(wait * 2, 30.0)
            else:
                self.trouble, wait = None, 0.5
        self.close()

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(kafka_errors.KafkaError):
                consumer.close()

    def _open(self) -> Any:
        consumer = open_consumer(self._access)
        try:
            parts = []
            for topic in (self._receipts, self._notices):
                numbers = consumer.partitions_for_topic(topic)
                if not numbers:
                    raise ConfigurationError(
                        f"there is no topic {topic}, or user {self._access.username!r} has no right to it"
                    )
                parts += [TopicPartition(topic, number) for number in sorted(numbers)]
            consumer.assign(parts)
            for part in parts:
                row = self._state.store.connection.execute(
                    "SELECT next FROM position WHERE topic = ? AND part = ?", (part.topic, part.partition)
                ).fetchone()
                if row:
                    consumer.seek(part, row[0])
                else:
                    consumer.seek_to_beginning(part)
        except BaseException:
            consumer.close()
            raise
        return consumer

    def _keep(self, db: sqlite3.Connection, records: Iterable[Any]) -> list[Receipt | Notice]:
        """What could be read of them."""
        found: list[Receipt | Notice] = []
        for record in records:
            try:
                if record.topic == self._receipts:
                    receipt = codec.decode(record.value, Receipt)
                    _keep_receipt(db, receipt)
                    found.append(receipt)
                else:
                    notice = codec.decode(record.value, Notice)
                    _keep_notice(db, notice)
                    found.append(notice)
            except codec.Undecodable as error:
                log.error("%s %s@%s cannot be read: %s", record.topic, record.partition, record.offset, error.reason)
            db.execute(
                "INSERT OR REPLACE INTO position VALUES (?, ?, ?)", (record.topic, record.partition, record.offset + 1)
            )
        return found

    def _count(self, found: Iterable[Receipt | Notice]) -> None:
        """After the commit. What another connector of the partner has stated is counted by both."""
        compared = False
        for each in found:
            if isinstance(each, Notice):
                self._metrics.notices.labels(str(each.change)).inc()
            else:
                self._metrics.receipts.labels(str(each.kind)).inc()
                compared |= each.kind is ReceiptKind.RECONCILIATION
        if compared:
            for one in account.compare(self._state.store.connection):
                if one.day is not None:
                    self._metrics.differs(one.area, one.organisation, 0 if one.equal else max(1, len(one.differences)))


def _keep_receipt(db: sqlite3.Connection, receipt: Receipt) -> None:
    """Per case the outcome of its highest revision; among those of one statement, the last heard."""
    codes = " ".join(receipt.codes)
    recorded = micros(receipt.recorded_at) // 1000
    if receipt.kind is ReceiptKind.RECONCILIATION:
        account.note_held(db, receipt)
    elif receipt.kind not in _OF_THE_FEED and receipt.case_ref:
        account.note_heard(db, receipt)
        db.execute(
            "INSERT INTO outcome VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (case_ref) DO UPDATE SET "
            "statement_id = excluded.statement_id, revision = excluded.revision, kind = excluded.kind, "
            "codes = excluded.codes, recorded_ms = excluded.recorded_ms "
            "WHERE excluded.revision >= revision",
            (receipt.case_ref, str(receipt.statement_id), receipt.revision, str(receipt.kind), codes, recorded),
        )
    else:
        db.execute(
            "INSERT OR IGNORE INTO unattached VALUES (?, ?, ?, ?)",
            (str(receipt.receipt_id), str(receipt.kind), codes, recorded),
        )


def _keep_notice(db: sqlite3.Connection, notice: Notice) -> None:
    db.execute(
        "INSERT OR IGNORE INTO notice VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            str(notice.notice_id),
            notice.organisation,
            notice.party,
            json.dumps(notice.case_refs),
            notice.case_id,
            str(notice.kind),
            str(notice.change),
            notice.deadline.isoformat() if notice.deadline else None,
            notice.link,
            time.time(),
        ),
    )
