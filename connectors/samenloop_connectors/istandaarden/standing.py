"""What stands of all that was told of one case: a function of the set of its messages.

**The case.** A case is one allocation (*ToewijzingNummer*) of one client at one provider; without an allocation (task-oriented
contracts) one product. *Begindatum* is not part of it, though it is part of the logical key of a start or stop class (IV008):
it only tells classes apart. So the announcement (301) and what follows are one involvement, a corrected *Begindatum* (delete
and new, OP033) corrects it instead of taking one back and making another, and a start after a temporary stop (OP379) goes on
with it. What is really interrupted, by a final stop and a later start, is two involvements: the newest goes by the case's own
number, the earlier ones beside it by their first day, so that a period that was true never becomes "never was".

**The order.** Nothing may follow from when or in which order messages come (OP080), and a message is dated by the day only. So:

- The logical key of a start is product and *Begindatum*; of a stop also reason and *Einddatum* (release 3.2 made the reason part
  of it, so that a final stop can follow a temporary one on the same day, OP377). Of each key the days are gone through in order:
  more news (1) than deletions (3) on a day and it stands, fewer and it does not; as many leave it as it was: whatever order
  they were made in, new and delete of one key take turns (TR063, TR074). Delete and new of one key in one message is a new.
- Classes that a return message rejects were never told. A rejected message rejects all that is in it; of a message that was
  only partly rejected the rest stands (if the whole of it is told again, that changes nothing).
- Of an allocation the newest version counts, by *Toewijzingsdatum* and *-tijd* (OP033x1). Change 13 (removed), or the former 01
  with an end equal to the begin (OP087), means that it was never sent: then nothing of the case stands, until a newer 301. That
  an allocation is missing from a later 301 means nothing: those that are over or removed are left out (OP087).
- A stop names the start it ends (OP155, TR382), so it tells of an involvement also while the start is not known; but not of one
  whose start was deleted. A final stop outranks temporary ones of its start, whatever their days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from samenloop_connectors.sdk.connector import Payload
from samenloop_schemas import ids

TEMPORARY = "20"
_REMOVED = "13"
_FORMER_CORRECTION = "01"
_NEW = "1"


@dataclass(frozen=True, slots=True)
class Note:
    """One class as one message tells it."""

    kind: str
    day: date
    message: str
    content: Mapping[str, Any]
    client: Mapping[str, Any]

    @property
    def rank(self) -> tuple[Any, ...]:
        """Newest last; within a day an order that means nothing but is the same for everyone."""
        return self.day, self.kind, self.message, ids.canonical_json(dict(self.content))


@dataclass(frozen=True, slots=True)
class Chain:
    """Uninterrupted involvement: starts linked by temporary stops. `stop` is the last one's stop, final or temporary, if any."""

    begin: date
    notes: tuple[Note, ...]
    stop: Note | None = None
    last_day: date | None = None
    """Set when the stop is final."""

    @property
    def paused(self) -> bool:
        return self.stop is not None and self.last_day is None


@dataclass(frozen=True, slots=True)
class Case:
    """`chains` in order of time; `begins` are the first days by which an earlier chain may ever have been told."""

    chains: tuple[Chain, ...] = ()
    allocation: Note | None = None
    begins: frozenset[date] = frozenset()
    notes: tuple[Note, ...] = field(default=())
    """All that was ever told as new, rejected or deleted or not."""


def case_of(parts: Mapping[str, Payload]) -> Case:
    """What stands of the messages of one case, each a part."""
    told = [note for part in parts.values() if not part["returned"] for note in _notes(part)]
    rejected = [part for part in parts.values() if part["returned"]]
    notes = [note for note in told if not any(_rejects(part, note) for part in rejected)]
    ever = tuple(sorted((note for note in told if _is_new(note)), key=lambda note: note.rank))
    begins = frozenset(_ever_earlier(ever))
    allocation = max((note for note in notes if note.kind == "301"), key=_given, default=None)
    if allocation is not None and _never_sent(allocation):
        return Case(begins=begins, notes=ever)
    return Case(tuple(_chains(notes)), allocation, begins, ever)


def _notes(part: Payload) -> Iterator[Note]:
    """The classes of a message, each key once: of delete and new of one key only the new."""
    told: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for content in sorted(part["classes"], key=lambda each: (each.get("status", _NEW), ids.canonical_json(each))):
        told.setdefault(_key(part["kind"], content), content)
    for content in told.values():
        yield Note(part["kind"], date.fromisoformat(part["day"]), part["message"], content, part["client"])


def _is_new(note: Note) -> bool:
    return bool(note.content.get("status", _NEW) == _NEW)


def _key(kind: str, content: Mapping[str, Any]) -> tuple[str, ...]:
    names = {"301": (), "305": ("begin",), "307": ("begin", "reason", "end")}[kind]
    return (kind, content["category"], content["product"], *(content[name] for name in names))


def _rejects(part: Payload, note: Note) -> bool:
    if (part["kind"], part["message"], part["day"]) != (note.kind, note.message, note.day.isoformat()):
        return False
    mine = _key(note.kind, note.content), note.content.get("status")
    return part["all"] or any((_key(note.kind, each), each.get("status")) == mine for each in part["classes"])


def _given(note: Note) -> tuple[Any, ...]:
    return note.content["given_at"], *note.rank


def _never_sent(allocation: Note) -> bool:
    change = allocation.content["change"]
    empty = allocation.content["end"] == allocation.content["begin"]
    return bool(change == _REMOVED or (change == _FORMER_CORRECTION and empty))


def _standing(notes: Iterable[Note], kind: str) -> tuple[dict[tuple[str, ...], Note], set[tuple[str, ...]]]:
    """The classes of a kind that stand, each with its newest note, and the keys of those that were deleted."""
    by_key: defaultdict[tuple[str, ...], list[Note]] = defaultdict(list)
    for note in notes:
        if note.kind == kind:
            by_key[_key(kind, note.content)].append(note)
    standing: dict[tuple[str, ...], Note] = {}
    deleted: set[tuple[str, ...]] = set()
    for key, told in by_key.items():
        if _stands(told):
            standing[key] = max((note for note in told if _is_new(note)), key=lambda note: note.rank)
        else:
            deleted.add(key)
    return standing, deleted


def _stands(told: Iterable[Note]) -> bool:
    balance: defaultdict[date, int] = defaultdict(int)
    for note in told:
        balance[note.day] += 1 if _is_new(note) else -1
    stands = False
    for day in sorted(balance):
        stands = balance[day] > 0 or (stands and balance[day] == 0)
    return stands


def _chains(notes: Iterable[Note]) -> Iterator[Chain]:
    notes = list(notes)
    starts, deleted = _standing(notes, "305")
    stops, _ = _standing(notes, "307")
    by_begin: defaultdict[date, list[Note]] = defaultdict(list)
    for note in starts.values():
        by_begin[_begin(note)].append(note)
    gone = {date.fromisoformat(key[3]) for key in deleted} - set(by_begin)
    for note in stops.values():
        if _begin(note) not in gone:
            by_begin[_begin(note)].append(note)
    chain: Chain | None = None
    for begin in sorted(by_begin):
        if chain is not None and chain.last_day is not None and begin > chain.last_day + timedelta(days=1):
            yield chain
            chain = None
        chain = _continued(chain, begin, by_begin[begin])
    if chain is not None:
        yield chain


def _continued(chain: Chain | None, begin: date, notes: list[Note]) -> Chain:
    """The chain with one more start and the stops of that start."""
    stops = [note for note in notes if note.kind == "307"]
    final = [note for note in stops if not _temporary(note)]
    stop = max(final or stops, key=lambda note: (note.content["end"], *note.rank), default=None)
    last_day = date.fromisoformat(stop.content["end"]) if final and stop is not None else None
    if chain is None:
        return Chain(begin, tuple(notes), stop, last_day)
    if last_day is not None and chain.last_day is not None and chain.last_day > last_day:
        stop, last_day = chain.stop, chain.last_day
    return Chain(chain.begin, (*chain.notes, *notes), stop, last_day)


def _ever_earlier(news: Iterable[Note]) -> Iterator[date]:
    """The first days under which a chain may once have been told as an earlier one: by some of the messages, in some order."""
    told = [note for note in news if note.kind != "301"]
    begins = {_begin(note) for note in told}
    ends = [
        (_begin(note), date.fromisoformat(note.content["end"]))
        for note in told
        if note.kind == "307" and not _temporary(note)
    ]
    for begin in begins:
        if any(
            begin <= ended and any(other > end + timedelta(days=1) and other > ended for other in begins)
            for ended, end in ends
        ):
            yield begin


def _begin(note: Note) -> date:
    return date.fromisoformat(note.content["begin"])


def _temporary(note: Note) -> bool:
    return bool(note.content["reason"] == TEMPORARY)
