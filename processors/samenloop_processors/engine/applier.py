"""Takes lists of raw records from a feeder and puts them through the transaction. Knows nothing of Faust.

The next batch gathers while this one commits, so there is no timer: an idle stage commits at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from samenloop_processors.engine.api import Incoming
from samenloop_processors.engine.errors import WrongLog, is_transient, too_long
from samenloop_processors.engine.transaction import Applied, Place, StageDatabase, Work
from samenloop_processors.engine.tx import partition_of
from samenloop_processors.metrics import HubMetrics

T = TypeVar("T")
log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A batch holds at most `records`, and fewer when deciding on them takes longer than `seconds`."""

    records: int = 1000
    seconds: float = 1.0


class Applier:
    """Owned by one event loop; the database is touched in its one thread only.

    `on_applied` is called in the loop after each commit. `on_doubt` is called when the outcome of a commit is unknown.
    """

    def __init__(
        self,
        database: StageDatabase,
        metrics: HubMetrics,
        limits: BatchLimits,
        on_applied: Callable[[Applied], None],
        on_doubt: Callable[[], None],
        confirmed: Callable[[], Mapping[int, int]],
    ) -> None:
        self.database = database
        self.done: dict[Place, int] = {}
        """Positions as committed, of the places owned now."""
        self._metrics = metrics
        self._limits = limits
        self._size = limits.records
        self._on_applied = on_applied
        self._on_doubt = on_doubt
        self._confirmed = confirmed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"stage-{database.stage.name}")
        self._pending: deque[Incoming] = deque()
        self._next: dict[Place, int] = {}
        self._odd: dict[Place, tuple[int, int]] = {}
        self._wake, self._room, self._dropped = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._running = asyncio.Lock()
        self.retrying = False

    @property
    def pending(self) -> int:
        return len(self._pending)

    @property
    def owned(self) -> list[int]:
        return sorted({partition for _, partition in self.done})

    async def in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    def start(self, positions: Mapping[Place, int]) -> None:
        """After an assignment: take records from exactly these positions."""
        self._pending.clear()
        self._next, self.done, self._odd = dict(positions), dict(positions), {}
        self.database.caches.keep_only({partition for _, partition in positions})
        self._dropped.clear()

    async def drop(self) -> None:
        """Before a revocation or the stop: forget what waits, let the running transaction end (its time-outs bound it)."""
        self._next = {}
        self._pending.clear()
        self._room.set()
        self._dropped.set()
        async with self._running:
            self.done = {}

    async def has_room(self) -> None:
        """Waits until less than two batches are pending: the back-pressure on the feeder."""
        while len(self._pending) >= 2 * self._limits.records:
            self._room.clear()
            await self._room.wait()

    def feed(self, records: Mapping[Place, Sequence[Incoming]]) -> dict[Place, int]:
        """Takes fetched records. Returns places to be fetched again from the given offset.

        A fetch that crosses a seek moves the client's position, so a list that does not start where it should is fetched
        again once. The second time the log is really like that, and the transaction will say what it means.
        """
        again: dict[Place, int] = {}
        for place, batch in records.items():
            expected, first = self._next.get(place), batch[0].offset
            if expected is None:
                continue  # not ours any more
            if first != expected and self._odd.get(place) != (expected, first):
                self._odd[place] = (expected, first)
                again[place] = expected
                continue
            if first < expected:
                raise WrongLog(
                    f"{place[0]}/{place[1]}: asked for {expected}, the log gives {first}", self.database.stage.name
                )
            self._next[place] = batch[-1].offset + 1
            self._pending.extend(batch)
        if self._pending:
            self._wake.set()
        return again

    def hold_back(self, topic: str) -> None:
        """Forgets what waits of a paused topic; it is fetched again from the position afterwards."""
        self._pending = deque(r for r in self._pending if r.topic != topic)
        for place in self._next:
            if place[0] == topic:
                self._next[place] = self.done[place]

    def positions_of(self, topic: str) -> dict[Place, int]:
        return {place: offset for place, offset in self._next.items() if place[0] == topic}

    async def run(self) -> None:
        """The applier task. Ends with the error that stops the worker."""
        while True:
            if not self._pending:
                self._wake.clear()
                await self._wake.wait()
            async with self._running:
                size = min(self._size, len(self._pending))
                batch = [self._pending.popleft() for _ in range(size)]
                self._room.set()
                if batch:
                    await self._commit(batch)

    async def _commit(self, batch: list[Incoming]) -> None:
        work = await self.in_thread(self.database.decode, batch)
        wait = FIRST_WAIT_S
        while work:
            begin = time.perf_counter()
            try:
                applied = await self.in_thread(self.database.apply, work, self._confirmed())
            except Exception as error:
                if not is_transient(error):
                    raise
                self.retrying = True
                self._on_doubt()
                self._metrics.retries.labels(self.database.stage.name, type(error).__name__).inc()
                log.warning("%s: %s; trying again in %.1f s", self.database.stage.name, _brief(error), wait)
                if too_long(error) and not self._dropped.is_set():
                    work = self._shorten(work)
                if await self._dropped_within(wait):
                    self.retrying = False
                    return  # not committed, or not known to be: whoever owns the partition goes on from the position
                wait = min(2 * wait, LONGEST_WAIT_S)
            else:
                self.retrying = False
                self._account(applied, work, time.perf_counter() - begin)
                return

    async def tell_resumed(self, topic: str, area: str) -> None:
        """Between two batches, by the worker that owns the area's partition. Tried again by the caller's next look."""
        async with self._running:
            if partition_of(area, self.database.partitions) not in self.owned:
                return
            try:
                told = await self.in_thread(self.database.resume, topic, area)
            except Exception as error:
                if not is_transient(error):
                    raise
                self._on_doubt()
                log.warning("%s: %s; trying again", self.database.stage.name, _brief(error))
            else:
                self._on_applied(told)

    async def _dropped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._dropped.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _shorten(self, work: Work) -> Work:
        """Puts three quarters of a batch that took too long back in the queue."""
        self._size = max(1, len(work) // 4)
        self._pending.extendleft(record for record, _ in reversed(work[self._size :]))
        return work[: self._size]

    def _account(self, applied: Applied, work: Work, seconds: float) -> None:
        if not self._dropped.is_set():
            self.done.update({place: end for place, end in applied.ends.items() if place in self.done})
        if seconds > self._limits.seconds:
            self._size = max(1, int(len(work) * self._limits.seconds / seconds))
        elif seconds < self._limits.seconds / 2 and len(work) == self._size:
            self._size = min(self._limits.records, 2 * self._size)
        for notice in applied.paused:
            self.hold_back(notice.topic)
        self._metrics.batch(self.database.stage.name, applied, seconds, work[-1][0].timestamp_ms)
        self._on_applied(applied)

    def close(self) -> None:
        self._thread.submit(self.database.close)
        self._thread.shutdown(wait=True)


def _brief(error: BaseException) -> str:
    """First line, class and state: no statement text, which may hold values."""
    state = getattr(error, "sqlstate", None)
    text = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}{f' {state}' if state else ''}: {text}"
