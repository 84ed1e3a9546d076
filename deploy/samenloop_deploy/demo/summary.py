"""The demo's figures: what the hub found, held against the truth that only the demo knows.

A case of a partner system and an involvement in the hub are brought together by the keyed reference that the connector makes,
under the partner's edge secret. So nothing is told to the hub that a real partner would not tell it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from samenloop_deploy.demo.feeds import FEEDS
from samenloop_processors.engine.schema import live_schema
from samenloop_processors.keys import DataKey, KeyKind, KeyStore
from samenloop_schemas import codec, envelope
from samenloop_schemas.codes import CaseState, Status
from samenloop_schemas.records import AcceptedStatement, ClientStatement, InvolvementFacts, OverlapStatement

SourceCase = tuple[str, str]
"""(organisation, the partner's own case number)."""
STANDING = frozenset({Status.ANNOUNCED, Status.ACTIVE, Status.PAUSED, Status.ENDED})
CURRENT = frozenset({CaseState.DETECTED, CaseState.NOTIFIED, CaseState.ACKNOWLEDGED, CaseState.CONTACT_MADE})

_FEEDS = {(feed.partner, feed.source): feed.name for feed in FEEDS}


@dataclass(frozen=True, slots=True)
class Held:
    """What the hub holds now, opened with the pages' own rights."""

    facts: Mapping[str, InvolvementFacts]
    partners: Mapping[str, str]
    clients: tuple[ClientStatement, ...]
    overlaps: tuple[OverlapStatement, ...]
    notices_due: int
    notices_delivered: int


@dataclass(slots=True)
class Figures:
    """Counts only. `statements` by feed; `overlaps_found` are current cases; true when some two of its parties really share
    that person."""

    statements: dict[str, int] = field(default_factory=dict)
    persons: int = 0
    clients: int = 0
    overlaps_found: int = 0
    overlaps_true: int = 0
    overlaps_false: int = 0
    overlaps_missed: int = 0
    overlaps_expected: int = 0
    notices_delivered: int = 0
    false_links: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_hub(database_url: str, keys: KeyStore) -> Held:
    """Read the views as the web role may. Raises LookupError before the views stage first ran."""
    with psycopg.connect(database_url, autocommit=False) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", (f'"{live_schema(connection, "views")}"',))
        rows = connection.execute("SELECT statement_id, case_key_id, partner, facts FROM involvement").fetchall()
        clients = connection.execute("SELECT statement FROM client").fetchall()
        overlaps = connection.execute("SELECT statement FROM overlap_case").fetchall()
        due = connection.execute("SELECT count(*) FROM due_notice").fetchone()
        told = connection.execute("SELECT count(*) FROM notice_sent WHERE kind = 'NOTICE_DELIVERED'").fetchone()
    opened = dict(_opened(rows, keys))
    return Held(
        facts={i: facts for i, (facts, _) in opened.items()},
        partners={i: partner for i, (_, partner) in opened.items()},
        clients=tuple(c for (data,) in clients if (c := codec.decode(data, ClientStatement)).members),
        overlaps=tuple(codec.decode(data, OverlapStatement) for (data,) in overlaps),
        notices_due=due[0] if due else 0,
        notices_delivered=told[0] if told else 0,
    )


def _opened(
    rows: Iterable[tuple[UUID, UUID, str, bytes]], keys: KeyStore
) -> Iterable[tuple[str, tuple[InvolvementFacts, str]]]:
    rows = list(rows)
    data_keys = keys.get_many(KeyKind.CASE, [case_key for _, case_key, _, _ in rows])
    for statement_id, case_key, partner, block in rows:
        key = data_keys[case_key]
        if isinstance(key, DataKey):
            sealed = AcceptedStatement(statement_id=statement_id, facts=block)
            facts = envelope.open_facts(key.key, sealed)
            yield facts.involvement_id, (facts, partner)


def figures(held: Held, truth: Mapping[str, Any], cases: Mapping[str, SourceCase]) -> Figures:
    """`cases` maps a case reference as the hub knows it to the partner's own case."""
    person_of = {(case["organisation"], case["case"]): case["person"] for case in truth["cases"]}
    source_of = {i: cases.get(facts.case_ref) for i, facts in held.facts.items()}
    found = Figures(notices_delivered=held.notices_delivered)
    statements: defaultdict[str, int] = defaultdict(int)
    for involvement, facts in held.facts.items():
        if facts.status in STANDING:
            partner = held.partners[involvement]
            statements[_FEEDS.get((partner, facts.source_system), partner)] += 1
    found.statements = dict(sorted(statements.items()))
    found.persons = len({member for client in held.clients for member in client.members})
    found.clients = len(held.clients)
    found.false_links = _false_links(held, source_of, person_of)

    expected = {(overlap["area"], overlap["person"]): set(overlap["parties"]) for overlap in truth["overlaps"]}
    hit: set[tuple[str, str]] = set()
    for case in held.overlaps:
        if case.state not in CURRENT:
            continue
        found.overlaps_found += 1
        parties: defaultdict[str, set[str]] = defaultdict(set)
        for fact in case.facts:
            source = source_of.get(fact.involvement_id)
            # What no source ever said is about nobody, and makes the case a false one.
            parties[person_of.get(source, "") if source else ""].add(fact.party)
        real = [p for p, own in parties.items() if len(own & expected.get((case.area, p), set())) > 1]
        hit.update((case.area, person) for person in real)
        if real and len(parties) == 1:
            found.overlaps_true += 1
        else:
            found.overlaps_false += 1
    found.overlaps_expected = len(expected)
    found.overlaps_missed = len(expected.keys() - hit)
    return found


def _false_links(held: Held, source_of: Mapping[str, SourceCase | None], person_of: Mapping[SourceCase, str]) -> int:
    """Clients in which records of different people were brought together."""
    people: defaultdict[str, set[str]] = defaultdict(set)
    for involvement, facts in held.facts.items():
        source = source_of.get(involvement)
        if source is not None and source in person_of:
            people[facts.source_person_id].add(person_of[source])
    return sum(
        len(set().union(*(people[m] for m in client.members if m in people), set())) > 1 for client in held.clients
    )
