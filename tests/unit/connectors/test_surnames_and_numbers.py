"""How names, house numbers and telephone numbers are taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samenloop_connectors.sdk.names import letters_only, split_house_number, split_surname, tidy_phone, tidy_postcode


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("", "de Vries-Jansen"), ("de", "Vries", "", "Jansen")),
        (("de", "Vries-Jansen"), ("de", "Vries", "", "Jansen")),
        (("", "Jansen-van der Berg"), ("", "Jansen", "van der", "Berg")),
        (("", "Vries, de"), ("de", "Vries", "", "")),
        (("Van Der", "Berg"), ("van der", "Berg", "", "")),
        (("", "in 't Veld"), ("in 't", "Veld", "", "")),
        (("", "Denneman"), ("", "Denneman", "", "")),
        (("", "van"), ("", "van", "", "")),
        (("", "El Idrissi"), ("el", "Idrissi", "", "")),
        (("", "Jansen-"), ("", "Jansen", "", "")),
    ],
)
def test_surnames(given: tuple[str, str], expected: tuple[str, str, str, str]) -> None:
    found = split_surname(*given)
    assert (found.prefix, found.surname, found.partner_prefix, found.partner_surname) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12a-3", ("12", "A", "3")), ("12 A 3", ("12", "A", "3")), ("12", ("12", "", "")), ("7-II", ("7", "", "II")),
        ("10 bis", ("10", "", "BIS")), ("0017b", ("17", "B", "")), ("", ("", "", "")), ("naast 4", ("", "", "")),
        ("12-3", ("12", "", "3")), ("12a", ("12", "A", "")),
    ],
)  # fmt: skip
def test_house_numbers(text: str, expected: tuple[str, str, str]) -> None:
    assert split_house_number(text) == expected


def test_small_things() -> None:
    assert [tidy_postcode(text) for text in ("4461 ab", "4461AB", "0461AB", "4461")] == ["4461AB", "4461AB", "", ""]
    phones = ("06-12345678", "+31 (0)6 12345678", "0031612345678", "0113-123456", "")
    assert [tidy_phone(text) for text in phones] == ["0612345678"] * 3 + ["0113123456", ""]
    assert [letters_only(text) for text in ("A.B.", "AB", "a b", "A.B", "Th.A.", "")] == ["A.B."] * 4 + ["Th.A.", ""]


@given(st.text(max_size=30), st.text(max_size=30))
def test_nothing_typed_by_people_raises(first: str, second: str) -> None:
    split_surname(first, second)
    split_house_number(first)
    tidy_phone(first)
    tidy_postcode(first)
    letters_only(first)
