"""The clients stage on real databases: order, repeats and restarts change nothing; keys and verdicts do what they must."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID, uuid5

import psycopg
import pytest

from samenloop_deploy.local import Databases
from samenloop_processors import keys
from samenloop_processors.clients.stage import ClientsStage
from samenloop_processors.engine.api import Outgoing, QuarantineReason
from samenloop_processors.engine.harness import Harness
from samenloop_processors.keys import DataKey, KeyKind, KeyMissing, KeyStore
from samenloop_schemas import codec, envelope
from samenloop_schemas.codes import DecisionKind, Sex
from samenloop_schemas.dates import PartialDate
from samenloop_schemas.ids import canonical_json
from samenloop_schemas.records import (
    AcceptedStatement,
    Address,
    ClientStatement,
    Decision,
    IdentityFacts,
    SealedPerson,
)
from samenloop_schemas.topics import Topics

pytestmark = pytest.mark.live
TOPICS = Topics("c.")
KEK = bytes(range(32))
AREA = "bevelanden"
START = datetime(2025, 3, 1, tzinfo=UTC)
_SPACE = UUID(int=7)


@dataclass
class Intake:
    """Makes what intake would put on `involvements`, under real keys of a real keys database."""

    store: KeyStore
    made: list[AcceptedStatement] = field(default_factory=list)

    def key(self, person: str) -> DataKey:
        key = self.store.create_many(KeyKind.PERSON, [person.encode()])[person.encode()]
        assert isinstance(key, DataKey)
        return key

    def person_id(self, person: str) -> str:
        return self.key(person).derive_id("person")

    def state(
        self,
        case: str,
        person: str,
        identity: IdentityFacts | None,
        revision: int = 1,
        related: Sequence[tuple[str, IdentityFacts]] = (),
    ) -> AcceptedStatement:
        """A statement whose stated_at falls as its revision rises now and then, as late corrections do."""
        sid = uuid5(_SPACE, f"{case}.{revision}")
        key = self.key(person)
        sealed = []
        for name, facts in related:
            other = self.key(name)
            facts = replace(facts, source_person_id=self.person_id(name))
            sealed.append(
                SealedPerson(other.key_id, revision, envelope.close_related(other.key, sid, other.key_id, facts))
            )
        facts = replace(identity, source_person_id=self.person_id(person)) if identity else None
        statement = AcceptedStatement(
            area=AREA,
            statement_id=sid,
            revision=revision,
            identity_revision=revision if facts else 0,
            stated_at=START + timedelta(minutes=sid.int % 10_000),
            case_key_id=uuid5(_SPACE, f"case {case}"),
            person_key_id=key.key_id,
            identity=envelope.close_identity(key.key, sid, facts) if facts else None,
            related=tuple(sealed),
        )
        self.made.append(statement)
        return statement


@pytest.fixture
def store_for(databases: Databases) -> Iterator[Callable[..., KeyStore]]:
    keys.prepare(databases.admin_keys_url())
    keys.grant(databases.admin_keys_url(), {login.name: role for role, login in databases.logins.items()})
    stores: list[KeyStore] = []

    def make(role: str, **options: object) -> KeyStore:
        stores.append(KeyStore(databases.keys_url(role), KEK, **options))  # type: ignore[arg-type]
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def intake(store_for: Callable[..., KeyStore]) -> Intake:
    return Intake(store_for("intake", may_create=True))


@pytest.fixture
def start(databases: Databases, store_for: Callable[..., KeyStore]) -> Iterator[Callable[..., Harness]]:
    """A clients worker; `fresh=True` forgets what an earlier one stored. Each has its own memory and keys cache."""
    open_now: list[Harness] = []

    def make(fresh: bool = False, batch: int = 1000) -> Harness:
        for harness in open_now:
            harness.close()
        open_now.clear()
        if fresh:
            with psycopg.connect(databases.url("clients"), autocommit=True) as connection:
                connection.execute("DROP SCHEMA IF EXISTS clients_v1 CASCADE")
                connection.execute("DROP SCHEMA IF EXISTS clients CASCADE")
        stage = ClientsStage(TOPICS, store_for("clients"))
        open_now.append(Harness(stage, databases.url("clients"), topics=TOPICS, batch=batch))
        return open_now[-1]

    yield make
    for harness in open_now:
        harness.close()


def jan(**known: object) -> IdentityFacts:
    base = IdentityFacts(
        source="gemeente",
        given_names="Johannes Pieter",
        initials="J.P.",
        surname_prefix="van den",
        surname="Berg",
        birth_date=PartialDate(1961, 5, 17),
        sex=Sex.MALE,
        address=Address(house_number="12", house_letter="A", postcode="4461AB"),
    )
    return replace(base, **known)  # type: ignore[arg-type]


def heard(**known: object) -> IdentityFacts:
    spoken = jan(
        source="smwo",
        given_names="",
        initials="",
        call_name="Jan",
        address=Address(house_number="12a", postcode="4461 ab"),
    )
    return replace(spoken, **known)  # type: ignore[arg-type]


def verdict(kind: DecisionKind, *pair: str, n: int = 0) -> Decision:
    return Decision(decision_id=uuid5(_SPACE, f"decision {n}"), area=AREA, kind=kind, pair=pair)


def feed(harness: Harness, *values: AcceptedStatement | Decision) -> list[ClientStatement]:
    records = [
        harness.record(TOPICS.decisions if isinstance(v, Decision) else TOPICS.involvements, AREA, codec.encode(v))
        for v in values
    ]
    return read(harness.apply(records))


def read(rows: Sequence[Outgoing]) -> list[ClientStatement]:
    return [codec.decode(row.value, ClientStatement) for row in rows if row.topic == TOPICS.clients]


def standing(rows: Sequence[Outgoing]) -> dict[str, tuple[tuple[str, ...], str]]:
    """What a consumer holds: the latest statement of each client that has members."""
    latest: dict[str, ClientStatement] = {}
    for statement in read(rows):
        assert statement.subject_version > getattr(latest.get(statement.client_id), "subject_version", 0)
        latest[statement.client_id] = statement
    return {
        client: (s.members, codec.encode(replace(s, subject_version=0)).hex())
        for client, s in latest.items()
        if s.members
    }


def exported(harness: Harness) -> list[bytes]:
    return sorted(canonical_json(row) for row in harness.export(AREA))


def test_two_sources_become_one_client_with_its_evidence(intake: Intake, start: Callable[..., Harness]) -> None:
    harness = start()
    (alone,) = feed(harness, intake.state("c1", "p1", jan()))
    assert alone.members == (intake.person_id("p1"),)
    both = feed(harness, intake.state("c2", "p2", heard()))
    (client,) = [s for s in both if s.members]
    assert set(client.members) == {intake.person_id("p1"), intake.person_id("p2")}
    (link,) = client.links
    levels = {f.name: f.level for f in link.fields}
    named = (levels["birth"], levels["given_of_twin"], levels["surname_at_home"], levels["address"])
    assert named == ("same", "nickname", "same", "same")
    assert link.weight == pytest.approx(sum(f.weight for f in link.fields))
    assert client.subject_version > alone.subject_version
    retracted = feed(harness, intake.state("c2", "p2", None, revision=2))
    assert {s.members for s in retracted if s.members} == {(intake.person_id("p1"),)}
    assert feed(harness, intake.made[1]) == []


def test_order_repeats_batches_and_restarts_change_nothing(intake: Intake, start: Callable[..., Harness]) -> None:
    """A few hundred statements of people, relatives, corrections and retractions, and verdicts, in three orders."""
    rng = Random(11)
    events: list[AcceptedStatement | Decision] = []
    for n in range(60):
        born = PartialDate(1950 + n % 40, 1 + n % 12, 1 + n % 27)
        house = Address(house_number=str(1 + n // 3), postcode="4461AB")
        given, call = rng.choice((("Johannes", "Jan"), ("Petrus", "Piet"), ("Maria", "Ria")))
        name = rng.choice(("Berg", "Bos", "Zandee"))
        town = jan(
            given_names=given, initials=given[0], surname=name, birth_date=born, address=house, bsn_token=f"1:{n:x}"
        )
        welfare = heard(call_name=call, surname=name, birth_date=born, address=house, phone=f"06123456{n // 3:02d}")
        events.append(intake.state(f"t{n}", f"t{n}", town, related=[(f"r{n}", jan(surname=name, address=house))]))
        events.append(intake.state(f"w{n}", f"w{n}", welfare))
        if n % 5 == 0:
            events.append(intake.state(f"w{n}", f"w{n}", replace(welfare, surname="Visser"), revision=2))
        if n % 7 == 0:
            events.append(intake.state(f"w{n}", f"w{n}", None, revision=3))
        if n % 6 == 0:
            events.append(intake.state(f"x{n}", f"w{n}", replace(welfare, phone="0611112222"), revision=2))
    decisions = [
        verdict(DecisionKind.LINK_REJECTED, intake.person_id("t1"), intake.person_id("w1"), n=1),
        verdict(DecisionKind.LINK_CONFIRMED, intake.person_id("t2"), intake.person_id("w30"), n=2),
        verdict(DecisionKind.LINK_REJECTED, intake.person_id("w3"), intake.person_id("t3"), n=3),
        verdict(DecisionKind.LINK_REOPENED, intake.person_id("t3"), intake.person_id("w3"), n=4),
    ]
    outcomes = []
    for run, batch in enumerate((1000, 7, 1)):
        order = [*events, *rng.sample(events, 20)] if run else list(events)
        rng.shuffle(order)
        slots = sorted(rng.randrange(len(order)) for _ in decisions)
        for at, decision in zip(reversed(slots), reversed(decisions), strict=True):
            order.insert(at, decision)
        harness = start(fresh=True, batch=batch)
        half = len(order) // 2
        feed(harness, *order[:half])
        rows = list(harness.sent)
        if run:
            harness = start(batch=batch)
        feed(harness, *order[half:])
        rows = rows + harness.sent if run else harness.sent
        outcomes.append((standing(rows), exported(harness)))
        stated = {members for members, _ in outcomes[-1][0].values()}
        assert any(len(members) > 1 for members in stated)
        restarted = start()
        fresh_eyes = feed(restarted, intake.state("nobody", "nobody", None, revision=run + 1))
        assert fresh_eyes == [], "a load from the tables found other clients than were stated"
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_people_reject_confirm_and_reopen_links(intake: Intake, start: Callable[..., Harness]) -> None:
    harness = start()
    feed(harness, intake.state("c1", "p1", jan()), intake.state("c2", "p2", heard()))
    pair = (intake.person_id("p2"), intake.person_id("p1"))
    apart = feed(harness, verdict(DecisionKind.LINK_REJECTED, *pair))
    assert sorted(s.members for s in apart) == sorted((p,) for p in pair)
    assert [s.members for s in feed(harness, verdict(DecisionKind.LINK_REOPENED, *pair)) if s.members] == [
        tuple(sorted(pair))
    ]
    (decided,) = [s for s in feed(harness, verdict(DecisionKind.LINK_CONFIRMED, *pair)) if s.members]
    assert [link.decided for link in decided.links] == [True]
    assert feed(harness, verdict(DecisionKind.MODEL_PUBLISHED)) == []


def test_a_destroyed_key_was_never_stated_and_a_missing_one_stops(
    intake: Intake, start: Callable[..., Harness], store_for: Callable[..., KeyStore]
) -> None:
    harness = start()
    feed(harness, intake.state("c1", "p1", jan()), intake.state("c2", "p2", heard()))
    one, two, key = intake.person_id("p1"), intake.person_id("p2"), intake.key("p1")
    assert store_for("operator").destroy(KeyKind.PERSON, key.key_id, "erasure")
    harness = start()
    said = feed(harness, intake.state("c3", "p3", jan(surname="Bos", birth_date=PartialDate(1999, 9, 9))))
    assert [s.members for s in said if one in s.members or two in s.members] == [(two,)]
    assert one.encode() not in b"".join(exported(harness))
    unknown = replace(intake.made[-1], person_key_id=UUID(int=5), case_key_id=UUID(int=6), statement_id=UUID(int=8))
    with pytest.raises(KeyMissing):
        feed(harness, unknown)


def test_what_does_not_open_or_fit_is_set_apart(intake: Intake, start: Callable[..., Harness]) -> None:
    harness = start()
    good = intake.state("c1", "p1", jan())
    assert feed(harness, replace(good, identity=b"\0\0\0\0" + b"x" * 40)) == []
    assert harness.applied is not None
    assert [reason for _, reason in harness.applied.quarantined] == [QuarantineReason.UNREADABLE_FIELD]
    feed(harness, verdict(DecisionKind.LINK_REJECTED, "only-one"))
    assert [reason for _, reason in harness.applied.quarantined] == [QuarantineReason.IMPOSSIBLE_DECISION]


def test_throughput_of_the_stage(intake: Intake, start: Callable[..., Harness]) -> None:
    """Printed for the record; the bound is low enough for a busy machine and still catches a fall back to one query per record."""
    rng = Random(5)
    statements = []
    intake.store.create_many(KeyKind.PERSON, [f"{side}{n}".encode() for n in range(1500) for side in "tw"])
    for n in range(1500):
        born = PartialDate(rng.randint(1940, 2020), rng.randint(1, 12), rng.randint(1, 28))
        surname = rng.choice(("Berg", "Bos", "Zandee", "Visser", "Smit", "Minnaard", "Wisse", "Kaya"))
        postcode = f"44{rng.randint(10, 70)}{rng.choice('ABCDE')}{rng.choice('ABCDE')}"
        known = {
            "surname": surname,
            "birth_date": born,
            "address": Address(house_number=str(n // 2), postcode=postcode),
        }
        statements.append(intake.state(f"t{n}", f"t{n}", jan(**known, bsn_token=f"1:{n:x}")))
        statements.append(intake.state(f"w{n}", f"w{n}", heard(**known)))
    rng.shuffle(statements)
    harness = start()
    records = [harness.record(TOPICS.involvements, AREA, codec.encode(s)) for s in statements]
    began = time.perf_counter()
    harness.apply(records)
    rate = len(records) / (time.perf_counter() - began)
    print(f"clients stage: {rate:,.0f} statements/s")
    assert rate > 150
