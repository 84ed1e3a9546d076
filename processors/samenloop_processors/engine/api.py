"""What a stage and the engine promise each other. A stage imports this module and no other part of the engine.

Delivery is at least once, effect is exactly once: `Stage.apply` runs in the transaction that also moves the position.
Everything it did is undone when that transaction fails, and the same records come again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import psycopg

T = TypeVar("T")

Headers = tuple[tuple[str, bytes], ...]
Body = Callable[[int], bytes]
"""Makes the encoded statement for a `subject_version`; may encrypt, so it need not be deterministic."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One record as the broker keeps it. `timestamp_ms`: broker's append time on `in.*`, the sender's elsewhere."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int

    @classmethod
    def of(cls, raw: Any) -> Incoming:
        """From a client library's record. A header may come without a value: that is an empty one here."""
        headers = tuple((name, value or b"") for name, value in raw.headers)
        return cls(raw.topic, raw.partition, raw.offset, raw.key, raw.value, headers, raw.timestamp)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One outbox row. `seq` rises by one per partition; rows of a partition are sent in that order."""

    partition: int
    seq: int
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


class QuarantineReason(StrEnum):
    """Why a record is set apart. A closed list: it is a header and a metric label, so it carries no personal data."""

    UNDECODABLE = "undecodable"
    UNKNOWN_SCHEMA = "unknown_schema"
    WRONG_TYPE = "wrong_type"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    WRONG_KEY = "wrong_key"
    WRONG_PARTITION = "wrong_partition"
    WRONG_SENDER = "wrong_sender"
    UNKNOWN_AREA = "unknown_area"
    BAD_HEADERS = "bad_headers"
    SEAL_BROKEN = "seal_broken"
    SEAL_MISMATCH = "seal_mismatch"
    UNREADABLE_FIELD = "unreadable_field"
    IMPOSSIBLE_VALUE = "impossible_value"
    IMPOSSIBLE_DECISION = "impossible_decision"


class BadRecord(Exception):
    """This record is bad and stays bad: raised by `Stage.decode`, never retried, goes to quarantine.

    `partner`: whose data it is, for the metric, when the topic does not tell (the engine knows it for `in.<partner>`).
    """

    def __init__(self, code: QuarantineReason, partner: str | None = None) -> None:
        super().__init__(code.value)
        self.code = code
        self.partner = partner


@dataclass(frozen=True, slots=True)
class PauseNotice:
    """An input topic is paused because too much of it is bad. `record` is the bad record that tipped the scale."""

    topic: str
    partner: str
    bad: int
    seen: int
    record: Incoming


@dataclass(frozen=True, slots=True)
class ResumeNotice:
    """The pause of an input topic is over since `at`. `area` is the one that `Stage.paused` named."""

    topic: str
    partner: str
    area: str
    at: datetime


class Tx(Protocol):
    """The running transaction as `Stage.apply` sees it. Not to be kept after `apply` returns.

    Statements go out pipelined: an `execute` returns at once, a `fetch` waits for everything before it. So write all
    reads first, then fetch; an error in a statement may show at a later one. No COPY, no `rowcount` before a fetch.
    """

    @property
    def cursor(self) -> psycopg.Cursor[Any]:
        """A new binary cursor at each access, `search_path` is the stage's schema: keep it in a variable to use it twice."""

    def execute(self, query: str, params: Any = None) -> psycopg.Cursor[Any]:
        """One statement on a new binary cursor; batch with `unnest(%s::text[], ...)` and `= ANY(%s)`."""

    def executemany(self, query: str, rows: Sequence[Any]) -> None: ...

    @property
    def replaying(self) -> bool:
        """True in a rebuild: nothing is sent now, only differences at its end. State must come out the same."""

    @property
    def partitions(self) -> int:
        """Number of partitions of every topic of this stage."""

    def cache(self, area: str, load: Callable[[psycopg.Connection[Any], str], T]) -> T:
        """In-memory state of `area`, valid exactly at the locked position; `apply` may change it in place.

        On a miss the transaction is rolled back, `load(connection, area)` runs outside it on a read-only snapshot (no
        idle time-out there; fetch in chunks), and `apply` starts anew: ask for all caches before changing anything
        outside them. Dropped on any difference, failure or revocation. One cached object per area: put all in it.
        """

    def send(self, topic: str, area: str, value: bytes, headers: Headers = ()) -> None:
        """Puts a record in the outbox, keyed by `area`. Silent during a rebuild. `topic` must be in `Stage.outputs`."""

    def state(self, subject: str, area: str, topic: str, body: Body, content: bytes) -> None:
        """States a derived subject in full: published only if `content` differs from the last published for it.

        `content`: canonical bytes of the statement without its version (such as the encoding with subject_version 0);
        only its digest is kept. Versions come from one counter per area, rising over all its subjects. Several calls
        for one subject in one batch collapse into the last; subjects go out in the order of their last call, after the
        rows of `send`.
        """

    def quarantine(self, record: Incoming, code: QuarantineReason, partner: str | None = None) -> None:
        """Sets a record apart that turned out bad only beside other data. Once per record and code."""


class Stage(Protocol):
    """One question put to the log. Subclass it: everything with a body here is a default.

    All state is keyed by area; the key of every record is its area; a stage never sees two workers on one partition.
    """

    name: str
    """Such as "clients": consumer group `<prefix>stage.<name>`, schema `<name>_v<n>`, metric label."""
    inputs: tuple[str, ...]
    """Full topic names, all with the same number of partitions."""
    outputs: tuple[str, ...] = ()
    """Full names of all topics it may send to, quarantine topics excepted. Checked at the start."""
    ddl: str
    """`CREATE TABLE IF NOT EXISTS ...`, run at each start in the stage's own schema. Text to sort by: `COLLATE "C"`."""
    rebuildable: bool = True
    """False if its inputs do not hold everything its state was made of (intake)."""
    carried: tuple[str, ...] = ()
    """Tables that a rebuild takes over as they are: what was once stated, which a replay need not come upon again."""

    def decode(self, record: Incoming) -> Any:
        """Bytes to typed value, before the transaction and without touching stage tables. Raises `BadRecord`."""
        raise NotImplementedError

    def apply(self, tx: Tx, batch: Sequence[tuple[Incoming, Any]]) -> None:
        """Applies decoded records in the order given. Any exception rolls back; what it raises stops the worker."""
        raise NotImplementedError

    def export(self, connection: psycopg.Connection[Any], area: str | None) -> Iterator[dict[str, Any]]:
        """Canonical rows of state F for `samenloop stage export`: no offsets, versions, or personal values in clear."""
        raise NotImplementedError

    def paused(self, tx: Tx, notice: PauseNotice) -> str:
        """Hook, in the transaction that pauses a partner's topic: tell the partner on its receipts. Returns the area in which
        it was told, for `resumed` to follow; "" when it could not be told."""
        return ""

    def resumed(self, tx: Tx, notice: ResumeNotice) -> None:
        """Hook, in a transaction that holds the partition of `notice.area`: the pause is over, tell the partner. Once."""
        return

    def restate(self, topic: str, value: bytes, version: int) -> bytes:
        """For a rebuild: the same statement under another `subject_version`."""
        reason = f"stage {self.name} publishes states and must say how to renumber them"
        raise NotImplementedError(reason)  # in two lines: mypy takes the short form for an abstract method

    def emptied(self, topic: str, area: str, subject: str) -> tuple[Body, bytes] | None:
        """For a rebuild: (body, content) that states a subject as empty, or None if nothing need be said."""
        reason = f"stage {self.name} publishes states and must say how to empty them"
        raise NotImplementedError(reason)
