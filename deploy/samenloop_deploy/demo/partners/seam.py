"""What a partner's system is to the demo: it answers requests, works at night, follows the world, and may call others.

All methods are called one at a time, under the lock of the world: a system needs no lock of its own, may read the world
freely, and must not block. What it has to tell others it hands to ``Surroundings.send``, which returns at once.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..cases import Case
from ..world import World

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; header names in lower case, ``query`` without the question mark."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """``body``: bytes go out as they are and need a Content-Type in ``headers``; None is an empty body; all else is JSON."""

    status: int
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


def problem(status: int, title: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """An error in the form that REST interfaces of the government use (RFC 9457)."""
    return Response(
        status, {"status": status, "title": title}, (("Content-Type", "application/problem+json"), *headers)
    )


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request that a partner system makes itself, such as a notification. Delivered at least once, in no promised order.

    Any 2xx ends it. ``retries`` are the seconds to wait before each further attempt; after the last it is given up.
    """

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    retries: tuple[float, ...] = (1.0, 4.0, 16.0)


@dataclass(frozen=True, slots=True)
class Credentials:
    client_id: str
    client_secret: str


def credentials(seed: int, name: str) -> Credentials:
    """Credentials in a demo world: derived from the seed, so that the connector can be given them ahead."""
    secret = hmac.new(f"samenloop-demo-{seed}".encode(), name.encode(), hashlib.sha256).hexdigest()[:32]
    return Credentials(f"samenloop-{name}", secret)


def instant_text(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds, always six digits, so that text order is time order."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a system is given. ``clock``: seconds that never go back, for tokens and limits; dates come from the world.

    ``base_url`` has no path. ``send`` refuses (ValueError) an address outside this machine.
    """

    world: World
    folder: Path
    base_url: str = "http://127.0.0.1"
    clock: Callable[[], float] = lambda: 0.0
    send: Callable[[Outgoing], None] = lambda _: None
    token_seconds: float = 900.0
    rate: float = 20.0
    burst: int = 60
    keep_runs: int = 40

    def folder_of(self, name: str) -> Path:
        """The drop folder of one system."""
        return self.folder / name


class PartnerSystem:
    """One system. Give it a ``name``, which stands in POST /faults and in the ready file, and override what it does."""

    name: str
    prefixes: frozenset[str] = frozenset()
    """First path segments of the requests it answers; no two systems share one."""

    def handle(self, request: Request) -> Response:
        """Answers one request whose path begins with one of ``prefixes``."""
        return problem(404, "onbekend pad")

    def follow(self) -> None:
        """The world moved on (or is there for the first time): look in ``world.log`` for what is new."""

    def night(self) -> Sequence[Path]:
        """A night falls; for a weekly source, a week. Returns the files it wrote, each there as a whole or not at all."""
        return ()

    def plan_fault(self, asked: Mapping[str, str], times: int) -> None:
        """Goes wrong in the coming ``times`` answers or files. Raises ValueError or KeyError for what cannot be asked."""
        raise ValueError(f"{self.name} has no faults")

    def number_of(self, case: Case) -> str:
        """By what a reader of the system knows one of its cases, when that is more than the number in its register."""
        return case.number

    def description(self) -> dict[str, Any]:
        """Its part of the ready file: what a connector must be told to find it."""
        return {}
