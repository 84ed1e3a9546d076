"""Records of people from a CSV file, for matching without a broker: `people.csv` in, `clusters.csv` and evidence out.

All columns but `record_id` may be missing. A row that repeats (`source`, `source_person_id`) is a new revision of the same
source person: the later `stated_at` counts, or the later row where none is given. A row without `source_person_id` is a person
of its own. What cannot be read in a field is left out of that field, as far as it is wrong: a day 31 in April leaves the month.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from samenloop_processors.clients.domain.normalise import Features, features
from samenloop_schemas.bsn import valid_bsn
from samenloop_schemas.codes import Sex
from samenloop_schemas.dates import UNKNOWN_DATE, PartialDate, micros
from samenloop_schemas.records import Address, IdentityFacts

COLUMNS: Final = (
    "record_id", "source", "source_person_id", "stated_at", "bsn", "given_names", "initials", "call_name", "surname_prefix",
    "surname", "partner_prefix", "partner_surname", "birth_date", "sex", "street", "house_number", "house_addition",
    "postcode", "city", "phone", "email", "other_id",
)  # fmt: skip
_SEX: Final = {"M": Sex.MALE, "F": Sex.FEMALE, "V": Sex.FEMALE, "X": Sex.OTHER}


class PeopleInvalid(ValueError):
    """The file cannot be used; the message names file, line and column, never a value."""


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One row. `person` names the source person within the file; `stated` orders revisions: microseconds, or the row's number."""

    record_id: str
    person: str
    stated: int
    features: Features


def read_people(path: Path) -> Iterator[PersonRow]:
    """Rows in file order. Raises PeopleInvalid, or OSError when the file cannot be opened."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            reader.fieldnames = _header(path, reader.fieldnames or ())
            seen: set[str] = set()
            for number, raw in enumerate(reader, 1):
                place = f"{path}: line {reader.line_num}"
                if None in raw:
                    raise PeopleInvalid(f"{place}: more fields than the header has columns")
                row = {name: (value or "").strip() for name, value in raw.items()}
                record = row["record_id"]
                if not record or record in seen:
                    raise PeopleInvalid(f"{place}: record_id {'occurs a second time' if record else 'is empty'}")
                seen.add(record)
                try:
                    yield _person(row, number)
                except ValueError as error:
                    raise PeopleInvalid(f"{place}: {error}") from None
        except (csv.Error, UnicodeDecodeError) as error:
            raise PeopleInvalid(f"{path}: after line {reader.line_num}: {_reason(error)}") from None


def _header(path: Path, written: Sequence[str]) -> list[str]:
    names = [name.strip() for name in written]
    if "record_id" not in names:
        raise PeopleInvalid(f"{path}: line 1: there is no column record_id")
    if unknown := [name for name in names if name not in COLUMNS]:
        known = ", ".join(COLUMNS)
        raise PeopleInvalid(f"{path}: line 1: unknown column {', '.join(map(repr, unknown))}; columns are {known}")
    return names


def read_pairs(path: Path) -> dict[str, str]:
    """Of a file with two columns, the second by the first: clusters or truth. Raises PeopleInvalid or OSError."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, None)
        if header is None or len(header) < 2 or header[0].strip() != "record_id":
            raise PeopleInvalid(f"{path}: line 1: the columns are record_id and the id of its client or person")
        pairs: dict[str, str] = {}
        for row in reader:
            if len(row) < 2 or not row[0].strip() or not row[1].strip():
                raise PeopleInvalid(f"{path}: line {reader.line_num}: record_id or the second column is empty")
            if row[0].strip() in pairs:
                raise PeopleInvalid(f"{path}: line {reader.line_num}: record_id occurs a second time")
            pairs[row[0].strip()] = row[1].strip()
        return pairs


def birth_date(text: str) -> PartialDate:
    """``YYYY-MM-DD``, 00 for an unknown part; an impossible part is taken for unknown."""
    parts = text.split("-")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        return UNKNOWN_DATE
    year, month, day = map(int, parts)
    if len(parts[0]) != 4 or not (year == 0 or 1850 <= year <= 2200):
        return UNKNOWN_DATE
    for known in ((year, month, day), (year, month, 0), (year, 0, 0)):
        try:
            return PartialDate(*known)
        except ValueError:
            continue
    return UNKNOWN_DATE


def _person(row: dict[str, str], number: int) -> PersonRow:
    def field(name: str) -> str:
        return row.get(name, "")

    bsn = valid_bsn(field("bsn"))
    identity = IdentityFacts(
        source=field("source"),
        given_names=field("given_names"),
        initials=field("initials"),
        call_name=field("call_name"),
        surname_prefix=field("surname_prefix"),
        surname=field("surname"),
        partner_prefix=field("partner_prefix"),
        partner_surname=field("partner_surname"),
        birth_date=birth_date(field("birth_date")),
        sex=_SEX.get(field("sex").upper()[:1], Sex.UNKNOWN),
        address=Address(
            street=field("street"),
            house_number=field("house_number"),
            house_addition=field("house_addition"),
            postcode=field("postcode"),
            city=field("city"),
        ),
        phone=field("phone"),
        email=field("email"),
        bsn_token=f"0:{bsn}" if bsn else "",
    )
    own = field("source_person_id")
    person = f"p:{field('source')}|{own}" if own else f"r:{row['record_id']}"
    return PersonRow(
        row["record_id"], person, _stated(field("stated_at"), number), features(identity, field("other_id"))
    )


def _stated(text: str, number: int) -> int:
    if not text:
        return number
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("stated_at is no date or time such as 2026-01-31 or 2026-01-31T09:00:00Z") from None
    return micros(at if at.tzinfo else at.replace(tzinfo=UTC))


def _reason(error: Exception) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "it is no CSV"
