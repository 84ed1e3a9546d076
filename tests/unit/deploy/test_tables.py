"""Tables for people: what a row is about stays whole on a narrow terminal, and one row of many columns stands upright."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from samenloop_deploy.cli import console


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    out = io.StringIO()
    monkeypatch.setattr(console, "people", Console(file=out, width=60))
    return out


def test_the_first_column_is_never_broken(said: io.StringIO) -> None:
    row = {"record": "in.backoffice/2/1734", **dict.fromkeys("abcde", "what somebody has to say")}
    console.print_table("records", [row, row])
    assert said.getvalue().count("in.backoffice/2/1734") == 2


def test_one_row_of_many_columns_stands_upright(said: io.StringIO) -> None:
    console.print_table("stage", [{f"figure_{n}": f"[{n}] of many" for n in range(9)}])
    lines = said.getvalue().splitlines()
    for n in range(9):
        assert any(f"figure {n}" in line and f"[{n}] of many" in line for line in lines)


def test_nothing_is_said_as_such(said: io.StringIO) -> None:
    console.print_table("records", [])
    assert said.getvalue() == "records: none\n"
