"""The synthetic people: the same each time, only test BSNs, and the hard cases that a matcher must meet."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import date
from random import Random

import pytest

from samenloop_deploy.demo.names import initials_of
from samenloop_deploy.demo.people import FIRST_TEST_BSN, LAST_TEST_BSN, NameUsage, Person, valid_test_bsns
from samenloop_deploy.demo.places import AREAS
from samenloop_deploy.demo.population import Population, build_population
from samenloop_deploy.demo.written import move_regas, write_gws, write_regas

TODAY = date(2026, 11, 22)
WEIGHTS = (9, 8, 7, 6, 5, 4, 3, 2, -1)


@pytest.fixture(scope="module")
def population() -> Population:
    return build_population(7, 1600, TODAY)


@pytest.fixture(scope="module")
def people(population: Population) -> list[Person]:
    return list(population.persons.values())


def eleven(bsn: str) -> bool:
    total = sum(weight * int(digit) for weight, digit in zip(WEIGHTS, bsn, strict=True))
    return total > 0 and total % 11 == 0


def test_the_same_seed_makes_the_same_people_and_another_seed_does_not(population: Population) -> None:
    assert build_population(7, 1600, TODAY) == population
    assert build_population(8, 1600, TODAY) != population


def test_the_people_do_not_depend_on_the_hash_seed_of_the_process() -> None:
    program = (
        "import hashlib;from datetime import UTC,datetime;from samenloop_deploy.demo.world import World;"
        "from samenloop_deploy.demo.control import truth;from samenloop_deploy.demo.cases import SHARED;"
        "w=World(3,60,datetime(2026,11,22,9,tzinfo=UTC));w.advance_days(20);"
        "print(hashlib.sha256(repr((w.persons,w.clients,truth(w,w.today,SHARED)['cases'])).encode()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


def test_the_test_range_is_complete_and_every_number_in_it_passes() -> None:
    numbers = valid_test_bsns()
    assert list(numbers) == sorted({bsn for bsn in numbers if eleven(bsn)})
    assert int(numbers[0]) >= FIRST_TEST_BSN
    assert int(numbers[-1]) <= LAST_TEST_BSN
    assert len(numbers) == sum(eleven(str(number)) for number in range(FIRST_TEST_BSN, LAST_TEST_BSN + 1))


def test_each_bsn_is_a_test_number_used_once_and_some_have_none(people: list[Person]) -> None:
    given = [person.bsn for person in people if person.bsn]
    assert set(given) <= set(valid_test_bsns())
    assert max(Counter(given).values()) == 1
    assert 0.01 < (len(people) - len(given)) / len(people) < 0.08


def test_beyond_the_range_people_have_no_bsn() -> None:
    crowd = build_population(1, 20_000, TODAY)
    given = [person.bsn for person in crowd.persons.values() if person.bsn]
    assert len(given) == len(set(given)) <= len(valid_test_bsns())
    assert len(given) > 8_500


def test_every_area_has_its_people(population: Population) -> None:
    assert set(population.of_area) == {area.area for area in AREAS}
    for area in AREAS:
        codes = {municipality.code for municipality in area.municipalities}
        residents = [population.persons[each] for each in population.of_area[area.area]]
        assert {person.address.municipality.code for person in residents} == codes


def test_twins_share_surname_birth_date_and_address_and_point_at_each_other(population: Population) -> None:
    twins = [person for person in population.persons.values() if person.twin]
    assert len(twins) >= 10
    for one in twins:
        other = population.persons[str(one.twin)]
        assert other.twin == one.person
        assert (one.surname, one.birth_date, one.address, one.parents) == (
            other.surname,
            other.birth_date,
            other.address,
            other.parents,
        )
        assert one.given_names != other.given_names or one.sex != other.sex
    assert any(one.initials[0] == population.persons[str(one.twin)].initials[0] for one in twins)


def test_children_have_older_parents_of_their_own_family(population: Population) -> None:
    children = [person for person in population.persons.values() if person.parents]
    assert len(children) > 400
    for child in children:
        for parent in (population.persons[each] for each in child.parents):
            assert (child.birth_date - parent.birth_date).days > 15 * 365
            assert parent.person in population.families[child.family]
    assert any(len({population.persons[each].household for each in child.parents}) == 2 for child in children)


def test_the_hard_cases_are_there(people: list[Person]) -> None:
    by_id = {person.person: person for person in people}
    fathers_and_sons = [
        child
        for child in people
        for parent in child.parents
        if by_id[parent].given_names == child.given_names and by_id[parent].surname == child.surname
    ]
    assert len(fathers_and_sons) >= 3
    assert {person.birth_known for person in people} == {"day", "month", "year"}
    assert {person.name_usage for person in people if person.partner_surname} == set(NameUsage) - {NameUsage.UNKNOWN}
    assert sum(bool(person.surname.prefix) for person in people) > len(people) / 6
    assert sum(18 <= person.age(TODAY) <= 22 for person in people) > 40
    phones = Counter(person.mobile for person in people if person.mobile)
    assert max(phones.values()) > 1, "children share the mother's telephone"
    strangers = Counter(person.address for person in {person.family: person for person in people}.values())
    assert max(strangers.values()) >= 4, "a shared dwelling of strangers"


def test_no_telephone_or_e_mail_can_be_anybodys(people: list[Person]) -> None:
    for person in people:
        assert person.mobile is None or (person.mobile.startswith("060") and len(person.mobile) == 10)
        assert person.landline is None or len(person.landline) == 10
        code = person.address.dialling_code
        assert person.landline is None or person.landline.startswith(f"{code}0") or person.parents
        assert person.email is None or person.email.endswith(".example")


def test_initials_follow_the_brp_rule() -> None:
    assert initials_of("Theo Philip IJsbrand") == "T.P.I."
    assert initials_of("Anne-Fleur") == "A."


def test_a_source_writes_the_same_person_the_same_way_from_the_same_random_source(people: list[Person]) -> None:
    for person in people[:50]:
        assert write_regas(Random(1), person) == write_regas(Random(1), person)
        assert write_gws(Random(1), person) == write_gws(Random(1), person)


def test_welfare_records_vary_as_people_type(people: list[Person]) -> None:
    rng = Random(5)
    written = [(person, write_regas(rng, person)) for person in people]
    assert any(record.geboortedatum is None for _, record in written)
    assert any(
        (record.geboortedatum or "").endswith("-01-01") and person.birth_date.day != 1 for person, record in written
    )
    assert any(record.postcode is None for _, record in written)
    assert any(record.telefoon is None for _, record in written)
    assert any("-" in record.achternaam and person.partner_surname for person, record in written)
    assert any(record.tussenvoegsel is None and record.achternaam.startswith("van ") for _, record in written)
    initials = {record.voorletters for _, record in written if record.voorletters}
    assert any("." in text for text in initials)
    assert any("." not in text for text in initials)
    assert any(record.roepnaam not in (person.call_name, *person.given_names.split()) for person, record in written)
    same = sum(record.roepnaam == person.call_name for person, record in written)
    assert same > 0.7 * len(written), "most records are right"


def test_a_house_number_is_written_in_one_field(people: list[Person]) -> None:
    person = next(each for each in people if each.address.letter and each.address.addition)
    record = write_regas(Random(0), person)
    numbers = {move_regas(Random(seed), record, person.address).huisnummer_volledig for seed in range(200)}
    at = person.address
    assert f"{at.number}{at.letter.lower()}-{at.addition}" in numbers
    assert None in numbers


def test_municipal_records_mostly_carry_the_bsn_and_never_somebody_elses(people: list[Person]) -> None:
    written = [(person, write_gws(Random(person.person), person)) for person in people]
    assert sum(record.bsn == person.bsn for person, record in written) > 0.9 * len(people)
    for person, record in written:
        assert record.bsn in ("", person.bsn) or not eleven(record.bsn)
        assert record.bsn == "" or record.bsn.startswith("9999")
        assert len(record.straatnaam) <= 24
        assert len(record.voorletters) <= 12
    assert any(0 in record.geboortedatum for _, record in written)
