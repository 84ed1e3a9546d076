"""Pages learn that something changed: the database says in which area, each open page asks whether it concerns its viewer.

What goes to the browser is the word "changed" and a mark of the state; it then fetches the page again with its own rights.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import psycopg

from samenloop_processors.views.store import CHANGED

log = logging.getLogger(__name__)

REPLY_IN_MS = 1000
SETTLE_S = 0.15
"""Changes that come close together are one change."""
HEARTBEAT_S = 15.0
RECONNECT_S = 1.0


class Changes:
    """Listens to the database in a thread and wakes whoever waits for an area. Start and stop it with the app."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="changes", daemon=True)
        self.connected = threading.Event()
        """Set while changes come in."""

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Ends every stream. From any thread or signal handler, as often as one likes."""
        self._stop.set()
        if self._loop is not None:
            self._call(None)

    def wait_for(self, area: str) -> asyncio.Event:
        event = asyncio.Event()
        self._waiting.setdefault(area, set()).add(event)
        return event

    def forget(self, area: str, event: asyncio.Event) -> None:
        self._waiting.get(area, set()).discard(event)

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(
                    self._url, autocommit=True, application_name="samenloop web changes"
                ) as connection:
                    connection.execute(f"LISTEN {CHANGED}")
                    self.connected.set()
                    self._call(None)  # what was said while we were away
                    while not self._stop.is_set():
                        for notice in connection.notifies(timeout=1.0):
                            self._call(notice.payload)
            except psycopg.Error as error:
                self.connected.clear()
                log.warning("no changes from the database (%s), trying again", type(error).__name__)
                self._stop.wait(RECONNECT_S)

    def _call(self, area: str | None) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop closed while we listened
            self._loop.call_soon_threadsafe(self._wake, area)

    def _wake(self, area: str | None) -> None:
        areas = [area] if area is not None else list(self._waiting)
        for event in (event for name in areas for event in self._waiting.get(name, ())):
            event.set()


async def stream(
    changes: Changes,
    area: str,
    stand: Callable[[], Awaitable[str | None]],
    known: str,
    gone: Callable[[], Awaitable[bool]],
) -> AsyncIterator[bytes]:
    """Server-sent events: one "changed" per real change of `stand` since `known`; `stand` None: logged out."""
    event = changes.wait_for(area)
    try:
        yield f"retry: {REPLY_IN_MS}\n\n".encode()
        while not changes.stopping and not await gone():
            now = await stand()
            if now is None:
                yield b"event: changed\ndata: changed\n\n"  # the page asks, and is sent to the log-in
                return
            if now != known:
                known = now
                yield f"id: {now}\nevent: changed\ndata: changed\n\n".encode()
            try:
                await asyncio.wait_for(event.wait(), HEARTBEAT_S)
                await asyncio.sleep(SETTLE_S)
            except TimeoutError:
                yield b": still here\n\n"
            event.clear()
    finally:
        changes.forget(area, event)
