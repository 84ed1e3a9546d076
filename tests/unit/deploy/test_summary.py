"""The demo's judge: each way in which the hub can be wrong is counted, in worlds small enough to count by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from samenloop_deploy.demo.summary import Figures, Held, figures
from samenloop_schemas.codes import CaseState, Status
from samenloop_schemas.records import CaseFact, ClientStatement, InvolvementFacts, OverlapStatement

AREA = "a2"
JEUGD, SOCIAL_WORK, WMO = "gemeente-x/jeugd", "lumens/social-work", "gemeente-x/wmo"


class Told:
    """A hub and the truth, case by case: `case("Anna", JEUGD)` is one involvement, known to both."""

    def __init__(self) -> None:
        self.truth: dict[str, Any] = {"cases": [], "overlaps": []}
        self.refs: dict[str, tuple[str, str]] = {}
        self.held = Held({}, {}, (), (), 0, 0)

    def case(
        self,
        person: str,
        party: str,
        *,
        status: Status = Status.ACTIVE,
        partner: str = "smwo",
        member: str = "",
        system: str = "",
    ) -> CaseFact:
        number = str(len(self.refs) + 1)
        organisation = party.partition("/")[0]
        self.truth["cases"].append({"organisation": organisation, "case": number, "person": person})
        self.refs[f"ref-{number}"] = organisation, number
        facts = InvolvementFacts(
            involvement_id=f"i-{number}",
            source_person_id=member or f"{person}@{organisation}",
            source_system=system,
            case_ref=f"ref-{number}",
            status=status,
        )
        self.held = replace(
            self.held,
            facts={**self.held.facts, facts.involvement_id: facts},
            partners={**self.held.partners, facts.involvement_id: partner},
        )
        return CaseFact(
            involvement_id=facts.involvement_id, source_person_id=facts.source_person_id, party=party, status=status
        )

    def really(self, person: str, *parties: str) -> None:
        self.truth["overlaps"].append({"area": AREA, "person": person, "parties": list(parties)})

    def overlap(self, *facts: CaseFact, state: CaseState = CaseState.NOTIFIED) -> None:
        found = OverlapStatement(
            area=AREA, case_id=f"c-{len(self.held.overlaps)}", state=state, facts=facts,
            parties=tuple(sorted({fact.party for fact in facts})),
        )  # fmt: skip
        self.held = replace(self.held, overlaps=(*self.held.overlaps, found))

    def client(self, members: Iterable[str]) -> None:
        self.held = replace(self.held, clients=(*self.held.clients, ClientStatement(AREA, members=tuple(members))))

    def judged(self) -> Figures:
        return figures(self.held, self.truth, self.refs)


@pytest.fixture
def told() -> Told:
    return Told()


def overlaps(found: Figures) -> tuple[int, int, int, int]:
    """Found, true, false, missed."""
    return found.overlaps_found, found.overlaps_true, found.overlaps_false, found.overlaps_missed


def test_an_overlap_that_is_really_there_counts_as_true(told: Told) -> None:
    told.really("Anna", JEUGD, SOCIAL_WORK)
    told.overlap(told.case("Anna", JEUGD), told.case("Anna", SOCIAL_WORK))
    assert overlaps(told.judged()) == (1, 1, 0, 0)


def test_an_overlap_of_two_people_is_false_and_the_real_one_stays_missed(told: Told) -> None:
    told.really("Anna", JEUGD, SOCIAL_WORK)
    anna, bert = told.case("Anna", JEUGD), told.case("Bert", SOCIAL_WORK)
    told.case("Anna", SOCIAL_WORK)
    told.overlap(anna, bert)
    assert overlaps(told.judged()) == (1, 0, 1, 1)


def test_a_true_overlap_into_which_another_person_was_drawn_is_false(told: Told) -> None:
    told.really("Anna", JEUGD, SOCIAL_WORK)
    told.overlap(told.case("Anna", JEUGD), told.case("Anna", SOCIAL_WORK), told.case("Bert", WMO))
    assert overlaps(told.judged()) == (1, 0, 1, 0)


def test_an_overlap_of_one_person_that_does_not_exist_is_false(told: Told) -> None:
    told.overlap(told.case("Anna", JEUGD), told.case("Anna", SOCIAL_WORK))
    assert overlaps(told.judged()) == (1, 0, 1, 0)


def test_the_right_person_with_the_wrong_parties_is_false_and_missed(told: Told) -> None:
    told.really("Anna", JEUGD, SOCIAL_WORK)
    told.overlap(told.case("Anna", JEUGD), told.case("Anna", WMO))
    assert overlaps(told.judged()) == (1, 0, 1, 1)


def test_an_overlap_in_another_area_is_not_the_one_that_was_meant(told: Told) -> None:
    told.really("Anna", JEUGD, SOCIAL_WORK)
    told.truth["overlaps"][0]["area"] = "zwolle"
    told.overlap(told.case("Anna", JEUGD), told.case("Anna", SOCIAL_WORK))
    assert overlaps(told.judged()) == (1, 0, 1, 1)


def test_an_involvement_that_no_source_ever_stated_makes_a_case_false(told: Told) -> None:
    told.really("Anna", JEUGD, SOCIAL_WORK)
    facts = told.case("Anna", JEUGD), told.case("Anna", SOCIAL_WORK)
    told.overlap(*facts, CaseFact(involvement_id="i-invented", party=WMO))
    assert overlaps(told.judged()) == (1, 0, 1, 0)


def test_an_overlap_that_nobody_found_is_missed(told: Told) -> None:
    told.really("Anna", JEUGD, SOCIAL_WORK)
    told.really("Bert", WMO, SOCIAL_WORK)
    told.overlap(told.case("Anna", JEUGD), told.case("Anna", SOCIAL_WORK))
    found = told.judged()
    assert (overlaps(found), found.overlaps_expected) == ((1, 1, 0, 1), 2)


@pytest.mark.parametrize("state", [CaseState.CLOSED, CaseState.NEVER_OVERLAPPED, CaseState.SUPERSEDED])
def test_what_is_over_or_never_was_is_neither_found_nor_false(told: Told, state: CaseState) -> None:
    told.overlap(told.case("Anna", JEUGD), told.case("Bert", SOCIAL_WORK), state=state)
    assert overlaps(told.judged()) == (0, 0, 0, 0)


def test_records_of_two_people_under_one_client_are_a_false_link(told: Told) -> None:
    told.case("Anna", JEUGD, member="s-1")
    told.case("Bert", SOCIAL_WORK, member="s-2")
    told.client(["s-1", "s-2"])
    assert told.judged().false_links == 1


def test_two_records_of_one_person_are_no_false_link_together_or_apart(told: Told) -> None:
    told.case("Anna", JEUGD, member="s-1")
    told.case("Anna", SOCIAL_WORK, member="s-2")
    told.client(["s-1", "s-2"])
    told.case("Bert", JEUGD, member="s-3")
    told.case("Bert", SOCIAL_WORK, member="s-4")
    told.client(["s-3"])
    told.client(["s-4"])
    found = told.judged()
    assert (found.false_links, found.clients, found.persons) == (0, 3, 4)


def test_statements_are_counted_per_feed_as_long_as_they_stand(told: Told) -> None:
    told.case("Anna", JEUGD, partner="backoffice", system="gws")
    told.case("Anna", "thuiszorg/thuiszorg", partner="backoffice", system="other")
    told.case("Anna", SOCIAL_WORK, system="regas")
    told.case("Bert", SOCIAL_WORK, status=Status.ENDED)
    told.case("Carl", SOCIAL_WORK, status=Status.RETRACTED)
    told.case("Dora", JEUGD, partner="backoffice", status=Status.WITHHELD)
    assert told.judged().statements == {"backoffice": 2, "smwo": 2}


def test_delivered_notices_are_passed_on(told: Told) -> None:
    told.held = replace(told.held, notices_due=3, notices_delivered=5)
    assert told.judged().notices_delivered == 5
