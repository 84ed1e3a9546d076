"""Which files MEE's connector takes: names, signatures, layouts that people make, and workbooks that are meant to harm."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import zipfile
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from edge_tools import opened
from mee_drop import COLUMNS, NOW, Drop, as_csv, as_xlsx, row, signature

from samenloop_connectors.mee import table
from samenloop_connectors.mee.config import Limits, MeeConfig
from samenloop_connectors.mee.files import parse_name
from samenloop_connectors.sdk.errors import ConfigurationError, DataError
from samenloop_schemas.dates import PartialDate


@pytest.fixture
def drop(tmp_path: Path) -> Drop:
    return Drop(tmp_path)


def test_names_order_the_files_of_a_day() -> None:
    names = [
        "20260320.csv",
        "20260320.xlsx",
        "20260320_volledig.csv",
        "20260320_v2.csv",
        "20260320_volledig_v2.xlsx",
        "20260327.csv",
    ]
    found = [parse_name(f"MEE_mee-a2_{name}") for name in names]
    assert [each.at for each in found if each] == sorted({each.at for each in found if each})
    assert (
        parse_name("MEE_mee-a2_20260230.csv")
        is parse_name("MEE_mee-a2.csv")
        is parse_name("MEE_a_20260320.xls")
        is None
    )


@pytest.mark.parametrize(
    "content",
    [
        as_csv(row()), as_csv(row(), delimiter=","), as_csv(row(), bom=True),
        as_csv(row(), above=["Export MEE;week 12", "", ";;Persoon;;;;Adres"]),
        as_csv(row(), delimiter=",", above=["sep=,"]),
        as_csv(row(opmerking="boos", extra="1"), columns=("extra", *COLUMNS, "opmerking")),
        as_csv(row(), columns=COLUMNS[::-1]),
        as_csv(row(), {}, row(dossiernr="12345")).replace(b";mutatie", b";Mutatie (N/W/V)").replace(b"dossiernr", b" Dossier-nr. "),
        as_csv(row(dossiernr='="0012345"')),
    ],
    ids=["semicolon", "comma", "BOM", "title lines", "sep", "extra columns", "other order", "empty rows", "kept zeros"],
)  # fmt: skip
def test_layouts_of_a_csv(drop: Drop, content: bytes) -> None:
    drop.put("20260320.csv", content)
    assert drop.errors() == []
    said = drop.edge.only()
    person = opened(said)
    assert person is not None
    assert (person.surname, person.address.postcode, said.starts_on) == ("Käster", "5554XK", date(2026, 3, 10))


@pytest.mark.parametrize(
    ("fields", "layout"),
    [
        ({}, {}),
        ({}, {"above": ["Export MEE", "Vertrouwelijk"]}),
        ({"dossiernr": 12345, "huisnr": 17, "geboortedatum": 1980, "startdatum": date(2026, 3, 10)}, {}),
        ({"startdatum": 46091, "toestemming_schriftelijk": date(2026, 3, 12)}, {"merged": True}),
        ({"dossiernr": "=12345", "achternaam": '="Käs"&"ter"'}, {}),
    ],
    ids=["text", "merged title lines", "numbers and dates", "serial numbers, merged cells", "formulas"],
)
def test_layouts_of_a_workbook(drop: Drop, fields: dict[str, Any], layout: dict[str, Any]) -> None:
    content = as_xlsx(row(**fields), row(dossiernr=777), **layout)
    if "achternaam" in fields:
        content = with_part(content, "xl/worksheets/sheet1.xml", lambda xml: cached(xml, b"D2", "Käster", b' t="str"'))
        content = with_part(content, "xl/worksheets/sheet1.xml", lambda xml: cached(xml, b"A2", "12345", b""))
    drop.put("20260320.xlsx", content)
    assert drop.errors() == []
    assert len(drop.edge.final()) == 2
    for said in drop.edge.statements():
        person = opened(said)
        assert person is not None
        assert (person.surname, person.birth_date, said.starts_on) == ("Käster", PartialDate(1980), date(2026, 3, 10))
        assert (person.address.house_number, said.contact.team) == ("17", "MEE Team Zuid")


def cached(xml: bytes, place: bytes, value: str, kind: bytes) -> bytes:
    """A worksheet in which a formula has been worked out."""
    return re.sub(rb'<c r="%s"[^>]*>(<f>.*?</f>)<v>.*?</v>' % place,
                  lambda found: b'<c r="%s"%s>%s<v>%s</v>' % (place, kind, found[1], value.encode()), xml)  # fmt: skip


def with_part(content: bytes, name: str, change: Any) -> bytes:
    """A workbook with one of its parts changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            body = old.read(entry)
            new.writestr(entry, change(body) if entry == name else body)
    return out.getvalue()


def test_a_dossier_is_the_same_in_both_formats(drop: Drop) -> None:
    drop.week("20260320.csv", row())
    drop.week("20260327.xlsx", row(dossiernr=12345, mutatie="W"))
    assert len(drop.edge.final()) == 1


def test_a_file_waits_for_its_signature_and_is_then_taken(drop: Drop) -> None:
    path = drop.put("20260320.csv", as_csv(row()), signed=False)
    os.utime(path, (NOW.timestamp() - 60,) * 2)
    assert drop.errors() == []
    assert drop.edge.statements() == []
    os.utime(path, (NOW.timestamp() - 7200,) * 2)
    assert drop.errors() == ["MEE_mee-a2_20260320.csv: waits for MEE_mee-a2_20260320.csv.sig"]
    assert drop.errors() == [], "told once"
    path.with_name(path.name + ".sig").write_bytes(base64.b64encode(signature(path.name, path.read_bytes())) + b"\n")
    assert drop.errors() == []
    assert len(drop.edge.statements()) == 1


@pytest.mark.parametrize(
    "signed",
    [
        signature("MEE_mee-a2_20260320.csv", as_csv(row()), Ed25519PrivateKey.generate()),
        signature("MEE_mee-a2_20260313.csv", as_csv(row())),
        signature("MEE_mee-a2_20260320.csv", as_csv(row(huisnr="18"))),
        b"\0" * 64, b"nonsense", b"",
    ],
    ids=["another key", "another name", "other bytes", "zeros", "nonsense", "empty"],
)  # fmt: skip
def test_a_file_that_its_sender_did_not_sign_is_refused_and_may_be_signed_again(drop: Drop, signed: bytes) -> None:
    path = drop.put("20260320.csv", as_csv(row()), signed=False)
    beside = path.with_name(path.name + ".sig")
    beside.write_bytes(signed)
    (error,) = drop.errors()
    assert "sign" in error
    assert (drop.edge.statements(), drop.errors()) == ([], [])
    drop.put("20260320.csv", as_csv(row()))
    os.utime(beside, (NOW.timestamp(),) * 2)
    assert drop.errors() == []
    assert len(drop.edge.statements()) == 1


def test_without_a_key_a_checksum_says_that_the_file_is_whole(drop: Drop) -> None:
    path = drop.folder / "MEE_zwolle_20260320.csv"
    content = as_csv(row())
    beside = path.with_name(path.name + ".sha256")
    path.write_bytes(content[:-40])
    beside.write_text(f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")
    (error,) = drop.errors()
    assert ".sha256" in error
    path.write_bytes(content)
    beside.write_text(f"{hashlib.sha256(content).hexdigest()}  another.csv\n")
    assert len(drop.errors()) == 1
    beside.write_text(f"{hashlib.sha256(content).hexdigest().upper()} *{path.name}")
    assert drop.errors() == []
    assert drop.edge.only().organisation == "mee-zwolle"


BIG = b"<worksheet/>" + b" " * (6 << 20)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (as_csv(row(), delimiter="\t"), "separated by tabs"),
        (as_csv(row(), delimiter="|"), "separated by"),
        (as_csv(row(), columns=[name for name in COLUMNS if name not in ("mutatie", "postcode")]), "lacks postcode, mutatie"),
        (as_csv(row(), columns=(*COLUMNS, "mutatie")), "more than one column mutatie"),
        (as_csv(row()).decode().encode("cp1252"), "not UTF-8"),
        (as_csv(row()).decode().encode("utf-16"), "not UTF-8"),
        (b"", "lacks"),
        (as_csv(row())[:-60] + b';"Zui', "breaks off"),
        (as_csv(*[row()] * 60), "more than 50 rows"),
        (b"x" * (2 << 20), "larger than 1 MB"),
        (as_csv(*[row(dossiernr=each) for each in ("999900006", "999900018", "999900031", "999900043")]), "for dossier numbers"),
    ],
    ids=["tabs", "bars", "lacks columns", "column twice", "Windows-1252", "UTF-16", "empty", "breaks off", "rows", "bytes", "BSNs"],
)  # fmt: skip
def test_a_csv_that_does_not_fit_is_refused_in_whole_and_stays(tmp_path: Path, content: bytes, reason: str) -> None:
    drop = Drop(tmp_path, limits={"megabytes": 1, "rows": 50})
    path = drop.put("20260320.csv", content)
    (error,) = drop.errors()
    assert reason in error
    assert path.name in error
    assert path.exists()
    assert (drop.edge.statements(), drop.errors()) == ([], [])


def zipped(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    return out.getvalue()


def far_cell(xml: bytes) -> bytes:
    return xml.replace(b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>')


def far_row(xml: bytes) -> bytes:
    return xml.replace(b"</sheetData>", b'<row r="1048576"><c r="A1048576"><v>1</v></c></row></sheetData>')


def since_1904(xml: bytes) -> bytes:
    return xml.replace(b"<workbookPr", b'<workbookPr date1904="1"')


def wide_cell(xml: bytes) -> bytes:
    return xml.replace(b"</sheetData>", b'<row r="3"><c r="ZZ3"><v>1</v></c></row></sheetData>')


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (zipped(**{"xl/worksheets/sheet1.xml": BIG}), "would unpack to more"),
        (zipped(**{"xl/worksheets/sheet1.xml": Random(1).randbytes(6 << 20)}), "would unpack to more"),
        (zipped(**{f"xl/{number}.xml": b"" for number in range(2001)}), "would unpack to more"),
        (with_part(as_xlsx(row()), "xl/worksheets/sheet1.xml", far_cell), "more than"),
        (with_part(as_xlsx(row()), "xl/worksheets/sheet1.xml", far_row), "more than 50000 rows"),
        (with_part(as_xlsx(row()), "xl/worksheets/sheet1.xml", wide_cell), "more than"),
        (as_xlsx(row())[:-300], "damaged"),
        (b"\xd0\xcf\x11\xe0" * 300, "no workbook"),
        (zipped(**{"xl/workbook.xml": b"<workbook/>"}), "no workbook"),
        (with_part(as_xlsx(row()), "xl/workbook.xml", since_1904), "1904"),
        (as_xlsx(row(), columns=COLUMNS[:-1]), "lacks mutatie"),
    ],
    ids=["bomb", "large", "entries", "far cell", "far row", "wide", "cut off", "old format", "hollow", "1904", "lacks columns"],
)  # fmt: skip
def test_a_workbook_that_does_not_fit_is_refused_in_whole(tmp_path: Path, content: bytes, reason: str) -> None:
    drop = Drop(tmp_path, limits={"unpacked_megabytes": 5})
    drop.put("20260320.xlsx", content)
    (error,) = drop.errors()
    assert reason in error
    assert drop.edge.statements() == []


def test_a_size_that_is_a_lie_is_found_while_unpacking() -> None:
    content = zipped(**{"xl/worksheets/sheet1.xml": b"<x/>" + b" " * 500_000})
    true, small = (500_004).to_bytes(4, "little"), (4).to_bytes(4, "little")
    assert content.count(true) == 2
    with pytest.raises(DataError, match="no workbook, or is damaged"):
        table.read("x.xlsx", content.replace(true, small), True, Limits())


def test_a_formula_that_failed_sets_its_row_aside_and_not_the_file(drop: Drop) -> None:
    content = as_xlsx(row(), row(dossiernr=2, startdatum="=1/0"), row(dossiernr=3, einddatum="=TODAY()"))
    sheet = "xl/worksheets/sheet1.xml"
    content = with_part(content, sheet, lambda xml: cached(xml, b"K3", "#DIV/0!", b' t="e"'))
    content = with_part(content, sheet, lambda xml: re.sub(rb'(<c r="L4">)(<f>.*?</f>)<v>0</v>', rb"\1\2", xml))
    drop.put("20260320.xlsx", content)
    assert drop.errors() == []
    assert len(drop.edge.statements()) == 1
    assert sorted(drop.rows("SELECT code, field FROM quarantine")) == [
        ("formula", "einddatum"),
        ("formula", "startdatum"),
    ]


def test_a_column_of_citizen_service_numbers_is_let_go_and_told_once(drop: Drop) -> None:
    for name, heading in (("20260320.csv", "BSN cliënt"), ("20260327.csv", "kolom7"), ("20260403.csv", "partnernaam")):
        rows = [row(dossiernr=str(number), **{heading: bsn}) for number, bsn in
                enumerate(("999900006", "999900018", "999900031", "999900043"), 1)]  # fmt: skip
        drop.week(name, *rows, columns=dict.fromkeys((*COLUMNS, heading)))
    assert drop.rows("SELECT code, field, times FROM quarantine") == [("bsn_column", "bsn", 3)]
    named = [person for said in drop.edge.statements() if (person := opened(said))]
    assert {person.bsn for person in named} == {""}
    assert {person.partner_surname for person in named} == {"Wildeboer", ""}, "nor under another heading"


def test_files_that_are_not_ours_are_told(drop: Drop) -> None:
    for name in ("MEE_mee-goes_20260320.csv", "overzicht.xlsx", "MEE_mee-a2_2026w12.csv"):
        (drop.folder / name).write_bytes(as_csv(row()))
    assert len(drop.errors()) == 3


def test_a_file_dated_far_ahead_waits_for_its_day(drop: Drop) -> None:
    assert "dated too far ahead" in drop.week("20270101.csv", row())[0]
    assert drop.errors() == []
    assert drop.edge.statements() == []


def test_a_changed_file_is_not_taken_twice_and_handled_files_are_moved(tmp_path: Path) -> None:
    drop = Drop(tmp_path, handled=tmp_path / "done")
    drop.week("20260320.csv", row())
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == [
        "MEE_mee-a2_20260320.csv",
        "MEE_mee-a2_20260320.csv.sig",
    ]
    assert list(drop.folder.iterdir()) == []
    assert "drop it as _v2" in drop.week("20260320.csv", row(huisnr="99"))[0]
    assert drop.week("20260320_v2.csv", row(huisnr="99")) == []


def test_check_says_which_files_are_not_signed(drop: Drop) -> None:
    assert [line for line in drop.edge.connector.check() if "no public key" in line] == [
        "mee-zwolle: no public key, files are only checked for being whole"
    ]
    drop.folder.rmdir()
    with pytest.raises(ConfigurationError):
        drop.edge.connector.check()


@pytest.mark.parametrize("key", ["", "AAAA", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"])
def test_what_is_no_public_key_is_told_with_the_configuration(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="Ed25519"):
        MeeConfig.model_validate({
            "connector": "mee", "partner": "mee", "state_dir": tmp_path, "folder": tmp_path,
            "organisations": [{"id": "mee-a2", "area": "a2", "public_keys": [key]}],
        })  # fmt: skip
