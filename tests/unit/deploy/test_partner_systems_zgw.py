"""The youth teams' case system of the demo: who is let in, what it shows, and the connector beside it with its notifications."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from samenloop_connectors import app
from samenloop_connectors.cjg.connector import CjgConnector
from samenloop_connectors.sdk.runner import Runner
from samenloop_connectors.sdk.state import DDL, State
from samenloop_deploy.demo.connectors import connector_configs
from samenloop_deploy.demo.partner_systems import Options, PartnerSystems
from samenloop_deploy.demo.partners.seam import Outgoing, Request, Surroundings
from samenloop_deploy.demo.partners.zgw import Zgw
from samenloop_deploy.demo.partners.zgw_resources import ORGANISATIONS, QUESTIONS
from samenloop_deploy.demo.world import World
from samenloop_deploy.shipped import shipped
from samenloop_processors.agreement import load_agreement
from samenloop_producers.keys import EdgeKeys
from samenloop_producers.metrics import EdgeMetrics
from samenloop_producers.outbox import EdgeStore
from samenloop_producers.statement import StatementMaker
from samenloop_schemas import codec, sealing
from samenloop_schemas.records import InvolvementStatement

START = datetime(2026, 11, 20, 9, tzinfo=UTC)
ORGANISATION = "cjg-bevelanden"
KEYS = EdgeKeys(bytes(range(32)))
STATUS = {"announced": "ANNOUNCED", "active": "ACTIVE", "paused": "PAUSED", "ended": "ENDED", "withdrawn": "RETRACTED"}
ROUNDS = 300


class Alone:
    """The system without a socket, and what it sent."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.world = World(1, 300, START)
        self.outgoing: list[Outgoing] = []
        self.seconds = 0.0
        around = Surroundings(
            self.world, folder, "http://127.0.0.1:1", clock=lambda: self.seconds, send=self.outgoing.append,
            rate=options.pop("rate", 1000.0), burst=options.pop("burst", 1000),
        )  # fmt: skip
        self.zgw = Zgw(around, wall=START.timestamp, **options)
        self.zgw.follow()
        self.own = self.zgw.description()["organisations"]

    def get(self, path: str, query: str = "", organisation: str = ORGANISATION, **claims: Any) -> tuple[int, Any]:
        own = self.own[claims.pop("of", organisation)]
        told = {"iss": own["client_id"], "client_id": own["client_id"], "iat": int(START.timestamp())} | claims
        secret = told.pop("secret", own["client_secret"])
        headers = {"authorization": f"Bearer {jwt.encode(told, secret, algorithm='HS256')}", "accept-crs": "EPSG:4326"}
        answer = self.zgw.handle(Request("GET", f"/zgw/{organisation}/{path}", query, headers))
        return answer.status, answer.body


@pytest.fixture
def alone(tmp_path: Path) -> Alone:
    return Alone(tmp_path)


ZAKEN = "zaken/api/v1/zaken"


def test_who_is_let_in(alone: Alone) -> None:
    assert alone.get(ZAKEN)[0] == 200
    assert alone.get(ZAKEN, secret="another secret that is long enough")[0] == 403
    assert alone.get(ZAKEN, of="cjg-zwolle")[0] == 403, "each organisation for itself"
    assert alone.get(ZAKEN, client_id="somebody")[0] == 403
    assert alone.get(ZAKEN, iat=int((START - timedelta(hours=2)).timestamp()))[0] == 403
    assert alone.get(ZAKEN, iat=int((START + timedelta(hours=2)).timestamp()))[0] == 403
    bare = Request("GET", f"/zgw/{ORGANISATION}/{ZAKEN}", headers={"authorization": "Bearer nonsense"})
    assert alone.zgw.handle(bare).status == 403


def test_pages_filters_and_what_is_not_there(tmp_path: Path) -> None:
    alone = Alone(tmp_path, page=3)
    status, first = alone.get(ZAKEN)
    assert (status, len(first["results"]), first["previous"]) == (200, 3, None)
    found = [zaak["uuid"] for zaak in first["results"]]
    page, more = 1, first
    while more["next"]:
        page += 1
        status, more = alone.get(ZAKEN, f"page={page}")
        assert status == 200
        found += [zaak["uuid"] for zaak in more["results"]]
    assert len(found) == len(set(found)) == first["count"] > QUESTIONS
    assert alone.get(ZAKEN, "page=99")[0] == 404
    assert alone.get(ZAKEN, "page=x")[0] == alone.get(ZAKEN, "expand=rollen")[0] == 400
    late = alone.get(ZAKEN, "startdatum__gte=2026-06-01")[1]["results"]
    assert all(zaak["startdatum"] >= "2026-06-01" for zaak in late)
    assert alone.get(f"{ZAKEN}/00000000-0000-4000-8000-000000000000")[0] == 404
    roles = alone.get("zaken/api/v1/rollen", f"zaak={first['results'][0]['url']}")[1]["results"]
    assert {role["zaak"] for role in roles} == {first["results"][0]["url"]}
    for url in (first["results"][0]["zaaktype"], *first["results"][0]["rollen"]):
        assert alone.get(url.partition(f"{ORGANISATION}/")[2])[0] == 200


def test_too_many_requests_and_asked_for_faults(tmp_path: Path) -> None:
    alone = Alone(tmp_path, rate=2.0, burst=3)
    assert [alone.get(ZAKEN)[0] for _ in range(4)] == [200, 200, 200, 429]
    alone.seconds = 5
    assert alone.get(ZAKEN)[0] == 200
    alone.zgw.plan_fault({"status": "503"}, 1)
    assert [alone.get(ZAKEN)[0] for _ in range(2)] == [503, 200]


def test_each_change_is_notified_some_not_at_all_and_some_twice(alone: Alone) -> None:
    assert alone.outgoing == [], "what was there is not told"
    for _ in range(ROUNDS):
        alone.world.play(4)
        alone.zgw.follow()
    sent = [outgoing.body for outgoing in alone.outgoing]
    assert len(set(sent)) < len(sent)
    assert 0 < alone.zgw.sent["lost"] < len(sent) / 3
    assert {outgoing.url.rpartition("/")[2] for outgoing in alone.outgoing} == set(ORGANISATIONS)
    assert all(outgoing.headers["Authorization"].startswith("Bearer ") for outgoing in alone.outgoing)
    assert not any(word in body for body in sent for word in (b"inpBsn", b"geslachtsnaam", b"omschrijving"))
    alone.zgw.plan_fault({"kind": "lost"}, 1000)
    before = len(alone.outgoing)
    alone.world.play(50)
    alone.zgw.follow()
    assert len(alone.outgoing) == before


class Chain:
    """All partner systems over sockets, and a ZGW connector that listens."""

    def __init__(self, folder: Path, **fields: Any) -> None:
        self.systems = PartnerSystems(
            Options(folder / "drop", scale=300, tick_seconds=0, extract_seconds=0, started_at=START)
        )
        self.systems.start()
        agreements = [load_agreement(file) for file in sorted(shipped("agreements").glob("*.yaml"))]
        config = connector_configs(agreements, self.systems.description()["systems"], folder)["cjg"] | fields
        self.connector = app.make_connector(app._config(config), threading.Event())
        assert isinstance(self.connector, CjgConnector)
        self.store = EdgeStore(folder / "cjg", DDL)
        maker = StatementMaker(KEYS, sealing.public_key(sealing.new_hub_key()[1]), "zgw")
        self.runner = Runner(
            self.connector, State(self.store, KEYS), KEYS, maker, EdgeMetrics("cjg"), inbox="in.cjg", source="urn:test"
        )
        self.woken = threading.Event()
        self.connector.start(self.woken.set)

    @property
    def zgw(self) -> Zgw:
        return next(system for system in self.systems.systems if isinstance(system, Zgw))

    def play(self, changes: int) -> None:
        self.systems.answer(Request("POST", "/play", f"changes={changes}"))

    def statuses(self) -> dict[str, str]:
        newest: dict[str, InvolvementStatement] = {}
        for waiting in self.store.waiting(100_000):
            said = codec.decode(waiting.event.value, InvolvementStatement)
            if said.case_ref not in newest or said.revision > newest[said.case_ref].revision:
                newest[said.case_ref] = said
        return {ref: str(said.status) for ref, said in newest.items()}

    def true(self) -> dict[str, str]:
        cases = [case for case in self.systems.world.cases.values() if case.source == "zgw"]
        return {
            KEYS.case_ref(case.organisation, "zgw", self.zgw.number_of(case)): STATUS[str(case.state)] for case in cases
        }

    def close(self) -> None:
        self.connector.close()  # type: ignore[attr-defined]
        self.systems.stop()
        self.systems.close()
        self.store.close()


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path, reconcile_seconds=86_400.0)
    yield made
    made.close()


def test_the_connector_hears_and_in_the_end_knows_all(chain: Chain) -> None:
    first = chain.runner.round()
    assert not first.failed
    true = chain.true()
    assert chain.statuses() == {ref: status for ref, status in true.items() if status != "RETRACTED"}
    for _ in range(40):
        chain.play(10)
    expected = chain.zgw.sent["sent"]
    assert expected > 3
    while len(_tray(chain)) < expected:
        assert chain.woken.wait(20), "the courier brings them"
        chain.woken.clear()
    heard = chain.runner.round()
    assert not heard.failed
    assert heard.stated > 0
    assert _tray(chain) == []
    known = chain.statuses()
    right = sum(
        known.get(ref) == status for ref, status in chain.true().items() if status != "RETRACTED" or ref in known
    )
    assert right >= 0.8 * len(chain.true()), "all but what was lost"
    chain.connector._config = chain.connector._config.model_copy(update={"whole_hours": 1e-9})  # type: ignore[attr-defined]
    assert not chain.runner.round().failed
    known = chain.statuses()
    assert {ref: known.get(ref, "RETRACTED") for ref in chain.true()} == chain.true()


def test_the_real_process_answers_as_open_notificaties_wants(chain: Chain) -> None:
    port = chain.zgw.description()["callback_port"]
    token = chain.zgw.description()["organisations"][ORGANISATION]["token"]
    url = f"http://127.0.0.1:{port}/{ORGANISATION}"
    test = {
        "kanaal": "test", "hoofdObject": "http://x/", "resource": "r", "resourceUrl": "http://x/", "actie": "create",
        "aanmaakdatum": "2019-01-01T12:00:00Z", "kenmerken": {},
    }  # fmt: skip
    with httpx.Client(trust_env=False) as client:
        assert client.post(url, json=test).status_code == 401
        assert client.post(url, json=test, headers={"Authorization": f"Bearer {token}"}).status_code == 204


def _tray(chain: Chain) -> list[Any]:
    notebook = chain.connector._notes  # type: ignore[attr-defined]
    return [each for organisation in ORGANISATIONS for each in notebook.tray(f"notified {organisation}")]
