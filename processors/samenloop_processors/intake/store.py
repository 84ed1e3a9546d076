"""Intake's tables: agreements as published, one row per statement, and how far each feed's day has come.

A row holds ids and codes only. `case_ref` and `person_ref` are hashes under a key that stays at the partner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import Any

import psycopg

from samenloop_processors.agreement import AgreementBook, Published, parse_agreement
from samenloop_processors.engine.api import Tx
from samenloop_processors.intake import waiting
from samenloop_processors.intake.domain.ledger import Case, CaseId, Entry, codes_of, winner
from samenloop_processors.intake.domain.reconcile import Standing
from samenloop_schemas.codes import ReceiptCode, Status

DDL = """
CREATE TABLE IF NOT EXISTS agreement (
    area text COLLATE "C" NOT NULL,
    version int NOT NULL,
    published_on date NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (area, version)
);
CREATE TABLE IF NOT EXISTS statement (
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
    recorded_at timestamptz NOT NULL,
    status text NOT NULL,
    passed boolean NOT NULL,
    emitted boolean NOT NULL,
    codes text NOT NULL,
    agreement_version int NOT NULL,
    PRIMARY KEY (area, subject, statement_id)
);
CREATE TABLE IF NOT EXISTS feed_day (
    area text COLLATE "C" NOT NULL,
    partner text COLLATE "C" NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (area, partner)
);
"""

_ENTRY = """subject, statement_id, person_ref, revision, stated_at, recorded_at, status, passed, emitted, codes,
agreement_version"""
_READ_CASES = f"SELECT {_ENTRY} FROM statement WHERE area = %s AND subject = ANY(%s)"  # noqa: S608  constant
# %b: an array goes out in binary; as text, its items are escaped one by one.
_WRITE = """INSERT INTO statement
SELECT * FROM unnest(%b::text[], %b::bytea[], %b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
    %b::bigint[], %b::timestamptz[], %b::timestamptz[], %b::text[], %b::boolean[], %b::boolean[], %b::text[], %b::int[])
ON CONFLICT (area, subject, statement_id) DO UPDATE SET
    status = excluded.status, passed = excluded.passed, emitted = excluded.emitted, codes = excluded.codes,
    agreement_version = excluded.agreement_version, person_ref = excluded.person_ref,
    revision = excluded.revision, stated_at = excluded.stated_at"""
_WINNERS = """SELECT DISTINCT ON (subject) organisation, statement_id, status, passed FROM statement
WHERE area = %s AND partner = %s AND emitted
ORDER BY subject, revision DESC, stated_at DESC, statement_id DESC"""
_ADD_AGREEMENT = "INSERT INTO agreement VALUES (%s, %s, %s, %s)"
_SET_DAY = """INSERT INTO feed_day VALUES (%s, %s, %s)
ON CONFLICT (area, partner) DO UPDATE SET day = excluded.day"""


@dataclass(slots=True)
class AreaState:
    """What is kept in memory of an area: its agreements, the Dutch day that each feed has come to, how many wait per feed."""

    book: AgreementBook = field(default_factory=AgreementBook)
    days: dict[str, date] = field(default_factory=dict)
    waiting: Counter[str] = field(default_factory=Counter)


def load_area(connection: psycopg.Connection[Any], area: str) -> AreaState:
    agreements = connection.execute("SELECT text, published_on FROM agreement WHERE area = %s", [area]).fetchall()
    days = connection.execute("SELECT partner, day FROM feed_day WHERE area = %s", [area]).fetchall()
    book = AgreementBook(Published(parse_agreement(text), on) for text, on in agreements)
    return AreaState(book, dict(days), Counter(waiting.count(connection, area)))


def add_agreement(tx: Tx, published: Published) -> None:
    agreement = published.agreement
    tx.execute(_ADD_AGREEMENT, [agreement.area, agreement.version, published.published_on, agreement.text()])


def set_day(tx: Tx, area: str, partner: str, day: date) -> None:
    tx.execute(_SET_DAY, [area, partner, day])


def read_cases(tx: Tx, wanted: Iterable[CaseId]) -> dict[CaseId, Case]:
    """The cases as they stand, new ones empty. One pipelined read per area."""
    by_area: dict[str, dict[bytes, Case]] = {}
    cases: dict[CaseId, Case] = {}
    for case_id in wanted:
        cases[case_id] = by_area.setdefault(case_id.area, {})[case_id.subject()] = Case(case_id)
    reads = [(mine, tx.execute(_READ_CASES, [area, list(mine)])) for area, mine in by_area.items()]
    for mine, rows in reads:
        for subject, *rest in rows:
            entry = _entry(rest)
            mine[bytes(subject)].entries[entry.statement_id] = entry
    return cases


def write_cases(tx: Tx, cases: Iterable[Case]) -> None:
    """The changed entries, in one statement; forgets that they were changed."""
    rows: list[Sequence[Any]] = []
    for case in cases:
        name = case.case
        for statement_id in sorted(case.changed):
            e = case.entries[statement_id]
            named = (name.area, name.subject(), statement_id, name.partner, name.organisation, name.source_system)
            said = (name.case_ref, e.person_ref, e.revision, e.stated_at, e.recorded_at, e.status.value)
            rows.append((*named, *said, e.passed, e.emitted, " ".join(e.codes), e.agreement_version))
        case.changed.clear()
    if rows:
        tx.execute(_WRITE, [list(column) for column in zip(*rows, strict=True)])


def winners(tx: Tx, area: str, partner: str) -> list[Standing]:
    """The winning statement of each known case of a feed."""
    rows = tx.execute(_WINNERS, [area, partner])
    return [
        Standing(organisation, statement_id, Status(status), passed)
        for organisation, statement_id, status, passed in rows
    ]


def export(connection: psycopg.Connection[Any], area: str | None) -> Iterator[dict[str, Any]]:
    """One row per case; a case of which nothing passed says so in `known`."""
    query = f"""SELECT area, partner, organisation, source_system, case_ref, {_ENTRY} FROM statement
    WHERE %(area)s::text IS NULL OR area = %(area)s ORDER BY area, subject"""  # noqa: S608  constant
    with connection.transaction(), connection.cursor(name="intake_export") as cursor:
        for _, group in groupby(cursor.execute(query, {"area": area}), key=lambda row: (row[0], bytes(row[5]))):
            rows = list(group)
            entries = [_entry(row[6:]) for row in rows]
            best = winner(entries)
            assert best is not None
            yield {
                "area": rows[0][0],
                "partner": rows[0][1],
                "organisation": rows[0][2],
                "source_system": rows[0][3],
                "case_ref": rows[0][4],
                "known": any(entry.passed for entry in entries),
                "statement_id": str(best.statement_id),
                "revision": best.revision,
                "status": best.status.value,
                "codes": [code.value for code in codes_of(best, entries)],
            }


def _entry(row: Sequence[Any]) -> Entry:
    statement_id, person_ref, revision, stated_at, recorded_at, status, passed, emitted, codes, version = row
    return Entry(
        statement_id=statement_id,
        person_ref=person_ref,
        revision=revision,
        stated_at=stated_at,
        recorded_at=recorded_at,
        status=Status(status),
        passed=passed,
        codes=tuple(ReceiptCode(code) for code in codes.split()),
        agreement_version=version,
        emitted=emitted,
    )
