"""What the hub keeps of a person: a token for the BSN where there is a right to it, and never the number."""

from __future__ import annotations

from dataclasses import fields, replace

from intake_samples import changed, opened, ref

from samenloop_processors.intake.domain.persons import MatchingKey, bsn_notices, identity_facts, involvement_facts
from samenloop_schemas.codes import ReceiptCode, RelationKind, Role, Sensitivity
from samenloop_schemas.records import Contact, IdentityFacts, PersonIdentity, Relation

BSN, OTHER_BSN, NO_BSN = "999900006", "999900018", "999900007"
KEY = MatchingKey(bytes(range(32)))


def token(bsn: str, key: MatchingKey | None = KEY) -> str:
    return identity_facts(PersonIdentity(surname="J", bsn=bsn), "p1", "o/s", 1, key).bsn_token


def test_a_bsn_becomes_a_token_with_the_version_of_its_key() -> None:
    assert token(BSN).startswith("1:")
    assert len(token(BSN)) == 2 + 64
    assert token(BSN) == token("9999.00.006") != token(OTHER_BSN)
    assert token(BSN, MatchingKey(KEY.secret, 2)).startswith("2:")
    assert token(BSN) != token(BSN, MatchingKey(bytes(32)))
    assert token(BSN, None) == token(NO_BSN) == token("") == ""


def test_a_number_without_a_right_or_without_sense_is_reported() -> None:
    assert bsn_notices(opened(person={"bsn": BSN}), entitled=True) == ()
    assert bsn_notices(opened(person={"bsn": BSN}), entitled=False) == (ReceiptCode.BSN_STRIPPED,)
    assert bsn_notices(opened(person={"bsn": NO_BSN}), entitled=True) == (ReceiptCode.BSN_INVALID,)
    assert bsn_notices(opened(person={"bsn": NO_BSN}), entitled=False) == (ReceiptCode.BSN_STRIPPED,)
    assert bsn_notices(opened(), entitled=False) == ()
    parent = opened(person={"bsn": BSN}, relations=(Relation(RelationKind.PARENT, ref("m"), b"sealed"),))
    assert bsn_notices(replace(parent, identity=None), entitled=False) == (ReceiptCode.BSN_STRIPPED,)


def test_the_number_itself_is_in_nothing_that_is_kept() -> None:
    sample = opened(person={"bsn": BSN})
    assert sample.identity is not None
    kept = identity_facts(sample.identity, "p1", "o/s", 7, KEY, [(RelationKind.PARENT, "p2")])
    assert BSN not in repr(kept)
    assert kept.relations[0].source_person_id == "p2"
    assert BSN not in repr(sample)


def test_no_field_of_an_identity_is_lost() -> None:
    """Guards against a new field in the seal that the hub would silently drop."""
    only_inside = {"statement_id", "organisation", "bsn"}
    assert {f.name for f in fields(PersonIdentity)} - only_inside <= {f.name for f in fields(IdentityFacts)}


def test_the_agreement_has_the_last_word_on_route_role_and_sensitivity() -> None:
    statement = opened().statement
    kept = involvement_facts(statement, changed(), "i1", "p1")
    assert kept.contact.team == "Sociaal domein Valkenswaard"
    assert (kept.role, kept.sensitivity) == (Role.HELP, Sensitivity.NORMAL)
    strict = changed(organisation={"help_giving": False, "sensitive": True})
    own = replace(statement, contact=Contact(team="Team Noord"))
    kept = involvement_facts(own, strict, "i1", "p1")
    assert (kept.contact.team, kept.role, kept.sensitivity) == ("Team Noord", Role.SIGNALLING, Sensitivity.SENSITIVE)
    protected = replace(statement, sensitivity=Sensitivity.PROTECTED)
    assert involvement_facts(protected, strict, "i1", "p1").sensitivity is Sensitivity.PROTECTED
