"""The web as a process: it says where it serves, streams changes over HTTP, and stops on SIGTERM with a stream still open."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from views_world import World

from samenloop_deploy.local import Databases
from samenloop_schemas import sealing

pytestmark = pytest.mark.live
MAIN = "import sys; from samenloop_views.web.server import run_web; sys.exit(run_web())"


@pytest.fixture
def world(databases: Databases) -> Iterator[World]:
    made = World(databases)
    made.begin("a2")
    yield made
    made.close()


@dataclass(slots=True)
class Served:
    process: subprocess.Popen[str]
    address: str


@pytest.fixture
def web(world: World) -> Iterator[Served]:
    environment = os.environ | {
        "DATABASE_URL": world.databases.url("web"),
        "SAMENLOOP_KEYS_URL": world.databases.keys_url("web"),
        "SAMENLOOP_KEK": sealing.key_to_text(world.kek),
        "SAMENLOOP_DEMO": "1",
    }
    process = subprocess.Popen([sys.executable, "-c", MAIN], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
    yield Served(process, address)
    process.kill()
    process.wait()


def test_it_streams_a_change_and_stops_with_the_stream_open(web: Served, world: World) -> None:
    with httpx.Client(base_url=web.address, headers={"sec-fetch-site": "same-origin"}, timeout=20) as client:
        page = client.get("/inloggen").text
        key = re.search(r'name="user" value="(\w+)"', page)
        assert key is not None
        assert client.post("/inloggen", data={"user": key[1]}).status_code == 303
        stand = re.search(r"stand=(\w+)", client.get("/overlappen").text)
        assert stand is not None
        with client.stream("GET", f"/wijzigingen?stand={stand[1]}") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.iter_lines()
            assert next(lines).startswith("retry:")
            world.overlap(world.involve("lumens/social-work", "one"), world.involve("gemeente-valkenswaard/wmo", "two"))
            said = [line for line, _ in zip((line for line in lines if line), range(3), strict=False)]
            assert said[1:] == ["event: changed", "data: changed"]
            web.process.send_signal(signal.SIGTERM)
            assert web.process.wait(10) == 0


def test_metrics_are_not_on_the_port_of_the_pages(web: Served) -> None:
    for path in ("/metrics", "/livez", "/docs", "/openapi.json", "/redoc"):
        assert httpx.get(web.address + path).status_code == 404
