"""Who looked at what, on whose behalf and why: written and committed before anything is shown. No log, no data.

One row per data subject and look (NEN 7513, Logboek Dataverwerkingen). The rows of an area form a chain: each holds the hash
of the one before it, so that a changed, removed or inserted row shows. `verify` names the first one that does not fit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import dict_row

from samenloop_schemas.ids import canonical_json
from samenloop_views.database import Connection, ViewsDatabase
from samenloop_views.web.viewers import Viewer

DDL = """
CREATE TABLE IF NOT EXISTS web.log_head(area text COLLATE "C" PRIMARY KEY, seq bigint NOT NULL, hash bytea NOT NULL);
CREATE TABLE IF NOT EXISTS web.processing_log(
    area text COLLATE "C", seq bigint, logged_at timestamptz NOT NULL, user_key text NOT NULL, organisation text NOT NULL,
    role text NOT NULL, party text NOT NULL, action text NOT NULL, client_id text NOT NULL, case_id text NOT NULL,
    purpose text NOT NULL, basis text NOT NULL, agreement_version int NOT NULL, outcome text NOT NULL,
    hash bytea NOT NULL, PRIMARY KEY (area, seq));
CREATE INDEX IF NOT EXISTS processing_log_client ON web.processing_log(area, client_id, seq);
CREATE OR REPLACE FUNCTION web.keep_log() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION 'the processing log is only added to'; END$$;
CREATE OR REPLACE TRIGGER keep_log BEFORE UPDATE OR DELETE OR TRUNCATE ON web.processing_log
    FOR EACH STATEMENT EXECUTE FUNCTION web.keep_log();
"""
START = bytes(32)


class Action(StrEnum):
    """NEN 7513: what was done. LIST shows that a person has an overlap, READ everything the viewer may see of it."""

    LIST = "list"
    READ = "read"
    LOG_IN = "log_in"
    LOG_OUT = "log_out"


class Outcome(StrEnum):
    SHOWN = "shown"
    REFUSED = "refused"


class NotLogged(Exception):
    """The row could not be written, so nothing may be shown."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one client. `purpose` and `basis` are codes of the agreement."""

    action: Action
    case_id: str = ""
    client_id: str = ""
    purpose: str = ""
    basis: str = ""
    agreement_version: int = 0
    outcome: Outcome = Outcome.SHOWN


@dataclass(frozen=True, slots=True)
class Logged:
    """The proof that these cases of an area were logged: what opens identities asks for it. Made by `ProcessingLog` only."""

    area: str
    case_ids: frozenset[str]


class ProcessingLog:
    def __init__(self, database: ViewsDatabase) -> None:
        self._database = database

    def prepare(self, connection: Connection) -> None:
        connection.execute(DDL)

    def record(self, viewer: Viewer, looks: Sequence[Look]) -> Logged:
        """Append, commit, and hand out the proof. Raises NotLogged."""
        try:
            with self._database.pool.connection() as connection, connection.transaction():
                self._append(connection, viewer, looks)
        except Exception as error:  # whatever the reason: unlogged is unshown
            raise NotLogged(type(error).__name__) from error
        return Logged(viewer.area, frozenset(look.case_id for look in looks if look.outcome is Outcome.SHOWN))

    def _append(self, connection: Connection, viewer: Viewer, looks: Sequence[Look]) -> None:
        if not looks:
            return
        connection.execute("INSERT INTO web.log_head VALUES (%s, 0, %s) ON CONFLICT DO NOTHING", (viewer.area, START))
        head = connection.execute(
            "SELECT seq, hash FROM web.log_head WHERE area = %s FOR UPDATE", (viewer.area,)
        ).fetchone()
        assert head is not None  # inserted above
        seq, previous = int(head[0]), bytes(head[1])
        rows = []
        for look in looks:
            seq += 1
            row = {
                "area": viewer.area,
                "seq": seq,
                "logged_at": datetime.now(UTC),
                "user_key": viewer.key,
                "organisation": viewer.organisation,
                "role": viewer.role.value,
                "party": " ".join(viewer.parties),
                **{name: str(value) if isinstance(value, StrEnum) else value for name, value in asdict(look).items()},
            }
            previous = _hash(previous, row)
            rows.append({**row, "hash": previous})
        with connection.cursor() as cursor:
            cursor.executemany(_INSERT, rows)
        connection.execute("UPDATE web.log_head SET seq = %s, hash = %s WHERE area = %s", (seq, previous, viewer.area))


_FIELDS = (
    *("area", "seq", "logged_at", "user_key", "organisation", "role", "party", "action", "client_id", "case_id"),
    *("purpose", "basis", "agreement_version", "outcome"),
)
_INSERT = (
    f"INSERT INTO web.processing_log({', '.join(_FIELDS)}, hash) "  # noqa: S608
    f"VALUES ({', '.join(f'%({name})s' for name in _FIELDS)}, %(hash)s)"
).encode()


def _hash(previous: bytes, row: dict[str, Any]) -> bytes:
    said = {name: row[name].isoformat() if name == "logged_at" else row[name] for name in _FIELDS}
    return hashlib.sha256(previous + canonical_json(said)).digest()


def verify(connection: psycopg.Connection[Any], area: str) -> int | None:
    """The number of the first row that breaks the chain, counting a missing tail as one past the last; None if whole."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows: Iterable[dict[str, Any]] = cursor.execute(
            "SELECT * FROM web.processing_log WHERE area = %s ORDER BY seq", (area,)
        )
        previous, expected = START, 1
        for row in rows:
            row["logged_at"] = row["logged_at"].astimezone(UTC)
            if row["seq"] != expected or bytes(row["hash"]) != _hash(previous, row):
                return expected
            previous, expected = bytes(row["hash"]), expected + 1
        head = cursor.execute("SELECT seq, hash FROM web.log_head WHERE area = %s", (area,)).fetchone()
    at_head = (expected - 1, previous) if expected > 1 or head else None
    return None if at_head == (head and (head["seq"], bytes(head["hash"]))) else expected
