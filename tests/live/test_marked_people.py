"""That, never what; and never who: marked people go through the whole system, and then every place is searched for them.

The hub, its connectors and the partners' systems run as in the demo. A name may be read in two places only: at the source
itself, and on the pages of the organisation that stated it. Each test also plants a marker where it has searched, and finds it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
import sqlite3
import threading
import time
import urllib.request
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import date

import marked_family as family
import markers as m
import psutil
import psycopg
import pytest
from browsing import Browser, Exchange, Person
from kafka import KafkaProducer
from marked_places import broker_places, database_places, file_places, metrics_places, process_places
from marked_world import ANNA_BORN, MarkedWorld
from markers import Marker

from samenloop_deploy.demo.connectors import connector_at_rest
from samenloop_deploy.demo.hub import DemoHub
from samenloop_deploy.demo.partner_systems import Options, PartnerSystems, write_ready
from samenloop_deploy.demo.standing import stages_at_rest
from samenloop_deploy.local import LocalStack
from samenloop_processors.metrics import HubMetrics, MetricsServer

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]

GENEROUS_S = 300.0
CONTROL = "Zzyxmarkel"
SEES = {
    "Wmo Goes": "Qwiblentine",
    "Maatschappelijk werk SMWO": "Vrobnixa",
    "Wmo Borsele": "Kobbexander",
    "Cliëntondersteuning SMWO": "Kobbexje",
    **family.SEES,
}
"""By which name each party knows its client."""


class Lived:
    """Everything that happened, and the hub, which still runs."""

    def __init__(self, hub: DemoHub, world: MarkedWorld) -> None:
        self.hub, self.world = hub, world
        self.exchanges: defaultdict[str, list[Exchange]] = defaultdict(list)
        self.case_of: dict[str, str] = {}

    def search(self, places: Iterable[tuple[str, bytes]], markers: Iterable[Marker] = ()) -> list[str]:
        """What lies there that should not."""
        markers = list(markers) or self.world.all
        return [f"{name} holds {hit}" for name, place in places for hit in m.found(markers, place)]

    def finds(self, about: Iterable[str], places: Iterable[tuple[str, bytes]]) -> bool:
        """Whether the search comes upon each of these markers, by what they are about."""
        hits = self.search(places)
        return all(any(f"holds {one} as" in hit for hit in hits) for one in about)

    @contextmanager
    def browser(self, who: str) -> Iterator[Browser]:
        with Browser(self.hub.url) as browser:
            try:
                yield browser
            finally:
                self.exchanges[who] += browser.exchanges


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + GENEROUS_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {GENEROUS_S:.0f} s: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def lived() -> Iterator[Lived]:
    with LocalStack.start() as stack:
        hub = DemoHub(stack, 0)
        systems = PartnerSystems(Options(hub.drop_folder, seed=7, scale=20))
        world = MarkedWorld(systems)
        systems.start()
        try:
            write_ready(hub.ready_file, systems.description())
            hub.prepare()
            hub.start()
            hub.start_connectors()
            lived = Lived(hub, world)
            live_through(lived)
            yield lived
        finally:
            stack.supervisor.stop_working()
            systems.close()


def live_through(lived: Lived) -> None:
    """The overlaps are shown; then Bert's is withdrawn again, and everybody looks at everything."""
    hub = lived.hub
    until(lambda: answers(hub.url + "/inloggen"), "the pages answer")
    with lived.browser("nobody") as browser:
        until(lambda: SEES.keys() <= {person.name for person in browser.people()}, "the pages know the parties")
        people = {person.name: person for person in browser.people()}
    for name, given in SEES.items():
        with lived.browser(name) as browser:
            browser.log_in(people[name])
            until(lambda b=browser, g=given: says(b.get("/overlappen"), g), f"{name} sees {given}")  # type: ignore[misc]
            (lived.case_of[name],) = (path for path in browser.overlaps() if says(browser.get(path), given))
    with lived.browser("Wmo Borsele") as browser:
        hear_of_a_change(lived, browser, people["Wmo Borsele"])
    with lived.browser("careless") as browser:
        browser.log_in(people["Wmo Goes"])
        assert browser.get("/overlappen/Qwiblentine?verder=Vrobnixa", taal=CONTROL).status == 404
        assert browser.post("/inloggen", user="Kobbexander").status == 404
    since = time.time()
    lived.world.systems.night()
    until(lambda: all(connector_at_rest(hub, feed, since) for feed in hub.feeds), "the sources are read")
    until(lambda: stages_at_rest(hub) and stages_at_rest(hub), "the stages are at rest")
    for person in people.values():
        with lived.browser(person.name) as browser:
            look_around(lived, browser, person)


def hear_of_a_change(lived: Lived, browser: Browser, viewer: Person) -> None:
    """The page of Bert's case listens while his overlap is undone, and then says that it was withdrawn."""
    browser.log_in(viewer)
    case = lived.case_of[viewer.name]
    stand = re.search(r'sse-connect="([^"]+)"', browser.get(case).body.decode())
    assert stand
    with browser.listening(html.unescape(stand[1])) as lines:
        change = threading.Thread(target=lived.world.life_goes_on)
        change.start()
        assert any("changed" in line for line in lines)
        change.join()
    until(lambda: says(browser.get(case), "ingetrokken"), "Bert's overlap is withdrawn")


def look_around(lived: Lived, browser: Browser, person: Person) -> None:
    """Every page there is for this viewer, in both languages, and those of others too."""
    browser.log_in(person)
    for path in (*browser.overlaps(), *lived.case_of.values()):
        browser.get(path)
        browser.get(path, taal="en")
    for path in ("/", "/versheid", "/nergens"):
        browser.get(path)


def says(answer: Exchange, word: str) -> bool:
    return word in answer.body.decode()


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=10).close()
    except OSError:
        return False
    return True


def shown(answer: Exchange) -> bytes:
    """A page without its own address, which its form for the language holds: whoever asked for it wrote that himself."""
    return re.sub(rb'<input type="hidden" name="back" value="[^"]*">', b"", answer.body)


def assert_none(leaks: list[str]) -> None:
    """Says what lies where, and nothing of what lies around it."""
    if leaks:
        pytest.fail("\n".join(sorted(set(leaks))), pytrace=False)


def test_the_sources_hold_the_markers(lived: Lived) -> None:
    """Else nothing below would prove anything."""
    files = sorted(file for file in lived.hub.drop_folder.rglob("*") if file.is_file())
    held = b"".join(_plainly(file.read_bytes()) for file in files)
    expected = [
        *family.held_at_the_sources(),
        "Qwiblentine",
        "Wapdrilstraat",
        "Nieuwdrilkade",
        "19511023",
        "27021948",
        "Vlopperzaad",
        "9753186420",
    ]
    for name in (*expected, "Trubblezaxe", *lived.world.bsns):
        assert name.encode() in held
    assert "Kwöxlandé".encode("cp1252") in held


def _plainly(content: bytes) -> bytes:
    """A file as it is, and what is packed inside it: a message in its envelope, a sheet in its workbook."""
    within = [base64.b64decode(found) for found in re.findall(rb">\s*([A-Za-z0-9+/=\s]{200,})\s*<", content)]
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            within += [packed.read(name) for name in packed.namelist()]
    return b"\n".join([content, *within])


def test_the_hub_took_them_in(lived: Lived) -> None:
    """Overlaps were told and recalled, and what could not be read was set aside."""
    with psycopg.connect(lived.hub.databases.admin_url()) as connection:
        told = connection.execute(
            "SELECT count(*) FROM views_v1.notice_sent WHERE kind = 'NOTICE_DELIVERED'"
        ).fetchone()
    # four parties of Anna's overlap, two of Bert's and their recalls, three of Dora's
    assert told
    assert told[0] >= 11
    for partner, field in (("backoffice", "geboortedatum"), ("smwo", "einddatum")):
        with closing(sqlite3.connect(lived.hub.edge / partner / "edge.sqlite")) as edge:
            assert edge.execute("SELECT count(*) FROM quarantine WHERE field = ?", [field]).fetchone() == (1,)


def test_no_topic_names_anybody(lived: Lived) -> None:
    places = dict(broker_places(lived.hub))
    assert len(places[f"topic {lived.hub.topics.involvements}"]) > 10_000
    assert_none(lived.search(places.items()))
    topic = lived.hub.topics.quarantine("hub")
    with closing(KafkaProducer(**lived.hub.stack.kafka_access().client_args())) as producer:
        producer.send(topic, key=b"Qwiblentine").get(30)
        producer.send(topic, value=base64.b64encode(b"of Vrobnixa, said")).get(30)
        producer.send(topic, value=b"-", headers=[("h", CONTROL.encode("utf-16-le"))]).get(30)
    planted = ("Anna's given name", "Anna's call name", "Anna's surname")
    assert lived.finds(planted, broker_places(lived.hub, topic))


def test_no_table_names_anybody(lived: Lived) -> None:
    places = list(database_places(lived.hub))
    assert {"intake_v1", "clients_v1", "overlaps_v1", "views_v1", "web", "public"} <= {
        name.partition(", ")[2].partition(".")[0] for name, _ in places
    }
    assert_none(lived.search(places))
    for url in (lived.hub.databases.admin_url(), lived.hub.databases.admin_keys_url()):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE planted (t text[], j jsonb, b bytea, d date)")
            connection.execute(
                "INSERT INTO planted VALUES (%s, %s, %s, %s)",
                (["Qwiblentine"], json.dumps({"so": "Vrobnixa"}), "Zzyxmarkel".encode("utf-16-be"), ANNA_BORN),
            )
    about = ("Anna's given name", "Anna's call name", "Anna's surname", "Anna's birth date")
    for database in {name.partition(",")[0] for name, _ in places}:
        assert lived.finds(about, (each for each in database_places(lived.hub) if each[0].startswith(database)))


def test_no_file_names_anybody(lived: Lived) -> None:
    """Logs, configurations, what connectors remember and what waits to be sent."""
    places = dict(file_places(lived.hub))
    processes = ("intake", "clients", "overlaps", "views", "web", "notifier", "clock", *lived.hub.feeds)
    assert {f"logs/{name}.log" for name in processes} <= places.keys()
    assert {f"edge/{feed}/edge.sqlite-wal" for feed in lived.hub.feeds} <= places.keys()
    assert_none(lived.search(places.items()))
    with (lived.hub.logs / "web.log").open("a") as log:
        log.write(hashlib.sha256(lived.world.bsns[0].encode()).hexdigest() + "\n")
    with closing(sqlite3.connect(lived.hub.edge / "planted.sqlite")) as edge:
        edge.execute("PRAGMA journal_mode = wal")
        edge.execute("CREATE TABLE planted (body BLOB)")
        edge.execute("INSERT INTO planted VALUES (?)", ["9753186420"])
        edge.commit()
        planted = dict(file_places(lived.hub))
        assert lived.finds(["Anna's BSN"], [("log", planted["logs/web.log"])])
        assert lived.finds(["the source's number 9753186420"], [("wal", planted["edge/planted.sqlite-wal"])])


def test_no_metric_names_anybody(lived: Lived) -> None:
    places = list(metrics_places(lived.hub.metrics_ports))
    telling = {name for name, place in places if b"# TYPE samenloop_" in place}
    assert {f"{name}'s metrics" for name in lived.hub.metrics_ports} <= telling
    assert_none(lived.search(places))
    metrics = HubMetrics()
    metrics.stalls.labels("intake", CONTROL).inc()
    with closing(MetricsServer(metrics.registry)) as server:
        server.start()
        assert lived.finds(["Anna's surname"], metrics_places({"planted": server.port}))


def test_no_process_was_started_with_a_name(lived: Lived) -> None:
    assert_none(lived.search(process_places(lived.hub)))
    own = repr((psutil.Process().cmdline(), {"X": CONTROL})).encode()
    assert lived.finds(["Anna's surname"], [("planted", own)])


def test_nothing_but_a_pages_body_names_anybody(lived: Lived) -> None:
    """No address, header, cookie or form: what browsers, proxies and log files keep."""
    around = [
        (f"{who}: {each.method} {each.path}", each.around) for who, all_ in lived.exchanges.items() for each in all_
    ]
    assert len(around) > 100
    assert_none(lived.search(place for place in around if not place[0].startswith("careless")))
    careless = [place for place in around if place[0].startswith("careless")]
    assert lived.finds(["Anna's given name", "Anna's call name", "Anna's surname", "Bert's given name"], careless)


def test_a_page_names_a_person_only_to_the_party_that_stated_him_and_as_it_did(lived: Lived) -> None:
    wrong: list[str] = []
    for who, exchanges in lived.exchanges.items():
        mine = lived.world.may_be_shown_to(who)
        others = [marker for marker in lived.world.all if marker not in mine]
        wrong += lived.search(((f"{who}: {each.path}", shown(each)) for each in exchanges), others)
    assert_none(wrong)
    for who in SEES:
        bodies = [each.body for each in lived.exchanges[who] if each.path == lived.case_of[who]]
        for marker in lived.world.may_be_shown_to(who):
            assert any(m.found([marker], body) for body in bodies), f"{who} does not see {marker.about}"


def test_who_is_not_of_the_party_gets_the_same_answer_as_for_a_case_that_is_not(lived: Lived) -> None:
    anna = lived.case_of["Wmo Goes"]
    refused = [e for who, all_ in lived.exchanges.items() if who not in SEES for e in all_ if e.path == anna]
    nowhere = next(e for e in lived.exchanges["Jeugd Goes"] if e.path == "/nergens")
    assert len(refused) > 20
    assert {answer.status for answer in refused} == {404}
    assert shown(nowhere) in {shown(answer) for answer in refused}


@pytest.mark.parametrize("marker", [m.text("x", "Bjürndotta"), m.day("x", ANNA_BORN), m.bsn("x", "999990019")])
@pytest.mark.parametrize("around", [b"", b" ", b'"', b"\x00", b"<b>"])
def test_a_marker_is_found_in_every_form_and_only_there(marker: Marker, around: bytes) -> None:
    for form in marker.forms:
        assert marker.found_in(b"before" + around + form + around + b"after")
    assert not marker.found_in(b"before" + around + b"after")


@pytest.mark.parametrize(
    "place",
    [
        "23-10-1951", "1951-10-23", "23101951", "19511023", "23/10/1951", "23 oktober 1951", "October 23, 1951", "23 okt. 1951",
        base64.b64encode(b"born 1951-10-23, they say").decode(), base64.b64encode(b"b1951-10-23").decode(),
        base64.urlsafe_b64encode(b"bo19511023?").decode(), b"1951-10-23".hex(), "year=1951, month=10, day=23",
    ],
)  # fmt: skip
def test_a_date_is_found_however_it_is_written(place: str) -> None:
    assert m.day("x", ANNA_BORN).found_in(place.encode())
    assert not m.day("x", date(1960, 1, 5)).found_in(place.encode())


def test_chance_does_not_look_like_a_date() -> None:
    assert not m.day("x", ANNA_BORN).found_in(b"a19511023f")
