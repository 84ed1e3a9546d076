"""CloudEvents 1.0 binary headers by the NL GOV profile: no personal data in any attribute, no subject."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

Headers = tuple[tuple[str, bytes], ...]

_TYPES = {
    "InvolvementStatement": "nl.samenloop.involvement.stated.v1",
    "AcceptedStatement": "nl.samenloop.involvement.accepted.v1",
    "Receipt": "nl.samenloop.receipt.stated.v1",
    "Notice": "nl.samenloop.notice.stated.v1",
    "ClientStatement": "nl.samenloop.client.stated.v1",
    "OverlapStatement": "nl.samenloop.overlap.stated.v1",
    "Decision": "nl.samenloop.decision.taken.v1",
    "ClockDay": "nl.samenloop.day.begun.v1",
}


def source_urn(oin: str, system: str) -> str:
    """``urn:nld:oin:<20 digits>:systeem:<name>``, as the NL GOV profile for CloudEvents wants it."""
    return f"urn:nld:oin:{oin}:systeem:{system}"


def cloud_event(
    event_id: UUID | str, record_type: type, source: str, time: datetime, traceparent: str | None = None
) -> Headers:
    """The headers of one event; `time` is when it was logged (the real-world time belongs in the data)."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(event_id).encode()),
        ("ce_source", source.encode()),
        ("ce_type", _TYPES[record_type.__name__].encode()),
        ("ce_time", time.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()),
        ("content-type", b"application/avro"),
    ]
    if traceparent:
        headers.append(("traceparent", traceparent.encode()))
    return tuple(headers)
