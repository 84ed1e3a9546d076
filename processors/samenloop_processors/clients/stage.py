"""Clients in the engine: from ``involvements`` and people's verdicts on pairs to ``clients``.

Identities are opened here, compared in memory and forgotten; what leaves is pseudonymous. A person whose key was destroyed was
never stated; a key that is missing stops the stage. MODEL_PUBLISHED is not obeyed yet: the model is the one packaged with the
release, named in every statement, and a new one comes in through a rebuild.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

import psycopg
from pydantic import SecretStr

from samenloop_processors.clients import store
from samenloop_processors.clients.domain.model import CENTIBITS, Model, default_model
from samenloop_processors.clients.domain.normalise import features
from samenloop_processors.clients.domain.persons import (
    Naming,
    SourcePerson,
    case_order,
    first_named,
    namings,
    winners,
)
from samenloop_processors.clients.domain.resolver import Changes, Client, Link, Resolver, Verdict, changes_between
from samenloop_processors.engine.api import BadRecord, Body, Incoming, QuarantineReason, Stage, Tx
from samenloop_processors.keys import DataKey, Destroyed, KeyKind, KeyStore
from samenloop_processors.settings import HubSettings, secret_bytes
from samenloop_schemas import codec, envelope, sealing
from samenloop_schemas.codes import DecisionKind
from samenloop_schemas.ids import client_id
from samenloop_schemas.records import (
    AcceptedStatement,
    ClientStatement,
    Decision,
    FieldEvidence,
    IdentityFacts,
    LinkEvidence,
    SealedPerson,
)
from samenloop_schemas.topics import Topics, partition_for

_partition_of = lru_cache(maxsize=4096)(partition_for)
_UNREADABLE = {
    "unknown_schema_id": QuarantineReason.UNKNOWN_SCHEMA,
    "unexpected_type": QuarantineReason.WRONG_TYPE,
}
_VERDICTS = {
    DecisionKind.LINK_CONFIRMED: Verdict.CONFIRMED,
    DecisionKind.LINK_REJECTED: Verdict.REJECTED,
    DecisionKind.LINK_REOPENED: None,
}
_Keys = dict[UUID, DataKey | Destroyed]


@dataclass(slots=True)
class AreaIndex:
    """An area in memory: the resolver, who is whom by key, and what a load found to differ from what was last stated."""

    resolver: Resolver
    ids: dict[UUID, str] = field(default_factory=dict)
    keys: dict[str, UUID] = field(default_factory=dict)
    unstated: Changes = field(default_factory=lambda: Changes((), ()))
    gone: list[UUID] = field(default_factory=list)

    def put(self, key_id: UUID, person: SourcePerson, identity: IdentityFacts) -> None:
        name = identity.source_person_id
        self.ids[key_id], self.keys[name] = name, key_id
        self.resolver.put(name, person.first, features(identity))

    def remove(self, key_id: UUID) -> bool:
        """False when he was not held."""
        name = self.ids.pop(key_id, None)
        if name is None:
            return False
        del self.keys[name]
        self.resolver.remove(name)
        return True


@dataclass(slots=True)
class _Work:
    """What one batch brings for one area."""

    statements: list[tuple[Incoming, AcceptedStatement]] = field(default_factory=list)
    verdicts: dict[tuple[str, str], Verdict | None] = field(default_factory=dict)


class ClientsStage(Stage):
    """Which source records are one person? See the package `domain` for the rules."""

    name = "clients"
    ddl = store.DDL

    def __init__(self, topics: Topics, keys: KeyStore, model: Model | None = None) -> None:
        self._topics = topics
        self._keys = keys
        self._model = model or default_model()
        self.inputs = (topics.involvements, topics.decisions)
        self.outputs = (topics.clients,)

    def decode(self, record: Incoming) -> AcceptedStatement | Decision | None:
        """None: a decision that is none of this stage's business."""
        if not record.value:
            raise BadRecord(QuarantineReason.EMPTY)
        value: AcceptedStatement | Decision
        try:
            if record.topic == self._topics.decisions:
                value = codec.decode(record.value, Decision)
            else:
                value = codec.decode(record.value, AcceptedStatement)
        except codec.Undecodable as error:
            raise BadRecord(_UNREADABLE.get(error.reason, QuarantineReason.UNDECODABLE)) from None
        if isinstance(value, Decision):
            if value.kind not in _VERDICTS:
                return None
            if len(value.pair) != 2 or value.pair[0] == value.pair[1] or not all(value.pair):
                raise BadRecord(QuarantineReason.IMPOSSIBLE_DECISION)
        if record.key != value.area.encode():
            raise BadRecord(QuarantineReason.WRONG_KEY)
        return value

    def apply(self, tx: Tx, batch: Sequence[tuple[Incoming, Any]]) -> None:
        areas: defaultdict[str, _Work] = defaultdict(_Work)
        for record, value in batch:
            if value is None:
                continue
            if _partition_of(value.area, tx.partitions) != record.partition:
                tx.quarantine(record, QuarantineReason.WRONG_PARTITION)
            elif isinstance(value, Decision):
                first, second = sorted(value.pair)
                areas[value.area].verdicts[first, second] = _VERDICTS[value.kind]
            else:
                areas[value.area].statements.append((record, value))
        indexes = {area: tx.cache(area, self._load) for area in sorted(areas)}
        for area, index in indexes.items():
            self._apply_area(tx, area, index, areas[area])

    def export(self, connection: psycopg.Connection[Any], area: str | None) -> Iterator[dict[str, Any]]:
        """Clients as they were stated, with their evidence; the review queue; verdicts; the statement that counts per case."""
        for each in [area] if area else store.areas(connection):
            resolver = self._load(connection, each).resolver
            for members in store.stated_clients(connection, each).values():
                held = sorted((name for name in members if name in resolver), key=lambda n: (resolver.first(n) or 0, n))
                client = Client(tuple(held)) if held else None
                yield {
                    "area": each,
                    "client_id": client_id(client.anchor) if client else "",
                    "members": members,
                    "links": [codec.to_plain(_evidence(link)) for link in resolver.links(client)] if client else [],
                    "model_version": self._model.version,
                }
            for a, b, weight in sorted(resolver.possible()):
                yield {"area": each, "possible": [a, b], "weight": weight / CENTIBITS}
            for a, b, verdict in store.load_verdicts(connection, each):
                yield {"area": each, "pair": [a, b], "verdict": verdict.value}
            yield from store.export_cases(connection, each)

    def restate(self, topic: str, value: bytes, version: int) -> bytes:
        return codec.encode(replace(codec.decode(value, ClientStatement), subject_version=version))

    def emptied(self, topic: str, area: str, subject: str) -> tuple[Body, bytes]:
        return self._said(ClientStatement(area=area, client_id=subject, model_version=self._model.version))

    def _apply_area(self, tx: Tx, area: str, index: AreaIndex, work: _Work) -> None:
        if work.verdicts:
            store.write_verdicts(tx, area, work.verdicts)
            for (a, b), verdict in work.verdicts.items():
                index.resolver.decide(a, b, verdict)
        gone, index.gone = index.gone, []
        if work.statements:
            gone += self._take(tx, area, index, work.statements)
        unstated, index.unstated = index.unstated, Changes((), ())
        changes = index.resolver.settle()
        if unstated:
            changes = _merged(unstated, changes, index.resolver)
        self._state(tx, area, index, changes, gone)

    def _take(
        self, tx: Tx, area: str, index: AreaIndex, received: Sequence[tuple[Incoming, AcceptedStatement]]
    ) -> list[UUID]:
        """Bring tables and index up to date with these statements. Returns the persons who are in no client any more."""
        statements = [statement for _, statement in received]
        best = winners(statements)
        named = {s.statement_id: namings(s) for s in statements}
        first = first_named(statements)
        keys = self._keys.get_many(KeyKind.PERSON, first)
        standing = store.read_winners(tx, area, best)
        opened = self._open_all(tx, received, named, keys)
        won = {case: s for case, s in best.items() if case not in standing or case_order(s) > standing[case]}
        held = [
            (case, naming)
            for case, s in won.items()
            for naming in named[s.statement_id]
            if (s.statement_id, naming.person_key_id) in opened
        ]
        living = {key_id: at for key_id, at in first.items() if isinstance(keys[key_id], DataKey)}
        store.write_first(tx, area, living)
        touched = {naming.person_key_id for _, naming in held}
        if won:
            touched.update(key_id for (key_id,) in store.write_winners(tx, area, won, held).fetchall())
        for key_id, at in living.items():
            known = index.ids.get(key_id)
            if known is not None and (index.resolver.first(known) or 0) > SourcePerson(at, None).first:
                touched.add(key_id)
        return self._index(tx, area, index, touched, opened)

    def _open_all(
        self,
        tx: Tx,
        received: Sequence[tuple[Incoming, AcceptedStatement]],
        named: dict[UUID, tuple[Naming, ...]],
        keys: _Keys,
    ) -> dict[tuple[UUID, UUID], IdentityFacts]:
        """Every identity in the batch by (statement, person key). One that does not open sets its record apart and counts as
        not carried; one whose key was destroyed was never stated."""
        opened: dict[tuple[UUID, UUID], IdentityFacts] = {}
        for record, statement in received:
            for naming in named[statement.statement_id]:
                key = keys[naming.person_key_id]
                if not isinstance(key, DataKey):
                    continue
                try:
                    opened[statement.statement_id, naming.person_key_id] = _open(key, naming)
                except (sealing.NotOpened, codec.Undecodable):
                    tx.quarantine(record, QuarantineReason.UNREADABLE_FIELD)
        return opened

    def _index(
        self,
        tx: Tx,
        area: str,
        index: AreaIndex,
        touched: set[UUID],
        opened: dict[tuple[UUID, UUID], IdentityFacts],
    ) -> list[UUID]:
        if not touched:
            return []
        gone = []
        persons = store.read_persons(tx, area, touched)
        keys = self._keys.get_many(KeyKind.PERSON, touched)
        for key_id, person in persons.items():
            key, naming = keys[key_id], person.naming
            if naming is None or not isinstance(key, DataKey):
                if index.remove(key_id):
                    gone.append(key_id)
                continue
            identity = opened.get((naming.statement_id, key_id)) or _open(key, naming)
            index.put(key_id, person, identity)
        return gone

    def _state(self, tx: Tx, area: str, index: AreaIndex, changes: Changes, gone: Sequence[UUID]) -> None:
        """State every client that may have changed, those that gain members first; what did not change is not sent."""
        rows: list[tuple[UUID, str | None, str | None]] = [
            (key_id, None, None) for key_id in gone if key_id not in index.ids
        ]
        for client in changes.now:
            rows += [(index.keys[member], member, client.anchor) for member in client.members]
            statement = ClientStatement(
                area=area,
                client_id=client_id(client.anchor),
                anchor=client.anchor,
                members=tuple(sorted(client.members)),
                links=tuple(_evidence(link) for link in index.resolver.links(client)),
                model_version=self._model.version,
            )
            tx.state(statement.client_id, area, self._topics.clients, *self._said(statement))
        for anchor in changes.emptied:
            subject = client_id(anchor)
            tx.state(subject, area, self._topics.clients, *self.emptied(self._topics.clients, area, subject))
        if rows:
            store.write_anchors(tx, area, rows)

    def _said(self, statement: ClientStatement) -> tuple[Body, bytes]:
        return partial(_versioned, statement), codec.encode(statement)

    def _load(self, connection: psycopg.Connection[Any], area: str) -> AreaIndex:
        """The index of an area from its tables, and how the clients now differ from those last stated: a key that was
        destroyed in between, or a release with another model, shows here and is stated with the next batch."""
        index = AreaIndex(Resolver(self._model))
        for a, b, verdict in store.load_verdicts(connection, area):
            index.resolver.decide(a, b, verdict)
        stated: dict[str, set[str]] = {}
        for chunk in store.load_persons(connection, area):
            keys = self._keys.get_many(KeyKind.PERSON, [key_id for key_id, _, _ in chunk])
            for key_id, anchor, person in chunk:
                key = keys[key_id]
                name = ""
                if person.naming is not None and isinstance(key, DataKey):
                    identity = _open(key, person.naming)
                    index.put(key_id, person, identity)
                    name = identity.source_person_id
                elif anchor is not None:
                    index.gone.append(key_id)
                if anchor is not None:
                    stated.setdefault(anchor, set()).add(name)
        index.resolver.settle()
        now = {client.anchor: client for client in index.resolver.clients()}
        before = {Client((a, *sorted(m - {a}))) for a, m in stated.items() if a not in now or set(now[a].members) != m}
        changed = [client for a, client in now.items() if stated.get(a) != set(client.members)]
        index.unstated = changes_between(before, changed)
        return index


def build(settings: HubSettings) -> ClientsStage:
    """The stage from its environment. Raises ValueError naming what is missing or malformed, never a value."""
    if settings.keys_url is None:
        raise ValueError("SAMENLOOP_KEYS_URL is missing")
    kek = _kek(settings.kek)
    return ClientsStage(settings.topics, KeyStore(settings.keys_url.get_secret_value(), kek))


def _kek(secret: SecretStr | None) -> bytes:
    if secret is None:
        raise ValueError("SAMENLOOP_KEK is missing")
    try:
        return secret_bytes(secret)
    except ValueError as error:
        raise ValueError(f"SAMENLOOP_KEK: {error}") from None


def _versioned(statement: ClientStatement, version: int) -> bytes:
    return codec.encode(replace(statement, subject_version=version))


def _open(key: DataKey, naming: Naming) -> IdentityFacts:
    """Raises sealing.NotOpened or codec.Undecodable."""
    if not naming.own:
        sealed = SealedPerson(naming.person_key_id, naming.identity_revision, naming.block)
        return envelope.open_related(key.key, naming.statement_id, sealed)
    statement = AcceptedStatement(statement_id=naming.statement_id, identity=naming.block)
    identity = envelope.open_identity(key.key, statement)
    assert identity is not None
    return identity


def _evidence(link: Link) -> LinkEvidence:
    return LinkEvidence(
        a=link.a,
        b=link.b,
        weight=link.evidence.bits,
        fields=tuple(FieldEvidence(f.name, f.level, f.weight / CENTIBITS) for f in link.evidence.fields),
        decided=link.decided,
    )


def _merged(older: Changes, newer: Changes, resolver: Resolver) -> Changes:
    """What a load found and what a batch did, as one: of a client that both name, what stands now."""
    anchors = {client.anchor: client for client in (*older.now, *newer.now)}
    now = [held for client in anchors.values() if (held := resolver.client_of(client.anchor)) and held == client]
    standing = {client.anchor for client in now}
    emptied = {*older.emptied, *newer.emptied, *(a for a in anchors if a not in standing)}
    return Changes(tuple(now), tuple(sorted(emptied - standing)))
