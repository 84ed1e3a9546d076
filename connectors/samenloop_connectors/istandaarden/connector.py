"""Takes the messages of a drop folder, a file per message, in whatever order they lie there.

A file that is refused is set aside with its reason and stays where it is; written anew, it is looked at again. A message becomes
a part of each case that it tells of; what the parts say together is for `standing`. The version of a part is the message's
*Dagtekening*: a day. Within it come first allocations, then starts, stops and returns, and among those the order of a digest of
their content: that means nothing, but is the same however they arrive.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from samenloop_connectors.istandaarden import envelope, mapping, messages
from samenloop_connectors.istandaarden.config import IstandaardenConfig, Law, Provider
from samenloop_connectors.istandaarden.hardened import MOST_BYTES
from samenloop_connectors.istandaarden.messages import Header, Message, Spoiled
from samenloop_connectors.sdk.connector import Failed, Item, Known, Payload, Reading, Unreadable
from samenloop_connectors.sdk.errors import ConfigurationError, DataError, TransientError
from samenloop_producers.statement import CaseReport
from samenloop_schemas import ids
from samenloop_schemas.bsn import passes_eleven_test
from samenloop_schemas.dates import dutch_day, micros

STREAM = "messages"
_BATCH_FILES = 200
_BATCH_BYTES = 2 * MOST_BYTES
_HOUR = 3_600_000_000
_NINE = re.compile(r"(?<!\d)\d{9}(?!\d)")

Mark = tuple[str, int, int]


class IstandaardenConnector:
    """The tap on both directions: what the municipality sends and what it receives."""

    Config = IstandaardenConfig
    source_system = "istandaarden"

    def __init__(
        self,
        config: IstandaardenConfig,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._config = config
        self._now = now
        self._settled: set[Mark] = set()

    def check(self) -> list[str]:
        for folder, name in ((self._config.folder, "folder"), (self._config.handled, "handled")):
            if folder is None:
                continue
            if not folder.is_dir():
                raise ConfigurationError(f"{name}: {folder} is no folder")
            if not os.access(folder, os.R_OK | os.X_OK | (os.W_OK if self._config.handled else 0)):
                raise ConfigurationError(f"{name}: no right to use {folder}")
        return [f"{self._config.folder}: {sum(1 for _ in self._files())} messages"]

    def read(self, known: Known) -> Iterator[Reading | Failed]:
        """Always one reading at least, so that an empty folder counts as read."""
        try:
            waiting = [(path, mark) for path in self._files() if (mark := _mark(path)) and mark not in self._settled]
        except OSError as error:
            yield Failed(STREAM, TransientError(f"{self._config.folder} cannot be read: {error.strerror}"))
            return
        closed: list[str] = []
        for batch in _batches(waiting):
            yield self._reading(known, batch, closed)
        if closed:
            yield Failed(STREAM, TransientError(f"{len(closed)} files cannot be read: {', '.join(closed[:5])}"))

    def report(self, organisation: str, case_number: str, payload: Payload) -> CaseReport:
        municipality, _ = mapping.law_of(case_number)
        area = self._config.area_of(municipality)
        for provider in self._config.organisations:
            if (provider.area, provider.id) == (area, organisation):
                return mapping.report(self._config, provider, case_number, payload)
        raise DataError("organisation_gone", "organisations")

    def forget(self, stream: str) -> None:
        """What still lies in the folder is read again."""
        self._settled.clear()

    def _files(self) -> Iterator[Path]:
        return (
            path
            for path in sorted(self._config.folder.iterdir())
            if path.suffix.lower() == ".xml" and not path.name.startswith(".") and path.is_file()
        )

    def _reading(self, known: Known, batch: list[tuple[Path, Mark]], closed: list[str]) -> Reading:
        rejected: dict[str, str] = dict((known.cursor(STREAM) or {}).get("rejected", {}))
        news: dict[str, Header] = {}
        found: list[tuple[str, Message, Provider]] = []
        items: list[Item | Unreadable] = []
        taken, settled, cleared = [], [], []
        for path, mark in batch:
            place = place_of(path.name)
            try:
                message = self._message(path, mark)
                provider = self._provider(message.header) if message else None
            except DataError as error:
                items.append(Unreadable(place, error.code, error.field))
                if error.code != "in_the_future":
                    settled.append(mark)
                continue
            except FileNotFoundError:
                continue
            except OSError:
                closed.append(place)
                continue
            taken.append((path, mark))
            cleared += [place, *(place_of(path.name, n) for n in _readable(message))]
            if message is not None and provider is not None:
                found.append((path.name, message, provider))
                if message.rejects_all:
                    news[_key(message.header)] = message.header
        fresh = {key: header for key, header in news.items() if key not in rejected}
        rejected |= {key: header.day.isoformat() for key, header in fresh.items()}
        for name, message, provider in found:
            items += self._items(name, message, provider, _key(message.header) in rejected)
        for header in fresh.values():
            items += self._rejections_of(known, header)
        return Reading(
            stream=STREAM,
            at=micros(self._now()),
            complete=False,
            items=items,
            cursor={"rejected": rejected} if fresh else None,
            cleared=tuple(cleared),
            done=lambda: self._settle(taken, settled),
        )

    def _message(self, path: Path, mark: Mark) -> Message | None:
        """None for a kind of message that says nothing here."""
        if mark[1] > MOST_BYTES:
            raise DataError("too_large", "OP179")
        message = messages.read(*envelope.message(path.read_bytes()))
        latest = dutch_day(self._now()) + timedelta(days=self._config.days_ahead)
        if message is not None and message.header.day > latest:
            raise DataError("in_the_future", "Dagtekening")
        return message

    def _provider(self, header: Header) -> Provider | None:
        area = self._config.area_of(header.municipality)
        if area is None:
            raise DataError("unknown_municipality", "Afzender" if header.kind == "301" else "Ontvanger")
        provider = self._config.provider(area, header.agb)
        if provider is None and self._config.other_providers == "set_aside":
            raise DataError("unknown_provider", "Ontvanger" if header.kind == "301" else "Afzender")
        return provider

    def _items(self, name: str, message: Message, provider: Provider, rejected: bool) -> Iterator[Item | Unreadable]:
        header = message.header
        by_case: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for position, each in enumerate(message.classes, 1):
            if isinstance(each, Spoiled):
                yield Unreadable(place_of(name, position), each.code, each.field)
            elif self._config.product(provider, header.law, each.content["category"]).service_group is not None:
                by_case[self._case(message, each.allocation, each.content)].append(each.content)
        for number, classes in sorted(by_case.items()):
            yield _item(header, provider.id, number, header.returned, False, message.client, classes)
            if rejected and not header.returned:
                yield _item(header, provider.id, number, True, True, {}, [])

    def _case(self, message: Message, allocation: str, content: Mapping[str, Any]) -> str:
        product = "" if allocation else f"{content['category'] or 'any'}-{content['product'] or 'any'}"
        return case_number(message.header.municipality, message.header.law, message.bsn, allocation, product)

    def _rejections_of(self, known: Known, header: Header) -> Iterator[Item]:
        """A return that rejects a whole message without naming a case: told to each case that the message told of."""
        provider = self._provider(header)
        if provider is None:
            return
        for organisation, number, parts in list(known.told(STREAM)):
            if organisation == provider.id and number.startswith(f"{header.municipality}/{header.law}/"):
                told = (header.kind, header.identification, header.day.isoformat(), False)
                if any((p["kind"], p["message"], p["day"], p["returned"]) == told for p in parts.values()):
                    yield _item(header, organisation, number, True, True, {}, [])

    def _settle(self, taken: list[tuple[Path, Mark]], refused: list[Mark]) -> None:
        self._settled.update(refused)
        for path, mark in taken:
            self._settled.add(mark)
            if self._config.handled is not None:
                self._config.handled.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):
                    path.replace(self._config.handled / path.name)


def case_number(municipality: str, law: Law, bsn: str, allocation: str, product: str = "") -> str:
    """The case as the municipality can find it: by allocation number, else by product.

    The client belongs to the key, so a few digits of a digest keep apart what should never be one: with an allocation number too
    few to tell who he is; without one, enough.
    """
    digest = hashlib.sha256(f"client {bsn}".encode()).hexdigest()
    if allocation:
        return f"{municipality}/{law}/{allocation}/{digest[:4]}"
    return f"{municipality}/{law}/{product}/{digest[:12]}"


def place_of(name: str, position: int = 0) -> str:
    """A file's name as it may be shown, without a number that could be somebody's BSN; and which of its classes is meant."""
    shown = _NINE.sub(lambda match: "*" * 9 if passes_eleven_test(match[0]) else match[0], name)
    return f"{shown}, class {position}" if position else shown


def _readable(message: Message | None) -> Iterator[int]:
    """Which classes of a message can be read, from 1."""
    classes = message.classes if message else ()
    return (position for position, each in enumerate(classes, 1) if not isinstance(each, Spoiled))


def _item(
    header: Header,
    organisation: str,
    number: str,
    returned: bool,
    everything: bool,
    client: Mapping[str, Any],
    classes: list[Mapping[str, Any]],
) -> Item:
    payload = {
        "kind": header.kind,
        "message": header.identification,
        "day": header.day.isoformat(),
        "returned": returned,
        "all": everything,
        "client": dict(client),
        "classes": sorted(classes, key=ids.canonical_json),
    }
    digest = hashlib.sha256(ids.canonical_json(payload)).digest()
    rank = 8 if returned else int(header.kind) - 300
    day = micros(datetime.combine(header.day, time(), UTC))
    version = day + rank * _HOUR + int.from_bytes(digest[:8]) % _HOUR
    return Item(organisation, number, version, payload, f"{header.kind}{'r' if returned else ''}-{digest.hex()[:20]}")


def _key(header: Header) -> str:
    return "/".join((
        header.municipality, header.law, header.kind, header.agb, header.identification, header.day.isoformat(),
    ))  # fmt: skip


def _batches(waiting: list[tuple[Path, Mark]]) -> Iterator[list[tuple[Path, Mark]]]:
    batch: list[tuple[Path, Mark]] = []
    size = 0
    for path, mark in waiting:
        if batch and (len(batch) >= _BATCH_FILES or size + mark[1] > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((path, mark))
        size += mark[1]
    yield batch


def _mark(path: Path) -> Mark | None:
    """What tells whether a file changed; None when it has gone."""
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    return path.name, seen.st_size, seen.st_mtime_ns
