"""The account of a partner: what was stated, what was heard of it, and what the hub says that it holds.

The hub counts what it holds of an organisation at the end of a Dutch day, and says so with the first record of a later day.
Receipts and that count lie in one partition of the log, so what was heard before the count is what it could take in: the own
state *as of that day* is, of each case, the highest statement heard of by then. What came after it is counted as later.

Statements that a newer accepted one has replaced are forgotten with each count, so the tables stay as large as the cases.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from samenloop_connectors.sdk.receipt_words import REMARKS
from samenloop_schemas.codes import ReceiptCode, ReceiptKind, Status
from samenloop_schemas.dates import micros
from samenloop_schemas.reconciliation import hash_of
from samenloop_schemas.records import InvolvementStatement, Receipt

DDL = """
CREATE TABLE IF NOT EXISTS stated (
    statement_id TEXT PRIMARY KEY, area TEXT NOT NULL, organisation TEXT NOT NULL, case_ref TEXT NOT NULL,
    revision INTEGER NOT NULL, stated_us INTEGER NOT NULL, status TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS stated_case ON stated (area, organisation, case_ref);
CREATE TABLE IF NOT EXISTS heard (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, statement_id TEXT NOT NULL, area TEXT NOT NULL, organisation TEXT NOT NULL,
    case_ref TEXT NOT NULL, kind TEXT NOT NULL, codes TEXT NOT NULL, recorded_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS heard_statement ON heard (statement_id, seq);
CREATE TABLE IF NOT EXISTS held (
    area TEXT, organisation TEXT, day TEXT NOT NULL, count INTEGER NOT NULL, sha256 TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (area, organisation)
) WITHOUT ROWID
"""
KEPT_MS = 35 * 86_400_000
"""As long as receipts are kept: what was heard of cases that are not ours (a second connector's) goes after that."""
_SEAL = {ReceiptCode.SEAL_NOT_OPENED, ReceiptCode.SEAL_MISMATCH, ReceiptCode.IDENTITY_MISSING}

NOT_COUNTED, REFUSED, WITHHELD, UNHEARD = "not_counted", "refused", "withheld", "unheard"


@dataclass(frozen=True, slots=True)
class Difference:
    """A case on which the partner and the hub differ. `why`: refused (the hub kept nothing of the statement), withheld (it takes
    the case out, since its newest statement was refused), not_counted (ended, but outside the agreement), quarantined or
    waiting (the hub has not judged it), unheard (no receipt came)."""

    case_ref: str
    why: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the hub held of one organisation in one area, beside what was stated. `day` is None until the hub has counted.

    `explained`: leaving out `differences`, the hashes are the same, so these are all of them. `later` counts statements that
    this count could not yet hold; `unknown` cases of this organisation that the hub knows and this state file does not.
    """

    area: str
    organisation: str
    day: date | None
    hub_count: int
    hub_hash: str
    own_count: int
    own_hash: str
    explained: bool
    later: int
    unknown: int
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        return self.day is not None and self.hub_hash == self.own_hash


@dataclass(frozen=True, slots=True)
class _Said:
    case_ref: str
    statement_id: str
    rank: tuple[int, int, str]
    status: str
    kind: str | None
    codes: tuple[str, ...]

    @property
    def judged(self) -> bool:
        """Whether the hub remembers it. What was refused for want of an agreement never came that far."""
        refused = self.kind == ReceiptKind.REFUSED and ReceiptCode.NO_AGREEMENT not in self.codes
        return refused or self.kind == ReceiptKind.ACCEPTED

    @property
    def counted(self) -> bool:
        """Whether the hub counts it when it is its case's highest. An ENDED that was taken with a refusing code is a mark."""
        refusing = {code for code in self.codes if code not in REMARKS and code not in _SEAL}
        taken = self.kind == ReceiptKind.ACCEPTED and not (self.status == Status.ENDED and refusing)
        return taken and self.status != Status.RETRACTED


def note_stated(db: sqlite3.Connection, said: InvolvementStatement) -> None:
    """In the transaction that puts it into the outbox."""
    db.execute(
        "INSERT OR REPLACE INTO stated VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            str(said.statement_id), said.area, said.organisation, said.case_ref, said.revision, micros(said.stated_at),
            str(said.status),
        ),
    )  # fmt: skip


def note_heard(db: sqlite3.Connection, receipt: Receipt) -> None:
    """A receipt of a statement; one that only repeats the last is no news."""
    codes = " ".join(receipt.codes)
    last = db.execute(
        "SELECT kind, codes FROM heard WHERE statement_id = ? ORDER BY seq DESC LIMIT 1", (str(receipt.statement_id),)
    ).fetchone()
    if last != (str(receipt.kind), codes):
        db.execute(
            "INSERT INTO heard (statement_id, area, organisation, case_ref, kind, codes, recorded_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                str(receipt.statement_id), receipt.area, receipt.organisation, receipt.case_ref, str(receipt.kind), codes,
                micros(receipt.recorded_at) // 1000,
            ),
        )  # fmt: skip


def note_held(db: sqlite3.Connection, receipt: Receipt) -> bool:
    """The hub's count of a day; returns whether it is news. A repeat, or an older day, changes nothing."""
    if receipt.day is None:
        return False
    known = db.execute(
        "SELECT day FROM held WHERE area = ? AND organisation = ?", (receipt.area, receipt.organisation)
    ).fetchone()
    if known and known[0] >= receipt.day.isoformat():
        return False
    (seq,) = db.execute("SELECT coalesce(max(seq), 0) FROM heard").fetchone()
    db.execute(
        "INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?, ?)",
        (receipt.area, receipt.organisation, receipt.day.isoformat(), receipt.held_count, receipt.held_hash, seq),
    )
    _forget(db, receipt.area, receipt.organisation, seq, micros(receipt.recorded_at) // 1000)
    return True


def compare(db: sqlite3.Connection, organisations: Iterable[tuple[str, str]] = ()) -> list[Comparison]:
    """Per (area, organisation) that was stated for, or that is in `organisations`; what is others' is left out."""
    own = {*organisations, *db.execute("SELECT DISTINCT area, organisation FROM stated").fetchall()}
    return [_compare(db, area, organisation) for area, organisation in sorted(own)]


def _compare(db: sqlite3.Connection, area: str, organisation: str) -> Comparison:
    row = db.execute(
        "SELECT day, count, sha256, seq FROM held WHERE area = ? AND organisation = ?", (area, organisation)
    ).fetchone()
    day, hub_count, hub_hash, seq = row or (None, 0, "", 0)
    own: list[str] = []
    hub: list[str] = []
    differences: list[Difference] = []
    unheard: list[Difference] = []
    later = 0
    for case_ref, group in groupby(_said(db, area, organisation, seq), key=lambda said: said.case_ref):
        said = sorted(group, key=lambda one: one.rank)
        later += sum(one.kind is None for one in said)
        known = [one for one in said if one.kind is not None]
        if not known:
            unheard.append(Difference(case_ref, UNHEARD, ()))
            continue
        newest = known[-1]
        judged = next((one for one in reversed(known) if one.judged), None)
        mine = [newest.statement_id] if newest.status != Status.RETRACTED else []
        theirs = [judged.statement_id] if judged and judged.counted else []
        own.extend(mine)
        hub.extend(theirs)
        if mine != theirs:
            differences.append(Difference(case_ref, _why(newest, known), newest.codes))
    explained = hash_of(hub) == hub_hash
    (unknown,) = db.execute(
        "SELECT count(DISTINCT case_ref) FROM heard WHERE area = ? AND organisation = ? AND kind = 'ACCEPTED' "
        "AND case_ref NOT IN (SELECT case_ref FROM stated WHERE area = ? AND organisation = ?)",
        (area, organisation, area, organisation),
    ).fetchone()
    return Comparison(
        area,
        organisation,
        date.fromisoformat(day) if day else None,
        hub_count,
        hub_hash,
        len(own),
        hash_of(own),
        explained,
        later,
        unknown,
        () if day is None else tuple(differences if explained else differences + unheard),
    )


def _said(db: sqlite3.Connection, area: str, organisation: str, seq: int) -> Iterator[_Said]:
    """Everything stated, by case, with what was last heard of it before the count."""
    rows = db.execute(
        "SELECT s.case_ref, s.statement_id, s.revision, s.stated_us, s.status, h.kind, h.codes FROM stated s "
        "LEFT JOIN heard h ON h.seq = (SELECT max(seq) FROM heard WHERE statement_id = s.statement_id AND seq <= ?) "
        "WHERE s.area = ? AND s.organisation = ? ORDER BY s.case_ref",
        (seq, area, organisation),
    )
    for case_ref, statement_id, revision, stated_us, status, kind, codes in rows:
        rank = (revision, stated_us, statement_id)
        yield _Said(case_ref, statement_id, rank, status, kind, tuple((codes or "").split()))


def _why(mine: _Said, known: list[_Said]) -> str:
    if mine.kind is not None and not mine.judged:
        return mine.kind.lower()
    if mine.kind == ReceiptKind.ACCEPTED:
        return NOT_COUNTED
    return WITHHELD if any(one.kind == ReceiptKind.ACCEPTED for one in known) else REFUSED


def _forget(db: sqlite3.Connection, area: str, organisation: str, seq: int, now_ms: int) -> None:
    """What a newer statement, accepted before the count, has replaced; and what was heard of others' cases long ago."""
    gone: list[str] = []
    for _, group in groupby(_said(db, area, organisation, seq), key=lambda said: said.case_ref):
        said = list(group)
        kept = max((one.rank for one in said if one.kind == ReceiptKind.ACCEPTED), default=None)
        gone += [one.statement_id for one in said if kept is not None and one.rank < kept]
    for table in ("stated", "heard"):
        db.executemany(f"DELETE FROM {table} WHERE statement_id = ?", [(each,) for each in gone])  # noqa: S608  constant
    db.execute(
        "DELETE FROM heard WHERE recorded_ms < ? AND statement_id NOT IN (SELECT statement_id FROM stated)",
        (now_ms - KEPT_MS,),
    )
