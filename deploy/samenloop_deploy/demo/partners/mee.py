"""MEE: every night of the demo is a week, in which each organisation exports what changed and signs the file.

``MEE_<organisation>_<yyyymmdd>[_volledig][_vN].csv`` or ``.xlsx``, by turns, with ``<file>.sig`` beside it: an Ed25519 signature
over the line that sha256sum prints of the file. Layouts differ per organisation (``LAYOUTS``). The first file holds every dossier
as new; each fourth one is ``_volledig`` and holds every dossier that is still in the register. Rows of people who gave no
written consent, or took it back, are in the files as in real ones: to leave them is up to the connector.

The further files of one day carry a version, so that (day, version) strictly rises. What a faulty file held comes again with the
next, because MEE counts from its last good file on.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, Final

import xlsxwriter
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ..cases import Case, Consent, State
from ..places import AREAS
from ..world import World
from ..written import MeePerson
from ..written.mee import MONTHS
from .seam import PartnerSystem, Surroundings

PERSON: Final = (
    "dossiernr", "voorletters", "tussenvoegsels", "achternaam", "partnernaam", "geboortedatum", "postcode", "huisnr", "toevoeging",
    "doelgroep",
)  # fmt: skip
COLUMNS: Final = (
    *PERSON, "startdatum", "einddatum", "product", "consulent_team", "toestemming_schriftelijk", "mutatie",
)  # fmt: skip
ORGANISATIONS: Final = tuple(area.client_support for area in AREAS)
FULL_EVERY: Final = 4
_NAME: Final = re.compile(
    r"MEE_(?P<organisation>[a-z0-9-]+)_(?P<day>\d{8})(?:_volledig)?(?:_v(?P<version>\d+))?\.(?:csv|xlsx)"
)
_GROUPS: Final = ("LVB", "NAH", "ASS", "chronisch ziek", "lichamelijke beperking")
_PRODUCTS: Final = ("Cliëntondersteuning", "clientondersteuning", "Onafhankelijke cliëntondersteuning", "OCO")
_EARLY: Final = ("IVH", "Integrale Vroeghulp")
_EARLY_AGE: Final = 7
_SCOPES: Final = ("regie", "regie en afstemming", "Regie", "")


@dataclass(frozen=True, slots=True)
class Layout:
    """How one organisation makes its files. ``workbooks_on``: the nights (0 or 1 by turns) on which it saves a workbook."""

    delimiter: str
    byte_order_mark: bool
    workbooks_on: int
    titles: tuple[str, ...]
    months_in_words: bool


LAYOUTS: Final = dict(
    zip(
        ORGANISATIONS,
        (
            Layout(";", True, 1, (), False),
            Layout(",", False, 0, ("Weekexport cliëntondersteuning", "Vertrouwelijk"), True),
            Layout(";", False, 1, ("Export voor Samenloop",), False),
        ),
        strict=True,
    )
)


class Fault(StrEnum):
    """A file without a signature, one that changed after it was signed, or one saved with tabs."""

    UNSIGNED = "unsigned"
    TAMPERED = "tampered"
    TABS = "tabs"


Row = dict[str, str | date]


def signing_key(seed: int, organisation: str) -> Ed25519PrivateKey:
    """The organisation's own key in a demo world: derived from the seed, so that a restart signs alike."""
    return Ed25519PrivateKey.from_private_bytes(
        hashlib.sha256(f"samenloop-demo-{seed}|mee|{organisation}".encode()).digest()
    )


def row_of(world: World, case: Case, mutation: str) -> Row:
    """A dossier as its export row; dates are dates, and no date is an empty text."""
    client = world.clients[case.organisation, case.client].written
    assert isinstance(client, MeePerson)
    rng = Random(f"mee:{world.seed}:{case.organisation}:{case.number}")
    born = world.persons[case.person].birth_date
    early = (world.today - born).days < _EARLY_AGE * 365
    group, product, scope = rng.choice(_GROUPS), rng.choice(_EARLY if early else _PRODUCTS), rng.choice(_SCOPES)
    return {
        "dossiernr": case.number,
        "voorletters": client.voorletters,
        "tussenvoegsels": client.tussenvoegsels,
        "achternaam": client.achternaam,
        "partnernaam": client.partnernaam,
        "geboortedatum": client.geboortedatum,
        "postcode": client.postcode,
        "huisnr": client.huisnr,
        "toevoeging": client.toevoeging,
        "doelgroep": group,
        "startdatum": case.starts_on or "",
        "einddatum": case.ends_on or "",
        "product": product,
        "consulent_team": case.team,
        "toestemming_schriftelijk": _consent(case, scope),
        "mutatie": mutation,
    }


def _consent(case: Case, scope: str) -> str | date:
    if case.consent is Consent.NO:
        return "ingetrokken"
    if case.consent is not Consent.YES or case.consent_on is None:
        return ""
    return f"{case.consent_on:%d-%m-%Y} {scope}" if scope else case.consent_on


def as_csv(rows: Sequence[Row], layout: Layout, delimiter: str) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    writer.writerows([[title] for title in layout.titles])
    writer.writerow(COLUMNS)
    writer.writerows([[_text(row[column], layout) for column in COLUMNS] for row in rows])
    return out.getvalue().encode("utf-8-sig" if layout.byte_order_mark else "utf-8")


def _text(cell: str | date, layout: Layout) -> str:
    if isinstance(cell, str):
        return cell
    return f"{cell.day} {MONTHS[cell.month - 1]} {cell.year}" if layout.months_in_words else f"{cell:%d-%m-%Y}"


def as_workbook(rows: Sequence[Row], layout: Layout, made_at: datetime) -> bytes:
    """Real dates, house numbers as numbers, titles and group headings merged over columns."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.set_properties({"created": made_at.replace(tzinfo=None)})
        sheet, day = book.add_worksheet("Export"), book.add_format({"num_format": "dd-mm-yyyy"})
        top = 0
        for title in layout.titles:
            sheet.merge_range(top, 0, top, len(COLUMNS) - 1, title)
            top += 1
        if layout.titles:
            sheet.merge_range(top, 0, top, len(PERSON) - 1, "Cliënt")
            sheet.merge_range(top, len(PERSON), top, len(COLUMNS) - 1, "Traject")
            top += 1
        sheet.write_row(top, 0, COLUMNS)
        for down, row in enumerate(rows, top + 1):
            for across, column in enumerate(COLUMNS):
                cell = row[column]
                if isinstance(cell, date):
                    sheet.write_datetime(down, across, datetime.combine(cell, time()), day)
                elif column == "huisnr" and cell.isdecimal():
                    sheet.write_number(down, across, int(cell))
                elif cell:
                    sheet.write_string(down, across, cell)
    return out.getvalue()


class Mee(PartnerSystem):
    """The MEE organisations of all areas; their files fall into one folder."""

    name = "mee"

    def __init__(self, surroundings: Surroundings) -> None:
        """Files of an organisation older than its last ``keep_runs`` are cleared away; a full one tells all of them again."""
        self._world = surroundings.world
        self._keep = surroundings.keep_runs
        self.folder = surroundings.folder_of(self.name)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._nights = 0
        self._read_to = dict.fromkeys(ORGANISATIONS, 0)
        self._exported: dict[str, set[str]] = {organisation: set() for organisation in ORGANISATIONS}
        self._versions: dict[tuple[str, date], int] = {}
        self._written: dict[str, list[Path]] = {organisation: [] for organisation in ORGANISATIONS}
        self._faults: dict[str, list[Fault]] = {organisation: [] for organisation in ORGANISATIONS}
        self._resume()

    def _resume(self) -> None:
        """Goes on numbering where an earlier process stopped: a file name is never used twice in one folder."""
        for path in sorted(self.folder.glob("MEE_*")):
            if found := _NAME.fullmatch(path.name):
                key = found["organisation"], date.fromisoformat(found["day"])
                self._versions[key] = max(self._versions.get(key, 0), int(found["version"] or 1))
                self._written.setdefault(found["organisation"], []).append(path)

    def night(self) -> Sequence[Path]:
        self._nights += 1
        return [self._export(organisation) for organisation in ORGANISATIONS]

    def _export(self, organisation: str) -> Path:
        world, layout = self._world, LAYOUTS[organisation]
        log = world.log[self.name, organisation]
        whole = self._nights % FULL_EVERY == 0
        changed = {number for _, number in log[self._read_to[organisation] :]}
        told = {number for _, number in log} if whole else changed
        rows = [row for number in sorted(told) if (row := self._row(organisation, number, number in changed))]
        fault = self._faults[organisation].pop(0) if self._faults[organisation] else None
        workbook = self._nights % 2 == layout.workbooks_on and fault is not Fault.TABS
        if workbook:
            content = as_workbook(rows, layout, world.now)
        else:
            content = as_csv(rows, layout, "\t" if fault is Fault.TABS else layout.delimiter)
        key = organisation, world.today
        version = self._versions[key] = self._versions.get(key, 0) + 1
        name = (
            f"MEE_{organisation}_{world.today:%Y%m%d}{'_volledig' * whole}{f'_v{version}' if version > 1 else ''}"
            f".{'xlsx' if workbook else 'csv'}"
        )
        path = self._put(name, content + b" " * (fault is Fault.TAMPERED))
        if fault is not Fault.UNSIGNED:
            line = f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()
            self._put(f"{name}.sig", signing_key(world.seed, organisation).sign(line))
        if fault is None:
            self._read_to[organisation] = len(log)
            self._exported[organisation] |= told
        self._clear(organisation, path)
        return path

    def _row(self, organisation: str, number: str, changed: bool) -> Row | None:
        """V for what was entered wrongly, once; W for what was in a file before. Full files say no more of the rest."""
        case = self._world.cases[organisation, number]
        if case.state is State.WITHDRAWN:
            return row_of(self._world, case, "V") if changed else None
        return row_of(self._world, case, "W" if number in self._exported[organisation] else "N")

    def _put(self, name: str, content: bytes) -> Path:
        target = self.folder / name
        part = target.with_name(f"{name}.part")
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return part.replace(target)

    def _clear(self, organisation: str, path: Path) -> None:
        files = self._written[organisation]
        files.append(path)
        while len(files) > self._keep:
            old = files.pop(0)
            for each in (old, old.with_name(f"{old.name}.sig")):
                each.unlink(missing_ok=True)

    def plan_fault(self, asked: Mapping[str, str], times: int) -> None:
        """``kind=tampered&organisation=mee-a2``: so many of its coming files are faulty."""
        if asked["organisation"] not in ORGANISATIONS:
            raise ValueError(asked["organisation"])
        self._faults[asked["organisation"]].extend([Fault(asked["kind"])] * times)

    def description(self) -> dict[str, Any]:
        keys = {each: signing_key(self._world.seed, each).public_key().public_bytes_raw() for each in ORGANISATIONS}
        return {
            "folder": str(self.folder.resolve()),
            "organisations": {each: {"public_key": base64.b64encode(key).decode()} for each, key in keys.items()},
        }
