"""A small invented world in a real database, told through the views stage as the hub would tell it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from samenloop_deploy.local import Databases
from samenloop_processors import keys
from samenloop_processors.agreement import Agreement, agreement_decision, load_agreement
from samenloop_processors.engine.harness import Harness
from samenloop_processors.keys import DataKey, KeyKind, KeyStore
from samenloop_processors.views.stage import ViewsStage
from samenloop_schemas import codec, envelope, sealing
from samenloop_schemas.codes import (
    ActorRole,
    CaseState,
    DecisionKind,
    Domain,
    NoticeChange,
    OverlapKind,
    Role,
    Sensitivity,
    Status,
)
from samenloop_schemas.dates import PartialDate
from samenloop_schemas.ids import case_id, client_id, derived_id
from samenloop_schemas.records import (
    AcceptedStatement,
    Actor,
    CaseFact,
    ClientStatement,
    ClockDay,
    Contact,
    Decision,
    DueNotice,
    FieldEvidence,
    IdentityFacts,
    InvolvementFacts,
    LinkEvidence,
    NoticeBasis,
    NoticeSent,
    OverlapStatement,
)
from samenloop_schemas.topics import Topics
from samenloop_views.web.settings import WebSettings

AGREEMENTS = Path(__file__).resolve().parents[2] / "deploy" / "agreements"
TODAY = date(2026, 3, 10)
MORNING = datetime(2026, 3, 10, 8, 30, tzinfo=UTC)
DOMAINS = {"social-work": Domain.WMO, "client-support": Domain.WMO, "jeugd": Domain.JW, "wmo": Domain.WMO}


@dataclass(frozen=True, slots=True)
class Known:
    """An involvement that was stated, and the ids under which the hub knows it."""

    area: str
    party: str
    organisation: str
    case_key: DataKey
    person_key: DataKey
    facts: InvolvementFacts
    statement_id: UUID
    revision: int

    @property
    def fact(self) -> CaseFact:
        f = self.facts
        return CaseFact(
            *(f.involvement_id, f.source_person_id, self.case_key.key_id, self.party, self.organisation),
            *(f.starts_on, f.ends_on, f.status, f.sensitivity),
        )


def clear(databases: Databases) -> None:
    """Back to empty databases: much quicker than to drop them and make new ones."""
    with psycopg.connect(databases.admin_url(), autocommit=True) as admin:
        for schema in ("views", "views_v1", "web", "notifier"):
            admin.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    with psycopg.connect(databases.admin_keys_url(), autocommit=True) as admin:
        admin.execute("DROP TABLE IF EXISTS case_key, person_key")


class World:
    """Owns a harness of the views stage and a key store that may create. Close it."""

    def __init__(self, databases: Databases, topics: Topics | None = None) -> None:
        self.databases, self.topics = databases, topics or Topics("x.")
        self.kek = os.urandom(32)
        keys.prepare(databases.keys_url("intake"))
        databases.grant_keys()
        self.keys = KeyStore(databases.keys_url("intake"), self.kek, may_create=True)
        self.harness = Harness(ViewsStage(self.topics), databases.url("views"), topics=self.topics)
        self._version = 0

    def settings(self, **more: Any) -> WebSettings:
        return WebSettings(
            **{
                "database_url": self.databases.url("web"),
                "keys_url": self.databases.keys_url("web"),
                "kek": sealing.key_to_text(self.kek),
                "demo": True,
            }
            | more
        )

    def tell(self, topic: str, *records: Any) -> None:
        self.harness.apply([self.harness.record(topic, r.area, codec.encode(r)) for r in records])

    def begin(self, *areas: str, today: date = TODAY, sensitive: str = "") -> None:
        """Publish the demo's agreements and begin the day."""
        for area in areas or ("a2", "bevelanden"):
            agreement = load_agreement(AGREEMENTS / f"{area}.yaml")
            if sensitive:
                organisations = [o.model_copy(update={"sensitive": o.id == sensitive}) for o in agreement.organisations]
                agreement = Agreement.model_validate(
                    agreement.model_dump() | {"organisations": [o.model_dump() for o in organisations]}
                )
            publisher = Actor("operator", role=ActorRole.ADMINISTRATOR)
            self.tell(self.topics.decisions, agreement_decision(agreement, publisher, datetime(2025, 6, 1, tzinfo=UTC)))
            self.day(area, today)

    def day(self, area: str, day: date) -> None:
        self.tell(self.topics.clock, ClockDay(derived_id("day", area, day), area, day, 100, True))

    def involve(
        self,
        party: str,
        case: str,
        *,
        area: str = "a2",
        person: str = "",
        name: tuple[str, str] = ("Noor", "Bakker"),
        born: str = "1984-05-17",
        starts_on: date | None = date(2025, 9, 1),
        ends_on: date | None = None,
        status: Status = Status.ACTIVE,
        sensitivity: Sensitivity = Sensitivity.NORMAL,
        contact: Contact | None = None,
        revision: int = 1,
        heard_at: datetime = MORNING,
    ) -> Known:
        organisation, part = party.split("/")
        partner = "backoffice" if organisation.startswith("gemeente") else "smwo"
        case_key = self._key(KeyKind.CASE, f"{area} {organisation} {case}")
        person_key = self._key(KeyKind.PERSON, f"{area} {organisation} {person or case}")
        facts = InvolvementFacts(
            involvement_id=case_key.derive_id("involvement"),
            source_person_id=person_key.derive_id("person"),
            organisation=organisation,
            source_system="regas",
            case_ref=f"ref-{case}",
            status=status,
            starts_on=starts_on,
            ends_on=ends_on,
            domain=DOMAINS.get(part, Domain.PW),
            role=Role.HELP,
            contact=contact or Contact(f"Team {organisation}", "040-0000099", f"team@{organisation}.example"),
            sensitivity=sensitivity,
        )
        statement_id = derived_id("world", area, organisation, case, revision, status)
        identity = IdentityFacts(
            source_person_id=facts.source_person_id,
            given_names=name[0],
            surname=name[1],
            birth_date=PartialDate.parse(born),
        )
        stands = status not in (Status.RETRACTED, Status.WITHHELD)
        self.tell(
            self.topics.involvements,
            AcceptedStatement(
                area=area,
                statement_id=statement_id,
                partner=partner,
                revision=revision,
                identity_revision=revision,
                stated_at=heard_at,
                recorded_at=heard_at,
                agreement_version=1,
                case_key_id=case_key.key_id,
                person_key_id=person_key.key_id,
                facts=envelope.close_facts(case_key.key, statement_id, facts),
                identity=envelope.close_identity(person_key.key, statement_id, identity) if stands else None,
            ),
        )
        return Known(area, party, organisation, case_key, person_key, facts, statement_id, revision)

    def overlap(
        self,
        *known: Known,
        state: CaseState = CaseState.NOTIFIED,
        since: date = date(2025, 11, 3),
        until: date | None = None,
        contact_by: date | None = date(2026, 3, 12),
        due: bool = True,
        levels: Iterable[FieldEvidence] = (
            FieldEvidence("birth", "same", 9.0),
            FieldEvidence("surname", "same", 4.5),
            FieldEvidence("given", "nickname", 3.0),
            FieldEvidence("address", "different", -1.0),
        ),
    ) -> OverlapStatement:
        """One client out of these records, and their overlap, with a notice due to each party about all others."""
        area, anchor = known[0].area, known[0].facts.source_person_id
        members = tuple(dict.fromkeys(k.facts.source_person_id for k in known))
        links = tuple(LinkEvidence(members[0], m, 15.5, tuple(levels)) for m in members[1:])
        self._version += 1
        client = ClientStatement(area, client_id(anchor), self._version, anchor, members, links)
        case = OverlapStatement(
            area=area,
            case_id=case_id(OverlapKind.CLIENT, known[0].facts.involvement_id),
            subject_version=self._version,
            kind=OverlapKind.CLIENT,
            state=state,
            client_id=client.client_id,
            anchor=known[0].facts.involvement_id,
            episode_from=since,
            episode_to=until,
            detected_at=MORNING,
            facts=tuple(k.fact for k in known),
            parties=tuple(sorted({k.party for k in known})),
            due=tuple(self._notices(known)) if due else (),
            contact_by=contact_by,
            agreement_version=1,
        )
        self.tell(self.topics.clients, client)
        self.restate(case)
        return case

    def restate(self, case: OverlapStatement, **changes: Any) -> OverlapStatement:
        self._version += 1
        newer = replace(case, subject_version=self._version, **changes)
        self.tell(self.topics.overlaps, newer)
        return newer

    def delivered(self, case: OverlapStatement, *, change: NoticeChange | None = None, minutes: int = 0) -> None:
        """The notices that are due, delivered; or the same told as another change."""
        for notice in case.due:
            sent = NoticeSent(
                derived_id("sent", notice.notice_id, change),
                change or notice.change,
                case.kind,
                notice.recipient,
                notice.about,
            )
            self.tell(
                self.topics.decisions,
                Decision(
                    derived_id("delivered", sent.notice_id),
                    case.area,
                    DecisionKind.NOTICE_DELIVERED,
                    MORNING + timedelta(minutes=minutes),
                    payload=replace(sent, case_id=case.case_id),
                ),
            )

    def erase(self, key: DataKey, kind: KeyKind) -> None:
        operator = KeyStore(self.databases.keys_url("operator"), self.kek)
        assert operator.destroy(kind, key.key_id, "erasure")
        operator.close()

    def _notices(self, known: Iterable[Known]) -> Iterable[DueNotice]:
        by_party: dict[str, list[Known]] = {}
        for k in known:
            by_party.setdefault(k.party, []).append(k)
        ids = {party: tuple(sorted(k.facts.involvement_id for k in ks)) for party, ks in by_party.items()}
        for party, ks in by_party.items():
            about = tuple(NoticeBasis(other, ids[party], ids[other]) for other in ids if other != party)
            yield DueNotice(
                derived_id("notice", party, *ids[party]),
                NoticeChange.NEW,
                party,
                ks[0].organisation,
                about,
                date(2026, 3, 12),
            )

    def _key(self, kind: KeyKind, subject: str) -> DataKey:
        key = self.keys.create_many(kind, [subject.encode()])[subject.encode()]
        assert isinstance(key, DataKey)
        return key

    def close(self) -> None:
        self.harness.close()
        self.keys.close()
