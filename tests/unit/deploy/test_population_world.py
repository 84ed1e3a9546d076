"""The life of the world and its truth, checked against a slow and plain count of the same registers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import combinations

import pytest

from samenloop_deploy.demo.beginning import organisation_for
from samenloop_deploy.demo.cases import SHARED, Case, Consent, Service, State, overlaps_on
from samenloop_deploy.demo.control import truth
from samenloop_deploy.demo.places import AREAS, area_of
from samenloop_deploy.demo.world import World

START = datetime(2026, 11, 22, 9, tzinfo=UTC)


def world(seed: int = 1, scale: int = 120) -> World:
    return World(seed, scale, START)


@pytest.fixture(scope="module")
def demo() -> World:
    return world(scale=600)


def brute_force(cases: list[Case], on: date) -> set[tuple[str, str]]:
    """(area, person) for which some pair of cases is at two parties on the day, written out without the code under test."""
    found = set()
    running = {State.ACTIVE, State.PAUSED, State.ENDED}
    for one, other in combinations(cases, 2):
        if one.person != other.person or one.area != other.area:
            continue
        social_work = {Service.AMW, Service.SMW, *([Service.IWMO] if one.organisation == "lumens" else [])}
        same_field = {one.service, other.service} <= social_work or one.service is other.service
        if one.organisation == other.organisation and same_field:
            continue
        if any(case.service is Service.MEE and case.consent is not Consent.YES for case in (one, other)):
            continue
        days = []
        for case in (one, other):
            if case.consent is Consent.NO or case.state not in running or case.starts_on is None:
                break
            last = case.ends_on or date.max
            if case.vanished_on:
                last = min(last, case.vanished_on - timedelta(days=1))
            days.append(case.starts_on <= on <= last)
        if days == [True, True]:
            found.add((one.area, one.person))
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_true_overlaps_are_what_a_pairwise_count_finds_on_any_day_of_any_life(seed: int) -> None:
    living = world(seed)
    for _ in range(4):
        living.advance_days(25)
        for back in (0, 1, 40, 400, -30):
            on = living.today - timedelta(days=back)
            found = {(each.area, each.person) for each in living.true_overlaps(on)}
            assert found == brute_force(list(living.cases.values()), on)


def test_an_overlap_lists_each_case_that_makes_it(demo: World) -> None:
    for overlap in demo.true_overlaps(demo.today):
        cases = [demo.cases[key] for key in overlap.cases]
        assert {case.person for case in cases} == {overlap.person}
        assert {case.party for case in cases} == set(overlap.parties)
        assert len(overlap.parties) >= 2
        assert all(case.involved(demo.today) and case.consent is not Consent.NO for case in cases)


@pytest.mark.parametrize("seed", range(1, 6))
def test_most_people_have_one_party_and_about_a_quarter_overlap(seed: int) -> None:
    fresh = world(seed, 600)
    share = len(fresh.true_overlaps(fresh.today)) / fresh.in_care(fresh.today)
    assert 0.17 < share < 0.30
    assert 500 < fresh.in_care(fresh.today) <= 600
    areas = {overlap.area for overlap in fresh.true_overlaps(fresh.today)}
    assert areas == {area.area for area in AREAS}


def test_goes_youth_work_and_social_work_share_families(demo: World) -> None:
    at_youth = {demo.persons[case.person].family for case in demo.cases.values() if case.party == "gemeente-goes/jeugd"}
    at_social_work = {
        demo.persons[case.person].family for case in demo.cases.values() if case.party == "smwo/social-work"
    }
    assert len(at_youth & at_social_work) >= 12
    both = {case.person for case in demo.cases.values() if case.party == "gemeente-goes/jeugd"} & {
        case.person for case in demo.cases.values() if case.party == "smwo/social-work"
    }
    assert both, "some children are known to both"


def test_the_same_calls_lead_to_the_same_world() -> None:
    one, other = world(4), world(4)
    for each in (one, other):
        each.advance_days(12)
        each.play(30)
    assert (one.cases, one.clients, one.persons, one.log, one.changes) == (
        other.cases,
        other.clients,
        other.persons,
        other.log,
        other.changes,
    )
    other.play(1)
    assert one.log != other.log


def test_every_kind_of_change_happens_and_keeps_the_registers_sound() -> None:
    living = world(5, 200)
    before = {case.key for case in living.cases.values()}
    living.advance_days(400)
    kinds = {"started", "activated", "ended", "reopened", "paused", "confirmed", "corrected", "moved"}
    assert kinds | {"consent_changed", "withdrawn", "vanished"} <= set(living.changes)
    assert before < set(living.cases)
    for case in living.cases.values():
        assert living.clients[case.organisation, case.client].person == case.person
        assert (case.ends_on is not None) == (case.state is State.ENDED)
        begun = case.state not in (State.ANNOUNCED, State.WAITING, State.WITHDRAWN)
        assert case.starts_on is not None or not begun
        if case.starts_on:
            assert case.starts_on >= living.persons[case.person].birth_date
            assert case.ends_on is None or case.ends_on >= case.starts_on
        assert (case.consent is Consent.NOT_NEEDED) == (case.source not in ("regas", "mee"))
        assert case.vanished_on is None or case.source == "gws"


def test_the_share_of_overlaps_stays_level_while_time_passes() -> None:
    living = world(6, 300)
    living.advance_days(365)
    assert 0.12 < len(living.true_overlaps(living.today)) / living.in_care(living.today) < 0.35
    assert 200 < living.in_care(living.today) < 500


def test_changes_are_stamped_in_strictly_rising_order_per_organisation() -> None:
    living = world(2)
    living.play(300)
    for (source, organisation), entries in living.log.items():
        stamps = [at for at, _ in entries]
        assert stamps == sorted(set(stamps))
        newest = {number: at for at, number in entries}
        assert all(living.cases[organisation, number].changed_at == at for number, at in newest.items())
        assert all(living.cases[organisation, number].source == source for number in newest)
    assert living.change_count == sum(map(len, living.log.values()))


def test_whoever_moves_away_has_only_organisations_of_the_new_home() -> None:
    living = world(9)
    living.play(3000)
    left = 0
    for person in living.persons.values():
        born_in = area_of(living.population.persons[person.person].address.municipality.organisation).area
        left += area_of(person.address.municipality.organisation).area != born_in
        for case in living.cases_with(person.person):
            assert not case.open or case.organisation == organisation_for(person, case.service)
    assert left >= 3, "some have left their area"


def test_truth_knows_the_person_of_every_case(demo: World) -> None:
    told = truth(demo, demo.today, SHARED)
    assert told["case_count"] == len(told["cases"]) == len(demo.cases)
    assert told["overlap_count"] == len(told["overlaps"])
    keys = Counter((row["organisation"], row["case"]) for row in told["cases"])
    assert max(keys.values()) == 1
    for row in told["cases"]:
        assert demo.clients[row["organisation"], row["client"]].person == row["person"]


@pytest.fixture
def case(demo: World) -> Case:
    return next(case for case in demo.cases.values() if case.state is State.ACTIVE and case.service is Service.AMW)


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (lambda case, day: case, True),
        (lambda case, day: replace(case, state=State.PAUSED), True),
        (lambda case, day: replace(case, state=State.ENDED, ends_on=day), True),
        (lambda case, day: replace(case, state=State.ENDED, ends_on=day - timedelta(days=1)), False),
        (lambda case, day: replace(case, starts_on=day + timedelta(days=1)), False),
        (lambda case, day: replace(case, state=State.WITHDRAWN), False),
        (lambda case, day: replace(case, state=State.WAITING, starts_on=None), False),
        (lambda case, day: replace(case, vanished_on=day), False),
        (lambda case, day: replace(case, vanished_on=day + timedelta(days=1)), True),
        (lambda case, day: replace(case, consent=Consent.NO), False),
        (lambda case, day: replace(case, consent=Consent.NOT_ASKED), True),
    ],
)
def test_what_counts_on_a_day(case: Case, change: Callable[[Case, date], Case], counts: bool) -> None:
    day = date(2026, 11, 22)
    case = replace(case, starts_on=day, ends_on=None, consent=Consent.YES)
    other = replace(case, service=Service.CO, number="T1")
    assert bool(overlaps_on([change(case, day), other], day)) is counts


def test_two_cases_at_one_party_are_no_overlap(case: Case) -> None:
    day = date(2026, 11, 22)
    one = replace(case, starts_on=day, consent=Consent.YES)
    assert overlaps_on([one, replace(one, number="T2"), replace(one, number="T3", service=Service.SMW)], day) == []
