"""The encrypted fields of an `AcceptedStatement`: one place that knows which block lies under which key and which binding."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from samenloop_schemas import codec, registry, sealing
from samenloop_schemas.records import AcceptedStatement, IdentityFacts, InvolvementFacts, SealedPerson

R = TypeVar("R")


def _place(statement_id: UUID, field: str, schema_fingerprint: str) -> bytes:
    return sealing.place(statement_id, field, schema_fingerprint)


def close_facts(key: bytes, statement_id: UUID, facts: InvolvementFacts) -> bytes:
    return _close(key, statement_id, "facts", facts)


def close_identity(key: bytes, statement_id: UUID, identity: IdentityFacts) -> bytes:
    return _close(key, statement_id, "identity", identity)


def close_related(key: bytes, statement_id: UUID, person_key_id: UUID, identity: IdentityFacts) -> bytes:
    return _close(key, statement_id, f"related.{person_key_id}", identity)


def open_facts(key: bytes, statement: AcceptedStatement) -> InvolvementFacts:
    """Raises sealing.NotOpened or codec.Undecodable."""
    return _open(key, statement.statement_id, "facts", statement.facts, InvolvementFacts)


def open_identity(key: bytes, statement: AcceptedStatement) -> IdentityFacts | None:
    """None when the statement does not stand for identity (RETRACTED, WITHHELD)."""
    if statement.identity is None:
        return None
    return _open(key, statement.statement_id, "identity", statement.identity, IdentityFacts)


def open_related(key: bytes, statement_id: UUID, person: SealedPerson) -> IdentityFacts:
    return _open(key, statement_id, f"related.{person.person_key_id}", person.identity, IdentityFacts)


def _close(key: bytes, statement_id: UUID, field: str, record: object) -> bytes:
    """The schema id in front, in clear, so that the binding of an old block can be rebuilt after a schema change."""
    schema = registry.current(type(record).__name__)
    body = sealing.encrypt(key, codec.encode(record), _place(statement_id, field, schema.fingerprint))
    return schema.schema_id.to_bytes(4, "big") + body


def _open(key: bytes, statement_id: UUID, field: str, block: bytes, expected: type[R]) -> R:
    schema = registry.by_id().get(int.from_bytes(block[:4], "big"))
    if schema is None:
        raise codec.Undecodable("unknown_schema_id")
    plain = sealing.decrypt(key, block[4:], _place(statement_id, field, schema.fingerprint))
    return codec.decode(plain, expected)
