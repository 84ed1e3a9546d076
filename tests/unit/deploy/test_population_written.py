"""How the youth team, MEE, youth health care and the iWmo/iJw messages write a person down, and who can have which work."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from samenloop_deploy.demo.cases import PAUSING, SOURCES, UNTIL_AGE, Case, Consent, Service, State, overlaps_on
from samenloop_deploy.demo.people import NameUsage, Person
from samenloop_deploy.demo.places import AREAS, area_of
from samenloop_deploy.demo.population import Population, build_population
from samenloop_deploy.demo.world import World
from samenloop_deploy.demo.written import move, source_of, write, write_fhir, write_istandaarden, write_mee, write_zgw
from samenloop_schemas.bsn import passes_eleven_test

TODAY = date(2026, 11, 22)
START = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def population() -> Population:
    return build_population(7, 1600, TODAY)


@pytest.fixture(scope="module")
def people(population: Population) -> list[Person]:
    return list(population.persons.values())


@pytest.fixture(scope="module")
def demo() -> World:
    return World(1, 1200, START)


@pytest.mark.parametrize("source", sorted(set(SOURCES.values())))
def test_every_source_writes_the_same_each_time_and_moves_only_the_address(people: list[Person], source: str) -> None:
    mover = next(person for person in people if person.bsn and person.address.letter)
    elsewhere = next(person.address for person in people if person.address.postcode != mover.address.postcode)
    record = write(source, Random(3), mover, None, TODAY)
    assert record == write(source, Random(3), mover, None, TODAY)
    assert source_of(record) == source
    moved = [asdict(move(Random(seed), record, elsewhere)) for seed in range(20)]
    changed = {field for after in moved for field, value in after.items() if value != asdict(record)[field]}
    assert changed
    assert changed <= {
        "postcode", "straat", "straatnaam", "street", "huisnummer", "huisnummer_volledig", "huisnr", "house_number", "huisletter",
        "letter", "toevoeging", "huisnr_toevoeging", "addition", "woonplaats", "plaats", "city",
    }  # fmt: skip


def test_the_youth_team_mostly_fetches_from_the_register_and_sometimes_types(people: list[Person]) -> None:
    written = [(person, write_zgw(Random(person.person), person)) for person in people]
    fetched = [(person, record) for person, record in written if record.inp_bsn]
    assert 0.8 < len(fetched) / len(written) < 0.95
    for person, record in fetched:
        assert (record.inp_bsn, record.voornamen, record.geslachtsnaam) == (
            person.bsn,
            person.given_names,
            person.surname.name,
        )
        assert record.geslachtsaanduiding == person.sex.lower()
    typed = [(person, record) for person, record in written if not record.inp_bsn]
    assert any(record.voornamen == person.call_name != person.given_names for person, record in typed)
    assert any(record.geslachtsnaam.startswith("van ") for _, record in typed)
    assert any(0 in record.geboortedatum for _, record in written)


def test_mee_has_no_number_to_go_by_and_one_postcode_in_ten_is_unknown(people: list[Person]) -> None:
    written = [(person, write_mee(Random(person.person), person)) for person in people]
    bsns = {person.bsn for person in people if person.bsn}
    assert not any(bsn in str(record) for _, record in written for bsn in bsns if bsn in str(record))
    unknown = sum(not record.postcode for _, record in written) / len(written)
    assert 0.06 < unknown < 0.15
    dates = [record.geboortedatum for _, record in written]
    assert any(text.startswith("00-00-") for text in dates)
    assert any(" maart " in text for text in dates)
    plain = sum(text == f"{person.birth_date:%d-%m-%Y}" for (person, _), text in zip(written, dates, strict=True))
    assert 0.7 < plain / len(dates) < 0.9
    married = [(person, record) for person, record in written if person.name_usage is NameUsage.PARTNER]
    assert any(record.partnernaam for _, record in married)
    assert any(not record.partnernaam for _, record in married)


def test_youth_health_care_knows_some_newborns_by_their_mothers_number(people: list[Person]) -> None:
    numbers_of = iter([person.bsn for person in people if person.bsn])
    child = replace(people[0], birth_date=TODAY - timedelta(days=30), bsn=next(numbers_of))
    mother = replace(people[2], bsn=next(numbers_of), mobile="0600000001")
    numbers = Counter(write_fhir(Random(seed), child, mother, TODAY).bsn for seed in range(300))
    assert set(numbers) == {child.bsn, mother.bsn, ""}
    assert numbers[str(mother.bsn)] > 80
    later = TODAY + timedelta(days=365)
    assert mother.bsn not in {write_fhir(Random(seed), child, mother, later).bsn for seed in range(300)}
    assert {write_fhir(Random(seed), child, mother, TODAY).phone for seed in range(30)} == {"", "0600000001"}


def test_youth_health_care_numbers_twins_and_gives_dates_as_far_as_known(people: list[Person]) -> None:
    one = next(person for person in people if person.twin)
    other = next(person for person in people if person.person == one.twin)
    orders = {write_fhir(Random(0), each, None, TODAY).multiple_birth for each in (one, other)}
    assert orders == {1, 2}
    lengths = {
        known: {
            len(write_fhir(Random(0), p, None, TODAY).birth_date) for p in people if p.birth_known == known
        }
        for known in ("day", "month", "year")
    }  # fmt: skip
    assert lengths == {"day": {10}, "month": {7}, "year": {4}}


def test_messages_fill_unknown_parts_of_a_birth_date_and_need_a_bsn(people: list[Person]) -> None:
    for person in people:
        if person.bsn is None:
            with pytest.raises(ValueError):
                write_istandaarden(Random(0), person)
            continue
        record = write_istandaarden(Random(0), person)
        assert record.bsn == person.bsn
        assert passes_eleven_test(record.bsn)
        expected = {"day": (0, ""), "month": (1, "-01"), "year": (2, "-01-01")}[person.birth_known]
        assert record.datum_gebruik == expected[0]
        assert record.geboortedatum.endswith(expected[1])
        assert record.naam_gebruik in (1, 2, 3, 4)


def test_every_area_has_every_kind_of_work_at_organisations_of_its_own(demo: World) -> None:
    for area in AREAS:
        services = {case.service for case in demo.cases.values() if case.area == area.area}
        assert services == set(Service)
    named = [organisation for area in AREAS for organisation in area.organisations]
    assert len(named) == len(set(named)) == 3 * 5 + 9 + 3
    parties = {case.party for case in demo.cases.values() if case.service not in (Service.PW, Service.WMO, Service.JW)}
    assert {"cjg-a2/jeugdteam", "mee-zwolle/client-support", "ggd-bevelanden/jgz"} <= parties
    assert {"jeugdhulp-kempen/jeugdhulp", "thuiszorg-a2/thuiszorg", "thuiszorg-ijssel/thuiszorg"} <= parties
    assert "lumens/thuiszorg" not in parties


def test_work_fits_the_age_and_nobody_is_written_of_in_messages_without_a_bsn(demo: World) -> None:
    ages = {service: [demo.persons[c.person].age(TODAY) for c in demo.cases.values() if c.open and c.service is service]
            for service in Service}  # fmt: skip
    assert max(ages[Service.JGZ]) < 19
    assert max(ages[Service.JT] + ages[Service.IJW] + ages[Service.JW]) < 23
    assert min(ages[Service.IWMO] + ages[Service.MEE]) >= 18
    messaged = [demo.persons[c.person] for c in demo.cases.values() if c.source == "istandaarden"]
    assert messaged
    assert all(person.bsn for person in messaged)


def test_only_sources_that_can_say_so_have_cases_that_rest_or_wait(demo: World) -> None:
    paused = {case.source for case in demo.cases.values() if case.state is State.PAUSED}
    assert paused == PAUSING
    assert {case.source for case in demo.cases.values() if case.state is State.WAITING} == {"regas"}
    announced = {case.source for case in demo.cases.values() if case.state is State.ANNOUNCED}
    assert announced == set(SOURCES.values())


def test_whoever_comes_of_age_leaves_youth_work_on_that_birthday() -> None:
    living = World(2, 600, START)
    living.advance_days(400)
    assert living.changes["outgrown"] >= 3
    open_cases = [case for case in living.cases.values() if case.open and case.service in UNTIL_AGE]
    assert open_cases
    assert all(living.persons[c.person].age(living.today) < UNTIL_AGE[c.service] for c in open_cases)


@pytest.fixture(scope="module")
def lumens(demo: World) -> Case:
    return next(
        case
        for case in demo.cases.values()
        if (case.organisation, case.service, case.state) == ("lumens", Service.IWMO, State.ACTIVE)
    )


def test_lumens_through_messages_and_through_its_own_system_is_one_party(demo: World, lumens: Case) -> None:
    own = replace(lumens, number="T1", service=Service.AMW, consent=Consent.YES)
    support = replace(own, number="T2", service=Service.CO)
    assert lumens.party == own.party == "lumens/social-work"
    assert overlaps_on([lumens, own], TODAY) == []
    assert len(overlaps_on([lumens, own, support], TODAY)) == 1
    both = Counter(
        (case.person, case.source) for case in demo.cases.values() if case.party == "lumens/social-work" and case.open
    )
    assert any((person, "istandaarden") in both for person, source in both if source == "regas")
    assert area_of("thuiszorg-a2").area == "a2"


def test_mee_counts_only_with_consent_in_writing(demo: World, lumens: Case) -> None:
    mee = replace(lumens, organisation="mee-a2", number="D1", service=Service.MEE)
    wide = frozenset(Consent)
    for consent in Consent:
        overlaps = overlaps_on([lumens, replace(mee, consent=consent)], TODAY, wide)
        assert bool(overlaps) is (consent is Consent.YES)
    asked = Counter(case.consent for case in demo.cases.values() if case.source == "mee")
    assert asked[Consent.YES] > asked[Consent.NOT_ASKED] > 0
    assert Consent.NOT_NEEDED not in asked
