"""The back-office connector: what a row means, which files are taken, and that vanished rows end only when they are gone."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from edge_tools import Edge, opened, raw_bytes, spellings
from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop_connectors.backoffice.config import BackofficeConfig
from samenloop_connectors.backoffice.connector import BackofficeConnector
from samenloop_connectors.backoffice.extract import COLUMNS
from samenloop_connectors.backoffice.mapping import partial
from samenloop_connectors.sdk.errors import DataError
from samenloop_schemas.codes import Domain, EndReason, NameUsage, Sex, Status
from samenloop_schemas.dates import PartialDate

ROW = {
    "clientnummer": "88812345", "bsn": "999900006", "voorletters": "J.M.", "voornamen": "Jozefien Marjolijn", "voorvoegsel": "van",
    "achternaam": "Käster", "voorvoegsel_echtgenoot": "de", "achternaam_echtgenoot": "Wildeboer", "aanduiding_naamgebruik": "3",
    "geslacht": "V", "geboortedatum": "19680700", "straatnaam": "Kromme Elleboog", "huisnummer": "0017", "huisletter": "b",
    "huisnr_toevoeging": "II", "postcode": "5554 xk", "woonplaats": "Valkenswaard", "regeling": "Participatiewet",
    "dossiernummer": "70001234", "datum_aanvang": "20250310", "datum_einde": "", "consulent_team": "Inkomen", "status": "lopend",
    "mutatiedatum": "20260105",
}  # fmt: skip


def row(**fields: str) -> dict[str, str]:
    return ROW | fields


def content(*rows: dict[str, str], counted: int | None = None, trailer: bool = True, encoding: str = "cp1252") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([[each[name] for name in COLUMNS] for each in rows])
    if trailer:
        writer.writerow(["TRAILER", str(len(rows) if counted is None else counted), "1"])
    return out.getvalue().encode(encoding)


class Night:
    """A drop folder with an edge that reads it."""

    def __init__(self, root: Path, **fields: Any) -> None:
        self.folder = root / "drop"
        self.folder.mkdir(parents=True)
        self.state = root / "state"
        self.config = BackofficeConfig.model_validate({
            "connector": "backoffice", "partner": "backoffice", "state_dir": self.state, "folder": self.folder,
            "organisations": [
                {"id": "gemeente-valkenswaard", "code": "0858", "area": "a2", "contact": {"team": "Sociaal domein"}},
                {"id": "gemeente-goes", "code": "0664", "area": "bevelanden"},
            ],
        } | fields)  # fmt: skip
        self.edge = Edge(self.state, BackofficeConnector(self.config))

    def drop(self, name: str, data: bytes) -> Path:
        path = self.folder / f"GWS_{name}.csv"
        path.write_bytes(data)
        return path

    def night(self, name: str, data: bytes) -> list[str]:
        """Drop one file and take it; returns the errors' messages."""
        self.drop(name, data)
        return [str(failed.error) for failed in self.edge.runner.round().failed]

    def again(self) -> None:
        """Another process on the same state."""
        self.edge.close()
        self.edge = Edge(self.state, BackofficeConnector(self.config))


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(tmp_path)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig"])
def test_a_row_in_the_hubs_words(night: Night, encoding: str) -> None:
    assert night.night("0858_PW_20260110", content(row(), encoding=encoding)) == []
    said = night.edge.only()
    person = opened(said)
    assert person is not None
    assert (said.area, said.organisation, said.source_system) == ("a2", "gemeente-valkenswaard", "gws")
    assert (said.domain, said.service_group, said.legal_basis) == (Domain.PW, "income_support", "pw_64")
    assert (said.status, said.starts_on, said.ends_on) == (Status.ACTIVE, date(2025, 3, 10), None)
    assert said.contact.team == "Sociaal domein", "a team's free text does not leave"
    assert (person.surname_prefix, person.surname, person.partner_prefix) == ("van", "Käster", "de")
    assert (person.name_usage, person.sex, person.bsn) == (NameUsage.PARTNER_OWN, Sex.FEMALE, "999900006")
    assert person.birth_date == PartialDate(1968, 7, 0)
    assert (person.address.house_number, person.address.house_letter, person.address.house_addition) == (
        "17",
        "B",
        "II",
    )
    assert (person.address.postcode, person.municipality) == ("5554XK", "0858")


@pytest.mark.parametrize(
    ("module", "fields", "expected"),
    [
        ("WMO", {"regeling": "Wmo 2015"}, (Domain.WMO, "household_support", Status.ACTIVE, EndReason.NONE)),
        ("JW", {"status": "opgeschort"}, (Domain.JW, "youth_help", Status.PAUSED, EndReason.NONE)),
        ("PW", {"regeling": "Schuldhulpverlening"}, (Domain.WGS, "debt_support", Status.ACTIVE, EndReason.NONE)),
        (
            "PW",
            {"status": "Beëindigd", "datum_einde": "31012026"},
            (Domain.PW, "income_support", Status.ENDED, EndReason.PLANNED),
        ),
        ("PW", {"status": "overleden"}, (Domain.PW, "income_support", Status.ENDED, EndReason.DECEASED)),
        ("PW", {"status": "ingetrokken"}, (Domain.PW, "income_support", Status.RETRACTED, EndReason.WRONGLY_MADE)),
    ],
)
def test_modules_schemes_and_states(
    night: Night, module: str, fields: dict[str, str], expected: tuple[Any, ...]
) -> None:
    night.night(f"0858_{module}_20260210", content(row(**fields)))
    said = night.edge.only()
    assert (said.domain, said.service_group, said.status, said.end_reason) == expected
    assert (said.identity is None) is (said.status is Status.RETRACTED)
    if fields.get("datum_einde"):
        assert said.ends_on == date(2026, 2, 1), "the source names the last day of it"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("19680700", PartialDate(1968, 7)), ("00071968", PartialDate(1968, 7)), ("00001980", PartialDate(1980)),
        ("19800000", PartialDate(1980)), ("20011920", PartialDate(1920, 1, 20)), ("19201120", PartialDate(1920, 11, 20)),
        ("00000000", PartialDate()), ("", PartialDate()), ("01-02-2012", PartialDate(2012, 2, 1)),
    ],
)  # fmt: skip
def test_both_ways_of_writing_a_date(text: str, expected: PartialDate) -> None:
    assert partial(text, "geboortedatum") == expected


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)))
def test_no_date_of_two_centuries_can_be_read_in_two_ways(day: date) -> None:
    assert partial(f"{day:%Y%m%d}", "x") == partial(f"{day:%d%m%Y}", "x") == PartialDate.of(day)


@pytest.mark.parametrize("text", ["1980", "19801332", "31022020", "12345678", "onbekend"])
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(DataError) as caught:
        partial(text, "geboortedatum")
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [content(row(), counted=2), content(row(), trailer=False), content(row())[:400], content(row()) + b'"x"\r\n', b""],
    ids=["trailer counts more", "no trailer", "cut off", "lines behind the trailer", "empty"],
)
def test_a_file_that_is_not_whole_is_refused_in_whole_and_waits(night: Night, data: bytes) -> None:
    night.night("0858_PW_20260110", content(row()))
    (error,) = night.night("0858_PW_20260111", data)
    assert "GWS_0858_PW_20260111.csv" in error or "header" in error
    assert len(night.edge.statements()) == 1
    assert (night.folder / "GWS_0858_PW_20260111.csv").exists()
    assert night.edge.runner.round().failed == (), "told once"
    assert night.night("0858_PW_20260111", content(row(mutatiedatum="20260111", status="opgeschort"))) == []
    assert night.edge.only().status is Status.PAUSED


def test_a_vanished_row_ends_after_two_snapshots_and_comes_back(night: Night) -> None:
    other = row(dossiernummer="2", clientnummer="3")
    night.night("0858_PW_20260110", content(row(), other))
    night.night("0858_PW_20260111", content(other))
    night.night("0858_PW_20260112", content(row(), other, counted=7))  # not whole: proves nothing
    mine = night.edge.statements()[0].case_ref

    def newest() -> Any:
        return max((each for each in night.edge.statements() if each.case_ref == mine), key=lambda each: each.revision)

    assert newest().status is Status.ACTIVE
    night.night("0858_PW_20260113", content(other))
    assert (newest().status, newest().end_reason, newest().ends_on) == (
        Status.ENDED,
        EndReason.EXTERNAL,
        date(2026, 1, 11),
    )
    ended = newest().revision
    night.night("0858_PW_20260114", content(row(), other))
    assert (newest().status, newest().ends_on) == (Status.ACTIVE, None)
    assert newest().revision > ended


def test_what_ended_without_a_date_ended_when_that_was_written(night: Night) -> None:
    night.night(
        "0858_PW_20260110",
        content(row(status="beeindigd"), row(dossiernummer="2", status="beeindigd", datum_aanvang="")),
    )
    assert {(said.status, said.ends_on) for said in night.edge.statements()} == {
        (Status.ENDED, date(2026, 1, 5)), (Status.RETRACTED, None),
    }  # fmt: skip


def test_a_row_that_never_began_is_taken_back_when_it_vanishes(night: Night) -> None:
    night.night("0858_PW_20260110", content(row(status="aangevraagd", datum_aanvang="")))
    night.night("0858_PW_20260111", content())
    night.night("0858_PW_20260111_r02", content())
    assert night.edge.only().status is Status.RETRACTED
    assert night.edge.only().identity is None


def test_files_replayed_late_and_again_after_a_restart_do_no_harm(night: Night) -> None:
    night.night("0858_PW_20260112", content(row(mutatiedatum="20260112", status="opgeschort")))
    night.night("0858_PW_20260110", content(row()))
    assert night.edge.only().status is Status.PAUSED
    told = len(night.edge.statements())
    night.again()
    assert night.edge.runner.round().items == 0
    (night.folder / "GWS_0858_PW_20260112.csv").touch()
    night.edge.runner.round()
    assert len(night.edge.statements()) == told
    (error,) = night.night("0858_PW_20260112", content(row()))
    assert "further run" in error


def test_handled_files_are_moved(tmp_path: Path) -> None:
    night = Night(tmp_path, handled=tmp_path / "done")
    night.night("0858_PW_20260110", content(row()))
    assert [path.name for path in (tmp_path / "done").iterdir()] == ["GWS_0858_PW_20260110.csv"]
    assert list(night.folder.iterdir()) == []


def test_names_and_municipalities_that_are_not_ours_are_told(night: Night) -> None:
    assert "no name of an extract" in night.night("0858_XX_20260110", content(row()))[0]
    assert "9999" in night.night("9999_PW_20260110", content(row()))[0]


def test_rows_that_cannot_be_read_are_counted_and_keep_their_case(night: Night) -> None:
    night.night("0858_PW_20260110", content(row(), row(dossiernummer="2"), row(dossiernummer="3")))
    bad = content(row(status="??"), row(dossiernummer="2"), row(dossiernummer="2"), row(dossiernummer=""))
    for day in (11, 12, 13):
        night.night(f"0858_PW_202601{day}", bad)
    codes = sorted(night.edge.store.connection.execute("SELECT code, field FROM quarantine").fetchall())
    assert codes.count(("unknown_code", "status")) == codes.count(("repeated", "dossiernummer")) == 1
    assert {said.status for said in night.edge.statements()} == {Status.ACTIVE}, "a nameless line proves no absence"


def test_nothing_personal_lies_in_clear_at_the_edge(night: Night) -> None:
    marked = row(voornamen="Quirinda", achternaam="Zwartkruis", straatnaam="Geheimelaan", telefoon="")
    night.night(
        "0858_PW_20260110", content(marked, row(dossiernummer="70009999", clientnummer="88855555", status="??"))
    )
    night.night("0858_PW_20260111", content(marked))
    kept = raw_bytes(night.state)
    assert len(kept) > 10_000
    for secret in ("999900006", "Quirinda", "Zwartkruis", "Geheimelaan", "Wildeboer", "5554XK", "5554 xk", "19680700", "1968-07",
                   "70001234", "88812345", "70009999", "88855555"):  # fmt: skip
        for spelling in spellings(secret):
            assert spelling not in kept, secret


shown = st.sampled_from(["a", "b", "paused", "ended", "gone", "illegible"])
nights = st.dictionaries(st.tuples(st.integers(10, 28), st.integers(1, 2)), shown, min_size=1, max_size=6)


def file_of(day: int, kind: str) -> bytes:
    rows = {
        "a": [row(mutatiedatum="20260110")],
        "b": [row(mutatiedatum="20260110", voornamen="Josephine")],
        "paused": [row(mutatiedatum=f"202601{day:02d}", status="opgeschort")],
        "ended": [row(mutatiedatum="20260110", status="beeindigd", datum_einde="20260110")],
        "gone": [],
        "illegible": [row(status="??")],
    }
    return content(*rows[kind])


@settings(max_examples=25, deadline=None)
@given(nights, st.data())
def test_any_order_repeats_and_splits_give_the_same_final_statement(
    files: dict[tuple[int, int], str], data: st.DataObject
) -> None:
    def final(order: list[tuple[int, int]], restarts: list[bool]) -> Any:
        with TemporaryDirectory() as root:
            night = Night(Path(root))
            for (day, run), restart in zip(order, restarts, strict=True):
                night.night(f"0858_PW_202601{day:02d}_r{run:02d}", file_of(day, files[day, run]))
                if restart:
                    night.again()
            found = night.edge.final()
            night.edge.close()
            return found

    order = data.draw(st.permutations(sorted(files))) + data.draw(st.lists(st.sampled_from(sorted(files)), max_size=2))
    restarts = data.draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order)))
    assert final(order, restarts) == final(sorted(files), [False] * len(files))
