"""The overlaps rules, one example each."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from overlaps_world import (
    AREA,
    Clients,
    Event,
    agreement,
    at,
    clock_day,
    delivered,
    on,
    publish,
    statement,
    take,
)

from samenloop_processors.overlaps.domain.episodes import episodes
from samenloop_processors.overlaps.domain.parties import FOREVER, Segment
from samenloop_processors.overlaps.domain.state import AreaState
from samenloop_schemas.codes import CaseState, NoticeChange, Sensitivity, Status
from samenloop_schemas.ids import case_id
from samenloop_schemas.records import ClockDay, DueNotice, OverlapStatement

SOCIAL, SUPPORT, YOUTH, INCOME = (
    "lumens/social-work",
    "lumens/client-support",
    "valkenswaard/jeugd",
    "valkenswaard/werk-inkomen",
)


class Area:
    """One client of three persons on day 10, unless said otherwise."""

    def __init__(self, grace: int = 0, today: int = 10) -> None:
        self.state, self.latest = AreaState(AREA), dict[str, OverlapStatement]()
        self.clients = Clients()
        self.enter(publish(agreement(grace=grace)), clock_day(today), *self.clients.repartition([["p1", "p2", "p3"]]))

    def enter(self, *events: Event) -> list[OverlapStatement]:
        stated = [s for event in events for s in take(self.state, event)]
        self.latest |= {s.case_id: s for s in stated}
        return stated

    def due(self) -> list[DueNotice]:
        return [n for s in self.latest.values() for n in s.due]

    def answer(self, day: int = 10) -> list[tuple[NoticeChange, str, tuple[str, ...]]]:
        """Delivers all that is due: what, to whom, about which parties."""
        said = []
        while due := [(n, s.case_id) for s in self.latest.values() for n in s.due]:
            for notice, case in due:
                said.append((notice.change, notice.recipient, tuple(b.party for b in notice.about)))
                self.enter(delivered(notice, case, at(day)))
        return sorted(said)

    @property
    def case(self) -> OverlapStatement:
        (living,) = [s for s in self.latest.values() if s.facts]
        return living


def test_episodes_are_the_longest_runs_of_two_parties() -> None:
    def segment(party: str, start: int, end: int | None) -> Segment:
        return Segment(f"{party}{start}", party, on(start), FOREVER if end is None else on(end))

    assert episodes([segment("a", 0, 10)]) == []
    assert episodes([segment("a", 0, 10), segment("a", 5, 15)]) == []
    assert episodes([segment("a", 0, 10), segment("b", 10, 15)]) == []
    assert episodes([segment("a", 0, 10), segment("b", 9, 15)]) == [(on(9), on(10))]
    handed_over = [segment("a", 0, 10), segment("b", 5, 20), segment("c", 10, None)]
    assert episodes(handed_over) == [(on(5), on(20))]
    twice = [segment("a", 0, None), segment("b", 1, 3), segment("b", 7, 9)]
    assert episodes(twice) == [(on(1), on(3)), (on(7), on(9))]
    assert episodes([segment("a", 0, None), segment("b", 2, None)]) == [(on(2), FOREVER)]


def test_one_party_alone_or_twice_is_no_case() -> None:
    area = Area()
    assert area.enter(statement("f1", "p1"), statement("f2", "p2", 0)) == []


@pytest.mark.parametrize("status", [Status.ANNOUNCED, Status.RETRACTED, Status.WITHHELD])
def test_what_is_not_there_does_not_count(status: Status) -> None:
    assert Area().enter(statement("f1", "p1"), statement("f2", "p2", 2, status=status)) == []


def test_a_protected_case_never_shows_and_takes_back_what_was_told() -> None:
    area = Area()
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2))
    area.answer()
    area.enter(statement("f2", "p2", 2, revision=2, sensitivity=Sensitivity.PROTECTED))
    assert area.answer() == [(NoticeChange.RECALLED, SOCIAL, (YOUTH,)), (NoticeChange.RECALLED, YOUTH, (SOCIAL,))]
    assert [s.state for s in area.latest.values()] == [CaseState.NEVER_OVERLAPPED]


def test_a_sensitive_case_counts_and_says_so() -> None:
    area = Area()
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2, sensitivity=Sensitivity.SENSITIVE))
    assert [f.sensitivity for f in area.case.facts] == [Sensitivity.NORMAL, Sensitivity.SENSITIVE]


def test_what_is_not_confirmed_for_two_years_no_longer_counts() -> None:
    area = Area(today=0)
    (case,) = area.enter(statement("f1", "p1"), statement("f2", "p2", 2, confirmed=date(2024, 1, 20)))
    assert case.episode_to == date(2026, 1, 20)
    area.enter(*(clock_day(n) for n in range(1, 15)))
    assert area.case.state is CaseState.DETECTED
    area.enter(clock_day(15))
    assert area.case.state is CaseState.CLOSED


def test_an_unknown_beginning_or_end_is_taken_from_the_source_s_own_time() -> None:
    area = Area()
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2, starts=None, stated_at=at(4)))
    assert area.case.episode_from == on(4)
    area.enter(statement("f1", "p1", revision=2, status=Status.ENDED, stated_at=at(7)))
    assert (area.case.episode_to, area.case.state) == (on(7), CaseState.CLOSED)


def test_growth_tells_the_old_of_the_new_and_the_new_of_all() -> None:
    area = Area()
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2))
    assert area.answer() == [(NoticeChange.NEW, SOCIAL, (YOUTH,)), (NoticeChange.NEW, YOUTH, (SOCIAL,))]
    area.enter(statement("f3", "p3", 3))
    assert area.answer() == [
        (NoticeChange.GROWN, SOCIAL, (INCOME,)),
        (NoticeChange.GROWN, YOUTH, (INCOME,)),
        (NoticeChange.NEW, INCOME, (SOCIAL, YOUTH)),
    ]


def test_who_has_left_hears_nothing_of_who_comes() -> None:
    """Social work ends on day 8, income support begins on day 6 with youth: one episode, and they share two days only."""
    area = Area(today=9)
    area.enter(statement("f1", "p1", ends=8), statement("f2", "p2", 2), statement("f3", "p3", 3, starts=6))
    assert area.case.parties == (SOCIAL, YOUTH, INCOME)
    assert area.answer() == [(NoticeChange.NEW, YOUTH, (INCOME,)), (NoticeChange.NEW, INCOME, (YOUTH,))]


def test_an_end_is_told_to_those_who_were_told() -> None:
    area = Area()
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2), statement("f3", "p3", 3))
    area.answer()
    area.enter(statement("f1", "p1", revision=2, status=Status.ENDED, ends=12))
    assert area.due() == []
    area.enter(clock_day(11), clock_day(12))
    assert area.answer() == [
        (NoticeChange.ENDED, SOCIAL, (YOUTH, INCOME)),
        (NoticeChange.ENDED, YOUTH, (SOCIAL,)),
        (NoticeChange.ENDED, INCOME, (SOCIAL,)),
    ]
    assert area.case.state is CaseState.NOTIFIED


def test_a_past_overlap_is_a_closed_case_and_tells_nobody() -> None:
    area = Area()
    (case,) = area.enter(statement("f1", "p1"), statement("f2", "p2", 2, ends=4))
    assert (case.state, case.due, case.episode_to) == (CaseState.CLOSED, (), on(4))


def test_a_coming_overlap_waits_for_its_day() -> None:
    area = Area()
    (case,) = area.enter(statement("f1", "p1"), statement("f2", "p2", 2, starts=13))
    assert (case.state, case.due) == (CaseState.DETECTED, ())
    area.enter(clock_day(11), clock_day(12))
    assert area.due() == []
    area.enter(clock_day(13))
    assert len(area.due()) == 2


def test_what_was_told_too_early_is_recalled_and_told_again_under_another_id() -> None:
    area = Area()
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2))
    first = {n.notice_id for n in area.due()}
    area.answer()
    area.enter(statement("f2", "p2", 2, revision=2, starts=13))
    assert {change for change, _, _ in area.answer()} == {NoticeChange.RECALLED}
    area.enter(*(clock_day(n) for n in (11, 12, 13)))
    again = area.due()
    assert {n.change for n in again} == {NoticeChange.NEW}
    assert not {n.notice_id for n in again} & first


def test_a_repeated_delivery_changes_nothing() -> None:
    """A relay may repeat a row after newer ones: an old recall must not take back what was told since."""
    area = Area()
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2))
    area.answer()
    area.enter(statement("f2", "p2", 2, revision=2, status=Status.RETRACTED))
    recalls = [delivered(n, s.case_id, at(10)) for s in area.latest.values() for n in s.due]
    area.enter(*recalls, statement("f2", "p2", 2, revision=3))
    assert {change for change, _, _ in area.answer()} == {NoticeChange.NEW}
    area.enter(*recalls)
    assert area.due() == []
    assert area.case.state is CaseState.NOTIFIED


def test_an_ended_overlap_that_never_was_is_recalled_after_all() -> None:
    area = Area()
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2))
    area.answer()
    area.enter(statement("f2", "p2", 2, revision=2, status=Status.ENDED, ends=9))
    assert {change for change, _, _ in area.answer()} == {NoticeChange.ENDED}
    area.enter(statement("f2", "p2", 2, revision=3, status=Status.RETRACTED))
    assert {change for change, _, _ in area.answer()} == {NoticeChange.RECALLED}


def test_a_split_recalls_and_an_unlink_of_one_keeps_the_others_told() -> None:
    area = Area()
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2), statement("f3", "p3", 3))
    area.answer()
    area.enter(*area.clients.repartition([["p1", "p2"], ["p3"]]))
    assert area.answer() == [
        (NoticeChange.RECALLED, SOCIAL, (INCOME,)),
        (NoticeChange.RECALLED, YOUTH, (INCOME,)),
        (NoticeChange.RECALLED, INCOME, (SOCIAL, YOUTH)),
    ]


def test_a_notice_keeps_its_id_while_the_case_moves_under_it() -> None:
    """Between the moment a notice is taken up and its delivery, growth makes no second notice of it."""
    area = Area()
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2))
    taken = {n.recipient: n.notice_id for n in area.due()}
    area.enter(statement("f3", "p3", 3))
    assert {n.recipient: n.notice_id for n in area.due()}.items() >= taken.items()


def test_a_notice_that_arrives_after_its_case_was_replaced_frees_the_next() -> None:
    """What is due under a taken id says something else by now: once the old content is recorded, it needs an id of its own."""
    area = Area()
    area.enter(statement("f1", "p1", stated_at=at(1)), statement("f2", "p2", 2, stated_at=at(0)))
    (on_its_way,) = [(n, s.case_id) for s in area.latest.values() for n in s.due if n.recipient == SOCIAL]
    area.enter(statement("f2", "p2", 2, revision=2, status=Status.RETRACTED), statement("f3", "p3", 3, stated_at=at(2)))
    assert on_its_way[0].notice_id in {n.notice_id for n in area.due()}
    area.enter(delivered(*on_its_way, at(10)))
    assert on_its_way[0].notice_id not in {n.notice_id for n in area.due()}
    assert area.answer() == [
        (NoticeChange.NEW, SOCIAL, (INCOME,)),
        (NoticeChange.NEW, INCOME, (SOCIAL,)),
        (NoticeChange.RECALLED, SOCIAL, (YOUTH,)),
    ]


def test_grace_is_counted_from_the_fact_that_completed_it_and_a_confirmation_does_not_renew_it() -> None:
    area = Area(grace=3, today=1)
    area.enter(statement("f1", "p1", recorded=at(0)), statement("f2", "p2", 2, recorded=at(1)))
    assert (area.case.detected_at, area.case.state) == (at(1), CaseState.DETECTED)
    area.enter(clock_day(2), statement("f2", "p2", 2, revision=2, recorded=at(2)), clock_day(3))
    assert area.due() == []
    area.enter(clock_day(4))
    assert len(area.due()) == 2


def test_what_is_corrected_within_grace_is_never_told() -> None:
    area = Area(grace=3, today=1)
    area.enter(statement("f1", "p1", recorded=at(0)), statement("f2", "p2", 2, recorded=at(1)))
    area.enter(clock_day(2), statement("f2", "p2", 2, revision=2, status=Status.RETRACTED), *map(clock_day, (3, 4, 5)))
    assert area.due() == []
    assert [s.state for s in area.latest.values()] == [CaseState.NEVER_OVERLAPPED]


def test_deadlines_follow_the_clock_s_working_days() -> None:
    """Day 10 is a Thursday. A delivery recorded before its day has begun waits for that day."""
    area = Area(today=10)
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2))
    assert {n.deadline for n in area.due()} == {on(17)}
    area.answer(day=11)
    assert (area.case.contact_by, area.case.coordinator_by) == (None, None)
    area.enter(clock_day(11))
    assert (area.case.contact_by, area.case.coordinator_by) == (on(18), on(25))


def test_a_deadline_never_moves_when_the_list_of_holidays_changes() -> None:
    area = Area(today=10)
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2))
    area.answer(day=10)
    changed = clock_day(11)
    ahead = tuple(day for day in changed.next_working_days if day != on(14))
    area.enter(ClockDay(changed.event_id, AREA, changed.day, changed.working_day, True, ahead))
    assert area.case.contact_by == on(17)


def test_what_is_due_gets_a_later_deadline_each_day_it_waits() -> None:
    area = Area(today=10)
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2))
    area.enter(clock_day(11))
    assert {n.deadline for n in area.due()} == {on(18)}


def test_an_older_first_statement_moves_the_id_and_the_old_one_points_on() -> None:
    area = Area()
    area.enter(statement("f1", "p1", stated_at=at(1)), statement("f2", "p2", 2, stated_at=at(2)))
    old = area.case
    assert old.case_id == case_id("client", "f1")
    area.enter(statement("f2", "p2", 2, revision=0, stated_at=at(0)))
    assert area.case.case_id == case_id("client", "f2")
    gone = area.latest[old.case_id]
    assert (gone.state, gone.anchor, gone.facts) == (CaseState.SUPERSEDED, "f1", ())
    area.enter(statement("f1", "p1", revision=2, status=Status.RETRACTED))
    assert area.latest[old.case_id].state is CaseState.NEVER_OVERLAPPED


def test_two_episodes_of_one_client_have_two_ids() -> None:
    area = Area(today=12)
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2, ends=4), statement("f3", "p3", 2, starts=8, revision=2))
    assert {(s.anchor, s.episode_from, s.state) for s in area.latest.values() if s.facts} == {
        ("f1", on(0), CaseState.CLOSED),
        ("f3", on(8), CaseState.DETECTED),
    }


def test_a_party_that_leaves_the_agreement_is_told_that_it_ended() -> None:
    area = Area()
    area.enter(statement("f1", "p1", 1), statement("f2", "p2", 2))
    area.answer()
    area.enter(publish(agreement(2, on(12), without=[SUPPORT])), clock_day(11), clock_day(12))
    assert {n.organisation for n in area.due()} == {"lumens", "valkenswaard"}
    assert {change for change, _, _ in area.answer()} == {NoticeChange.ENDED}


def test_no_day_before_the_agreement_was_published_counts() -> None:
    state = AreaState(AREA)
    for event in (
        publish(agreement(), at(5)),
        clock_day(10),
        *Clients().repartition([["p1", "p2"]]),
        statement("f1", "p1"),
    ):
        take(state, event)
    (case,) = take(state, statement("f2", "p2", 2))
    assert case.episode_from == on(5)


def test_an_erased_case_is_never_stated_before_or_after() -> None:
    area = Area()
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2))
    assert area.state.erase("f2") is not None
    (gone,) = area.state.settle()
    assert gone.state is CaseState.NEVER_OVERLAPPED
    assert area.enter(statement("f2", "p2", 2, revision=9)) == []


def test_a_quiet_day_touches_only_what_turns_on_it() -> None:
    area = Area(today=10)
    area.enter(statement("f1", "p1"), statement("f2", "p2", 2))
    area.answer(day=10)
    area.enter(clock_day(11))
    assert [area.enter(clock_day(n)) for n in range(12, 40)] == [[]] * 28
    area.enter(statement("f2", "p2", 2, revision=2, ends=45))
    days = {n: len(area.enter(clock_day(n))) for n in range(40, 50)}
    assert days == {n: int(n == 45) for n in range(40, 50)}
    assert area.case.episode_to == on(0) + timedelta(days=45)
