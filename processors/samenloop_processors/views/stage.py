"""The views stage: decode what the hub says, fold it, put it in tables. It publishes nothing and opens nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from samenloop_processors.agreement import AgreementInvalid, Published
from samenloop_processors.engine.api import BadRecord, Incoming, QuarantineReason, Stage, Tx
from samenloop_processors.settings import HubSettings
from samenloop_processors.views import store
from samenloop_processors.views.domain import Digest, Event, impossible
from samenloop_schemas import codec
from samenloop_schemas.codes import DecisionKind
from samenloop_schemas.records import AcceptedStatement, ClientStatement, ClockDay, Decision, OverlapStatement
from samenloop_schemas.topics import Topics, area_key


class ViewsStage(Stage):
    """Involvements, clients, overlaps, decisions and the clock, as tables for people to look at."""

    name = "views"
    ddl = store.DDL

    def __init__(self, topics: Topics) -> None:
        self._types: dict[str, type[Event]] = {
            topics.involvements: AcceptedStatement,
            topics.clients: ClientStatement,
            topics.overlaps: OverlapStatement,
            topics.decisions: Decision,
            topics.clock: ClockDay,
        }
        self.inputs = tuple(self._types)

    def decode(self, record: Incoming) -> Event:
        if record.value is None:
            raise BadRecord(QuarantineReason.EMPTY)
        try:
            event: Event = codec.decode(record.value, self._types[record.topic])
        except codec.Undecodable as error:
            raise BadRecord(_REASONS.get(error.reason, QuarantineReason.UNDECODABLE)) from None
        if record.key != area_key(event.area):
            raise BadRecord(QuarantineReason.WRONG_KEY)
        if isinstance(event, Decision):
            _check(event)
        return event

    def apply(self, tx: Tx, batch: Sequence[tuple[Incoming, Event]]) -> None:
        store.put(tx, Digest().take_all(event for _, event in batch))

    def export(self, connection: psycopg.Connection[Any], area: str | None) -> Iterator[dict[str, Any]]:
        return store.export(connection, area)


def build(settings: HubSettings) -> ViewsStage:
    return ViewsStage(settings.topics)


def _check(decision: Decision) -> None:
    if impossible(decision):
        raise BadRecord(QuarantineReason.IMPOSSIBLE_DECISION)
    if decision.kind is DecisionKind.AGREEMENT_PUBLISHED:
        try:
            Published.of(decision)
        except AgreementInvalid:
            raise BadRecord(QuarantineReason.IMPOSSIBLE_DECISION) from None


_REASONS = {
    "unknown_schema_id": QuarantineReason.UNKNOWN_SCHEMA,
    "unexpected_type": QuarantineReason.WRONG_TYPE,
}
