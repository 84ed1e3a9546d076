"""All partner systems in one process: over real sockets and files, started and stopped as a child."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from samenloop_deploy.demo.partner_systems import Options, PartnerSystems, options_of
from samenloop_schemas.parent_watch import PARENT_FD

START = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture
def systems(tmp_path: Path) -> Iterator[PartnerSystems]:
    made = PartnerSystems(
        Options(tmp_path / "drop", scale=80, tick_seconds=0, extract_seconds=0, started_at=START, rate=1e9, burst=10**9)
    )
    made.start()
    yield made
    made.stop()
    made.close()


@pytest.fixture
def http(systems: PartnerSystems) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=str(systems.description()["base_url"]), timeout=10, trust_env=False) as client:
        yield client


def log_in(http: httpx.Client, systems: PartnerSystems, organisation: str) -> dict[str, str]:
    access = systems.description()["systems"]["regas"]["organisations"][organisation]
    form = {
        "grant_type": "client_credentials",
        "client_id": access["client_id"],
        "client_secret": access["client_secret"],
    }
    answer = http.post(access["token_url"], data=form)
    assert answer.status_code == 200
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_regas_and_truth_tell_the_same_over_http(systems: PartnerSystems, http: httpx.Client) -> None:
    headers = log_in(http, systems, "smwo")
    answer = http.get("/smwo/api/v1/trajecten", headers=headers)
    assert answer.headers["content-type"].startswith("application/json")
    rows = answer.json()["trajecten"]
    truth = http.get("/truth").json()
    known = {(row["case"], row["client"]) for row in truth["cases"] if row["organisation"] == "smwo"}
    assert {(row["traject_id"], row["client_id"]) for row in rows} == known
    assert http.get("/smwo/api/v1/trajecten").status_code == 401


def test_the_first_night_is_there_before_anybody_asks(systems: PartnerSystems) -> None:
    assert len(list(systems.options.dropfolder.glob("gws/GWS_*.csv"))) == 27


def test_time_passes_on_request(http: httpx.Client) -> None:
    before = http.get("/figures").json()
    after = http.post("/advance", params={"days": 30}).json()
    assert after["on"] == "2026-12-22"
    assert sum(after["changes"].values()) > sum(before["changes"].values())
    assert len(http.post("/extract").json()["files"]["gws"]) == 27
    assert (
        sum(http.post("/play", params={"changes": 7}).json()["changes"].values()) == sum(after["changes"].values()) + 7
    )


def test_truth_of_another_day_and_of_stricter_consent(http: httpx.Client) -> None:
    today = http.get("/truth").json()
    assert http.get("/truth", params={"on": "2015-01-01"}).json()["overlaps"] == []
    strict = http.get("/truth", params={"toestemming": "ja"}).json()
    assert strict["overlap_count"] <= today["overlap_count"]
    loose = http.get("/truth", params={"toestemming": "ja,nee,niet_gevraagd"}).json()
    assert loose["overlap_count"] >= today["overlap_count"]
    assert set(today["overlaps"][0]) == {"area", "person", "parties", "cases"}


def test_wrong_control_requests_change_nothing(http: httpx.Client) -> None:
    before = http.get("/truth").json()
    for path in (
        "/advance?days=-1",
        "/advance?days=many",
        "/play?changes=10000000",
        "/faults?partner=gws&kind=none&municipality=0664&module=JW",
        "/faults?partner=gws&kind=partial&municipality=9999&module=JW",
        "/faults?partner=gws&kind=partial&municipality=0664&module=AMW",
        "/faults",
    ):
        assert http.post(path).status_code == 400, path
    assert http.get("/truth?on=today").status_code == 400
    assert http.get("/elsewhere").status_code == 404
    assert http.post("/smwo/oauth/token", content=b"x" * 100_000).status_code == 413
    assert http.get("/truth").json() == before


def test_faults_are_planned_over_http(systems: PartnerSystems, http: httpx.Client) -> None:
    headers = log_in(http, systems, "lumens")
    assert http.post("/faults?partner=regas&status=503&times=1").status_code == 200
    statuses = [http.get("/lumens/api/v1/trajecten", headers=headers).status_code for _ in range(2)]
    assert statuses == [503, 200]
    http.post("/faults?partner=gws&kind=missing&municipality=0664&module=JW&times=1")
    assert len(http.post("/extract").json()["files"]["gws"]) == 26


def test_the_world_ticks_and_nights_fall_by_themselves(tmp_path: Path) -> None:
    systems = PartnerSystems(Options(tmp_path, scale=40, tick_seconds=0.01, extract_seconds=0.05, started_at=START))
    systems.start()
    running = threading.Thread(target=systems.run)
    running.start()
    try:
        nights = _when(lambda: len(list(tmp_path.glob("gws/GWS_0664_JW_*.csv"))) >= 3)
        ticks = _when(lambda: sum(systems.world.changes.values()) >= 10)
        assert nights.wait(20)
        assert ticks.wait(20)
    finally:
        systems.stop()
        running.join(10)
        systems.close()
    assert not running.is_alive()
    assert sum(systems.world.changes.values()) >= 10
    assert systems.world.now > START
    assert len(list(tmp_path.glob("gws/GWS_0664_JW_*.csv"))) >= 3


def _when(condition: Callable[[], bool]) -> threading.Event:
    """An event that is set once the condition holds."""
    event = threading.Event()

    def watch() -> None:
        while not event.wait(0.01):
            if condition():
                event.set()

    threading.Thread(target=watch, daemon=True).start()
    return event


def _start(tmp_path: Path, *more: str, parent_fd: int | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "samenloop_deploy.demo.partner_systems", "--scale", "40"]
    command += ["--dropfolder", str(tmp_path / "drop"), "--ready", str(tmp_path / "ready.json"), *more]
    env = {name: value for name, value in os.environ.items() if name != PARENT_FD}
    if parent_fd is not None:
        env[PARENT_FD] = str(parent_fd)
    return subprocess.Popen(
        command, env=env, stderr=subprocess.PIPE, pass_fds=() if parent_fd is None else (parent_fd,)
    )


def _await_line(child: subprocess.Popen[bytes]) -> bytes:
    assert child.stderr is not None
    assert select.select([child.stderr], [], [], 30)[0], "no sign of life"
    return child.stderr.readline()


def test_as_a_child_it_says_where_it_is_and_stops_on_a_signal(tmp_path: Path) -> None:
    child = _start(tmp_path)
    try:
        assert b"listening" in _await_line(child)
        ready = json.loads((tmp_path / "ready.json").read_text(encoding="utf-8"))
        assert (tmp_path / "ready.json").stat().st_mode & 0o077 == 0
        assert httpx.get(f"{ready['base_url']}/health", timeout=10, trust_env=False).json()["status"] == "ok"
        assert ready["pid"] == child.pid
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.communicate()


def test_it_ends_when_its_parent_is_gone(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    child = _start(tmp_path, parent_fd=read_end)
    try:
        os.close(read_end)
        assert b"listening" in _await_line(child)
        os.close(write_end)
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.communicate()


def test_options_come_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options, ready = options_of(
        [
            "--dropfolder",
            str(tmp_path),
            "--seed",
            "9",
            "--tick-seconds",
            "0.5",
            "--started-at",
            "2026-11-22T09:00:00+00:00",
        ]
    )
    assert (options.seed, options.scale, options.tick_seconds, options.started_at, ready) == (9, 600, 0.5, START, None)
    with pytest.raises(SystemExit) as refused:
        options_of(["--dropfolder", str(tmp_path), "--started-at", "2026-11-22T09:00:00"])
    assert refused.value.code == 2
    assert "started-at" in capsys.readouterr().err
