"""Each ground for a refusal by itself, and the leniency for what has ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from intake_samples import ADULT, CHILD, PUBLISHED_ON, STATED_AT, book, changed, opened, ref, stated

from samenloop_processors.agreement import AgreementBook, Published
from samenloop_processors.intake.domain.gate import Seal, judge, names_a_case, possible_ages
from samenloop_processors.intake.domain.persons import bsn_notices
from samenloop_schemas.codes import Consent, Domain, ReceiptCode, RelationKind, Status
from samenloop_schemas.dates import PartialDate
from samenloop_schemas.ids import derived_id
from samenloop_schemas.records import Contact, Relation

C = ReceiptCode
BEFORE = datetime(2026, 1, 4, 22, 59, tzinfo=UTC)


def failed(partner: str = "backoffice", person: dict[str, Any] | None = None, **fields: Any) -> set[ReceiptCode]:
    return set(judge(opened(person=person, **fields), partner, book()).failed)


def test_the_sample_passes() -> None:
    verdict = judge(opened(), "backoffice", book())
    assert verdict.passes
    assert verdict.version == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"area": "zwolle"}, C.NO_AGREEMENT),
        ({"stated_at": BEFORE}, C.NO_AGREEMENT),
        ({"organisation": "ggd"}, C.UNKNOWN_ORGANISATION),
        ({"organisation": "cjg-a2"}, C.WRONG_SENDER),
        ({"domain": Domain.WGS}, C.NO_PARTY),
        ({"domain": Domain.UNKNOWN}, C.INVALID_CODE),
        ({"service_group": "Jeugdhulp na scheiding"}, C.INVALID_CODE),
        ({"status": Status.WITHHELD}, C.INVALID_CODE),
        ({"status": Status.UNKNOWN}, C.INVALID_CODE),
        ({"revision": 0}, C.INVALID_CODE),
        ({"contact": Contact(team="x" * 81)}, C.INVALID_CODE),
        ({"contact": Contact(phone="bel Henk")}, C.INVALID_CODE),
        ({"contact": Contact(email="none")}, C.INVALID_CODE),
        ({"relations": (Relation(RelationKind.PARENT, "moeder"),)}, C.INVALID_CODE),
        ({"legal_basis": "consent"}, C.BASIS_NOT_AGREED),
        ({"purpose": "statistics"}, C.PURPOSE_NOT_AGREED),
        ({"consent": Consent.REFUSED}, C.CONSENT_REFUSED),
        ({"consent": Consent.WITHDRAWN}, C.CONSENT_REFUSED),
        ({"starts_on": None}, C.IMPOSSIBLE_DATES),
        ({"ends_on": date(2026, 1, 31)}, C.IMPOSSIBLE_DATES),
        ({"expected_end_on": date(2026, 1, 31)}, C.IMPOSSIBLE_DATES),
        ({"starts_on": date(1753, 1, 1)}, C.IMPOSSIBLE_DATES),
        ({"expected_end_on": date(9999, 12, 31)}, C.IMPOSSIBLE_DATES),
        ({"status": Status.ENDED}, C.IMPOSSIBLE_DATES),
        ({"identity": None}, C.IDENTITY_MISSING),
    ],
)
def test_one_fault_gives_its_own_code(fields: dict[str, Any], code: ReceiptCode) -> None:
    assert failed(**fields) == {code}


@pytest.mark.parametrize(
    ("person", "code"),
    [
        ({"statement_id": derived_id("other")}, C.SEAL_MISMATCH),
        ({"organisation": "gemeente-cranendonck"}, C.SEAL_MISMATCH),
        ({"surname": ""}, C.IDENTITY_MISSING),
        ({"birth_date": ADULT}, C.AGE_NOT_AGREED),
        ({"birth_date": PartialDate()}, C.AGE_NOT_AGREED),
    ],
)
def test_one_fault_inside_the_seal_gives_its_own_code(person: dict[str, Any], code: ReceiptCode) -> None:
    assert failed(person=person) == {code}


def test_a_related_persons_seal_must_fit_too() -> None:
    sample = opened(relations=(Relation(RelationKind.PARENT, ref("mother"), b"sealed"),))
    assert judge(sample, "backoffice", book()).passes
    assert sample.related[0] is not None
    moved = replace(sample, related=(replace(sample.related[0], statement_id=derived_id("other")),))
    assert judge(moved, "backoffice", book()).failed == (C.SEAL_MISMATCH,)


def test_all_faults_are_reported_together() -> None:
    assert failed(legal_basis="none", purpose="none", starts_on=None) == {
        C.BASIS_NOT_AGREED,
        C.PURPOSE_NOT_AGREED,
        C.IMPOSSIBLE_DATES,
    }


@pytest.mark.parametrize("consent", [Consent.UNKNOWN, Consent.NOT_ASKED, Consent.OVERRIDDEN])
def test_where_consent_is_required_only_given_is_enough(consent: Consent) -> None:
    required = book(organisation={"consent": "required"})
    assert judge(opened(consent=consent), "backoffice", required).failed == (C.CONSENT_MISSING,)
    assert judge(opened(consent=Consent.GIVEN), "backoffice", required).passes


def test_the_agreement_of_the_dutch_day_judges() -> None:
    """Half past eleven in the evening UTC is the next day in the Netherlands."""
    at = datetime.combine(PUBLISHED_ON - timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=23, minutes=30)
    assert not failed(stated_at=at)
    assert failed(stated_at=at - timedelta(hours=1)) == {C.NO_AGREEMENT}


def test_a_version_published_later_changes_no_verdict() -> None:
    narrower = changed(version=2, purposes=("other",))
    on = STATED_AT.date() + timedelta(days=1)
    versions = [Published(changed(), PUBLISHED_ON), Published(narrower, on)]
    assert judge(opened(), "backoffice", AgreementBook(versions)).version == 1
    assert not judge(opened(stated_at=STATED_AT + timedelta(days=1)), "backoffice", AgreementBook(versions)).passes


def test_what_ended_needs_no_identity_and_is_judged_on_its_last_day_if_need_be() -> None:
    ended = {"status": Status.ENDED, "ends_on": date(2026, 2, 11)}
    assert not failed(identity=None, **ended)
    assert judge(replace(opened(**ended), seal=Seal.BROKEN), "backoffice", book()).noticed == (C.SEAL_NOT_OPENED,)
    assert not failed(person={"birth_date": PartialDate(2003, 2, 15)}, **ended)  # 23 since, 22 when it ended
    assert failed(person={"birth_date": PartialDate(2003, 2, 10)}, **ended) == {C.AGE_NOT_AGREED}
    assert failed(consent=Consent.WITHDRAWN, **ended) == {C.CONSENT_REFUSED}
    left = Published(changed(version=2, parties=changed().parties[:2]), date(2026, 2, 20))
    assert judge(opened(**ended), "backoffice", AgreementBook([Published(changed(), PUBLISHED_ON), left])).passes
    later = opened(status=Status.ENDED, ends_on=date(2026, 2, 25))
    assert not judge(later, "backoffice", AgreementBook([Published(changed(), PUBLISHED_ON), left])).passes


def test_a_retraction_is_judged_by_its_sender_alone() -> None:
    bare = {
        "status": Status.RETRACTED,
        "identity": None,
        "starts_on": None,
        "legal_basis": "",
        "domain": Domain.UNKNOWN,
    }
    assert not failed(**bare)
    assert failed(partner="smwo", **bare) == {C.WRONG_SENDER}


PROVIDED = {"organisation": "lumens", "domain": Domain.WMO, "service_group": "social_work", "legal_basis": "wmo_5_2"}
"""What a municipality tells of a provider, from the messages it exchanges with it."""


def test_a_partner_may_also_speak_for_an_organisation_of_anothers() -> None:
    assert not failed("backoffice", **PROVIDED)
    assert not failed("smwo", **PROVIDED)
    assert failed("cjg", **PROVIDED) == failed("mee", **PROVIDED) == {C.WRONG_SENDER}
    alone = changed(organisation={"also_fed_by": ()})
    assert judge(opened(**PROVIDED), "backoffice", AgreementBook([Published(alone, PUBLISHED_ON)])).failed == (
        C.WRONG_SENDER,
    )


def test_the_bsn_is_used_from_the_feed_that_may_send_it_and_from_no_other() -> None:
    lumens = changed().organisation("lumens")
    assert lumens is not None
    assert lumens.may_send_bsn("backoffice")
    assert not lumens.may_send_bsn("smwo"), "in its own feed it has none"
    assert not lumens.may_send_bsn("cjg")
    told = opened(person={"bsn": "999990019"}, **PROVIDED)
    assert bsn_notices(told, lumens.may_send_bsn("backoffice")) == ()
    assert bsn_notices(told, lumens.may_send_bsn("smwo")) == (C.BSN_STRIPPED,)
    mee = changed().organisation("mee-a2")
    assert mee is not None
    assert not mee.may_send_bsn("mee")
    assert mee.consent == "required"


@pytest.mark.parametrize("field", ["case_ref", "person_ref", "source_system", "organisation"])
def test_a_dossier_number_or_a_name_is_no_ref(field: str) -> None:
    assert names_a_case(stated())
    assert not names_a_case(stated(**{field: "J 2026/0042"}))


@pytest.mark.parametrize(
    ("birth", "ages"),
    [
        (CHILD, (11, 11)),
        (PartialDate(2014, 3, 2), (12, 12)),
        (PartialDate(2014), (11, 12)),
        (PartialDate(2014, 3), (11, 12)),
        (PartialDate(2026, 8), (0, 0)),
        (PartialDate(2027, 1), (0, 0)),
        (PartialDate(2031), None),
        (PartialDate(), None),
    ],
)
def test_ages_that_the_known_parts_allow(birth: PartialDate, ages: tuple[int, int] | None) -> None:
    assert possible_ages(birth, date(2026, 3, 2)) == ages
