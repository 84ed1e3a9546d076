"""The tables of the views and how a digest goes into them: per key the winner stays, whatever is in there already.

Read by the web and the notifier. Personal columns (`facts`, `identity`) are ciphertext; `statement` columns hold the record
as it travelled, so that a reader decodes it with the language's own codec.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg

from samenloop_processors.engine.api import Tx
from samenloop_processors.views.domain import GONE, Digest, on_show
from samenloop_schemas import codec
from samenloop_schemas.codes import DecisionKind
from samenloop_schemas.records import (
    AcceptedStatement,
    AgreementPublished,
    ClientStatement,
    ClockDay,
    Decision,
    NoticeSent,
    OverlapStatement,
)

CHANGED = "samenloop_changed"
"""The channel on which an area is named when something in it changed."""

DDL = """
CREATE TABLE IF NOT EXISTS involvement(
    area text COLLATE "C", case_key_id uuid, statement_id uuid NOT NULL, partner text NOT NULL,
    revision bigint NOT NULL, stated_at timestamptz NOT NULL, recorded_at timestamptz NOT NULL,
    agreement_version int NOT NULL, person_key_id uuid NOT NULL, facts bytea NOT NULL, PRIMARY KEY (area, case_key_id));
CREATE TABLE IF NOT EXISTS identity(
    area text COLLATE "C", case_key_id uuid, person_key_id uuid, related bool, statement_id uuid NOT NULL,
    stated_at timestamptz NOT NULL, identity_revision bigint NOT NULL, identity bytea NOT NULL,
    PRIMARY KEY (area, case_key_id, person_key_id, related));
CREATE INDEX IF NOT EXISTS identity_person ON identity(area, person_key_id);
CREATE TABLE IF NOT EXISTS feed(
    area text COLLATE "C", partner text COLLATE "C", heard_at timestamptz NOT NULL, PRIMARY KEY (area, partner));
CREATE TABLE IF NOT EXISTS client(
    area text COLLATE "C", client_id text COLLATE "C", version bigint NOT NULL, statement bytea NOT NULL,
    PRIMARY KEY (area, client_id));
CREATE TABLE IF NOT EXISTS overlap_case(
    area text COLLATE "C", case_id text COLLATE "C", version bigint NOT NULL, kind text NOT NULL, state text NOT NULL,
    on_show bool NOT NULL, client_id text COLLATE "C" NOT NULL, anchor text NOT NULL, episode_to date,
    detected_at timestamptz NOT NULL,
    contact_by date, statement bytea NOT NULL, PRIMARY KEY (area, case_id));
CREATE TABLE IF NOT EXISTS case_party(
    area text COLLATE "C", party text COLLATE "C", case_id text COLLATE "C", PRIMARY KEY (area, party, case_id));
CREATE INDEX IF NOT EXISTS case_party_case ON case_party(area, case_id);
CREATE TABLE IF NOT EXISTS case_fact(
    area text COLLATE "C", case_id text COLLATE "C", involvement_id text COLLATE "C", case_key_id uuid NOT NULL,
    PRIMARY KEY (area, case_id, involvement_id));
CREATE INDEX IF NOT EXISTS case_fact_involvement ON case_fact(area, involvement_id);
CREATE TABLE IF NOT EXISTS known_fact(
    area text COLLATE "C", involvement_id text COLLATE "C", case_key_id uuid NOT NULL,
    PRIMARY KEY (area, involvement_id));
CREATE TABLE IF NOT EXISTS due_notice(
    area text COLLATE "C", notice_id uuid, case_id text COLLATE "C", recipient text COLLATE "C" NOT NULL,
    change text NOT NULL, PRIMARY KEY (area, notice_id, case_id));
CREATE INDEX IF NOT EXISTS due_notice_case ON due_notice(area, case_id);
CREATE TABLE IF NOT EXISTS notice_sent(
    area text COLLATE "C", notice_id uuid, kind text, change text NOT NULL, recipient text COLLATE "C" NOT NULL,
    case_id text COLLATE "C" NOT NULL, decided_at timestamptz NOT NULL, own text[] NOT NULL, statement bytea NOT NULL,
    PRIMARY KEY (area, notice_id, kind));
CREATE INDEX IF NOT EXISTS notice_sent_own ON notice_sent USING gin(own);
CREATE INDEX IF NOT EXISTS notice_sent_case ON notice_sent(area, case_id, recipient);
CREATE TABLE IF NOT EXISTS agreement(
    area text COLLATE "C", version int, statement bytea NOT NULL, PRIMARY KEY (area, version));
CREATE TABLE IF NOT EXISTS decision(
    area text COLLATE "C", decision_id uuid, kind text NOT NULL, decided_at timestamptz NOT NULL,
    facts text[] NOT NULL, statement bytea NOT NULL, PRIMARY KEY (area, decision_id));
CREATE INDEX IF NOT EXISTS decision_facts ON decision USING gin(facts);
CREATE TABLE IF NOT EXISTS clock_day(area text COLLATE "C" PRIMARY KEY, day date NOT NULL, statement bytea NOT NULL);
"""


def put(tx: Tx, digest: Digest) -> None:
    """Bring what is stored up to the digest, and say which areas changed."""
    _put_involvements(tx, digest)
    _put_clients(tx, digest.clients.values())
    _put_cases(tx, digest)
    _put_decisions(tx, digest.decisions.values())
    _put_days(tx, digest)
    if not tx.replaying:
        tx.execute("SELECT pg_notify(%s, area) FROM unnest(%s::text[]) area", (CHANGED, sorted(digest.areas)))


def _put_involvements(tx: Tx, digest: Digest) -> None:
    winners = digest.involvements
    if not winners:
        return
    rows = sorted(winners.values(), key=lambda s: (s.area, s.case_key_id))
    stored = tx.execute(
        """INSERT INTO involvement AS old SELECT * FROM unnest(%s::text[], %s::uuid[], %s::uuid[], %s::text[], %s::bigint[],
               %s::timestamptz[], %s::timestamptz[], %s::int[], %s::uuid[], %s::bytea[])
           ON CONFLICT (area, case_key_id) DO UPDATE SET statement_id = excluded.statement_id, partner = excluded.partner,
               revision = excluded.revision, stated_at = excluded.stated_at, recorded_at = excluded.recorded_at,
               agreement_version = excluded.agreement_version, person_key_id = excluded.person_key_id,
               facts = excluded.facts
           WHERE (excluded.revision, excluded.stated_at, excluded.statement_id)
               > (old.revision, old.stated_at, old.statement_id)
           RETURNING area, case_key_id""",
        _columns(
            10,
            (
                (
                    *(s.area, s.case_key_id, s.statement_id, s.partner, s.revision, s.stated_at, s.recorded_at),
                    *(s.agreement_version, s.person_key_id, s.facts),
                )
                for s in rows
            ),
        ),
    ).fetchall()
    tx.execute(
        "DELETE FROM identity USING unnest(%s::text[], %s::uuid[]) won(area, case_key_id) "
        "WHERE identity.area = won.area AND identity.case_key_id = won.case_key_id",
        _columns(2, stored),
    )
    tx.execute(
        "INSERT INTO identity SELECT * FROM unnest(%s::text[], %s::uuid[], %s::uuid[], %s::bool[], %s::uuid[], "
        "%s::timestamptz[], %s::bigint[], %s::bytea[])",
        _columns(8, (row for key in stored for row in identity_rows(winners[key]))),
    )
    tx.execute(
        """INSERT INTO feed AS old SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[])
           ON CONFLICT (area, partner) DO UPDATE SET heard_at = excluded.heard_at
           WHERE excluded.heard_at > old.heard_at""",
        _columns(3, ((*feed, heard) for feed, heard in sorted(digest.heard.items()))),
    )


def identity_rows(statement: AcceptedStatement) -> list[tuple[Any, ...]]:
    """The identities that a statement carries, its own and those of related persons, still under their keys."""
    found = {}
    if statement.identity is not None:
        found[statement.person_key_id, False] = (statement.identity_revision, statement.identity)
    for person in statement.related:
        key = person.person_key_id, True
        found[key] = max(found.get(key, (-1, b"")), (person.identity_revision, person.identity))
    return [
        (statement.area, statement.case_key_id, person, related, statement.statement_id, statement.stated_at, *block)
        for (person, related), block in found.items()
    ]


def _put_clients(tx: Tx, clients: Iterable[ClientStatement]) -> None:
    rows = [(c.area, c.client_id, c.subject_version, codec.encode(c)) for c in clients]
    if rows:
        tx.execute(
            """INSERT INTO client AS old SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bytea[])
               ON CONFLICT (area, client_id) DO UPDATE SET version = excluded.version, statement = excluded.statement
               WHERE excluded.version > old.version""",
            _columns(4, sorted(rows)),
        )


def _put_cases(tx: Tx, digest: Digest) -> None:
    cases = digest.cases
    if not cases:
        return
    stored = tx.execute(
        """INSERT INTO overlap_case AS old SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[],
               %s::bool[], %s::text[], %s::text[], %s::date[], %s::timestamptz[], %s::date[], %s::bytea[])
           ON CONFLICT (area, case_id) DO UPDATE SET version = excluded.version, kind = excluded.kind,
               state = excluded.state, on_show = excluded.on_show,
               client_id = excluded.client_id, anchor = excluded.anchor, episode_to = excluded.episode_to,
               detected_at = excluded.detected_at, contact_by = excluded.contact_by, statement = excluded.statement
           WHERE excluded.version > old.version
           RETURNING area, case_id""",
        _columns(
            12,
            (
                (
                    *(c.area, c.case_id, c.subject_version, c.kind.value, c.state.value, on_show(c)),
                    *(c.client_id, c.anchor, c.episode_to, c.detected_at, c.contact_by, codec.encode(c)),
                )
                for c in (case for _, case in sorted(cases.items()))
            ),
        ),
    ).fetchall()
    for table in ("case_party", "case_fact", "due_notice"):
        tx.execute(
            f"DELETE FROM {table} old USING unnest(%s::text[], %s::text[]) won(area, case_id) "  # noqa: S608
            "WHERE old.area = won.area AND old.case_id = won.case_id",
            _columns(2, stored),
        )
    won = [cases[key] for key in stored]
    tx.execute(
        "INSERT INTO case_party SELECT * FROM unnest(%s::text[], %s::text[], %s::text[])",
        _columns(3, ((c.area, party, c.case_id) for c in won for party in sorted({f.party for f in c.facts}))),
    )
    facts = {(c.area, c.case_id, f.involvement_id): f.case_key_id for c in won for f in c.facts}
    tx.execute(
        "INSERT INTO case_fact SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::uuid[])",
        _columns(4, ((*key, case_key) for key, case_key in facts.items())),
    )
    tx.execute(
        "INSERT INTO known_fact SELECT * FROM unnest(%s::text[], %s::text[], %s::uuid[]) ON CONFLICT DO NOTHING",
        _columns(3, ((*key, case_key) for key, case_key in sorted(digest.known_facts.items()))),
    )
    due = {(c.area, d.notice_id, c.case_id): (d.recipient, d.change.value) for c in won for d in c.due}
    tx.execute(
        "INSERT INTO due_notice SELECT * FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::text[], %s::text[])",
        _columns(5, ((*key, *rest) for key, rest in due.items())),
    )


def _put_decisions(tx: Tx, decisions: Iterable[Decision]) -> None:
    agreements, notices, others = [], [], []
    for d in decisions:
        body = codec.encode(d)
        if isinstance(d.payload, AgreementPublished) and d.kind is DecisionKind.AGREEMENT_PUBLISHED:
            agreements.append((d.area, d.payload.version, body))
        elif isinstance(d.payload, NoticeSent):
            sent = d.payload
            notices.append(
                (
                    *(d.area, sent.notice_id, d.kind.value, sent.change.value, sent.recipient, sent.case_id),
                    *(d.decided_at, json.dumps(sorted({fact for b in sent.about for fact in b.own})), body),
                )
            )
        else:
            others.append((d.area, d.decision_id, d.kind.value, d.decided_at, json.dumps(d.facts), body))
    if agreements:
        tx.execute(
            "INSERT INTO agreement SELECT * FROM unnest(%s::text[], %s::int[], %s::bytea[]) ON CONFLICT DO NOTHING",
            _columns(3, agreements),
        )
    if notices:
        tx.execute(
            "INSERT INTO notice_sent SELECT area, notice_id, kind, change, recipient, case_id, at, "
            "ARRAY(SELECT jsonb_array_elements_text(own::jsonb)), body "
            "FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], "
            "%s::text[], %s::bytea[]) u(area, notice_id, kind, change, recipient, case_id, at, own, body) "
            "ON CONFLICT DO NOTHING",
            _columns(9, notices),
        )
    if others:
        tx.execute(
            "INSERT INTO decision SELECT area, id, kind, at, ARRAY(SELECT jsonb_array_elements_text(facts::jsonb)), body "
            "FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::timestamptz[], %s::text[], %s::bytea[]) "
            "u(area, id, kind, at, facts, body) ON CONFLICT DO NOTHING",
            _columns(6, others),
        )


def _put_days(tx: Tx, digest: Digest) -> None:
    if digest.days:
        tx.execute(
            """INSERT INTO clock_day AS old SELECT * FROM unnest(%s::text[], %s::date[], %s::bytea[])
               ON CONFLICT (area) DO UPDATE SET day = excluded.day, statement = excluded.statement
               WHERE excluded.day > old.day""",
            _columns(3, ((d.area, d.day, codec.encode(d)) for _, d in sorted(digest.days.items()))),
        )


def _columns(width: int, rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Rows as one array per column, for `unnest`; empty arrays when there are no rows."""
    columns: list[list[Any]] = [[] for _ in range(width)]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return columns


def export(connection: psycopg.Connection[Any], area: str | None) -> Iterator[dict[str, Any]]:
    """The state F that the tables hold. Left out: versions, deliveries, key ids (random), ids that only redirect
    (emptied clients, vanished cases) and `known_fact`, which remembers superseded statements too."""

    def rows(query: str) -> Iterator[dict[str, Any]]:
        with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            yield from cursor.stream(query.encode(), {"area": area})

    of_area = "(%(area)s::text IS NULL OR area = %(area)s)"
    for row in rows(
        f"SELECT area, statement_id, partner, revision, stated_at, recorded_at, agreement_version, "  # noqa: S608
        f"(SELECT count(*) FROM identity i WHERE i.area = v.area AND i.case_key_id = v.case_key_id) AS identities "
        f"FROM involvement v WHERE {of_area} ORDER BY area, statement_id"
    ):
        yield {"table": "involvement", **_plain(row)}
    for row in rows(f"SELECT area, partner, heard_at FROM feed WHERE {of_area} ORDER BY area, partner"):  # noqa: S608
        yield {"table": "feed", **_plain(row)}
    for row in rows(f"SELECT statement FROM client WHERE {of_area} ORDER BY area, client_id"):  # noqa: S608
        client = codec.decode(row["statement"], ClientStatement)
        if client.members:
            yield {"table": "client", **_without(codec.to_plain(client), "subject_version")}
    for row in rows(f"SELECT statement FROM overlap_case WHERE {of_area} ORDER BY area, case_id"):  # noqa: S608
        case = codec.decode(row["statement"], OverlapStatement)
        if case.state not in GONE or case.due:
            plain = _without(codec.to_plain(case), "subject_version", "told")
            plain["facts"] = [_without(fact, "case_key_id") for fact in plain["facts"]]
            yield {"table": "overlap_case", **plain}
    for row in rows(f"SELECT area, version, statement FROM agreement WHERE {of_area} ORDER BY area, version"):  # noqa: S608
        yield {"table": "agreement", **codec.to_plain(codec.decode(row["statement"], Decision))}
    for row in rows(f"SELECT statement FROM decision WHERE {of_area} ORDER BY area, decision_id"):  # noqa: S608
        yield {"table": "decision", **codec.to_plain(codec.decode(row["statement"], Decision))}
    for row in rows(f"SELECT statement FROM clock_day WHERE {of_area} ORDER BY area"):  # noqa: S608
        yield {"table": "clock_day", **codec.to_plain(codec.decode(row["statement"], ClockDay))}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: codec.to_plain(value) for name, value in row.items()}


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}
