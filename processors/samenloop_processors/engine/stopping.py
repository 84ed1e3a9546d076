"""A request to stop means the same at every moment of a worker's life: exit code 0.

Handlers set through asyncio are gone when its loop closes, and a second SIGTERM would kill a worker that is already on its
way out; before the loop runs there are none at all.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class StopRequested(BaseException):
    """Raised in the main thread by a signal that comes before the worker runs."""


class StopRequest:
    """Listens from `listen` on; what a request does depends on how far the worker is."""

    def __init__(self) -> None:
        self.requested = False
        self._deliver: Callable[[], None] | None = None

    def listen(self) -> None:
        """Main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def deliver_to(self, loop: Any, stop: Callable[[], None]) -> None:
        """From now on a request is a call of `stop` in the loop, as long as that is open."""

        def deliver() -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(stop)

        self._deliver = deliver

    def done(self) -> None:
        """The exit code is settled: a request from now on must not change it while the interpreter shuts down."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    def watch_parent(self, loop: Any) -> None:
        """A supervisor holds the other end of a pipe: its end is a request, too."""
        text = os.environ.get("SAMENLOOP_PARENT_FD")
        if not text:
            return
        fd = int(text)

        def readable() -> None:
            if not os.read(fd, 1024):
                loop.remove_reader(fd)
                os.kill(os.getpid(), signal.SIGTERM)

        loop.add_reader(fd, readable)

    def _on_signal(self, number: int, frame: Any) -> None:
        again, self.requested = self.requested, True
        if self._deliver:
            self._deliver()
        elif not again:
            raise StopRequested
