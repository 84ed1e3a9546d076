"""An XLSX file, looked at before anything of it is unpacked, and its sheets as grids of cells.

A workbook is a zip file from outside: what it says of its size is checked first, what it holds is then unpacked under that limit
and counted, and only what was counted is given to the reader, in a zip file of our own.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator

from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from samenloop_connectors.mee.cells import FAULTY, Cell, cell_of
from samenloop_connectors.mee.config import Limits
from samenloop_connectors.sdk.errors import DataError

Grid = list[list[Cell]]
_MOST_ENTRIES = 2000
_MOST_RATIO, _FREE_RATIO = 200, 1 << 20
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SHEET = re.compile(r"^xl/worksheets/[^/]+\.xml$", re.IGNORECASE)
_USED = re.compile(r"^(xl/(?!media/|embeddings/).*|_rels/.*|\[Content_Types\]\.xml)$", re.IGNORECASE)
_TAG = re.compile(rb"<(/?)(?:\w+:)?(row|c|f|v|is)\b([^<>]*?)(/?)>")
_PLACE = re.compile(rb"""(?<![\w:])r\s*=\s*["']([A-Za-z]{0,4})(\d{0,9})["']""")
_FAILED = re.compile(rb"""(?<![\w:])t\s*=\s*["']e["']""")
_1904 = re.compile(rb"""date1904\s*=\s*["'](?:1|true)["']""", re.IGNORECASE)


def sheets(name: str, content: bytes, limits: Limits) -> Iterator[Grid]:
    """The sheets that somebody can see, one by one. Raises DataError: nothing of the workbook may then be used."""
    parts = _unpacked(name, content, limits)
    if _1904.search(parts.get("xl/workbook.xml", b"")):
        raise DataError("dates_1904", message=f"{name}: counts its days from 1904; save it with the usual dates")
    faulty = {part: _survey(name, body, limits) for part, body in parts.items() if _SHEET.match(part)}
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(_packed(parts))) as book:
            for number, about in enumerate(book.sheets_metadata):
                if about.typ is not SheetTypeEnum.WorkSheet or about.visible is not SheetVisibleEnum.Visible:
                    continue
                sheet = book.get_sheet_by_index(number)
                grid: Grid = [[cell_of(value) for value in row] for row in sheet.to_python(skip_empty_area=False)]
                _spread(grid, sheet.merged_cell_ranges or [], limits)
                _mark(grid, faulty.get(_part_of(parts, number), frozenset()))
                yield grid
    except (CalamineError, ValueError, OverflowError):
        raise DataError("workbook", message=f"{name}: is no workbook that can be read") from None


def _unpacked(name: str, content: bytes, limits: Limits) -> dict[str, bytes]:
    """The parts that are of use. What the zip file says of itself is judged before the first byte is unpacked."""
    most = limits.unpacked_megabytes << 20
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            too_big = sum(entry.file_size for entry in entries) > most or len(entries) > _MOST_ENTRIES
            if too_big or any(_bomb(entry) for entry in entries):
                raise DataError(
                    "too_large", message=f"{name}: would unpack to more than {limits.unpacked_megabytes} MB"
                )
            if any(entry.flag_bits & 1 or entry.compress_type not in _KINDS for entry in entries):
                raise DataError("workbook", message=f"{name}: is protected, or packed in an unusual way")
            if len({entry.filename.lower() for entry in entries}) != len(entries):
                raise DataError("workbook", message=f"{name}: holds a part twice")
            return {entry.filename: archive.read(entry) for entry in entries if _USED.match(entry.filename)}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError):
        raise DataError("workbook", message=f"{name}: is no workbook, or is damaged") from None


def _bomb(entry: zipfile.ZipInfo) -> bool:
    return entry.file_size > _FREE_RATIO and entry.file_size > _MOST_RATIO * max(1, entry.compress_size)


def _packed(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    return out.getvalue()


def _survey(name: str, body: bytes, limits: Limits) -> frozenset[tuple[int, int]]:
    """Cells whose formula failed or has no value. Raises DataError for a sheet with a cell far away: a reader makes room for
    all that lies before it."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in body[:64]:
        raise DataError("workbook", message=f"{name}: has a sheet that is not in UTF-8")
    faulty: set[tuple[int, int]] = set()
    rows = furthest = 0
    here, failed, formula, value = (0, 0), False, False, False
    for closing, tag, attributes, empty in _TAG.findall(body):
        if tag in (b"row", b"c") and not closing:
            place = _PLACE.search(attributes)
            if tag == b"row":
                rows += 1
            else:
                here = (int(place[2] or 0), _column(place[1])) if place else (0, 0)
                failed, formula, value = bool(_FAILED.search(attributes)), False, False
                if here[1] > limits.columns:
                    raise DataError("too_large", message=f"{name}: has more than {limits.columns} columns")
            furthest = max(furthest, int(place[2] or 0) if place else 0)
        formula = formula or tag == b"f"
        value = value or (tag in (b"v", b"is") and not empty)
        if tag == b"c" and (closing or empty) and (failed or (formula and not value)):
            faulty.add((here[0] - 1, here[1] - 1))
    if furthest > limits.rows or rows > limits.rows:
        raise DataError("too_large", message=f"{name}: has more than {limits.rows} rows")
    return frozenset(faulty)


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def _part_of(parts: dict[str, bytes], number: int) -> str:
    """The part in which a sheet lies, by the order in the workbook and its relations."""
    book, relations = parts.get("xl/workbook.xml", b""), parts.get("xl/_rels/workbook.xml.rels", b"")
    ids = re.findall(rb"""<(?:\w+:)?sheet\b[^>]*\b\w+:id\s*=\s*["']([^"']+)["']""", book)
    targets = {}
    for tag in re.findall(rb"<(?:\w+:)?Relationship\b[^>]*>", relations):
        identity, target = (re.search(rb"""\b%s\s*=\s*["']([^"']+)["']""" % key, tag) for key in (b"Id", b"Target"))
        if identity and target:
            targets[identity[1]] = target[1].decode("utf-8", errors="replace")
    target_name = targets.get(ids[number], "") if number < len(ids) else ""
    return target_name.lstrip("/") if target_name.startswith("/") else f"xl/{target_name}"


def _spread(grid: Grid, merged: list[tuple[tuple[int, int], tuple[int, int]]], limits: Limits) -> None:
    """Merged cells all say what the first of them says; what is merged sideways (a title) stays where it is."""
    for (top, left), (bottom, right) in merged:
        if left != right or top >= len(grid):
            continue
        for row in grid[top + 1 : min(bottom + 1, limits.rows)]:
            if left < len(row) and left < len(grid[top]):
                row[left] = grid[top][left]


def _mark(grid: Grid, faulty: frozenset[tuple[int, int]]) -> None:
    for row, column in faulty:
        if 0 <= row < len(grid) and 0 <= column < len(grid[row]):
            grid[row][column] = FAULTY
