"""However the demo ends, nothing of it stays: no process, no file. Asked to end, it ends well."""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.request

import pytest
from demo_rig import STOPS_WITHIN_S, Demo, demo

from samenloop_deploy.demo.feeds import FEEDS

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]

UP = "The pages are at"
CHILDREN = (
    "partner systems",
    "intake",
    "clients",
    "overlaps",
    "views",
    "clock",
    "notifier",
    "web",
    *(feed.name for feed in FEEDS),
)


def up(running: Demo) -> None:
    """Everything runs, and the pages answer at the address that it said."""
    running.await_line(UP)
    found = re.search(rf"{UP} (\S+)", running.err)
    assert found
    with urllib.request.urlopen(found[1] + "/inloggen", timeout=60) as answer:
        assert answer.status == 200


def stopped_by(number: signal.Signals, running: Demo) -> None:
    began = time.monotonic()
    running.signal(number)
    assert running.ends(STOPS_WITHIN_S) == 0, running.err
    print(f"{number.name}: ended after {time.monotonic() - began:.1f} s, {running.family} processes")
    assert "Traceback" not in running.err
    running.leaves_nothing()


def looked_into(running: Demo) -> None:
    """Its user finds nothing wrong with it, and sees what a partner sees, with `--demo` and no other setting."""
    doctor = running.samenloop("doctor", "--demo", "--json")
    findings = json.loads(doctor.stdout)
    assert [f for f in findings if f["verdict"] in ("warning", "failed")] == []
    assert {f["check"] for f in findings if f["verdict"] == "skipped"} <= {"matching key", "hub key"}
    assert doctor.returncode == 0
    status = json.loads(running.samenloop("connector", "status", "smwo", "--demo", "--json").stdout)
    assert status["cases"] > 0
    assert status["outcomes"]["ACCEPTED"] > 0
    stage = json.loads(running.samenloop("stage", "status", "intake", "--demo", "--json").stdout)
    assert stage["trouble"] is None
    assert running.samenloop("quarantine", "list", "--demo").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_on_request_it_ends_with_success(number: signal.Signals) -> None:
    with demo("--scale", "60") as running:
        up(running)
        if number is signal.SIGINT:
            looked_into(running)
        stopped_by(number, running)
        # beside the children: itself, Kafka, PostgreSQL, the reaper
        assert running.family >= len(CHILDREN) + 4


def test_on_request_it_ends_well_while_its_servers_are_still_starting() -> None:
    with demo("--scale", "60") as running:
        running.await_line("Kafka's libraries")
        stopped_by(signal.SIGTERM, running)


def test_stopped_before_everything_arrived_once_is_no_success() -> None:
    with demo("--scale", "60", "--once") as running:
        running.await_line("stages, clock, notifier and pages")
        running.signal(signal.SIGINT)
        assert running.ends(STOPS_WITHIN_S) == 1
        assert "error: stopped on request, before everything had arrived" in running.err
        running.leaves_nothing()


def test_killed_without_warning_it_leaves_nothing_either() -> None:
    with demo("--scale", "60") as running:
        up(running)
        running.signal(signal.SIGKILL)
        assert running.ends() == -signal.SIGKILL
        running.leaves_nothing()
        assert running.family >= len(CHILDREN) + 4
