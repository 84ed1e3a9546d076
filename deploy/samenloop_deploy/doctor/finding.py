"""What a check says: how it stands, what was found and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "failed", "skipped"]


class CannotTell(Exception):
    """Something else stands in the way of this check; the message says what."""


@dataclass(frozen=True, slots=True)
class Said:
    """One check's answer. `temporary`: it failed on something that may be back in a moment."""

    verdict: Verdict
    found: str
    todo: str = ""
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer with the check that gave it. `todo` is empty when there is nothing to do."""

    group: str
    check: str
    verdict: Verdict
    found: str
    todo: str = ""
    temporary: bool = False


def fine(found: str) -> Said:
    return Said("ok", found)


def warn(found: str, todo: str) -> Said:
    """It works, and will not for long, or not as meant."""
    return Said("warning", found, todo)


def wrong(found: str, todo: str) -> Said:
    return Said("failed", found, todo)


def away(found: str, todo: str) -> Said:
    return Said("failed", found, todo, temporary=True)


def some(names: list[str], most: int = 4) -> str:
    """The first few of a list, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def span(seconds: float) -> str:
    """A duration as people say it."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
