"""Starts child processes, starts them again when they fail, stops them in order, and leaves none behind.

Three things see to the last: an orderly `Supervisor.stop_all`; a pipe whose end each child can see, so that a child of
ours ends with us even after ``kill -9`` (`samenloop_schemas.parent_watch`); and `reaper.py` for those that know of no pipe.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Literal

from samenloop_schemas.parent_watch import PARENT_FD

_log = logging.getLogger(__name__)

WRONG_USE = 2
"""Exit code of a process that was started with a wrong configuration: another start would end the same way."""
_FIRST_DELAY, _LONGEST_DELAY, _STEADY = 0.25, 10.0, 30.0
_REAPER = Path(__file__).with_name("reaper.py")
_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Room(IntEnum):
    """What kind of process it is. Rooms are cleared in this order, so that nothing loses what it still writes to."""

    WEB = 1
    STAGE = 2
    CONNECTOR = 3
    PARTNER_SYSTEM = 4
    KAFKA = 5
    POSTGRES = 6


@dataclass(frozen=True, slots=True)
class Child:
    """How to run a process, and how to end it.

    Of our own environment it gets all but ``SAMENLOOP_*`` and ``DATABASE_URL``, so that no process holds the access of
    another; ``env`` comes on top. ``log`` receives standard output and error.
    """

    name: str
    command: Sequence[str]
    room: Room
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    restart: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 10.0
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a child: ``code`` is its exit code, negative for a signal."""

    child: str
    kind: Literal["started", "exited", "restarting", "gave_up", "killed"]
    pid: int
    code: int | None = None


class ChildFailed(Exception):
    """A child ended that should be running; carries the end of its log."""


class Supervisor:
    """Owner of child processes. Safe to use from several threads; ``on_event`` is called from any of them."""

    def __init__(self, directory: Path | None = None, on_event: Callable[[Event], None] | None = None) -> None:
        """``directory``, if given, is removed by the reaper when this process is killed."""
        self._on_event = on_event or (lambda event: None)
        self._lock = threading.RLock()
        self._children: dict[str, _Running] = {}
        self._read_end, self._write_end = os.pipe()
        self._reaper = _Reaper(directory)

    def start(self, child: Child) -> int:
        """Start it and return its process id. A name can be used again once the former process has ended."""
        with self._lock:
            former = self._children.get(child.name)
            if former and not former.ended.is_set():
                raise ValueError(f"{child.name} is running already")
            running = _Running(child)
            pid = self._spawn(running)
            self._children[child.name] = running
        threading.Thread(target=self._keep, args=(running,), name=f"keep-{child.name}", daemon=True).start()
        return pid

    def pid(self, name: str) -> int | None:
        """Process id of the running incarnation; None while there is none."""
        with self._lock:
            running = self._children.get(name)
            return running.process.pid if running and running.process.poll() is None else None

    def pids(self) -> dict[str, int]:
        with self._lock:
            return {name: pid for name in self._children if (pid := self.pid(name)) is not None}

    def restarts(self, name: str) -> int:
        with self._lock:
            return self._children[name].restarts

    def check(self, name: str) -> None:
        """Raise `ChildFailed` if it has ended for good, with the last lines it wrote."""
        with self._lock:
            running = self._children[name]
        if running.ended.is_set():
            raise ChildFailed(f"{name} ended with code {running.process.returncode}: {tail(running.child.log)}")

    def kill(self, name: str) -> None:
        """End it without warning and without a restart, and wait until it is gone."""
        self._stop([name], signal.SIGKILL)

    def stop(self, *names: str) -> None:
        """End these in an orderly way, together, and wait until they are gone."""
        self._stop(list(names))

    def stop_working(self) -> None:
        """End all but Kafka and PostgreSQL, room by room."""
        self._clear(Room.PARTNER_SYSTEM)

    def stop_all(self) -> None:
        """End everything, room by room. The supervisor cannot be used afterwards."""
        self._clear(Room.POSTGRES)
        with self._lock:
            self._reaper.bye()
            for fd in (self._read_end, self._write_end):
                with suppress(OSError):
                    os.close(fd)

    @staticmethod
    @contextmanager
    def signals() -> Iterator[threading.Event]:
        """Turn INT, TERM and HUP into an event to wait for. Main thread only."""
        asked = threading.Event()
        former = {number: signal.signal(number, lambda *_: asked.set()) for number in _HANDLED}
        try:
            yield asked
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _clear(self, last: Room) -> None:
        for room in (room for room in Room if room <= last):
            with self._lock:
                children = list(self._children.values())
            self._stop([r.child.name for r in children if r.child.room == room and not r.ended.is_set()])

    def _stop(self, names: Sequence[str], number: signal.Signals | None = None) -> None:
        with self._lock:
            stopping = [self._children[name] for name in names]
            for running in stopping:
                running.stopping.set()
                with suppress(ProcessLookupError):
                    running.process.send_signal(number or running.child.stop_signal)
        deadline = time.monotonic()
        for running in stopping:
            if not running.ended.wait(max(0.0, deadline + running.child.grace - time.monotonic())):
                self._on_event(Event(running.child.name, "killed", running.process.pid))
                running.process.kill()
                running.ended.wait()

    def _spawn(self, running: _Running) -> int:
        child = running.child
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("SAMENLOOP_") and k != "DATABASE_URL"}
        with child.log.open("ab") as log:
            running.process = subprocess.Popen(
                list(child.command),
                env={**inherited, **child.env, PARENT_FD: str(self._read_end)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._read_end,),
                start_new_session=True,
                user=child.user,
                group=child.user,
                extra_groups=[] if child.user else None,
            )
        running.began = time.monotonic()
        self._reaper.add(running.process.pid, child)
        self._on_event(Event(child.name, "started", running.process.pid))
        return running.process.pid

    def _keep(self, running: _Running) -> None:
        """Collect the child's end and decide what follows; one thread per child."""
        child, delay = running.child, 0.0
        while True:
            process = running.process
            code = process.wait()
            self._reaper.gone(process.pid)
            # Whatever it started itself in its session goes with it.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            self._on_event(Event(child.name, "exited", process.pid, code))
            if running.stopping.is_set() or not child.restart:
                break
            if code == WRONG_USE:
                self._on_event(Event(child.name, "gave_up", process.pid, code))
                break
            delay = 0.0 if time.monotonic() - running.began > _STEADY or not running.restarts else _next(delay)
            if running.stopping.wait(delay):
                break
            with self._lock:
                if running.stopping.is_set():
                    break
                running.restarts += 1
                self._on_event(Event(child.name, "restarting", process.pid, code))
                self._spawn(running)
        running.ended.set()


class _Running:
    """A child with its current process."""

    process: subprocess.Popen[bytes]
    began: float

    def __init__(self, child: Child) -> None:
        self.child = child
        self.restarts = 0
        self.stopping = threading.Event()
        self.ended = threading.Event()


class _Reaper:
    """The process that clears up after us, and what it has been told."""

    def __init__(self, directory: Path | None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", str(_REAPER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        self._lock = threading.Lock()
        if directory:
            self._tell(f"directory {directory}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def add(self, pid: int, child: Child) -> None:
        self._tell(f"add {pid} {int(child.stop_signal)} {child.grace} {int(child.room)}")

    def gone(self, pid: int) -> None:
        self._tell(f"gone {pid}")

    def bye(self) -> None:
        self._tell("bye")
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin
        with self._lock:
            try:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
            except (OSError, ValueError):
                # The next start finds leftovers too, so losing the reaper is no reason to stop the work.
                _log.warning("the reaper is gone: a killed supervisor would leave Kafka and PostgreSQL running")


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log file, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) or "(nothing in its log)"
    except OSError:
        return "(no log)"


def _next(delay: float) -> float:
    return min(_LONGEST_DELAY, max(_FIRST_DELAY, delay * 2))
