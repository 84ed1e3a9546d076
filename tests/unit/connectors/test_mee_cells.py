"""What a cell of MEE's spreadsheet says: dates in every spelling, numbers that lost their zeros, consent with its scope."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samenloop_connectors.mee.cells import (
    FAULTY,
    Consented,
    cell_of,
    consent,
    house_number_of,
    number_of,
    partial,
    whole_day,
)
from samenloop_connectors.mee.config import SCOPES
from samenloop_connectors.sdk.errors import DataError
from samenloop_schemas.dates import PartialDate

DAY = date(2026, 3, 20)
MONTHS = "januari februari maart april mei juni juli augustus september oktober november december"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("00-00-1980", PartialDate(1980)), ("00-05-1980", PartialDate(1980, 5)), ("1-2-1980", PartialDate(1980, 2, 1)),
        ("01/02/1980", PartialDate(1980, 2, 1)), ("1.2.1980", PartialDate(1980, 2, 1)), ("1980-02-01", PartialDate(1980, 2, 1)),
        ("1980-02-01 00:00:00", PartialDate(1980, 2, 1)), ("12 maart 1980", PartialDate(1980, 3, 12)),
        ("12 MRT. 1980", PartialDate(1980, 3, 12)), ("Maart 1980", PartialDate(1980, 3)),
        ("1 augustus 1980", PartialDate(1980, 8, 1)),
        ("1980", PartialDate(1980)), ("29292", PartialDate(1980, 3, 12)), ("29292.0", PartialDate(1980, 3, 12)),
        ("29292,5", PartialDate(1980, 3, 12)), ("9000", PartialDate(1924, 8, 21)), ("19800312", PartialDate(1980, 3, 12)),
        ("12031980", PartialDate(1980, 3, 12)), (date(1980, 3, 12), PartialDate(1980, 3, 12)),
        ("", PartialDate()), ("onbekend", PartialDate()), ("00-00-0000", PartialDate()), ("-", PartialDate()),
    ],
)  # fmt: skip
def test_a_date_however_it_is_written(cell: Any, expected: PartialDate) -> None:
    assert partial(cell, "geboortedatum") == expected


@pytest.mark.parametrize(
    "text", ["12-03-80", "31-02-1980", "15-00-1980", "12 brumaire 1980", "zomer 1980", "12-03-0980", FAULTY, "99999999"]
)
def test_what_is_no_date_is_said_without_its_value(text: str) -> None:
    with pytest.raises(DataError) as caught:
        partial(text, "geboortedatum")
    assert text not in str(caught.value)
    assert caught.value.field == "geboortedatum"


def test_half_a_date_is_no_day() -> None:
    with pytest.raises(DataError):
        whole_day("00-03-2026", "startdatum")


@given(st.dates(date(1930, 1, 1), date(2060, 12, 31)))
def test_every_day_reads_the_same_in_all_spellings(day: date) -> None:
    serial = (day - date(1899, 12, 30)).days
    months = tuple(MONTHS.split())
    for text in (
        f"{day:%d-%m-%Y}",
        day.isoformat(),
        f"{day.day} {months[day.month - 1]} {day.year}",
        str(serial),
        f"{day:%d%m%Y}",
        day,
    ):
        assert partial(cell_of(text), "x") == PartialDate.of(day)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (123.0, "123"), (12345678901.0, "12345678901"), (1.5, "1.5"), (7, "7"), (True, "ja"), (None, ""), ("  a  b\xa0c ", "a b c"),
        ('="00123"', "00123"), ("=1+1", FAULTY), (datetime(2026, 3, 1, 13, 5), date(2026, 3, 1)),  # noqa: DTZ001
    ],
)  # fmt: skip
def test_values_as_a_spreadsheet_gives_them(value: Any, expected: Any) -> None:
    assert cell_of(value) == expected


def test_a_dossier_number_is_the_same_with_and_without_its_zeros() -> None:
    assert number_of("0012345", 0) == number_of("12345", 0) == "12345"
    assert number_of("0012345", 7) == number_of("12345", 7) == "0012345"
    assert number_of("MEE-0012", 7) == "MEE-0012"


def test_a_house_number_that_was_taken_for_a_date() -> None:
    assert house_number_of(date(2026, 3, 12)) == "12-3"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (date(2026, 3, 1), Consented(date(2026, 3, 1), "")), ("01-03-2026", Consented(date(2026, 3, 1), "")),
        ("46082", Consented(date(2026, 3, 1), "")),
        ("1 maart 2026; regie", Consented(date(2026, 3, 1), "regie")),
        ("Regie en afstemming (1-3-2026)", Consented(date(2026, 3, 1), "regie en afstemming")),
        ("", "consent_missing"), ("ja", "consent_missing"), ("regie", "consent_missing"), ("maart 2026", "consent_missing"),
        ("31-02-2026 regie", "consent_missing"), (FAULTY, "consent_missing"), ("onbekend", "consent_missing"),
        ("ingetrokken", "consent_withdrawn"), ("01-03-2026 INGETROKKEN", "consent_withdrawn"), ("nee", "consent_withdrawn"),
        ("01-03-2026 niet voor regie", "consent_withdrawn"),
        ("01-03-2026 huisarts", "consent_scope"), ("01-03-2026 t/m 01-09-2026", "consent_scope"),
        ("21-03-2026", "consent_not_yet"), (date(2026, 3, 21), "consent_not_yet"),
    ],
)  # fmt: skip
def test_written_consent_has_a_date_in_the_past_and_a_scope_that_fits(cell: Any, expected: Any) -> None:
    assert consent(cell, DAY, SCOPES) == expected
