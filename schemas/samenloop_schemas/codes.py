"""The closed lists of the language. Every list has a default, so that an older reader survives a newer code."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What a source says of an involvement. WITHHELD is the hub's own: a newer revision was refused, so nothing older counts."""

    UNKNOWN = "UNKNOWN"
    ANNOUNCED = "ANNOUNCED"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ENDED = "ENDED"
    RETRACTED = "RETRACTED"
    WITHHELD = "WITHHELD"


class EndReason(StrEnum):
    """Classes of the iWmo (WMO588) and iJw (JZ588) end reasons, which number the same reasons differently."""

    NONE = "NONE"
    PLANNED = "PLANNED"
    PAUSED = "PAUSED"
    CLIENT = "CLIENT"
    PROVIDER = "PROVIDER"
    AGREED = "AGREED"
    EXTERNAL = "EXTERNAL"
    MOVED = "MOVED"
    DECEASED = "DECEASED"
    MUNICIPALITY = "MUNICIPALITY"
    CHANGE_REQUEST = "CHANGE_REQUEST"
    OTHER_PROVIDER = "OTHER_PROVIDER"
    OTHER_DOMAIN = "OTHER_DOMAIN"
    WRONGLY_MADE = "WRONGLY_MADE"
    AREA_CHANGED = "AREA_CHANGED"


class Domain(StrEnum):
    """The law under which an organisation is involved."""

    UNKNOWN = "UNKNOWN"
    JW = "JW"
    WMO = "WMO"
    PW = "PW"
    WGS = "WGS"
    WPG = "WPG"


class Role(StrEnum):
    """What the organisation is to the person. Only help-giving organisations can ever coordinate."""

    UNKNOWN = "UNKNOWN"
    HELP = "HELP"
    CASE_DIRECTOR = "CASE_DIRECTOR"
    SIGNALLING = "SIGNALLING"


class Consent(StrEnum):
    UNKNOWN = "UNKNOWN"
    NOT_ASKED = "NOT_ASKED"
    GIVEN = "GIVEN"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"
    OVERRIDDEN = "OVERRIDDEN"


class Sensitivity(StrEnum):
    """PROTECTED never causes or appears in an alert (iWmo OP003); SENSITIVE is shown as "a service is involved"."""

    PROTECTED = "PROTECTED"
    SENSITIVE = "SENSITIVE"
    NORMAL = "NORMAL"


class Sex(StrEnum):
    UNKNOWN = "UNKNOWN"
    FEMALE = "FEMALE"
    MALE = "MALE"
    OTHER = "OTHER"


class NameUsage(StrEnum):
    """Aanduiding naamgebruik: which surname a person goes by (BRP letters, iJw 1-5 and GWS 0-5 all map to this)."""

    UNKNOWN = "UNKNOWN"
    OWN = "OWN"
    PARTNER = "PARTNER"
    PARTNER_OWN = "PARTNER_OWN"
    OWN_PARTNER = "OWN_PARTNER"
    PSEUDONYM = "PSEUDONYM"


class AddressKind(StrEnum):
    UNKNOWN = "UNKNOWN"
    HOME = "HOME"
    POSTAL = "POSTAL"
    STAY = "STAY"
    TEMPORARY_STAY = "TEMPORARY_STAY"


class RelationKind(StrEnum):
    """What the related person is to the person of the statement."""

    UNKNOWN = "UNKNOWN"
    PARENT = "PARENT"
    CHILD = "CHILD"
    PARTNER = "PARTNER"
    GUARDIAN = "GUARDIAN"
    FOSTER_PARENT = "FOSTER_PARENT"
    HOUSEHOLD_MEMBER = "HOUSEHOLD_MEMBER"


class ReceiptKind(StrEnum):
    """WAITING: there is no agreement to judge by yet; the statement is kept, and judged when one is published."""

    UNKNOWN = "UNKNOWN"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    QUARANTINED = "QUARANTINED"
    RECONCILIATION = "RECONCILIATION"
    PAUSED = "PAUSED"
    RESUMED = "RESUMED"
    WAITING = "WAITING"


class ReceiptCode(StrEnum):
    """Why a statement was refused, or what was noticed while it was accepted."""

    UNKNOWN = "UNKNOWN"
    NO_AGREEMENT = "NO_AGREEMENT"
    WRONG_SENDER = "WRONG_SENDER"
    UNKNOWN_ORGANISATION = "UNKNOWN_ORGANISATION"
    NO_PARTY = "NO_PARTY"
    BASIS_NOT_AGREED = "BASIS_NOT_AGREED"
    PURPOSE_NOT_AGREED = "PURPOSE_NOT_AGREED"
    AGE_NOT_AGREED = "AGE_NOT_AGREED"
    CONSENT_MISSING = "CONSENT_MISSING"
    CONSENT_REFUSED = "CONSENT_REFUSED"
    SEAL_NOT_OPENED = "SEAL_NOT_OPENED"
    SEAL_MISMATCH = "SEAL_MISMATCH"
    IMPOSSIBLE_DATES = "IMPOSSIBLE_DATES"
    IDENTITY_MISSING = "IDENTITY_MISSING"
    INVALID_CODE = "INVALID_CODE"
    WRONG_KEY = "WRONG_KEY"
    BSN_STRIPPED = "BSN_STRIPPED"
    BSN_INVALID = "BSN_INVALID"
    REVISION_CONFLICT = "REVISION_CONFLICT"
    UNDECODABLE = "UNDECODABLE"
    TOO_MUCH_BAD_INPUT = "TOO_MUCH_BAD_INPUT"
    ERASED = "ERASED"


class OverlapKind(StrEnum):
    UNKNOWN = "UNKNOWN"
    CLIENT = "CLIENT"
    FAMILY = "FAMILY"
    DUPLICATE_SERVICE = "DUPLICATE_SERVICE"
    HISTORY = "HISTORY"


class CaseState(StrEnum):
    """The life of an overlap case. SUPERSEDED: its least fact now lies in another case, to which the id resolves."""

    UNKNOWN = "UNKNOWN"
    DETECTED = "DETECTED"
    NOTIFIED = "NOTIFIED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    CONTACT_MADE = "CONTACT_MADE"
    COORDINATION_AGREED = "COORDINATION_AGREED"
    NO_COORDINATION_NEEDED = "NO_COORDINATION_NEEDED"
    MONITORED = "MONITORED"
    CLOSED = "CLOSED"
    NEVER_OVERLAPPED = "NEVER_OVERLAPPED"
    SUPERSEDED = "SUPERSEDED"


class NoticeChange(StrEnum):
    """What a notice tells: a new overlap, another party in it, its end, or that an earlier notice was never true."""

    UNKNOWN = "UNKNOWN"
    NEW = "NEW"
    GROWN = "GROWN"
    ENDED = "ENDED"
    RECALLED = "RECALLED"


class ActorRole(StrEnum):
    UNKNOWN = "UNKNOWN"
    PROFESSIONAL = "PROFESSIONAL"
    COORDINATOR = "COORDINATOR"
    PROCESS_DIRECTOR = "PROCESS_DIRECTOR"
    IDENTITY_STEWARD = "IDENTITY_STEWARD"
    PRIVACY_OFFICER = "PRIVACY_OFFICER"
    ADMINISTRATOR = "ADMINISTRATOR"
    SYSTEM = "SYSTEM"


class DecisionKind(StrEnum):
    """What people decided, published or sent."""

    UNKNOWN = "UNKNOWN"
    AGREEMENT_PUBLISHED = "AGREEMENT_PUBLISHED"
    MODEL_PUBLISHED = "MODEL_PUBLISHED"
    NOTICE_INTENDED = "NOTICE_INTENDED"
    NOTICE_DELIVERED = "NOTICE_DELIVERED"
    NOTICE_OPENED = "NOTICE_OPENED"
    LINK_CONFIRMED = "LINK_CONFIRMED"
    LINK_REJECTED = "LINK_REJECTED"
    LINK_REOPENED = "LINK_REOPENED"
    CASE_CLAIMED = "CASE_CLAIMED"
    CASE_ACKNOWLEDGED = "CASE_ACKNOWLEDGED"
    CONTACT_MADE = "CONTACT_MADE"
    COORDINATION_NOT_NEEDED = "COORDINATION_NOT_NEEDED"
    COORDINATOR_OFFERED = "COORDINATOR_OFFERED"
    COORDINATOR_ACCEPTED = "COORDINATOR_ACCEPTED"
    COORDINATOR_DECLINED = "COORDINATOR_DECLINED"
    COORDINATOR_ENDED = "COORDINATOR_ENDED"
    CONSENT_RECORDED = "CONSENT_RECORDED"
    CONSENT_WITHDRAWN = "CONSENT_WITHDRAWN"
    PROTECTION_SET = "PROTECTION_SET"
    PROTECTION_LIFT_PROPOSED = "PROTECTION_LIFT_PROPOSED"
    PROTECTION_LIFTED = "PROTECTION_LIFTED"
    DISPUTE_RAISED = "DISPUTE_RAISED"
    DISPUTE_SETTLED = "DISPUTE_SETTLED"
    OBJECTION_RAISED = "OBJECTION_RAISED"
    OBJECTION_SETTLED = "OBJECTION_SETTLED"
    PERSON_ERASED = "PERSON_ERASED"
    CASE_ERASED = "CASE_ERASED"
    QUARANTINE_RETRIED = "QUARANTINE_RETRIED"
    QUARANTINE_DISCARDED = "QUARANTINE_DISCARDED"
