"""What the tests of the MEE connector share: rows, files in both formats, signatures, and a drop folder with an edge."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import xlsxwriter
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from edge_tools import Edge

from samenloop_connectors.mee.config import MeeConfig
from samenloop_connectors.mee.connector import MeeConnector

COLUMNS = (
    "dossiernr", "voorletters", "tussenvoegsels", "achternaam", "partnernaam", "geboortedatum", "postcode", "huisnr",
    "toevoeging", "doelgroep", "startdatum", "einddatum", "product", "consulent_team", "toestemming_schriftelijk", "mutatie",
)  # fmt: skip
ROW = {
    "dossiernr": "0012345", "voorletters": "J.M.", "tussenvoegsels": "van der", "achternaam": "Käster",
    "partnernaam": "de Wildeboer",
    "geboortedatum": "00-00-1980", "postcode": "5554 xk", "huisnr": "17", "toevoeging": "b", "doelgroep": "NAH hersenletsel",
    "startdatum": "10-03-2026", "einddatum": "", "product": "Cliëntondersteuning", "consulent_team": "Team Zuid",
    "toestemming_schriftelijk": "12-03-2026 regie en afstemming", "mutatie": "N",
}  # fmt: skip
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def row(**fields: Any) -> dict[str, Any]:
    return ROW | fields


def as_csv(
    *rows: dict[str, Any],
    delimiter: str = ";",
    bom: bool = False,
    above: Sequence[str] = (),
    columns: Iterable[str] = COLUMNS,
) -> bytes:
    out, columns = io.StringIO(newline=""), list(columns)
    out.writelines(line + "\r\n" for line in above)
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([[each.get(name, "") for name in columns] for each in rows])
    return out.getvalue().encode("utf-8-sig" if bom else "utf-8")


def as_xlsx(
    *rows: dict[str, Any], above: Sequence[str] = (), columns: Iterable[str] = COLUMNS, merged: bool = False
) -> bytes:
    """Dates as real dates, numbers as numbers; title lines merged over all columns; `merged`: one team over all rows."""
    out, columns = io.BytesIO(), list(columns)
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet, day = book.add_worksheet("Export"), book.add_format({"num_format": "dd-mm-yyyy"})
        for at, title in enumerate(above):
            sheet.merge_range(at, 0, at, len(columns) - 1, title)
        sheet.write_row(len(above), 0, columns)
        for down, each in enumerate(rows, len(above) + 1):
            for across, name in enumerate(columns):
                value = each.get(name, "")
                if isinstance(value, date):
                    sheet.write_datetime(down, across, datetime(value.year, value.month, value.day), day)  # noqa: DTZ001
                elif value != "":
                    sheet.write(down, across, value)
        if merged:
            across = columns.index("consulent_team")
            sheet.merge_range(len(above) + 1, across, len(above) + len(rows), across, rows[0]["consulent_team"])
    return out.getvalue()


def signature(name: str, content: bytes, key: Ed25519PrivateKey = KEY) -> bytes:
    return key.sign(f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode())


class Drop:
    """A drop folder with an edge that reads it. Files of mee-a2 are signed, those of mee-zwolle have a checksum."""

    def __init__(self, root: Path, **fields: Any) -> None:
        self.folder = root / "drop"
        self.folder.mkdir(parents=True)
        self.state = root / "state"
        self.config = MeeConfig.model_validate({
            "connector": "mee", "partner": "mee", "state_dir": self.state, "folder": self.folder,
            "organisations": [
                {"id": "mee-a2", "area": "a2", "public_keys": [PUBLIC], "contact": {"team": "MEE A2"},
                 "teams": {"Team Zuid": {"team": "MEE Team Zuid"}}},
                {"id": "mee-zwolle", "area": "zwolle", "file_name": "zwolle"},
            ],
        } | fields)  # fmt: skip
        self.edge = Edge(self.state, MeeConnector(self.config, lambda: NOW), lambda: NOW)

    def put(self, name: str, content: bytes, signed: bool = True) -> Path:
        """A file of mee-a2: ``20260320.csv`` and the like."""
        path = self.folder / f"MEE_mee-a2_{name}"
        if signed:
            path.with_name(path.name + ".sig").write_bytes(signature(path.name, content))
        path.write_bytes(content)
        return path

    def errors(self) -> list[str]:
        """One round; the messages of what failed."""
        return [str(failed.error) for failed in self.edge.runner.round().failed]

    def week(self, name: str, *rows: dict[str, Any], **fields: Any) -> list[str]:
        content = (as_xlsx if name.endswith("xlsx") else as_csv)(*rows, **fields)
        self.put(name, content)
        return self.errors()

    def again(self) -> None:
        """Another process on the same state."""
        self.edge.close()
        self.edge = Edge(self.state, MeeConnector(self.config, lambda: NOW), lambda: NOW)

    def rows(self, query: str) -> list[Any]:
        return self.edge.store.connection.execute(query).fetchall()
