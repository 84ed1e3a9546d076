"""What the views keep is a function of the set of events: any order, repeat and split of them comes to the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from views_events import client, contact_made, day, delivered, events, involvement, one_statement_per_id, overlap

from samenloop_processors.views.domain import Digest, Event, impossible, on_show
from samenloop_schemas.codes import CaseState, DecisionKind
from samenloop_schemas.records import Decision, OverlapStatement


@given(st.lists(events, max_size=25).map(one_statement_per_id), st.data())
def test_order_and_repeats_do_not_matter(taken: list[Event], data: st.DataObject) -> None:
    again = data.draw(
        st.permutations(taken + data.draw(st.lists(st.sampled_from(taken or [day("a2", 1)]), max_size=5)))
    )
    assert Digest().take_all(taken or []) == Digest().take_all(again) or not taken


def test_the_highest_revision_then_moment_then_id_wins() -> None:
    low, high = involvement("a2", 1, 1, 3, 0), involvement("a2", 1, 2, 1, 0)
    assert Digest().take_all([high, low]).involvements == {("a2", high.case_key_id): high}
    earlier, later = involvement("a2", 1, 2, 1, 0), involvement("a2", 1, 2, 2, 0)
    assert Digest().take_all([later, earlier]).involvements == {("a2", later.case_key_id): later}


def test_a_superseded_statement_still_counts_as_heard() -> None:
    newer, older = involvement("a2", 1, 2, 1, 0), involvement("a2", 1, 1, 3, 0)
    assert Digest().take_all([newer, older]).heard == {("a2", "smwo"): older.recorded_at}


def test_an_older_version_of_a_subject_changes_nothing() -> None:
    digest = Digest().take_all([client("a2", 1, 4), client("a2", 1, 2), overlap("a2", 1, 5), overlap("a2", 1, 3)])
    assert digest.clients["a2", "client1"].subject_version == 4
    assert digest.cases["a2", "case1"].subject_version == 5


def test_facts_of_superseded_overlaps_keep_their_case_key() -> None:
    emptied = replace(overlap("a2", 1, 8), facts=())
    digest = Digest().take_all([overlap("a2", 1, 3), emptied])
    assert digest.cases["a2", "case1"].facts == ()
    assert {fact for _, fact in digest.known_facts} == {"i10", "i11", "i12"}


def test_the_first_decision_under_an_id_counts() -> None:
    first = contact_made("a2", 1)
    digest = Digest().take_all([first, replace(first, reason_code="later")])
    assert list(digest.decisions.values()) == [first]


@pytest.mark.parametrize(
    ("case", "shown"),
    [
        (replace(overlap("a2", 1, 2), state=CaseState.DETECTED), False),
        (replace(overlap("a2", 1, 3), state=CaseState.DETECTED), True),
        (replace(overlap("a2", 1, 2), state=CaseState.NOTIFIED), True),
        (replace(overlap("a2", 1, 3), state=CaseState.NEVER_OVERLAPPED), False),
        (replace(overlap("a2", 1, 3), state=CaseState.SUPERSEDED), False),
        (replace(overlap("a2", 1, 2), state=CaseState.CLOSED), True),
    ],
)
def test_a_case_in_its_grace_or_gone_is_not_on_show(case: OverlapStatement, shown: bool) -> None:
    assert on_show(case) is shown


def test_a_decision_must_hold_what_its_kind_promises() -> None:
    assert not impossible(delivered("a2", 1))
    assert impossible(replace(delivered("a2", 1), payload=None))
    assert impossible(Decision(kind=DecisionKind.AGREEMENT_PUBLISHED))
    assert not impossible(contact_made("a2", 1))
