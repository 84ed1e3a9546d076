"""The stage's tables: the sets that F is computed from, and nothing derived but the case ids that were ever stated.

Facts stay as they came, under their case's key, with the statement id that binds them; in clear they exist in memory only.
What follows from the sets is computed anew when an area is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from samenloop_processors.agreement import Published, parse_agreement
from samenloop_processors.engine.api import Tx
from samenloop_processors.overlaps.domain.involvements import Involvement
from samenloop_processors.overlaps.domain.state import AreaState
from samenloop_schemas import codec
from samenloop_schemas.records import ClientStatement, ClockDay, Decision, InvolvementFacts

DDL = """
CREATE TABLE IF NOT EXISTS involvement (
    area text COLLATE "C" NOT NULL,
    case_key_id uuid NOT NULL,
    statement_id uuid NOT NULL,
    revision bigint NOT NULL,
    stated_at timestamptz NOT NULL,
    first_stated_at timestamptz NOT NULL,
    counted_since timestamptz,
    facts bytea NOT NULL,
    PRIMARY KEY (area, case_key_id)
);
CREATE TABLE IF NOT EXISTS erased (
    area text COLLATE "C" NOT NULL,
    involvement_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (area, involvement_id)
);
CREATE TABLE IF NOT EXISTS client (
    area text COLLATE "C" NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    members text[] NOT NULL,
    PRIMARY KEY (area, client_id)
);
CREATE TABLE IF NOT EXISTS agreement (
    area text COLLATE "C" NOT NULL,
    version int NOT NULL,
    published_on date NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (area, version)
);
CREATE TABLE IF NOT EXISTS delivery (
    area text COLLATE "C" NOT NULL,
    place int NOT NULL,
    decision bytea NOT NULL,
    PRIMARY KEY (area, place)
);
CREATE TABLE IF NOT EXISTS clock_day (
    area text COLLATE "C" NOT NULL,
    day date NOT NULL,
    event bytea NOT NULL,
    PRIMARY KEY (area, day)
);
CREATE TABLE IF NOT EXISTS case_id (
    area text COLLATE "C" NOT NULL,
    case_id text COLLATE "C" NOT NULL,
    anchor text COLLATE "C" NOT NULL,
    PRIMARY KEY (area, case_id)
);
"""

_WRITE_INVOLVEMENTS = """INSERT INTO involvement SELECT * FROM unnest(%s::text[], %s::uuid[], %s::uuid[], %s::bigint[],
    %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::bytea[])
ON CONFLICT (area, case_key_id) DO UPDATE SET statement_id = excluded.statement_id, revision = excluded.revision,
    stated_at = excluded.stated_at, first_stated_at = excluded.first_stated_at, counted_since = excluded.counted_since,
    facts = coalesce(nullif(excluded.facts, ''), involvement.facts)"""
_WRITE_CLIENTS = """INSERT INTO client SELECT %s, c, v, string_to_array(m, ' ')
FROM unnest(%s::text[], %s::bigint[], %s::text[]) AS x(c, v, m)
ON CONFLICT (area, client_id) DO UPDATE SET version = excluded.version, members = excluded.members"""
_CHUNK = 5000

Open = Callable[[Sequence[tuple[UUID, UUID, bytes]]], list[InvolvementFacts | None]]
"""Opens facts given as (case key id, statement id, block); None where the key was destroyed."""


@dataclass(slots=True)
class Changes:
    """What one batch changed in one area; the last word on each row counts."""

    involvements: dict[UUID, tuple[Involvement, bytes]] = field(default_factory=dict)
    """With the new facts, or b"" when only older statements of the case came in."""
    gone: set[UUID] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    clients: dict[str, ClientStatement] = field(default_factory=dict)
    agreements: list[Published] = field(default_factory=list)
    deliveries: list[Decision] = field(default_factory=list)
    days: list[ClockDay] = field(default_factory=list)


def write(tx: Tx, state: AreaState, changes: Changes, new_ids: dict[str, str]) -> None:
    """Everything a batch changed in an area; one statement per table."""
    area = state.area
    if rows := [(area, *_involvement_row(i, facts)) for i, facts in changes.involvements.values()]:
        tx.execute(_WRITE_INVOLVEMENTS, _columns(rows))
    if changes.gone:
        tx.execute("DELETE FROM involvement WHERE area = %s AND case_key_id = ANY(%s)", (area, list(changes.gone)))
    if changes.erased:
        tx.execute(
            "INSERT INTO erased SELECT %s, * FROM unnest(%s::text[]) ON CONFLICT DO NOTHING",
            (area, list(changes.erased)),
        )
    if changes.clients:
        of_clients = [(c.client_id, c.subject_version, " ".join(c.members)) for c in changes.clients.values()]
        tx.execute(_WRITE_CLIENTS, (area, *_columns(of_clients)))
    for published in changes.agreements:
        row = (area, published.agreement.version, published.published_on, published.agreement.text())
        tx.execute("INSERT INTO agreement VALUES (%s, %s, %s, %s)", row)
    if changes.deliveries:
        first = state.ledger.length - len(changes.deliveries)
        places = list(range(first, state.ledger.length))
        blocks = [codec.encode(decision) for decision in changes.deliveries]
        tx.execute("INSERT INTO delivery SELECT %s, * FROM unnest(%s::int[], %s::bytea[])", (area, places, blocks))
    if changes.days:
        days, events = [d.day for d in changes.days], [codec.encode(d) for d in changes.days]
        tx.execute("INSERT INTO clock_day SELECT %s, * FROM unnest(%s::date[], %s::bytea[])", (area, days, events))
    if new_ids:
        ids = (area, list(new_ids), list(new_ids.values()))
        tx.execute("INSERT INTO case_id SELECT %s, * FROM unnest(%s::text[], %s::text[]) ON CONFLICT DO NOTHING", ids)


def load(connection: psycopg.Connection[Any], area: str, open_facts: Open) -> AreaState:
    """One area from its tables: the same state as before, since it depends on the sets alone."""
    state = AreaState(area)

    def rows(query: str) -> Iterator[tuple[Any, ...]]:
        with connection.cursor(binary=True) as cursor:
            cursor.execute(query.encode(), (area,))
            while chunk := cursor.fetchmany(_CHUNK):
                yield from chunk

    for text, published_on in rows("SELECT text, published_on FROM agreement WHERE area = %s"):
        state.publish(Published(parse_agreement(text), published_on))
    for (event,) in rows("SELECT event FROM clock_day WHERE area = %s ORDER BY day"):
        state.begin_day(codec.decode(bytes(event), ClockDay))
    for (fact,) in rows("SELECT involvement_id FROM erased WHERE area = %s"):
        state.erase(fact)
    for client_id, version, members in rows("SELECT client_id, version, members FROM client WHERE area = %s"):
        state.state_client(ClientStatement(area, client_id, version, "", tuple(members)))
    for (decision,) in rows("SELECT decision FROM delivery WHERE area = %s ORDER BY place"):
        state.deliver(codec.decode(bytes(decision), Decision))
    for involvement in _involvements(connection, area, open_facts):
        state.state_involvement(involvement)
    state.restore_stated(dict(rows("SELECT case_id, anchor FROM case_id WHERE area = %s")))
    state.settle()
    return state


def areas(connection: psycopg.Connection[Any]) -> list[str]:
    query = "SELECT area FROM involvement UNION SELECT area FROM client UNION SELECT area FROM clock_day ORDER BY area"
    return [area for (area,) in connection.execute(query)]


def _involvements(connection: psycopg.Connection[Any], area: str, open_facts: Open) -> Iterator[Involvement]:
    query = """SELECT case_key_id, statement_id, facts, revision, stated_at, first_stated_at, counted_since
        FROM involvement WHERE area = %s"""
    with connection.cursor(binary=True) as cursor:
        cursor.execute(query, (area,))
        while chunk := cursor.fetchmany(_CHUNK):
            opened = open_facts([(key, statement, bytes(block)) for key, statement, block, *_ in chunk])
            for facts, (key, statement, _, revision, stated_at, first, since) in zip(opened, chunk, strict=True):
                if facts is not None:
                    yield Involvement(key, (revision, stated_at, statement), facts, first, since)


def _involvement_row(involvement: Involvement, facts: bytes) -> tuple[Any, ...]:
    revision, stated_at, statement_id = involvement.order
    first, since = involvement.first_stated_at, involvement.counted_since
    return involvement.case_key_id, statement_id, revision, stated_at, first, since, facts


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
