"""Carries what partner systems send themselves, in a thread of its own: to this machine only, and more than once if need be."""

from __future__ import annotations

import heapq
import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from .seam import Outgoing

ON_THIS_MACHINE: Final = frozenset({"127.0.0.1", "localhost", "::1"})
ATTEMPT_SECONDS: Final = 5.0


def is_on_this_machine(url: str) -> bool:
    """Whether an address is plain HTTP to the loopback: a synthetic world calls nobody else."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and parts.hostname in ON_THIS_MACHINE and parts.port is not None
    except ValueError:
        return False


def attempt(outgoing: Outgoing) -> bool:
    """One request; whether it was answered with a 2xx."""
    parts = urlsplit(outgoing.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ATTEMPT_SECONDS)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(outgoing.method, target, outgoing.body, dict(outgoing.headers))
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Courier:
    """``counts`` tells how many were delivered, tried again and given up. Lost with the process, as a broker's memory is."""

    def __init__(self, attempt: Callable[[Outgoing], bool] = attempt) -> None:
        self.counts: Counter[str] = Counter()
        self._attempt = attempt
        self._due: list[tuple[float, int, int, Outgoing]] = []
        self._number = 0
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def send(self, outgoing: Outgoing) -> None:
        """Takes a request on and returns at once. Raises ValueError for an address outside this machine."""
        if not is_on_this_machine(outgoing.url):
            raise ValueError("only addresses on this machine")
        self._put(time.monotonic(), 0, outgoing)

    def close(self) -> None:
        """Ends after the attempt that is going on; what still waits is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(2 * ATTEMPT_SECONDS)

    def _put(self, at: float, tried: int, outgoing: Outgoing) -> None:
        with self._changed:
            self._number += 1
            heapq.heappush(self._due, (at, self._number, tried, outgoing))
            self._changed.notify()

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            tried, outgoing = taken
            if self._attempt(outgoing):
                self.counts["delivered"] += 1
            elif tried < len(outgoing.retries):
                self.counts["tried_again"] += 1
                self._put(time.monotonic() + outgoing.retries[tried], tried + 1, outgoing)
            else:
                self.counts["given_up"] += 1

    def _take(self) -> tuple[int, Outgoing] | None:
        """The next that is due, once it is; None when closed."""
        with self._changed:
            while not self._closed:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    _, _, tried, outgoing = heapq.heappop(self._due)
                    return tried, outgoing
                self._changed.wait(wait)
        return None
