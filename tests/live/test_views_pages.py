"""Pages over a real database: who sees what, that nothing is shown unlogged, and what every answer carries."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import psycopg
import pytest
from starlette.testclient import TestClient
from views_world import TODAY, Known, World, clear

from samenloop_deploy.local import Databases, LocalStack
from samenloop_processors.keys import KeyKind
from samenloop_schemas.codes import ActorRole, CaseState, NoticeChange, Sensitivity, Status
from samenloop_schemas.records import OverlapStatement
from samenloop_views.database import ViewsDatabase
from samenloop_views.web.app import WebMetrics, build_app, prepare, services_of
from samenloop_views.web.guard import HEADERS
from samenloop_views.web.pages import Services
from samenloop_views.web.processing_log import verify
from samenloop_views.web.viewers import Viewer, demo_viewers

pytestmark = pytest.mark.live
ORIGIN = "http://127.0.0.1:8000"
SAME_SITE = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def module_databases(stack: LocalStack) -> Iterator[Databases]:
    made = stack.new_databases(secrets.token_hex(4))
    yield made
    made.drop()


@pytest.fixture
def databases(module_databases: Databases) -> Databases:
    clear(module_databases)
    return module_databases


@pytest.fixture
def world(databases: Databases) -> Iterator[World]:
    made = World(databases)
    yield made
    made.close()


@pytest.fixture
def services(world: World) -> Iterator[Services]:
    database = ViewsDatabase(world.databases.url("web"), name="web test")
    made = services_of(world.settings(), database, ORIGIN)
    prepare(database, made.sessions, made.log)
    yield made
    database.close()


@pytest.fixture
def browser(services: Services) -> Iterator[TestClient]:
    app = build_app(services, WebMetrics(), frozenset({ORIGIN}))
    with TestClient(app, base_url=ORIGIN, follow_redirects=False, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def log_in(browser: TestClient, services: Services) -> Callable[[str], Viewer]:
    def enter(who: str, area: str = "a2") -> Viewer:
        """As a professional of a party, or as the area's process director."""
        viewers = demo_viewers(*services.reader.book()).values()
        director = who == "director"
        viewer = next(
            v
            for v in viewers
            if v.area == area and (v.role is ActorRole.PROCESS_DIRECTOR if director else who in v.parties)
        )
        browser.cookies.clear()
        answer = browser.post("/inloggen", data={"user": viewer.key}, headers=SAME_SITE)
        assert answer.status_code == 303
        return viewer

    return enter


@pytest.fixture
def noor(world: World) -> tuple[Known, Known, OverlapStatement]:
    """Known to Lumens as Noor Bakker and to the municipality's youth team as Eleonora Bakker."""
    world.begin()
    own = world.involve("lumens/social-work", "one", name=("Noor", "Bakker"))
    other = world.involve(
        "gemeente-valkenswaard/jeugd", "two", name=("Eleonora", "Bakkers"), starts_on=date(2025, 11, 3)
    )
    return own, other, world.overlap(own, other)


def rows(world: World, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(world.databases.admin_url()) as connection:
        return connection.execute(query).fetchall()


def test_the_case_names_the_person_as_ones_own_organisation_does(
    noor: tuple[Known, Known, OverlapStatement], browser: TestClient, log_in: Callable[[str], Viewer]
) -> None:
    case = noor[2]
    for party, name, not_name in (
        ("lumens/social-work", "Noor Bakker", "Eleonora"),
        ("gemeente-valkenswaard/jeugd", "Eleonora Bakkers", "Noor"),
    ):
        log_in(party)
        for path in ("/overlappen", f"/overlappen/{case.case_id}"):
            page = browser.get(path)
            assert page.status_code == 200
            assert name in page.text
            assert not_name not in page.text
    assert "040-0000099" in browser.get(f"/overlappen/{case.case_id}").text


RIGHTS = {
    ("lumens/social-work", "a2"): True,
    ("gemeente-valkenswaard/jeugd", "a2"): True,
    ("lumens/client-support", "a2"): False,
    ("gemeente-valkenswaard/wmo", "a2"): False,
    ("gemeente-valkenswaard/werk-inkomen", "a2"): False,
    ("gemeente-cranendonck/jeugd", "a2"): False,
    ("director", "a2"): False,
    ("smwo/social-work", "bevelanden"): False,
    ("gemeente-goes/jeugd", "bevelanden"): False,
    ("director", "bevelanden"): False,
}


def test_only_the_parties_in_a_case_see_it(
    noor: tuple[Known, Known, OverlapStatement], browser: TestClient, log_in: Callable[..., Viewer], world: World
) -> None:
    for (who, area), sees in RIGHTS.items():
        viewer = log_in(who, area)
        mine, case = browser.get("/overlappen"), browser.get(f"/overlappen/{noor[2].case_id}")
        assert mine.status_code == 200
        found = (case.status_code, "Bakker" in mine.text, "Bakker" in case.text)
        assert found == (200 if sees else 404, sees, sees), who
        unknown = browser.get(f"/overlappen/{'0' * 32}")
        assert unknown.status_code == 404
        refused = (viewer.key, "refused", noor[2].case_id)
        assert (refused in rows(world, "SELECT user_key, outcome, case_id FROM web.processing_log")) is not sees
        if not sees:
            assert case.text.replace(noor[2].case_id, "0" * 32) == unknown.text


def test_nothing_without_logging_in(noor: tuple[Known, Known, OverlapStatement], browser: TestClient) -> None:
    for path in ("/overlappen", f"/overlappen/{noor[2].case_id}", "/versheid"):
        answer = browser.get(path)
        assert (answer.status_code, answer.text) == (303, "")
    assert browser.get("/wijzigingen").status_code == 204
    assert browser.get("/overlappen", headers={"hx-request": "true"}).status_code == 401


def test_each_look_is_in_the_log_before_it_is_shown(
    noor: tuple[Known, Known, OverlapStatement], browser: TestClient, log_in: Callable[[str], Viewer], world: World
) -> None:
    viewer = log_in("lumens/social-work")
    browser.get("/overlappen")
    browser.get(f"/overlappen/{noor[2].case_id}")
    case = noor[2]
    looks = rows(
        world,
        "SELECT seq, user_key, organisation, role, party, action, client_id, case_id, purpose, basis, agreement_version,"
        " outcome FROM web.processing_log ORDER BY seq",
    )
    who = (viewer.key, "lumens", "PROFESSIONAL", "lumens/social-work")
    what = (case.client_id, case.case_id, "early_coordination", "wmo_5_2", 1, "shown")
    assert looks == [
        (1, *who, "log_in", "", "", "", "", 0, "shown"),
        (2, *who, "list", *what),
        (3, *who, "read", *what),
    ]


@pytest.mark.parametrize(
    "fault", ["ALTER TABLE web.processing_log RENAME TO gone", "REVOKE INSERT ON web.processing_log FROM {}"]
)
def test_no_log_no_data(
    noor: tuple[Known, Known, OverlapStatement],
    browser: TestClient,
    log_in: Callable[[str], Viewer],
    world: World,
    fault: str,
) -> None:
    log_in("lumens/social-work")
    with psycopg.connect(world.databases.admin_url(), autocommit=True) as admin:
        role = world.databases.logins["web"].name
        admin.execute(fault.format(f'"{role}"'))
    for path in ("/overlappen", f"/overlappen/{noor[2].case_id}"):
        answer = browser.get(path)
        assert answer.status_code == 503
        for secret in ("Bakker", "Noor", "1984", "Valkenswaard", "040-", noor[2].client_id):
            assert secret not in answer.text
    assert browser.get(f"/overlappen/{'0' * 32}").status_code == 503


def test_the_log_is_a_chain_that_shows_tampering(
    noor: tuple[Known, Known, OverlapStatement], browser: TestClient, log_in: Callable[[str], Viewer], world: World
) -> None:
    log_in("lumens/social-work")
    for _ in range(4):
        browser.get("/overlappen")
    with psycopg.connect(world.databases.url("web"), autocommit=True) as web:
        assert verify(web, "a2") is None
        for statement in ("UPDATE web.processing_log SET outcome = 'x'", "DELETE FROM web.processing_log"):
            with pytest.raises(psycopg.errors.RaiseException):
                web.execute(statement.encode())
    with psycopg.connect(world.databases.admin_url(), autocommit=True) as admin:
        admin.execute("ALTER TABLE web.processing_log DISABLE TRIGGER keep_log")
        admin.execute("DELETE FROM web.processing_log WHERE seq = 5")
        assert verify(admin, "a2") == 5
        admin.execute("UPDATE web.processing_log SET user_key = 'someone' WHERE seq = 3")
        assert verify(admin, "a2") == 3


def test_a_sensitive_organisation_is_not_named(
    world: World, browser: TestClient, log_in: Callable[[str], Viewer]
) -> None:
    world.begin("a2", sensitive="gemeente-valkenswaard")
    own = world.involve("lumens/social-work", "one")
    case = world.overlap(own, world.involve("gemeente-valkenswaard/jeugd", "two", starts_on=date(2024, 2, 29)))
    log_in("lumens/social-work")
    page = browser.get(f"/overlappen/{case.case_id}")
    main = page.text[: page.text.index('id="feeds"')]
    assert "Een dienst is betrokken" in main
    for told in ("Valkenswaard", "valkenswaard", "040-0000099", "Jeugd", "29 februari 2024", "geeft hulp"):
        assert told not in main
    log_in("gemeente-valkenswaard/jeugd")
    assert "Maatschappelijk werk Lumens" in browser.get(f"/overlappen/{case.case_id}").text


@pytest.mark.parametrize("sensitivity", [Sensitivity.SENSITIVE, Sensitivity.PROTECTED])
def test_a_sensitive_or_protected_involvement_is_not_named(
    world: World, browser: TestClient, log_in: Callable[[str], Viewer], sensitivity: Sensitivity
) -> None:
    world.begin("a2")
    own = world.involve("lumens/social-work", "one")
    third = world.involve("gemeente-valkenswaard/wmo", "three")
    case = world.overlap(own, third, world.involve("gemeente-cranendonck/jeugd", "two", sensitivity=sensitivity))
    log_in("lumens/social-work")
    page = browser.get(f"/overlappen/{case.case_id}").text
    main = page[: page.index('id="feeds"')]
    assert "Wmo Valkenswaard" in main
    assert "Cranendonck" not in main
    assert ("Een dienst is betrokken" in main) is (sensitivity is Sensitivity.SENSITIVE)


def test_a_party_within_its_grace_is_not_shown(
    world: World, browser: TestClient, log_in: Callable[[str], Viewer]
) -> None:
    world.begin("a2")
    own, other = world.involve("lumens/social-work", "one"), world.involve("gemeente-valkenswaard/wmo", "two")
    case = world.overlap(own, other, due=False, state=CaseState.DETECTED)
    log_in("lumens/social-work")
    assert browser.get(f"/overlappen/{case.case_id}").status_code == 404
    told = world.overlap(own, other)
    assert told.case_id == case.case_id
    world.delivered(told)
    newcomer = world.involve("gemeente-cranendonck/jeugd", "three")
    grown = world.restate(told, due=(), facts=(*told.facts, newcomer.fact))
    page = browser.get(f"/overlappen/{grown.case_id}")
    assert page.status_code == 200
    assert "Wmo Valkenswaard" in page.text
    assert "Jeugd Cranendonck" not in page.text


def test_a_recalled_overlap_says_only_that(
    noor: tuple[Known, Known, OverlapStatement], world: World, browser: TestClient, log_in: Callable[[str], Viewer]
) -> None:
    case = noor[2]
    world.delivered(case)
    world.restate(case, state=CaseState.NEVER_OVERLAPPED, facts=(), due=())
    world.delivered(case, change=NoticeChange.RECALLED, minutes=5)
    log_in("lumens/social-work")
    page = browser.get(f"/overlappen/{case.case_id}")
    assert page.status_code == 200
    assert "ingetrokken" in page.text
    assert "Bakker" not in page.text
    assert "Valkenswaard" not in page.text
    log_in("gemeente-cranendonck/jeugd")
    assert browser.get(f"/overlappen/{case.case_id}").status_code == 404


def test_an_old_case_id_leads_to_the_case_that_took_over(
    noor: tuple[Known, Known, OverlapStatement], world: World, browser: TestClient, log_in: Callable[[str], Viewer]
) -> None:
    own, other, case = noor
    merged = world.overlap(other, own)
    assert merged.case_id != case.case_id
    world.restate(case, state=CaseState.SUPERSEDED, facts=(), due=())
    log_in("lumens/social-work")
    answer = browser.get(f"/overlappen/{case.case_id}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/overlappen/{merged.case_id}")


def test_an_erased_person_and_an_erased_case_are_gone(
    noor: tuple[Known, Known, OverlapStatement],
    services: Services,
    world: World,
    browser: TestClient,
    log_in: Callable[[str], Viewer],
) -> None:
    own, other, case = noor
    log_in("lumens/social-work")
    world.erase(own.person_key, KeyKind.PERSON)
    page = browser.get(f"/overlappen/{case.case_id}")
    assert page.status_code == 200
    assert "Bakker" not in page.text
    assert "Iemand van wie u geen naam hebt doorgegeven" in page.text
    world.erase(other.case_key, KeyKind.CASE)
    services.reader._keys.forget(KeyKind.CASE, other.case_key.key_id)
    assert browser.get(f"/overlappen/{case.case_id}").status_code == 404


def test_a_retracted_involvement_is_gone_before_the_overlap_is_restated(
    noor: tuple[Known, Known, OverlapStatement], world: World, browser: TestClient, log_in: Callable[[str], Viewer]
) -> None:
    log_in("lumens/social-work")
    world.involve("gemeente-valkenswaard/jeugd", "two", status=Status.RETRACTED, revision=2)
    assert browser.get(f"/overlappen/{noor[2].case_id}").status_code == 404


def test_the_list_has_the_oldest_clock_first_and_leaves_out_what_is_over(
    world: World, browser: TestClient, log_in: Callable[[str], Viewer]
) -> None:
    world.begin("a2")
    for name, by, until in (
        ("Late", date(2026, 3, 20), None),
        ("Soon", date(2026, 3, 11), None),
        ("Over", date(2026, 3, 11), date(2026, 3, 1)),
        ("Undated", None, None),
    ):
        own = world.involve("lumens/social-work", f"{name}-1", name=(name, "Smit"))
        world.overlap(own, world.involve("gemeente-valkenswaard/wmo", f"{name}-2"), contact_by=by, until=until)
    log_in("lumens/social-work")
    page = browser.get("/overlappen").text
    assert re.findall(r">(\w+) Smit<", page) == ["Soon", "Late", "Undated"]


PARTNERS = ("backoffice", "cjg", "ggd", "mee", "smwo")


def test_freshness_tells_silence_from_ignorance(
    world: World, browser: TestClient, log_in: Callable[[str], Viewer]
) -> None:
    world.begin("a2")
    log_in("lumens/social-work")
    assert browser.get("/overlappen").text.count("nog niets bekend") == len(PARTNERS)
    world.involve("lumens/social-work", "one")
    page = browser.get("/overlappen").text
    assert "bijgewerkt tot 10 maart 2026" in page
    assert page.count("nog niets bekend") == len(PARTNERS) - 1
    world.day("a2", date(2026, 3, 16))
    assert "niets meer van gehoord sinds dinsdag 10 maart" in browser.get("/versheid").text


def test_every_answer_has_the_headers(
    noor: tuple[Known, Known, OverlapStatement], browser: TestClient, log_in: Callable[[str], Viewer]
) -> None:
    answers = [browser.get(path) for path in ("/", "/inloggen", "/overlappen", "/nowhere", "/overlappen?pagina=x")]
    answers.append(browser.post("/inloggen", data={"user": "nobody"}, headers=SAME_SITE))
    answers.append(browser.post("/inloggen", data={"user": "nobody"}))
    log_in("lumens/social-work")
    answers += [
        browser.get(p)
        for p in ("/overlappen", f"/overlappen/{noor[2].case_id}", f"/overlappen/{'1' * 32}", "/versheid")
    ]
    answers.append(browser.get("/overlappen", headers={"host": "evil.example"}))
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, answer.url
        assert answer.headers["cache-control"] == "no-store"
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert not re.search(r"<script(?! src=)|\son\w+=|\sstyle=|javascript:", answer.text), answer.url
    style = browser.get(re.search(r'href="(/static/theme[^"]+)"', answers[1].text)[1])  # type: ignore[index]
    assert "immutable" in style.headers["cache-control"]


def test_the_session_cookie_and_what_ends_a_session(
    noor: tuple[Known, Known, OverlapStatement], browser: TestClient, log_in: Callable[[str], Viewer], world: World
) -> None:
    log_in("lumens/social-work")
    answer = browser.post("/inloggen", data={"user": log_in("lumens/social-work").key}, headers=SAME_SITE)
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(r"samenloop=[\w-]{43}; HttpOnly; Path=/; SameSite=lax", cookie)
    assert browser.post("/uitloggen", data={"form_token": "guess"}, headers=SAME_SITE).status_code == 403
    form_token = re.search(r'name="form_token" value="([^"]+)"', browser.get("/overlappen").text)[1]  # type: ignore[index]
    kept = browser.cookies["samenloop"]
    assert browser.post("/uitloggen", data={"form_token": form_token}, headers=SAME_SITE).status_code == 303
    browser.cookies.set("samenloop", kept)
    assert browser.get("/overlappen").status_code == 303
    browser.cookies.clear()
    log_in("lumens/social-work")
    with psycopg.connect(world.databases.admin_url(), autocommit=True) as admin:
        admin.execute("UPDATE web.session SET seen_at = now() - interval '31 minutes'")
    assert browser.get("/overlappen").status_code == 303


def test_outside_the_demo_nobody_logs_in(
    noor: tuple[Known, Known, OverlapStatement], world: World, services: Services
) -> None:
    key = next(iter(demo_viewers(*services.reader.book())))
    database = ViewsDatabase(world.databases.url("web"), name="web test")
    closed = services_of(world.settings(demo=False), database, ORIGIN)
    app = build_app(closed, WebMetrics(), frozenset({ORIGIN}))
    with TestClient(app, base_url=ORIGIN, follow_redirects=False) as client:
        assert key not in client.get("/inloggen").text
        assert client.post("/inloggen", data={"user": key}, headers=SAME_SITE).status_code == 404
        client.cookies.set("samenloop", services.sessions.open(key))
        assert client.get("/overlappen").status_code == 303
    database.close()


def test_before_the_views_exist_pages_say_so(databases: Databases) -> None:
    world = World(databases)
    world.harness.close()
    with psycopg.connect(databases.admin_url(), autocommit=True) as admin:
        admin.execute("DROP SCHEMA views CASCADE")
    database = ViewsDatabase(databases.url("web"), name="web test")
    services = services_of(world.settings(), database, ORIGIN)
    prepare(database, services.sessions, services.log)
    with TestClient(build_app(services, WebMetrics(), frozenset({ORIGIN})), base_url=ORIGIN) as client:
        answer = client.get("/inloggen")
    assert (answer.status_code, "start nog op" in answer.text) == (503, True)
    database.close()


def test_english_for_who_wants_it(noor: tuple[Known, Known, OverlapStatement], browser: TestClient) -> None:
    asks_for_english = {"accept-language": "en-GB,en;q=0.9,nl;q=0.2"}
    assert '<html lang="nl"' in browser.get("/inloggen").text
    assert '<html lang="en"' in browser.get("/inloggen", headers=asks_for_english).text
    answer = browser.post("/taal", data={"language": "en", "back": "/inloggen"}, headers=SAME_SITE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/inloggen")
    assert {"Max-Age=31536000", "HttpOnly", "SameSite=lax"} <= set(answer.headers["set-cookie"].split("; "))
    page = browser.get("/inloggen").text
    assert '<html lang="en"' in page
    assert "Choose who you are" in page
    browser.post("/taal", data={"language": "nl"}, headers=SAME_SITE)
    assert '<html lang="nl"' in browser.get("/inloggen", headers=asks_for_english).text


@pytest.mark.parametrize(
    "back", ["//evil.example/", "https://evil.example/overlappen", "/uitloggen", "/overlappen?x=1", ""]
)
def test_the_choice_of_a_language_leads_nowhere_else(browser: TestClient, back: str) -> None:
    answer = browser.post("/taal", data={"language": "xx", "back": back}, headers=SAME_SITE)
    assert (answer.headers["location"], "set-cookie" in answer.headers) == ("/", False)


def test_today_is_the_day_of_the_log(
    noor: tuple[Known, Known, OverlapStatement], browser: TestClient, log_in: Callable[[str], Viewer]
) -> None:
    log_in("lumens/social-work")
    assert f'data-today="{TODAY}"' in browser.get(f"/overlappen/{noor[2].case_id}").text
