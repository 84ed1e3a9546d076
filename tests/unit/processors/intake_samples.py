"""Statements to judge: one that passes, and how to spoil it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from samenloop_processors.agreement import Agreement, AgreementBook, Published, load_agreement
from samenloop_processors.intake.domain.gate import Opened, Seal
from samenloop_schemas.codes import Consent, Domain, Role, Sensitivity, Status
from samenloop_schemas.dates import PartialDate
from samenloop_schemas.ids import derived_id, keyed_hash
from samenloop_schemas.records import InvolvementStatement, PersonIdentity

AGREEMENT = load_agreement(Path(__file__).parents[3] / "deploy" / "agreements" / "a2.yaml")
PUBLISHED_ON = date(2026, 1, 5)
STATED_AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
ADULT, CHILD = PartialDate(1980, 5, 17), PartialDate(2014, 5, 17)


def book(**changes: Any) -> AgreementBook:
    return AgreementBook([Published(changed(**changes), PUBLISHED_ON)])


def changed(organisation: dict[str, Any] | None = None, **changes: Any) -> Agreement:
    """The agreement with other fields; `organisation`: other fields for every organisation."""
    if organisation:
        changes["organisations"] = tuple(o.model_copy(update=organisation) for o in AGREEMENT.organisations)
    return Agreement.model_validate(AGREEMENT.model_dump() | {k: _plain(v) for k, v in changes.items()})


def _plain(value: Any) -> Any:
    return (
        tuple(v.model_dump() if hasattr(v, "model_dump") else v for v in value) if isinstance(value, tuple) else value
    )


def ref(text: str) -> str:
    return keyed_hash(b"edge", text)


def stated(**fields: Any) -> InvolvementStatement:
    """A statement of Valkenswaard's youth department that passes, changed by `fields`; its id follows from its content."""
    statement = InvolvementStatement(
        area="a2",
        organisation="gemeente-valkenswaard",
        source_system="gws",
        case_ref=ref("case-1"),
        person_ref=ref("person-1"),
        revision=1000,
        stated_at=STATED_AT,
        confirmed_on=date(2026, 3, 1),
        status=Status.ACTIVE,
        starts_on=date(2026, 2, 1),
        domain=Domain.JW,
        service_group="youth_help",
        role=Role.HELP,
        legal_basis="jw_7_1",
        purpose="early_coordination",
        consent=Consent.NOT_ASKED,
        sensitivity=Sensitivity.NORMAL,
        identity=b"sealed",
        identity_revision=1000,
    )
    statement = replace(statement, **fields)
    if "statement_id" not in fields:
        statement = replace(statement, statement_id=derived_id("sample", repr(statement)))
    return statement


def opened(
    statement: InvolvementStatement | None = None, person: dict[str, Any] | None = None, **fields: Any
) -> Opened:
    """Seals opened: a child that carries a surname, changed by `person`."""
    statement = statement or stated(**fields)
    if statement.identity is None:
        return Opened(statement)
    said: dict[str, Any] = {"surname": "Jansen", "given_names": "Sanne", "birth_date": CHILD}
    said |= {"statement_id": statement.statement_id, "organisation": statement.organisation} | (person or {})
    related = tuple(
        PersonIdentity(statement.statement_id, statement.organisation, surname="Jansen", bsn=said.get("bsn", ""))
        for relation in statement.relations
    )
    return Opened(statement, Seal.OPENED, PersonIdentity(**said), related)
