"""What every partner system may rely on: bodies of any kind, nights, faults by name, and requests of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from samenloop_deploy.demo import partner_systems
from samenloop_deploy.demo.partner_systems import Options, PartnerSystems
from samenloop_deploy.demo.partners.courier import Courier, attempt, is_on_this_machine
from samenloop_deploy.demo.partners.seam import Outgoing, PartnerSystem, Request, Response, Surroundings
from samenloop_deploy.demo.partners.systems import open_systems
from samenloop_deploy.demo.world import World

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
WAIT = 20


class Example(PartnerSystem):
    """Answers with what it was sent, counts nights, and notifies whoever asked for it about each change."""

    name = "example"
    prefixes = frozenset({"example", "example-too"})

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._folder = surroundings.folder_of(self.name)
        self._nights = 0
        self._seen = 0
        self._subscriber = ""
        self._faults: list[str] = []

    def handle(self, request: Request) -> Response:
        if request.path == "/example/subscribe":
            self._subscriber = request.body.decode()
            self._around.send(Outgoing(self._subscriber, b"hello", retries=()))
            return Response(204)
        if self._faults:
            return Response(503, self._faults.pop())
        headers = (("Content-Type", "application/x-echo"), ("X-Method", request.method))
        return Response(200, request.body, headers)

    def follow(self) -> None:
        changes = sum(self._around.world.changes.values())
        for number in range(self._seen, changes if self._subscriber else 0):
            self._around.send(Outgoing(self._subscriber, b"%d" % number, {"Authorization": "secret"}))
        self._seen = changes

    def night(self) -> Sequence[Path]:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._nights += 1
        path = self._folder / f"week-{self._nights}.bin"
        path.write_bytes(b"\x00")
        return [path]

    def plan_fault(self, asked: Mapping[str, str], times: int) -> None:
        self._faults = [asked["kind"]] * times

    def description(self) -> dict[str, str]:
        return {"base_url": f"{self._around.base_url}/example"}


@pytest.fixture
def systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PartnerSystems]:
    monkeypatch.setattr(partner_systems, "open_systems", lambda around: (*open_systems(around), Example(around)))
    made = PartnerSystems(Options(tmp_path, scale=40, tick_seconds=0, extract_seconds=0, started_at=START))
    made.start()
    yield made
    made.stop()
    made.close()


@pytest.fixture
def http(systems: PartnerSystems) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=systems.surroundings.base_url, timeout=10, trust_env=False) as client:
        yield client


class Subscriber:
    """A place that takes notifications; the first ``refuse`` of them it refuses."""

    def __init__(self, refuse: int = 0) -> None:
        self.heard: list[tuple[bytes, str | None]] = []
        self.refused = 0
        self.news = threading.Condition()
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with subscriber.news:
                    ok = subscriber.refused >= refuse
                    subscriber.refused += not ok
                    if ok:
                        subscriber.heard.append((body, self.headers["authorization"]))
                    subscriber.news.notify_all()
                self.send_response(204 if ok else 500)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/news?of=all"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def await_heard(self, count: int) -> None:
        with self.news:
            assert self.news.wait_for(lambda: len(self.heard) >= count, WAIT), f"heard {len(self.heard)}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    made = Subscriber()
    yield made
    made.close()


def test_bodies_of_any_kind_come_and_go(http: httpx.Client) -> None:
    answer = http.request("PATCH", "/example/echo", content=b"\x00\xff<Bericht/>")
    assert (answer.status_code, answer.content) == (200, b"\x00\xff<Bericht/>")
    assert (answer.headers["content-type"], answer.headers["x-method"]) == ("application/x-echo", "PATCH")
    assert http.get("/example-too/deep/down").status_code == 200


def test_faults_are_planned_by_the_name_of_the_system(http: httpx.Client) -> None:
    assert http.post("/faults?partner=example&kind=storing&times=2").status_code == 200
    answers = [http.get("/example") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].json() == "storing"
    assert http.post("/faults?partner=nobody&kind=storing").status_code == 400
    assert http.post("/faults?partner=example").status_code == 400


def test_a_night_falls_for_every_system(systems: PartnerSystems, http: httpx.Client) -> None:
    files = http.post("/extract").json()["files"]
    assert files["example"] == ["week-2.bin"]
    assert len(files["gws"]) == 27
    assert files["regas"] == []
    assert systems.description()["systems"]["example"] == {"base_url": f"{systems.surroundings.base_url}/example"}


def test_a_system_calls_who_asked_for_it(http: httpx.Client, subscriber: Subscriber) -> None:
    answer = http.post("/example/subscribe", content=subscriber.url)
    assert (answer.status_code, answer.content) == (204, b"")
    http.post("/play?changes=3")
    subscriber.await_heard(4)
    assert sorted(subscriber.heard) == [(b"0", "secret"), (b"1", "secret"), (b"2", "secret"), (b"hello", None)]
    deadline = time.monotonic() + WAIT  # a delivery counts once its answer is read
    while (sent := http.get("/health").json()["sent"]) != {"delivered": 4}:
        assert time.monotonic() < deadline, sent


def test_what_is_refused_is_tried_again_and_given_up_in_the_end() -> None:
    deaf = Subscriber(refuse=3)
    over = threading.Event()
    tried: list[bool] = []

    def counted(outgoing: Outgoing) -> bool:
        tried.append(attempt(outgoing))
        if outgoing.body == b"last":
            over.set()
        return tried[-1]

    courier = Courier(counted)
    courier.start()
    try:
        courier.send(Outgoing(deaf.url, b"never", retries=(0.0,)))
        courier.send(Outgoing(deaf.url, b"later", retries=(0.2, 0.2)))
        deaf.await_heard(1)
        courier.send(Outgoing(deaf.url, b"last"))
        assert over.wait(WAIT)
    finally:
        courier.close()
        deaf.close()
    assert [body for body, _ in deaf.heard] == [b"later", b"last"]
    assert courier.counts == {"tried_again": 2, "given_up": 1, "delivered": 2}


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8080/callback", True),
        ("http://localhost:80/", True),
        ("http://[::1]:99/x", True),
        ("http://127.0.0.1/no-port", False),
        ("http://hub.example:8080/callback", False),
        ("https://127.0.0.1:8443/", False),
        ("http://127.0.0.1:8080@hub.example:80/", False),
        ("http://127.0.0.1:port/", False),
        ("not a url", False),
    ],
)
def test_nobody_outside_this_machine_is_called(url: str, here: bool) -> None:
    assert is_on_this_machine(url) is here
    courier = Courier(lambda outgoing: pytest.fail("nothing is sent"))
    if not here:
        with pytest.raises(ValueError):
            courier.send(Outgoing(url, b""))


def test_no_two_systems_share_a_name_or_a_prefix(tmp_path: Path) -> None:
    systems = open_systems(Surroundings(World(1, 20, START), tmp_path))
    names = [system.name for system in systems]
    prefixes = [prefix for system in systems for prefix in system.prefixes]
    assert len(names) == len(set(names))
    assert len(prefixes) == len(set(prefixes))
    assert not {"health", "figures", "truth", "advance", "play", "extract", "faults"} & set(prefixes)
