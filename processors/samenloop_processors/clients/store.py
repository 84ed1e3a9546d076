"""The clients stage's tables. Identities stay encrypted as they came; ids are keyed hashes; nothing names a person in clear."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from samenloop_processors.clients.domain.persons import CaseOrder, Naming, SourcePerson
from samenloop_processors.clients.domain.resolver import Verdict
from samenloop_processors.engine.api import Tx
from samenloop_schemas.records import AcceptedStatement

DDL = """
CREATE TABLE IF NOT EXISTS case_winner (
    area text COLLATE "C" NOT NULL,
    case_key_id uuid NOT NULL,
    revision bigint NOT NULL,
    stated_at timestamptz NOT NULL,
    statement_id uuid NOT NULL,
    PRIMARY KEY (area, case_key_id)
);
CREATE TABLE IF NOT EXISTS naming (
    area text COLLATE "C" NOT NULL,
    person_key_id uuid NOT NULL,
    case_key_id uuid NOT NULL,
    identity_revision bigint NOT NULL,
    stated_at timestamptz NOT NULL,
    statement_id uuid NOT NULL,
    own boolean NOT NULL,
    block bytea NOT NULL,
    PRIMARY KEY (area, person_key_id, case_key_id)
);
CREATE INDEX IF NOT EXISTS naming_case ON naming (area, case_key_id);
CREATE TABLE IF NOT EXISTS person (
    area text COLLATE "C" NOT NULL,
    person_key_id uuid NOT NULL,
    first_stated_at timestamptz NOT NULL,
    source_person_id text COLLATE "C",
    anchor text COLLATE "C",
    PRIMARY KEY (area, person_key_id)
);
CREATE TABLE IF NOT EXISTS verdict (
    area text COLLATE "C" NOT NULL,
    a text COLLATE "C" NOT NULL,
    b text COLLATE "C" NOT NULL,
    verdict text NOT NULL,
    PRIMARY KEY (area, a, b)
);
"""
"""`naming` holds whom the winning statements name; `person.anchor` is the anchor of the client he was last stated in."""

_READ_WINNERS = """SELECT case_key_id, revision, stated_at, statement_id FROM case_winner
WHERE area = %s AND case_key_id = ANY(%s)"""
_DROP_NAMINGS = "DELETE FROM naming WHERE area = %s AND case_key_id = ANY(%s) RETURNING person_key_id"
_WRITE_WINNERS = """INSERT INTO case_winner
SELECT %s, * FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[], %s::uuid[])
ON CONFLICT (area, case_key_id) DO UPDATE
SET revision = excluded.revision, stated_at = excluded.stated_at, statement_id = excluded.statement_id"""
_WRITE_NAMINGS = """INSERT INTO naming
SELECT %s, * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::timestamptz[], %s::uuid[], %s::boolean[], %s::bytea[])"""
_WRITE_FIRST = """INSERT INTO person(area, person_key_id, first_stated_at)
SELECT %s, * FROM unnest(%s::uuid[], %s::timestamptz[])
ON CONFLICT (area, person_key_id) DO UPDATE SET first_stated_at = excluded.first_stated_at
WHERE person.first_stated_at > excluded.first_stated_at"""
_PERSONS = """SELECT DISTINCT ON (p.person_key_id) p.person_key_id, p.first_stated_at, p.anchor,
    n.identity_revision, n.stated_at, n.statement_id, n.own, n.block
FROM person p LEFT JOIN naming n USING (area, person_key_id)
WHERE p.area = %s {some}
ORDER BY p.person_key_id, n.identity_revision DESC NULLS LAST, n.stated_at DESC, n.statement_id DESC"""
_READ_SOME = _PERSONS.format(some="AND p.person_key_id = ANY(%s)")
_READ_ALL = _PERSONS.format(some="")
_WRITE_ANCHORS = """UPDATE person SET source_person_id = u.id, anchor = u.anchor
FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS u(key_id, id, anchor)
WHERE area = %s AND person_key_id = u.key_id"""
_WRITE_VERDICTS = """INSERT INTO verdict SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::text[])
ON CONFLICT (area, a, b) DO UPDATE SET verdict = excluded.verdict"""
_DROP_VERDICTS = """DELETE FROM verdict USING unnest(%s::text[], %s::text[]) AS u(a, b)
WHERE area = %s AND verdict.a = u.a AND verdict.b = u.b"""
_READ_VERDICTS = "SELECT a, b, verdict FROM verdict WHERE area = %s ORDER BY a, b"
_CHUNK = 2000


def read_winners(tx: Tx, area: str, cases: Collection[UUID]) -> dict[UUID, CaseOrder]:
    """The order of the statement that counts now, per case."""
    rows = tx.execute(_READ_WINNERS, (area, list(cases))).fetchall()
    return {case: (revision, stated_at, statement_id) for case, revision, stated_at, statement_id in rows}


def write_winners(
    tx: Tx, area: str, won: Mapping[UUID, AcceptedStatement], named: Sequence[tuple[UUID, Naming]]
) -> psycopg.Cursor[Any]:
    """Replace what these cases say. The cursor returned yields the persons that they named before."""
    dropped = tx.execute(_DROP_NAMINGS, (area, list(won)))
    statements = list(won.values())
    tx.execute(
        _WRITE_WINNERS,
        (
            area,
            list(won),
            [s.revision for s in statements],
            [s.stated_at for s in statements],
            [s.statement_id for s in statements],
        ),
    )
    tx.execute(
        _WRITE_NAMINGS,
        (
            area,
            [n.person_key_id for _, n in named],
            [case for case, _ in named],
            [n.identity_revision for _, n in named],
            [n.stated_at for _, n in named],
            [n.statement_id for _, n in named],
            [n.own for _, n in named],
            [n.block for _, n in named],
        ),
    )
    return dropped


def write_first(tx: Tx, area: str, first: Mapping[UUID, datetime]) -> None:
    """Note when persons were first stated; an earlier instant that is known stays."""
    keys = sorted(first)
    tx.execute(_WRITE_FIRST, (area, keys, [first[key] for key in keys]))


def read_persons(tx: Tx, area: str, keys: Collection[UUID]) -> dict[UUID, SourcePerson]:
    rows = tx.execute(_READ_SOME, (area, list(keys)))
    return {key_id: person for key_id, _, person in _persons(rows)}


def write_anchors(tx: Tx, area: str, rows: Sequence[tuple[UUID, str | None, str | None]]) -> None:
    """Note (person key, source person id, anchor of his client); None for a person who is in no client any more."""
    tx.execute(_WRITE_ANCHORS, ([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], area))


def write_verdicts(tx: Tx, area: str, verdicts: Mapping[tuple[str, str], Verdict | None]) -> None:
    kept = [(a, b, v.value) for (a, b), v in verdicts.items() if v]
    lifted = [pair for pair, v in verdicts.items() if v is None]
    if kept:
        tx.execute(_WRITE_VERDICTS, (area, *(list(column) for column in zip(*kept, strict=True))))
    if lifted:
        tx.execute(_DROP_VERDICTS, (*(list(column) for column in zip(*lifted, strict=True)), area))


def load_persons(
    connection: psycopg.Connection[Any], area: str
) -> Iterator[list[tuple[UUID, str | None, SourcePerson]]]:
    """Everybody in an area as (person key, anchor last stated, person), in chunks, so that memory stays level."""
    with connection.transaction(), connection.cursor(name="clients_persons", binary=True) as cursor:
        cursor.execute(_READ_ALL.encode(), (area,))
        while rows := cursor.fetchmany(_CHUNK):
            yield list(_persons(rows))


def load_verdicts(connection: psycopg.Connection[Any], area: str) -> list[tuple[str, str, Verdict]]:
    return [(a, b, Verdict(verdict)) for a, b, verdict in connection.execute(_READ_VERDICTS, (area,))]


def areas(connection: psycopg.Connection[Any]) -> list[str]:
    return [
        row[0]
        for row in connection.execute("SELECT area FROM person UNION SELECT area FROM verdict ORDER BY 1").fetchall()
    ]


def export_cases(connection: psycopg.Connection[Any], area: str) -> Iterator[dict[str, Any]]:
    rows = connection.execute("SELECT case_key_id, statement_id FROM case_winner WHERE area = %s ORDER BY 1", (area,))
    for case, statement in rows:
        yield {"area": area, "case_key_id": str(case), "statement_id": str(statement)}


def stated_clients(connection: psycopg.Connection[Any], area: str) -> dict[str, list[str]]:
    """Members by anchor as last stated: what the stage did, not what it would do now."""
    rows = connection.execute(
        "SELECT anchor, source_person_id FROM person WHERE area = %s AND anchor IS NOT NULL ORDER BY 1, 2", (area,)
    )
    found: dict[str, list[str]] = {}
    for anchor, member in rows:
        found.setdefault(anchor, []).append(member)
    return found


def _persons(rows: Iterable[Any]) -> Iterator[tuple[UUID, str | None, SourcePerson]]:
    for key_id, first, anchor, revision, stated_at, statement_id, own, block in rows:
        naming = None if block is None else Naming(key_id, revision, stated_at, statement_id, own, bytes(block))
        yield key_id, anchor, SourcePerson(first, naming)
