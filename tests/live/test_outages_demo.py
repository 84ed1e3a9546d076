"""The whole demo, its partner systems and connectors included, with the broker and the database taken away while it reads."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from kafka.errors import KafkaError
from rich.console import Console

from samenloop_deploy.demo.hub import DemoHub
from samenloop_deploy.demo.run import DemoOptions, Outcome, _Demo
from samenloop_deploy.local import LocalStack
from samenloop_processors.engine.errors import EngineError

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(900)]

SAME = ("statements", "persons", "clients", "overlaps_found", "overlaps_true", "overlaps_false", "overlaps_missed")
"""What follows from what the sources hold in the end."""
AWAY_S = 10


class _Enduring(_Demo):
    """Looks on while servers are away: what cannot be asked now is asked again."""

    def _until(self, condition: Callable[[], bool], what: str, stand: Callable[[], str] = str) -> None:
        def patient() -> bool:
            try:
                return condition()
            except (psycopg.OperationalError, KafkaError, EngineError):
                return False

        super()._until(patient, what, stand)


def lived(disturb: Callable[[LocalStack], None] | None) -> Outcome:
    """Everything arrives, life goes on for a while, everything settles."""
    asked = threading.Event()
    with LocalStack.start() as stack:
        hub = DemoHub(stack, 0)
        options = DemoOptions(once=True, seed=11, scale=150, timeout=400)
        demo = _Enduring(options, Console(quiet=True), hub, time.monotonic(), asked)
        if disturb is None:
            return demo.run()
        trouble: list[BaseException] = []

        def disturbed() -> None:
            try:
                while not all(stack.supervisor.pid(partner) for partner in hub.partners):
                    time.sleep(0.1)
                disturb(stack)
            except BaseException as error:
                trouble.append(error)
                asked.set()

        thread = threading.Thread(target=disturbed)
        thread.start()
        outcome = demo.run()
        thread.join()
        assert not trouble, trouble
        return outcome


def take_away(stack: LocalStack) -> None:
    stack.kill_kafka()
    time.sleep(AWAY_S)  # what is tested is that span
    stack.restart_kafka()
    time.sleep(3)
    stack.restart_postgres()
    time.sleep(3)
    stack.kill_postgres()
    time.sleep(2)
    stack.restart_postgres()


def test_the_demo_ends_as_if_nothing_had_happened() -> None:
    calm, worn = lived(None), lived(take_away)
    assert (calm.complete, worn.complete) == (True, True), f"{calm.why}; {worn.why}"
    found: list[dict[str, Any]] = [{name: outcome.figures[name] for name in SAME} for outcome in (calm, worn)]
    assert found[0] == found[1], json.dumps(found, indent=1)
