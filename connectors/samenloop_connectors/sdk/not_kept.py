"""Rows of which nothing may stay: without consent, or taken out of the register.

Of such a row the edge keeps the case's keyed reference, the reading and the version, and why it was refused: enough to count
it, and to take a case back in whatever order rows come. Among the sightings of a case it is one like any other, with a digest
that says nothing of its content.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from samenloop_connectors.sdk.history import UNREAD, History, Run, see

DDL = """
CREATE TABLE IF NOT EXISTS not_kept (case_ref TEXT, at INTEGER, stream TEXT NOT NULL, version INTEGER NOT NULL,
    code TEXT NOT NULL, PRIMARY KEY (case_ref, at)) WITHOUT ROWID
"""
_MARK = "-"


def digest(version: int) -> str:
    """One per version, so that neighbours are never joined into a run whose version is that of its first."""
    return f"{_MARK}{version}"


def takes_back(run: Run | None) -> bool:
    return run is not None and run.digest.startswith(_MARK)


def note(db: sqlite3.Connection, case_ref: str, stream: str, at: int, version: int, code: str) -> bool:
    """Remember that a reading showed such a row; returns whether that is news."""
    made = db.execute("INSERT OR IGNORE INTO not_kept VALUES (?, ?, ?, ?, ?)", (case_ref, at, stream, version, code))
    return made.rowcount > 0


def recall(db: sqlite3.Connection, case_ref: str, readings: Sequence[int]) -> History:
    """The history of a case that is only now told in a row which may be kept."""
    history: History = ()
    rows = db.execute("SELECT at, version FROM not_kept WHERE case_ref = ? ORDER BY at", (case_ref,)).fetchall()
    for at, version in rows:
        history = see(history, readings, at, version, digest(version))
    return history


def lift(db: sqlite3.Connection, case_ref: str, at: int) -> None:
    """A reading that is read again shows a row which may be kept, since the configuration changed."""
    db.execute("DELETE FROM not_kept WHERE case_ref = ? AND at = ?", (case_ref, at))


def anew(history: History, at: int, *, kept: bool) -> History:
    """The history without what this reading showed before, when that was judged otherwise: the last judgement counts."""
    return tuple(
        run for run in history if run.first != at or run.last != at or run.digest == UNREAD or takes_back(run) != kept
    )


def refused(connection: sqlite3.Connection) -> dict[str, int]:
    """How many rows were refused, by reason. A row that is refused again in a later file counts again."""
    return dict(connection.execute("SELECT code, count(*) FROM not_kept WHERE code <> '' GROUP BY code").fetchall())
