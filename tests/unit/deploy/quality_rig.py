"""The demo's whole chain in one process, without a broker or a database, to ask how good its answer is.

The partner systems really serve over sockets and files, and the connectors really read them. Their statements then go
through the pure rules of intake, clients and overlaps in the order in which they were made, and the demo's own judge holds
the outcome against the truth.
"""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any
from uuid import UUID

from samenloop_connectors import app as connectors
from samenloop_connectors.sdk.errors import EdgeError
from samenloop_connectors.sdk.runner import Runner
from samenloop_connectors.sdk.state import DDL, State
from samenloop_deploy.demo.connectors import case_refs, connector_configs
from samenloop_deploy.demo.feeds import FEEDS
from samenloop_deploy.demo.partner_systems import Options, PartnerSystems
from samenloop_deploy.demo.partners.seam import Request
from samenloop_deploy.demo.run import LIFE_SHARE
from samenloop_deploy.demo.summary import CURRENT, Figures, Held, figures
from samenloop_deploy.shipped import shipped
from samenloop_processors.agreement import AgreementBook, Published, load_agreement
from samenloop_processors.clients.domain.model import default_model
from samenloop_processors.clients.domain.normalise import features
from samenloop_processors.clients.domain.persons import source_persons
from samenloop_processors.clients.domain.resolver import Resolver
from samenloop_processors.clock.days import clock_day
from samenloop_processors.intake.domain.gate import Opened, Seal, judge
from samenloop_processors.intake.domain.ledger import Case, CaseId, Emission
from samenloop_processors.intake.domain.persons import MatchingKey, identity_facts, involvement_facts
from samenloop_processors.overlaps.domain.involvements import stated
from samenloop_processors.overlaps.domain.state import AreaState
from samenloop_producers.keys import EdgeKeys
from samenloop_producers.metrics import EdgeMetrics
from samenloop_producers.outbox import EdgeStore
from samenloop_producers.statement import StatementMaker
from samenloop_schemas import codec, sealing
from samenloop_schemas.codes import Status
from samenloop_schemas.dates import dutch_day
from samenloop_schemas.records import (
    AcceptedStatement,
    ClientStatement,
    IdentityFacts,
    InvolvementFacts,
    InvolvementStatement,
    OverlapStatement,
    PersonIdentity,
    SealedPerson,
)

IN_FORCE_FOR = timedelta(days=800)
HUB_PRIVATE, HUB_PUBLIC = sealing.new_hub_key()
MATCHING = MatchingKey(bytes(32))
SECRET = bytes(range(32))
"""Of every partner: what matters here is who is the same person, not who could guess it."""


class Feeds:
    """Every connector of the demo on a state of its own. A connector that stays would be woken; here each is asked in turn."""

    def __init__(self, systems: PartnerSystems, folder: Path) -> None:
        agreements = [load_agreement(file) for file in sorted(shipped("agreements").glob("*.yaml"))]
        self.agreements = {agreement.area: agreement for agreement in agreements}
        configs = connector_configs(agreements, systems.description()["systems"], folder)
        self._stop = threading.Event()
        self._world = systems.world
        self._runners: dict[str, Runner] = {}
        self._stores: dict[str, EdgeStore] = {}
        self._connectors = []
        keys = EdgeKeys(SECRET)
        for feed in FEEDS:
            path = folder / f"{feed.name}.json"
            path.write_text(json.dumps(configs[feed.name], default=str), "utf-8")
            config = connectors.load_config(path)
            connector = connectors.make_connector(config, self._stop, self._now)
            store = self._stores[feed.name] = EdgeStore(config.state_dir, DDL)
            store.connection.execute("PRAGMA synchronous=OFF")  # nobody cuts the power here
            maker = StatementMaker(keys, sealing.public_key(HUB_PUBLIC), connector.source_system)
            self._connectors.append(connector)
            self._runners[feed.name] = Runner(
                connector, State(store, keys), keys, maker, EdgeMetrics(feed.partner),
                inbox=f"in.{feed.partner}", source="urn:test", now=self._now,
            )  # fmt: skip

    def _now(self) -> datetime:
        return self._world.now

    def round(self) -> None:
        """Each feed reads what is new, until it finds nothing more. Raises what a source answers wrongly."""
        for runner in self._runners.values():
            taken = runner.round()
            problems: list[EdgeError] = [failed.error for failed in taken.failed]
            if problems:
                raise problems[0]

    def statements(self) -> Iterator[tuple[str, InvolvementStatement]]:
        """Everything that was said, with the partner that said it; oldest first per feed."""
        for feed in FEEDS:
            for each in self._stores[feed.name].waiting(1_000_000):
                yield feed.partner, codec.decode(each.event.value, InvolvementStatement)

    def close(self) -> None:
        for connector in self._connectors:
            if close := getattr(connector, "close", None):
                close()
        for store in self._stores.values():
            store.close()


@dataclass(slots=True)
class Hub:
    """The pure rules of the stages over everything said so far."""

    book: AgreementBook
    cases: dict[CaseId, Case] = field(default_factory=dict)
    accepted: list[AcceptedStatement] = field(default_factory=list)
    facts: dict[UUID, InvolvementFacts] = field(default_factory=dict)
    partners: dict[str, str] = field(default_factory=dict)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    resolvers: dict[str, Resolver] = field(default_factory=dict)

    def take(self, partner: str, statement: InvolvementStatement) -> None:
        """As intake does."""
        opened = _opened(statement)
        verdict = judge(opened, partner, self.book)
        for code in verdict.failed:
            self.refused[partner, str(code)] += 1
        named = CaseId.of(opened, partner)
        case = self.cases.setdefault(named, Case(named))
        for effect in case.take(opened, verdict, (), statement.stated_at, self.book):
            if isinstance(effect, Emission):
                self._accept(effect)

    def _accept(self, emission: Emission) -> None:
        case, entry, opened, verdict = emission.case, emission.entry, emission.opened, emission.verdict
        involvement, person = UUID(bytes=case.subject()), UUID(bytes=case.person_subject(entry.person_ref))
        identity, revision = None, 0
        related: tuple[SealedPerson, ...] = ()
        if opened is None or verdict is None or verdict.agreement is None:
            facts = InvolvementFacts(
                involvement.hex, person.hex, case.organisation, case.source_system, case.case_ref, entry.status
            )
        else:
            said = opened.statement
            facts = involvement_facts(said, verdict.agreement, involvement.hex, person.hex)
            if verdict.use_identity and opened.identity is not None:
                organisation = verdict.agreement.organisation(case.organisation)
                key = MATCHING if organisation and organisation.may_send_bsn(case.partner) else None
                revision = said.identity_revision
                identity = codec.encode(identity_facts(opened.identity, person.hex, case.source, revision, key))
                related = tuple(
                    SealedPerson(other, relation.identity_revision, codec.encode(named))
                    for relation, beside in zip(said.relations, opened.related, strict=True)
                    if beside is not None
                    for other in [UUID(bytes=case.person_subject(relation.person_ref))]
                    for named in [identity_facts(beside, other.hex, case.source, relation.identity_revision, key)]
                )
        self.facts[entry.statement_id] = facts
        self.partners[facts.involvement_id] = case.partner
        self.accepted.append(
            AcceptedStatement(
                area=case.area, statement_id=entry.statement_id, partner=case.partner, revision=entry.revision,
                identity_revision=revision, stated_at=entry.stated_at, recorded_at=entry.recorded_at,
                agreement_version=entry.agreement_version, case_key_id=involvement, person_key_id=person,
                identity=identity, related=related,
            )
        )  # fmt: skip

    def held(self, now: datetime) -> Held:
        """As clients and overlaps find it today."""
        clients: list[ClientStatement] = []
        overlaps: list[OverlapStatement] = []
        facts: dict[str, InvolvementFacts] = {}
        by_area: defaultdict[str, list[AcceptedStatement]] = defaultdict(list)
        for statement in self.accepted:
            by_area[statement.area].append(statement)
        for area, said in sorted(by_area.items()):
            resolver = self.resolvers[area] = Resolver(default_model())
            for key_id, person in source_persons(said).items():
                if person.naming is not None:
                    identity = codec.decode(person.naming.block, IdentityFacts)
                    resolver.put(key_id.hex, person.first, features(identity))
            resolver.settle()
            state = AreaState(area)
            for published in self.book.versions(area):
                state.publish(published)
            state.begin_day(clock_day(area, dutch_day(now)))
            for client in resolver.clients():
                clients.append(ClientStatement(area, client.anchor, len(clients) + 1, client.anchor, client.members))
                state.state_client(clients[-1])
            for statement in said:
                state.state_involvement(stated(statement, self.facts[statement.statement_id]))
            overlaps += state.settle()
            facts |= {fact: involvement.facts for fact, involvement in state.involvements.items()}
        return Held(facts, self.partners, tuple(clients), tuple(overlaps), 0, 0)


def _opened(statement: InvolvementStatement) -> Opened:
    if statement.status is Status.RETRACTED:
        return Opened(statement)
    person, *related = (
        codec.decode(sealing.open_seal(sealing.private_key(HUB_PRIVATE), sealed), PersonIdentity) if sealed else None
        for sealed in (statement.identity, *(relation.identity for relation in statement.relations))
    )
    return Opened(statement, Seal.OPENED if person else Seal.ABSENT, person, tuple(related))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the hub makes of one world, and why. `missed` and `false` count by the sources concerned."""

    figures: Figures
    truth: Mapping[str, Any]
    held: Held
    refused: Counter[tuple[str, str]]
    missed: Counter[str]
    false: Counter[str]

    @property
    def found(self) -> float:
        """The share of the true overlaps that was found."""
        expected = self.figures.overlaps_expected
        return (expected - self.figures.overlaps_missed) / expected

    def line(self, seed: int) -> str:
        figures = self.figures
        return (
            f"seed {seed}: found {self.found:.1%} of {figures.overlaps_expected}, false {figures.overlaps_false} of "
            f"{figures.overlaps_found}, clients of two people {figures.false_links}; statements {figures.statements}; "
            f"missed {dict(self.missed)}, false {dict(self.false)}, refused {dict(self.refused)}"
        )


def answer(seed: int, scale: int, folder: Path, started_at: datetime | None = None) -> Answer:
    """The demo as `samenloop demo --once` runs it: everything arrives, life goes on for a while, two nights fall."""
    options = Options(folder / "drop", seed, scale, tick_seconds=0, extract_seconds=0, rate=1e9, burst=10**9,
                      started_at=started_at)  # fmt: skip
    systems = PartnerSystems(options)
    systems.start()
    (folder / "edge").mkdir(parents=True)
    feeds = Feeds(systems, folder / "edge")
    began = systems.world.now.astimezone(UTC) - IN_FORCE_FOR
    hub = Hub(AgreementBook(Published(agreement, dutch_day(began)) for agreement in feeds.agreements.values()))
    try:
        feeds.round()
        _ask(systems, "/play", f"changes={max(10, int(scale * LIFE_SHARE))}")
        for _ in range(2):
            systems.world.advance_to(systems.world.now + timedelta(minutes=1))
            _ask(systems, "/extract")
            feeds.round()
        for partner, statement in feeds.statements():
            hub.take(partner, statement)
        truth = _ask(systems, "/truth", method="GET")
        refs = case_refs(lambda partner: SECRET, truth)
        held = hub.held(systems.world.now)
    finally:
        feeds.close()
        systems.stop()
        systems.close()
    missed, false = _wrong(truth, refs, held)
    return Answer(figures(held, truth, refs), truth, held, hub.refused, missed, false)


def _ask(systems: PartnerSystems, path: str, query: str = "", method: str = "POST") -> Any:
    response = systems.answer(Request(method, path, query))
    assert response.status == 200, response.body
    return response.body


def _wrong(
    truth: Mapping[str, Any], refs: Mapping[str, tuple[str, str]], held: Held
) -> tuple[Counter[str], Counter[str]]:
    """By the sources that should have been brought together, and by those that should not."""
    cases = {(case["organisation"], case["case"]): case for case in truth["cases"]}
    known = {i: cases.get(refs.get(facts.case_ref, ("", ""))) for i, facts in held.facts.items()}
    client_of = {member: client.client_id for client in held.clients for member in client.members}
    client_of_case: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for involvement, case in known.items():
        if case is not None:
            client = client_of.get(held.facts[involvement].source_person_id, f"nobody {involvement}")
            client_of_case[case["organisation"], case["case"]].add(client)
    shown = {
        (found.area, case["person"], fact.party)
        for found in held.overlaps
        if found.state in CURRENT
        for fact in found.facts
        if (case := known.get(fact.involvement_id)) is not None
    }
    missed: Counter[str] = Counter()
    for overlap in truth["overlaps"]:
        if sum((overlap["area"], overlap["person"], party) in shown for party in overlap["parties"]) > 1:
            continue
        keys = [tuple(key) for key in overlap["cases"]]
        pairs = [(one, other) for one, other in combinations(keys, 2) if cases[one]["party"] != cases[other]["party"]]
        kinds = sorted({"+".join(sorted((cases[one]["source"], cases[other]["source"]))) for one, other in pairs})
        lost = sorted({cases[key]["source"] for key in keys if not client_of_case[key]})
        together = any(client_of_case[one] & client_of_case[other] for one, other in pairs)
        why = f" not stated: {', '.join(lost)}" if lost else " one client, but no overlap" if together else ""
        missed[" ".join(kinds) + why] += 1
    false: Counter[str] = Counter()
    for found in held.overlaps:
        people = {(case or {}).get("person", "nobody") for case in (known.get(f.involvement_id) for f in found.facts)}
        if found.state in CURRENT and len(people) > 1:
            sources = sorted({(known.get(f.involvement_id) or {}).get("source", "?") for f in found.facts})
            false["+".join(sources)] += 1
    return missed, false
