"""How far a long work is: bars with counts and an estimate on a terminal, a plain line now and then where there is none.

All of it goes to standard error, so that standard output stays clean for `--json`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from samenloop_deploy.cli.console import people

T = TypeVar("T")

PLAIN_EVERY_S = 5.0
"""Off a terminal: seconds between two lines about the same work."""


class Tell(Protocol):
    """`tell("replay", 1200, 50000)`: this part of the work is so far; without a total it is only known to go on."""

    def __call__(self, text: str, done: int | None = None, total: int | None = None) -> None: ...

    def over(self, text: str) -> None:
        """This part is over; it is shown no more."""


@contextmanager
def telling(console: Console = people, every: float | None = None) -> Iterator[Tell]:
    """One bar, or one series of lines, per text. A bar that is full stays until the end of the work."""
    if not console.is_terminal:
        yield _Lines(console, PLAIN_EVERY_S if every is None else every)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield _Bars(bars)


def track(things: Iterable[T], text: str, total: int) -> Iterator[T]:
    """The same things, told as they go by."""
    with telling() as tell:
        for done, thing in enumerate(things):
            tell(text, done, total)
            yield thing
        tell(text, total, total)


class _Bars:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, text: str, done: int | None = None, total: int | None = None) -> None:
        if text not in self._tasks:
            self._tasks[text] = self._bars.add_task(text, total=total)
        self._bars.update(self._tasks[text], completed=done or 0, total=total)

    def over(self, text: str) -> None:
        if (task := self._tasks.pop(text, None)) is not None:
            self._bars.remove_task(task)


@dataclass(slots=True)
class _Said:
    first_at: float
    first_done: int
    at: float
    line: tuple[int | None, int | None] = (-1, -1)


@dataclass
class _Lines:
    console: Console
    every: float
    now: Callable[[], float] = time.monotonic
    _said: dict[str, _Said] = field(default_factory=dict)

    def __call__(self, text: str, done: int | None = None, total: int | None = None) -> None:
        """Of a wait its beginning; of a work with a measure one line per interval and its end, when it lasts that long."""
        now = self.now()
        said = self._said.setdefault(text, _Said(now, done or 0, float("-inf") if done is None else now))
        ended = done is not None and done == total and said.line != (-1, -1)
        if said.line == (done, total) or (now - said.at < self.every and not ended):
            return
        said.at, said.line = now, (done, total)
        self.console.print(f"  {text}{_counts(said, now, done, total)}", highlight=False, soft_wrap=True)

    def over(self, text: str) -> None:
        self._said.pop(text, None)


def _counts(said: _Said, now: float, done: int | None, total: int | None) -> str:
    if done is None:
        return ""
    if not total:
        return f": {done:,}"
    line = f": {done:,} of {total:,} ({100 * done // total} %)"
    gone, came = now - said.first_at, done - said.first_done
    if gone > 0 and came > 0 and done < total:
        line += f", about {(total - done) * gone / came:.0f} s left"
    return line
