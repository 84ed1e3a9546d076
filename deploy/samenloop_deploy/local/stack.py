"""Kafka and PostgreSQL for the demo and the tests: own ones from the package indexes, or those that the environment names.

``SAMENLOOP_KAFKA`` (host:port) replaces the own broker. Its administrator's access is in ``SAMENLOOP_KAFKA_USERNAME``,
``_PASSWORD``, ``_SECURITY_PROTOCOL`` and ``_CA_FILE``; it must be allowed to alter the cluster (users, ACLs, quotas) and to
create and delete topics. The users of the topology are made there, or given a new password.

``DATABASE_URL`` replaces the own PostgreSQL (17 or newer). Its user must have CREATEDB and CREATEROLE. The run makes
databases and roles with a suffix of its own, and drops them when it stops.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
import uuid
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import SecretStr, ValidationError

from samenloop_deploy import topology as topology_module
from samenloop_deploy.local import kafka, postgres
from samenloop_deploy.local.databases import Databases, Login, create_roles, drop_roles, new_logins
from samenloop_deploy.local.directory import claim, clear_leftovers, free_port, fresh_directory, release, stop_servers
from samenloop_deploy.local.java import LocalStackError, Progress, ProgressCallback, java, kafka_classpath
from samenloop_deploy.local.supervisor import Supervisor
from samenloop_deploy.topology import ADMIN, Topology
from samenloop_deploy.topology_apply import apply
from samenloop_schemas.kafka_access import KafkaAccess

_KEPT = "stack.json"
_Server = TypeVar("_Server")


class LocalStack:
    """A running broker and database. `start` returns when both answer; `stop` leaves no process and no fresh directory."""

    supervisor: Supervisor
    """Start further children here: they are stopped before Kafka and PostgreSQL are."""
    directory: Path
    databases: Databases
    timings: dict[str, float]
    """Seconds that each part of the start took."""

    def __init__(self, directory: Path | None, progress: ProgressCallback, topology: Topology) -> None:
        self.topology = topology
        self.timings = {}
        self._progress = progress
        self._fresh = directory is None
        self._stopped = False
        clear_leftovers()
        if directory is None:
            self.directory = fresh_directory()
        else:
            claim(directory)
            self.directory = directory.resolve()
            stop_servers(self.directory)
        self.supervisor = Supervisor(self.directory if self._fresh else None)
        self._kept = self._remembered()
        self._passwords: dict[str, str] = self._kept["passwords"]
        self._broker: kafka.Broker | None = None
        self._server: postgres.PostgresServer | None = None
        self._given_kafka = os.environ.get("SAMENLOOP_KAFKA")
        self._given_database = os.environ.get("DATABASE_URL")

    @classmethod
    def start(
        cls,
        directory: Path | None = None,
        progress: ProgressCallback = lambda progress: None,
        topology: Topology | None = None,
    ) -> LocalStack:
        """Start both, or take what the environment names.

        A given ``directory`` is kept, and a later start on it finds its data; without one, the data goes with the run.
        Raises `LocalStackError` with one line that says what to do.
        """
        stack = cls(directory, progress, topology or topology_module.load())
        try:
            with ThreadPoolExecutor(2, thread_name_prefix="local-stack") as pool:
                waiting = [pool.submit(stack._start_kafka), pool.submit(stack._start_database)]
            for part in waiting:
                part.result()
        except BaseException:
            stack.stop()
            raise
        return stack

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def kafka_access(self, principal: str = ADMIN) -> KafkaAccess:
        """How a principal of the topology, or ``admin``, reaches the broker."""
        if self._broker:
            return self._broker.access(principal)
        given = _given_access(str(self._given_kafka))
        if principal == ADMIN:
            return given
        return given.model_copy(update={"username": principal, "password": SecretStr(self._passwords[principal])})

    def database_url(self, role: str) -> str:
        return self.databases.url(role)

    def keys_url(self, role: str) -> str:
        return self.databases.keys_url(role)

    def new_databases(self, suffix: str) -> Databases:
        """Another, empty pair of databases with the same roles; the caller drops it."""
        main = self.databases
        more = Databases(main.server, main.logins, f"{main.samenloop}_{suffix}", f"{main.keys}_{suffix}")
        more.create()
        return more

    def extend(self, topology: Topology) -> None:
        """Take a topology with more partners or principals: its new users are made on the broker."""
        new = [user for user in topology.users if user not in self.topology.users]
        for user in new:
            self._passwords.setdefault(user, secrets.token_hex(16))
        self._make_users(new)
        self.topology = topology

    def kill_kafka(self) -> None:
        """As a crash: no warning, no clean shutdown."""
        _own(self._broker)
        self.supervisor.kill(kafka.NAME)

    def restart_kafka(self) -> None:
        """Stop it if it runs, start it on the same address, wait until it answers."""
        broker = _own(self._broker)
        self.supervisor.stop(kafka.NAME)
        broker.start(self.supervisor)

    def kill_postgres(self) -> None:
        """As a crash: every session ends at once, and the next start recovers from the log."""
        _own(self._server)
        self.supervisor.kill(postgres.NAME)

    def restart_postgres(self) -> None:
        server = _own(self._server)
        self.supervisor.stop(postgres.NAME)
        server.start(self.supervisor)

    def stop(self) -> None:
        """Stop all children, room by room, and remove what belongs to this run only. A second call does nothing."""
        if self._stopped:
            return
        self._stopped = True
        try:
            if self._given_database and hasattr(self, "databases"):
                self.supervisor.stop_working()
                self.databases.drop()
                drop_roles(self.databases.server, self.databases.logins)
        finally:
            self.supervisor.stop_all()
            if self._fresh:
                shutil.rmtree(self.directory, ignore_errors=True)
            else:
                release(self.directory)

    def _start_kafka(self) -> None:
        began = time.monotonic()
        if self._given_kafka:
            self._progress(Progress(f"Kafka at {self._given_kafka}"))
            self._make_users([user for user in self.topology.users if user != ADMIN])
            return
        classpath = kafka_classpath(self._progress)
        self.timings["kafka_libraries"] = time.monotonic() - began
        self._progress(Progress("Kafka"))
        broker = kafka.Broker(
            directory=self.directory,
            java=java(),
            classpath=classpath,
            port=self._kept["kafka_port"],
            controller_port=self._kept["controller_port"],
            cluster_id=self._kept["cluster_id"],
            passwords=self._passwords,
        )
        broker.format(self.topology.users)
        self.timings["kafka_format"] = time.monotonic() - began - self.timings["kafka_libraries"]
        formatted = time.monotonic()
        broker.start(self.supervisor)
        self._broker = broker
        self.timings["kafka_start"] = time.monotonic() - formatted

    def _make_users(self, users: list[str]) -> None:
        only_users = topology_module.Plan(prefix="", topics=(), users=tuple(users), acls=())
        apply(only_users, self.kafka_access(), passwords={user: self._passwords[user] for user in users})

    def _start_database(self) -> None:
        began = time.monotonic()
        self._progress(Progress("PostgreSQL"))
        if self._given_database:
            suffix = f"_{secrets.token_hex(4)}"
            server, logins = self._given_database, new_logins(suffix)
        else:
            suffix = ""
            self._server = postgres.PostgresServer(self.directory, self._passwords["postgres"])
            self._server.initialise()
            self._server.start(self.supervisor)
            server = self._server.url()
            logins = {role: Login(role, self._passwords[f"db-{role}"]) for role in new_logins()}
        create_roles(server, logins)
        databases = Databases(server, logins, f"samenloop{suffix}", f"keys{suffix}")
        databases.create()
        self.databases = databases
        self.timings["postgres"] = time.monotonic() - began

    def _remembered(self) -> dict[str, Any]:
        """Ports, cluster id and passwords: made once, kept in the directory for a later start on it."""
        file = self.directory / _KEPT
        kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        kept.setdefault("kafka_port", free_port())
        kept.setdefault("controller_port", free_port())
        kept.setdefault("cluster_id", urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
        passwords = kept.setdefault("passwords", {})
        for name in (*self.topology.users, postgres.SUPERUSER, *(f"db-{role}" for role in new_logins())):
            passwords.setdefault(name, secrets.token_hex(16))
        file.touch(mode=0o600)
        file.write_text(json.dumps(kept, indent=1), encoding="utf-8")
        return kept


def _own(part: _Server | None) -> _Server:
    if part is None:
        raise RuntimeError("this server was given by the environment: it is not ours to stop")
    return part


def _given_access(bootstrap: str) -> KafkaAccess:
    """The administrator's access to a broker that is not ours: the rest is in the environment."""
    try:
        return KafkaAccess.model_validate(_kafka_environment() | {"bootstrap": bootstrap})
    except ValidationError as problem:
        missing = ", ".join(f"SAMENLOOP_KAFKA_{error['loc'][0]}".upper() for error in problem.errors())
        raise LocalStackError(
            f"SAMENLOOP_KAFKA names a broker; its administrator's access is wrong: {missing}"
        ) from None


def _kafka_environment() -> dict[str, str]:
    prefix = "SAMENLOOP_KAFKA_"
    return {k.removeprefix(prefix).lower(): v for k, v in os.environ.items() if k.startswith(prefix)}
