"""One drop as rows with named columns: the header found below title lines, and everything dropped that is not asked for.

What a file holds beside the columns below (the target group, which is health data, free text, anything new) is let go here,
before a row is looked at: it reaches neither the state nor a log.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from samenloop_connectors.mee.cells import Cell, cell_of, plain
from samenloop_connectors.mee.config import Limits
from samenloop_connectors.mee.workbook import Grid, sheets
from samenloop_connectors.sdk.errors import DataError
from samenloop_schemas.bsn import valid_bsn

NEEDED: Final = (
    "dossiernr", "voorletters", "achternaam", "geboortedatum", "postcode", "huisnr", "startdatum", "einddatum", "product",
    "toestemming_schriftelijk", "mutatie",
)  # fmt: skip
COLUMNS: Final = (*NEEDED, "tussenvoegsels", "partnernaam", "toevoeging", "consulent_team")
_ALIASES: Final = {
    "dossiernummer": "dossiernr",
    "tussenvoegsel": "tussenvoegsels",
    "huisnummer": "huisnr",
    "huisnummertoevoeging": "toevoeging",
    "huisnrtoevoeging": "toevoeging",
    "schriftelijketoestemming": "toestemming_schriftelijk",
    "team": "consulent_team",
} | {name.replace("_", ""): name for name in COLUMNS}
_BSN_NAMES: Final = ("bsn", "burgerservice", "sofi")
_HEADER_WITHIN = 30
_FEW = 3
_MOST_CELL = 4000
_QUICK_LOOK = 200


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the file by its number there. `cells` is None when it has more cells than the header has columns."""

    number: int
    cells: dict[str, Cell] | None


@dataclass(frozen=True, slots=True)
class Table:
    """`bsn_columns`: how many columns that hold citizen service numbers were let go."""

    lines: tuple[Line, ...]
    bsn_columns: int


def read(name: str, content: bytes, workbook: bool, limits: Limits) -> Table:
    """Raises DataError with the reason when nothing of the file may be used."""
    if len(content) > limits.megabytes << 20:
        raise DataError("too_large", message=f"{name}: is larger than {limits.megabytes} MB")
    grids = sheets(name, content, limits) if workbook else _texts(name, content, limits)
    found = [(grid, header) for grid in grids if (header := _header(grid)) is not None]
    if not found:
        raise DataError("header", message=f"{name}: {_what_lacks(name, content, workbook, limits)}")
    if len(found) > 1:
        raise DataError("header", message=f"{name}: has the columns more than once; leave one sheet visible")
    return _table(name, *found[0])


def _texts(name: str, content: bytes, limits: Limits) -> Iterator[Grid]:
    """The file by each delimiter under which it has the header."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("encoding", message=f"{name}: is not UTF-8; save it as CSV UTF-8") from None
    if "\0" in text:
        raise DataError("encoding", message=f"{name}: is no text")
    for delimiter in ";,":
        if _header(_parse(name, text, delimiter, limits, _QUICK_LOOK)) is not None:
            yield _parse(name, text, delimiter, limits)


def _parse(name: str, text: str, delimiter: str, limits: Limits, most: int | None = None) -> Grid:
    """As a grid whose row numbers are the lines on which the rows end, so that an operator finds them."""
    grid: Grid = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=most is None)
    try:
        for fields in reader:
            grid += [[] for _ in range(reader.line_num - len(grid) - 1)]
            grid.append([cell_of(field[:_MOST_CELL]) for field in fields[: limits.columns + 1]])
            if most is not None and len(grid) >= most:
                break
            if len(grid) > limits.rows:
                raise DataError("too_large", message=f"{name}: has more than {limits.rows} rows")
            if len(fields) > limits.columns:
                raise DataError("too_large", message=f"{name}: has more than {limits.columns} columns")
    except csv.Error:
        if most is None:
            raise DataError("partial_file", message=f"{name}: breaks off within quotes, or is no CSV") from None
    return grid


def _column_name(cell: Cell) -> str:
    """The column that a heading means: ``Dossier-nr.`` and ``Mutatie (N/W/V)`` are the usual ones."""
    text = re.sub(r"\(.*?\)", "", plain(cell)) if isinstance(cell, str) else ""
    return _ALIASES.get(re.sub(r"[\W_]+", "", text), "")


def _header(grid: Grid) -> int | None:
    for number, row in enumerate(grid[:_HEADER_WITHIN]):
        if set(NEEDED) <= {_column_name(cell) for cell in row}:
            return number
    return None


def _what_lacks(name: str, content: bytes, workbook: bool, limits: Limits) -> str:
    """Why no header was found, as well as can be told."""
    if workbook:
        grids = list(sheets(name, content, limits))
    else:
        text = content.decode("utf-8-sig")
        for delimiter, word in (("\t", "tabs"), ("|", "'|'")):
            if _header(_parse(name, text, delimiter, limits, _QUICK_LOOK)) is not None:
                return f"its columns are separated by {word}; they have to be by ';' or ','"
        grids = [_parse(name, text, delimiter, limits, _QUICK_LOOK) for delimiter in ";,"]
    rows = [{_column_name(cell) for cell in row} & set(NEEDED) for grid in grids for row in grid[:_HEADER_WITHIN]]
    best = max(rows, key=len, default=set())
    return f"its header lacks {', '.join(column for column in NEEDED if column not in best)}"


def _table(name: str, grid: Grid, header: int) -> Table:
    names = [_column_name(cell) for cell in grid[header]]
    twice = [column for column, times in Counter(names).items() if column and times > 1]
    if twice:
        raise DataError("header", message=f"{name}: has more than one column {', '.join(sorted(twice))}")
    body = [(number, row) for number, row in enumerate(grid[header + 1 :], header + 2) if any(row)]
    suspects = {
        place
        for place, heading in enumerate(grid[header])
        if _called_bsn(heading) or _all_bsn(row[place] for _, row in body if place < len(row))
    }
    if "dossiernr" in {names[place] for place in suspects if place < len(names)}:
        raise DataError("bsn", "dossiernr", f"{name}: has citizen service numbers for dossier numbers")
    kept = {place: column for place, column in enumerate(names) if column and place not in suspects}
    lines = tuple(Line(number, _named(row, kept, len(names))) for number, row in body)
    return Table(lines, len(suspects))


def _named(row: list[Cell], kept: dict[int, str], width: int) -> dict[str, Cell] | None:
    if any(row[width:]):
        return None
    return dict.fromkeys(COLUMNS, "") | {column: row[place] for place, column in kept.items() if place < len(row)}


def _called_bsn(heading: Cell) -> bool:
    text = plain(heading) if isinstance(heading, str) else ""
    return any(word in text for word in _BSN_NAMES)


def _all_bsn(cells: Iterable[Cell]) -> bool:
    """Whether a column holds nothing but numbers that pass the eleven-test, and more than a few: one in eleven does by chance."""
    filled = [cell for cell in cells if cell]
    return len(filled) > _FEW and all(isinstance(cell, str) and valid_bsn(cell) for cell in filled)
