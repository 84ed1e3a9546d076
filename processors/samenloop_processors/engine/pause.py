"""Above a set share of bad input a partner's topic is paused: a bad delivery must not pour into quarantine as a whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tipped:
    """The record (by index in the flags) at which the share was passed, and the counts then."""

    index: int
    bad: int
    seen: int


class BadShare:
    """The last `window` verdicts of one topic in this worker. Judges only with a quarter of the window filled."""

    def __init__(self, window: int, share: float) -> None:
        self._verdicts: deque[bool] = deque(maxlen=window)
        self._share = share
        self._least = max(1, window // 4)

    def judge(self, flags: Sequence[bool]) -> Tipped | None:
        """Whether these next verdicts (True = bad) pass the share. Remembers nothing: the transaction may yet fail."""
        if not any(flags):
            return None
        trial = self._verdicts.copy()
        bad = sum(trial)
        for index, flag in enumerate(flags):
            if len(trial) == trial.maxlen:
                bad -= trial[0]
            trial.append(flag)
            bad += flag
            if flag and len(trial) >= self._least and bad > self._share * len(trial):
                return Tipped(index, bad, len(trial))
        return None

    def remember(self, flags: Sequence[bool]) -> None:
        """After the commit."""
        self._verdicts.extend(flags)

    def clear(self) -> None:
        """After a pause the topic gets a fresh start."""
        self._verdicts.clear()
