"""Synthetic people as a file: seeded, readable by the matcher, with test numbers only, and matched well by the packaged model."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from samenloop_deploy.demo.people import valid_test_bsns
from samenloop_deploy.demo.sample import sample, write_sample
from samenloop_processors.clients.batch import Batch, evaluate
from samenloop_processors.clients.domain.model import default_model
from samenloop_processors.clients.people_csv import COLUMNS, read_pairs, read_people


def test_a_seed_always_gives_the_same_people() -> None:
    assert list(sample(4, 300)) == list(sample(4, 300))
    assert list(sample(4, 300)) != list(sample(5, 300))


def test_every_number_is_a_test_number_and_every_column_is_used() -> None:
    rows = [row for row, _ in sample(4, 3000)]
    allowed = set(valid_test_bsns())
    passing = {row["bsn"] for row in rows if "bsn" in row}
    assert len(passing & allowed) > 500
    assert all(number in allowed or number.startswith("9999") for number in passing)
    used = {name for row in rows for name in row}
    assert used == set(COLUMNS) - {"source_person_id", "stated_at", "other_id"}


@pytest.mark.timeout(120)
def test_the_packaged_model_on_people_it_was_not_made_from(tmp_path: Path) -> None:
    people, truth, clusters = (tmp_path / name for name in ("people.csv", "truth.csv", "clusters.csv"))
    count = write_sample(31, 6000, people, truth)
    with people.open(encoding="utf-8") as file:
        assert sum(1 for _ in csv.reader(file)) == count + 1
    batch = Batch(default_model())
    print(batch.take(read_people(people)))
    batch.write_clusters(clusters)
    quality = evaluate(read_pairs(clusters), read_pairs(truth))
    print(quality)
    assert quality.pair_f1 >= 0.97
    assert quality.pair_precision >= 0.99
    assert quality.mixed_per_10000 <= 75
