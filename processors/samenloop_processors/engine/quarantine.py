"""How a bad record is set apart: its bytes as they came, still sealed, and headers that say where and why.

Header names follow KIP-1034 (Kafka Streams); its message and stack trace stay empty, because they may quote data.
"""

from __future__ import annotations

from samenloop_processors.engine.api import Headers, Incoming, QuarantineReason

PREFIX = "__streams.errors."
REASON = "samenloop-reason"
ATTEMPTS = "samenloop-attempts"
STAGE = "samenloop-stage"
RETRY_OF = "samenloop-retry-of"
"""On a record that was put back: where it came from the first time, as ``topic/partition/offset``."""
_DIGITS = 6
"""A partner may write anything in a header, also a number of thousands of digits."""
NO_PARTNER = "hub"
"""Partner label of what no partner's topic brought: topic `quarantine.hub`."""


def headers_of(record: Incoming, code: QuarantineReason, attempts: int = 1, stage: str = "") -> Headers:
    """The record's own headers without those of an earlier quarantine, then the six of KIP-1034 and three of ours."""
    kept = tuple(h for h in record.headers if not h[0].startswith(PREFIX) and h[0] not in (REASON, ATTEMPTS, STAGE))
    own = {
        PREFIX + "exception": "BadRecord",
        PREFIX + "stacktrace": "",
        PREFIX + "message": "",
        PREFIX + "topic": record.topic,
        PREFIX + "partition": str(record.partition),
        PREFIX + "offset": str(record.offset),
        REASON: code.value,
        ATTEMPTS: str(attempts),
        STAGE: stage,
    }
    return kept + tuple((name, value.encode()) for name, value in own.items())


def attempts_of(record: Incoming) -> int:
    """How often this record was tried before, counting this time: a retried record brings its count along."""
    return attempts_in(record.headers) + 1


def attempts_in(headers: Headers) -> int:
    """How often a record says that it was tried; 0 for one that says nothing of it."""
    said = next((value for name, value in headers if name == ATTEMPTS), b"")
    return int(said) if said.isdigit() and len(said) <= _DIGITS else 0
