"""How good the clients are on synthetic Dutch people. Figures are printed (``pytest -s``)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from random import Random
from typing import Any
from uuid import UUID

from clients_people import People, Quality, make_people, measure

from samenloop_deploy.demo.population import build_population
from samenloop_deploy.demo.written import write_gws, write_regas
from samenloop_processors.clients.domain.model import default_model
from samenloop_processors.clients.domain.normalise import features
from samenloop_processors.clients.domain.persons import namings, source_persons, winners
from samenloop_processors.clients.domain.resolver import Resolver
from samenloop_schemas.bsn import valid_bsn
from samenloop_schemas.codes import Sex
from samenloop_schemas.dates import PartialDate
from samenloop_schemas.records import AcceptedStatement, Address, IdentityFacts, SealedPerson


def _resolve(people: People) -> Resolver:
    resolver = Resolver(default_model())
    for ref, first, identity in people.records:
        resolver.put(ref, first, features(identity))
    resolver.settle()
    return resolver


def _quality(name: str, people: People) -> Quality:
    resolver = _resolve(people)
    quality = measure([client.members for client in resolver.clients()], people.truth)
    print(f"{name}: {len(people.records)} records, {quality}, review queue {sum(1 for _ in resolver.possible())}")
    return quality


def test_own_population_with_a_number_at_one_source_only() -> None:
    quality = _quality("own", make_people(7, 6000))
    assert quality.precision >= 0.998
    assert quality.recall >= 0.88


def test_the_demos_population() -> None:
    for area, people in _demo(5, 9000).items():
        quality = _quality(area, people)
        assert quality.precision >= 0.998
        assert quality.recall >= 0.88


def test_source_persons_are_a_function_of_the_set() -> None:
    def stated(case: int, person: int, revision: int, at: int, identity: bool, *related: int) -> AcceptedStatement:
        return AcceptedStatement(
            statement_id=UUID(int=case * 1000 + revision),
            case_key_id=UUID(int=case),
            person_key_id=UUID(int=person),
            revision=revision,
            identity_revision=revision,
            stated_at=datetime(2025, 1, at, tzinfo=UTC),
            identity=b"x" if identity else None,
            related=tuple(SealedPerson(UUID(int=r), revision, b"y") for r in related),
        )

    statements = [
        stated(1, 10, 1, 5, True, 20),
        stated(1, 10, 2, 6, True),
        stated(2, 10, 1, 3, True, 20),
        stated(3, 11, 5, 9, True),
        stated(3, 11, 6, 10, False),
    ]
    expected = source_persons(statements)
    assert {key.int: p.first_stated_at.day for key, p in expected.items()} == {10: 3, 20: 3, 11: 9}
    assert {key.int: p.naming and p.naming.statement_id.int for key, p in expected.items()} == {
        10: 1002,
        20: 2001,
        11: None,
    }
    for seed in range(20):
        shuffled = [*statements, *statements[:2]]
        Random(seed).shuffle(shuffled)
        assert source_persons(shuffled) == expected
    assert [n.own for n in namings(statements[0])] == [True, False]
    assert winners(statements)[UUID(int=1)] is statements[1]


def _demo(seed: int, size: int) -> dict[str, People]:
    """The demo's people as its two kinds of source would write them, each known to one to three sources."""
    population = build_population(seed, size, date(2025, 11, 1))
    rng = Random(seed)
    areas = {}
    for area, ids in population.of_area.items():
        people = areas[area] = People()
        for human, person_id in enumerate(ids):
            person = population.persons[person_id]
            for source in [s for s in range(3) if rng.random() < (0.75 if s == 0 else 0.45)] or [0]:
                record: Any = write_gws(rng, person) if source == 0 else write_regas(rng, person)
                ref = f"{rng.getrandbits(64):016x}"
                identity = _from_gws(record) if source == 0 else _from_regas(record, f"org{source}")
                people.records.append((ref, rng.getrandbits(40), identity))
                people.truth[ref] = human
        rng.shuffle(people.records)
    return areas


_SEX = {"M": Sex.MALE, "V": Sex.FEMALE}


def _from_gws(r: Any) -> IdentityFacts:
    bsn = valid_bsn(r.bsn) if r.bsn else None
    return IdentityFacts(
        source="gws",
        initials=r.voorletters,
        given_names=r.voornamen,
        surname_prefix=r.voorvoegsel,
        surname=r.achternaam,
        partner_prefix=r.voorvoegsel_echtgenoot,
        partner_surname=r.achternaam_echtgenoot,
        birth_date=PartialDate(*r.geboortedatum),
        sex=_SEX.get(r.geslacht, Sex.UNKNOWN),
        address=Address(
            street=r.straatnaam,
            house_number=r.huisnummer,
            house_letter=r.huisletter,
            house_addition=r.huisnr_toevoeging,
            postcode=r.postcode,
            city=r.woonplaats,
        ),
        bsn_token=f"1:{bsn}" if bsn else "",
    )


def _from_regas(r: Any, source: str) -> IdentityFacts:
    return IdentityFacts(
        source=source,
        call_name=r.roepnaam or "",
        initials=r.voorletters or "",
        surname_prefix=r.tussenvoegsel or "",
        surname=r.achternaam,
        birth_date=PartialDate.parse(r.geboortedatum) if r.geboortedatum else PartialDate(),
        sex=_SEX.get(r.geslacht, Sex.UNKNOWN),
        address=Address(house_number=r.huisnummer_volledig or "", postcode=r.postcode or ""),
        phone=r.telefoon or "",
        email=r.email or "",
    )
