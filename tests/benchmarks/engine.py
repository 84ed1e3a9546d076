"""One stage alone: records a second with a simple rule, delay and processor time at 100 records a second, rebuild.

`python tests/benchmarks/engine.py [records]` prints one JSON object. Everything on this machine: broker, database, worker.
"""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))

import psutil
from engine_example import Counting
from engine_rig import AREAS, Rig
from kafka.admin import KafkaAdminClient
from pydantic import SecretStr
from wire import Wire

from samenloop_deploy import topology_apply
from samenloop_deploy.cli.progress import telling
from samenloop_deploy.local import LocalStack
from samenloop_processors.engine.rebuild import rebuild
from samenloop_processors.settings import HubSettings
from samenloop_schemas.topics import Topics

PADDING = "x" * 240


def fill(rig: Rig, records: int, subjects: int) -> None:
    producer = rig.wire.producer()
    topics = (rig.topics.involvements, rig.topics.decisions)
    for number in range(records):
        area = AREAS[number % len(AREAS)]
        value = {"id": str(number), "subject": f"s{number * 7919 % subjects}", "padding": PADDING}
        producer.send(topics[number % 2], key=area.encode(), value=json.dumps(value).encode())
    producer.flush()


def throughput(rig: Rig, records: int) -> dict[str, float]:
    """From the first applied record to the last, and until the outbox is empty."""
    rig.start()
    rig.wait_applied(1, timeout=60)
    process = psutil.Process(rig.workers[-1].process.pid)
    began, first, cpu = time.monotonic(), rig.applied(), sum(process.cpu_times()[:2])
    with telling() as tell:

        def applied() -> bool:
            count = rig.applied()
            tell("records applied", min(count, records), records)
            return count >= records

        rig.wait(applied, "all applied", 300)
    seconds = time.monotonic() - began
    used = sum(process.cpu_times()[:2]) - cpu
    rig.wait(lambda: rig.query("SELECT count(*) FROM outbox") == [(0,)], "sent", 60)
    rig.workers.pop().stop()
    return {
        "records_per_s": (records - first) / seconds,
        "cpu_s_per_1000": 1000 * used / (records - first),
        "until_sent_s": time.monotonic() - began,
    }


def delay(rig: Rig, rate: float, seconds: float) -> dict[str, float]:
    """Sent by us to readable on the output, by the output record's own time of append minus that of the input."""
    worker = rig.start()
    rig.wait(lambda: "partitions [0, 1, 2, 3]" in worker.log.read_text(), "assignment")
    process, database = psutil.Process(worker.process.pid), sessions(rig)
    before = sum(process.cpu_times()[:2]), cpu_of(database)
    known, sent = rig.applied(), len(rig.wire.read(rig.topics.clients))
    count = int(rate * seconds)
    began, times = time.time(), []
    for number in range(count):
        value = {"id": f"d{number}", "subject": f"delay{number}", "padding": PADDING}
        times.append(time.time())
        rig.wire.producer().send(rig.topics.involvements, key=b"a2", value=json.dumps(value).encode())
        time.sleep(max(0.0, began + (number + 1) / rate - time.time()))
    rig.wait_applied(known + count)
    used = sum(process.cpu_times()[:2]) - before[0], cpu_of(sessions(rig)) - before[1]
    rig.wait(lambda: rig.query("SELECT count(*) FROM outbox") == [(0,)], "sent", 60)
    out = {
        json.loads(r.value or b"")["subject"]: r.timestamp_ms / 1000 for r in rig.wire.read(rig.topics.clients)[sent:]
    }
    waits = sorted(out[f"delay{n}"] - times[n] for n in range(count) if f"delay{n}" in out)
    worker.stop()
    return {
        "p50_ms": 1000 * waits[len(waits) // 2],
        "p95_ms": 1000 * waits[len(waits) * 95 // 100],
        "worker_cores": used[0] / seconds,
        "database_cores": used[1] / seconds,
    }


def sessions(rig: Rig) -> list[int]:
    rows = rig.query("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'samenloop stage%'")
    return [row[0] for row in rows]


def cpu_of(pids: list[int]) -> float:
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def main(records: int) -> dict[str, Any]:
    with LocalStack.start() as stack, tempfile.TemporaryDirectory() as directory:
        wire = Wire(stack)
        figures: dict[str, Any] = {"records": records}
        for name, subjects in (("state_per_record", 40_000), ("few_states", 50)):
            with KafkaAdminClient(**stack.kafka_access().client_args()) as admin:
                plan = stack.topology.plan(f"b{secrets.token_hex(3)}.", partitions=4, single_node=True)
                topology_apply.apply(plan, admin)
            databases = stack.new_databases(secrets.token_hex(3))
            rig = Rig(stack, databases, Topics(plan.prefix), wire, Path(directory))
            fill(rig, records, subjects)
            figures[name] = throughput(rig, records)
            settings = HubSettings(database_url=SecretStr(rig.url), topic_prefix=plan.prefix)
            with telling() as tell:
                report = rebuild(
                    Counting(rig.topics),
                    settings,
                    stack.kafka_access("hub-clients"),
                    progress=lambda p: tell(f"rebuild: {p.phase}", p.done, p.total),
                )
            figures[name]["rebuild_records_per_s"] = report.records / report.seconds
            figures[name]["rebuild_locked_s"] = report.locked_seconds
            rig.close()
        figures["at_100_per_s"] = delay(rig, 100, 20)
        rig.close()
        wire.close()
        return figures


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000), indent=1))
