"""The welfare connector: what a trajectory means, and how the API is read when it is slow, strict or interrupted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from edge_tools import NOON, Edge, opened
from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop_connectors.sdk.connector import Failed, Item, Reading
from samenloop_connectors.sdk.errors import ConfigurationError, TransientError
from samenloop_connectors.smwo import mapping
from samenloop_connectors.smwo.config import SmwoConfig
from samenloop_connectors.smwo.connector import SmwoConnector
from samenloop_schemas.codes import Consent, EndReason, Status
from samenloop_schemas.dates import PartialDate, micros


def trajectory(number: str = "T1", changed: str = "2026-03-01T10:00:00.000000Z", **fields: Any) -> dict[str, Any]:
    client = {
        "roepnaam": "Zoë", "voorletters": "z.m", "tussenvoegsel": None, "achternaam": "de Vries-Jansen",
        "geboortedatum": "1984-01-01", "geslacht": "V", "postcode": "4461 ab", "huisnummer_volledig": "12a-3",
        "telefoon": "+31612345678", "email": "Zoe@Example.org",
    }  # fmt: skip
    return {
        "traject_id": number, "client_id": "C9", "soort": "AMW", "status": "lopend", "aanmelddatum": "2026-02-01",
        "startdatum": "2026-02-10", "einddatum": None, "afsluitreden": None, "team": "Team Zuid",
        "client": client | fields.pop("client", {}), "toestemming": {"delen_regie": fields.pop("consent", "ja"), "datum": None},
        "gewijzigd_op": changed, "verwijderd_op": None,
    } | fields  # fmt: skip


class Api:
    """A registration system on a real socket: rows by (gewijzigd_op, traject_id), tokens, and faults on demand."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.faults: list[tuple[int, dict[str, str]]] = []
        self.asked: list[dict[str, list[str]]] = []
        self.tokens = 0
        self.page = 3
        api = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def answer(self, status: int, body: Any, **headers: str) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Authorization"] != "Basic aWQ6cmlnaHQ=":  # id:right
                    return self.answer(401, {"error": "invalid_client"})
                api.tokens += 1
                return self.answer(200, {"access_token": f"t{api.tokens}", "token_type": "Bearer", "expires_in": 900})

            def do_GET(self) -> None:
                if api.faults:
                    status, headers = api.faults.pop(0)
                    return self.answer(status, {}, **headers)
                if self.headers["Authorization"] != f"Bearer t{api.tokens}":
                    return self.answer(401, {})
                asked = parse_qs(urlsplit(self.path).query)
                api.asked.append(asked)
                after = (
                    tuple(json.loads(asked["cursor"][0]))
                    if "cursor" in asked
                    else (asked.get("gewijzigd_vanaf", [""])[0], "")
                )
                keys = sorted((row["gewijzigd_op"], number) for number, row in api.rows.items())
                later = [key for key in keys if (key > after if "cursor" in asked else key >= after)]
                shown, more = later[: api.page], later[api.page :]
                following = json.dumps(shown[-1]) if more else None
                rows = [api.rows[number] for _, number in shown]
                return self.answer(200, {"trajecten": rows, "volgende_cursor": following})

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def put(self, *rows: dict[str, Any]) -> None:
        self.rows |= {row["traject_id"]: row for row in rows}

    def config(self, directory: Path, **fields: Any) -> SmwoConfig:
        organisation = {
            "id": "lumens", "area": "a2", "base_url": f"http://127.0.0.1:{self.server.server_port}/lumens", "client_id": "id",
            "client_secret": fields.pop("secret", "right"), "contact": {"team": "Lumens", "phone": "040-1"},
            "teams": {"Team Zuid": {"team": "Team Zuid"}},
        }  # fmt: skip
        content = {
            "connector": "smwo",
            "partner": "smwo",
            "state_dir": directory,
            "organisations": [organisation],
        } | fields
        return SmwoConfig.model_validate(content)


@pytest.fixture
def api() -> Iterator[Api]:
    running = Api()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def edge(api: Api, tmp_path: Path) -> Iterator[Edge]:
    made = Edge(tmp_path, SmwoConnector(api.config(tmp_path), lambda: NOON, lambda seconds: False))
    yield made
    made.close()


def test_a_trajectory_in_the_hubs_words(api: Api, edge: Edge) -> None:
    api.put(trajectory(status="afgesloten", einddatum="2026-02-28", afsluitreden="verhuisd"))
    assert edge.runner.round().stated == 1
    said = edge.only()
    person = opened(said)
    assert person is not None
    assert (said.area, said.organisation, said.source_system, said.service_group) == (
        "a2",
        "lumens",
        "regas",
        "social_work",
    )
    assert (said.status, said.starts_on, said.ends_on) == (Status.ENDED, date(2026, 2, 10), date(2026, 3, 1))
    assert (said.end_reason, said.consent, said.contact.team) == (EndReason.MOVED, Consent.GIVEN, "Team Zuid")
    assert said.revision == micros(datetime.fromisoformat("2026-03-01T10:00:00Z")) * 1000 + 1
    assert (person.surname_prefix, person.surname, person.partner_surname) == ("de", "Vries", "Jansen")
    assert (person.address.house_number, person.address.house_letter, person.address.house_addition) == ("12", "A", "3")
    assert (person.address.postcode, person.phone, person.initials) == ("4461AB", "0612345678", "Z.M.")
    assert person.birth_date == PartialDate(1984, 1, 1)
    assert (person.bsn, person.statement_id, person.organisation) == ("", said.statement_id, "lumens")


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [
        ({"status": "wachtlijst", "startdatum": None}, Status.ANNOUNCED, True),
        ({"status": "aanmelding", "startdatum": None}, Status.ANNOUNCED, True),
        ({"verwijderd_op": "2026-03-01T10:00:00Z"}, Status.RETRACTED, False),
        ({"status": "afgesloten", "startdatum": None}, Status.RETRACTED, False),
        ({"status": "afgesloten"}, Status.ENDED, True),
        ({"consent": "nee"}, Status.ACTIVE, False),
        ({"consent": "niet_gevraagd"}, Status.ACTIVE, False),
        ({"client": {"geboortedatum": None, "postcode": None, "huisnummer_volledig": None}}, Status.ACTIVE, True),
    ],
)
def test_status_and_whether_the_person_is_named(
    api: Api, edge: Edge, fields: dict[str, Any], status: Status, named: bool
) -> None:
    api.put(trajectory(**fields))
    edge.runner.round()
    assert edge.only().status is status
    assert (edge.only().identity is not None) is named
    assert (edge.only().ends_on is not None) is (status is Status.ENDED), (
        "what is closed without a date ended when that was written"
    )


def test_pages_changes_and_quiet_polls(api: Api, edge: Edge) -> None:
    api.put(*(trajectory(f"T{number}") for number in range(8)))  # one bulk change, wider than a page
    assert (edge.runner.round().stated, edge.runner.round().items, edge.runner.round().items) == (8, 0, 0)
    api.put(trajectory("T3", "2026-03-01T10:00:00.000001Z", status="afgesloten", einddatum="2026-03-01"))
    assert edge.runner.round().stated == 1
    assert edge.statements()[-1].status is Status.ENDED
    api.put(trajectory("T9", "2026-03-01T09:58:00.000000Z"))  # saved late, inside the overlap
    assert edge.runner.round().stated == 1


def test_a_poll_that_breaks_off_goes_on_at_its_page(api: Api, edge: Edge) -> None:
    api.put(*(trajectory(f"T{number}") for number in range(8)))
    edge.runner.take(next(reading for reading in edge.connector.read(edge.state) if isinstance(reading, Reading)))
    before = len(api.asked)
    assert edge.runner.round().items == 5
    assert "cursor" in api.asked[before]
    assert len(edge.final()) == 8


def test_patience_with_a_slow_or_strict_api(api: Api, tmp_path: Path) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return False

    edge = Edge(tmp_path, SmwoConnector(api.config(tmp_path), lambda: NOON, wait))
    api.put(trajectory())
    api.faults = [(429, {"Retry_After": "7"}), (503, {}), (401, {})]
    assert edge.runner.round().stated == 1
    assert waited[0] >= 7
    assert api.tokens == 2
    edge.close()


def test_an_api_that_stays_away_is_transient_and_the_next_poll_tries_again(api: Api, edge: Edge) -> None:
    api.put(trajectory())
    api.faults = [(500, {})] * 5
    (failed,) = edge.runner.round().failed
    assert isinstance(failed.error, TransientError)
    assert edge.runner.round().stated == 1


def test_wrong_credentials_need_a_person(api: Api, tmp_path: Path) -> None:
    connector = SmwoConnector(api.config(tmp_path, secret="wrong-secret"), lambda: NOON)
    with pytest.raises(ConfigurationError, match="client_secret") as caught:
        connector.check()
    assert "wrong-secret" not in str(caught.value)
    state = type("Nothing", (), {"cursor": lambda *_: None, "readings": lambda *_: {}})()
    (failed,) = connector.read(state)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ConfigurationError)


def test_rows_that_cannot_be_read_are_set_aside_and_released(api: Api, edge: Edge) -> None:
    api.put(trajectory("T1", status="zoek"), trajectory("T2", startdatum="gisteren"), trajectory("T3"))
    api.rows["T4"] = trajectory("T4") | {"traject_id": None}
    assert edge.runner.round().stated == 1
    db = edge.store.connection
    assert sorted(db.execute("SELECT code, field FROM quarantine")) == [
        ("missing", "traject_id"), ("unknown_code", "status"), ("unreadable", "startdatum"),
    ]  # fmt: skip
    api.put(trajectory("T1", "2026-03-02T10:00:00.000000Z"))
    assert edge.runner.round().stated == 1
    assert db.execute("SELECT count(*) FROM quarantine").fetchone() == (2,)


def test_consent_that_is_taken_back_and_given_again(api: Api, edge: Edge) -> None:
    for day, consent in enumerate(("ja", "nee", "ja"), 1):
        api.put(trajectory("T1", f"2026-03-0{day}T10:00:00.000000Z", consent=consent))
        edge.runner.round()
    assert [said.consent for said in edge.statements()] == [Consent.GIVEN, Consent.REFUSED, Consent.GIVEN]
    assert [said.identity is None for said in edge.statements()] == [False, True, False]


def test_a_case_that_goes_on_is_confirmed_once_per_term(api: Api, tmp_path: Path) -> None:
    today = [NOON]
    edge = Edge(tmp_path, SmwoConnector(api.config(tmp_path), lambda: today[0]), lambda: today[0])
    api.put(trajectory("T1", "2026-11-20T10:00:00.000000Z"), trajectory("T2", "2026-11-20T10:00:00.000000Z",
            status="afgesloten", einddatum="2026-11-01"))  # fmt: skip
    for _ in range(25):
        edge.runner.round()
        today[0] += timedelta(days=8)
    by_case = [[said for said in edge.statements() if said.case_ref == ref] for ref in edge.final()]
    assert sorted(map(len, by_case)) in ([1, 3], [1, 4])
    for said in by_case:
        assert [each.revision for each in said] == sorted({each.revision for each in said})
        assert all(each.confirmed_on and each.confirmed_on <= each.stated_at.date() for each in said)
    edge.close()


versions = st.tuples(
    st.integers(0, 4), st.sampled_from(["lopend", "wachtlijst", "afgesloten", "zoek"]), st.sampled_from("AB")
)


@settings(max_examples=25, deadline=None)
@given(st.lists(versions, min_size=1, max_size=6, unique_by=lambda v: v[0]), st.data())
def test_any_order_repeats_and_splits_give_the_same_final_statement(
    rows: list[tuple[int, str, str]], data: st.DataObject
) -> None:
    """Each version of the record is a source item; a poll may meet them in any order, more than once."""

    def item(version: tuple[int, str, str]) -> Item:
        row = trajectory(
            "T1", f"2026-03-0{version[0] + 1}T10:00:00Z", status=version[1], einddatum="2026-02-20", team=version[2]
        )
        return Item("lumens", "T1", mapping.version(row), row)

    def final(order: list[tuple[int, str, str]]) -> dict[str, Any]:
        with TemporaryDirectory() as folder:
            config = SmwoConfig.model_validate({
                "connector": "smwo", "partner": "smwo", "state_dir": folder, "organisations": [
                    {"id": "lumens", "area": "a2", "base_url": "http://127.0.0.1:9", "client_id": "i", "client_secret": "s"}
                ],
            })  # fmt: skip
            edge = Edge(Path(folder), SmwoConnector(config))
            for version in order:  # a reading's instant goes with the version, so that both orders hold the same set
                edge.runner.take(Reading("lumens", micros(NOON) + version[0], False, [item(version)]))
            found = edge.final()
            edge.close()
            return found

    order = data.draw(st.permutations(rows)) + data.draw(st.lists(st.sampled_from(rows), max_size=4))
    assert final(order) == final(sorted(rows))
