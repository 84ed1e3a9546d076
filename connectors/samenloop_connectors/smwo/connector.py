"""Reads the trajectories that changed since the last poll, and now and then all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from samenloop_connectors.sdk.connector import Failed, Item, Known, Payload, Reading, Unreadable
from samenloop_connectors.sdk.errors import ConfigurationError, DataError, EdgeError, TransientError
from samenloop_connectors.smwo import mapping
from samenloop_connectors.smwo.client import RegasClient
from samenloop_connectors.smwo.config import SmwoConfig, SmwoOrganisation
from samenloop_producers.statement import CaseReport
from samenloop_schemas.dates import instant_of_ms, micros
from samenloop_schemas.ids import canonical_json


class SmwoConnector:
    """Each organisation is a stream; each page is a reading. The cursor of a stream:

    ``since``: the highest change seen by a finished poll. ``near``: what was seen within the overlap before it, so that a bulk
    change on the boundary is not taken again at each poll. ``at``: the last reading. ``whole``: when everything was last read.
    ``paging``: where an unfinished poll stands.
    """

    Config = SmwoConfig
    source_system = "regas"

    def __init__(
        self,
        config: SmwoConfig,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._config = config
        self._now = now
        self._by_id = {each.id: each for each in config.organisations}
        self._clients = {each.id: RegasClient(each, config.timeout_seconds, wait) for each in config.organisations}

    def check(self) -> list[str]:
        problems, lines = [], []
        for organisation in self._config.organisations:
            client = self._clients[organisation.id]
            try:
                client.log_in()
                client.page(self._now().isoformat(), None, 1)
            except (ConfigurationError, TransientError, DataError) as error:
                problems.append(error)
            else:
                lines.append(f"{organisation.id}: {organisation.base_url} lets us in")
        if problems and all(isinstance(problem, TransientError) for problem in problems):
            raise TransientError("; ".join(map(str, problems)))
        if problems:
            raise ConfigurationError("not every source can be read", [str(problem) for problem in problems])
        return lines

    def read(self, known: Known) -> Iterator[Reading | Failed]:
        for organisation in self._config.organisations:
            try:
                yield from self._poll(organisation, dict(known.cursor(organisation.id) or {}))
            except EdgeError as error:
                yield Failed(organisation.id, error)

    def report(self, organisation: str, case_number: str, payload: Payload) -> CaseReport:
        found = self._by_id.get(organisation)
        if found is None:
            raise DataError("organisation_gone", "organisations")
        return mapping.report(found, self._config.legal_basis, self._config.purpose, payload)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _poll(self, organisation: SmwoOrganisation, cursor: dict[str, Any]) -> Iterator[Reading]:
        paging = cursor.get("paging") or self._begin(cursor)
        while True:
            try:
                page = self._clients[organisation.id].page(paging["from"], paging["cursor"], self._config.page)
            except DataError:
                paging = self._begin(cursor)  # the API no longer knows the page at which we stopped
                page = self._clients[organisation.id].page(paging["from"], None, self._config.page)
            rows = page.get("trajecten")
            if not isinstance(rows, list):
                raise TransientError(f"{organisation.id}: the registration system gives no list of trajectories")
            following = page.get("volgende_cursor")
            at = max(micros(self._now()), cursor.get("at", 0) + 1)
            items = list(self._items(organisation.id, rows, {} if paging["whole"] else cursor.get("near", {})))
            paging = self._along(paging, items, following)
            cursor = {**cursor, "at": at, "paging": paging} if following else self._finished(cursor, paging, at)
            yield Reading(organisation.id, at, False, items, cursor=cursor, last=not following)
            if not following:
                return

    def _begin(self, cursor: Mapping[str, Any]) -> dict[str, Any]:
        since, whole = cursor.get("since"), cursor.get("whole", 0)
        due = since is None or micros(self._now()) - whole >= self._config.whole_days * 86_400_000_000
        start = None if since is None or due else _text(since - self._config.overlap_seconds * 1_000_000)
        return {
            "from": start,
            "cursor": None,
            "whole": due,
            "begun": micros(self._now()),
            "highest": since or 0,
            "near": {},
        }

    def _along(self, paging: dict[str, Any], items: list[Item | Unreadable], following: str | None) -> dict[str, Any]:
        found = [item for item in items if isinstance(item, Item)]
        highest = max([paging["highest"], *(item.version for item in found)])
        near = {**paging["near"], **{item.case_number: [item.version, _mark(item.payload)] for item in found}}
        return {**paging, "cursor": following, "highest": highest, "near": self._within(near, highest)}

    def _finished(self, cursor: Mapping[str, Any], paging: Mapping[str, Any], at: int) -> dict[str, Any]:
        return {
            "since": paging["highest"] or None,
            "near": self._within({**cursor.get("near", {}), **paging["near"]}, paging["highest"]),
            "at": at,
            "whole": paging["begun"] if paging["whole"] else cursor.get("whole", 0),
        }

    def _within(self, near: Mapping[str, list[Any]], highest: int) -> dict[str, list[Any]]:
        edge = highest - self._config.overlap_seconds * 1_000_000
        return {number: seen for number, seen in near.items() if seen[0] >= edge}

    def _items(self, organisation: str, rows: list[Any], near: Mapping[str, list[Any]]) -> Iterator[Item | Unreadable]:
        """A row without a number of its own is only known by its moment of change."""
        met: set[str] = set()
        for row in rows:
            try:
                number = mapping.case_number(row if isinstance(row, dict) else {})
            except DataError as error:
                payload = row if isinstance(row, dict) else None
                yield Unreadable(f"{organisation}, a row {_changed(row)}", error.code, error.field, payload=payload)
                continue
            if number in met:
                continue  # the same page never holds two versions of one trajectory
            met.add(number)
            try:
                version = mapping.version(row)
            except DataError as error:
                yield Unreadable(organisation, error.code, error.field, organisation, number, row)
                continue
            if near.get(number) != [version, _mark(row)]:
                yield Item(organisation, number, version, row)


def _mark(row: Payload) -> str:
    return hashlib.blake2b(canonical_json(dict(row)), digest_size=12).hexdigest()


def _changed(row: Any) -> str:
    try:
        return f"changed at {_text(mapping.version(row if isinstance(row, dict) else {}))}"
    except DataError:
        return "without a time of change"


def _text(microseconds: int) -> str:
    """RFC 3339 in UTC with microseconds."""
    instant = instant_of_ms(0) + timedelta(microseconds=microseconds)
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
