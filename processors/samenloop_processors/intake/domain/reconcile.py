"""Daily reconciliation: what the hub holds of an organisation in an area, as a count and a hash.

The partner computes the same from what it sent: of each case the statement with the highest (revision, stated_at,
statement_id), unless that is RETRACTED; the SHA-256 over their statement ids in text form, sorted, one to a line. What the
hub withholds it does not hold, so a difference shows what was refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from samenloop_schemas.codes import Status
from samenloop_schemas.ids import derived_id
from samenloop_schemas.reconciliation import hash_of as hash_of


@dataclass(frozen=True, slots=True)
class Standing:
    """The winning statement of a known case."""

    organisation: str
    statement_id: UUID
    status: Status
    passed: bool


@dataclass(frozen=True, slots=True)
class Held:
    count: int
    sha256: str


def held(winners: Iterable[Standing], organisations: Iterable[str]) -> dict[str, Held]:
    """Per organisation, in the order of their ids; those of which nothing is held are named too."""
    ids: dict[str, list[str]] = {organisation: [] for organisation in organisations}
    for standing in winners:
        mine = ids.setdefault(standing.organisation, [])
        if standing.passed:
            mine.append(str(standing.statement_id))
    return {organisation: Held(len(ids[organisation]), hash_of(ids[organisation])) for organisation in sorted(ids)}


def reconciliation_id(partner: str, area: str, organisation: str, day: date) -> UUID:
    return derived_id("reconciliation", partner, area, organisation, day.isoformat())
