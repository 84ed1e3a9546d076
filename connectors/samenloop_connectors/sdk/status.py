"""How a connector stands, in the partner's own terms. Read beside a running connector.

A partner may run two connectors: each hears the receipts and notices of both, and counts as its own only what names its own
cases. The rest is counted under `elsewhere`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from samenloop_connectors.sdk import account, not_kept, set_aside
from samenloop_connectors.sdk.receipt_words import Language, Reason, of_kind, reason
from samenloop_connectors.sdk.set_aside import Aside
from samenloop_connectors.sdk.state import State
from samenloop_schemas.codes import ReceiptKind


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """`failure` is what went wrong at the last reading; None when that went well."""

    stream: str
    succeeded_at: datetime | None
    failed_at: datetime | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A case whose newest statement the hub refused or set apart, or took with a remark; and what to do about it."""

    organisation: str
    case_number: str
    outcome: str
    codes: tuple[str, ...]
    reasons: tuple[Reason, ...]
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """Something the hub said of the feed as a whole, such as PAUSED."""

    kind: str
    at: datetime
    meaning: str
    advice: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Differing:
    """A case on which hub and source differ; `why` as in `account.Difference`."""

    case_number: str
    why: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What the hub held of an organisation at the end of `day` beside what was stated; see `account.Comparison`."""

    area: str
    organisation: str
    day: str | None
    verdict: str
    """equal, different, or not_counted_yet."""
    hub_count: int
    own_count: int
    hub_hash: str
    own_hash: str
    explained: bool
    later: int
    unknown: int
    differing: tuple[Differing, ...]


@dataclass(frozen=True, slots=True)
class OwnNotice:
    """A notice with the partner's own case numbers. `unknown_refs`: cases of another connector of this partner."""

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
    """`refusals` and `set_aside` are cut at a limit; the counts are not. `elsewhere`: what concerns another connector.
    `rows_refused`: by reason, rows of which nothing was kept or sent, since there is no consent; counted per file."""

    partner: str
    cases: int
    streams: tuple[StreamStatus, ...]
    outbox_pending: int
    outbox_oldest_at: datetime | None
    outbox_parked: dict[str, int]
    outcomes: dict[str, int]
    remarked: int
    unheard: int
    refusals: tuple[Refusal, ...]
    set_aside: tuple[Aside, ...]
    set_aside_open: int
    set_aside_discarded: int
    rows_refused: dict[str, int]
    paused: bool
    messages: tuple[Message, ...]
    reconciliation: tuple[Reconciliation, ...]
    notices: int
    elsewhere: dict[str, int]


def status(
    state: State,
    partner: str,
    limit: int = 100,
    *,
    organisations: Iterable[tuple[str, str]] = (),
    language: Language = "en",
) -> ConnectorStatus:
    """`organisations` are the (area, organisation) that the configuration names. `unheard` counts stated cases without any
    receipt yet, `remarked` accepted ones with a remark."""
    db = state.store.connection
    outbox = state.store.outbox_state()
    own = "outcome WHERE case_ref IN (SELECT case_ref FROM edge_case)"
    outcomes = dict(db.execute(f"SELECT kind, count(*) FROM {own} GROUP BY kind").fetchall())  # noqa: S608  constant
    (remarked,) = db.execute(f"SELECT count(*) FROM {own} AND kind = 'ACCEPTED' AND codes <> ''").fetchone()  # noqa: S608
    (unheard,) = db.execute(
        "SELECT count(*) FROM edge_case LEFT JOIN outcome USING (case_ref) WHERE stated_id IS NOT NULL AND kind IS NULL"
    ).fetchone()
    (others,) = db.execute(
        "SELECT count(*) FROM outcome WHERE case_ref NOT IN (SELECT case_ref FROM edge_case)"
    ).fetchone()
    streams = db.execute("SELECT stream, succeeded_at, failed_at, failure FROM feed ORDER BY stream").fetchall()
    aside = set_aside.listing(state)
    open_ones = [one for one in aside if one.open]
    compared = account.compare(db, organisations)
    messages = _messages(state, language)
    notices, heard = own_notices(state), int(db.execute("SELECT count(*) FROM notice").fetchone()[0])
    return ConnectorStatus(
        partner=partner,
        cases=state.case_count(),
        streams=tuple(StreamStatus(name, _when(good), _when(bad), why) for name, good, bad, why in streams),
        outbox_pending=outbox.pending,
        outbox_oldest_at=_when(outbox.oldest_at),
        outbox_parked=outbox.parked,
        outcomes=outcomes,
        remarked=remarked,
        unheard=unheard,
        refusals=tuple(_refusals(state, limit, language)),
        set_aside=tuple(open_ones[:limit]),
        set_aside_open=len(open_ones),
        set_aside_discarded=len(aside) - len(open_ones),
        rows_refused=not_kept.refused(db),
        paused=bool(messages) and messages[0].kind == ReceiptKind.PAUSED,
        messages=tuple(messages[:10]),
        reconciliation=tuple(_reconciliation(state, one) for one in compared),
        notices=len(notices),
        elsewhere={"cases": others, "notices": heard - len(notices)},
    )


def own_notices(state: State) -> list[OwnNotice]:
    """Every notice heard that names an own case, newest last, with case refs turned back into own case numbers."""
    rows = state.store.connection.execute(
        "SELECT notice_id, organisation, party, case_refs, case_id, kind, change, deadline, link FROM notice ORDER BY rowid"
    ).fetchall()
    notices = []
    for notice_id, organisation, party, refs_text, case_id, kind, change, deadline, link in rows:
        found = [state.load(ref) for ref in json.loads(refs_text)]
        numbers = tuple(case.case_number for case in found if case)
        if numbers:
            unknown = sum(case is None for case in found)
            notices.append(
                OwnNotice(notice_id, organisation, party, numbers, unknown, case_id, kind, change, deadline, link)
            )
    return notices


def _refusals(state: State, limit: int, language: Language) -> list[Refusal]:
    """Newest first."""
    rows = state.store.connection.execute(
        "SELECT case_ref, kind, codes, recorded_ms FROM outcome JOIN edge_case USING (case_ref) "
        "WHERE kind <> 'ACCEPTED' OR codes <> '' ORDER BY kind = 'ACCEPTED', recorded_ms DESC, case_ref LIMIT ?",
        (limit,),
    ).fetchall()
    found = [(state.load(ref), kind, tuple(codes.split()), at) for ref, kind, codes, at in rows]
    return [
        Refusal(
            case.organisation, case.case_number, kind, codes, tuple(reason(code, language) for code in codes),
            datetime.fromtimestamp(at / 1000, UTC),
        )
        for case, kind, codes, at in found
        if case
    ]  # fmt: skip


def _messages(state: State, language: Language) -> list[Message]:
    """Newest first, by the hub's time; of one instant, by hearing."""
    rows = state.store.connection.execute(
        "SELECT kind, codes, recorded_ms FROM unattached ORDER BY recorded_ms DESC, rowid DESC"
    ).fetchall()
    return [
        Message(
            kind,
            datetime.fromtimestamp(at / 1000, UTC),
            of_kind(kind, language).meaning,
            of_kind(kind, language).advice,
            tuple(reason(code, language) for code in codes.split()),
        )
        for kind, codes, at in rows
    ]


def _reconciliation(state: State, one: account.Comparison) -> Reconciliation:
    differing = []
    for difference in one.differences:
        case = state.load(difference.case_ref)
        differing.append(Differing(case.case_number if case else "?", difference.why, difference.codes))
    verdict = "not_counted_yet" if one.day is None else "equal" if one.equal else "different"
    return Reconciliation(
        one.area,
        one.organisation,
        one.day.isoformat() if one.day else None,
        verdict,
        one.hub_count,
        one.own_count,
        one.hub_hash,
        one.own_hash,
        one.explained,
        one.later,
        one.unknown,
        tuple(sorted(differing, key=lambda each: each.case_number)),
    )


def _when(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
