"""A quarantined record as its headers tell it; the bytes are looked at only for what names nobody."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from samenloop_processors.engine.quarantine import ATTEMPTS, PREFIX, REASON, RETRY_OF, STAGE, attempts_in
from samenloop_schemas import codec
from samenloop_schemas.dates import instant_of_ms
from samenloop_schemas.ids import is_code
from samenloop_schemas.records import AcceptedStatement, Decision, InvolvementStatement

Headers = tuple[tuple[str, bytes], ...]
_PLACE = re.compile(r"^([A-Za-z0-9._-]{1,249})/(\d{1,9})/(\d{1,18})$")
_SHOWN = {
    "ce_id": re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
    "ce_type": re.compile(r"^nl\.samenloop\.[a-z.]+\.v\d+$"),
    "ce_time": re.compile(r"^\d{4}-\d\d-\d\dT[0-9:.]+Z$"),
    "ce_source": re.compile(r"^urn:nld:oin:\d{20}:systeem:[a-z0-9_-]+$"),
    "ce_specversion": re.compile(r"^[0-9.]{1,5}$"),
    "content-type": re.compile(r"^[a-z0-9.+/-]{1,60}$"),
    "traceparent": re.compile(r"^[0-9a-f-]{55}$"),
}
"""Headers of a partner that may be shown, and only when they look as they should: anything could have been put there."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a record lies: ``topic/partition/offset``."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Raises ValueError."""
        match = _PLACE.match(text)
        if not match:
            raise ValueError("a record is named topic/partition/offset, such as in.smwo/2/17")
        return cls(match[1], int(match[2]), int(match[3]))


@dataclass(frozen=True, slots=True)
class SetApart:
    """One record of a quarantine topic. `place` is where the original lay, `lies` where this copy does; `said_origin` is what
    it says of having been put back before, which its partner could have written itself."""

    partner: str
    place: Place
    lies: Place
    said_origin: Place | None
    reason: str
    stage: str
    attempts: int
    at: datetime
    key: bytes | None
    size: int
    schema_id: int | None

    @property
    def area(self) -> str:
        """The area in the key, when the key can be one."""
        text = (self.key or b"").decode("ascii", "replace")
        return text if is_code(text) else ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an operator decided of a place."""

    action: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a partner, however often it was set apart, put back and set apart again; newest copy last."""

    origin: Place
    copies: tuple[SetApart, ...]
    verdict: Verdict | None
    """Of the newest place; None when nobody has decided on it."""

    @property
    def newest(self) -> SetApart:
        return self.copies[-1]

    @property
    def partner(self) -> str:
        return self.newest.partner

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(sorted({c.reason for c in self.copies if c.place == self.newest.place}))

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(sorted({c.stage for c in self.copies if c.place == self.newest.place and c.stage}))

    @property
    def times(self) -> int:
        return len({c.place for c in self.copies})

    @property
    def state(self) -> str:
        return self.verdict.action if self.verdict else "open"

    @property
    def first_at(self) -> datetime:
        return self.copies[0].at

    def row(self) -> dict[str, Any]:
        """For tables and JSON."""
        newest = self.newest
        return {
            "record": str(newest.place),
            "partner": self.partner,
            "reason": " ".join(self.reasons),
            "stage": " ".join(self.stages),
            "area": newest.area,
            "size": newest.size,
            "schema_id": newest.schema_id,
            "first_at": self.first_at,
            "times": self.times,
            "origin": str(self.origin),
            "state": self.state,
            "by": self.verdict.actor if self.verdict else None,
        }


def set_apart(raw: Any, partner: str) -> SetApart | None:
    """What a record of ``quarantine.<partner>`` says of itself; None when the engine did not write it."""
    headers = {name: value or b"" for name, value in raw.headers}
    try:
        place = Place(
            headers[PREFIX + "topic"].decode(), int(headers[PREFIX + "partition"]), int(headers[PREFIX + "offset"])
        )
        reason = headers[REASON].decode()
    except (KeyError, ValueError):
        return None
    return SetApart(
        partner=partner,
        place=place,
        lies=Place(raw.topic, raw.partition, raw.offset),
        said_origin=_origin(headers.get(RETRY_OF, b"")),
        reason=reason if is_code(reason) else "unknown",
        stage=_code(headers.get(STAGE, b"")),
        attempts=attempts_in(raw.headers),
        at=instant_of_ms(raw.timestamp),
        key=raw.key,
        size=len(raw.value or b""),
        schema_id=_schema_id(raw.value),
    )


def entries(found: Iterable[SetApart], verdicts: Mapping[Place, Verdict], retried: frozenset[Place]) -> list[Entry]:
    """Copies of one record together. `retried`: places that an operator put back; only of these a record may say that it is
    the same one again, so that nobody can hide a record behind another."""
    groups: dict[Place, dict[tuple[Place, str, str], SetApart]] = {}
    for one in sorted(found, key=lambda one: (one.at, one.lies)):
        said = one.said_origin
        origin = said if said is not None and said in retried and said.topic == one.place.topic else one.place
        groups.setdefault(origin, {}).setdefault((one.place, one.reason, one.stage), one)
    made = [
        Entry(origin, copies, verdicts.get(copies[-1].place))
        for origin, group in groups.items()
        if (copies := tuple(group.values()))
    ]
    return sorted(made, key=lambda entry: (entry.partner, entry.first_at, entry.origin))


def summary(found: Sequence[Entry]) -> list[dict[str, Any]]:
    """Per partner and reason: how many, how many are still open, the oldest open one."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in found:
        groups.setdefault((entry.partner, " ".join(entry.reasons)), []).append(entry)
    rows = []
    for (partner, reason), group in sorted(groups.items()):
        still = [entry.first_at for entry in group if entry.state == "open"]
        states = {state: sum(entry.state == state for entry in group) for state in ("open", "retried", "discarded")}
        rows.append({"partner": partner, "reason": reason, **states, "oldest_open": min(still, default=None)})
    return rows


def original_headers(headers: Headers) -> Headers:
    """As the record had them when it came, before any quarantine."""
    ours = (REASON, ATTEMPTS, STAGE, RETRY_OF)
    return tuple((name, value) for name, value in headers if not name.startswith(PREFIX) and name not in ours)


def envelope(value: bytes | None, headers: Headers) -> dict[str, Any]:
    """What may be shown of a record: its type, ids and codes that look like codes. What is sealed stays sealed."""
    shown: dict[str, Any] = {"type": None}
    kind = codec.type_of(value)
    if kind is not None:
        shown["type"] = kind.__name__
        try:
            shown |= _fields(codec.decode(value, kind))
        except codec.Undecodable as error:
            shown["cannot_be_read"] = error.reason
    names = dict(original_headers(headers))
    texts = {name: data.decode("ascii", "replace") for name, data in names.items() if name in _SHOWN}
    right = {name: text for name, text in texts.items() if _SHOWN[name].match(text)}
    return shown | {"headers": right, "headers_not_shown": len(names) - len(right)}


def _fields(record: Any) -> dict[str, Any]:
    """Codes are repeated only when they are codes: free text could stand where one should."""
    fields: dict[str, Any] = {"area": _text(record.area)} if hasattr(record, "area") else {}
    if isinstance(record, InvolvementStatement | AcceptedStatement):
        fields |= {
            "statement_id": str(record.statement_id),
            "revision": record.revision,
            "stated_at": record.stated_at.isoformat(),
            "identity": "none" if record.identity is None else f"sealed, {len(record.identity)} bytes",
        }
    if isinstance(record, InvolvementStatement):
        fields |= {
            "organisation": _text(record.organisation),
            "source_system": _text(record.source_system),
            "status": str(record.status),
            "relations": len(record.relations),
        }
    if isinstance(record, Decision):
        fields |= {"decision_id": str(record.decision_id), "kind": str(record.kind)}
    return fields


def _text(code: str) -> str:
    return code if is_code(code) else "(no code: not shown)"


def _origin(value: bytes) -> Place | None:
    try:
        return Place.parse(value.decode("ascii", "replace"))
    except ValueError:
        return None


def _code(value: bytes) -> str:
    text = value.decode("ascii", "replace")
    return text if is_code(text) else ""


def _schema_id(value: bytes | None) -> int | None:
    if value is None or len(value) < 5 or value[0] != 0:
        return None
    return int(struct.unpack_from(">I", value, 1)[0])
