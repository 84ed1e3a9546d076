"""From what a partner knows of a case, in its own terms, to the statement that may leave the building."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from samenloop_producers.errors import DataError
from samenloop_producers.keys import EdgeKeys
from samenloop_schemas import codec, ids, sealing
from samenloop_schemas.codes import (
    Consent,
    Domain,
    EndReason,
    RelationKind,
    Role,
    Sensitivity,
    Status,
)
from samenloop_schemas.dates import micros
from samenloop_schemas.records import Contact, InvolvementStatement, PersonIdentity, Relation

MAX_ABSORBED = 999
NO_CONTACT = Contact()


@dataclass(frozen=True, slots=True)
class RelatedPerson:
    """Somebody the source names beside the client. Without a person number he is known by his place in the client's record."""

    kind: RelationKind
    person_number: str
    identity: PersonIdentity | None = None


@dataclass(frozen=True, slots=True)
class CaseReport:
    """Everything a source now says of one case, in the partner's own numbers. Never leaves the edge as it is.

    `version` is the source's own version of what it says; `absorbed` how many source items were taken together to say it.
    `ends_on` is the first day on which the organisation is no longer involved. An `identity` of None says nothing about the
    person and keeps what was said before. `besides`: further involvements that the same messages tell of, each under a case
    number of its own and at the same version.
    """

    area: str
    organisation: str
    case_number: str
    person_number: str
    version: datetime
    status: Status
    domain: Domain
    service_group: str
    absorbed: int = 1
    starts_on: date | None = None
    expected_end_on: date | None = None
    ends_on: date | None = None
    end_reason: EndReason = EndReason.NONE
    confirmed_on: date | None = None
    role: Role = Role.HELP
    contact: Contact = NO_CONTACT
    legal_basis: str = ""
    purpose: str = ""
    consent: Consent = Consent.UNKNOWN
    sensitivity: Sensitivity = Sensitivity.NORMAL
    identity: PersonIdentity | None = None
    relations: tuple[RelatedPerson, ...] = ()
    besides: tuple[CaseReport, ...] = ()

    @property
    def revision(self) -> int:
        """The source version in microseconds x 1000 + the number of source items absorbed."""
        return micros(self.version) * 1000 + min(self.absorbed, MAX_ABSORBED)


class StatementMaker:
    """Makes statements of one source system: refs and content hash under the edge secret, identities sealed for the hub."""

    def __init__(self, keys: EdgeKeys, hub_key: X25519PublicKey, source_system: str) -> None:
        self._keys = keys
        self._hub_key = hub_key
        self.source_system = source_system

    def case_ref(self, organisation: str, case_number: str) -> str:
        return self._keys.case_ref(organisation, self.source_system, case_number)

    def statement_id(self, report: CaseReport) -> UUID:
        """Derived from what is said, never from when it is said or from the seal, which differs each time."""
        plain = replace(self._unsealed(report), identity=None)
        relations = [(str(r.kind), r.person_number, codec.to_plain(r.identity)) for r in report.relations]
        content = ids.canonical_json([codec.to_plain(plain), codec.to_plain(report.identity), relations])
        return ids.statement_id(
            report.area,
            report.organisation,
            self.source_system,
            plain.case_ref,
            report.revision,
            self._keys.digest(content.decode()),
        )

    def make(self, report: CaseReport, stated_at: datetime) -> InvolvementStatement:
        """The statement to send. Raises DataError when a code could carry free text."""
        for name in ("service_group", "legal_basis", "purpose", "area", "organisation"):
            if not ids.is_code(getattr(report, name)):
                raise DataError("no_code", name)
        statement_id = self.statement_id(report)
        relations = tuple(
            Relation(
                related.kind,
                self._keys.person_ref(report.organisation, self.source_system, related.person_number),
                self._seal(related.identity, statement_id, report.organisation),
                report.revision if related.identity else 0,
            )
            for related in report.relations
        )
        return replace(
            self._unsealed(report),
            statement_id=statement_id,
            stated_at=stated_at,
            identity=self._seal(report.identity, statement_id, report.organisation),
            relations=relations,
        )

    def _unsealed(self, report: CaseReport) -> InvolvementStatement:
        return InvolvementStatement(
            area=report.area,
            organisation=report.organisation,
            source_system=self.source_system,
            case_ref=self.case_ref(report.organisation, report.case_number),
            person_ref=self._keys.person_ref(report.organisation, self.source_system, report.person_number),
            revision=report.revision,
            confirmed_on=report.confirmed_on,
            status=report.status,
            starts_on=report.starts_on,
            expected_end_on=report.expected_end_on,
            ends_on=report.ends_on,
            end_reason=report.end_reason,
            domain=report.domain,
            service_group=report.service_group,
            role=report.role,
            contact=report.contact,
            legal_basis=report.legal_basis,
            purpose=report.purpose,
            consent=report.consent,
            sensitivity=report.sensitivity,
            identity_revision=report.revision if report.identity else 0,
        )

    def _seal(self, identity: PersonIdentity | None, statement_id: UUID, organisation: str) -> bytes | None:
        if identity is None:
            return None
        bound = replace(identity, statement_id=statement_id, organisation=organisation)
        return sealing.seal(self._hub_key, codec.encode(bound))
