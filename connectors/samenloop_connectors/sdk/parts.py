"""A case that its source tells in parts (messages): the set of parts, and what it makes of the newest statement.

Of each part the highest (version, content) counts, so that the parts of a case are a function of the set of messages, in
whatever order and however often they came. A larger set never gives a lower revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from samenloop_connectors.sdk.connector import Payload
from samenloop_connectors.sdk.history import Standing, day_of
from samenloop_schemas import ids


@dataclass(frozen=True, slots=True)
class Part:
    """What one message says of a case. `version` is the message's own: microseconds since 1970."""

    version: int
    payload: Payload

    @property
    def rank(self) -> tuple[int, bytes]:
        return self.version, ids.canonical_json(dict(self.payload))


Parts = Mapping[str, Part]


def with_part(parts: Parts, name: str, version: int, payload: Payload) -> Parts:
    new, known = Part(version, payload), parts.get(name)
    if known is not None and known.rank >= new.rank:
        return parts
    return {**parts, name: new}


def payloads(parts: Parts) -> dict[str, Payload]:
    return {name: part.payload for name, part in sorted(parts.items())}


def standing_of_parts(parts: Parts) -> Standing:
    """The highest version, and how many parts there are. Messages confirm by coming: there is no term and no absence."""
    top = max(part.version for part in parts.values())
    version = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=top)
    return Standing(version=version, absorbed=len(parts), confirmed_on=day_of(top))
