"""Why a worker stops, grouped by what its supervisor must do. The exit code is part of each class."""

from __future__ import annotations

import psycopg


class EngineError(Exception):
    """Something is wrong that no retry repairs: stop, say so in one line, exit 1."""

    exit_code = 1


class Misconfigured(EngineError):
    """Wrong topics, rights, partition counts or settings: exit 2."""

    exit_code = 2


class Retired(EngineError):
    """A rebuild has put another schema in place of this one: exit 3, start again at once."""

    exit_code = 3


class Unreachable(EngineError):
    """Broker or database not there at the start: exit 3, try again later."""

    exit_code = 3


class Gap(EngineError):
    """Records between the position and the log are missing: going on would lose them silently."""


class WrongLog(EngineError):
    """The log is another one than the position belongs to (recreated topic, restored broker, other cluster)."""

    def __init__(self, what: str, stage: str) -> None:
        super().__init__(f"{what}. If this log is the right one, run: samenloop stage rebase {stage}")


class Fenced(EngineError):
    """The position moved under a held lock. Cannot happen while the lock-first rule holds."""


class Stalled(EngineError):
    """No progress although there is work: see `watchdog`."""


class WrongUse(EngineError):
    """A stage broke a promise of `api`: a mistake in its code."""


# Classes 08 connection, 40 rollback (deadlock, serialization), 53 resources, 57 operator (shutdown, cancel), 58 system;
# 25P03 idle in transaction, 25P04 transaction time-out, 55P03 lock time-out.
_TRANSIENT_CLASSES = frozenset({"08", "40", "53", "57", "58"})
_TRANSIENT_STATES = frozenset({"25P03", "25P04", "55P03"})


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may succeed later: the server is away, restarting, full, or someone holds a lock."""
    if not isinstance(error, psycopg.Error):
        return False
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT_STATES


def too_long(error: BaseException) -> bool:
    """Whether the transaction took too long: smaller batches may help."""
    return isinstance(error, psycopg.Error) and error.sqlstate in {"25P03", "25P04", "57014"}
