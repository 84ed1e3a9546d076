"""From a statement to what the hub keeps: facts of the involvement, identity of the person, the BSN as a token."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, fields

from samenloop_processors.agreement import Agreement
from samenloop_processors.intake.domain.gate import Opened
from samenloop_schemas.bsn import valid_bsn
from samenloop_schemas.codes import ReceiptCode, RelationKind, Role, Sensitivity
from samenloop_schemas.records import (
    Contact,
    IdentityFacts,
    InvolvementFacts,
    InvolvementStatement,
    PersonIdentity,
    RelatedPerson,
)

_BSN_FIELDS = ("statement_id", "organisation", "bsn")
_COPIED = tuple(f.name for f in fields(PersonIdentity) if f.name not in _BSN_FIELDS)
_STRICTEST_FIRST = tuple(Sensitivity)


@dataclass(frozen=True, slots=True, repr=False)
class MatchingKey:
    """Under it a BSN becomes a token. The version in front lets tokens of two keys be told apart during a change of keys."""

    secret: bytes
    version: int = 1

    def token(self, bsn: str) -> str:
        return f"{self.version}:{hmac.new(self.secret, bsn.encode(), hashlib.sha256).hexdigest()}"


def bsn_notices(opened: Opened, entitled: bool) -> tuple[ReceiptCode, ...]:
    """What is said of the numbers in a statement: stripped for want of a right, or no BSN at all and therefore dropped."""
    numbers = [person.bsn for person in (opened.identity, *opened.related) if person and person.bsn]
    if not numbers:
        return ()
    if not entitled:
        return (ReceiptCode.BSN_STRIPPED,)
    return (ReceiptCode.BSN_INVALID,) if any(valid_bsn(bsn) is None for bsn in numbers) else ()


def identity_facts(
    person: PersonIdentity,
    source_person_id: str,
    source: str,
    revision: int,
    key: MatchingKey | None,
    relations: Sequence[tuple[RelationKind, str]] = (),
) -> IdentityFacts:
    """`key` is None when the organisation has no right to the BSN."""
    bsn = valid_bsn(person.bsn) if key and person.bsn else None
    return IdentityFacts(
        source_person_id=source_person_id,
        source=source,
        identity_revision=revision,
        bsn_token=key.token(bsn) if key and bsn else "",
        relations=tuple(RelatedPerson(kind, person_id) for kind, person_id in relations),
        **{name: getattr(person, name) for name in _COPIED},
    )


def involvement_facts(
    statement: InvolvementStatement, agreement: Agreement, involvement_id: str, source_person_id: str
) -> InvolvementFacts:
    """The agreement has the last word on route, role and sensitivity: never less strict than agreed."""
    organisation = agreement.organisation(statement.organisation)
    contact, role, sensitivity = statement.contact, statement.role, statement.sensitivity
    if organisation is not None:
        contact = contact if contact != Contact() else organisation.contact.record()
        role = role if organisation.help_giving else Role.SIGNALLING
        if organisation.sensitive:
            sensitivity = min(sensitivity, Sensitivity.SENSITIVE, key=_STRICTEST_FIRST.index)
    return InvolvementFacts(
        involvement_id=involvement_id,
        source_person_id=source_person_id,
        organisation=statement.organisation,
        source_system=statement.source_system,
        case_ref=statement.case_ref,
        status=statement.status,
        confirmed_on=statement.confirmed_on,
        starts_on=statement.starts_on,
        expected_end_on=statement.expected_end_on,
        ends_on=statement.ends_on,
        end_reason=statement.end_reason,
        domain=statement.domain,
        service_group=statement.service_group,
        role=role,
        contact=contact,
        legal_basis=statement.legal_basis,
        purpose=statement.purpose,
        consent=statement.consent,
        sensitivity=sensitivity,
    )
