"""Typed records: what travels on the topics, mirrored field by field from the Avro schemas in ``avsc/``.

Instants are aware UTC datetimes. Dates are Dutch calendar days. A period is half-open: `ends_on` is the first day on which
the organisation is no longer involved. Ids used in the hub are keyed hashes in hexadecimal; nothing here names a person in
clear except `PersonIdentity` and `IdentityFacts`, which only ever travel encrypted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import UUID

from samenloop_schemas.codes import (
    ActorRole,
    AddressKind,
    CaseState,
    Consent,
    DecisionKind,
    Domain,
    EndReason,
    NameUsage,
    NoticeChange,
    OverlapKind,
    ReceiptCode,
    ReceiptKind,
    RelationKind,
    Role,
    Sensitivity,
    Sex,
    Status,
)
from samenloop_schemas.dates import UNKNOWN_DATE, PartialDate

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Contact:
    """A route to a team, never to a person's own device."""

    team: str = ""
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    street: str = ""
    house_number: str = ""
    house_letter: str = ""
    house_addition: str = ""
    house_designation: str = ""
    postcode: str = ""
    city: str = ""
    kind: AddressKind = AddressKind.UNKNOWN
    under_investigation: bool = False
    disclosure_restricted: bool = False
    abroad: bool = False


@dataclass(frozen=True, slots=True)
class PersonIdentity:
    """Who the person is, as one source knows him. Travels only inside the seal; `bsn` in clear exists only there.

    `statement_id` and `organisation` repeat those of the statement outside: intake compares them, so that a seal cannot be
    moved to another statement.
    """

    statement_id: UUID = NO_ID
    organisation: str = ""
    given_names: str = ""
    initials: str = ""
    call_name: str = ""
    surname_prefix: str = ""
    surname: str = ""
    partner_prefix: str = ""
    partner_surname: str = ""
    name_usage: NameUsage = NameUsage.UNKNOWN
    birth_date: PartialDate = UNKNOWN_DATE
    sex: Sex = Sex.UNKNOWN
    address: Address = Address()
    phone: str = ""
    email: str = ""
    bsn: str = ""
    municipality: str = ""
    deceased_on: PartialDate | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """Somebody the source names beside the person: takes part in matching, never in overlaps of his own."""

    kind: RelationKind = RelationKind.UNKNOWN
    person_ref: str = ""
    identity: bytes | None = None
    identity_revision: int = 0


@dataclass(frozen=True, slots=True)
class InvolvementStatement:
    """``in.<partner>``: everything a source now says of one involvement; a later revision replaces it whole.

    `revision` is the highest source version in microseconds x 1000 + the number of source items absorbed. `case_ref` and
    `person_ref` are hashes under a key that stays at the partner. `identity` is a sealed `PersonIdentity`.
    """

    statement_id: UUID = NO_ID
    area: str = ""
    organisation: str = ""
    source_system: str = ""
    case_ref: str = ""
    person_ref: str = ""
    revision: int = 0
    stated_at: datetime = EPOCH
    confirmed_on: date | None = None
    status: Status = Status.UNKNOWN
    starts_on: date | None = None
    expected_end_on: date | None = None
    ends_on: date | None = None
    end_reason: EndReason = EndReason.NONE
    domain: Domain = Domain.UNKNOWN
    service_group: str = ""
    role: Role = Role.UNKNOWN
    contact: Contact = Contact()
    legal_basis: str = ""
    purpose: str = ""
    consent: Consent = Consent.UNKNOWN
    sensitivity: Sensitivity = Sensitivity.PROTECTED
    identity: bytes | None = None
    identity_revision: int = 0
    relations: tuple[Relation, ...] = ()


@dataclass(frozen=True, slots=True)
class InvolvementFacts:
    """What the hub may know of an accepted involvement, under the case's key. `case_ref` lets its own partner recognise it."""

    involvement_id: str = ""
    source_person_id: str = ""
    organisation: str = ""
    source_system: str = ""
    case_ref: str = ""
    status: Status = Status.UNKNOWN
    confirmed_on: date | None = None
    starts_on: date | None = None
    expected_end_on: date | None = None
    ends_on: date | None = None
    end_reason: EndReason = EndReason.NONE
    domain: Domain = Domain.UNKNOWN
    service_group: str = ""
    role: Role = Role.UNKNOWN
    contact: Contact = Contact()
    legal_basis: str = ""
    purpose: str = ""
    consent: Consent = Consent.UNKNOWN
    sensitivity: Sensitivity = Sensitivity.PROTECTED


@dataclass(frozen=True, slots=True)
class RelatedPerson:
    """The relation as the hub keeps it: by pseudonymous id."""

    kind: RelationKind = RelationKind.UNKNOWN
    source_person_id: str = ""


@dataclass(frozen=True, slots=True)
class IdentityFacts:
    """Who a source person is, under that person's key. The BSN is a keyed hash with the version of its key in front."""

    source_person_id: str = ""
    source: str = ""
    identity_revision: int = 0
    given_names: str = ""
    initials: str = ""
    call_name: str = ""
    surname_prefix: str = ""
    surname: str = ""
    partner_prefix: str = ""
    partner_surname: str = ""
    name_usage: NameUsage = NameUsage.UNKNOWN
    birth_date: PartialDate = UNKNOWN_DATE
    sex: Sex = Sex.UNKNOWN
    address: Address = Address()
    phone: str = ""
    email: str = ""
    bsn_token: str = ""
    municipality: str = ""
    deceased_on: PartialDate | None = None
    relations: tuple[RelatedPerson, ...] = ()


@dataclass(frozen=True, slots=True)
class SealedPerson:
    """A related person's `IdentityFacts` under that person's own key, so that he can be erased on his own."""

    person_key_id: UUID = NO_ID
    identity_revision: int = 0
    identity: bytes = b""


@dataclass(frozen=True, slots=True)
class AcceptedStatement:
    """``involvements``: an accepted statement. In clear only what orders and keys it.

    `facts` are `InvolvementFacts` under the case's key; `identity` are `IdentityFacts` under the person's key, absent when
    the statement does not stand (RETRACTED, WITHHELD). `recorded_at` is the broker's append time of the first record that
    carried this statement.
    """

    area: str = ""
    statement_id: UUID = NO_ID
    partner: str = ""
    revision: int = 0
    identity_revision: int = 0
    stated_at: datetime = EPOCH
    recorded_at: datetime = EPOCH
    agreement_version: int = 0
    case_key_id: UUID = NO_ID
    person_key_id: UUID = NO_ID
    facts: bytes = b""
    identity: bytes | None = None
    related: tuple[SealedPerson, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """``receipts.<partner>``: what became of a statement, or the daily count and hash of what the hub holds."""

    receipt_id: UUID = NO_ID
    area: str = ""
    kind: ReceiptKind = ReceiptKind.UNKNOWN
    statement_id: UUID = NO_ID
    organisation: str = ""
    case_ref: str = ""
    revision: int = 0
    codes: tuple[ReceiptCode, ...] = ()
    agreement_version: int = 0
    recorded_at: datetime = EPOCH
    day: date | None = None
    held_count: int = 0
    held_hash: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """``notices.<partner>``: something changed for these cases of yours. It says no more than that: log in to see."""

    notice_id: UUID = NO_ID
    area: str = ""
    organisation: str = ""
    party: str = ""
    case_refs: tuple[str, ...] = ()
    case_id: str = ""
    kind: OverlapKind = OverlapKind.UNKNOWN
    change: NoticeChange = NoticeChange.UNKNOWN
    deadline: date | None = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class FieldEvidence:
    """How two records agree on one field: a level's name, never a value, and its weight in bits."""

    name: str = ""
    level: str = ""
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class LinkEvidence:
    """Why two source persons of a client are held to be one. `weight` is the prior-free sum in bits."""

    a: str = ""
    b: str = ""
    weight: float = 0.0
    fields: tuple[FieldEvidence, ...] = ()
    decided: bool = False


@dataclass(frozen=True, slots=True)
class ClientStatement:
    """``clients``: which source persons are one client now. An emptied client is stated with no members.

    `client_id` derives from `anchor`, the least member by (first_stated_at, source_person_id), so an old id resolves to the
    client that now holds its anchor. `subject_version` rises over all clients of an area.
    """

    area: str = ""
    client_id: str = ""
    subject_version: int = 0
    anchor: str = ""
    members: tuple[str, ...] = ()
    links: tuple[LinkEvidence, ...] = ()
    families: tuple[str, ...] = ()
    model_version: str = ""


@dataclass(frozen=True, slots=True)
class CaseFact:
    """One involvement in an overlap case."""

    involvement_id: str = ""
    source_person_id: str = ""
    case_key_id: UUID = NO_ID
    party: str = ""
    organisation: str = ""
    starts_on: date | None = None
    ends_on: date | None = None
    status: Status = Status.UNKNOWN
    sensitivity: Sensitivity = Sensitivity.PROTECTED


@dataclass(frozen=True, slots=True)
class NoticeBasis:
    """The facts on which a party is told of another: its own involvements and the other's, by involvement id."""

    party: str = ""
    own: tuple[str, ...] = ()
    other: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DueNotice:
    """A notice that should be sent now (desired and not told, or told and not desired). The id derives from its content."""

    notice_id: UUID = NO_ID
    change: NoticeChange = NoticeChange.UNKNOWN
    recipient: str = ""
    organisation: str = ""
    about: tuple[NoticeBasis, ...] = ()
    deadline: date | None = None


@dataclass(frozen=True, slots=True)
class CoordinationState:
    """Who coordinates, as far as people decided it; empty until then."""

    proposed: str = ""
    rule: str = ""
    case_director: str = ""
    process_director: str = ""


@dataclass(frozen=True, slots=True)
class OverlapStatement:
    """``overlaps``: one overlap case as it stands. A case that never was is stated once more as NEVER_OVERLAPPED."""

    area: str = ""
    case_id: str = ""
    subject_version: int = 0
    kind: OverlapKind = OverlapKind.UNKNOWN
    state: CaseState = CaseState.UNKNOWN
    client_id: str = ""
    anchor: str = ""
    episode_from: date | None = None
    episode_to: date | None = None
    detected_at: datetime = EPOCH
    facts: tuple[CaseFact, ...] = ()
    parties: tuple[str, ...] = ()
    due: tuple[DueNotice, ...] = ()
    told: tuple[UUID, ...] = ()
    contact_by: date | None = None
    coordinator_by: date | None = None
    coordination: CoordinationState = CoordinationState()
    agreement_version: int = 0


@dataclass(frozen=True, slots=True)
class Actor:
    """Who decided: a meaningless user key, and on whose behalf."""

    user: str = ""
    organisation: str = ""
    party: str = ""
    role: ActorRole = ActorRole.UNKNOWN


@dataclass(frozen=True, slots=True)
class AgreementPublished:
    """A version of an area's cooperation agreement with its full text; immutable, never valid before its publication."""

    version: int = 0
    valid_from: date | None = None
    text: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class ModelPublished:
    """An identity model of an area with its full text."""

    version: str = ""
    text: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class NoticeSent:
    """A notice that is about to be, or was, delivered to a party, with the facts it told of."""

    notice_id: UUID = NO_ID
    change: NoticeChange = NoticeChange.UNKNOWN
    kind: OverlapKind = OverlapKind.UNKNOWN
    recipient: str = ""
    about: tuple[NoticeBasis, ...] = ()
    case_id: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """``decisions``: what people decided, published or sent. It names facts, never derived things.

    `facts` are involvement ids, `pair` two source person ids, `seen_hash` a hash of what the person saw when he decided.
    """

    decision_id: UUID = NO_ID
    area: str = ""
    kind: DecisionKind = DecisionKind.UNKNOWN
    decided_at: datetime = EPOCH
    actor: Actor = Actor()
    facts: tuple[str, ...] = ()
    pair: tuple[str, ...] = ()
    seen_hash: str = ""
    reason_code: str = ""
    target: str = ""
    payload: AgreementPublished | ModelPublished | NoticeSent | None = None


@dataclass(frozen=True, slots=True)
class ClockDay:
    """``clock``: a calendar day has begun in an area. `working_day` counts working days, fixed when the day was sent.

    `next_working_days` are the coming working days as the clock then knew them, so that a deadline has a date before it comes
    and a later list of holidays never moves it.
    """

    event_id: UUID = NO_ID
    area: str = ""
    day: date = field(default=date(1970, 1, 1))
    working_day: int = 0
    is_working_day: bool = False
    next_working_days: tuple[date, ...] = ()


TOP_LEVEL: tuple[type, ...] = (
    InvolvementStatement,
    PersonIdentity,
    InvolvementFacts,
    IdentityFacts,
    AcceptedStatement,
    Receipt,
    Notice,
    ClientStatement,
    OverlapStatement,
    Decision,
    ClockDay,
)
