"""Accepted statements with real keys, and the overlaps stage on a real database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import psycopg
import pytest

from samenloop_deploy.local import Databases
from samenloop_processors import keys
from samenloop_processors.agreement import agreement_decision, parse_agreement
from samenloop_processors.clock.days import clock_day
from samenloop_processors.engine.api import Outgoing
from samenloop_processors.engine.harness import Harness
from samenloop_processors.keys import DataKey, KeyKind, KeyStore
from samenloop_processors.overlaps.stage import OverlapsStage
from samenloop_schemas import codec, envelope
from samenloop_schemas.codes import DecisionKind, Domain, Status
from samenloop_schemas.ids import canonical_json, client_id, derived_id
from samenloop_schemas.records import (
    AcceptedStatement,
    Actor,
    ClientStatement,
    Decision,
    DueNotice,
    InvolvementFacts,
    NoticeSent,
    OverlapStatement,
)
from samenloop_schemas.topics import Topics

KEK = bytes(range(32))
AREA = "a2"
TODAY = date(2026, 3, 10)
KINDS = {
    "lumens": (Domain.WMO, "social_work", "lumens/social-work"),
    "valkenswaard": (Domain.JW, "youth_help", "valkenswaard/jeugd"),
    "cranendonck": (Domain.PW, "income_support", "cranendonck/werk-inkomen"),
}
Item = tuple[str, bytes]


def agreement_text(version: int = 1, grace: int = 0) -> str:
    return json.dumps(
        {
            "area": AREA,
            "version": version,
            "valid_from": "2025-01-01",
            "municipalities": [{"code": "0858", "name": "Valkenswaard"}],
            "organisations": [
                {"id": o, "name": o, "partner": "smwo", "help_giving": True, "bsn": False, "consent": "not_required"}
                for o in KINDS
            ],
            "parties": [
                {"id": p, "name": p, "organisation": o, "domain": d, "service_group": g}
                for o, (d, g, p) in KINDS.items()
            ],
            "purposes": ["early_coordination"],
            "legal_bases": ["wmo_5_2"],
            "terms": {"grace_days": grace},
        }
    )


class Area:
    """Makes the records of one area; ids derive from real keys, as intake does it."""

    def __init__(self, databases: Databases, topics: Topics) -> None:
        keys.prepare(databases.admin_keys_url())
        keys.grant(databases.admin_keys_url(), {login.name: role for role, login in databases.logins.items()})
        self.databases, self.topics = databases, topics
        self.intake = KeyStore(databases.keys_url("intake"), KEK, may_create=True)
        self.operator = KeyStore(databases.keys_url("operator"), KEK)
        self.overlaps_keys = KeyStore(databases.keys_url("overlaps"), KEK)
        self.stage = OverlapsStage(topics, self.overlaps_keys)
        self._harness: Harness | None = None
        self.seen: dict[str, OverlapStatement] = {}

    @property
    def harness(self) -> Harness:
        """Made when first asked for: a worker process must find the database as it left it."""
        if self._harness is None:
            self._harness = self.new_harness()
        return self._harness

    def new_harness(self, batch: int = 1000) -> Harness:
        return Harness(self.stage, self.databases.url("overlaps"), topics=self.topics, batch=batch)

    def restart(self, batch: int = 1000) -> None:
        """A new process on the same database: nothing in memory."""
        self.harness.close()
        self._harness = self.new_harness(batch)

    def forget_everything(self) -> None:
        with psycopg.connect(self.databases.url("overlaps")) as connection:
            connection.execute('DROP SCHEMA "overlaps_v1", "overlaps" CASCADE')

    def key(self, case: str) -> DataKey:
        made = self.intake.create_many(KeyKind.CASE, [case.encode()])[case.encode()]
        assert isinstance(made, DataKey)
        return made

    def involvement(
        self,
        case: str,
        person: str,
        organisation: str,
        revision: int = 1,
        status: Status = Status.ACTIVE,
        starts: date = date(2026, 3, 1),
        ends: date | None = None,
    ) -> Item:
        key, (domain, group, _) = self.key(case), KINDS[organisation]
        facts = InvolvementFacts(
            involvement_id=key.derive_id("involvement"),
            source_person_id=person,
            organisation=organisation,
            case_ref=f"ref-{case}",
            status=status,
            confirmed_on=date(2026, 3, 1),
            starts_on=starts,
            ends_on=ends,
            domain=domain,
            service_group=group,
            sensitivity="NORMAL",  # type: ignore[arg-type]
        )
        said = datetime(2026, 3, 1, 9, tzinfo=UTC) + timedelta(minutes=revision)
        statement = derived_id("statement", case, revision, repr(facts))
        accepted = AcceptedStatement(
            area=AREA,
            statement_id=statement,
            partner="smwo",
            revision=revision,
            stated_at=said,
            recorded_at=said + timedelta(seconds=5),
            case_key_id=key.key_id,
            person_key_id=derived_id("person", person),
            facts=envelope.close_facts(key.key, statement, facts),
        )
        return self.topics.involvements, codec.encode(accepted)

    def client(self, version: int, *members: str, anchor: str = "") -> Item:
        first = anchor or min(members)
        return self.topics.clients, codec.encode(
            ClientStatement(AREA, client_id(first), version, first, tuple(members))
        )

    def agreement(self, version: int = 1, grace: int = 0) -> Item:
        decision = agreement_decision(
            parse_agreement(agreement_text(version, grace)), Actor("steward"), datetime(2025, 1, 2, tzinfo=UTC)
        )
        return self.topics.decisions, codec.encode(decision)

    def day(self, day: date = TODAY) -> Item:
        return self.topics.clock, codec.encode(clock_day(AREA, day))

    def delivered(self, case_id: str, notice: DueNotice) -> Item:
        sent = NoticeSent(
            notice.notice_id, notice.change, recipient=notice.recipient, about=notice.about, case_id=case_id
        )
        decision = Decision(
            derived_id("delivered", notice.notice_id),
            AREA,
            DecisionKind.NOTICE_DELIVERED,
            datetime(2026, 3, 10, 10, tzinfo=UTC),
            payload=sent,
        )
        return self.topics.decisions, codec.encode(decision)

    def erased(self, *cases: str) -> Item:
        facts = tuple(self.key(case).derive_id("involvement") for case in cases)
        decision = Decision(derived_id("erased", *facts), AREA, DecisionKind.CASE_ERASED, facts=facts)
        return self.topics.decisions, codec.encode(decision)

    def feed(self, *items: Item, harness: Harness | None = None) -> list[OverlapStatement]:
        """All in one batch. Returns what was stated, and remembers the latest of each case."""
        used = harness or self.harness
        rows = used.apply([used.record(topic, AREA, value) for topic, value in items])
        stated = statements(self.topics, rows)
        self.seen |= {s.case_id: s for s in stated}
        return stated

    def answer(self) -> list[DueNotice]:
        """Deliver everything that is due, until nothing is."""
        notices: list[DueNotice] = []
        while due := [(s.case_id, n) for s in self.seen.values() for n in s.due]:
            notices += [n for _, n in due]
            self.feed(*[self.delivered(case_id, n) for case_id, n in due])
        return notices

    def export(self, harness: Harness | None = None) -> list[bytes]:
        return sorted(canonical_json(row) for row in (harness or self.harness).export(AREA))

    def close(self) -> None:
        if self._harness is not None:
            self._harness.close()
        for store in (self.intake, self.operator, self.overlaps_keys):
            store.close()


def statements(topics: Topics, rows: Iterable[Outgoing]) -> list[OverlapStatement]:
    return [codec.decode(r.value, OverlapStatement) for r in rows if r.topic == topics.overlaps]


def random_items(area: Area, seed: int, cases: int) -> list[Item]:
    """Cases of a few persons each, corrected and ended here and there; every client complete from the start."""
    rng = Random(seed)
    persons = [f"person{n}" for n in range(cases // 3 + 2)]
    items: list[Item] = [area.agreement(), area.day()]
    for n in range(0, len(persons), 2):
        items.append(area.client(n + 1, *persons[n : n + 2]))
    for n in range(cases):
        organisation, person = rng.choice(sorted(KINDS)), rng.choice(persons)
        for revision in range(1, rng.randrange(2, 4)):
            status = rng.choices((Status.ACTIVE, Status.ENDED, Status.RETRACTED), (6, 2, 1))[0]
            start = date(2026, 3, 1) + timedelta(days=rng.randrange(14))
            ends = start + timedelta(days=rng.randrange(10)) if status is Status.ENDED else None
            items.append(area.involvement(f"c{n}", person, organisation, revision, status, start, ends))
    return items


@pytest.fixture
def area(databases: Databases) -> Iterator[Area]:
    made = Area(databases, Topics("t."))
    yield made
    made.close()


def columns(databases: Databases, table: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(databases.url("overlaps")) as connection:
        return connection.execute(f"SELECT * FROM overlaps_v1.{table}".encode()).fetchall()
