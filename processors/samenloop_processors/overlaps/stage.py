"""Overlaps in the engine: from `involvements`, `clients`, `decisions` and `clock` to `overlaps`.

Facts are opened here, under their case's key, and handed to the pure domain. A batch is taken in whole before anything is
derived from it, so that what a batch only passes through is never stated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

import psycopg
from pydantic import SecretStr

from samenloop_processors.agreement import AgreementInvalid, Published
from samenloop_processors.engine.api import BadRecord, Body, Incoming, QuarantineReason, Stage, Tx
from samenloop_processors.keys import DataKey, KeyKind, KeyStore
from samenloop_processors.overlaps import store
from samenloop_processors.overlaps.domain.involvements import stated
from samenloop_processors.overlaps.domain.state import AreaState
from samenloop_processors.overlaps.export import rows
from samenloop_processors.settings import HubSettings, secret_bytes
from samenloop_schemas import codec, envelope, sealing
from samenloop_schemas.codes import CaseState, DecisionKind, OverlapKind
from samenloop_schemas.ids import is_code
from samenloop_schemas.records import (
    AcceptedStatement,
    ClientStatement,
    ClockDay,
    Decision,
    InvolvementFacts,
    NoticeSent,
    OverlapStatement,
)
from samenloop_schemas.topics import Topics, partition_for

Value = AcceptedStatement | ClientStatement | ClockDay | Decision | Published
_partition_of = lru_cache(maxsize=4096)(partition_for)
_UNREADABLE = {
    "unknown_schema_id": QuarantineReason.UNKNOWN_SCHEMA,
    "unexpected_type": QuarantineReason.WRONG_TYPE,
}
_Work = list[tuple[Incoming, str, Value]]
_Opened = dict[UUID, InvolvementFacts | None]


class OverlapsStage(Stage):
    """Who is involved at the same time, who must be told, and who was told what is not so. The rules: package `domain`."""

    name = "overlaps"
    ddl = store.DDL
    readers: tuple[str, ...] = ()
    carried = ("case_id",)

    def __init__(self, topics: Topics, keys: KeyStore) -> None:
        self._topics = topics
        self._keys = keys
        self._types: dict[str, type[Any]] = {
            topics.involvements: AcceptedStatement,
            topics.clients: ClientStatement,
            topics.decisions: Decision,
            topics.clock: ClockDay,
        }
        self.inputs = tuple(self._types)
        self.outputs = (topics.overlaps,)

    def decode(self, record: Incoming) -> Value | None:
        """None: a decision that does not bear on overlaps. The log keeps it for the day on which it does."""
        if not record.value:
            raise BadRecord(QuarantineReason.EMPTY)
        try:
            value: Value = codec.decode(record.value, self._types[record.topic])
        except codec.Undecodable as error:
            raise BadRecord(_UNREADABLE.get(error.reason, QuarantineReason.UNDECODABLE)) from None
        area: str = value.area  # type: ignore[union-attr]  # Published comes below
        if not is_code(area):
            raise BadRecord(QuarantineReason.UNKNOWN_AREA)
        if record.key != area.encode():
            raise BadRecord(QuarantineReason.WRONG_KEY)
        return _decision(value) if isinstance(value, Decision) else value

    def apply(self, tx: Tx, batch: Sequence[tuple[Incoming, Value | None]]) -> None:
        work: _Work = []
        for record, value in batch:
            if value is None:
                continue
            area = value.agreement.area if isinstance(value, Published) else value.area
            if _partition_of(area, tx.partitions) == record.partition:
                work.append((record, area, value))
            else:
                tx.quarantine(record, QuarantineReason.WRONG_PARTITION)
        states = {area: tx.cache(area, self._load) for area in dict.fromkeys(area for _, area, _ in work)}
        opened = self._open_batch(tx, work)
        changes = {area: store.Changes() for area in states}
        for record, area, value in work:
            if not _take(states[area], changes[area], value, opened):
                tx.quarantine(record, QuarantineReason.IMPOSSIBLE_DECISION)
        for area, state in states.items():
            for statement in state.settle():
                body = partial(_body, statement)
                tx.state(statement.case_id, area, self._topics.overlaps, body, codec.encode(statement))
            for gone in changes[area].gone:
                self._keys.forget(KeyKind.CASE, gone)
            store.write(tx, state, changes[area], state.new_ids)

    def export(self, connection: psycopg.Connection[Any], area: str | None) -> Iterator[dict[str, Any]]:
        for each in [area] if area else store.areas(connection):
            yield from rows(self._load(connection, each))

    def restate(self, topic: str, value: bytes, version: int) -> bytes:
        return _body(codec.decode(value, OverlapStatement), version)

    def emptied(self, topic: str, area: str, subject: str) -> tuple[Body, bytes] | None:
        """A case that a rebuild no longer finds. Its anchor is not repeated: what a consumer knows of it stays."""
        gone = OverlapStatement(area, subject, kind=OverlapKind.CLIENT, state=CaseState.NEVER_OVERLAPPED)
        return partial(_body, gone), codec.encode(gone)

    def _load(self, connection: psycopg.Connection[Any], area: str) -> AreaState:
        return store.load(connection, area, self._open_rows)

    def _open_batch(self, tx: Tx, work: _Work) -> _Opened:
        """Facts by statement; None for what counts as never stated. What does not open is set apart, and not taken."""
        statements = [(record, value) for record, _, value in work if isinstance(value, AcceptedStatement)]
        keys = self._keys.get_many(KeyKind.CASE, {value.case_key_id for _, value in statements}) if statements else {}
        opened: _Opened = {}
        for record, value in statements:
            key = keys[value.case_key_id]
            try:
                facts = envelope.open_facts(key.key, value) if isinstance(key, DataKey) else None
            except (sealing.NotOpened, codec.Undecodable):
                tx.quarantine(record, QuarantineReason.UNREADABLE_FIELD)
                facts = None
            opened[value.statement_id] = facts
        return opened

    def _open_rows(self, blocks: Sequence[tuple[UUID, UUID, bytes]]) -> list[InvolvementFacts | None]:
        """Rows of our own, read back: what does not open now is an alarm (sealing.NotOpened)."""
        keys = self._keys.get_many(KeyKind.CASE, {key_id for key_id, _, _ in blocks})
        return [
            envelope.open_facts(key.key, AcceptedStatement(statement_id=statement_id, facts=block))
            if isinstance(key := keys[key_id], DataKey)
            else None
            for key_id, statement_id, block in blocks
        ]


def build(settings: HubSettings) -> OverlapsStage:
    """The stage from its environment. Raises ValueError naming what is missing or malformed, never a value."""
    if settings.keys_url is None:
        raise ValueError("SAMENLOOP_KEYS_URL is missing")
    return OverlapsStage(
        settings.topics, KeyStore(settings.keys_url.get_secret_value(), _key(settings.kek, "SAMENLOOP_KEK"))
    )


def _key(secret: SecretStr | None, name: str) -> bytes:
    if secret is None:
        raise ValueError(f"{name} is missing")
    try:
        return secret_bytes(secret)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _decision(decision: Decision) -> Decision | Published | None:
    match decision.kind:
        case DecisionKind.AGREEMENT_PUBLISHED:
            try:
                return Published.of(decision)
            except AgreementInvalid:
                raise BadRecord(QuarantineReason.IMPOSSIBLE_DECISION) from None
        case DecisionKind.NOTICE_DELIVERED:
            if not isinstance(decision.payload, NoticeSent):
                raise BadRecord(QuarantineReason.IMPOSSIBLE_DECISION)
            return decision
        case DecisionKind.CASE_ERASED:
            return decision
    return None


def _take(state: AreaState, changes: store.Changes, value: Value, opened: _Opened) -> bool:
    """Takes one record into the sets. False for a decision that cannot be: an agreement version with another text."""
    match value:
        case AcceptedStatement():
            facts = opened[value.statement_id]
            now = state.state_involvement(stated(value, facts)) if facts is not None else None
            if now is not None:
                _, before = changes.involvements.get(now.case_key_id, (None, b""))
                block = value.facts if now.order[2] == value.statement_id else before
                changes.involvements[now.case_key_id] = now, block
        case ClientStatement():
            if state.state_client(value):
                changes.clients[value.client_id] = value
        case ClockDay():
            if state.begin_day(value):
                changes.days.append(value)
        case Published():
            try:
                if state.publish(value):
                    changes.agreements.append(value)
            except AgreementInvalid:
                return False
        case Decision(kind=DecisionKind.CASE_ERASED):
            for fact in value.facts:
                changes.erased.add(fact)
                if known := state.erase(fact):
                    changes.involvements.pop(known.case_key_id, None)
                    changes.gone.add(known.case_key_id)
        case Decision():
            if state.deliver(value):
                changes.deliveries.append(value)
    return True


def _body(statement: OverlapStatement, version: int) -> bytes:
    return codec.encode(replace(statement, subject_version=version))
