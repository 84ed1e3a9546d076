"""What the connector tests share: keys, a runner on a temporary store, and statements opened again as intake would."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from samenloop_connectors.sdk.connector import Connector
from samenloop_connectors.sdk.runner import Runner
from samenloop_connectors.sdk.state import DDL, State
from samenloop_producers.keys import EdgeKeys
from samenloop_producers.metrics import EdgeMetrics
from samenloop_producers.outbox import EdgeStore
from samenloop_producers.statement import StatementMaker
from samenloop_schemas import codec, sealing
from samenloop_schemas.records import EPOCH, InvolvementStatement, PersonIdentity

SECRET = bytes(range(32))
HUB_PRIVATE, HUB_PUBLIC = sealing.new_hub_key()
KEYS = EdgeKeys(SECRET)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Edge:
    """A runner on a store of its own, without a broker."""

    def __init__(self, directory: Path, connector: Connector, now: Callable[[], datetime] = lambda: NOON) -> None:
        self.store = EdgeStore(directory, DDL)
        self.store.connection.execute("PRAGMA synchronous=OFF")  # these tests never cut the power
        self.state = State(self.store, KEYS)
        self.connector = connector
        self.metrics = EdgeMetrics("partner")
        maker = StatementMaker(KEYS, sealing.public_key(HUB_PUBLIC), connector.source_system)
        self.runner = Runner(
            connector, self.state, KEYS, maker, self.metrics, inbox="in.partner", source="urn:test", now=now
        )

    def statements(self) -> list[InvolvementStatement]:
        """Everything that waits in the outbox, oldest first."""
        return [codec.decode(each.event.value, InvolvementStatement) for each in self.store.waiting(100_000)]

    def final(self) -> dict[str, Any]:
        """Per case what the hub would hold: the winner by (revision, stated_at, statement_id), without its seal."""
        winners: dict[str, InvolvementStatement] = {}
        for statement in self.statements():
            held = winners.get(statement.case_ref)
            if held is None or rank(statement) > rank(held):
                winners[statement.case_ref] = statement
        return {ref: plain(statement) for ref, statement in winners.items()}

    def only(self) -> InvolvementStatement:
        """The newest statement, when there is one case."""
        assert len(self.final()) == 1
        return max(self.statements(), key=rank)

    def close(self) -> None:
        self.store.close()


def rank(statement: InvolvementStatement) -> tuple[int, datetime, str]:
    return statement.revision, statement.stated_at, str(statement.statement_id)


def opened(statement: InvolvementStatement) -> PersonIdentity | None:
    if statement.identity is None:
        return None
    return codec.decode(sealing.open_seal(sealing.private_key(HUB_PRIVATE), statement.identity), PersonIdentity)


def plain(statement: InvolvementStatement) -> dict[str, Any]:
    """A statement as a dict with its identity in clear and without the moment of stating."""
    body: dict[str, Any] = codec.to_plain(replace(statement, identity=None, stated_at=EPOCH))
    return body | {"identity": codec.to_plain(opened(statement))}


def raw_bytes(directory: Path) -> bytes:
    """Every byte of every file below a folder."""
    return b"\n".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def spellings(text: str) -> Iterator[bytes]:
    """A text as it might lie in a file."""
    yield text.encode()
    yield text.encode("utf-16-le")
    yield json.dumps(text)[1:-1].encode()
