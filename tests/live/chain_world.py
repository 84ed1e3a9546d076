"""A small world of synthetic people for tests of the whole chain: what two partners state of them, from a seed.

Everything has fixed instants, so that the same seed is the same set of statements in every run, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from random import Random

from samenloop_deploy.demo.hub import Secrets
from samenloop_deploy.shipped import shipped
from samenloop_processors.agreement import Agreement, agreement_decision, load_agreement
from samenloop_processors.intake.domain.ledger import CaseId
from samenloop_processors.keys import DataKey, KeyKind, KeyStore
from samenloop_producers.keys import EdgeKeys
from samenloop_producers.statement import CaseReport, RelatedPerson, StatementMaker
from samenloop_schemas import codec, sealing
from samenloop_schemas.bsn import passes_eleven_test
from samenloop_schemas.codes import ActorRole, Consent, DecisionKind, Domain, RelationKind, Sensitivity, Sex, Status
from samenloop_schemas.dates import PartialDate
from samenloop_schemas.ids import derived_id
from samenloop_schemas.records import Actor, Address, Decision, InvolvementStatement, PersonIdentity

AREAS = ("a2", "bevelanden")
_PURPOSE = "early_coordination"
SYSTEMS = {"smwo": "regas", "backoffice": "gws"}
TODAY = date(2026, 3, 20)
"""T, in the end."""
DAYS = (date(2026, 3, 6), date(2026, 3, 13), TODAY)
"""The clock is told up to these, one after the other."""
LAST_STATED = datetime(2026, 3, 2, tzinfo=UTC)
_FIRST_STATED = datetime(2026, 1, 12, 9, tzinfo=UTC)
_BASES = {Domain.JW: "jw_7_1", Domain.WMO: "wmo_5_2", Domain.PW: "pw_64"}
_GROUPS = {Domain.JW: "youth_help", Domain.WMO: "household_support", Domain.PW: "income_support"}
_SURNAMES = [
    "Jansen",
    "Bos",
    "Visser",
    "Mulder",
    "Dekker",
    "Hoekstra",
    "Kuipers",
    "Verhoeven",
    "Postma",
    "Willems",
    "Scholten",
    "Vos",
]
_GIVEN = [
    "Anna",
    "Bram",
    "Cornelia",
    "Daan",
    "Eva",
    "Femke",
    "Gijs",
    "Hanna",
    "Ilse",
    "Joris",
    "Karel",
    "Lotte",
    "Maria",
    "Nico",
    "Olga",
    "Pieter",
]
_STREETS = ["Kerkstraat", "Dorpsstraat", "Molenweg", "Parallelweg", "Lindelaan", "Stationsweg"]


@dataclass(frozen=True, slots=True)
class Said:
    """One statement as its partner sends it. `passes`: the gate lets it through; a retraction passes and carries nothing."""

    partner: str
    statement: InvolvementStatement
    data: bytes
    passes: bool

    @property
    def at(self) -> datetime:
        """When the broker is told it was appended: after it was stated, the same in every run."""
        return self.statement.stated_at + timedelta(minutes=7)

    @property
    def case(self) -> tuple[str, ...]:
        said = self.statement
        return said.area, self.partner, said.organisation, said.case_ref

    @property
    def rank(self) -> tuple[int, datetime, str]:
        return self.statement.revision, self.statement.stated_at, str(self.statement.statement_id)


@dataclass(frozen=True, slots=True)
class World:
    """What is stated, and what people decide, in their order."""

    seed: int
    said: tuple[Said, ...]
    spare: tuple[Said, ...]
    """Of some more people, in the first area; all of it passes."""
    decisions: tuple[Decision, ...]
    agreements: tuple[Decision, ...]

    def shuffled(self, rng: Random) -> list[Said]:
        """Another order, in which one in eight comes a second or third time."""
        said = [*self.said, *rng.choices(self.said, k=len(self.said) // 8)]
        rng.shuffle(said)
        return said

    def stated(self) -> set[str]:
        """The statements that must be on `involvements`: what passes, and the marks of cases of which something passed."""
        known = {s.case for s in self.said if s.passes and s.statement.status is not Status.RETRACTED}
        return {
            str(s.statement.statement_id)
            for s in self.said
            if s.case in known or (s.passes and s.statement.status is not Status.RETRACTED)
        }

    def refused(self) -> set[str]:
        return {str(s.statement.statement_id) for s in self.said if not s.passes}

    def winners(self) -> set[str]:
        """Per case the statement that counts."""
        stated, best = self.stated(), dict[tuple[str, ...], Said]()
        for said in self.said:
            if str(said.statement.statement_id) in stated and (
                said.case not in best or said.rank > best[said.case].rank
            ):
                best[said.case] = said
        return {str(said.statement.statement_id) for said in best.values()}


@dataclass(slots=True)
class _Person:
    number: int
    given: tuple[str, str]
    surname: str
    born: date
    sex: Sex
    street: str
    house: int
    postcode: str
    bsn: str
    parent: _Person | None = None
    cases: list[tuple[str, str, Domain, str]] = field(default_factory=list)


def agreements() -> list[Agreement]:
    return [load_agreement(file) for file in sorted(shipped("agreements").glob("*.yaml"))]


def make_world(seed: int, persons: int, secrets: Secrets, keys: KeyStore) -> World:
    """`persons` are per area; about two statements each go out for two cases of each. `keys` may create."""
    published, rng = agreements(), Random(seed)
    makers = {
        partner: StatementMaker(
            EdgeKeys(secrets.edge_secret(partner)), sealing.public_key(secrets.hub_key[1]), SYSTEMS[partner]
        )
        for partner in SYSTEMS
    }
    said: list[Said] = []
    decisions: list[Decision] = []
    for agreement in (a for a in published if a.area in AREAS):
        here = list(_statements(rng, agreement, makers, persons))
        said += (one for _, one in here)
        decisions += _decisions(agreement.area, _pairs(agreement.area, here, keys))
    spare = [one for _, one in _statements(rng, published[0], makers, 3, 1000) if one.passes]
    beginning = datetime(2025, 1, 6, 9, tzinfo=UTC)
    first = [agreement_decision(a, _ADMINISTRATOR, beginning) for a in published]
    decisions.append(agreement_decision(_later(published), _ADMINISTRATOR, datetime(2026, 3, 9, 9, tzinfo=UTC)))
    return World(seed, tuple(sorted(said, key=lambda s: s.at)), tuple(spare), tuple(decisions), tuple(first))


_ADMINISTRATOR = Actor("administrator", role=ActorRole.ADMINISTRATOR)
_STEWARD = Actor("steward", role=ActorRole.IDENTITY_STEWARD)


def _later(published: list[Agreement]) -> Agreement:
    """A second version in which one party no longer takes part: its overlaps end on that day."""
    old = next(a for a in published if a.area == "bevelanden")
    left = tuple(party for party in old.parties if party.id != "gemeente-goes/werk-inkomen")
    return old.model_copy(update={"version": 2, "valid_from": date(2026, 3, 11), "parties": left})


def _statements(
    rng: Random, agreement: Agreement, makers: Mapping[str, StatementMaker], persons: int, first: int = 0
) -> Iterator[tuple[int, Said]]:
    """With the person's number."""
    for person in _people(rng, persons, first):
        for partner, report, passes in _reports(rng, agreement, person):
            statement = makers[partner].make(report, report.version)
            yield person.number, Said(partner, statement, codec.encode(statement), passes)


def _people(rng: Random, count: int, first: int) -> Iterator[_Person]:
    """Households of one to three: a grown-up, and children who share the address and the surname, some of them twins."""
    bsns = (f"{n}" for n in range(999900006 + rng.randrange(40_000), 999999990) if passes_eleven_test(f"{n}"))
    number = first
    while number < first + count:
        surname, street = rng.choice(_SURNAMES), rng.choice(_STREETS)
        house, postcode = rng.randrange(1, 90), f"{rng.randrange(4300, 5600)} {rng.choice('ABCD')}{rng.choice('EFGH')}"
        born = date(1950, 1, 1) + timedelta(days=rng.randrange(12_000))
        grown = None
        children = rng.choice((0, 0, 1, 2))
        twins = date(2008, 1, 1) + timedelta(days=rng.randrange(4000))
        for child in range(children + 1):
            day = twins if child and rng.random() < 0.4 else date(2008, 1, 1) + timedelta(days=rng.randrange(4000))
            person = _Person(
                number,
                (rng.choice(_GIVEN), rng.choice(_GIVEN)),
                surname,
                day if child else born,
                rng.choice((Sex.FEMALE, Sex.MALE)),
                street,
                house,
                postcode,
                next(bsns),
                grown,
            )
            grown = grown or person
            yield person
            number += 1


def _identity(rng: Random, person: _Person, entitled: bool) -> PersonIdentity:
    """The person as one source has him: complete, or with initials, without house number, with a slip of the pen."""
    surname, born = person.surname, PartialDate(person.born.year, person.born.month, person.born.day)
    given, slip = " ".join(person.given), rng.random()
    if slip < 0.08:
        surname = surname[:-2] + surname[-1] + surname[-2]
    elif slip < 0.14:
        born = replace(born, day=0)
    elif slip < 0.2:
        born = replace(born, day=born.day % 28 + 1)
    short = rng.random() < 0.3
    return PersonIdentity(
        given_names=person.given[0] if short else given,
        initials="".join(f"{name[0]}." for name in person.given),
        surname=surname,
        birth_date=born,
        sex=person.sex,
        address=Address(
            street=person.street,
            house_number=str(person.house) if rng.random() < 0.9 else "",
            postcode=person.postcode if rng.random() < 0.85 else "",
            city="Goes",
        ),
        bsn=person.bsn if entitled and rng.random() < 0.8 else "",
    )


def _reports(rng: Random, agreement: Agreement, person: _Person) -> Iterator[tuple[str, CaseReport, bool]]:
    """Each case of a person through its life: begun, changed, ended, withdrawn, refused, and stated twice over."""
    young = TODAY.year - person.born.year < 22
    town = rng.choice([o.id for o in agreement.organisations if o.partner == "backoffice"][:2])
    social = next(o.id for o in agreement.organisations if o.partner == "smwo")
    choices = [
        ("smwo", social, Domain.WMO, "social_work"),
        ("smwo", social, Domain.WMO, "client_support"),
        ("backoffice", town, Domain.JW if young else Domain.PW, _GROUPS[Domain.JW if young else Domain.PW]),
        ("backoffice", town, Domain.WMO, _GROUPS[Domain.WMO]),
    ]
    for index, (partner, organisation, domain, group) in enumerate(rng.sample(choices, rng.choice((1, 2, 2, 3)))):
        yield from _life(rng, person, f"c{person.number}-{index}", partner, organisation, domain, group)


def _life(
    rng: Random, person: _Person, number: str, partner: str, organisation: str, domain: Domain, group: str
) -> Iterator[tuple[str, CaseReport, bool]]:
    area = AREAS[0] if organisation in _FIRST_AREA else AREAS[1]
    start = date(2025, 11, 1) + timedelta(days=rng.randrange(125))
    version = _FIRST_STATED + timedelta(minutes=rng.randrange(40 * 24 * 60), seconds=person.number)
    identity = _identity(rng, person, partner == "backoffice")
    relations: tuple[RelatedPerson, ...] = ()
    if person.parent is not None and rng.random() < 0.6:
        parent = _identity(rng, person.parent, partner == "backoffice")
        relations = (RelatedPerson(RelationKind.PARENT, f"p{person.parent.number}", parent),)
    report = CaseReport(
        area=area,
        organisation=organisation,
        case_number=number,
        person_number=f"p{person.number}",
        version=version,
        status=rng.choices((Status.ACTIVE, Status.ANNOUNCED), (9, 1))[0],
        domain=domain,
        service_group=group,
        starts_on=start,
        confirmed_on=version.date(),
        legal_basis=_BASES[domain],
        purpose=_PURPOSE if rng.random() < 0.96 else "statistics",
        consent=Consent.NOT_ASKED,
        sensitivity=rng.choices((Sensitivity.NORMAL, Sensitivity.SENSITIVE, Sensitivity.PROTECTED), (17, 2, 1))[0],
        identity=identity,
        relations=relations,
    )
    yield partner, report, report.purpose == _PURPOSE
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        report = replace(report, version=report.version + timedelta(minutes=rng.randrange(30, 6000)))
        if report.version >= LAST_STATED:
            return
        report, at_once = _next(rng, report, person, partner)
        if at_once is not None:
            yield partner, at_once, True
        if report.status is Status.RETRACTED:
            yield partner, replace(report, identity=None, relations=()), True
        else:
            yield partner, report, report.purpose == _PURPOSE


def _next(rng: Random, report: CaseReport, person: _Person, partner: str) -> tuple[CaseReport, CaseReport | None]:
    """The next that is said of a case; now and then two things under one revision."""
    said = replace(report, confirmed_on=report.version.date(), status=Status.ACTIVE, ends_on=None, purpose=_PURPOSE)
    match rng.choices(("moved", "end", "withdraw", "refuse", "start", "pause", "twice"), (5, 4, 2, 1, 3, 1, 1))[0]:
        case "moved":
            return replace(said, identity=_identity(rng, person, partner == "backoffice")), None
        case "end":
            ends = report.version.date() + timedelta(days=rng.randrange(-10, 30))
            return replace(said, status=Status.ENDED, ends_on=max(ends, said.starts_on or ends)), None
        case "withdraw":
            return replace(said, status=Status.RETRACTED), None
        case "refuse":
            return replace(said, purpose="statistics"), None
        case "pause":
            return replace(said, status=Status.PAUSED), None
        case "twice":
            return replace(said, sensitivity=Sensitivity.SENSITIVE), replace(said, status=Status.PAUSED)
    return replace(said, starts_on=date(2025, 11, 1) + timedelta(days=rng.randrange(125))), None


_FIRST_AREA = frozenset(o.id for a in agreements() if a.area == AREAS[0] for o in a.organisations)


def _pairs(area: str, here: list[tuple[int, Said]], keys: KeyStore) -> list[tuple[str, str]]:
    """The source person ids of those whom both partners know, backoffice's first."""
    known: dict[int, dict[str, bytes]] = {}
    for number, said in here:
        person = CaseId(area, said.partner, said.statement.organisation, said.statement.source_system, "")
        known.setdefault(number, {})[said.partner] = person.person_subject(said.statement.person_ref)
    subjects = [(both["backoffice"], both["smwo"]) for both in known.values() if len(both) == 2]
    made = keys.create_many(KeyKind.PERSON, {subject for pair in subjects for subject in pair})
    ids = {subject: key.derive_id("person") for subject, key in made.items() if isinstance(key, DataKey)}
    return [(ids[one], ids[other]) for one, other in subjects]


def _decisions(area: str, pairs: list[tuple[str, str]]) -> list[Decision]:
    """One real pair kept apart for good, one for a while, and two people held to be one."""
    first, second, third, fourth = pairs[:4]
    taken = [
        (DecisionKind.LINK_REJECTED, first),
        (DecisionKind.LINK_REJECTED, second),
        (DecisionKind.LINK_CONFIRMED, (third[0], fourth[1])),
        (DecisionKind.LINK_REOPENED, second),
    ]
    at = datetime(2026, 3, 3, 10, tzinfo=UTC)
    return [
        Decision(derived_id("test", area, kind, *pair), area, kind, at + timedelta(hours=n), actor=_STEWARD, pair=pair)
        for n, (kind, pair) in enumerate(taken)
    ]
