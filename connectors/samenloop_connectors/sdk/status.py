"""How a connector stands, in the partner's own terms. Read beside a running connector."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from samenloop_connectors.sdk.state import State


@dataclass(frozen=True, slots=True)
class StreamStatus:
    stream: str
    succeeded_at: datetime | None
    failed_at: datetime | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class SetAside:
    """Something at the source that could not be read. `place` says where; `case_number` is the partner's own, if known."""

    stream: str
    place: str
    case_number: str | None
    code: str
    field: str
    first_at: datetime
    times: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A case whose newest statement the hub refused, or took with a remark."""

    organisation: str
    case_number: str
    outcome: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnNotice:
    """A notice with the partner's own case numbers."""

    notice_id: str
    organisation: str
    party: str
    case_numbers: tuple[str, ...]
    unknown_refs: int
    case_id: str
    kind: str
    change: str
    deadline: str | None
    link: str


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    partner: str
    cases: int
    streams: tuple[StreamStatus, ...]
    outbox_pending: int
    outbox_oldest_at: datetime | None
    outbox_parked: dict[str, int]
    outcomes: dict[str, int]
    unheard: int
    refusals: tuple[Refusal, ...]
    set_aside: tuple[SetAside, ...]
    messages: dict[str, int]
    notices: int


def status(state: State, partner: str, limit: int = 100) -> ConnectorStatus:
    """`refusals` and `set_aside` hold the first `limit`; `unheard` counts stated cases without any receipt yet."""
    db = state.store.connection
    outbox = state.store.outbox_state()
    outcomes = dict(db.execute("SELECT kind, count(*) FROM outcome GROUP BY kind").fetchall())
    (unheard,) = db.execute(
        "SELECT count(*) FROM edge_case LEFT JOIN outcome USING (case_ref) WHERE stated_id IS NOT NULL AND kind IS NULL"
    ).fetchone()
    streams = db.execute("SELECT stream, succeeded_at, failed_at, failure FROM feed ORDER BY stream").fetchall()
    return ConnectorStatus(
        partner=partner,
        cases=state.case_count(),
        streams=tuple(StreamStatus(name, _when(good), _when(bad), why) for name, good, bad, why in streams),
        outbox_pending=outbox.pending,
        outbox_oldest_at=_when(outbox.oldest_at),
        outbox_parked=outbox.parked,
        outcomes=outcomes,
        unheard=unheard,
        refusals=tuple(_refusals(state, limit)),
        set_aside=tuple(_set_aside(state, limit)),
        messages=dict(db.execute("SELECT kind, count(*) FROM unattached GROUP BY kind").fetchall()),
        notices=db.execute("SELECT count(*) FROM notice").fetchone()[0],
    )


def own_notices(state: State) -> list[OwnNotice]:
    """Every notice heard, newest last, with case refs turned back into the partner's own case numbers."""
    rows = state.store.connection.execute(
        "SELECT notice_id, organisation, party, case_refs, case_id, kind, change, deadline, link FROM notice ORDER BY rowid"
    ).fetchall()
    notices = []
    for notice_id, organisation, party, refs_text, case_id, kind, change, deadline, link in rows:
        found = [state.load(ref) for ref in json.loads(refs_text)]
        numbers = tuple(case.case_number for case in found if case)
        unknown = sum(case is None for case in found)
        notices.append(
            OwnNotice(notice_id, organisation, party, numbers, unknown, case_id, kind, change, deadline, link)
        )
    return notices


def _refusals(state: State, limit: int) -> list[Refusal]:
    rows = state.store.connection.execute(
        "SELECT case_ref, kind, codes FROM outcome WHERE kind <> 'ACCEPTED' OR codes <> '' ORDER BY recorded_ms LIMIT ?",
        (limit,),
    ).fetchall()
    found = [(state.load(ref), kind, codes) for ref, kind, codes in rows]
    return [
        Refusal(case.organisation, case.case_number, kind, tuple(codes.split())) for case, kind, codes in found if case
    ]


def _set_aside(state: State, limit: int) -> list[SetAside]:
    rows = state.store.connection.execute(
        "SELECT stream, subject, place, code, field, first_at, times FROM quarantine ORDER BY first_at LIMIT ?",
        (limit,),
    ).fetchall()
    return [
        SetAside(
            stream, place, case.case_number if (case := state.load(subject)) else None, code, field,
            datetime.fromtimestamp(first, UTC), times,
        )
        for stream, subject, place, code, field, first, times in rows
    ]  # fmt: skip


def _when(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
