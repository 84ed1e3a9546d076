"""The overlaps stage as a process of its own on a real broker: killed, restarted, rebuilt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from overlaps_rig import AREA, KEK, Area, Item, random_items
from pydantic import SecretStr
from wire import Wire

from samenloop_deploy.local import Databases, LocalStack
from samenloop_processors.agreement import Published
from samenloop_processors.engine.rebuild import rebuild
from samenloop_processors.engine.status import export
from samenloop_processors.overlaps.domain.involvements import stated
from samenloop_processors.overlaps.domain.state import AreaState
from samenloop_processors.overlaps.export import rows
from samenloop_processors.settings import HubSettings
from samenloop_schemas import codec, envelope
from samenloop_schemas.ids import canonical_json
from samenloop_schemas.records import AcceptedStatement, ClientStatement, ClockDay, Decision, OverlapStatement
from samenloop_schemas.sealing import key_to_text
from samenloop_schemas.topics import Topics

pytestmark = pytest.mark.live
COMMAND = Path(sys.executable).with_name("samenloop")


@pytest.fixture
def area(databases: Databases, topics: Topics) -> Iterator[Area]:
    made = Area(databases, topics)
    yield made
    made.close()


@pytest.fixture
def start(area: Area, stack: LocalStack, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    environment = os.environ | stack.kafka_access("hub-overlaps").environment()
    environment |= {
        "DATABASE_URL": area.databases.url("overlaps"),
        "SAMENLOOP_KEYS_URL": area.databases.keys_url("overlaps"),
        "SAMENLOOP_KEK": key_to_text(KEK),
        "SAMENLOOP_TOPIC_PREFIX": area.topics.prefix,
        "SAMENLOOP_SESSION_TIMEOUT_S": "6",
        "SAMENLOOP_BATCH_RECORDS": "20",
    }

    def run() -> subprocess.Popen[bytes]:
        with (tmp_path / f"worker{len(started)}.log").open("wb") as log:
            process = subprocess.Popen([COMMAND, "stage", "run", "overlaps"], env=environment, stdout=log, stderr=log)
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def put(wire: Wire, items: list[Item]) -> None:
    futures = [wire.producer().send(topic, key=AREA.encode(), value=value) for topic, value in items]
    for future in futures:
        future.get(30)


def expected(area: Area, items: list[Item]) -> list[bytes]:
    """The same question put to the pure domain, all at once."""
    state, topics = AreaState(AREA), area.topics
    for topic, value in items:
        if topic == topics.involvements:
            statement = codec.decode(value, AcceptedStatement)
            key = area.intake.get_many("case", [statement.case_key_id])[statement.case_key_id]  # type: ignore[arg-type]
            state.state_involvement(stated(statement, envelope.open_facts(key.key, statement)))  # type: ignore[union-attr]
        elif topic == topics.clients:
            state.state_client(codec.decode(value, ClientStatement))
        elif topic == topics.clock:
            state.begin_day(codec.decode(value, ClockDay))
        else:
            state.publish(Published.of(codec.decode(value, Decision)))
    state.settle()
    return sorted(canonical_json(row) for row in rows(state))


def latest(wire: Wire, topic: str) -> dict[str, OverlapStatement]:
    found: dict[str, OverlapStatement] = {}
    for record in wire.read(topic):
        statement = codec.decode(record.value, OverlapStatement)
        if statement.case_id not in found or found[statement.case_id].subject_version < statement.subject_version:
            found[statement.case_id] = statement
    return found


def test_killed_restarted_and_rebuilt_it_says_the_same(
    area: Area,
    start: Callable[[], subprocess.Popen[bytes]],
    stack: LocalStack,
    wire: Wire,
    eventually: Callable[..., None],
) -> None:
    items = random_items(area, 11, 150)
    wanted = expected(area, items)
    put(wire, items[: len(items) // 2])
    worker = start()
    wire.await_records(area.topics.overlaps, 1)
    put(wire, items[len(items) // 2 :])
    worker.kill()
    worker.wait(10)
    put(wire, items[:40])  # as a relay repeats them
    worker = start()
    settings = HubSettings(database_url=SecretStr(area.databases.url("overlaps")), topic_prefix=area.topics.prefix)
    access = stack.kafka_access("hub-overlaps")

    def exported() -> list[bytes]:
        return sorted(canonical_json(row) for row in export(area.stage, settings, AREA))

    living = {row["case_id"] for row in map(json.loads, wanted) if row["row"] == "case"}
    eventually(lambda: exported() == wanted, "the state of the pure domain", 60)
    eventually(
        lambda: {i for i, s in latest(wire, area.topics.overlaps).items() if s.facts} == living, "every case stated"
    )
    sent = len(wire.read(area.topics.overlaps))
    report = rebuild(area.stage, settings, access)
    assert report.records == len(items) + 40
    assert report.differences.changed == 0
    assert worker.wait(30) == 3
    assert exported() == wanted
    start()
    eventually(
        lambda: len(wire.read(area.topics.overlaps)) == sent + report.differences.sent, "the differences of the rebuild"
    )
    assert {i for i, s in latest(wire, area.topics.overlaps).items() if s.facts} == living
