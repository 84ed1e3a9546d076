"""One GWS extract: its name, whether it is whole, and its rows one by one.

``GWS_<gemeentecode>_<module>_<yyyymmdd>[_rNN].csv``, ``;``, quoted, CRLF, UTF-8 or Windows-1252, a header, a row per case and
a trailer ``TRAILER;<rows>`` (what follows in the trailer is ignored).
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from samenloop_connectors.sdk.errors import DataError
from samenloop_connectors.sdk.history import DAY
from samenloop_schemas.dates import micros

COLUMNS = (
    "clientnummer", "bsn", "voorletters", "voornamen", "voorvoegsel", "achternaam", "voorvoegsel_echtgenoot",
    "achternaam_echtgenoot", "aanduiding_naamgebruik", "geslacht", "geboortedatum", "straatnaam", "huisnummer", "huisletter",
    "huisnr_toevoeging", "postcode", "woonplaats", "regeling", "dossiernummer", "datum_aanvang", "datum_einde",
    "consulent_team", "status", "mutatiedatum",
)  # fmt: skip
_NAME = re.compile(r"^GWS_(\d{4})_(PW|WMO|JW)_(\d{8})(?:_r(\d{1,5}))?\.csv$", re.IGNORECASE)
_TRAILER = "TRAILER"


@dataclass(frozen=True, slots=True)
class ExtractName:
    """What a file's name says. The plain name is run 1 of its day."""

    code: str
    module: str
    day: date
    run: int

    @property
    def stream(self) -> str:
        return f"{self.code}-{self.module}"

    @property
    def at(self) -> int:
        """The reading: its day in microseconds plus the run, so that a later run of a day follows an earlier one."""
        return micros(datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)) // DAY * DAY + self.run


def parse_name(name: str) -> ExtractName | None:
    match = _NAME.match(name)
    if not match:
        return None
    try:
        day = date(int(match[3][:4]), int(match[3][4:6]), int(match[3][6:]))
    except ValueError:
        return None
    return ExtractName(match[1], match[2].upper(), day, int(match[4] or 1))


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first pass over a file found. `nameless`: lines without a dossier number, so that absence proves nothing."""

    encoding: str
    columns: tuple[str, ...]
    rows: int
    digest: str
    repeated: frozenset[str]
    nameless: int


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    fields: dict[str, str] | None
    """None when the line has another number of columns than the header."""


def survey(path: Path, encoding: str = "auto") -> Survey:
    """Read the whole file once. Raises DataError when it is not whole or no extract; nothing of it may then be used."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    chosen = _encoding(path) if encoding == "auto" else encoding
    rows = nameless = 0
    met: set[bytes] = set()
    repeated: set[str] = set()
    trailer: list[str] | None = None
    with path.open(encoding=chosen, newline="") as file:
        lines = csv.reader(file, delimiter=";", strict=True)
        try:
            columns = _header(next(lines, []))
            for fields in lines:
                if trailer is not None:
                    raise DataError("after_trailer", message=f"{path.name}: there are lines behind the trailer")
                if fields and fields[0].strip() == _TRAILER:
                    trailer = fields
                    continue
                rows += 1
                number = dict(zip(columns, fields, strict=False)).get("dossiernummer", "").strip()
                if len(fields) != len(columns) or not number:
                    nameless += 1
                    continue
                mark = hashlib.blake2b(number.encode(), digest_size=12).digest()
                if mark in met:
                    repeated.add(number)
                met.add(mark)
        except UnicodeDecodeError:
            raise DataError("encoding", message=f"{path.name}: is not {chosen}") from None
        except csv.Error:
            raise DataError("partial_file", message=f"{path.name}: breaks off, or is no CSV with ';'") from None
    if trailer is None:
        raise DataError("partial_file", message=f"{path.name}: has no trailer after {rows} rows, so it is not whole")
    counted = trailer[1].strip() if len(trailer) > 1 else ""
    if counted != str(rows):
        raise DataError(
            "partial_file",
            message=f"{path.name}: the trailer counts {counted if counted.isdigit() else 'nothing'}, the file has {rows} rows",
        )
    return Survey(chosen, columns, rows, digest, frozenset(repeated), nameless)


def lines(path: Path, found: Survey) -> Iterator[Line]:
    """The rows of a surveyed file, with the line on which each ends."""
    with path.open(encoding=found.encoding, newline="") as file:
        reader = csv.reader(file, delimiter=";", strict=True)
        next(reader)
        for fields in reader:
            if fields and fields[0].strip() == _TRAILER:
                return
            whole = len(fields) == len(found.columns)
            yield Line(
                reader.line_num,
                {name: text.strip() for name, text in zip(found.columns, fields, strict=True)} if whole else None,
            )


def _header(fields: list[str]) -> tuple[str, ...]:
    columns = tuple(field.strip().strip("\ufeff").lower() for field in fields)
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise DataError("header", message=f"the header lacks {', '.join(missing)}")
    return columns


def _encoding(path: Path) -> str:
    """UTF-8 when the whole file is; else Windows-1252 (text in that which is also valid UTF-8 says the same in both)."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            while file.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"
