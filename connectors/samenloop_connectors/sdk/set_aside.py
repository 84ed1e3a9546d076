"""What was set aside at the edge, and what an operator can do with it: look, have it read or sent again, discard it.

Two kinds: a row or record of the source that could not be read, and a statement that the broker will never take as it is
(parked in the outbox). Every action is written to the table `audit` in the same transaction: when, who, what and for which
reason; never a value.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from samenloop_connectors.sdk.state import State

OUTBOX = "outbox"
DISCARDED = "discarded"
"""What a parked statement is called that was discarded: it stays in the outbox, out of sight."""


@dataclass(frozen=True, slots=True)
class Aside:
    """One thing set aside. `case_number` is the partner's own. `reread`: its stream is read from the beginning next time."""

    id: str
    kind: Literal["source", "outbox"]
    stream: str
    place: str
    case_number: str | None
    code: str
    field: str
    first_at: datetime
    last_at: datetime
    times: int
    discarded_at: datetime | None
    discarded_by: str | None
    reread: bool
    subject: str

    @property
    def open(self) -> bool:
        return self.discarded_at is None


@dataclass(frozen=True, slots=True)
class Audited:
    at: datetime
    actor: str
    action: str
    stream: str
    reason: str
    case_number: str | None


def listing(state: State) -> list[Aside]:
    """Everything set aside, oldest first, what was discarded included."""
    return sorted([*_rows(state), *_parked(state)], key=lambda one: (one.first_at, one.id))


def select(
    items: Sequence[Aside], ids: Collection[str] = (), streams: Collection[str] = (), codes: Collection[str] = ()
) -> list[Aside]:
    """Those that are still open and fit every criterion that was given."""
    return [
        one
        for one in items
        if one.open
        and (not ids or one.id in ids)
        and (not streams or one.stream in streams)
        and (not codes or one.code in codes)
    ]


def retry(state: State, items: Sequence[Aside], actor: str, now: Callable[[], float] = time.time) -> frozenset[str]:
    """Ask to have them read, or sent, again. Returns the streams that the next round reads from their beginning.

    Reading a stream again says nothing twice: what is unchanged makes no new statement.
    """
    streams = frozenset(one.stream for one in items if one.kind == "source")
    with state.store.transaction() as db:
        for stream in streams:
            db.execute("INSERT OR REPLACE INTO reread VALUES (?, ?, ?)", (stream, now(), actor))
        db.executemany(
            "UPDATE outbox SET parked = NULL WHERE seq = ?",
            [(int(one.subject),) for one in items if one.kind == "outbox"],
        )
        _audit(state, items, "retried", actor, now())
    return streams


def discard(state: State, items: Sequence[Aside], actor: str, now: Callable[[], float] = time.time) -> None:
    """Show them no longer, until what lies there changes. They stay counted."""
    with state.store.transaction() as db:
        for one in items:
            if one.kind == "source":
                db.execute(
                    "UPDATE quarantine SET discarded_at = ?, discarded_by = ? WHERE stream = ? AND subject = ?",
                    (now(), actor, one.stream, one.subject),
                )
            else:
                db.execute("UPDATE outbox SET parked = ? WHERE seq = ?", (DISCARDED, int(one.subject)))
        _audit(state, items, "discarded", actor, now())


def audit_trail(state: State) -> list[Audited]:
    """What operators did, oldest first."""
    rows = state.store.connection.execute("SELECT at, actor, action, stream, reason, subject FROM audit ORDER BY rowid")
    return [
        Audited(_when(at), actor, action, stream, reason, _number(state, subject))
        for at, actor, action, stream, reason, subject in rows.fetchall()
    ]


def _audit(state: State, items: Sequence[Aside], action: str, actor: str, at: float) -> None:
    state.store.connection.executemany(
        "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)",
        [
            (at, actor, action, one.stream, _case_ref(state, one), f"{one.code} {one.field}".strip())
            for one in items
        ],
    )  # fmt: skip


def _rows(state: State) -> list[Aside]:
    reread = state.reread()
    rows = state.store.connection.execute(
        "SELECT stream, subject, place, code, field, first_at, last_at, times, discarded_at, discarded_by FROM quarantine"
    ).fetchall()
    return [
        Aside(
            hashlib.sha256(f"{stream}\0{subject}".encode()).hexdigest()[:8], "source", stream, place,
            _number(state, subject), code, field, _when(first), _when(last), times,
            _when(gone) if gone else None, by if gone else None, stream in reread, subject,
        )
        for stream, subject, place, code, field, first, last, times, gone, by in rows
    ]  # fmt: skip


def _parked(state: State) -> list[Aside]:
    rows = state.store.connection.execute(
        "SELECT o.seq, o.topic, o.parked, o.put_at, s.case_ref FROM outbox o LEFT JOIN stated s ON s.statement_id = o.event_id "
        "WHERE o.parked IS NOT NULL"
    ).fetchall()
    return [
        Aside(
            f"{OUTBOX}-{seq}", "outbox", OUTBOX, topic, _number(state, case_ref or ""), parked, "", _when(put), _when(put), 1,
            _when(put) if parked == DISCARDED else None, None, False, str(seq),
        )
        for seq, topic, parked, put, case_ref in rows
    ]  # fmt: skip


def _case_ref(state: State, one: Aside) -> str:
    if one.kind == "source":
        return one.subject
    row = state.store.connection.execute(
        "SELECT s.case_ref FROM outbox o JOIN stated s ON s.statement_id = o.event_id WHERE o.seq = ?",
        (int(one.subject),),
    ).fetchone()
    return row[0] if row else one.id


def _number(state: State, case_ref: str) -> str | None:
    case = state.load(case_ref)
    return case.case_number if case else None


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
