"""The whole chain: statements a second, and the time from sending a statement to seeing it.

`python tests/benchmarks/chain.py [statements] [seconds at 100/s]` prints one JSON object. Partners, broker, database, four
stages, notifier and this program share one machine. Statements are made beforehand; what is timed begins at the broker.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import psutil
import psycopg
from kafka import KafkaProducer

from samenloop_deploy.cli.progress import telling, track
from samenloop_deploy.demo.hub import STAGES, DemoHub
from samenloop_deploy.demo.people import Person
from samenloop_deploy.demo.population import build_population
from samenloop_deploy.demo.standing import stages_at_rest
from samenloop_deploy.local import LocalStack
from samenloop_processors.engine.schema import live_schema
from samenloop_producers.keys import EdgeKeys
from samenloop_producers.statement import CaseReport, StatementMaker
from samenloop_schemas import codec, sealing
from samenloop_schemas.codes import Consent, Domain, Sex, Status
from samenloop_schemas.dates import PartialDate
from samenloop_schemas.records import Address, PersonIdentity
from samenloop_schemas.topics import area_key

SOCIAL_WORK = {"a2": "lumens", "bevelanden": "smwo", "zwolle": "swt-zwolle"}
SHARED = 0.25
"""Share of persons with two parties: each is an overlap."""
PATIENCE_S = 600
LOOK_S = 0.1
SILENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A statement as its partner will send it. `completes` an overlap when the person's other statement is there."""

    partner: str
    area: str
    statement_id: UUID
    data: bytes
    completes: bool


def statements(hub: DemoHub, count: int, seed: int) -> Iterator[Ready]:
    """About `count`, in the order of persons: the second party of a person comes well after the first."""
    rng, today = Random(seed), datetime.now(UTC).date()
    makers = {
        partner: StatementMaker(
            EdgeKeys(hub.secrets.edge_secret(partner)), sealing.public_key(hub.secrets.hub_key[1]), system
        )
        for partner, system in (("backoffice", "gws"), ("smwo", "regas"))
    }
    population = build_population(seed, int(count / (1 + SHARED)), today)
    area_of = {person: area for area, persons in population.of_area.items() for person in persons}
    now, later = datetime.now(UTC), []
    for number, person in enumerate(population.persons.values()):
        area, both = area_of[person.person], rng.random() < SHARED
        yield _ready(makers["backoffice"], "backoffice", area, person, number, now, completes=False)
        if both:
            later.append(_ready(makers["smwo"], "smwo", area, person, number, now, completes=True))
        if len(later) > 50:
            yield later.pop(0)
    yield from later


def _ready(
    maker: StatementMaker, partner: str, area: str, person: Person, number: int, now: datetime, *, completes: bool
) -> Ready:
    municipal = partner == "backoffice"
    organisation = person.address.municipality.organisation if municipal else SOCIAL_WORK[area]
    report = CaseReport(
        area=area,
        organisation=organisation,
        case_number=f"{number}",
        person_number=f"{number}",
        version=now - timedelta(days=1),
        status=Status.ACTIVE,
        domain=Domain.WMO,
        service_group="household_support" if municipal else "social_work",
        starts_on=date(now.year, 1, 1),
        confirmed_on=now.date(),
        legal_basis="wmo_5_2",
        purpose="early_coordination",
        consent=Consent.GIVEN,
        identity=_identity(person, municipal),
    )
    statement = maker.make(report, now)
    return Ready(partner, area, statement.statement_id, codec.encode(statement), completes)


def _identity(person: Person, municipal: bool) -> PersonIdentity:
    at = person.address
    return PersonIdentity(
        given_names=person.given_names if municipal else "",
        call_name="" if municipal else person.call_name,
        initials=person.initials,
        surname_prefix=person.surname.prefix,
        surname=person.surname.name,
        birth_date=PartialDate.of(person.birth_date),
        sex=Sex.MALE if person.sex == "M" else Sex.FEMALE,
        address=Address(at.street, str(at.number), at.letter, at.addition, "", at.postcode, at.city),
        phone=person.mobile or "",
        email=person.email or "",
        bsn=(person.bsn or "") if municipal else "",
    )


class Views:
    """What a page could show: looked at when the views say that something changed."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        schema = live_schema(self._connection, "views")
        self._connection.execute("SELECT set_config('search_path', %s, false)", (f'"{schema}"',))

    def count(self) -> int:
        row = self._connection.execute("SELECT count(*) FROM involvement").fetchone()
        return int(row[0]) if row else 0

    def involvements(self, wanted: Sequence[UUID]) -> set[UUID]:
        return self._ids("SELECT statement_id FROM involvement WHERE statement_id = ANY(%s)", wanted)

    def overlaps(self, wanted: Sequence[UUID]) -> set[UUID]:
        """Of these statements, those whose involvement stands in a case that pages may show."""
        return self._ids(
            "SELECT i.statement_id FROM involvement i JOIN case_fact f USING (area, case_key_id) "
            "JOIN overlap_case c USING (area, case_id) WHERE c.on_show AND i.statement_id = ANY(%s)",
            wanted,
        )

    def listen(self) -> None:
        self._connection.execute("LISTEN samenloop_changed")

    def woken(self, timeout: float) -> None:
        for _ in self._connection.notifies(timeout=timeout, stop_after=1):
            pass

    def _ids(self, query: str, wanted: Sequence[UUID]) -> set[UUID]:
        return {row[0] for row in self._connection.execute(query.encode(), (list(wanted),))}


def throughput(hub: DemoHub, ready: Sequence[Ready]) -> dict[str, float]:
    """From the first send until every statement is in the views and every stage is at rest."""
    views, senders = Views(hub.stack.database_url("web")), _senders(hub)
    known, used, began = views.count(), _processor_seconds(hub), time.monotonic()
    for one in ready:
        senders[one.partner].send(hub.topics.inbox(one.partner), key=area_key(one.area), value=one.data)
    for sender in senders.values():
        sender.flush()
    sent = time.monotonic() - began
    with telling() as tell:

        def there() -> bool:
            count = views.count() - known
            tell("statements in the views", min(count, len(ready)), len(ready))
            return count >= len(ready)

        _await(there, "the statements in the views")
    visible = time.monotonic() - began
    _await(lambda: stages_at_rest(hub), "the stages at rest")
    rest = time.monotonic() - began
    cpu = {name: seconds - used.get(name, 0.0) for name, seconds in _processor_seconds(hub).items()}
    return {
        "statements": len(ready),
        "sent_s": round(sent, 2),
        "visible_s": round(visible, 2),
        "at_rest_s": round(rest, 2),
        "statements_per_s": round(len(ready) / rest),
        **{f"cpu_ms_per_statement_{name}": round(1000 * s / len(ready), 3) for name, s in cpu.items()},
    }


def delay(hub: DemoHub, ready: Sequence[Ready], rate: float) -> dict[str, float]:
    """At a steady rate: from the send call to the row that a page reads, for involvements and for whole overlaps."""
    views, senders = Views(hub.stack.database_url("web")), _senders(hub)
    views.listen()
    sent: dict[UUID, float] = {}
    wanted: dict[str, set[UUID]] = {"involvement": set(), "overlap": set()}
    waits: dict[str, list[float]] = {"involvement": [], "overlap": []}
    done = threading.Event()

    def send() -> None:
        began = time.monotonic()
        for number, one in enumerate(ready):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            sent[one.statement_id] = time.monotonic()
            wanted["involvement"].add(one.statement_id)
            if one.completes:
                wanted["overlap"].add(one.statement_id)
            senders[one.partner].send(hub.topics.inbox(one.partner), key=area_key(one.area), value=one.data)
        done.set()

    sender = threading.Thread(target=send)
    sender.start()
    deadline = time.monotonic() + len(ready) / rate + PATIENCE_S
    news = time.monotonic()

    def going_on() -> bool:
        """An overlap that is not found never comes: what has been silent for a while is missed."""
        waiting = wanted["involvement"] or (wanted["overlap"] and time.monotonic() - news < SILENCE_S)
        return bool(not done.is_set() or waiting) and time.monotonic() < deadline

    while going_on():
        views.woken(LOOK_S)
        for what, look in (("involvement", views.involvements), ("overlap", views.overlaps)):
            seen = look(tuple(wanted[what]))
            now = time.monotonic()
            news = now if seen else news
            waits[what] += [now - sent[one] for one in seen]
            wanted[what] -= seen
    sender.join()
    return {
        "rate_per_s": rate,
        **{
            f"{what}_p{p}_ms": round(1000 * sorted(values)[min(len(values) - 1, len(values) * p // 100)])
            for what, values in waits.items()
            for p in (50, 95)
            if values
        },
        "overlaps_seen": len(waits["overlap"]),
        "overlaps_not_found": len(wanted["overlap"]),
        "involvements_not_seen": len(wanted["involvement"]),
    }


def _senders(hub: DemoHub) -> dict[str, KafkaProducer]:
    return {
        partner: KafkaProducer(
            **hub.stack.kafka_access(partner).client_args(), acks="all", enable_idempotence=True, linger_ms=1
        )
        for partner in hub.partners
    }


def _processor_seconds(hub: DemoHub) -> dict[str, float]:
    """Of each process, its children and helpers included; `postgres` is the server with all its sessions."""
    found = {}
    for name, pid in hub.stack.supervisor.pids().items():
        process = psutil.Process(pid)
        found[name] = sum(map(_seconds_of, (process, *process.children(recursive=True))))
    return found


def _seconds_of(process: psutil.Process) -> float:
    try:
        return float(sum(process.cpu_times()[:2]))
    except psutil.NoSuchProcess:
        return 0.0


def _await(condition: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_S} s: {what}")
        time.sleep(LOOK_S)


def main(count: int, seconds: float, rate: float = 100.0) -> dict[str, Any]:
    with LocalStack.start() as stack:
        hub = DemoHub(stack, 0)
        hub.prepare()
        extra = int(rate * seconds)
        many = count + extra + 200
        ready = list(track(statements(hub, many, 7), "statements made", many))
        hub.start()
        _await(lambda: all(hub.stack.supervisor.pid(name) for name in STAGES), "the stages")
        _await(lambda: stages_at_rest(hub), "the stages at rest")
        throughput(hub, ready[:200])
        figures = {"whole_chain": throughput(hub, ready[200 : 200 + count])}
        figures["delay"] = delay(hub, ready[200 + count : 200 + count + extra], rate)
        return figures


if __name__ == "__main__":
    arguments = [float(argument) for argument in sys.argv[1:]]
    print(
        json.dumps(main(int(arguments[0]) if arguments else 20_000, arguments[1] if arguments[1:] else 30.0), indent=1)
    )
