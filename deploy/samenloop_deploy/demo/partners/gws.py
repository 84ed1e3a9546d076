"""The nightly extract of the municipal back office: one full snapshot per municipality and module, as a file.

``GWS_<gemeentecode>_<module>_<yyyymmdd>.csv``: semicolons, every field quoted, CRLF, a header line, one line per case and a
trailer ``"TRAILER";"<rows>";"<run>"``. Encoding and date format differ per municipality (``FORMATS``): files say neither.

In the demo nights follow each other within one real day. A further run of the same day is named ``..._<yyyymmdd>_r02.csv``
and says its number in the trailer, so that (mutation date, extract date, run) strictly rises from file to file. A file is
written under a name that ends in ``.part`` and then renamed: what carries the final name is whole.
"""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from ..cases import GWS_SERVICES, Case, Service, State
from ..places import AREAS, Municipality
from ..world import AMSTERDAM, World
from ..written.gws import GwsClient
from ..written.slips import YearMonthDay
from .seam import PartnerSystem, Surroundings

COLUMNS: Final = (
    "clientnummer", "bsn", "voorletters", "voornamen", "voorvoegsel", "achternaam", "voorvoegsel_echtgenoot",
    "achternaam_echtgenoot", "aanduiding_naamgebruik", "geslacht", "geboortedatum", "straatnaam", "huisnummer", "huisletter",
    "huisnr_toevoeging", "postcode", "woonplaats", "regeling", "dossiernummer", "datum_aanvang", "datum_einde",
    "consulent_team", "status", "mutatiedatum",
)  # fmt: skip
TRAILER: Final = "TRAILER"
_NAME: Final = re.compile(r"GWS_(?P<code>\d{4})_(?P<module>PW|WMO|JW)_(?P<day>\d{8})(?:_r(?P<run>\d{2,}))?\.csv")
MUNICIPALITIES: Final = tuple(municipality for area in AREAS for municipality in area.municipalities)
MODULES: Final = GWS_SERVICES

STATUS: Final = {
    State.ANNOUNCED: "aangevraagd",
    State.ACTIVE: "lopend",
    State.PAUSED: "opgeschort",
    State.ENDED: "beeindigd",
    State.WITHDRAWN: "ingetrokken",
}
_SCHEMES: Final = {Service.PW: "Participatiewet", Service.WMO: "Wmo 2015", Service.JW: "Jeugdwet"}


class DateFormat(StrEnum):
    YEAR_FIRST = "yyyymmdd"
    DAY_FIRST = "ddmmyyyy"

    def write(self, day: date | YearMonthDay | None) -> str:
        """Eight digits, unknown parts as zeros; empty for no date at all."""
        if day is None:
            return ""
        year, month, of_month = (day.year, day.month, day.day) if isinstance(day, date) else day
        if self is DateFormat.YEAR_FIRST:
            return f"{year:04d}{month:02d}{of_month:02d}"
        return f"{of_month:02d}{month:02d}{year:04d}"


@dataclass(frozen=True, slots=True)
class Format:
    """How one municipality's installation writes: a Python codec name and a date format."""

    encoding: str
    dates: DateFormat


FORMATS: Final = {
    municipality.code: Format("cp1252", DateFormat.DAY_FIRST)
    if municipality.code in ("0654", "0678", "1706")
    else Format("cp1252", DateFormat.YEAR_FIRST)
    if municipality.code in ("0193", "0858")
    else Format("utf-8", DateFormat.YEAR_FIRST)
    for municipality in MUNICIPALITIES
}


class Fault(StrEnum):
    """What can be wrong with one night's file."""

    PARTIAL = "partial"  # a third of the rows is missing, the trailer still counts them
    CUT_OFF = "cut_off"  # the file stops in the middle of a line, without a trailer
    VANISHED = "vanished"  # a whole file in good order, from which a third of the rows is gone
    MISSING = "missing"  # no file this night


@dataclass(frozen=True, slots=True)
class Extract:
    """One file as it will be dropped."""

    name: str
    content: bytes


def rows_of(world: World, municipality: Municipality, module: Service) -> list[tuple[str, ...]]:
    """Every case that the module still has, ended ones too, in order of dossier number."""
    dates = FORMATS[municipality.code].dates
    organisation = municipality.organisation
    numbers = sorted({number for _, number in world.log["gws", organisation]}, key=int)
    cases = (world.cases[organisation, number] for number in numbers)
    return [_row(world, case, dates) for case in cases if case.service is module and case.vanished_on is None]


def _row(world: World, case: Case, dates: DateFormat) -> tuple[str, ...]:
    client = world.clients[case.organisation, case.client].written
    assert isinstance(client, GwsClient)
    changed_on = case.changed_at.astimezone(AMSTERDAM).date()
    return (
        case.client, client.bsn, client.voorletters, client.voornamen, client.voorvoegsel, client.achternaam,
        client.voorvoegsel_echtgenoot, client.achternaam_echtgenoot, client.aanduiding_naamgebruik, client.geslacht,
        dates.write(client.geboortedatum), client.straatnaam, client.huisnummer, client.huisletter, client.huisnr_toevoeging,
        client.postcode, client.woonplaats, _SCHEMES[case.service], case.number, dates.write(case.starts_on),
        dates.write(case.ends_on), case.team, STATUS[case.state], dates.write(changed_on),
    )  # fmt: skip


def file_name(code: str, module: Service, on: date, run: int) -> str:
    """The first run of a day has the plain name; a further one its number."""
    return f"GWS_{code}_{module.value}_{on:%Y%m%d}{f'_r{run:02d}' if run > 1 else ''}.csv"


def extract(
    world: World, municipality: Municipality, module: Service, run: int = 1, fault: Fault | None = None
) -> Extract | None:
    """The module's snapshot of now; None when this night's file is missing."""
    if fault is Fault.MISSING:
        return None
    rows = rows_of(world, municipality, module)
    kept = rows[: len(rows) - (len(rows) + 2) // 3] if fault in (Fault.PARTIAL, Fault.VANISHED) else rows
    counted = len(kept) if fault is Fault.VANISHED else len(rows)
    content = render(kept, counted, run, FORMATS[municipality.code].encoding)
    if fault is Fault.CUT_OFF:
        content = content[: len(content) * 2 // 3]
    return Extract(file_name(municipality.code, module, world.today, run), content)


def render(rows: Iterable[Sequence[str]], counted: int, run: int, encoding: str) -> bytes:
    """The bytes of a file. What the code page lacks is written without its accents, as such systems do."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    writer.writerow((TRAILER, str(counted), str(run)))
    text = out.getvalue()
    if encoding == "utf-8":
        return text.encode()
    return "".join(letter if _fits(letter, encoding) else _plain(letter) for letter in text).encode(encoding)


def _fits(letter: str, encoding: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _plain(letter: str) -> str:
    without = {"ı": "i", "ł": "l", "Ł": "L"}.get(letter, letter)
    return unicodedata.normalize("NFKD", without).encode("ascii", "ignore").decode() or "?"


class DropFolder:
    """Where the extracts land. Remembers the run of the day per series, and which faults are still to come."""

    def __init__(self, folder: Path, keep_runs: int = 40) -> None:
        """Files of a series older than its last ``keep_runs`` are cleared away, as the file server's housekeeping does."""
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._keep = keep_runs
        self._runs: dict[tuple[str, Service], tuple[date, int]] = {}
        self._written: dict[tuple[str, Service], list[Path]] = {}
        self._faults: dict[tuple[str, Service], list[Fault]] = {}
        self._resume()

    def _resume(self) -> None:
        """Goes on counting where an earlier process stopped: a file name is never used twice in one folder."""
        for path in sorted(self.folder.glob("GWS_*.csv")):
            if found := _NAME.fullmatch(path.name):
                day = datetime.strptime(found["day"], "%Y%m%d").replace(tzinfo=AMSTERDAM).date()
                series = found["code"], Service(found["module"])
                self._runs[series] = max(self._runs.get(series, (day, 0)), (day, int(found["run"] or 1)))
                self._written.setdefault(series, []).append(path)

    def plan_fault(self, code: str, module: Service, fault: Fault, times: int = 1) -> None:
        """The coming ``times`` files of this series are faulty."""
        self._faults.setdefault((code, module), []).extend([fault] * times)

    def prepare(self, world: World) -> list[Extract]:
        """One night: an extract of every module of every municipality, rendered but not yet written."""
        night: list[Extract] = []
        for municipality in MUNICIPALITIES:
            for module in MODULES:
                series = municipality.code, module
                last_day, last_run = self._runs.get(series, (None, 0))
                run = last_run + 1 if last_day == world.today else 1
                self._runs[series] = (world.today, run)
                faults = self._faults.get(series, [])
                made = extract(world, municipality, module, run, faults.pop(0) if faults else None)
                if made is not None:
                    night.append(made)
                    self._written.setdefault(series, []).append(self.folder / made.name)
        return night

    def write(self, night: Iterable[Extract]) -> list[Path]:
        """Puts the files in the folder, each complete at once, and clears old ones away."""
        written = [self._put(each) for each in night]
        for paths in self._written.values():
            while len(paths) > self._keep:
                paths.pop(0).unlink(missing_ok=True)
        return written

    def _put(self, made: Extract) -> Path:
        target = self.folder / made.name
        part = target.with_name(target.name + ".part")
        with part.open("wb") as file:
            file.write(made.content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        return target


class Gws(PartnerSystem):
    """The back offices of all municipalities: every night their extracts fall into one folder."""

    name = "gws"

    def __init__(self, surroundings: Surroundings) -> None:
        self._world = surroundings.world
        self.drop = DropFolder(surroundings.folder_of(self.name), surroundings.keep_runs)

    def night(self) -> Sequence[Path]:
        return self.drop.write(self.drop.prepare(self._world))

    def plan_fault(self, asked: Mapping[str, str], times: int) -> None:
        """``kind=partial&municipality=0664&module=JW``: so many files of that series are faulty."""
        code, module = asked["municipality"], Service(asked["module"])
        if code not in {municipality.code for municipality in MUNICIPALITIES} or module not in MODULES:
            raise ValueError(f"{code} {module}")
        self.drop.plan_fault(code, module, Fault(asked["kind"]), times)

    def description(self) -> dict[str, Any]:
        return {"folder": str(self.drop.folder.resolve())}
