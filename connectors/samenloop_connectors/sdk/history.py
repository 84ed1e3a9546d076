"""What a source showed of one case over time, and what that makes of its newest statement: a function of a set.

A *reading* is one look at a source, known by its instant: a nightly extract (its date and run) or a poll. A *sighting* is what
a reading showed of the case: a content with the source's own version. A complete reading that did not show the case is an
absence. In whatever order sightings and readings become known, repeated or split over runs, the same set gives the same
`Standing`; a larger set never gives a lower revision, and gives a higher one whenever something else has to be said.

The revision is built only from quantities that cannot fall when the set grows: the highest source version; the last sighting
before the last absence (so that an end and a return outrank what came before); and, within that, the number of changes, breaks
and confirmed terms seen since that version first appeared: the source items absorbed beside the first. A file that is lost
with its state starts these anew; then the hub follows again from the case's next source version on.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

DAY = 86_400_000_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_RANK_DAY = date(2020, 1, 1).toordinal() - _EPOCH_DAY


UNREAD = ""
"""The digest of a sighting that could not be read: the case is there, no more is known."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive sightings of one content. `first` and `last` are readings, `version` is the source's own: microseconds."""

    first: int
    last: int
    version: int
    digest: str


History = tuple[Run, ...]
"""The sightings of one case as runs in order."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the history makes of the newest content.

    `gone_on`: for a case that is no longer there, the day of the first reading without it.
    """

    version: datetime
    absorbed: int
    confirmed_on: date
    gone_on: date | None = None


def day_of(micros: int) -> date:
    return date.fromordinal(_EPOCH_DAY + micros // DAY)


def see(history: History, readings: Sequence[int], reading: int, version: int, digest: str) -> History:
    """The history with one more sighting; an illegible one has version 0 and the digest UNREAD.

    `readings` are the complete readings known, in order (none for a source that only shows changes). A reading shows a case
    once: what it showed before is kept, unless it could not be read then and can be now.
    """
    runs = list(history)
    at = bisect_right([run.first for run in runs], reading) - 1
    after = at + 1
    if at >= 0 and reading <= runs[at].last:
        run = runs[at]
        legible = run.digest == UNREAD and digest != UNREAD
        if run.digest == digest or (reading in (run.first, run.last) and not legible):
            return history
        left = [part for part in _split(run, readings, reading) if part.first != reading != part.last]
        runs[at : at + 1] = left
        after = at + sum(part.first < reading for part in left)
    runs.insert(after, Run(reading, reading, version, digest))
    return _joined(runs, readings)


def miss(history: History, readings: Sequence[int], reading: int) -> History:
    """The history with a complete reading that did not show the case."""
    at = bisect_right([run.first for run in history], reading) - 1
    if at < 0 or not history[at].first < reading < history[at].last:
        return history
    return (*history[:at], *_split(history[at], readings, reading), *history[at + 1 :])


def newest(history: History) -> Run | None:
    """The run that holds the newest legible content: highest version, then latest sighting."""
    return max((run for run in history if run.digest != UNREAD), key=lambda run: (run.version, run.last), default=None)


def standing(
    history: History, readings: Sequence[int], *, live: bool, term_days: int = 90, phase: int = 0, absent_times: int = 2
) -> Standing:
    """What holds now, for a history with a legible sighting.

    `live`: the newest content says that the involvement goes on, so that it is confirmed once per term. A case is gone when at
    least `absent_times` complete readings in a row did not show it, and nothing has since.
    """
    top = max(run.version for run in history)
    start = next(i for i, run in enumerate(history) if run.version == top)
    ends = [run.first for run in history[1:]]
    absences = [_absences(readings, run.last, end) for run, end in zip(history, [*ends, None], strict=True)]
    missed = absences[-1]
    gone = len(missed) >= absent_times
    leading = [run for run in history[start:] if run.version == top]
    changes = sum(a.digest != b.digest for a, b in pairwise(leading))
    breaks = sum(bool(absent) for absent in absences[start:-1])
    confirmed = leading[-1].last if live else _last_otherwise(leading)
    origin = _term(top, term_days, phase)
    terms = max(0, _term(confirmed, term_days, phase) - origin) if confirmed else 0
    return Standing(
        version=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=top + _rank(history, absences)),
        absorbed=1 + changes + 2 * breaks + gone + terms,
        confirmed_on=_term_start(origin + terms, term_days, phase) if terms else day_of(top),
        gone_on=day_of(missed[0]) if gone else None,
    )


def _rank(history: History, absences: Sequence[Sequence[int]]) -> int:
    """The last sighting before the last absence, then how close that absence follows: some hours, in microseconds."""
    for run, absent in zip(reversed(history), reversed(absences), strict=True):
        if absent:
            days = max(0, run.last // DAY - _RANK_DAY)
            return (
                (days * 100_000 + min(run.last % DAY, 99_999)) * 100 + 99 - min(99, absent[0] // DAY - run.last // DAY)
            )
    return 0


def _split(run: Run, readings: Sequence[int], reading: int) -> list[Run]:
    """The run without a reading in its midst; its new ends are the readings around that, as far as they are known."""
    before = bisect_left(readings, reading) - 1
    after = bisect_right(readings, reading)
    last = max(run.first, readings[before]) if before >= 0 else run.first
    first = min(run.last, readings[after]) if after < len(readings) else run.last
    return [replace(run, last=last), replace(run, first=first)]


def _joined(runs: list[Run], readings: Sequence[int]) -> History:
    """Neighbours with the same content and no absence between them are one run."""
    joined: list[Run] = []
    for run in runs:
        previous = joined[-1] if joined else None
        if previous and previous.digest == run.digest and not _absences(readings, previous.last, run.first):
            joined[-1] = replace(previous, last=run.last)
        else:
            joined.append(run)
    return tuple(joined)


def _absences(readings: Sequence[int], after: int, before: int | None) -> Sequence[int]:
    """The complete readings between two sightings: each could have shown the case and did not."""
    end = bisect_left(readings, before) if before is not None else len(readings)
    return readings[bisect_right(readings, after) : end]


def _last_otherwise(runs: Sequence[Run]) -> int:
    """The last sighting that said something else than the newest content: an ended case is confirmed no more."""
    return next((run.last for run in reversed(runs) if run.digest != runs[-1].digest), 0)


def _term(micros: int, days: int, phase: int) -> int:
    return (micros // DAY + phase) // days


def _term_start(term: int, days: int, phase: int) -> date:
    return date.fromordinal(_EPOCH_DAY + term * days - phase)
