"""Whether the stages have nothing left to do: every position at its end, every outbox empty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import psycopg
from pydantic import SecretStr

from samenloop_deploy.demo.hub import STAGES, DemoHub
from samenloop_processors.engine.api import Incoming, Stage, Tx
from samenloop_processors.engine.status import Status, status
from samenloop_processors.settings import HubSettings


class _Seen(Stage):
    """A stage as an onlooker needs it: its name and its inputs, none of its secrets."""

    ddl = ""

    def __init__(self, name: str, inputs: tuple[str, ...]) -> None:
        self.name = name
        self.inputs = inputs

    def decode(self, record: Incoming) -> Any:
        raise NotImplementedError

    def apply(self, tx: Tx, batch: Sequence[tuple[Incoming, Any]]) -> None:
        raise NotImplementedError

    def export(self, connection: psycopg.Connection[Any], area: str | None) -> Iterator[dict[str, Any]]:
        raise NotImplementedError


def stage_status(hub: DemoHub, name: str) -> Status:
    """As the operator sees it. Raises LookupError when it never ran."""
    topology = hub.stack.topology
    reads = topology.principals[f"hub-{name}"].reads
    inputs = tuple(
        t for t in topology.topic_names(hub.topics.prefix) for r in reads if fnmatchcase(t, hub.topics.prefix + r)
    )
    settings = HubSettings(database_url=SecretStr(hub.databases.url("operator")), topic_prefix=hub.topics.prefix)
    return status(_Seen(name, inputs), settings, hub.stack.kafka_access())


def stages_at_rest(hub: DemoHub) -> bool:
    """Looks at the stages in the order of the flow."""
    try:
        return all(not (s := stage_status(hub, name)).waiting and not s.outbox_rows for name in STAGES)
    except (LookupError, psycopg.errors.UndefinedTable):
        return False
