"""What a connector remembers: per case its history and what was stated last, cursors, quarantine, receipts and notices.

Case numbers and rows lie encrypted under the edge secret; keys of tables are keyed hashes. Every method that writes takes the
connection of the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from samenloop_connectors.sdk import account, not_kept
from samenloop_connectors.sdk.connector import Cursor, Payload
from samenloop_connectors.sdk.errors import ConfigurationError
from samenloop_connectors.sdk.history import History, Run
from samenloop_connectors.sdk.parts import Part, Parts, payloads
from samenloop_producers.keys import EdgeKeys
from samenloop_producers.outbox import EdgeStore
from samenloop_schemas import ids, sealing

DDL = (
    """
CREATE TABLE IF NOT EXISTS edge_case (
    case_ref TEXT PRIMARY KEY, stream TEXT NOT NULL, body BLOB NOT NULL, seen_in INTEGER NOT NULL DEFAULT 0,
    stated_id TEXT, stated_revision INTEGER, stated_area TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS edge_case_stream ON edge_case (stream, seen_in);
CREATE TABLE IF NOT EXISTS reading (stream TEXT, at INTEGER, complete INTEGER NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (stream, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursor (stream TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS feed (stream TEXT PRIMARY KEY, succeeded_at REAL, failed_at REAL, failure TEXT);
CREATE TABLE IF NOT EXISTS quarantine (stream TEXT, subject TEXT, code TEXT, field TEXT, place TEXT, first_at REAL, last_at REAL,
    times INTEGER, mark TEXT NOT NULL DEFAULT '', discarded_at REAL, discarded_by TEXT, PRIMARY KEY (stream, subject));
CREATE TABLE IF NOT EXISTS reread (stream TEXT PRIMARY KEY, asked_at REAL NOT NULL, asked_by TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS audit (at REAL NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, stream TEXT NOT NULL,
    subject TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS position (topic TEXT, part INTEGER, next INTEGER NOT NULL, PRIMARY KEY (topic, part));
CREATE TABLE IF NOT EXISTS outcome (case_ref TEXT PRIMARY KEY, statement_id TEXT, revision INTEGER, kind TEXT, codes TEXT,
    recorded_ms INTEGER);
CREATE TABLE IF NOT EXISTS unattached (receipt_id TEXT PRIMARY KEY, kind TEXT, codes TEXT, recorded_ms INTEGER);
CREATE TABLE IF NOT EXISTS notice (notice_id TEXT PRIMARY KEY, organisation TEXT, party TEXT, case_refs TEXT, case_id TEXT,
    kind TEXT, change TEXT, deadline TEXT, link TEXT, heard_at REAL);
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, body BLOB NOT NULL);
"""
    + account.DDL
    + ";"
    + not_kept.DDL
)
_PROBE = "edge secret"


@dataclass(slots=True)
class CaseRecord:
    """One case as the edge knows it: its newest legible row, or the parts in which it was told."""

    case_ref: str
    stream: str
    organisation: str
    case_number: str
    history: History = ()
    payload: Payload | None = None
    parts: Parts = field(default_factory=dict)
    stated_id: str | None = None
    stated_revision: int = 0
    stated_area: str | None = None


class State:
    """The connector's tables in an `EdgeStore`. Raises ConfigurationError when the file was made under another edge secret."""

    def __init__(self, store: EdgeStore, keys: EdgeKeys) -> None:
        self.store = store
        self._keys = keys
        with store.transaction() as db:
            row = db.execute("SELECT body FROM about WHERE name = ?", (_PROBE,)).fetchone()
            if row is None:
                db.execute("INSERT INTO about VALUES (?, ?)", (_PROBE, keys.lock(_PROBE, b"ok")))
            else:
                self._open(_PROBE, row[0])

    def _open(self, place: str, body: bytes) -> bytes:
        try:
            return self._keys.unlock(place, body)
        except sealing.NotOpened:
            raise ConfigurationError(
                f"{self.store.path} was made under another edge secret (SAMENLOOP_EDGE_SECRET), or is damaged"
            ) from None

    def load(self, case_ref: str) -> CaseRecord | None:
        row = self.store.connection.execute(
            "SELECT stream, body, stated_id, stated_revision, stated_area FROM edge_case WHERE case_ref = ?",
            (case_ref,),
        ).fetchone()
        return self._record(case_ref, *row) if row else None

    def _record(
        self, case_ref: str, stream: str, body: bytes, stated: str | None, revision: int | None, area: str | None
    ) -> CaseRecord:
        plain = json.loads(self._open(f"case {case_ref}", body))
        runs = tuple(Run(*run) for run in plain["runs"])
        return CaseRecord(
            case_ref,
            stream,
            plain["organisation"],
            plain["case_number"],
            runs,
            plain["payload"],
            {name: Part(version, payload) for name, (version, payload) in plain.get("parts", {}).items()},
            stated,
            revision or 0,
            area,
        )

    def save(self, db: sqlite3.Connection, case: CaseRecord, seen_in: int) -> None:
        runs = [[run.first, run.last, run.version, run.digest] for run in case.history]
        plain = {
            "organisation": case.organisation,
            "case_number": case.case_number,
            "runs": runs,
            "payload": case.payload,
            "parts": {name: [part.version, part.payload] for name, part in case.parts.items()},
        }
        body = self._keys.lock(f"case {case.case_ref}", ids.canonical_json(plain))
        db.execute(
            "INSERT OR REPLACE INTO edge_case VALUES (?, ?, ?, ?, ?, ?, ?)",
            (case.case_ref, case.stream, body, seen_in, case.stated_id, case.stated_revision, case.stated_area),
        )

    def unseen(self, stream: str, seen_in: int, limit: int) -> list[CaseRecord]:
        """Cases of a stream that a pass over it has not come upon."""
        rows = self.store.connection.execute(
            "SELECT case_ref, stream, body, stated_id, stated_revision, stated_area FROM edge_case "
            "WHERE stream = ? AND seen_in <> ? LIMIT ?",
            (stream, seen_in, limit),
        )
        return [self._record(*row) for row in rows]

    def told(self, stream: str) -> Iterator[tuple[str, str, Mapping[str, Payload]]]:
        """The cases of a stream that are told in parts, one by one: for what can be found in no other way."""
        refs = self.store.connection.execute("SELECT case_ref FROM edge_case WHERE stream = ?", (stream,)).fetchall()
        for (case_ref,) in refs:
            case = self.load(case_ref)
            if case is not None and case.parts:
                yield case.organisation, case.case_number, payloads(case.parts)

    def case_count(self) -> int:
        return int(self.store.connection.execute("SELECT count(*) FROM edge_case").fetchone()[0])

    def cursor(self, stream: str) -> Cursor | None:
        row = self.store.connection.execute("SELECT body FROM cursor WHERE stream = ?", (stream,)).fetchone()
        return json.loads(self._open(f"cursor {stream}", row[0])) if row else None

    def save_cursor(self, db: sqlite3.Connection, stream: str, cursor: Cursor) -> None:
        body = self._keys.lock(f"cursor {stream}", ids.canonical_json(dict(cursor)))
        db.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?)", (stream, body))

    def readings(self, stream: str) -> Mapping[int, str]:
        rows = self.store.connection.execute("SELECT at, digest FROM reading WHERE stream = ?", (stream,))
        return dict(rows.fetchall())

    def complete_readings(self, stream: str) -> list[int]:
        rows = self.store.connection.execute(
            "SELECT at FROM reading WHERE stream = ? AND complete ORDER BY at", (stream,)
        )
        return [row[0] for row in rows]

    def save_reading(self, db: sqlite3.Connection, stream: str, at: int, complete: bool, digest: str) -> None:
        db.execute("INSERT OR REPLACE INTO reading VALUES (?, ?, ?, ?)", (stream, at, complete, digest))

    def succeeded(self, db: sqlite3.Connection, stream: str, at: float) -> None:
        db.execute(
            "INSERT INTO feed VALUES (?, ?, NULL, NULL) ON CONFLICT (stream) DO UPDATE SET succeeded_at = ?, failure = NULL",
            (stream, at, at),
        )

    def failed(self, db: sqlite3.Connection, stream: str, at: float, failure: str) -> None:
        db.execute(
            "INSERT INTO feed VALUES (?, NULL, ?, ?) ON CONFLICT (stream) DO UPDATE SET failed_at = ?, failure = ?",
            (stream, at, failure, at, failure),
        )

    def quarantine(
        self,
        db: sqlite3.Connection,
        stream: str,
        subject: str,
        code: str,
        field: str,
        place: str,
        now: float,
        mark: str = "",
    ) -> bool:
        """Remember that something could not be read; returns whether that is news.

        `mark` is a keyed hash of what could not be read, when that is known: what was discarded stays so until it changes.
        """
        known = db.execute(
            "SELECT code, field, mark FROM quarantine WHERE stream = ? AND subject = ?", (stream, subject)
        ).fetchone()
        db.execute(
            "INSERT INTO quarantine (stream, subject, code, field, place, first_at, last_at, times, mark) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT (stream, subject) DO UPDATE SET "
            "code = excluded.code, field = excluded.field, place = excluded.place, last_at = excluded.last_at, "
            "mark = excluded.mark, times = times + 1, "
            "discarded_at = CASE WHEN (code, field, mark) = (excluded.code, excluded.field, excluded.mark) "
            "THEN discarded_at END",
            (stream, subject, code, field, place, now, now, mark),
        )
        return known is None or tuple(known) != (code, field, mark)

    def release(self, db: sqlite3.Connection, stream: str, subject: str) -> None:
        db.execute("DELETE FROM quarantine WHERE stream = ? AND subject = ?", (stream, subject))

    def release_unmet(self, db: sqlite3.Connection, stream: str, since: float) -> None:
        """After the newest complete reading of a stream: what it did not show any more is no longer set aside."""
        db.execute("DELETE FROM quarantine WHERE stream = ? AND last_at < ?", (stream, since))

    def set_aside_count(self) -> int:
        """Without what was discarded."""
        row = self.store.connection.execute("SELECT count(*) FROM quarantine WHERE discarded_at IS NULL").fetchone()
        return int(row[0])

    def reread(self) -> frozenset[str]:
        """The streams that somebody asked to have read from their beginning."""
        return frozenset(row[0] for row in self.store.connection.execute("SELECT stream FROM reread"))

    def was_reread(self, db: sqlite3.Connection, stream: str) -> None:
        db.execute("DELETE FROM reread WHERE stream = ?", (stream,))
