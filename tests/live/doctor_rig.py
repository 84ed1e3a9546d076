"""A hub that runs, without people in it, and what the doctor says of it to whoever asks."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from kafka import KafkaAdminClient

from samenloop_deploy import topology_apply
from samenloop_deploy.demo.access import enter, operator_environment
from samenloop_deploy.demo.hub import DemoHub
from samenloop_deploy.doctor import Edge, Finding, Scene, examine
from samenloop_deploy.local import LocalStack
from samenloop_deploy.quarantine.acting import discard
from samenloop_deploy.quarantine.reading import look
from samenloop_deploy.topology import Plan

STARTS_WITHIN_S = 60.0
RECOVERS_WITHIN_S = 20.0


class Patient:
    """One hub on a prefix and databases of its own."""

    def __init__(self, stack: LocalStack, admin: KafkaAdminClient, logs: Path) -> None:
        self.stack, self.admin = stack, admin
        self.databases = stack.new_databases(secrets.token_hex(4))
        self.hub = DemoHub(
            stack, 1, f"t{secrets.token_hex(4)}.", databases=self.databases, logs=logs, session_timeout_s=6
        )
        self.hub.prepare()
        self.hub.start()
        deadline = time.monotonic() + STARTS_WITHIN_S
        while (bad := self.complaints()) and set(bad) != {"silent feeds"}:
            assert time.monotonic() < deadline, bad
            time.sleep(0.5)
        # Nobody states anything here: every partner was heard a moment ago.
        self.as_owner(
            "views",
            "INSERT INTO feed SELECT 'a2', p, now() FROM unnest(%s::text[]) p",
            list(stack.topology.partners),
        )

    @property
    def plan(self) -> Plan:
        return self.stack.topology.plan(self.hub.topics.prefix, partitions=4, single_node=True)

    def ask(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        agreements: Path | None = None,
        edges: Sequence[Edge] = (),
        **changed: str,
    ) -> dict[str, Finding]:
        """What the doctor finds for the operator, or with another environment; `changed` on top of it."""
        before = dict(os.environ)
        try:
            enter({**(environment or operator_environment(self.hub)), **changed})
            return {finding.check: finding for finding in examine(Scene(edges, agreements))}
        finally:
            os.environ.clear()
            os.environ.update(before)

    def complaints(self, environment: Mapping[str, str] | None = None, **options: Any) -> dict[str, Finding]:
        found = self.ask(environment, **options)
        assert all(finding.todo for finding in found.values() if finding.verdict in ("failed", "warning"))
        return {name: finding for name, finding in found.items() if finding.verdict in ("failed", "warning")}

    def as_owner(self, stage: str, query: LiteralString, *arguments: Any) -> None:
        """In a stage's live tables, with the server's own rights."""
        with psycopg.connect(self.databases.admin_url(), autocommit=True) as connection:
            if stage:
                connection.execute("SELECT set_config('search_path', %s, false)", (f"{stage}_v1",))
            connection.execute(query, arguments)

    def on_keys(self, query: LiteralString) -> None:
        with psycopg.connect(self.databases.admin_keys_url(), autocommit=True) as connection:
            connection.execute(query)

    @contextmanager
    def without(self, process: str) -> Iterator[None]:
        """While a process is stopped. Afterwards all is well again."""
        self.stack.supervisor.stop(process)
        try:
            yield
        finally:
            if process == "notifier":
                self.hub.start_notifier()
            else:
                self.hub.start_stage(process)
            self.recovers()

    def recovers(self) -> None:
        deadline = time.monotonic() + RECOVERS_WITHIN_S
        while bad := self.complaints():
            assert time.monotonic() < deadline, bad
            time.sleep(0.3)

    def mend(self) -> None:
        """Whatever may have been broken of what is not a process."""
        self.restore_topics()
        self.databases.grant_keys()
        self.as_owner("intake", "TRUNCATE paused_input")
        access = self.stack.kafka_access("hub-operator")
        discard(access, self.hub.topics, look(access, self.hub.topics), "test", datetime.now(UTC))

    def restore_topics(self) -> None:
        topology_apply.apply(self.plan, self.admin, prune=True)

    def close(self) -> None:
        self.stack.supervisor.stop(*(n for n in (*self.hub.metrics_ports, "clock") if self.stack.supervisor.pid(n)))
        topology_apply.remove(self.plan, self.admin)
        self.databases.drop()
