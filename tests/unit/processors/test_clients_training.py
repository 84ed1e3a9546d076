"""Training without labels, and a file of people matched one row at a time."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from random import Random

import pytest
from clients_people import make_people
from hypothesis import given
from hypothesis import strategies as st

from samenloop_processors.clients.batch import Batch, evaluate
from samenloop_processors.clients.domain.model import default_model, parse_model
from samenloop_processors.clients.domain.normalise import features
from samenloop_processors.clients.domain.resolver import Resolver
from samenloop_processors.clients.domain.train import rarity, train
from samenloop_processors.clients.people_csv import PeopleInvalid, PersonRow, birth_date, read_pairs, read_people
from samenloop_schemas.dates import PartialDate

PEOPLE = make_people(21, 1500)


def test_training_needs_no_labels_is_the_same_each_time_and_matches_well() -> None:
    records = [features(identity) for _, _, identity in PEOPLE.records]
    model = train(records, "own")
    assert train(records, "own") == model
    resolver = Resolver(parse_model(json.dumps(model)))
    for ref, first, identity in PEOPLE.records:
        resolver.put(ref, first, features(identity))
    resolver.settle()
    clusters = {member: client.anchor for client in resolver.clients() for member in client.members}
    quality = evaluate(clusters, {record: str(human) for record, human in PEOPLE.truth.items()})
    print(quality)
    assert quality.pair_precision >= 0.99
    assert quality.pair_recall >= 0.94


def test_caution_is_added_to_the_threshold() -> None:
    records = [features(identity) for _, _, identity in PEOPLE.records[:600]]
    bold, careful = train(records, "a"), train(records, "a", caution=2.0)
    assert careful["link_bits"] == pytest.approx(bold["link_bits"] + 2.0)
    assert careful["fields"] == bold["fields"]


def test_nothing_in_common_is_said_and_not_guessed() -> None:
    with pytest.raises(ValueError, match="nothing to learn"):
        train([features(identity) for _, _, identity in PEOPLE.records[:1]], "x")


def test_a_rare_name_is_worth_more() -> None:
    worth = rarity(["jansen"] * 60 + ["vries"] * 30 + ["qwer"] * 3 + [f"n{i}" for i in range(20)])
    assert worth["jansen"] < worth["vries"] < worth["qwer"] < worth[""]
    assert rarity(["jansen"] * 49) == {}


def _write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        out.writeheader()
        out.writerows(rows)
    return path


JAN = {"surname": "Zandee", "call_name": "Jan", "birth_date": "1980-05-06", "postcode": "4461AB", "house_number": "3"}


def _resolve(path: Path, folder: Path) -> dict[str, str]:
    batch = Batch(default_model())
    batch.take(read_people(path))
    batch.write_clusters(folder / "clusters.csv")
    batch.write_review(folder / "review.csv")
    batch.write_why(folder / "why.jsonl")
    return read_pairs(folder / "clusters.csv")


def test_a_repeated_source_person_is_a_new_revision(tmp_path: Path) -> None:
    other = JAN | {"surname": "Kloosterman", "call_name": "Wim", "birth_date": "1951-02-03", "postcode": "8011AA"}
    rows = [
        {"record_id": "1", "source": "a", "source_person_id": "7", "stated_at": "2026-01-01", **other},
        {"record_id": "2", "source": "b", "source_person_id": "7", "stated_at": "2026-01-02", **JAN},
        {"record_id": "3", "source": "a", "source_person_id": "7", "stated_at": "2026-02-01", **JAN},
        {"record_id": "4", "source": "a", "source_person_id": "7", "stated_at": "2025-02-01", **other},
    ]
    for order in (rows, rows[::-1]):
        found = _resolve(_write(tmp_path / "people.csv", order), tmp_path)
        assert found["1"] == found["2"] == found["3"] == found["4"]


def test_the_evidence_of_a_link_is_written_without_a_value(tmp_path: Path) -> None:
    rows = [{"record_id": str(n), "source": f"s{n}", **JAN} for n in range(3)]
    found = _resolve(_write(tmp_path / "people.csv", rows), tmp_path)
    assert len(set(found.values())) == 1
    lines = [json.loads(line) for line in (tmp_path / "why.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 2
    assert {field["name"] for line in lines for field in line["fields"]} >= {"birth", "address"}
    assert "Zandee".lower() not in (tmp_path / "why.jsonl").read_text("utf-8").lower()


def test_three_orders_of_arrival_give_the_same_partition(tmp_path: Path) -> None:
    rows = [PersonRow(ref, ref, first, features(identity)) for ref, first, identity in PEOPLE.records]
    partitions = set()
    for seed in range(3):
        Random(seed).shuffle(rows)
        batch = Batch(default_model())
        batch.take(rows)
        batch.write_clusters(tmp_path / "clusters.csv")
        partitions.add(tuple(sorted(read_pairs(tmp_path / "clusters.csv").items())))
    assert len(partitions) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("surname\nx\n", "line 1: there is no column record_id"),
        ("record_id,suename\n1,x\n", "line 1: unknown column 'suename'"),
        ("record_id\n1\n1\n", "line 3: record_id occurs a second time"),
        ("record_id,surname\n,x\n", "line 2: record_id is empty"),
        ("record_id,stated_at\n1,soon\n", "line 2: stated_at is no date"),
        ("record_id,surname\n1,x,y\n", "line 2: more fields"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "people.csv").write_text(text, "utf-8")
    with pytest.raises(PeopleInvalid, match=message):
        list(read_people(tmp_path / "people.csv"))


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes("record_id,surname\n1,Käster\n".encode("cp1252"))
    with pytest.raises(PeopleInvalid, match="not UTF-8"):
        list(read_people(tmp_path / "people.csv"))


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("1980-05-06", PartialDate(1980, 5, 6)), ("1980-05-00", PartialDate(1980, 5)), ("1980-00-00", PartialDate(1980)),
        ("1980-04-31", PartialDate(1980, 4)), ("1980-13-01", PartialDate(1980)), ("", PartialDate()), ("06-05-1980", PartialDate()),
        ("9185-10-14", PartialDate()),
    ],
)  # fmt: skip
def test_birth_dates_as_far_as_they_can_be(text: str, date: PartialDate) -> None:
    assert birth_date(text) == date


def test_quality_by_hand() -> None:
    quality = evaluate({"1": "a", "2": "a", "3": "a", "4": "b"}, {"1": "x", "2": "x", "3": "y", "4": "y"})
    assert (quality.pair_precision, quality.pair_recall) == (pytest.approx(1 / 3, abs=1e-6), 0.5)
    assert quality.b_cubed_precision == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1) / 4, abs=1e-6)
    assert (quality.exact_clusters, quality.mixed_per_10000) == (0.0, 10_000.0)
    with pytest.raises(ValueError, match="1 records occur in only one"):
        evaluate({"1": "a"}, {"1": "x", "2": "x"})


@given(st.dictionaries(st.integers(0, 30).map(str), st.sampled_from("xyz"), min_size=1))
def test_the_truth_itself_is_perfect(truth: dict[str, str]) -> None:
    quality = evaluate(truth, truth)
    assert quality.pair_f1 == quality.b_cubed_f1 == quality.exact_clusters == 1.0
    assert quality.mixed_per_10000 == 0.0
