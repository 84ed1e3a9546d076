from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from samenloop_deploy.local.supervisor import Child, ChildFailed, Event, Room, Supervisor
from samenloop_schemas.parent_watch import ABANDONED

WATCHED = "from samenloop_schemas.parent_watch import die_with_parent as d; import signal, time; d(grace=0.2); "


def await_that(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Watched:
    """A supervisor whose events are written down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []
        self.supervisor = Supervisor(on_event=self.events.append)

    def start(self, name: str, code: str, **options: Any) -> int:
        options = {"room": Room.STAGE} | options
        log = self.folder / f"{name}.log"
        return self.supervisor.start(Child(name=name, command=[sys.executable, "-c", code], log=log, **options))

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def kinds(self, name: str) -> Sequence[str]:
        return [event.kind for event in self.events if event.child == name]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.supervisor.stop_all()


def test_a_killed_stage_comes_back_as_another_process(watched: Watched) -> None:
    first = watched.start("s", "import time; print('up', flush=True); time.sleep(60)", restart=True)
    os.kill(first, signal.SIGKILL)
    await_that(lambda: watched.supervisor.pid("s") not in (None, first), "a new process")
    assert watched.supervisor.restarts("s") == 1
    assert next(e.code for e in watched.events if e.kind == "exited") == -signal.SIGKILL


def test_a_stage_that_keeps_failing_is_started_at_growing_intervals(watched: Watched) -> None:
    watched.start("s", "import time; print(time.time(), flush=True); raise SystemExit(1)", restart=True)
    await_that(lambda: watched.supervisor.restarts("s") >= 3, "three restarts")
    await_that(lambda: len(watched.said("s").split()) >= 4, "four starts")
    starts = [float(line) for line in watched.said("s").split()[:4]]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert gaps[1] >= 0.25
    assert gaps[2] >= 0.5


def test_a_wrong_configuration_is_not_tried_again(watched: Watched) -> None:
    watched.start("s", "print('no such area'); raise SystemExit(2)", restart=True)
    await_that(lambda: "gave_up" in watched.kinds("s"), "given up")
    await_that(lambda: watched.supervisor.pid("s") is None, "no process")
    with pytest.raises(ChildFailed, match="no such area"):
        watched.supervisor.check("s")
    assert "restarting" not in watched.kinds("s")


def test_rooms_are_cleared_in_order(watched: Watched) -> None:
    for room in (Room.POSTGRES, Room.KAFKA, Room.STAGE, Room.CONNECTOR, Room.WEB):
        watched.start(room.name, "import time; time.sleep(60)", room=room)
    watched.supervisor.stop_all()
    ended = [event.child for event in watched.events if event.kind == "exited"]
    assert ended == ["WEB", "STAGE", "CONNECTOR", "KAFKA", "POSTGRES"]


def test_a_child_that_will_not_stop_is_killed_after_its_grace(watched: Watched) -> None:
    pid = watched.start(
        "s",
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
        grace=0.2,
    )
    await_that(lambda: "up" in watched.said("s"), "started")
    watched.supervisor.stop("s")
    assert "killed" in watched.kinds("s")
    assert is_gone(pid)


def test_stopping_while_a_restart_is_due_ends_it(watched: Watched) -> None:
    watched.start("s", "raise SystemExit(1)", restart=True)
    await_that(lambda: watched.supervisor.restarts("s") >= 2, "it fails")
    watched.supervisor.stop("s")
    assert watched.supervisor.pid("s") is None


def test_what_a_child_started_ends_with_it(watched: Watched) -> None:
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    pid = watched.start("s", code)
    await_that(lambda: watched.said("s").strip() != "", "its own child runs")
    grandchild = int(watched.said("s"))
    os.kill(pid, signal.SIGKILL)
    await_that(lambda: is_gone(grandchild), "the grandchild is gone")


def test_a_child_sees_only_the_access_it_was_given(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMENLOOP_KEK", "secret of another")
    monkeypatch.setenv("DATABASE_URL", "postgresql://another")
    watched.start("s", "import os; print(sorted(os.environ))", env={"SAMENLOOP_AREA": "a2"})
    await_that(lambda: "exited" in watched.kinds("s"), "ended")
    seen = watched.said("s")
    assert "SAMENLOOP_AREA" in seen
    assert "SAMENLOOP_KEK" not in seen
    assert "DATABASE_URL" not in seen


def test_two_children_cannot_have_one_name(watched: Watched) -> None:
    watched.start("s", "import time; time.sleep(60)")
    with pytest.raises(ValueError, match="running already"):
        watched.start("s", "pass")


SUPERVISING = """
import json, sys, time
from pathlib import Path
from samenloop_deploy.local.supervisor import Child, Room, Supervisor
folder = Path(sys.argv[1])
directory = folder / "to-be-removed"
directory.mkdir()
supervisor = Supervisor(directory)
pids = {"supervisor's reaper": supervisor._reaper.pid}
for name, code in json.loads(sys.argv[2]).items():
    pids[name] = supervisor.start(
        Child(name=name, command=[sys.executable, "-c", code], room=Room.STAGE, log=folder / f"{name}.log", grace=0.5)
    )
    while "up" not in (folder / f"{name}.log").read_text():
        time.sleep(0.01)
print(json.dumps(pids), flush=True)
time.sleep(60)
"""


def supervising(folder: Path, children: dict[str, str]) -> tuple[subprocess.Popen[str], dict[str, int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISING, str(folder), json.dumps(children)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, json.loads(process.stdout.readline())


def test_nothing_survives_a_killed_supervisor(tmp_path: Path) -> None:
    stay = "print('up', flush=True); time.sleep(60)"
    process, pids = supervising(
        tmp_path,
        {
            "watches": WATCHED + stay,
            "watches-but-deaf": WATCHED + "signal.signal(15, signal.SIG_IGN); " + stay,
            "knows-no-pipe": "import time; " + stay,
            "knows-no-pipe-and-deaf": "import signal, time; signal.signal(15, signal.SIG_IGN); " + stay,
        },
    )
    process.kill()
    process.wait()
    for name, pid in pids.items():
        await_that(lambda pid=pid: is_gone(pid), f"{name} is gone")  # type: ignore[misc]
    assert not (tmp_path / "to-be-removed").exists()


def test_a_child_that_watches_ends_even_when_the_reaper_was_killed_too(tmp_path: Path) -> None:
    stay = "print('up', flush=True); time.sleep(60)"
    process, pids = supervising(tmp_path, {"deaf": WATCHED + "signal.signal(15, signal.SIG_IGN); " + stay})
    os.kill(pids["supervisor's reaper"], signal.SIGKILL)
    process.kill()
    process.wait()
    await_that(lambda: is_gone(pids["deaf"]), "the child is gone")


def test_an_abandoned_child_that_hangs_leaves_with_its_own_code(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    code = deaf + WATCHED.replace("d(", f"d({read_end}, ") + "time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], pass_fds=[read_end])
    os.close(read_end)
    os.close(write_end)
    assert child.wait(20) == ABANDONED


def test_signals_become_an_event(watched: Watched) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with watched.supervisor.signals() as asked:
            assert not asked.is_set()
            os.kill(os.getpid(), number)
            assert asked.wait(5)
