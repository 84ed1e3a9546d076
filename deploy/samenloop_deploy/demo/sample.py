"""A file of synthetic Dutch people as the demo's sources would write them, with the truth: for training and judging matchers.

Nobody in it exists. BSNs come from the published test range, once each; there are some 9,000 of them, so that in a large sample
most people have none.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random
from typing import Final

from samenloop_processors.clients.people_csv import COLUMNS

from .people import Person, pick_address
from .population import Population, Progress, build_population
from .written import FhirPerson, GwsClient, IstandaardPerson, MeePerson, RegasClient, Written, ZgwPerson, write
from .written.mee import MONTHS

TODAY: Final = date(2026, 11, 1)
RECORDS_PER_PERSON: Final = 1.62
MOVED: Final = 0.08
"""How many records hold an address of before or after the others."""
TWICE: Final = 0.02
"""How often one source registers somebody a second time."""
Row = dict[str, str]
_MET: Final = (  # (source, how likely, least age, greatest age)
    ("gws", 0.45, 0, 130),
    ("regas", 0.40, 0, 130),
    ("zgw", 0.30, 0, 22),
    ("mee", 0.15, 17, 130),
    ("fhir", 0.30, 0, 18),
    ("istandaarden", 0.30, 0, 130),
)
_SEX: Final = {"V": "F", "v": "F", "M": "M", "m": "M", "male": "M", "female": "F", 1: "M", 2: "F"}
_SAID: Final = re.compile(r"(\d{1,2})(?:-(\d{1,2})-| (\w+) )(\d{4})")


def sample(seed: int, records: int, progress: Progress | None = None) -> Iterator[tuple[Row, str]]:
    """About so many rows of ``people.csv``, in no order, each with the person it is about. The same seed, the same rows."""
    population = build_population(seed, int(records / RECORDS_PER_PERSON), TODAY, progress)
    rng = Random(f"sample:{seed}")
    made = [(row, person.person) for person in population.persons.values() for row in _rows(rng, population, person)]
    rng.shuffle(made)
    for number, (row, person_id) in enumerate(made, 1):
        yield {"record_id": f"r{number}", **row}, person_id


def write_sample(seed: int, records: int, people: Path, truth: Path, progress: Progress | None = None) -> int:
    """The rows and the truth as two files; how many rows. Raises OSError."""
    count = 0
    with people.open("w", encoding="utf-8", newline="") as rows, truth.open("w", encoding="utf-8", newline="") as ids:
        out, told = csv.DictWriter(rows, COLUMNS), csv.writer(ids)
        out.writeheader()
        told.writerow(("record_id", "person_id"))
        for row, person in sample(seed, records, progress):
            out.writerow(row)
            told.writerow((row["record_id"], person))
            count += 1
    return count


def _rows(rng: Random, population: Population, person: Person) -> Iterator[Row]:
    age = person.age(TODAY)
    met = [s for s, likely, least, most in _MET if least <= age <= most and rng.random() < likely]
    sources = [s for s in met if s != "istandaarden" or person.bsn] or [rng.choice(("gws", "regas"))]
    mother = next((population.persons[p] for p in person.parents if population.persons[p].sex == "V"), None)
    for source in sources:
        for _ in range(2 if rng.random() < TWICE else 1):
            told = person
            if rng.random() < MOVED:
                told = replace(person, address=pick_address(rng, person.address.municipality))
            of = told.address.municipality.code if source == "gws" else ""
            yield {"source": source + of} | _columns(write(source, rng, told, mother, TODAY))


def _columns(written: Written) -> Row:
    match written:
        case RegasClient():
            return _filled(
                call_name=written.roepnaam,
                initials=written.voorletters,
                surname_prefix=written.tussenvoegsel,
                surname=written.achternaam,
                birth_date=written.geboortedatum,
                sex=_SEX.get(written.geslacht),
                postcode=written.postcode,
                house_number=written.huisnummer_volledig,
                phone=written.telefoon,
                email=written.email,
            )
        case GwsClient():
            return _filled(
                bsn=written.bsn,
                initials=written.voorletters,
                given_names=written.voornamen,
                surname_prefix=written.voorvoegsel,
                surname=written.achternaam,
                partner_prefix=written.voorvoegsel_echtgenoot,
                partner_surname=written.achternaam_echtgenoot,
                birth_date=_dashed(written.geboortedatum),
                sex=_SEX.get(written.geslacht),
                street=written.straatnaam,
                house_number=written.huisnummer + written.huisletter,
                house_addition=written.huisnr_toevoeging,
                postcode=written.postcode,
                city=written.woonplaats,
            )
        case ZgwPerson():
            return _filled(
                bsn=written.inp_bsn,
                initials=written.voorletters,
                given_names=written.voornamen,
                surname_prefix=written.voorvoegsel_geslachtsnaam,
                surname=written.geslachtsnaam,
                birth_date=_dashed(written.geboortedatum),
                sex=_SEX.get(written.geslachtsaanduiding),
                street=written.straat,
                house_number=written.huisnummer + written.huisletter,
                house_addition=written.toevoeging,
                postcode=written.postcode,
                city=written.woonplaats,
            )
        case MeePerson():
            return _filled(
                initials=written.voorletters,
                surname_prefix=written.tussenvoegsels,
                surname=written.achternaam,
                partner_surname=written.partnernaam,
                birth_date=_said(written.geboortedatum),
                postcode=written.postcode,
                house_number=written.huisnr,
                house_addition=written.toevoeging,
            )
        case FhirPerson():
            return _filled(
                bsn=written.bsn,
                given_names=" ".join(written.given),
                call_name=written.call_name,
                initials=written.initials,
                surname_prefix=written.own_prefix,
                surname=written.own_name,
                partner_prefix=written.partner_prefix,
                partner_surname=written.partner_name,
                birth_date=(written.birth_date + "-00-00")[:10],
                sex=_SEX.get(written.gender),
                street=written.street,
                house_number=written.house_number + written.letter,
                house_addition=written.addition,
                postcode=written.postcode,
                city=written.city,
                phone=written.phone,
            )
        case IstandaardPerson():
            born = written.geboortedatum
            return _filled(
                bsn=written.bsn,
                initials=written.voorletters,
                given_names=written.voornamen,
                surname_prefix=written.voorvoegsel,
                surname=written.achternaam,
                partner_prefix=written.partner_voorvoegsel,
                partner_surname=written.partnernaam,
                birth_date=(born, f"{born[:8]}00", f"{born[:5]}00-00", "")[written.datum_gebruik],
                sex=_SEX.get(written.geslacht),
                street=written.straat,
                house_number=written.huisnummer + written.huisletter,
                house_addition=written.toevoeging,
                postcode=written.postcode,
                city=written.plaats,
            )


def _filled(**columns: str | None) -> Row:
    return {name: value for name, value in columns.items() if value}


def _dashed(day: tuple[int, int, int]) -> str:
    return "{:04d}-{:02d}-{:02d}".format(*day)


def _said(text: str) -> str:
    """ "12-03-1980", "1-3-1980", "12 maart 1980"."""
    found = _SAID.fullmatch(text)
    if not found:
        return ""
    month = int(found[2]) if found[2] else MONTHS.index(found[3]) + 1
    return _dashed((int(found[4]), month, int(found[1])))
