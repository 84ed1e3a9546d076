"""Takes the files of a drop folder, each with the companion that vouches for it: see the package for what is decided."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from samenloop_connectors.mee import mapping, table
from samenloop_connectors.mee.cells import number_of
from samenloop_connectors.mee.config import MeeConfig, MeeOrganisation
from samenloop_connectors.mee.files import SUFFIXES, FileName, companion, parse_name, vouch
from samenloop_connectors.sdk.connector import Failed, Item, Known, Payload, Reading, TakenBack, Unreadable
from samenloop_connectors.sdk.errors import ConfigurationError, DataError, TransientError
from samenloop_producers.statement import CaseReport
from samenloop_schemas import ids
from samenloop_schemas.dates import dutch_day

Mark = tuple[str, tuple[int, int], tuple[int, int] | None]
"""A file's name, and size and time of it and of its companion: while these stay, it is not looked at again."""


class MeeConnector:
    """A file that does not fit is refused in whole, is told once and stays; one without its companion waits."""

    Config = MeeConfig
    source_system = "mee"

    def __init__(
        self,
        config: MeeConfig,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._config = config
        self._now = now
        self._by_file = {each.name_in_files.lower(): each for each in config.organisations}
        self._by_id = {each.id: each for each in config.organisations}
        self._done: dict[Mark, str] = {}
        self._told: set[tuple[Mark, str]] = set()

    def check(self) -> list[str]:
        for folder, name in ((self._config.folder, "folder"), (self._config.handled, "handled")):
            if folder is None:
                continue
            if not folder.is_dir():
                raise ConfigurationError(f"{name}: {folder} is no folder")
            if not os.access(folder, os.R_OK | os.X_OK | (os.W_OK if self._config.handled else 0)):
                raise ConfigurationError(f"{name}: no right to use {folder}")
        found = [path for path in self._config.folder.iterdir() if parse_name(path.name)]
        unsigned = [each.id for each in self._config.organisations if not each.public_keys]
        lines = [f"{self._config.folder}: {len(found)} files"]
        return lines + [f"{each}: no public key, files are only checked for being whole" for each in unsigned]

    def forget(self, stream: str) -> None:
        """Look at the files of a stream again."""
        self._done = {mark: of for mark, of in self._done.items() if of != stream}

    def read(self, known: Known) -> Iterator[Reading | Failed]:
        try:
            paths = [path for path in self._config.folder.iterdir() if path.suffix.lower() in SUFFIXES]
        except OSError as error:
            yield Failed("folder", TransientError(f"{self._config.folder} cannot be read: {error.strerror}"))
            return
        named = [(found, path) for path in paths if (found := parse_name(path.name))]
        for path in sorted(set(paths) - {path for _, path in named}):
            wrong = DataError("file_name", message=f"{path.name}: MEE_<organisation>_<yyyymmdd>.csv or .xlsx is wanted")
            yield from self._refuse(path, "folder", wrong)
        for name, path in sorted(named, key=lambda pair: (pair[0].at, pair[1].name)):
            organisation = self._by_file.get(name.organisation.lower())
            if organisation is None:
                wrong = DataError("organisation", message=f"{path.name}: its organisation is not in the configuration")
                yield from self._refuse(path, "folder", wrong)
            else:
                yield from self._file(known, name, path, organisation)

    def report(self, organisation: str, case_number: str, payload: Payload) -> CaseReport:
        own = self._by_id.get(organisation)
        if own is None:
            raise DataError("organisation_gone", "organisations")
        return mapping.report(self._config, own, case_number, payload)

    def _file(
        self, known: Known, name: FileName, path: Path, organisation: MeeOrganisation
    ) -> Iterator[Reading | Failed]:
        stream = organisation.id
        try:
            mark = self._mark(path, organisation)
            if mark in self._done:
                return
            if waits := self._waits(path, name, mark, organisation):
                if waits.code and (mark, waits.code) not in self._told:
                    self._told.add((mark, waits.code))
                    yield Failed(stream, waits)
                return
            with path.open("rb") as file:
                content = file.read((self._config.limits.megabytes << 20) + 1)
            if len(content) > self._config.limits.megabytes << 20:
                raise DataError("too_large", message=f"{path.name}: is larger than {self._config.limits.megabytes} MB")
            digest = vouch(path, content, organisation.public_keys)
            before = known.readings(stream).get(name.at)
            if before == digest:
                self._settle(path, mark, organisation)
                return
            if before is not None:
                raise DataError("changed_file", message=f"{path.name}: changed after it was taken; drop it as _v2")
            found = table.read(path.name, content, name.workbook, self._config.limits)
        except DataError as error:
            yield from self._refuse(path, stream, error)
            return
        except OSError as error:
            yield Failed(stream, TransientError(f"{path.name} cannot be read: {error.strerror}"))
            return

        rows = list(self._rows(path.name, name, found, organisation))
        legible = all(not isinstance(row, Unreadable) or row.case_number for row in rows)
        if found.bsn_columns:
            rows.append(Unreadable("a column of citizen service numbers", "bsn_column", "bsn"))
        yield Reading(
            stream=stream,
            at=name.at,
            complete=name.whole and legible,
            items=rows,
            digest=digest,
            done=lambda: self._settle(path, mark, organisation),
        )

    def _rows(
        self, file: str, name: FileName, found: table.Table, organisation: MeeOrganisation
    ) -> Iterator[Item | Unreadable | TakenBack]:
        """A word per dossier, whatever the order of its rows."""
        by_dossier: defaultdict[str, list[mapping.Kept | mapping.NotKept | Unreadable]] = defaultdict(list)
        for line in found.lines:
            place = f"{file}, line {line.number}"
            if line.cells is None:
                yield Unreadable(place, "columns")
                continue
            try:
                number = number_of(line.cells["dossiernr"], self._config.dossier_digits)
            except DataError as error:
                yield Unreadable(place, error.code, error.field)
                continue
            if not number:
                yield Unreadable(place, "missing", "dossiernr")
                continue
            try:
                by_dossier[number].append(mapping.keep(self._config, name, line.cells))
            except DataError as error:
                by_dossier[number].append(Unreadable(place, error.code, error.field, organisation.id, number))
        for number, rows in sorted(by_dossier.items()):
            yield _one_of(rows, organisation.id, number, name.at)

    def _waits(self, path: Path, name: FileName, mark: Mark, organisation: MeeOrganisation) -> DataError | None:
        """What a file waits for; without a code when nobody has to be told yet."""
        if name.day > dutch_day(self._now()) + timedelta(days=self._config.days_ahead):
            return DataError("in_the_future", message=f"{path.name}: is dated too far ahead, and waits for its day")
        if mark[2] is not None:
            return None
        age = self._now().timestamp() - path.stat().st_mtime
        beside = companion(path, bool(organisation.public_keys)).name
        told = age >= self._config.companion_minutes * 60
        return DataError("companion" if told else "", message=f"{path.name}: waits for {beside}")

    def _refuse(self, path: Path, stream: str, error: DataError) -> Iterator[Failed]:
        """Told once per state of the file; one that is written or signed anew is looked at again."""
        try:
            mark = self._mark(path, self._by_id.get(stream))
        except OSError:
            return
        if mark not in self._done:
            self._done[mark] = stream
            yield Failed(stream, error)

    def _settle(self, path: Path, mark: Mark, organisation: MeeOrganisation) -> None:
        self._done[mark] = organisation.id
        if self._config.handled is not None:
            self._config.handled.mkdir(parents=True, exist_ok=True)
            for each in (path, companion(path, bool(organisation.public_keys))):
                each.replace(self._config.handled / each.name)

    def _mark(self, path: Path, organisation: MeeOrganisation | None) -> Mark:
        beside = companion(path, bool(organisation and organisation.public_keys))
        seen = path.stat()
        try:
            found = beside.stat()
        except FileNotFoundError:
            return path.name, (seen.st_size, seen.st_mtime_ns), None
        return path.name, (seen.st_size, seen.st_mtime_ns), (found.st_size, found.st_mtime_ns)


def _one_of(
    rows: list[mapping.Kept | mapping.NotKept | Unreadable], organisation: str, number: str, version: int
) -> Item | Unreadable | TakenBack:
    """What a file says of a dossier: missing consent first, then what cannot be read, then V over W over N."""
    refused = sorted(row.reason for row in rows if isinstance(row, mapping.NotKept) and row.reason)
    if refused:
        return TakenBack(organisation, number, version, refused[0])
    unreadable = [row for row in rows if isinstance(row, Unreadable)]
    if unreadable:
        return unreadable[0]
    if any(isinstance(row, mapping.NotKept) for row in rows):
        return TakenBack(organisation, number, version)
    kept = [row for row in rows if isinstance(row, mapping.Kept)]
    best = max(kept, key=lambda row: (row.rank, ids.canonical_json(dict(row.payload))))
    return Item(organisation, number, version, best.payload)
