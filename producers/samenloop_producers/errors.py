"""Errors at the edge, grouped by what has to happen next.

Each carries a message for a person and, apart from it, a detail for a log. Neither ever holds a source value, a secret or
anything about a client.
"""

from __future__ import annotations

from collections.abc import Sequence


class EdgeError(Exception):
    """`str()` is for people; `detail` says more for whoever has to repair it."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ConfigurationError(EdgeError):
    """A person must act (wrong setting, refused credentials, no right): trying again changes nothing.

    `problems` lists everything that is wrong, so that it can be repaired in one go.
    """

    def __init__(self, message: str, problems: Sequence[str] = (), detail: str = "") -> None:
        super().__init__(message if not problems else message + "".join(f"\n  - {p}" for p in problems), detail)
        self.problems = tuple(problems) or (message,)


class TransientError(EdgeError):
    """Try again later: time-outs, 429, 5xx, a broker that is away. `retry_after` is in seconds when the other side said so."""

    def __init__(self, message: str, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, detail)
        self.retry_after = retry_after


class DataError(EdgeError):
    """One row, record or file cannot be read: set it aside and go on. `code` is a short fixed word, `field` a column's name."""

    def __init__(self, code: str, field: str = "", message: str = "") -> None:
        super().__init__(message or (f"{code}: {field}" if field else code))
        self.code = code
        self.field = field
