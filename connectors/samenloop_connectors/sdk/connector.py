"""What the author of a connector writes: how to read a source, and what a row or record of it means.

Ids, sealing, history, state, retries, quarantine and sending belong to the runner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from samenloop_connectors.sdk.errors import EdgeError
from samenloop_producers.statement import CaseReport

Payload = Mapping[str, Any]
"""A row or record of the source as it came, in what JSON can hold."""
Cursor = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """One row or record as a reading showed it. `version` is the source's own version in microseconds since 1970.

    A row says all there is to say of a case, and the newest one counts. A source of *messages* tells a case in parts, in no
    order: each item then names its `part`, and `report` is given all parts of the case known so far: ``{part: payload}``. Of
    one part the highest version counts. A case is either told in rows or in parts, never both. `more`: another part of the
    same case follows at once, and what they say is said of them together, not of each in between.
    """

    organisation: str
    case_number: str
    version: int
    payload: Payload
    part: str = ""
    more: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row or record that cannot be read. `place` tells an operator where to look and names nobody. With a case number the
    case counts as seen. Of `payload`, what was found there, only a keyed hash is kept: by it the same row is known again."""

    place: str
    code: str
    field: str = ""
    organisation: str = ""
    case_number: str = ""
    payload: Payload | None = None


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A row of which nothing may stay: its consent is missing or withdrawn, or it was taken out of the register.

    Kept are the case's keyed reference, the reading and the version; with a `code` the row counts as refused. A case of which
    an earlier row was kept is stated anew from an empty payload, to which `report` answers RETRACTED, and what its rows said is
    forgotten. Of a case that was never told nothing is said. For cases told in rows only.
    """

    organisation: str
    case_number: str
    version: int
    code: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a source: a page of a poll, or a whole extract. Never shows a case twice.

    `at` is the instant of the look in microseconds; it orders readings of a stream and differs between them. `complete`: what
    it does not show is not there. `cursor` is saved together with the last of the items; `done` is called after that.
    `cleared`: places that can be read now, so that what was set aside there is forgotten.
    """

    stream: str
    at: int
    complete: bool
    items: Iterable[Item | Unreadable | TakenBack]
    cursor: Cursor | None = None
    digest: str = ""
    last: bool = True
    cleared: tuple[str, ...] = ()
    done: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True, slots=True)
class Failed:
    """A stream that could not be read now; the others go on."""

    stream: str
    error: EdgeError


class Known(Protocol):
    """What a connector may ask of its state."""

    def cursor(self, stream: str) -> Cursor | None: ...

    def readings(self, stream: str) -> Mapping[int, str]:
        """The readings of a stream that were taken in whole, with their digests."""
        ...

    def told(self, stream: str) -> Iterator[tuple[str, str, Mapping[str, Payload]]]:
        """The cases of a stream that are told in parts: organisation, case number and the payload of each part."""
        ...


class Connector(Protocol):
    """One kind of source, configured. Both methods that touch the source raise ConfigurationError or TransientError.

    Its class names its configuration as `Config` and is made with ``(config, now, wait)``: `now` tells the time, `wait` pauses
    for some seconds and says whether the connector has to stop. It may have a method ``start(wake)``, called once before the
    first round of a connector that stays (`wake` asks for a round now), a method ``close()``, a method ``attach(notebook)``,
    called first of all by the runner with what the connector may keep (see `notebook`), and a method ``forget(stream)``:
    called before a round in which that stream is to be read from its beginning (its cursor and readings are then empty), so
    that what it remembers in memory of files taken or refused does not stand in the way.
    """

    source_system: str

    def check(self) -> list[str]:
        """Reach and log in to every source, read no data; a line per source."""
        ...

    def read(self, known: Known) -> Iterator[Reading | Failed]:
        """Whatever is new at the source. The caller takes each reading in whole before it asks for the next."""
        ...

    def report(self, organisation: str, case_number: str, payload: Payload) -> CaseReport:
        """What a row or record (or all parts of a case) says; its version and confirmation are filled in by the runner.

        Pure: the same payload always gives the same report. Raises DataError; for parts that wait for others NotYet.
        """
        ...
