"""Worker processes of the example stage, what was put in, and the account of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from wire import Wire

from samenloop_deploy.local import Databases, LocalStack
from samenloop_schemas.topics import Topics, partition_for

AREAS = ("a2", "bevelanden", "zwolle", "walcheren", "peel")
SCRIPT = Path(__file__).with_name("engine_worker.py")


class Worker:
    """One process; standard error goes to a file that tests can read."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT)], env=os.environ | environment, stdout=sink, stderr=sink
            )

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self, timeout: float = 15) -> tuple[int, float]:
        """SIGTERM; the exit code and the seconds it took."""
        began = time.monotonic()
        self.process.terminate()
        return self.process.wait(timeout), time.monotonic() - began

    def wait(self, timeout: float = 30) -> int:
        return self.process.wait(timeout)

    @property
    def last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


class Rig:
    """One prefix, one database, one example stage."""

    def __init__(self, stack: LocalStack, databases: Databases, topics: Topics, wire: Wire, directory: Path) -> None:
        self.stack, self.databases, self.topics, self.wire, self.directory = stack, databases, topics, wire, directory
        self.name = "clients"
        self.workers: list[Worker] = []
        self.expected: Counter[tuple[str, str]] = Counter()
        self.sent: list[str] = []
        self.started = 0
        self.barrier = directory / "barrier"

    @property
    def url(self) -> str:
        return self.databases.url(self.name)

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **self.stack.kafka_access(f"hub-{self.name}").environment(),
            "DATABASE_URL": self.url,
            "SAMENLOOP_TOPIC_PREFIX": self.topics.prefix,
            "SAMENLOOP_SESSION_TIMEOUT_S": "6",
            "EXAMPLE_NAME": self.name,
            "EXAMPLE_BARRIER": str(self.barrier),
            **more,
        }

    def start(self, **more: str) -> Worker:
        self.started += 1
        worker = Worker(self.environment(**more), self.directory / f"worker{self.started}.log")
        self.workers.append(worker)
        return worker

    def partition_of_last(self) -> int:
        """Where the record that was sent last lives."""
        return partition_for(AREAS[(len(self.sent) - 1) % len(AREAS)], 4)

    def put(self, count: int, *, subjects: int = 50, pace: float = 0.0, topics: tuple[str, ...] = ()) -> None:
        """Sends numbered records over the areas and two topics; `pace`: records per second, 0 = at once."""
        producer = self.wire.producer()
        names = topics or (self.topics.involvements, self.topics.decisions)
        began = time.monotonic()
        futures = []
        for number in range(count):
            identity = f"{len(self.sent)}"
            area, subject = AREAS[len(self.sent) % len(AREAS)], f"s{len(self.sent) * 7919 % subjects}"
            value = json.dumps({"id": identity, "subject": subject}).encode()
            futures.append(producer.send(names[number % len(names)], key=area.encode(), value=value))
            self.expected[area, subject] += 1
            self.sent.append(identity)
            if pace and (ahead := (number + 1) / pace - (time.monotonic() - began)) > 0:
                producer.flush()
                time.sleep(ahead)
        for future in futures:
            future.get(60)

    def query(self, query: str, schema: str | None = None) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            name = schema or self.schema(connection)
            if name is None:
                return []
            connection.execute(f'SET search_path TO "{name}"')
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def schema(self, connection: psycopg.Connection[Any]) -> str | None:
        if connection.execute("SELECT to_regclass(%s)", (f"{self.name}.live",)).fetchone() == (None,):
            return None
        row = connection.execute(f"SELECT version FROM {self.name}.live".encode()).fetchone()
        return f"{self.name}_v{row[0]}" if row else None

    def applied(self) -> int:
        rows = self.query("SELECT count(*) FROM ledger")
        return int(rows[0][0]) if rows else 0

    def wait_applied(self, count: int | None = None, timeout: float = 40) -> None:
        self.wait(lambda: self.applied() >= (len(self.sent) if count is None else count), "all applied", timeout)

    def wait(self, condition: Callable[[], bool], what: str, timeout: float = 30) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            dead = [w for w in self.workers if w.process.poll() not in (None, 0, -9)]
            assert time.monotonic() < deadline, (
                f"not within {timeout} s: {what}; {self.applied()} applied; {self.logs()}"
            )
            assert not dead, f"a worker died while waiting for: {what}; {self.logs()}"
            time.sleep(0.05)

    def logs(self) -> str:
        return "\n".join(f"--- {w.log.name}\n{w.log.read_text(errors='replace')[-3000:]}" for w in self.workers)

    def account(self) -> int:
        """Every id applied exactly once, state right, outbox empty, outputs complete and right. Returns output repeats."""
        applied = Counter(row[0] for row in self.query("SELECT id FROM ledger"))
        missing = set(self.sent) - set(applied)
        repeated = {i: n for i, n in applied.items() if n != 1}
        assert not missing, f"{len(missing)} lost: {sorted(missing)[:5]}; {self.logs()}"
        assert not repeated, f"{len(repeated)} applied more than once: {list(repeated.items())[:5]}; {self.logs()}"
        state = {(area, subject): n for area, subject, n in self.query("SELECT area, subject, n FROM counted")}
        assert state == dict(self.expected)
        self.wait(lambda: self.query("SELECT count(*) FROM outbox") == [(0,)], "outbox empty")
        return self.check_outputs()

    def check_outputs(self) -> int:
        records = self.wire.read(self.topics.clients if self.name == "clients" else self.topics.involvements)
        versions: Counter[tuple[str, int]] = Counter()
        latest: dict[tuple[str, str], tuple[int, int]] = {}
        for record in records:
            assert record.key is not None
            area, value = record.key.decode(), json.loads(record.value or b"")
            versions[area, value["v"]] += 1
            place = (area, value["subject"])
            latest[place] = max(latest.get(place, (0, 0)), (value["v"], value["n"]))
        assert {place: n for place, (_, n) in latest.items()} == dict(self.expected)
        for area in AREAS:
            numbers = sorted(v for a, v in versions if a == area)
            assert numbers == list(range(1, len(numbers) + 1)), f"versions of {area} have holes"
        return sum(versions.values()) - len(versions)

    def close(self) -> None:
        self.barrier.unlink(missing_ok=True)
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.signal(signal.SIGCONT)
                worker.kill()
