"""The demo's processes: what each is started with, and no more than it may know.

The composition root of the demo: secrets are made here, and each process gets only those that DESIGN gives it.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from samenloop_deploy import topology_apply
from samenloop_deploy.demo.connectors import connector_configs
from samenloop_deploy.demo.feeds import FEEDS
from samenloop_deploy.local import Child, Databases, LocalStack, Room
from samenloop_deploy.local.directory import free_port
from samenloop_deploy.publishing import publish_agreements
from samenloop_deploy.shipped import shipped
from samenloop_processors.agreement import Agreement, load_agreement
from samenloop_schemas import sealing
from samenloop_schemas.topics import Topics

STAGES = ("intake", "clients", "overlaps", "views")
PARTITIONS = 4
IN_FORCE_FOR = timedelta(days=800)
"""The demo's areas have worked together for a while: their agreements hold for the involvements of these days."""
OPENERS = frozenset({"intake", "clients", "overlaps"})
"""The stages that open something; views keeps ciphertext and needs no key."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Everything secret, made for one run."""

    kek: bytes = field(default_factory=sealing.new_key)
    matching_key: bytes = field(default_factory=sealing.new_key)
    hub_key: tuple[bytes, bytes] = field(default_factory=sealing.new_hub_key)
    edge: dict[str, bytes] = field(default_factory=dict)

    def edge_secret(self, partner: str) -> bytes:
        return self.edge.setdefault(partner, sealing.new_key())


class DemoHub:
    """The hub and the connectors on one local stack."""

    def __init__(
        self,
        stack: LocalStack,
        web_port: int,
        prefix: str = "",
        *,
        databases: Databases | None = None,
        secrets: Secrets | None = None,
        logs: Path | None = None,
        session_timeout_s: float = 10,
    ) -> None:
        self.stack = stack
        self.databases = databases or stack.databases
        self.secrets = secrets or Secrets()
        self.session_timeout_s = session_timeout_s
        self.topics = Topics(prefix)
        self.agreements: list[Agreement] = [
            load_agreement(file) for file in sorted(shipped("agreements").glob("*.yaml"))
        ]
        self.partners = tuple(stack.topology.partners)
        self.web_port = web_port if web_port and _is_free(web_port) else free_port()
        self.feeds = tuple(feed.name for feed in FEEDS)
        self.metrics_ports = {name: free_port() for name in (*STAGES, "web", "notifier", *self.feeds)}
        self.logs = logs or stack.directory / "logs"
        self.logs.mkdir(exist_ok=True)
        self.edge = stack.directory / "edge"
        self.edge.mkdir(exist_ok=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def prepare(self) -> None:
        """Topics and rights, tables of keys, published agreements."""
        plan = self.stack.topology.plan(self.topics.prefix, partitions=PARTITIONS, single_node=True)
        topology_apply.apply(plan, self.stack.kafka_access())
        access = self.stack.kafka_access("hub-operator")
        publish_agreements(access, self.topics, self.agreements, "demo", datetime.now(UTC) - IN_FORCE_FOR)

    def start(self) -> None:
        """The stages, the clock, the notifier and the pages."""
        for name in STAGES:
            self.start_stage(name)
        areas = [part for agreement in self.agreements for part in ("--area", agreement.area)]
        self._start("clock", ("clock", *areas), Room.STAGE, self._kafka("hub-clock"), restart=True)
        self.start_notifier()
        self.start_web()

    def start_stage(self, name: str, slot: int = 0, *, restart: bool = True) -> str:
        """A worker of a stage; those beside the first have a slot of their own. Returns the child's name."""
        environment = self.stage_environment(name) | {"SAMENLOOP_INSTANCE": f"{name}-{slot}"}
        if slot:
            environment |= {"SAMENLOOP_METRICS_PORT": "0"}
        child = f"{name}-{slot}" if slot else name
        self._start(child, ("stage", "run", name), Room.STAGE, environment, restart=restart)
        return child

    def start_notifier(self) -> None:
        self._start("notifier", ("notify",), Room.STAGE, self._notifier(), restart=True)

    def start_web(self) -> str:
        self._start("web", ("web",), Room.WEB, self._web(), restart=True)
        return "web"

    def start_partner_systems(self, *options: str) -> None:
        """The synthetic partner systems. A restart would begin their world anew, so there is none."""
        child = Child(
            name="partner-systems",
            command=[
                *(sys.executable, "-m", "samenloop_deploy.demo.partner_systems"),
                *("--dropfolder", str(self.drop_folder), "--ready", str(self.ready_file), *options),
            ],
            room=Room.PARTNER_SYSTEM,
            log=self.logs / "partner-systems.log",
        )
        self.drop_folder.mkdir(exist_ok=True)
        self.stack.supervisor.start(child)

    def start_connectors(self) -> None:
        """A process per feed; the partner systems are ready."""
        systems = json.loads(self.ready_file.read_text("utf-8"))["systems"]
        for name, config in connector_configs(self.agreements, systems, self.edge).items():
            path = self.edge / f"{name}.json"
            path.write_text(json.dumps(config, indent=2, default=str), "utf-8")
            self.start_connector(name, path)

    def start_connector(self, name: str, config: Path) -> str:
        """A connector process of the partner that its configuration names. Returns the child's name."""
        partner = json.loads(config.read_text("utf-8"))["partner"]
        command = ("connector", "run", partner, "--config", str(config))
        self._start(name, command, Room.CONNECTOR, self.connector_environment(partner, name), restart=True)
        return name

    @property
    def drop_folder(self) -> Path:
        return self.stack.directory / "drop"

    @property
    def ready_file(self) -> Path:
        return self.stack.directory / "partner-systems.json"

    def stage_environment(self, name: str) -> dict[str, str]:
        environment = self._kafka(f"hub-{name}") | self._database(name) | self._metrics(name)
        environment |= {"SAMENLOOP_SESSION_TIMEOUT_S": f"{self.session_timeout_s:g}"}
        if name in OPENERS:
            environment |= self._keys(name)
        if name == "intake":
            environment |= {
                "SAMENLOOP_PARTNERS": ",".join(self.partners),
                "SAMENLOOP_MATCHING_KEY": sealing.key_to_text(self.secrets.matching_key),
                "SAMENLOOP_HUB_PRIVATE_KEY": sealing.key_to_text(self.secrets.hub_key[0]),
            }
        return environment

    def connector_environment(self, partner: str, name: str) -> dict[str, str]:
        """What all processes of a partner share, and the metrics port of this one."""
        return (
            self._kafka(partner)
            | self._metrics(name)
            | {
                "SAMENLOOP_HUB_PUBLIC_KEY": sealing.key_to_text(self.secrets.hub_key[1]),
                "SAMENLOOP_EDGE_SECRET": sealing.key_to_text(self.secrets.edge_secret(partner)),
            }
        )

    def _notifier(self) -> dict[str, str]:
        return (
            self._kafka("hub-notifier")
            | self._database("notifier")
            | self._keys("notifier")
            | self._metrics("notifier")
            | {"SAMENLOOP_PUBLIC_URL": self.url}
        )

    def _web(self) -> dict[str, str]:
        return (
            self._kafka("hub-web")
            | self._database("web")
            | self._keys("web")
            | self._metrics("web")
            | {"SAMENLOOP_WEB_PORT": str(self.web_port), "SAMENLOOP_DEMO": "1"}
        )

    def _kafka(self, principal: str) -> dict[str, str]:
        return self.stack.kafka_access(principal).environment() | {"SAMENLOOP_TOPIC_PREFIX": self.topics.prefix}

    def _database(self, role: str) -> dict[str, str]:
        return {"DATABASE_URL": self.databases.url(role)}

    def _keys(self, role: str) -> dict[str, str]:
        return {
            "SAMENLOOP_KEYS_URL": self.databases.keys_url(role),
            "SAMENLOOP_KEK": sealing.key_to_text(self.secrets.kek),
        }

    def _metrics(self, name: str) -> dict[str, str]:
        return {"SAMENLOOP_METRICS_PORT": str(self.metrics_ports[name])}

    def _start(
        self, name: str, command: tuple[str, ...], room: Room, environment: Mapping[str, str], *, restart: bool
    ) -> None:
        self.stack.supervisor.start(
            Child(
                name=name,
                command=[sys.executable, "-m", "samenloop_deploy", *command],
                room=room,
                log=self.logs / f"{name}.log",
                env=environment,
                restart=restart,
            )
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
