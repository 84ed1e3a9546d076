"""Matching a file of people, one row at a time, through the same resolver as the stage; and how good a partition is."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from samenloop_processors.clients.domain.model import CENTIBITS, Model
from samenloop_processors.clients.domain.resolver import Link, Resolver
from samenloop_processors.clients.people_csv import PersonRow
from samenloop_schemas.ids import client_id

Progress = Callable[[int], None]
"""Told how many rows are done."""
_TELL_EVERY = 500


@dataclass(frozen=True, slots=True)
class Report:
    """`bytes_per_record`: what the process grew by while it took the rows in, over their number; 0 where it cannot be told."""

    records: int
    persons: int
    clients: int
    review: int
    seconds: float
    records_per_second: float
    p50_ms: float
    p99_ms: float
    bytes_per_record: int
    model: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Batch:
    """A resolver fed from rows. `take` them all, then write what is asked for."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._resolver = Resolver(model)
        self._person_of: dict[str, str] = {}
        self._first: dict[str, int] = {}
        self._latest: dict[str, tuple[int, int]] = {}

    def take(self, rows: Iterable[PersonRow], progress: Progress = lambda done: None) -> Report:
        """Put the rows in one by one, each settled before the next."""
        took: list[float] = []
        grown = _resident()
        for number, row in enumerate(rows):
            began = time.perf_counter()
            self._put(row, number)
            took.append(time.perf_counter() - began)
            if number % _TELL_EVERY == 0:
                progress(number)
        progress(len(took))
        grown = _resident() - grown
        ordered, seconds = sorted(took), sum(took)
        return Report(
            records=len(took),
            persons=len(self._resolver),
            clients=sum(1 for _ in self._resolver.clients()),
            review=sum(1 for _ in self._resolver.possible()),
            seconds=round(seconds, 3),
            records_per_second=round(len(took) / seconds, 1) if seconds else 0.0,
            p50_ms=_ms(ordered, 0.50),
            p99_ms=_ms(ordered, 0.99),
            bytes_per_record=max(0, grown) // len(took) if took else 0,
            model=self._model.version,
        )

    def write_clusters(self, path: Path) -> None:
        """``record_id, client_id`` for every row, superseded revisions too."""
        client_of = {m: client_id(client.anchor) for client in self._resolver.clients() for m in client.members}
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            out.writerow(("record_id", "client_id"))
            out.writerows((record, client_of[person]) for record, person in self._person_of.items())

    def write_review(self, path: Path) -> None:
        """Pairs that may be one person and were not linked, heaviest first, with their weight and evidence."""
        records = self._records_of()
        pairs = sorted((-weight, records[a], records[b], a, b) for a, b, weight in self._resolver.possible())
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            out.writerow(("record_id_a", "record_id_b", "bits", "evidence"))
            for weight, one, other, a, b in pairs:
                found = self._resolver.explain(a, b)
                said = (
                    "; ".join(f"{f.name} {f.level} {f.weight / CENTIBITS:+.2f}" for f in found.fields) if found else ""
                )
                out.writerow((one, other, f"{-weight / CENTIBITS:.2f}", said))

    def write_why(self, path: Path) -> None:
        """One line per link that holds a client together, with its evidence."""
        records = self._records_of()
        with path.open("w", encoding="utf-8") as file:
            for client in sorted(self._resolver.clients(), key=lambda c: c.anchor):
                for link in self._resolver.links(client):
                    file.write(
                        json.dumps(_evidence(client_id(client.anchor), records, link), ensure_ascii=False) + "\n"
                    )

    def _put(self, row: PersonRow, number: int) -> None:
        person = row.person
        self._person_of[row.record_id] = person
        known = self._first.get(person)
        first = row.stated if known is None else min(known, row.stated)
        newest = (row.stated, number)
        if known is not None and newest < self._latest[person]:
            if first != known:
                self._first[person] = first
                self._resolver.put_first(person, first)
                self._resolver.settle()
            return
        self._first[person], self._latest[person] = first, newest
        self._resolver.put(person, first, row.features)
        self._resolver.settle()

    def _records_of(self) -> dict[str, str]:
        """A record of each person: the last of its rows."""
        return {person: record for record, person in self._person_of.items()}


@dataclass(frozen=True, slots=True)
class Quality:
    """A partition beside the truth. `mixed_per_10000`: of all persons, how many share a cluster with another."""

    records: int
    persons: int
    clusters: int
    pair_precision: float
    pair_recall: float
    pair_f1: float
    b_cubed_precision: float
    b_cubed_recall: float
    b_cubed_f1: float
    exact_clusters: float
    mixed_per_10000: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def evaluate(clusters: Mapping[str, str], truth: Mapping[str, str]) -> Quality:
    """Raises ValueError when the two do not name the same records."""
    if missing := truth.keys() ^ clusters.keys():
        raise ValueError(f"{len(missing)} records occur in only one of clusters and truth")
    together: defaultdict[str, Counter[str]] = defaultdict(Counter)
    sizes: Counter[str] = Counter(truth.values())
    for record, cluster in clusters.items():
        together[cluster][truth[record]] += 1
    linked = sum(_pairs(sum(found.values())) for found in together.values())
    right = sum(_pairs(n) for found in together.values() for n in found.values())
    wanted = sum(_pairs(n) for n in sizes.values())
    n = len(truth)
    b_precision = (
        sum(c * c / sum(found.values()) for found in together.values() for c in found.values()) / n if n else 1.0
    )
    b_recall = (
        sum(c * c / sizes[person] for found in together.values() for person, c in found.items()) / n if n else 1.0
    )
    exact = sum(
        1 for found in together.values() if len(found) == 1 and (p := next(iter(found))) and found[p] == sizes[p]
    )
    mixed = {person for found in together.values() if len(found) > 1 for person in found}
    precision = right / linked if linked else 1.0
    recall = right / wanted if wanted else 1.0
    return Quality(
        records=n,
        persons=len(sizes),
        clusters=len(together),
        pair_precision=round(precision, 6),
        pair_recall=round(recall, 6),
        pair_f1=round(_f1(precision, recall), 6),
        b_cubed_precision=round(b_precision, 6),
        b_cubed_recall=round(b_recall, 6),
        b_cubed_f1=round(_f1(b_precision, b_recall), 6),
        exact_clusters=round(exact / len(sizes), 6) if sizes else 1.0,
        mixed_per_10000=round(10_000 * len(mixed) / len(sizes), 2) if sizes else 0.0,
    )


def _evidence(client: str, records: Mapping[str, str], link: Link) -> dict[str, Any]:
    return {
        "client_id": client,
        "record_id_a": records[link.a],
        "record_id_b": records[link.b],
        "bits": link.evidence.bits,
        "decided": link.decided,
        "fields": [{"name": f.name, "level": f.level, "bits": f.weight / CENTIBITS} for f in link.evidence.fields],
    }


def _pairs(n: int) -> int:
    return n * (n - 1) // 2


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _ms(ordered: list[float], part: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000, 3) if ordered else 0.0


def _resident() -> int:
    """Bytes of memory this process holds now; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return 0
    return pages * 4096
