"""One process that plays all partner systems of the demo over one living world: some over HTTP, some by files in a folder.

    python -m samenloop_deploy.demo.partner_systems --dropfolder DIR --ready FILE [--seed 1] [--scale 600] [--port 0] ...

Real and simulated time: the world starts at ``started_at`` (now, unless given) and each tick of ``tick_seconds`` moves it on
by as much, so that its instants keep pace with the wall clock while what happens depends on the seed alone. Every
``extract_seconds`` a "night" falls, and whoever delivers files writes them below ``dropfolder``; for a weekly source it stands
for a week. ``POST /advance?days=N`` (see ``control``) lets real days pass at once. The systems are listed in
``partners/systems.py``; what each of them is to this process stands in ``partners/seam.py``.

The ready file is written when everything answers: JSON with ``port``, ``base_url``, ``dropfolder``, ``pid``, ``seed``,
``scale``, ``started_at``, and under ``systems`` what each system says of itself: addresses, credentials, folders.
The process holds its world in memory only: a restart begins it anew, so a supervisor should not restart it by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from samenloop_schemas.parent_watch import die_with_parent

from .control import Control
from .partners.courier import Courier
from .partners.seam import LOOPBACK, Request, Response, Surroundings
from .partners.systems import open_systems
from .world import World

MOST_BODY: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """How the partner systems run. ``tick_seconds`` or ``extract_seconds`` of 0: only on request. ``port`` 0: a free one."""

    dropfolder: Path
    seed: int = 1
    scale: int = 600
    port: int = 0
    tick_seconds: float = 2.0
    changes_per_tick: int = 1
    extract_seconds: float = 20.0
    keep_runs: int = 40
    token_seconds: float = 900.0
    rate: float = 20.0
    burst: int = 60
    started_at: datetime | None = None


class PartnerSystems:
    """The world and its systems in this process. ``lock`` guards the world; everything that touches it goes through here."""

    def __init__(self, options: Options) -> None:
        self.options = options
        started_at = options.started_at or datetime.now(UTC)
        self.started_at = started_at.astimezone(UTC)
        self.lock = threading.Lock()
        self.world = World(options.seed, options.scale, self.started_at, _progress if options.scale >= 3000 else None)
        self.server = _Server((LOOPBACK, options.port), _Handler)
        self.server.systems = self
        self.courier = Courier()
        self.surroundings = Surroundings(
            self.world,
            options.dropfolder,
            base_url=f"http://{LOOPBACK}:{self.port}",
            clock=time.monotonic,
            send=self.courier.send,
            token_seconds=options.token_seconds,
            rate=options.rate,
            burst=options.burst,
            keep_runs=options.keep_runs,
        )
        self.systems = open_systems(self.surroundings)
        self.by_prefix = {prefix: system for system in self.systems for prefix in system.prefixes}
        self.control = Control(self.world, self.systems, lambda: self.courier.counts)
        self._serving = threading.Thread(target=self.server.serve_forever, name="http", daemon=True)
        self._stop = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def start(self) -> None:
        """Lets the first night fall and begins to answer."""
        self.night()
        self.courier.start()
        self._serving.start()

    def answer(self, request: Request) -> Response:
        """One HTTP request, to a partner system or to the control window."""
        with self.lock:
            if system := self.by_prefix.get(request.path.lstrip("/").partition("/")[0]):
                return system.handle(request)
            answer = self.control.handle(request)
            self._follow()
            return answer

    def tick(self) -> None:
        """One step of simulated time with its changes."""
        with self.lock:
            self.world.advance_to(self.world.now + timedelta(seconds=self.options.tick_seconds))
            self.world.play(self.options.changes_per_tick)
            self._follow()

    def night(self) -> None:
        """Whoever works at night does its work."""
        with self.lock:
            self.control.night()

    def _follow(self) -> None:
        for system in self.systems:
            system.follow()

    def run(self) -> None:
        """Ticks and nights on their own schedule until ``stop``; what is late is caught up, one step at a time."""
        began = time.monotonic()
        steps = ((self.options.tick_seconds, self.tick), (self.options.extract_seconds, self.night))
        due = [(began + every, every, step) for every, step in steps if every > 0]
        while due:
            due.sort(key=lambda entry: entry[0])
            at, every, step = due[0]
            if self._stop.wait(max(0.0, at - time.monotonic())):
                return
            step()
            due[0] = (at + every, every, step)
        self._stop.wait()

    def stop(self) -> None:
        """Ends ``run``. Safe to call from a signal handler, and more than once."""
        self._stop.set()

    def close(self) -> None:
        """Frees the port; nothing is sent any more."""
        if self._serving.is_alive():
            self.server.shutdown()
        self.server.server_close()
        self.courier.close()

    def description(self) -> dict[str, Any]:
        """The content of the ready file."""
        return {
            "pid": os.getpid(),
            "port": self.port,
            "base_url": self.surroundings.base_url,
            "dropfolder": str(self.options.dropfolder.resolve()),
            "seed": self.options.seed,
            "scale": self.options.scale,
            "started_at": self.started_at.isoformat(),
            "systems": {system.name: system.description() for system in self.systems},
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    systems: PartnerSystems

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is no error of ours; everything else is shown."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Between the socket and the applications. Keep-alive, whole answers, no access log."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    timeout = 60
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _answer(self) -> None:
        announced = self.headers.get("content-length") or "0"
        length = int(announced) if announced.isdecimal() else MOST_BODY + 1
        if length > MOST_BODY or "transfer-encoding" in self.headers:
            self.close_connection = True
            self._send(Response(413, {"status": 413, "title": "too large"}))
            return
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.server.systems.answer(Request(self.command, path, query, headers, self.rfile.read(length))))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def _send(self, response: Response) -> None:
        body = _bytes(response.body)
        self.send_response(response.status)
        names = {name.lower() for name, _ in response.headers}
        for name, value in response.headers:
            self.send_header(name, value)
        if "content-type" not in names and response.body is not None:
            self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests are counted, not logged."""


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    return body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()


def _progress(what: str, made: int, of: int) -> None:
    print(f"partner systems: {what} {made}/{of}", file=sys.stderr, flush=True)


def write_ready(path: Path, description: dict[str, Any]) -> None:
    """Whole or not at all; readable by the owner only, since it holds the credentials of the demo."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(description, file, indent=2)
    part.replace(path)


def main(options: Options, ready: Path | None = None) -> None:
    """Runs until SIGTERM, SIGINT or the end of the parent."""
    die_with_parent()
    systems = PartnerSystems(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: systems.stop())
    systems.start()
    try:
        if ready is not None:
            write_ready(ready, systems.description())
        print(f"partner systems: listening on {LOOPBACK}:{systems.port}", file=sys.stderr, flush=True)
        systems.run()
    finally:
        systems.close()


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant


def options_of(arguments: Sequence[str] | None = None) -> tuple[Options, Path | None]:
    """Options and ready file from command-line arguments; exits with 2 when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m samenloop_deploy.demo.partner_systems", description="Synthetic partners"
    )
    parser.add_argument("--dropfolder", type=Path, required=True)
    parser.add_argument("--ready", type=Path)
    for name, kind in (
        ("seed", int), ("scale", int), ("port", int), ("tick-seconds", float), ("changes-per-tick", int),
        ("extract-seconds", float), ("keep-runs", int), ("token-seconds", float), ("rate", float), ("burst", int),
        ("started-at", _instant),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=kind)
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    ready = given.pop("ready", None)
    return Options(**given), ready


if __name__ == "__main__":
    main(*options_of())
