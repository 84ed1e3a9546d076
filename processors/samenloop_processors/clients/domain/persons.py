"""From accepted statements to source persons: which statement stands for a case, and who each person is and since when.

All of it is a function of the set of statements; order and repeats mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from samenloop_schemas.dates import micros
from samenloop_schemas.records import AcceptedStatement

CaseOrder = tuple[int, datetime, UUID]


@dataclass(frozen=True, slots=True)
class Naming:
    """One person as one statement names him: as the person it is about (`own`) or beside him. `block` is still encrypted."""

    person_key_id: UUID
    identity_revision: int
    stated_at: datetime
    statement_id: UUID
    own: bool
    block: bytes

    @property
    def order(self) -> CaseOrder:
        """The highest among standing statements says who the person is."""
        return self.identity_revision, self.stated_at, self.statement_id


@dataclass(frozen=True, slots=True)
class SourcePerson:
    """Who a source person is now. `naming` is None when no statement that stands carries his identity: he is in no client."""

    first_stated_at: datetime
    naming: Naming | None

    @property
    def first(self) -> int:
        return micros(self.first_stated_at)


def case_order(statement: AcceptedStatement) -> CaseOrder:
    """The highest statement of a case is the one that counts."""
    return statement.revision, statement.stated_at, statement.statement_id


def namings(statement: AcceptedStatement) -> tuple[Naming, ...]:
    """Whom a statement names with an identity, each once: none when it does not stand (RETRACTED, WITHHELD)."""
    if statement.identity is None:
        return ()
    at, sid = statement.stated_at, statement.statement_id
    found = {
        statement.person_key_id: Naming(
            statement.person_key_id, statement.identity_revision, at, sid, True, statement.identity
        )
    }
    for person in statement.related:
        named = Naming(person.person_key_id, person.identity_revision, at, sid, False, person.identity)
        known = found.get(person.person_key_id)
        if known is None or (not known.own and known.identity_revision < named.identity_revision):
            found[person.person_key_id] = named
    return tuple(found.values())


def winners(statements: Iterable[AcceptedStatement]) -> dict[UUID, AcceptedStatement]:
    """The statement that counts, per case."""
    best: dict[UUID, AcceptedStatement] = {}
    for statement in statements:
        known = best.get(statement.case_key_id)
        if known is None or case_order(statement) > case_order(known):
            best[statement.case_key_id] = statement
    return best


def first_named(statements: Iterable[AcceptedStatement]) -> dict[UUID, datetime]:
    """When each person was first stated, over all statements that name him, whether they stand or not."""
    first: dict[UUID, datetime] = {}
    for statement in statements:
        for person in (statement.person_key_id, *(related.person_key_id for related in statement.related)):
            first[person] = min(first.get(person, statement.stated_at), statement.stated_at)
    return first


def source_persons(statements: Iterable[AcceptedStatement]) -> dict[UUID, SourcePerson]:
    """The definition, at one stroke; `store` keeps the same up to date in tables."""
    held = list(statements)
    best: dict[UUID, Naming] = {}
    for statement in winners(held).values():
        for naming in namings(statement):
            known = best.get(naming.person_key_id)
            if known is None or naming.order > known.order:
                best[naming.person_key_id] = naming
    return {key_id: SourcePerson(at, best.get(key_id)) for key_id, at in first_named(held).items()}
