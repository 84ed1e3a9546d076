"""The welfare registration system: rights, paging while rows change, throttling, deletion, faults."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop_deploy.demo.cases import Case, Consent, State
from samenloop_deploy.demo.partners.regas import ORGANISATIONS, Regas, trajectory
from samenloop_deploy.demo.partners.seam import Request, credentials, instant_text
from samenloop_deploy.demo.world import World

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
FIELDS = {
    "traject_id", "client_id", "soort", "status", "aanmelddatum", "startdatum", "einddatum", "afsluitreden", "team", "client",
    "toestemming", "gewijzigd_op", "verwijderd_op",
}  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Caller:
    """A client of one organisation's API, without a socket."""

    def __init__(self, regas: Regas, organisation: str) -> None:
        self.regas, self.organisation = regas, organisation
        self.token = ""

    def log_in(self) -> int:
        right = credentials(self.regas.world.seed, self.organisation)
        form = {"grant_type": "client_credentials", "client_id": right.client_id, "client_secret": right.client_secret}
        answer = self.post(form)
        self.token = answer.body.get("access_token", "") if answer.status == 200 else ""
        return int(answer.status)

    def post(self, form: dict[str, str], headers: dict[str, str] | None = None) -> Any:
        path = f"/{self.organisation}/oauth/token"
        return self.regas.handle(Request("POST", path, "", headers or {}, urlencode(form).encode()))

    def get(self, path: str = "", **query: str) -> Any:
        headers = {"authorization": f"Bearer {self.token}"}
        full = f"/{self.organisation}/api/v1/trajecten{path}"
        return self.regas.handle(Request("GET", full, urlencode(query), headers))

    def all(self, since: str = "") -> list[dict[str, Any]]:
        """Every page from ``since`` on."""
        rows: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            query = {name: value for name, value in (("gewijzigd_vanaf", since), ("cursor", cursor)) if value}
            body = self.get("", **query).body
            rows += body["trajecten"]
            cursor = body["volgende_cursor"]
        return rows


def cases_of(world: World, organisation: str) -> list[Case]:
    """What the organisation holds in Regas; a municipality may know more of it."""
    return [case for case in world.cases.values() if (case.source, case.organisation) == ("regas", organisation)]


def system(scale: int = 150, page: int = 200, **limits: Any) -> tuple[World, Regas, Clock]:
    clock = Clock()
    world = World(1, scale, START)
    return world, Regas(world, clock, page=page, **({"rate": 1e9, "burst": 10**9} | limits)), clock


def caller(regas: Regas, organisation: str = "smwo") -> Caller:
    made = Caller(regas, organisation)
    assert made.log_in() == 200
    return made


def test_a_trajectory_has_the_fields_of_the_interface_and_no_bsn() -> None:
    world, regas, _ = system()
    rows = caller(regas).all()
    assert rows
    for row in rows:
        assert set(row) == FIELDS
        assert set(row["client"]) == {
            "roepnaam", "voorletters", "tussenvoegsel", "achternaam", "geboortedatum", "geslacht", "postcode",
            "huisnummer_volledig", "telefoon", "email",
        }  # fmt: skip
        assert set(row["toestemming"]) == {"delen_regie", "datum"}
        assert row["soort"] in {"AMW", "CO", "SMW"}
        assert row["status"] in {"aanmelding", "lopend", "wachtlijst", "afgesloten"}
        assert row["toestemming"]["delen_regie"] in {"ja", "nee", "niet_gevraagd"}
        assert len(row["gewijzigd_op"]) == len("2026-11-22T10:11:12.123456Z")
        assert (row["einddatum"] is None) == (row["status"] != "afgesloten")
    bsns = {person.bsn for person in world.persons.values() if person.bsn}
    assert not any(bsn in str(rows) for bsn in bsns)


@pytest.mark.parametrize("organisation", ORGANISATIONS)
def test_every_organisation_sees_all_of_its_own_and_nothing_else(organisation: str) -> None:
    world, regas, _ = system()
    told = {row["traject_id"]: row for row in caller(regas, organisation).all()}
    own = {case.number: trajectory(world, case) for case in cases_of(world, organisation)}
    assert told == own


def test_pages_hold_at_most_two_hundred_and_the_oldest_change_comes_first() -> None:
    _, regas, _ = system(2000)
    smwo = caller(regas)
    first = smwo.get()
    assert len(first.body["trajecten"]) == 200
    assert first.body["volgende_cursor"]
    assert dict(first.headers)["Link"].endswith('rel="next"')
    stamps = [row["gewijzigd_op"] for row in smwo.all()]
    assert stamps == sorted(stamps)
    assert len(stamps) > 400


def test_changed_since_includes_the_instant_itself() -> None:
    _, regas, _ = system()
    smwo = caller(regas)
    rows = smwo.all()
    at = rows[-3]["gewijzigd_op"]
    assert smwo.all(at) == rows[-3:]
    assert smwo.all(at.replace("Z", "+00:00")) == rows[-3:]
    later = instant_text(datetime.fromisoformat(rows[-1]["gewijzigd_op"]) + timedelta(microseconds=1))
    assert smwo.all(later) == []
    assert smwo.get("", gewijzigd_vanaf=later).body == {"trajecten": [], "volgende_cursor": None}


@settings(max_examples=40, deadline=None)
@given(
    page=st.integers(1, 40),
    changes=st.lists(st.integers(0, 6), max_size=60),
    replays=st.sets(st.integers(0, 20)),
)
def test_paging_under_change_shows_every_trajectory_and_an_unchanged_one_once(
    page: int, changes: list[int], replays: set[int]
) -> None:
    """Changes happen between the pages; some cursors are asked twice, as after a lost answer."""
    world, regas, _ = system(60, page)
    smwo = caller(regas)
    before = {case.number for case in cases_of(world, "smwo")}
    stamps = {number: world.cases["smwo", number].changed_at for number in before}
    shown: list[dict[str, Any]] = []
    cursor: str | None = ""
    asked = 0
    while cursor is not None:
        answer = smwo.get("", **({"cursor": cursor} if cursor else {}))
        if asked in replays:
            assert smwo.get("", **({"cursor": cursor} if cursor else {})) == answer
        shown += answer.body["trajecten"]
        cursor = answer.body["volgende_cursor"]
        if asked < len(changes):
            world.play(changes[asked])
        asked += 1
    assert before <= {row["traject_id"] for row in shown}
    versions = [(row["traject_id"], row["gewijzigd_op"]) for row in shown]
    assert len(versions) == len(set(versions)), "one version is shown once"
    unchanged = {number for number in before if world.cases["smwo", number].changed_at == stamps[number]}
    for number in unchanged:
        assert sum(row["traject_id"] == number for row in shown) == 1
    # What changed after its page is found by asking again from the last instant seen.
    latest = {row["traject_id"]: row for row in shown}
    latest |= {row["traject_id"]: row for row in smwo.all(shown[-1]["gewijzigd_op"])}
    assert latest == {case.number: trajectory(world, case) for case in cases_of(world, "smwo")}


def test_one_trajectory_by_its_number() -> None:
    _, regas, _ = system()
    smwo = caller(regas)
    row = smwo.all()[0]
    assert smwo.get(f"/{row['traject_id']}").body == row
    assert smwo.get("/T999999").status == 404


def test_no_token_a_wrong_one_and_another_organisations_are_refused() -> None:
    _, regas, _ = system()
    smwo, lumens = caller(regas), caller(regas, "lumens")
    assert smwo.get().status == 200
    smwo.token = lumens.token
    refused = smwo.get()
    assert refused.status == 401
    assert "invalid_token" in dict(refused.headers)["WWW-Authenticate"]
    smwo.token = ""
    assert smwo.get("/T100001").status == 401


def test_a_token_expires() -> None:
    _, regas, clock = system(token_seconds=10)
    smwo = caller(regas)
    clock.now = 9.9
    assert smwo.get().status == 200
    clock.now = 10.0
    assert smwo.get().status == 401
    assert smwo.log_in() == 200
    assert smwo.get().status == 200


def test_credentials_are_checked_in_the_form_and_in_the_header() -> None:
    _, regas, _ = system()
    smwo = Caller(regas, "smwo")
    right = credentials(1, "smwo")
    wrong = {"grant_type": "client_credentials", "client_id": right.client_id, "client_secret": "x"}
    assert smwo.post(wrong).status == 401
    assert smwo.post(wrong | {"client_secret": "é"}).status == 401
    assert smwo.post({"grant_type": "password"}).status == 400
    basic = base64.b64encode(f"{right.client_id}:{right.client_secret}".encode()).decode()
    assert smwo.post({"grant_type": "client_credentials"}, {"authorization": f"Basic {basic}"}).status == 200
    assert smwo.post({"grant_type": "client_credentials"}, {"authorization": "Basic !"}).status == 401
    other = credentials(1, "lumens")
    theirs = {"grant_type": "client_credentials", "client_id": other.client_id, "client_secret": other.client_secret}
    assert smwo.post(theirs).status == 401


def test_asking_too_fast_is_answered_with_the_time_to_wait() -> None:
    _, regas, clock = system(rate=2.0, burst=3)
    smwo = caller(regas)
    assert [smwo.get().status for _ in range(3)] == [200, 200, 429]
    refused = smwo.get()
    wait = int(dict(refused.headers)["Retry-After"])
    assert wait >= 1
    assert caller(regas, "lumens").get().status == 200, "each organisation has its own allowance"
    clock.now += wait
    assert smwo.get().status == 200


def test_a_case_made_by_mistake_stays_with_the_time_of_its_deletion() -> None:
    world, regas, _ = system()
    case = next(case for case in cases_of(world, "smwo") if case.state is State.ACTIVE)
    gone = world.put(replace(case, state=State.WITHDRAWN))
    row = caller(regas).get(f"/{case.number}").body
    assert row["verwijderd_op"] == row["gewijzigd_op"] == instant_text(gone.changed_at)
    assert row in caller(regas).all(row["gewijzigd_op"])
    world.rewrite(world.clients["smwo", case.client], moved=False)
    assert caller(regas).get(f"/{case.number}").body["verwijderd_op"] == row["verwijderd_op"]


def test_a_withdrawn_consent_is_a_change_that_the_poll_finds() -> None:
    world, regas, _ = system()
    smwo = caller(regas)
    last = smwo.all()[-1]["gewijzigd_op"]
    case = next(case for case in cases_of(world, "smwo") if case.consent is Consent.YES)
    world.put(replace(case, consent=Consent.NO, consent_on=world.today))
    fresh = smwo.all(last)
    assert [row["toestemming"] for row in fresh if row["traject_id"] == case.number] == [
        {"delen_regie": "nee", "datum": world.today.isoformat()}
    ]


def test_wrong_questions_are_refused_in_words() -> None:
    _, regas, _ = system()
    smwo = caller(regas)
    assert smwo.get("", gewijzigd_vanaf="gisteren").status == 400
    for cursor in (
        "x",
        "%%%",
        base64.urlsafe_b64encode(b'["a"]').decode(),
        base64.urlsafe_b64encode(b'["a","b"]').decode(),
    ):
        assert smwo.get("", cursor=cursor).status == 400
    assert regas.handle(Request("GET", "/elders/api/v1/trajecten")).status == 404
    assert regas.handle(Request("DELETE", "/smwo/api/v1/trajecten")).status == 405
    assert regas.handle(Request("GET", "/smwo/oauth/token")).status == 405


def test_planned_faults_hit_the_next_requests_only() -> None:
    _, regas, _ = system()
    smwo = caller(regas)
    regas.fail_next(503, 2)
    regas.fail_next(401)
    answers = [smwo.get() for _ in range(4)]
    assert [answer.status for answer in answers] == [503, 503, 401, 401], "a 401 forgets every token"
    assert dict(answers[0].headers)["Retry-After"] == "1"
    smwo.log_in()
    assert smwo.get().status == 200
