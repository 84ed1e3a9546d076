"""`samenloop demo` as its users run it: a process of its own, with a mark by which all that it leaves behind can be found."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil

MARK = "DEMO_UNDER_TEST"
"""The supervisor hands the environment on, but for SAMENLOOP_*: so every process below the demo carries it."""
GENEROUS_S = 420.0
"""Two cores may be busy with other things."""
STOPS_WITHIN_S = 45.0
LOOK_EVERY_S = 0.02


class Demo:
    """A running demo. Its temporary files go to `temp`, which nothing else uses."""

    def __init__(self, *options: str) -> None:
        self.mark = secrets.token_hex(8)
        # Directly below the system's own: PostgreSQL's user must get through, and a socket's path has to be short.
        self.temp = Path(tempfile.mkdtemp(prefix="demo-"))
        self.temp.chmod(0o711)
        self._said = Path(tempfile.mkdtemp(prefix="demo-said-"))
        given = {k: v for k, v in os.environ.items() if not k.startswith("SAMENLOOP_") and k != "DATABASE_URL"}
        with (self._said / "out").open("wb") as out, (self._said / "err").open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "samenloop_deploy", "demo", "--port", "0", *options],
                env={**given, "TMPDIR": str(self.temp), MARK: self.mark, "COLUMNS": "200"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self._family: dict[int, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._ours():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        for directory in (self.temp, self._said):
            shutil.rmtree(directory, ignore_errors=True)

    @property
    def out(self) -> list[str]:
        return (self._said / "out").read_text("utf-8").splitlines()

    @property
    def err(self) -> str:
        return (self._said / "err").read_text("utf-8")

    def figures(self) -> dict[str, Any]:
        """What `--json` printed: the last line of standard output, and the only one."""
        (line,) = self.out
        found: dict[str, Any] = json.loads(line)
        return found

    def await_that(self, condition: Callable[[], bool], what: str, timeout: float = GENEROUS_S) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert self.process.poll() is None, f"the demo ended before {what}: {self.err}"
            assert time.monotonic() < deadline, f"not within {timeout:.0f} s: {what}: {self.err}"
            time.sleep(LOOK_EVERY_S)

    def await_line(self, text: str) -> None:
        self.await_that(lambda: text in self.err, f"it said {text!r}")

    def ends(self, timeout: float = GENEROUS_S) -> int:
        """Its exit code."""
        return self.process.wait(timeout)

    def signal(self, number: signal.Signals) -> None:
        """Remember who is there, then signal the demo itself and nobody else."""
        self._family = {p.pid: p.create_time() for p in self._ours()}
        self.process.send_signal(number)

    @property
    def family(self) -> int:
        """How many processes there were when it was told to end."""
        return len(self._family)

    def samenloop(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command beside the demo, as its user gives it in another terminal."""
        given = {k: v for k, v in os.environ.items() if not k.startswith("SAMENLOOP_") and k != "DATABASE_URL"}
        return subprocess.run(
            [sys.executable, "-m", "samenloop_deploy", *words],
            env={**given, "TMPDIR": str(self.temp), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def partner_systems(self) -> dict[str, Any] | None:
        """The ready file of the synthetic partners, once it is there."""
        for file in self.temp.glob("samenloop-*/partner-systems.json"):
            found: dict[str, Any] = json.loads(file.read_text("utf-8"))
            return found
        return None

    def ask_partners(self, path: str) -> None:
        """Use the control window of the synthetic partners, as soon as there is one."""
        self.await_that(lambda: self.partner_systems() is not None, "the partner systems were ready")
        systems = self.partner_systems()
        assert systems
        urllib.request.urlopen(urllib.request.Request(systems["base_url"] + path, method="POST"), timeout=30).close()

    def leaves_nothing(self) -> None:
        """No process and no file. Who cleans up after a kill may need a moment."""
        deadline = time.monotonic() + STOPS_WITHIN_S
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
        assert not left

    def _left(self) -> list[str]:
        processes = [f"{p.pid} {_command(p)}" for p in self._ours()]
        return processes + [str(path) for path in self.temp.iterdir()]

    def _ours(self) -> list[psutil.Process]:
        """By descent, by the mark, by where they work, by what they were given: a server may hide one or the other."""
        below = {p.pid for p in self._descendants()}
        return [p for p in psutil.process_iter() if p.pid in below or self._is_ours(p)]

    def _descendants(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            me = psutil.Process(self.process.pid)
            return [me, *me.children(recursive=True)] if self.process.poll() is None else []
        return []

    def _is_ours(self, process: psutil.Process) -> bool:
        here = str(self.temp)
        with suppress(psutil.Error), process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if self._family.get(process.pid) == process.create_time():
                return True
            if any(here in argument for argument in process.cmdline()):
                return True
            with suppress(psutil.AccessDenied):
                return process.environ().get(MARK) == self.mark or process.cwd().startswith(here)
        return False


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return "?"


@contextmanager
def demo(*options: str) -> Iterator[Demo]:
    with Demo(*options) as running:
        yield running
