"""What leaves the edge: ids that follow the content, refs that say nothing, seals that cannot be moved."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from samenloop_producers.errors import DataError
from samenloop_producers.keys import EdgeKeys
from samenloop_producers.statement import CaseReport, RelatedPerson, StatementMaker
from samenloop_schemas import codec, sealing
from samenloop_schemas.codes import Domain, RelationKind, Status
from samenloop_schemas.records import PersonIdentity

PRIVATE, PUBLIC = sealing.new_hub_key()
MAKER = StatementMaker(EdgeKeys(b"k" * 32), sealing.public_key(PUBLIC), "gws")
SAID_AT = datetime(2026, 11, 1, 8, tzinfo=UTC)
REPORT = CaseReport(
    area="a2", organisation="gemeente-valkenswaard", case_number="PW/70001234", person_number="88812345",
    version=datetime(2026, 1, 5, tzinfo=UTC), status=Status.ACTIVE, domain=Domain.PW, service_group="income_support",
    starts_on=date(2025, 3, 10), legal_basis="pw_64", purpose="early_coordination",
    identity=PersonIdentity(surname="Zwartkruis", bsn="999900006"),
    relations=(RelatedPerson(RelationKind.PARENT, "77711111", PersonIdentity(surname="Kruiswijk")),),
)  # fmt: skip


def opened(sealed: bytes | None) -> PersonIdentity:
    assert sealed is not None
    return codec.decode(sealing.open_seal(sealing.private_key(PRIVATE), sealed), PersonIdentity)


def test_the_id_follows_what_is_said_not_when_or_under_which_seal() -> None:
    first, second = MAKER.make(REPORT, SAID_AT), MAKER.make(REPORT, SAID_AT.replace(hour=9))
    assert first.statement_id == second.statement_id == MAKER.statement_id(REPORT)
    assert first.identity != second.identity


@pytest.mark.parametrize(
    "other",
    [
        replace(REPORT, status=Status.PAUSED),
        replace(REPORT, identity=PersonIdentity(surname="Zwartkruis", bsn="999900018")),
        replace(REPORT, relations=()),
        replace(REPORT, absorbed=2),
        replace(REPORT, confirmed_on=date(2026, 2, 1)),
        replace(REPORT, area="bevelanden"),
    ],
    ids=["status", "identity", "relations", "absorbed", "confirmed", "area"],
)
def test_anything_else_said_is_another_statement(other: CaseReport) -> None:
    assert MAKER.statement_id(other) != MAKER.statement_id(REPORT)


def test_the_seal_holds_the_person_and_is_bound_to_its_statement() -> None:
    made = MAKER.make(REPORT, SAID_AT)
    person, parent = opened(made.identity), opened(made.relations[0].identity)
    assert (person.bsn, person.statement_id, person.organisation) == ("999900006", made.statement_id, made.organisation)
    assert (parent.surname, parent.statement_id) == ("Kruiswijk", made.statement_id)
    assert made.identity_revision == made.revision == made.relations[0].identity_revision


def test_nothing_of_the_person_or_the_partners_numbers_is_in_clear() -> None:
    wire = codec.encode(MAKER.make(REPORT, SAID_AT))
    for secret in (b"999900006", b"Zwartkruis", b"Kruiswijk", b"70001234", b"88812345", b"77711111"):
        assert secret not in wire


def test_another_edge_secret_gives_other_refs() -> None:
    other = StatementMaker(EdgeKeys(b"x" * 32), sealing.public_key(PUBLIC), "gws").make(REPORT, SAID_AT)
    made = MAKER.make(REPORT, SAID_AT)
    assert {made.case_ref, made.person_ref}.isdisjoint({other.case_ref, other.person_ref})
    assert made.case_ref == MAKER.case_ref(REPORT.organisation, REPORT.case_number)


def test_free_text_in_place_of_a_code_does_not_pass() -> None:
    with pytest.raises(DataError, match="service_group"):
        MAKER.make(replace(REPORT, service_group="Hulp bij schulden"), SAID_AT)
