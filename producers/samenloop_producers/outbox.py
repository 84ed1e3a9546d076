"""The edge's store: statements that wait for the broker, beside the state of whoever wrote them, in one SQLite file.

What is said and how far the source was read change in one transaction, on disk before it returns (WAL, synchronous=FULL). So
a kill at any point loses nothing and says nothing twice in two ways. Nothing personal lies in the file in clear: identities
are sealed, refs are keyed hashes, and whatever a connector keeps goes through `EdgeKeys.lock`.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from samenloop_producers.errors import ConfigurationError
from samenloop_schemas.headers import Headers

FILE_NAME = "edge.sqlite"
_BUSY_MS = 60_000
_DDL = """
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, topic TEXT NOT NULL, key BLOB NOT NULL,
    value BLOB NOT NULL, headers TEXT NOT NULL, time_ms INTEGER NOT NULL, put_at REAL NOT NULL, parked TEXT
);
"""


@dataclass(frozen=True, slots=True)
class Event:
    """What goes on the wire, byte for byte the same however often it is sent."""

    event_id: UUID
    topic: str
    key: bytes
    value: bytes
    headers: Headers
    time_ms: int


@dataclass(frozen=True, slots=True)
class Waiting:
    seq: int
    event: Event


@dataclass(frozen=True, slots=True)
class OutboxState:
    """`oldest_at` is in seconds since 1970. `parked` counts events that the broker will never take as they are, by reason."""

    pending: int
    oldest_at: float | None
    parked: dict[str, int]


class EdgeStore:
    """One SQLite file, one connection per thread. `ddl` makes the tables of whoever shares the file."""

    def __init__(self, directory: Path, ddl: str = "") -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = directory / FILE_NAME
        self.changed = threading.Event()
        self._ddl = _DDL + ddl
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._opened_lock = threading.Lock()
        with self.transaction() as db:
            for statement in filter(str.strip, self._ddl.split(";")):
                db.execute(statement)

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, for reading."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self.path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
            os.chmod(self.path, 0o600)
            found.execute("PRAGMA journal_mode=WAL")
            found.execute("PRAGMA synchronous=FULL")
            found.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            found.execute("PRAGMA temp_store=MEMORY")
            self._local.connection = found
            with self._opened_lock:
                self._opened.append(found)
        return found

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on disk when it returns."""
        db = self.connection
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
        self.changed.set()

    def put(self, db: sqlite3.Connection, events: Iterable[Event], now: Callable[[], float] = time.time) -> None:
        """Add events inside the caller's transaction; they are sent in this order."""
        db.executemany(
            "INSERT INTO outbox (event_id, topic, key, value, headers, time_ms, put_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(str(e.event_id), e.topic, e.key, e.value, _headers_to_text(e.headers), e.time_ms, now()) for e in events],
        )

    def waiting(self, limit: int) -> list[Waiting]:
        """The oldest events that the broker has not confirmed."""
        rows = self.connection.execute(
            "SELECT seq, event_id, topic, key, value, headers, time_ms FROM outbox WHERE parked IS NULL ORDER BY seq LIMIT ?",
            (limit,),
        )
        return [
            Waiting(seq, Event(UUID(event_id), topic, key, value, _headers_from_text(headers), time_ms))
            for seq, event_id, topic, key, value, headers, time_ms in rows
        ]

    def confirm(self, seqs: Sequence[int]) -> None:
        """The broker has these: only now they may go."""
        with self.transaction() as db:
            db.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in seqs])

    def park(self, seq: int, reason: str) -> None:
        """Keep an event that can never be delivered as it is out of the way of the others, in sight."""
        with self.transaction() as db:
            db.execute("UPDATE outbox SET parked = ? WHERE seq = ?", (reason, seq))

    def outbox_state(self) -> OutboxState:
        db = self.connection
        pending, oldest = db.execute("SELECT count(*), min(put_at) FROM outbox WHERE parked IS NULL").fetchone()
        parked = db.execute("SELECT parked, count(*) FROM outbox WHERE parked IS NOT NULL GROUP BY parked").fetchall()
        return OutboxState(pending, oldest, dict(parked))

    def close(self) -> None:
        """Close every thread's connection; call when those threads have ended."""
        with self._opened_lock:
            for connection in self._opened:
                connection.close()
            self._opened.clear()
        self._local = threading.local()


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Two processes on one store would each think they know how far the source was read. Raises ConfigurationError."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock: IO[Any] = (directory / "lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another process already runs on {directory}: stop it, or give this one a state_dir of its own"
            ) from None
        yield


def _headers_to_text(headers: Headers) -> str:
    return json.dumps([[name, value.decode()] for name, value in headers])


def _headers_from_text(text: str) -> Headers:
    return tuple((name, value.encode()) for name, value in json.loads(text))
