"""The runs of days on which at least two different parties are involved with one client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date

from samenloop_processors.overlaps.domain.parties import Segment


def episodes(segments: Iterable[Segment]) -> list[tuple[date, date]]:
    """Maximal periods ``[from, to)``, in order. Parties may take over from each other within one episode."""
    steps = [(s.start, 1, s.party) for s in segments]
    steps += [(s.end, -1, s.party) for s in segments]
    steps.sort(key=lambda step: step[0])
    involved: Counter[str] = Counter()
    parties = 0
    found: list[tuple[date, date]] = []
    begun: date | None = None
    for at, (day, change, party) in enumerate(steps):
        before = involved[party]
        involved[party] = before + change
        parties += (before + change > 0) - (before > 0)
        if at + 1 < len(steps) and steps[at + 1][0] == day:
            continue
        if parties >= 2 and begun is None:
            begun = day
        elif parties < 2 and begun is not None:
            found.append((begun, day))
            begun = None
    return found
