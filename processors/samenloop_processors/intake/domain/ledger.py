"""What a case's statements amount to together: which go out, which stay a mark, what the partner is told.

The rule is in the package's docstring. `take` is the only way in; it may be fed in any order, repeated and in any pieces.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from samenloop_processors.agreement import AgreementBook
from samenloop_processors.intake.domain.gate import FINAL, Opened, Verdict
from samenloop_schemas.codes import ReceiptCode, ReceiptKind, Status
from samenloop_schemas.dates import dutch_day
from samenloop_schemas.ids import derived_id


@dataclass(frozen=True, slots=True)
class CaseId:
    """What one partner calls one case. `subject` names it in the keys database and in our own tables."""

    area: str
    partner: str
    organisation: str
    source_system: str
    case_ref: str

    @classmethod
    def of(cls, opened: Opened, partner: str) -> CaseId:
        said = opened.statement
        return cls(said.area, partner, said.organisation, said.source_system, said.case_ref)

    @property
    def source(self) -> str:
        return f"{self.organisation}/{self.source_system}"

    def subject(self) -> bytes:
        return _subject("case_subject", self, self.case_ref)

    def person_subject(self, person_ref: str) -> bytes:
        """A person as this partner's source knows him."""
        return _subject("person_subject", self, person_ref)


@lru_cache(maxsize=8192)
def _subject(kind: str, case: CaseId, ref: str) -> bytes:
    return derived_id(kind, case.area, case.partner, case.organisation, case.source_system, ref).bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """What is remembered of a statement: never what it said, only that it was, and what became of it."""

    statement_id: UUID
    person_ref: str
    revision: int
    stated_at: datetime
    recorded_at: datetime
    status: Status
    passed: bool
    codes: tuple[ReceiptCode, ...]
    agreement_version: int
    emitted: bool = False

    @property
    def rank(self) -> tuple[int, datetime, UUID]:
        return self.revision, self.stated_at, self.statement_id


@dataclass(frozen=True, slots=True, repr=False)
class Emission:
    """One accepted statement to state. `opened` and `verdict` are there when it is accepted in full, else status only."""

    case: CaseId
    entry: Entry
    opened: Opened | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """One receipt."""

    case: CaseId
    entry: Entry
    kind: ReceiptKind
    codes: tuple[ReceiptCode, ...]


Effect = Emission | Told


@dataclass(slots=True)
class Case:
    """One case and everything stated of it."""

    case: CaseId
    entries: dict[UUID, Entry] = field(default_factory=dict)
    changed: set[UUID] = field(default_factory=set)
    """Entries to write."""

    @property
    def known(self) -> bool:
        return any(entry.passed for entry in self.entries.values())

    def take(
        self,
        opened: Opened,
        verdict: Verdict,
        noticed: tuple[ReceiptCode, ...],
        recorded_at: datetime,
        book: AgreementBook,
    ) -> list[Effect]:
        """Add one judged statement. A statement that has had its effect has no other, whatever is sent under its id."""
        said = opened.statement
        before = self.entries.get(said.statement_id)
        if before is not None and before.emitted:
            return []
        passed = verdict.passes and said.status is not Status.RETRACTED
        entry = Entry(
            statement_id=said.statement_id,
            person_ref=said.person_ref,
            revision=said.revision,
            stated_at=said.stated_at,
            recorded_at=before.recorded_at if before else recorded_at,
            status=said.status if passed or said.status in FINAL else Status.WITHHELD,
            passed=passed,
            codes=tuple(sorted({*verdict.failed, *verdict.noticed, *noticed})),
            agreement_version=verdict.version,
        )
        if entry == before:
            return []
        self._put(entry)
        effects: list[Effect] = []
        if passed:
            effects.append(Emission(self.case, self._emit(entry), opened, verdict))
        released = self._release(book) if self.known else []
        effects += [Emission(self.case, mark) for mark in released]
        effects += self._tell(entry.statement_id)
        others = (mark for mark in released if mark.statement_id != entry.statement_id)
        return effects + [self._receipt(mark) for mark in others if mark.status in FINAL and mark.codes]

    def _put(self, entry: Entry) -> Entry:
        self.entries[entry.statement_id] = entry
        self.changed.add(entry.statement_id)
        return entry

    def _emit(self, entry: Entry) -> Entry:
        return self._put(replace(entry, emitted=True))

    def _release(self, book: AgreementBook) -> list[Entry]:
        """The marks of a case that is known now, unless an agreement for their day was read since they were judged."""
        waiting = sorted((e for e in self.entries.values() if not e.emitted), key=lambda e: e.rank)
        return [self._emit(e) for e in waiting if e.agreement_version == self._version_on(book, e)]

    def _version_on(self, book: AgreementBook, entry: Entry) -> int:
        agreement = book.in_force(self.case.area, dutch_day(entry.stated_at))
        return agreement.version if agreement else 0

    def _tell(self, statement_id: UUID) -> list[Effect]:
        """The receipt of a statement; and, when it shares its revision with one other, that one's once more."""
        entry = self.entries[statement_id]
        twins = [e for e in self.entries.values() if e.revision == entry.revision and e is not entry]
        told: list[Effect] = [self._receipt(entry)]
        return told + [self._receipt(twin) for twin in twins] if len(twins) == 1 else told

    def _receipt(self, entry: Entry) -> Told:
        nothing_to_take_back = entry.status is Status.RETRACTED and not entry.codes
        accepted = entry.passed or nothing_to_take_back or (entry.emitted and entry.status in FINAL)
        kind = ReceiptKind.ACCEPTED if accepted else ReceiptKind.REFUSED
        return Told(self.case, entry, kind, codes_of(entry, self.entries.values()))


def winner(entries: Iterable[Entry]) -> Entry | None:
    """The statement that counts for a case: the highest (revision, stated_at, statement_id)."""
    return max(entries, key=lambda entry: entry.rank, default=None)


def codes_of(entry: Entry, entries: Iterable[Entry]) -> tuple[ReceiptCode, ...]:
    """A statement's own codes, and whether another states something else under the same revision."""
    conflict = any(e.revision == entry.revision and e.statement_id != entry.statement_id for e in entries)
    return tuple(sorted({*entry.codes, ReceiptCode.REVISION_CONFLICT} if conflict else entry.codes))
