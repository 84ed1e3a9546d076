"""Takes the extracts of a drop folder, oldest first: each is a complete reading of one municipality and module."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from samenloop_connectors.backoffice import mapping
from samenloop_connectors.backoffice.config import BackofficeConfig, Municipality
from samenloop_connectors.backoffice.extract import ExtractName, Survey, lines, parse_name, survey
from samenloop_connectors.sdk.connector import Failed, Item, Known, Payload, Reading, Unreadable
from samenloop_connectors.sdk.errors import ConfigurationError, DataError, TransientError
from samenloop_producers.statement import CaseReport


class BackofficeConnector:
    """A file that is not whole, or that changed after it was taken, is refused in whole and stays where it is."""

    Config = BackofficeConfig
    source_system = "gws"

    def __init__(
        self,
        config: BackofficeConfig,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._config = config
        self._by_code = {each.code: each for each in config.organisations}
        self._by_id = {each.id: each for each in config.organisations}
        self._taken: set[tuple[str, int, int]] = set()
        self._refused: dict[tuple[str, int, int], DataError] = {}

    def check(self) -> list[str]:
        for folder, name in ((self._config.folder, "folder"), (self._config.handled, "handled")):
            if folder is None:
                continue
            if not folder.is_dir():
                raise ConfigurationError(f"{name}: {folder} is no folder")
            if not os.access(folder, os.R_OK | os.X_OK | (os.W_OK if self._config.handled else 0)):
                raise ConfigurationError(f"{name}: no right to use {folder}")
        found = [path for path in self._config.folder.iterdir() if parse_name(path.name)]
        return [f"{self._config.folder}: {len(found)} extracts"]

    def read(self, known: Known) -> Iterator[Reading | Failed]:
        try:
            paths = [path for path in self._config.folder.iterdir() if path.suffix.lower() == ".csv"]
        except OSError as error:
            yield Failed("folder", TransientError(f"{self._config.folder} cannot be read: {error.strerror}"))
            return
        named = [(found, path) for path in paths if (found := parse_name(path.name))]
        for path in sorted(set(paths) - {path for _, path in named}):
            yield from self._refuse(
                path, "folder", DataError("file_name", message=f"{path.name}: no name of an extract")
            )
        for name, path in sorted(named, key=lambda pair: (pair[0].day, pair[0].run, pair[1].name)):
            municipality = self._by_code.get(name.code)
            if municipality is None:
                unknown = DataError(
                    "municipality", message=f"{path.name}: municipality {name.code} is not in the configuration"
                )
                yield from self._refuse(path, name.stream, unknown)
            else:
                yield from self._file(known, name, path, municipality)

    def report(self, organisation: str, case_number: str, payload: Payload) -> CaseReport:
        municipality = self._by_id.get(organisation)
        if municipality is None:
            raise DataError("organisation_gone", "organisations")
        return mapping.report(self._config, municipality, case_number.partition("/")[0], payload)

    def forget(self, stream: str) -> None:
        """What still lies in the folder is read again; what was moved away has to be dropped again first."""

        def elsewhere(file: str) -> bool:
            return (name := parse_name(file)) is not None and name.stream != stream

        self._taken = {mark for mark in self._taken if elsewhere(mark[0])}
        self._refused = {mark: error for mark, error in self._refused.items() if elsewhere(mark[0])}

    def _file(
        self, known: Known, name: ExtractName, path: Path, municipality: Municipality
    ) -> Iterator[Reading | Failed]:
        try:
            mark = _mark(path)
            if mark in self._taken or mark in self._refused:
                return
            found = survey(path, municipality.encoding)
            before = known.readings(name.stream).get(name.at)
            if before is not None and before != found.digest:
                raise DataError(
                    "changed_file", message=f"{path.name}: changed after it was taken; drop it as a further run"
                )
        except DataError as error:
            yield from self._refuse(path, name.stream, error)
            return
        except OSError as error:
            yield Failed(name.stream, TransientError(f"{path.name} cannot be read: {error.strerror}"))
            return

        if before is not None:
            self._settle(path, mark)
            return
        yield Reading(
            stream=name.stream,
            at=name.at,
            complete=not found.nameless,
            items=self._items(path, found, name, municipality),
            digest=found.digest,
            done=self._settler(path, mark),
        )

    def _items(
        self, path: Path, found: Survey, name: ExtractName, municipality: Municipality
    ) -> Iterator[Item | Unreadable]:
        told: set[str] = set()
        for line in lines(path, found):
            place = f"{path.name}, line {line.number}"
            dossier = line.fields["dossiernummer"] if line.fields else ""
            if line.fields is None or not dossier:
                wrong = ("missing", "dossiernummer") if line.fields else ("columns", "")
                yield Unreadable(place, *wrong, payload=line.fields)
                continue
            number = mapping.case_number(name.module, dossier)
            if dossier in found.repeated:
                if dossier not in told:
                    yield Unreadable(place, "repeated", "dossiernummer", municipality.id, number)
                told.add(dossier)
                continue
            try:
                version = mapping.version(line.fields, name.day)
            except DataError as error:
                yield Unreadable(place, error.code, error.field, municipality.id, number, line.fields)
                continue
            yield Item(municipality.id, number, version, line.fields)

    def _refuse(self, path: Path, stream: str, error: DataError) -> Iterator[Failed]:
        """Told once per state of the file; a file that is written anew is looked at again."""
        try:
            mark = _mark(path)
        except OSError:
            return
        if mark not in self._refused:
            self._refused[mark] = error
            yield Failed(stream, error)

    def _settler(self, path: Path, mark: tuple[str, int, int]) -> Callable[[], None]:
        return lambda: self._settle(path, mark)

    def _settle(self, path: Path, mark: tuple[str, int, int]) -> None:
        self._taken.add(mark)
        if self._config.handled is not None:
            self._config.handled.mkdir(parents=True, exist_ok=True)
            path.replace(self._config.handled / path.name)


def _mark(path: Path) -> tuple[str, int, int]:
    seen = path.stat()
    return path.name, seen.st_size, seen.st_mtime_ns
