"""What a cell of a spreadsheet says: numbers that were text, dates in every spelling, consent with its scope. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NoReturn

from samenloop_connectors.sdk.errors import DataError
from samenloop_schemas.dates import UNKNOWN_DATE, PartialDate

Cell = str | date
FAULTY = "#"
"""A formula that failed or was never worked out: there is something, and nobody can say what."""

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "januari jan", "februari feb febr", "maart mrt maa", "april apr", "mei", "juni jun", "juli jul", "augustus aug",
            "september sep sept", "oktober okt", "november nov", "december dec",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_NOTHING = frozenset(("", "-", "?", "onbekend", "nb", "n.b.", "nvt", "n.v.t.", "niet bekend", "geen"))
_MONTH_WORD = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DAY_FIRST = re.compile(r"^(\d{1,2})[-/. ]+(\d{1,2})[-/. ]+(\d{4})$")
_YEAR_FIRST = re.compile(r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?$")
_IN_WORDS = re.compile(rf"^(?:(\d{{1,2}})[-. ]*)?({_MONTH_WORD})[-. ]+(\d{{4}})$")
_NUMBER = re.compile(r"^\d{4,5}(?:[.,]\d+)?$")
_EIGHT = re.compile(r"^\d{8}$")
_IN_TEXT = re.compile(
    r"(?<!\d)(?:\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{4}-\d{1,2}-\d{1,2}"
    rf"|\d{{1,2}}[-. ]*(?:{_MONTH_WORD})[-. ]+\d{{4}})(?!\d)"
)
_REFUSED = re.compile(r"\b(ingetrokken|intrekking|vervallen|geweigerd|nee|neen|niet|geen|verlopen)\b")
_SERIAL_DAY_0 = date(1899, 12, 30)
_YEARS = range(1850, 2200)


def plain(text: str) -> str:
    """Lower case without accents, with single spaces: how words of people are compared."""
    bare = unicodedata.normalize("NFKD", text.replace("\xa0", " ")).casefold()
    return " ".join("".join(letter for letter in bare if not unicodedata.combining(letter)).split())


def cell_of(value: Any) -> Cell:
    """A value as a spreadsheet gives it: whole numbers lose their ``.0``, instants their time."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, bool):
        return "ja" if value else "nee"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, str | int):
        return _unquoted(" ".join(str(value).replace("\xa0", " ").split()))
    return ""


def _unquoted(text: str) -> str:
    """``="00123"`` is how a CSV keeps zeros from being dropped; any other formula in a CSV was never worked out."""
    if match := re.match(r'^="([^"]*)"$', text):
        return match[1].strip()
    return FAULTY if text.startswith("=") else text


def text_of(cell: Cell, field: str) -> str:
    """Raises DataError for a formula without a value."""
    if cell == FAULTY:
        raise DataError("formula", field)
    return cell.isoformat() if isinstance(cell, date) else cell


def house_number_of(cell: Cell) -> str:
    """A spreadsheet takes ``12-3`` for the twelfth of March and says so with a date."""
    return f"{cell.day}-{cell.month}" if isinstance(cell, date) else text_of(cell, "huisnr")


def number_of(cell: Cell, digits: int) -> str:
    """A number that a spreadsheet may have taken for one: with its zeros in front again, or always without."""
    text = text_of(cell, "dossiernr")
    if not (text.isascii() and text.isdigit()):
        return text
    return (text.lstrip("0") or "0").zfill(digits)


def partial(cell: Cell, field: str) -> PartialDate:
    """A date of which parts may be unknown. Raises DataError."""
    if isinstance(cell, date):
        return PartialDate.of(cell)
    text = plain(text_of(cell, field))
    if text in _NOTHING or not text.strip("0-/. "):
        return UNKNOWN_DATE
    try:
        found = _parsed(text)
    except ValueError:
        found = None
    if found is None or (found.year and found.year not in _YEARS):
        _bad(field)
    return found


def _parsed(text: str) -> PartialDate | None:
    if match := _DAY_FIRST.match(text):
        return PartialDate(int(match[3]), int(match[2]), int(match[1]))
    if match := _YEAR_FIRST.match(text):
        return PartialDate(int(match[1]), int(match[2]), int(match[3]))
    if match := _IN_WORDS.match(text):
        return PartialDate(int(match[3]), _MONTHS[match[2]], int(match[1] or 0))
    if _EIGHT.match(text):
        year_first = text[:2] in ("18", "19", "20") and int(text[4:6]) <= 12
        year, month, day = (text[:4], text[4:6], text[6:]) if year_first else (text[4:], text[2:4], text[:2])
        return PartialDate(int(year), int(month), int(day))
    if _NUMBER.match(text):
        number = int(re.split("[.,]", text)[0])
        return PartialDate(number) if number in _YEARS else PartialDate.of(_SERIAL_DAY_0 + timedelta(days=number))
    return None


def whole_day(cell: Cell, field: str) -> date | None:
    """A whole date; None for nothing at all. Raises DataError."""
    found = partial(cell, field)
    if not found.known:
        return None
    if not found.complete:
        _bad(field)
    return date(found.year, found.month, found.day)


@dataclass(frozen=True, slots=True)
class Consented:
    on: date
    scope: str


def consent(cell: Cell, on: date, scopes: Sequence[str]) -> Consented | str:
    """Written consent as it stood on a day, or the reason why there is none. What cannot be read is no consent."""
    if isinstance(cell, date):
        return Consented(cell, "") if cell <= on else "consent_not_yet"
    text = plain(cell)
    if _REFUSED.search(text):
        return "consent_withdrawn"
    found = _IN_TEXT.findall(text)
    if len(found) > 1:
        return "consent_scope"
    try:
        given = whole_day(found[0] if found else text, "toestemming_schriftelijk")
    except DataError:
        return "consent_missing"
    if given is None:
        return "consent_missing"
    if given > on:
        return "consent_not_yet"
    scope = " ".join(re.findall(r"[^\W\d_]+", _IN_TEXT.sub(" ", text))) if found else ""
    if scope and not {plain(word) for word in scopes} & set(scope.split()):
        return "consent_scope"
    return Consented(given, scope)


def _bad(field: str) -> NoReturn:
    raise DataError("unreadable", field)
