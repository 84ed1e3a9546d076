"""Sends outbox rows after their commit, in order per partition, and removes them once the broker has confirmed them.

A time-out is *unknown*, not failed: the rows are read again from the table and sent again. So a row may be sent twice, and
a repeat may come after newer rows; consumers recognise ids and keep the highest version.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from samenloop_processors.engine import outbox
from samenloop_processors.engine.api import Outgoing
from samenloop_processors.engine.applier import FIRST_WAIT_S, LONGEST_WAIT_S, Applier
from samenloop_processors.engine.errors import Misconfigured, is_transient
from samenloop_processors.engine.schema import Connection
from samenloop_processors.metrics import HubMetrics
from samenloop_schemas.kafka_access import KafkaAccess

log = logging.getLogger(__name__)

CHUNK = 500
MEMORY_ROWS = 20_000
"""More waiting rows than this are left to the table."""
QUIET_S = 1.0
_NEVER_HELPS = frozenset(
    {
        "TopicAuthorizationFailedError",
        "ClusterAuthorizationFailed",
        "ClusterAuthorizationFailedError",
        "MessageSizeTooLargeError",
        "RecordListTooLargeError",
        "InvalidTopicError",
        "UnsupportedVersionError",
    }
)


class Relay:
    """Owned by the applier's loop. Rows of partitions that are lost stay in the table for the next owner."""

    def __init__(self, access: KafkaAccess, stage: str, metrics: HubMetrics) -> None:
        self._access = access
        self._stage = stage
        self._metrics = metrics
        self._owned: list[int] = []
        self._waiting: deque[Outgoing] = deque()
        self._sent_up_to: dict[int, int] = {}
        self._confirmed: dict[int, int] = {}
        self._reread = False
        self._poke = asyncio.Event()

    def own(self, partitions: Sequence[int]) -> None:
        """After an assignment: what a predecessor left in the table goes first."""
        self._owned = sorted(partitions)
        self._waiting.clear()
        self._sent_up_to.clear()
        self.doubt()

    def disown(self) -> None:
        """Before a revocation: nothing more goes out; what is confirmed stays known, to be removed by `tidy`."""
        self._owned = []
        self._waiting.clear()

    def doubt(self) -> None:
        """The outcome of a commit or a send is unknown: the table tells."""
        self._reread = True
        self._poke.set()

    def add(self, rows: Sequence[Outgoing]) -> None:
        """Rows just committed, straight from memory."""
        if not rows:
            return
        self._waiting.extend(rows)
        if len(self._waiting) > MEMORY_ROWS:
            self._waiting.clear()
            self._reread = True
        self._poke.set()

    def confirmed(self) -> dict[int, int]:
        """What the next transaction may remove. When it fails, `doubt` has the table read again, and that finds them."""
        taken, self._confirmed = self._confirmed, {}
        return taken

    async def tidy(self, applier: Applier) -> None:
        """Removes confirmed rows without waiting for the next batch."""
        if confirmed := self.confirmed():
            await self._query(applier, lambda c: outbox.delete(_execute(c), confirmed))

    async def run(self, applier: Applier) -> None:
        """The relay task. Ends with the error that stops the worker."""
        wait = FIRST_WAIT_S
        while True:
            producer = AIOKafkaProducer(
                **self._access.aiokafka_args(), acks="all", enable_idempotence=True, max_request_size=4 * 1024 * 1024
            )
            try:
                await producer.start()
                wait = FIRST_WAIT_S
                await self._serve(producer, applier)
            except KafkaError as error:
                if type(error).__name__ in _NEVER_HELPS:
                    raise Misconfigured(
                        f"user {self._access.username} cannot write the outputs of stage {self._stage} ({type(error).__name__})"
                    ) from error
                self._metrics.resends.labels(self._stage, type(error).__name__).inc()
                log.warning("%s: relay: %s; trying again in %.1f s", self._stage, type(error).__name__, wait)
            finally:
                with suppress(Exception):
                    await asyncio.wait_for(asyncio.shield(producer.stop()), 1.0)
            self.doubt()
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)

    async def _serve(self, producer: AIOKafkaProducer, applier: Applier) -> None:
        while True:
            try:
                await asyncio.wait_for(self._poke.wait(), QUIET_S)
            except TimeoutError:
                await self.tidy(applier)
                await self._measure(applier)
            self._poke.clear()
            while self._reread or self._waiting:
                rows = await self._from_table(applier) if self._reread else self._from_memory()
                if rows:
                    await self._send(producer, rows)
                if self._reread:
                    await self.tidy(applier)

    async def _from_table(self, applier: Applier) -> list[Outgoing]:
        owned = self._owned
        if not owned:
            self._reread = False
            return []
        rows = await self._query(applier, lambda c: outbox.select(_execute(c), owned, CHUNK))
        if rows is None or owned is not self._owned:
            return []
        if len(rows) < CHUNK:
            self._reread = False
        new = [r for r in rows if r.seq > self._sent_up_to.get(r.partition, -1)]
        if len(new) < len(rows):  # sent and confirmed, and what would have removed them failed: it is to be done again
            found = {r.partition for r in rows} & self._sent_up_to.keys()
            self._confirmed |= {partition: self._sent_up_to[partition] for partition in found}
        return new

    def _from_memory(self) -> list[Outgoing]:
        """The next rows; a hole in their numbers means that the table knows more than we do."""
        rows: list[Outgoing] = []
        expected = {p: seq + 1 for p, seq in self._sent_up_to.items()}
        while self._waiting and len(rows) < CHUNK:
            row = self._waiting.popleft()
            if row.partition not in self._owned or row.seq < expected.get(row.partition, row.seq):
                continue
            if row.seq > expected.get(row.partition, row.seq):
                self._reread = True
                break
            expected[row.partition] = row.seq + 1
            rows.append(row)
        return rows

    async def _send(self, producer: AIOKafkaProducer, rows: Sequence[Outgoing]) -> None:
        futures = [
            await producer.send(r.topic, r.value, key=r.key, partition=r.partition, headers=list(r.headers))
            for r in rows
        ]
        results = await asyncio.gather(*futures, return_exceptions=True)
        failed: dict[int, BaseException] = {}
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, BaseException):
                failed.setdefault(row.partition, result)
            elif row.partition not in failed:  # a row behind a doubtful one is sent again with it, to keep the order
                self._sent_up_to[row.partition] = self._confirmed[row.partition] = row.seq
                self._metrics.sent.labels(self._stage).inc()
        if failed:
            raise next(iter(failed.values()))

    async def _query(self, applier: Applier, query: Callable[[Connection], Any]) -> Any:
        """None when the database is away: the applier says so, and the table is read again later."""
        try:
            return await applier.in_thread(applier.database.run, query)
        except Exception as error:
            if not is_transient(error):
                raise
            self._reread = True
            await asyncio.sleep(LONGEST_WAIT_S / 10)
            return None

    async def _measure(self, applier: Applier) -> None:
        owned = self._owned
        age = await self._query(applier, lambda c: outbox.oldest_seconds(_execute(c), owned)) if owned else 0.0
        if age is not None:
            self._metrics.outbox_oldest.labels(self._stage).set(age)


def _execute(connection: Connection) -> outbox.Execute:
    return lambda query, params: connection.cursor(binary=True).execute(query.encode(), params)
