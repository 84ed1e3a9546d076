"""The notifier as a process that kills itself at one point: `notifier_worker.py [take|advance] N [before|after]`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from samenloop_views.notifier import deliveries
from samenloop_views.notifier.run import run_notifier


def die_at(function: str, call: int, when: str) -> None:
    """At the n-th call with something to do: before it, so that what was sent is not remembered, or right after it."""
    real, calls = getattr(deliveries, function), 0

    def wrapped(connection: Any, items: Any) -> None:
        nonlocal calls
        items = list(items)
        calls += bool(items)
        if items and calls == call and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        real(connection, items)
        if items and calls == call and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(deliveries, function, wrapped)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        die_at(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    sys.exit(run_notifier())
