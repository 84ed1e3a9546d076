"""Statements that there is no agreement to judge by yet: kept as they came, until one covers the day on which they were stated.

What was stated lies under its case's key, identities in it still sealed for intake; so an erased case is unreadable here too.
Nothing waits longer than ``in.<partner>`` is kept, by the broker's clock: then it is refused, and forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from samenloop_processors.engine.api import Incoming, Tx
from samenloop_processors.intake.domain.ledger import CaseId, Entry, Told
from samenloop_processors.keys import DataKey, KeyKind, KeyStore
from samenloop_schemas.codes import ReceiptCode, ReceiptKind, Status
from samenloop_schemas.dates import first_instant, instant_of_ms
from samenloop_schemas.topics import Topics, area_key, partition_for

AT_ONCE = 200
"""As many are opened and judged between two statements in SQL, so that no session counts as idle."""
DDL = """
CREATE TABLE IF NOT EXISTS waiting (
    area text COLLATE "C" NOT NULL,
    subject bytea NOT NULL,
    statement_id uuid NOT NULL,
    partner text COLLATE "C" NOT NULL,
    organisation text COLLATE "C" NOT NULL,
    source_system text NOT NULL,
    case_ref text NOT NULL,
    person_ref text NOT NULL,
    revision bigint NOT NULL,
    stated_at timestamptz NOT NULL,
    record_offset bigint NOT NULL,
    timestamp_ms bigint NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (area, subject, statement_id)
);
"""
_COLUMNS = """subject, statement_id, partner, organisation, source_system, case_ref, person_ref, revision, stated_at,
record_offset, timestamp_ms, record"""
_PUT = """INSERT INTO waiting SELECT * FROM unnest(%b::text[], %b::bytea[], %b::uuid[], %b::text[], %b::text[], %b::text[],
    %b::text[], %b::text[], %b::bigint[], %b::timestamptz[], %b::bigint[], %b::bigint[], %b::bytea[])
ON CONFLICT DO NOTHING RETURNING subject, statement_id"""
_TAKE = f"""DELETE FROM waiting WHERE area = %(area)s AND (subject, statement_id) IN (
    SELECT subject, statement_id FROM waiting WHERE area = %(area)s AND stated_at >= %(since)s
    ORDER BY record_offset, subject, statement_id LIMIT {AT_ONCE}) RETURNING {_COLUMNS}"""  # noqa: S608  constants
_EXPIRE = f"""DELETE FROM waiting WHERE area = %s AND partner = %s AND timestamp_ms < %s
RETURNING {_COLUMNS}"""  # noqa: S608  constants
# A slow publication is no frozen worker; what freezes inside it still lets go, by the idle time-out.
_PATIENT = "SET LOCAL transaction_timeout = 0"


@dataclass(frozen=True, slots=True)
class Held:
    """One that waits, with the record that it came in."""

    case: CaseId
    entry: Entry
    record: Incoming
    erased: bool = False
    """The key of its case was destroyed: its content cannot be read any more."""

    def told(self, kind: ReceiptKind) -> Told:
        if self.erased:
            return Told(
                self.case, self.entry, ReceiptKind.REFUSED, tuple(sorted({*self.entry.codes, ReceiptCode.ERASED}))
            )
        return Told(self.case, self.entry, kind, self.entry.codes)


def held(
    case: CaseId, statement_id: UUID, person_ref: str, revision: int, stated_at: datetime, record: Incoming
) -> Held:
    entry = Entry(
        statement_id=statement_id,
        person_ref=person_ref,
        revision=revision,
        stated_at=stated_at,
        recorded_at=instant_of_ms(record.timestamp_ms),
        status=Status.UNKNOWN,
        passed=False,
        codes=(ReceiptCode.NO_AGREEMENT,),
        agreement_version=0,
    )
    return Held(case, entry, record)


class WaitingRoom:
    """The table of those that wait. `keys` may create: a statement is kept under a key that outlives the wait."""

    def __init__(self, topics: Topics, keys: KeyStore, at_most: timedelta) -> None:
        self._topics = topics
        self._keys = keys
        self._at_most = at_most

    def put(self, tx: Tx, coming: Sequence[Held]) -> list[Held]:
        """Keep these; returns those that did not wait already. One whose case was erased is not kept, and says so."""
        keys = self._keys.create_many(KeyKind.CASE, [one.case.subject() for one in coming])
        rows: dict[tuple[bytes, UUID], tuple[Held, Sequence[Any]]] = {}
        gone: list[Held] = []
        for one in coming:
            case, entry, record, subject = one.case, one.entry, one.record, one.case.subject()
            key, name = keys[subject], (subject, entry.statement_id)
            if not isinstance(key, DataKey):
                gone.append(replace(one, erased=True))
            elif name not in rows:
                named = (case.area, *name, case.partner, case.organisation, case.source_system, case.case_ref)
                said = (entry.person_ref, entry.revision, entry.stated_at, record.offset, record.timestamp_ms)
                rows[name] = one, (*named, *said, key.encrypt(record.value or b"", _place(entry.statement_id)))
        new: set[tuple[bytes, UUID]] = set()
        if rows:
            columns = [list(column) for column in zip(*(row for _, row in rows.values()), strict=True)]
            new = {(bytes(subject), sid) for subject, sid in tx.execute(_PUT, columns).fetchall()}
        return [*(one for name, (one, _) in rows.items() if name in new), *gone]

    def take(self, tx: Tx, area: str, since: date) -> Iterator[list[Held]]:
        """Those that were stated on this Dutch day or later, out of the table, in lists to be dealt with one by one."""
        tx.execute(_PATIENT)
        while rows := tx.execute(_TAKE, {"area": area, "since": first_instant(since)}).fetchall():
            yield self._opened(area, tx.partitions, rows)

    def expire(self, tx: Tx, area: str, partner: str, now_ms: int) -> list[Held]:
        """Those that have waited too long by the time of this feed, out of the table."""
        before = now_ms - int(self._at_most.total_seconds() * 1000)
        return self._opened(area, tx.partitions, tx.execute(_EXPIRE, [area, partner, before]).fetchall())

    def _opened(self, area: str, partitions: int, rows: Sequence[Sequence[Any]]) -> list[Held]:
        keys = self._keys.create_many(KeyKind.CASE, [bytes(row[0]) for row in rows]) if rows else {}
        partition, found = partition_for(area, partitions), []
        for subject, sid, partner, organisation, system, ref, person_ref, revision, stated_at, offset, at, body in rows:
            key = keys[bytes(subject)]
            value = key.decrypt(bytes(body), _place(sid)) if isinstance(key, DataKey) else None
            record = Incoming(self._topics.inbox(partner), partition, offset, area_key(area), value, (), at)
            one = held(CaseId(area, partner, organisation, system, ref), sid, person_ref, revision, stated_at, record)
            found.append(replace(one, erased=value is None))
        return found


def count(connection: psycopg.Connection[Any], area: str) -> dict[str, int]:
    """How many of each partner's statements wait."""
    return dict(
        connection.execute("SELECT partner, count(*) FROM waiting WHERE area = %s GROUP BY partner", [area]).fetchall()
    )


def export(connection: psycopg.Connection[Any], area: str | None) -> Iterator[dict[str, Any]]:
    query = """SELECT area, partner, organisation, source_system, case_ref, statement_id, revision FROM waiting
    WHERE %(area)s::text IS NULL OR area = %(area)s ORDER BY area, subject, statement_id"""
    with connection.transaction(), connection.cursor(name="waiting_export") as cursor:
        for area_, partner, organisation, system, case_ref, statement_id, revision in cursor.execute(
            query, {"area": area}
        ):
            yield {
                "area": area_,
                "partner": partner,
                "organisation": organisation,
                "source_system": system,
                "case_ref": case_ref,
                "waiting": str(statement_id),
                "revision": revision,
            }


def _place(statement_id: UUID) -> bytes:
    return b"waiting|" + statement_id.bytes
