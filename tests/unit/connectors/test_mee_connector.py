"""The MEE connector: what a row means, that nothing stays of a row without consent, and that files may come in any order."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from edge_tools import KEYS, opened, raw_bytes, spellings
from hypothesis import given, settings
from hypothesis import strategies as st
from mee_drop import Drop, as_csv, as_xlsx, row

from samenloop_connectors.mee.cells import cell_of, number_of
from samenloop_connectors.mee.config import MeeConfig
from samenloop_connectors.mee.files import parse_name
from samenloop_connectors.mee.mapping import Kept, keep, report
from samenloop_connectors.mee.table import COLUMNS
from samenloop_connectors.sdk.errors import DataError
from samenloop_connectors.sdk.status import status
from samenloop_schemas import codec
from samenloop_schemas.codes import Consent, Domain, EndReason, Status
from samenloop_schemas.dates import PartialDate

NO_CONSENT = {"toestemming_schriftelijk": ""}


@pytest.fixture
def drop(tmp_path: Path) -> Drop:
    return Drop(tmp_path)


def newest(drop: Drop) -> Any:
    return drop.edge.only()


@pytest.mark.parametrize("name", ["20260320.csv", "20260320.xlsx"])
def test_a_row_in_the_hubs_words(drop: Drop, name: str) -> None:
    assert drop.week(name, row()) == []
    said = newest(drop)
    person = opened(said)
    assert person is not None
    assert (said.area, said.organisation, said.source_system) == ("a2", "mee-a2", "mee")
    assert (said.domain, said.service_group, said.legal_basis) == (Domain.WMO, "client_support", "wmo_2_2_4")
    assert (said.status, said.starts_on, said.ends_on, said.consent) == (
        Status.ACTIVE,
        date(2026, 3, 10),
        None,
        Consent.GIVEN,
    )
    assert (said.confirmed_on, said.contact.team) == (date(2026, 3, 20), "MEE Team Zuid")
    assert (person.initials, person.surname_prefix, person.surname) == ("J.M.", "van der", "Käster")
    assert (person.partner_prefix, person.partner_surname, person.bsn) == ("de", "Wildeboer", "")
    assert person.birth_date == PartialDate(1980)
    assert (person.address.postcode, person.address.house_number, person.address.house_letter) == ("5554XK", "17", "B")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"startdatum": ""}, (Status.ANNOUNCED, None, None)),
        ({"startdatum": "1 april 2026"}, (Status.ACTIVE, date(2026, 4, 1), None)),
        ({"mutatie": "W", "einddatum": "19-03-2026"}, (Status.ENDED, date(2026, 3, 10), date(2026, 3, 20))),
        ({"mutatie": "W", "einddatum": "20-03-2026"}, (Status.ACTIVE, date(2026, 3, 10), date(2026, 3, 21))),
        ({"mutatie": "V", "einddatum": "20-03-2026"}, (Status.ENDED, date(2026, 3, 10), date(2026, 3, 21))),
        ({"mutatie": "wijziging"}, (Status.ACTIVE, date(2026, 3, 10), None)),
    ],
)
def test_mutations_and_dates(drop: Drop, fields: dict[str, str], expected: tuple[Any, ...]) -> None:
    drop.week("20260320.csv", row(**fields))
    said = newest(drop)
    assert (said.status, said.starts_on, said.ends_on) == expected
    assert said.identity is not None


@pytest.mark.parametrize(
    "fields",
    [{"mutatie": "V"}, {"mutatie": "V", "einddatum": "09-03-2026"}, {"mutatie": "V", "startdatum": ""},
     {"mutatie": "W", "startdatum": "", "einddatum": "11-03-2026"}],
    ids=["no end", "ended before it began", "never began", "ended, never began"],
)  # fmt: skip
def test_what_was_taken_out_of_the_register_never_was(drop: Drop, fields: dict[str, str]) -> None:
    drop.week("20260313.csv", row())
    drop.week("20260320.csv", row(**fields), row(dossiernr="9", **fields))
    said = newest(drop)
    assert (said.status, said.end_reason, said.starts_on, said.identity) == (
        Status.RETRACTED,
        EndReason.WRONGLY_MADE,
        None,
        None,
    )
    assert drop.rows("SELECT count(*) FROM not_kept WHERE code <> ''") == [(0,)], "nobody was refused"


@pytest.mark.parametrize(
    ("product", "group"),
    [
        ("CLIËNTONDERSTEUNING", "client_support"), ("IVH", "early_support"), ("Integrale  Vroeghulp", "early_support"),
        ("Autipas", "autism_card"), ("iets nieuws", "client_support"), ("", "client_support"),
    ],
)  # fmt: skip
def test_products_become_service_groups(tmp_path: Path, product: str, group: str) -> None:
    drop = Drop(tmp_path, products={"autipas": "autism_card"})
    drop.week("20260320.csv", row(product=product))
    assert newest(drop).service_group == group


def test_rows_without_written_consent_are_counted_and_nothing_else_of_them_stays(
    drop: Drop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    marked = row(
        dossiernr="70001234", achternaam="Zwartkruis", partnernaam="Geheimsma", voorletters="Q.X.", geboortedatum="17-11-1961",
        postcode="5551ZZ", consulent_team="Team Onzichtbaar", mutatie="raar", **NO_CONSENT,
    )  # fmt: skip
    assert drop.week("20260320.csv", marked, row(dossiernr="2", toestemming_schriftelijk="ingetrokken")) == []
    assert drop.week("20260327.xlsx", marked) == []
    assert drop.edge.statements() == []
    assert drop.rows("SELECT count(*) FROM edge_case UNION ALL SELECT count(*) FROM quarantine") == [(0,), (0,)]
    ref = KEYS.case_ref("mee-a2", "mee", "70001234")
    assert drop.rows("SELECT count(*), code FROM not_kept GROUP BY case_ref, code ORDER BY 1") == [
        (1, "consent_withdrawn"), (2, "consent_missing"),
    ]  # fmt: skip
    assert {name for (name,) in drop.rows("SELECT case_ref FROM not_kept")} > {ref}
    columns = {name for _, name, *_ in drop.rows("PRAGMA table_info(not_kept)")}
    assert columns == {"case_ref", "at", "stream", "version", "code"}
    drop.edge.close()
    kept = raw_bytes(drop.state) + caplog.text.encode() + str(vars(drop.edge.metrics)).encode()
    assert ref.encode() in kept
    for secret in ("70001234", "Zwartkruis", "Geheimsma", "Q.X.", "1961", "17-11", "5551ZZ", "Onzichtbaar", "NAH"):
        for spelling in spellings(secret):
            assert spelling not in kept, secret


def test_refused_rows_are_counted_in_the_metrics(drop: Drop) -> None:
    drop.week("20260320.csv", row(**NO_CONSENT), row(dossiernr="2", **NO_CONSENT))
    (metric,) = [each for each in drop.edge.metrics.registry.collect() if each.name == "samenloop_edge_rows_refused"]
    assert [(each.labels["reason"], each.value) for each in metric.samples if each.name.endswith("_total")] == [
        ("consent_missing", 2)
    ]


@pytest.mark.parametrize(
    "cell", ["", "ingetrokken", "12-03-2026 regie, ingetrokken 19-03-2026", "12-03-2026 alleen huisarts"]
)
def test_consent_withdrawn_takes_the_case_back_and_forgets_what_it_said(drop: Drop, cell: str) -> None:
    drop.week("20260313.csv", row())
    drop.week("20260320.csv", row(mutatie="W", toestemming_schriftelijk=cell))
    said = newest(drop)
    assert (said.status, said.consent, said.identity) == (Status.RETRACTED, Consent.WITHDRAWN, None)
    assert (said.starts_on, said.ends_on, said.relations) == (None, None, ())
    case = drop.edge.state.load(said.case_ref)
    assert case is not None
    assert case.payload == {}
    drop.week("20260327.csv", row(mutatie="W", toestemming_schriftelijk="26-03-2026"))
    assert (newest(drop).status, newest(drop).consent) == (Status.ACTIVE, Consent.GIVEN)


def test_a_withdrawal_that_comes_before_its_case_takes_it_back_all_the_same(drop: Drop) -> None:
    drop.week("20260320.csv", row(mutatie="W", **NO_CONSENT))
    assert drop.edge.statements() == []
    drop.week("20260313.csv", row())
    assert [said.status for said in drop.edge.statements()] == [Status.RETRACTED]


def test_one_dossier_twice_in_a_file(drop: Drop) -> None:
    rows = [row(), row(mutatie="W", huisnr="18"), row(dossiernr="2"), row(dossiernr="2", **NO_CONSENT), row(dossiernr="3"),
            row(dossiernr="3", startdatum="??")]  # fmt: skip
    drop.week("20260320.csv", *rows)
    person = opened(newest(drop))
    assert person is not None
    assert person.address.house_number == "18"
    assert drop.rows("SELECT code FROM not_kept") == [("consent_missing",)]
    assert drop.rows("SELECT code, field FROM quarantine") == [("unreadable", "startdatum")]


def test_rows_that_cannot_be_read_are_set_aside_and_the_others_go_on(drop: Drop) -> None:
    rows = [row(dossiernr="1", mutatie="?"), row(dossiernr="2", einddatum="01-01-2026"),
            row(dossiernr="3", geboortedatum="12-03-80"),
            row(dossiernr="4", achternaam="", partnernaam=""), row(dossiernr=""), row(dossiernr="5", startdatum="00-03-2026"),
            row(dossiernr="6")]  # fmt: skip
    content = (
        as_csv(*rows) + as_csv(row(dossiernr="7", mutatie="N;te veel")).split(b"\r\n")[1].replace(b'"', b"") + b"\r\n"
    )
    drop.put("20260320.csv", content)
    assert drop.errors() == []
    assert len(drop.edge.statements()) == 1
    assert sorted(drop.rows("SELECT code, field FROM quarantine")) == [
        ("columns", ""), ("ends_before_start", "einddatum"), ("missing", "achternaam"), ("missing", "dossiernr"),
        ("unknown_code", "mutatie"), ("unreadable", "geboortedatum"), ("unreadable", "startdatum"),
    ]  # fmt: skip
    drop.week("20260327.csv", row(dossiernr="1"))
    assert ("unknown_code", "mutatie") not in drop.rows("SELECT code, field FROM quarantine")


def test_one_in_ten_without_a_postcode_is_stated_all_the_same(drop: Drop) -> None:
    unknown = ["", "onbekend", "1234", "0000 AA", "5554"]
    rows = [row(dossiernr=str(at), postcode=unknown[at // 10] if at % 10 == 0 else "5554XK") for at in range(50)]
    drop.week("20260320.csv", *rows)
    people = [opened(said) for said in drop.edge.statements()]
    assert sorted(person.address.postcode for person in people if person) == [""] * 5 + ["5554XK"] * 45


def test_whole_files_confirm_and_end_what_they_no_longer_show(drop: Drop) -> None:
    other = row(dossiernr="9", mutatie="")
    drop.week("20260306.csv", row(), row(dossiernr="9"))
    drop.week("20260313_volledig.csv", row(mutatie=""), other)
    mine = KEYS.case_ref("mee-a2", "mee", "12345")
    assert drop.edge.final()[mine]["confirmed_on"] == "2026-03-13"
    drop.week("20260320.csv")
    drop.week("20260413_volledig.csv", other)
    assert drop.edge.final()[mine]["status"] == "ACTIVE", "once is no proof"
    drop.week("20260513_volledig.csv", other, row(dossiernr="", mutatie=""))
    assert drop.edge.final()[mine]["status"] == "ACTIVE", "a row without a number may be the one"
    drop.week("20260613_volledig.csv", other)
    found = drop.edge.final()[mine]
    assert (found["status"], found["ends_on"], found["end_reason"]) == ("ENDED", "2026-04-13", "EXTERNAL")


def test_files_replayed_and_out_of_order_do_no_harm(drop: Drop) -> None:
    drop.week("20260320.xlsx", row(mutatie="W", huisnr="18"))
    drop.week("20260313.csv", row())
    person = opened(newest(drop))
    assert person is not None
    assert person.address.house_number == "18"
    told = len(drop.edge.statements())
    drop.again()
    assert drop.edge.runner.round().items == 0
    drop.put("20260320.xlsx", (drop.folder / "MEE_mee-a2_20260320.xlsx").read_bytes())
    assert (drop.edge.runner.round().failed, len(drop.edge.statements())) == ((), told)


def test_what_was_set_aside_can_be_read_again(drop: Drop) -> None:
    drop.week("20260320.csv", row())
    drop.edge.connector.forget("mee-a2")
    told = len(drop.edge.statements())
    assert drop.edge.runner.round().items == 0, "taken before, by its digest"
    assert len(drop.edge.statements()) == told


def test_nothing_personal_and_nothing_of_what_for_lies_in_clear_at_the_edge(
    drop: Drop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    marked = row(
        dossiernr="70001234", achternaam="Zwartkruis", partnernaam="Geheimsma", postcode="5551ZZ", geboortedatum="17 november 1961",
        doelgroep="Hersenletsel", product="Integrale Vroeghulp", opmerking="Dagboekgeheim",
    )  # fmt: skip
    columns = (*row(), "opmerking")
    drop.week("20260313.csv", marked, columns=columns)
    drop.week("20260320.xlsx", marked | {"mutatie": "W", "startdatum": "??"}, columns=columns)
    drop.week("20260327.csv", marked | {"mutatie": "W"}, columns=columns)
    (case,) = [drop.edge.state.load(ref) for (ref,) in drop.rows("SELECT case_ref FROM edge_case")]
    assert case is not None
    assert case.payload is not None
    text = str(case.payload)
    for word in ("Hersenletsel", "Vroeghulp", "Dagboekgeheim", "regie"):
        assert word not in text, "not even under lock"
    sealed = b"".join(codec.encode(said) for said in drop.edge.statements())
    drop.edge.close()
    kept = raw_bytes(drop.state) + sealed + caplog.text.encode()
    assert len(kept) > 10_000
    for secret in (
        "70001234",
        "Zwartkruis",
        "Geheimsma",
        "5551ZZ",
        "1961",
        "Hersenletsel",
        "Vroeghulp",
        "Dagboekgeheim",
    ):
        for spelling in spellings(secret):
            assert spelling not in kept, secret


shown = st.sampled_from(
    ["a", "b", "announced", "ended", "removed", "closed", "no consent", "withdrawn", "illegible", "gone", "twice"]
)
drops = st.dictionaries(st.tuples(st.integers(2, 18), st.integers(1, 2), st.booleans()), shown, min_size=1, max_size=6)
ROWS = {
    "a": [row()],
    "b": [row(mutatie="W", huisnr="18")],
    "announced": [row(startdatum="")],
    "ended": [row(mutatie="W", einddatum="15-03-2026")],
    "removed": [row(mutatie="V")],
    "closed": [row(mutatie="V", einddatum="15-03-2026")],
    "no consent": [row(**NO_CONSENT)],
    "withdrawn": [row(mutatie="W", toestemming_schriftelijk="ingetrokken")],
    "illegible": [row(mutatie="?")],
    "gone": [],
    "twice": [row(mutatie="W", huisnr="20"), row(mutatie="W", huisnr="19")],
}


@settings(max_examples=25, deadline=None)
@given(drops, st.data())
def test_any_order_repeats_and_splits_give_the_same_final_statement(
    files: dict[tuple[int, int, bool], str], data: st.DataObject
) -> None:
    made = {
        key: (f"202604{key[0]:02d}{'_volledig' * key[2]}_v{key[1]}.csv", as_csv(*ROWS[kind], row(dossiernr="other")))
        for key, kind in files.items()
    }

    def final(order: list[tuple[int, int, bool]], restarts: list[bool]) -> Any:
        with TemporaryDirectory() as root:
            drop = Drop(Path(root))
            for key, restart in zip(order, restarts, strict=True):
                drop.put(*made[key])
                drop.edge.runner.round()
                if restart:
                    drop.again()
            found = drop.edge.final(), sorted(drop.rows("SELECT case_ref, at, version, code FROM not_kept"))
            drop.edge.close()
            return found

    order = data.draw(st.permutations(sorted(files))) + data.draw(st.lists(st.sampled_from(sorted(files)), max_size=2))
    restarts = data.draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order)))
    assert final(order, restarts) == final(sorted(files), [False] * len(files))


def test_two_files_of_one_day_end_in_the_same_statement_in_both_orders(tmp_path: Path) -> None:
    one, other = as_csv(row(huisnr="18")), as_xlsx(row(huisnr="19"))
    found = []
    for root, names in ((tmp_path / "a", (".csv", ".xlsx")), (tmp_path / "b", (".xlsx", ".csv"))):
        drop = Drop(root)
        for suffix in names:
            drop.put(f"20260320{suffix}", one if suffix == ".csv" else other)
            assert drop.errors() == []
        found.append(drop.edge.final())
    assert found[0] == found[1]


def test_status_tells_how_many_rows_were_refused_and_why(drop: Drop) -> None:
    drop.week(
        "20260320.csv", row(), row(dossiernr="2", **NO_CONSENT), row(dossiernr="3", toestemming_schriftelijk="nee")
    )
    drop.week("20260327.csv", row(dossiernr="2", **NO_CONSENT), row(dossiernr="4", mutatie="V"))
    found = status(drop.edge.state, "mee")
    assert found.rows_refused == {"consent_missing": 2, "consent_withdrawn": 1}
    assert (found.cases, found.set_aside_open) == (1, 0)


@given(st.permutations([row(mutatie="W", huisnr=number) for number in ("18", "19", "20")] + [row()]))
@settings(max_examples=8, deadline=None)
def test_the_order_of_rows_in_a_file_says_nothing(rows: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as root:
        drop = Drop(Path(root))
        drop.week("20260320.csv", *rows)
        person = opened(newest(drop))
        drop.edge.close()
    assert person is not None
    assert person.address.house_number == "20"


def test_what_a_later_version_of_a_day_repeats_outranks_what_lay_between(drop: Drop) -> None:
    for version, house in ((1, "18"), (3, "18"), (2, "19")):
        drop.week(f"20260320_v{version}.csv", row(huisnr=house))
    person = opened(newest(drop))
    assert person is not None
    assert person.address.house_number == "18"


words = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["#", "=1", "12-03-2026", "99999", "1e9", "00-00-0000", "N", "V", "²"]),
    st.dates(),
)


@given(st.fixed_dictionaries(dict.fromkeys(COLUMNS, words)), st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_stands_in_the_cells_is_kept_refused_or_set_aside_and_can_be_said(
    cells: dict[str, Any], agreed: bool
) -> None:
    config = MeeConfig.model_validate(
        {
            "connector": "mee",
            "partner": "mee",
            "state_dir": ".",
            "folder": ".",
            "organisations": [{"id": "mee-a2", "area": "a2"}],
        }
    )
    name = parse_name("MEE_mee-a2_20260320.csv")
    assert name is not None
    given_row = {column: cell_of(cell) for column, cell in cells.items()}
    if agreed:
        given_row |= {"toestemming_schriftelijk": "12-03-2026", "mutatie": "W", "startdatum": "", "einddatum": ""}
    with suppress(DataError):
        found = keep(config, name, given_row)
        if isinstance(found, Kept):
            said = report(config, config.organisations[0], "1", found.payload)
            assert said.status in (Status.ANNOUNCED, Status.ACTIVE, Status.ENDED)
    with suppress(DataError):
        assert number_of(given_row["dossiernr"], 7) == number_of(number_of(given_row["dossiernr"], 0), 7)


def reread(drop: Drop, **fields: Any) -> None:
    """Another configuration, and everything read again as `samenloop quarantine retry` asks."""
    drop.edge.close()
    drop.config = MeeConfig.model_validate(drop.config.model_dump() | fields)
    drop.again()
    with drop.edge.store.transaction() as db:
        db.execute("INSERT INTO reread VALUES ('mee-a2', 0, 'tester')")
    drop.edge.runner.round()


def test_a_scope_that_is_agreed_later_lets_refused_rows_in_when_they_are_read_again(drop: Drop) -> None:
    drop.week("20260313.csv", row(toestemming_schriftelijk="12-03-2026 wijkteam"))
    assert drop.edge.statements() == []
    reread(drop, consent_scopes=("wijkteam",))
    assert [said.status for said in drop.edge.statements()] == [Status.ACTIVE]
    assert drop.rows("SELECT count(*) FROM not_kept") == [(0,)]


def test_a_scope_that_is_agreed_no_more_takes_back_what_is_read_again(drop: Drop) -> None:
    drop.week("20260313.csv", row())
    reread(drop, consent_scopes=("wijkteam",))
    said = drop.edge.statements()[-1]
    assert (said.status, said.identity) == (Status.RETRACTED, None)
    reread(drop, consent_scopes=("regie",))
    assert drop.edge.statements()[-1].status is Status.ACTIVE
    assert len({said.revision for said in drop.edge.statements()}) == 1, (
        "of one file: the hub goes by the moment of stating"
    )
