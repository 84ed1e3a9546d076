"""Liveness is progress, not a process that exists. Pure judgement; the worker asks the broker and acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from samenloop_processors.engine.errors import Stalled, WrongLog
from samenloop_processors.engine.transaction import Place


@dataclass(slots=True)
class Watchdog:
    """Times are seconds on one monotonic clock that the caller reads.

    `assignment_timeout_s`: a member that never gets as far as an assignment (even an empty one) has no right on its group
    or no coordinator. `stall_timeout_s`: records wait and the position does not move.
    """

    stage: str
    group: str
    assignment_timeout_s: float
    stall_timeout_s: float
    started: float
    _assigned: bool = False
    _moved: dict[Place, tuple[int, float]] = field(default_factory=dict)
    _behind_since: dict[str, float] = field(default_factory=dict)

    def assigned(self) -> None:
        """A rebalance has ended, whatever came of it."""
        self._assigned = True
        self._moved.clear()
        self._behind_since.clear()

    def check_assignment(self, now: float) -> None:
        if not self._assigned and now - self.started > self.assignment_timeout_s:
            raise Stalled(
                f"stage {self.stage}: no assignment within {self.assignment_timeout_s:.0f} s: "
                f"does its user have Read on group {self.group}, is the broker well?"
            )

    def check_progress(
        self, now: float, position: Mapping[Place, int], end: Mapping[Place, int], *, excused: bool
    ) -> None:
        """`excused`: the database is away and the worker is retrying, which is told elsewhere."""
        for place, offset in position.items():
            if place not in end:
                continue
            name = f"{place[0]}/{place[1]}"
            if offset > end[place]:
                raise WrongLog(f"{name}: the log ends at {end[place]}, the position is {offset}", self.stage)
            last, since = self._moved.get(place, (-1, now))
            if excused or offset != last or offset == end[place]:
                self._moved[place] = (offset, now)
            elif now - since > self.stall_timeout_s:
                raise Stalled(
                    f"stage {self.stage}: {end[place] - offset} records wait in {name} and the position {offset} "
                    f"has not moved for {self.stall_timeout_s:.0f} s"
                )

    def lag(self, now: float, position: Mapping[Place, int], end: Mapping[Place, int]) -> dict[str, tuple[int, float]]:
        """Per topic: records that wait, and for how long there have been any without a break."""
        waiting: dict[str, int] = {}
        for place, offset in position.items():
            waiting[place[0]] = waiting.get(place[0], 0) + max(0, end.get(place, offset) - offset)
        result: dict[str, tuple[int, float]] = {}
        for topic, records in waiting.items():
            if records:
                since = self._behind_since.setdefault(topic, now)
            else:
                self._behind_since.pop(topic, None)
                since = now
            result[topic] = (records, now - since)
        return result
