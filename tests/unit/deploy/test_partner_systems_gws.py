"""The back-office extract: layout, encodings and dates, runs of one day, and the faults that a night can have."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samenloop_deploy.demo.cases import Case, Service, State
from samenloop_deploy.demo.partners.gws import (
    COLUMNS,
    FORMATS,
    MODULES,
    MUNICIPALITIES,
    DateFormat,
    DropFolder,
    Fault,
    extract,
    file_name,
    render,
)
from samenloop_deploy.demo.people import valid_test_bsns
from samenloop_deploy.demo.world import World
from samenloop_deploy.demo.written import GwsClient

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
GOES = next(each for each in MUNICIPALITIES if each.code == "0664")


@pytest.fixture
def world() -> World:
    return World(1, 250, START)


@pytest.fixture(scope="module")
def settled() -> World:
    return World(1, 600, START)


def read(content: bytes, encoding: str) -> tuple[list[dict[str, str]], list[str]]:
    """Rows by column name, and the trailer."""
    lines = list(csv.reader(io.StringIO(content.decode(encoding), newline=""), delimiter=";", strict=True))
    assert tuple(lines[0]) == COLUMNS
    return [dict(zip(COLUMNS, line, strict=True)) for line in lines[1:-1]], lines[-1]


def cases_of(world: World, organisation: str, module: Service) -> dict[str, Case]:
    return {
        case.number: case
        for case in world.cases.values()
        if case.organisation == organisation and case.service is module and case.vanished_on is None
    }


@pytest.mark.parametrize("municipality", MUNICIPALITIES, ids=lambda each: each.name)
def test_an_extract_holds_every_case_of_its_module_in_the_format_of_the_municipality(
    settled: World, municipality: Any
) -> None:
    form = FORMATS[municipality.code]
    for module in MODULES:
        made = extract(settled, municipality, module)
        assert made is not None
        assert made.name == f"GWS_{municipality.code}_{module.value}_20261122.csv"
        assert made.content.endswith(b"\r\n")
        assert made.content.count(b"\n") == made.content.count(b"\r\n")
        rows, trailer = read(made.content, form.encoding)
        assert trailer == ["TRAILER", str(len(rows)), "1"]
        cases = cases_of(settled, municipality.organisation, module)
        assert {row["dossiernummer"] for row in rows} == set(cases)
        for row in rows:
            case = cases[row["dossiernummer"]]
            client = settled.clients[case.organisation, case.client].written
            assert isinstance(client, GwsClient)
            assert row["clientnummer"] == case.client
            assert row["datum_aanvang"] == form.dates.write(case.starts_on)
            assert row["datum_einde"] == form.dates.write(case.ends_on)
            assert row["geboortedatum"] == form.dates.write(client.geboortedatum)
            assert row["bsn"] == client.bsn
            assert re.fullmatch(r"[1-9][0-9]{3}[A-Z]{2}", row["postcode"])
            assert row["status"] in {"aangevraagd", "lopend", "opgeschort", "beeindigd", "ingetrokken"}
            assert re.fullmatch(r"[0-9]{1,8}", row["dossiernummer"])
            if form.encoding == "utf-8":
                assert row["achternaam"] == client.achternaam


def test_all_bsns_in_all_files_are_test_numbers_or_typing_errors_beside_them(settled: World) -> None:
    valid = set(valid_test_bsns())
    seen = []
    for municipality in MUNICIPALITIES:
        for module in MODULES:
            made = extract(settled, municipality, module)
            assert made is not None
            rows, _ = read(made.content, FORMATS[municipality.code].encoding)
            seen += [row["bsn"] for row in rows if row["bsn"]]
    assert len(seen) > 300
    assert all(bsn.startswith("9999") for bsn in seen)
    assert sum(bsn in valid for bsn in seen) > 0.98 * len(seen)


def test_both_encodings_and_both_date_formats_are_in_use() -> None:
    assert {form.encoding for form in FORMATS.values()} == {"utf-8", "cp1252"}
    assert {form.dates for form in FORMATS.values()} == set(DateFormat)


def test_dates_keep_their_unknown_parts() -> None:
    assert DateFormat.YEAR_FIRST.write((1980, 0, 0)) == "19800000"
    assert DateFormat.DAY_FIRST.write((1980, 5, 0)) == "00051980"
    assert DateFormat.DAY_FIRST.write(date(2026, 1, 9)) == "09012026"
    assert DateFormat.YEAR_FIRST.write(None) == ""


def test_windows_1252_keeps_what_it_has_and_plainly_writes_what_it_lacks() -> None:
    content = render([["Zoë", "Şahin", "Yıldız", "Michał", "Müller", "Aît"]], 1, 1, "cp1252")
    line = content.decode("cp1252").split("\r\n")[1]
    assert line == '"Zoë";"Sahin";"Yildiz";"Michal";"Müller";"Aît"'
    assert "Şahin".encode() in render([["Şahin"]], 1, 1, "utf-8")


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), min_size=3, max_size=3),
        max_size=8,
    )
)
def test_any_text_survives_the_round_trip(rows: list[list[str]]) -> None:
    content = render(rows, len(rows), 3, "utf-8")
    lines = list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=";", strict=True))
    assert lines[1:-1] == rows
    assert lines[-1] == ["TRAILER", str(len(rows)), "3"]


def test_ended_and_withdrawn_cases_stay_and_vanished_ones_are_gone(world: World) -> None:
    active = [
        case for case in world.cases.values() if case.party == "gemeente-goes/jeugd" and case.state is State.ACTIVE
    ]
    ended, withdrawn, vanished, paused = active[:4]
    world.put(replace(ended, state=State.ENDED, ends_on=world.today))
    world.put(replace(withdrawn, state=State.WITHDRAWN))
    world.put(replace(vanished, vanished_on=world.today))
    world.put(replace(paused, state=State.PAUSED))
    made = extract(world, GOES, Service.JW)
    assert made is not None
    rows = {row["dossiernummer"]: row for row in read(made.content, "utf-8")[0]}
    assert rows[ended.number]["status"] == "beeindigd"
    assert rows[ended.number]["datum_einde"] == "20261122"
    assert rows[ended.number]["mutatiedatum"] == "20261122"
    assert rows[withdrawn.number]["status"] == "ingetrokken"
    assert rows[paused.number]["status"] == "opgeschort"
    assert vanished.number not in rows


def test_the_nights_of_one_day_are_numbered_and_the_next_day_begins_anew(world: World, tmp_path: Path) -> None:
    drop = DropFolder(tmp_path)
    names = []
    for _ in range(3):
        names.append({path.name for path in drop.write(drop.prepare(world))})
    world.advance_to(START + timedelta(days=1))
    names.append({path.name for path in drop.write(drop.prepare(world))})
    series = [next(name for name in night if name.startswith("GWS_0664_JW")) for night in names]
    assert series == [
        "GWS_0664_JW_20261122.csv",
        "GWS_0664_JW_20261122_r02.csv",
        "GWS_0664_JW_20261122_r03.csv",
        "GWS_0664_JW_20261123.csv",
    ]
    assert all(len(night) == 27 for night in names)
    assert read((tmp_path / series[2]).read_bytes(), "utf-8")[1][2] == "3"
    assert not list(tmp_path.glob("*.part"))


def test_a_new_process_goes_on_counting_in_the_same_folder(world: World, tmp_path: Path) -> None:
    first = DropFolder(tmp_path)
    first.write(first.prepare(world))
    first.write(first.prepare(world))
    second = DropFolder(tmp_path)
    assert file_name("0664", Service.JW, world.today, 3) in {made.name for made in second.prepare(world)}


def test_old_runs_are_cleared_away(world: World, tmp_path: Path) -> None:
    drop = DropFolder(tmp_path, keep_runs=2)
    for _ in range(4):
        drop.write(drop.prepare(world))
    left = sorted(path.name for path in tmp_path.glob("GWS_0193_WMO_*"))
    assert left == ["GWS_0193_WMO_20261122_r03.csv", "GWS_0193_WMO_20261122_r04.csv"]


def test_a_partial_file_betrays_itself_by_its_trailer(world: World) -> None:
    whole, partial = (extract(world, GOES, Service.JW, fault=fault) for fault in (None, Fault.PARTIAL))
    assert whole is not None
    assert partial is not None
    rows, trailer = read(partial.content, "utf-8")
    assert int(trailer[1]) == len(read(whole.content, "utf-8")[0]) > len(rows)


def test_a_file_cut_off_has_no_trailer(world: World) -> None:
    made = extract(world, GOES, Service.JW, fault=Fault.CUT_OFF)
    assert made is not None
    assert b"TRAILER" not in made.content


def test_vanished_rows_leave_a_file_in_good_order(world: World) -> None:
    whole, fewer = (extract(world, GOES, Service.JW, fault=fault) for fault in (None, Fault.VANISHED))
    assert whole is not None
    assert fewer is not None
    rows, trailer = read(fewer.content, "utf-8")
    assert int(trailer[1]) == len(rows) < len(read(whole.content, "utf-8")[0])


def test_a_planned_fault_hits_one_series_once(world: World, tmp_path: Path) -> None:
    drop = DropFolder(tmp_path)
    drop.plan_fault("0664", Service.JW, Fault.MISSING)
    assert {made.name for made in drop.prepare(world)} ^ {
        made.name for made in DropFolder(tmp_path).prepare(world)
    } == {"GWS_0664_JW_20261122.csv"}
    assert len(drop.prepare(world)) == 27
