"""One Kafka broker in KRaft mode: SCRAM users made at format time, every right through the authoriser, loopback only."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from pydantic import SecretStr

from samenloop_deploy.local.java import LocalStackError
from samenloop_deploy.local.supervisor import Child, Room, Supervisor, tail
from samenloop_deploy.topology import ADMIN
from samenloop_schemas.kafka_access import KafkaAccess

NAME = "kafka"
_START_TIMEOUT = 60.0
_JVM = (
    "-Xms128m",
    "-Xmx512m",
    # Compiling less thoroughly halves the start, and a local broker is never the slow part.
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker in its directory: formatted once, started any number of times on the same ports."""

    directory: Path
    java: Path
    classpath: str
    port: int
    controller_port: int
    cluster_id: str
    passwords: Mapping[str, str]

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.directory / "kafka.log"

    def access(self, principal: str) -> KafkaAccess:
        return KafkaAccess(
            bootstrap=self.bootstrap,
            username=principal,
            password=SecretStr(self.passwords[principal]),
            security_protocol="SASL_PLAINTEXT",
        )

    def format(self, users: Iterable[str]) -> None:
        """Write the configuration, and on first use the storage with these users."""
        self._properties_file.write_text(self._properties(), encoding="utf-8")
        self._properties_file.chmod(0o600)
        if (self.directory / "kafka" / "meta.properties").exists():
            return
        scram = [
            argument
            for user in users
            for argument in ("--add-scram", f"SCRAM-SHA-512=[name={user},password={self.passwords[user]}]")
        ]
        done = subprocess.run(
            [
                *self._java("kafka.tools.StorageTool"),
                *("format", "--standalone", "-c", str(self._properties_file)),
                # In one word with its option: an id may begin with a dash.
                f"--cluster-id={self.cluster_id}",
                *scram,
            ],
            env={"CLASSPATH": self.classpath},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LocalStackError(
                f"Kafka's storage could not be formatted: {done.stderr.strip() or done.stdout.strip()}"
            )

    def start(self, supervisor: Supervisor) -> None:
        """Start it and wait until it answers its administrator."""
        supervisor.start(
            Child(
                name=NAME,
                command=[*self._java("kafka.Kafka"), str(self._properties_file)],
                room=Room.KAFKA,
                log=self.log,
                env={"CLASSPATH": self.classpath},
                grace=20.0,
            )
        )
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._answers():
            supervisor.check(NAME)
            if time.monotonic() > deadline:
                raise LocalStackError(f"Kafka did not answer within {_START_TIMEOUT:.0f} s: {tail(self.log)}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                pass
            with KafkaAdminClient(**self.access(ADMIN).client_args(), bootstrap_timeout_ms=5000) as admin:
                return bool(admin.describe_cluster()["brokers"])
        except (OSError, KafkaError):
            return False

    def _java(self, main_class: str) -> list[str]:
        return [str(self.java), *_JVM, main_class]

    @property
    def _properties_file(self) -> Path:
        return self.directory / "server.properties"

    def _properties(self) -> str:
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self.controller_port}",
            "listeners": f"SASL_PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "SASL_PLAINTEXT",
            "listener.security.protocol.map": "SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config": (
                f'{scram} required username="{ADMIN}" password="{self.passwords[ADMIN]}";'
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # ANONYMOUS is the controller's own listener, which is bound to loopback.
            "super.users": f"User:{ADMIN};User:ANONYMOUS",
            "log.dirs": str(self.directory / "kafka"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            # After a crash the broker may come back once its former self has timed out: by default after 9 s.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "num.network.threads": "2",
            "num.io.threads": "4",
            "log.cleaner.threads": "1",
            # Tests delete their topics; the files need not linger for the default minute.
            "log.segment.delete.delay.ms": "1000",
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())
