"""The doctor at a connector: its file, its state, its source, what waits and what the hub said, each broken in turn."""

from __future__ import annotations

import json
import shutil
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from edge_tools import HUB_PUBLIC, SECRET, Edge

from samenloop_connectors.backoffice.config import BackofficeConfig
from samenloop_connectors.backoffice.connector import BackofficeConnector
from samenloop_connectors.sdk import inbox
from samenloop_deploy.cli.doctor import exit_code
from samenloop_deploy.demo.feeds import FEEDS
from samenloop_deploy.doctor import Edge as LookedAt
from samenloop_deploy.doctor import Finding, Scene, connector, examine
from samenloop_schemas.codes import ReceiptCode, ReceiptKind
from samenloop_schemas.records import Receipt

COLUMNS = (
    "clientnummer;bsn;voorletters;voornamen;voorvoegsel;achternaam;voorvoegsel_echtgenoot;achternaam_echtgenoot;"
    "aanduiding_naamgebruik;geslacht;geboortedatum;straatnaam;huisnummer;huisletter;huisnr_toevoeging;postcode;woonplaats;"
    "regeling;dossiernummer;datum_aanvang;datum_einde;consulent_team;status;mutatiedatum"
)


def extract(*dossiers: int, born: str = "19680704") -> str:
    rows = [
        f"8{dossier};999900006;J.;Jozefien;van;Zwartkruis;;;1;V;{born};Geheimelaan;17;;;5554XK;Valkenswaard;Participatiewet;"
        f"{dossier};20250310;;Inkomen;lopend;20260105"
        for dossier in dossiers
    ]
    return "\r\n".join([COLUMNS, *rows, f"TRAILER;{len(rows)}", ""])


class Site:
    """A municipality's connector that ran once, with everything at the hub and answered."""

    def __init__(self, root: Path) -> None:
        self.folder, self.state, self.file = root / "drop", root / "state", root / "backoffice.json"
        self.folder.mkdir()
        self.organisation: dict[str, Any] = {
            "id": "gemeente-valkenswaard",
            "code": "0858",
            "area": "a2",
            "consent": "not_required",
        }
        self.environment = {
            "SAMENLOOP_HUB_PUBLIC_KEY": b64encode(HUB_PUBLIC).decode(),
            "SAMENLOOP_EDGE_SECRET": b64encode(SECRET).decode(),
            "SAMENLOOP_KAFKA_BOOTSTRAP": "127.0.0.1:1",
            "SAMENLOOP_KAFKA_USERNAME": "backoffice",
            "SAMENLOOP_KAFKA_PASSWORD": "x",
        }
        self.write()
        (self.folder / "GWS_0858_PW_20261119.csv").write_text(extract(1, 2, 3, 4), "utf-8")
        self.edge = Edge(
            self.state, BackofficeConnector(self.config(), lambda: datetime.now().astimezone(), lambda s: False)
        )
        self.round()

    def round(self, *, answered: bool = True) -> None:
        self.edge.runner.round(lambda: False)
        if answered:
            waiting = self.edge.store.waiting(100)
            for statement in self.edge.statements():
                self.hear(statement, ReceiptKind.ACCEPTED)
            self.edge.store.confirm([each.seq for each in waiting])

    def hear(self, statement: Any, kind: ReceiptKind, *codes: ReceiptCode) -> None:
        receipt = Receipt(
            receipt_id=uuid4(), area=statement.area, kind=kind, statement_id=statement.statement_id,
            organisation=statement.organisation, case_ref=statement.case_ref, revision=statement.revision, codes=codes,
            recorded_at=datetime.now().astimezone(),
        )  # fmt: skip
        with self.edge.store.transaction() as db:
            inbox._keep_receipt(db, receipt)

    def config(self) -> BackofficeConfig:
        return BackofficeConfig.model_validate(json.loads(self.file.read_text("utf-8")))

    def write(self, **changed: Any) -> None:
        content = {
            "connector": "backoffice", "partner": "backoffice", "state_dir": str(self.state), "folder": str(self.folder),
            "poll_seconds": 60, "organisations": [self.organisation],
        }  # fmt: skip
        self.file.write_text(json.dumps(content | changed), "utf-8")

    def change(self, query: str) -> None:
        with self.edge.store.transaction() as db:
            db.execute(query)

    def ask(self) -> dict[str, Finding]:
        findings = examine(Scene([LookedAt("backoffice", self.file, self.environment)]))
        return {f.check.partition(": ")[2]: f for f in findings if f.group == "connector backoffice"}

    def complaints(self) -> dict[str, Finding]:
        found = {name: f for name, f in self.ask().items() if f.verdict in ("failed", "warning")}
        assert all(f.todo for f in found.values())
        return found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in ("SAMENLOOP_KAFKA_BOOTSTRAP", "DATABASE_URL", "SAMENLOOP_KEYS_URL", "SAMENLOOP_TOPIC_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    made = Site(tmp_path)
    yield made
    made.edge.close()


def test_a_connector_in_order(site: Site) -> None:
    found = site.ask()
    assert set(found) == set(connector.CHECKS)
    assert {finding.verdict for finding in found.values()} == {"ok"}
    assert "4 cases answered, 0 refused" in found["answers"].found


BREAKS: dict[str, tuple[Callable[[Site], None], str, str]] = {
    "a setting that does not exist": (lambda s: s.write(folders="x"), "configuration", "folders"),
    "no public key": (
        lambda s: s.environment.pop("SAMENLOOP_HUB_PUBLIC_KEY"),
        "configuration",
        "SAMENLOOP_HUB_PUBLIC_KEY",
    ),
    "another edge secret": (
        lambda s: s.environment.update(SAMENLOOP_EDGE_SECRET=b64encode(bytes(32)).decode()),
        "state file",
        "another edge secret",
    ),
    "a lost state file": (lambda s: shutil.rmtree(s.state), "state file", "holds no state"),
    "a drop folder that is gone": (lambda s: shutil.rmtree(s.folder), "source", "drop"),
    "no reading for long": (
        lambda s: s.change("UPDATE feed SET succeeded_at = succeeded_at - 10 * 86400"),
        "readings",
        "not read",
    ),
    "statements that wait": (
        lambda s: (
            (s.folder / "GWS_0858_PW_20261120.csv").write_text(extract(1, 2, 3, 4, 5), "utf-8"),
            s.round(answered=False),
            s.change("UPDATE outbox SET put_at = put_at - 7200"),
        ),
        "sending",
        "statements wait for the broker, the oldest for 2 hours",
    ),
    "a row that cannot be read": (
        lambda s: (
            (s.folder / "GWS_0858_PW_20261121.csv").write_text(extract(1, 2, 3, 4, born="31"), "utf-8"),
            s.round(),
        ),
        "set aside",
        "4 rows, messages or events lie apart: unreadable geboortedatum",
    ),
    "an organisation that takes no part": (
        lambda s: (s.organisation.update(id="gemeente-elders"), s.write()),
        "agreement",
        "gemeente-elders (a2) takes no part",
    ),
    "an organisation of another partner": (
        lambda s: (s.organisation.update(id="mee-a2"), s.write()),
        "agreement",
        "may not be spoken for by backoffice",
    ),
    "an area without an agreement": (
        lambda s: (s.organisation.update(area="atlantis"), s.write()),
        "agreement",
        "no agreement in force",
    ),
    "consent that differs": (
        lambda s: (s.organisation.update(consent="required"), s.write()),
        "agreement",
        "consent is not_required there and required here",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_the_one_thing_that_is_told(site: Site, what: str) -> None:
    spoil, check, said = BREAKS[what]
    spoil(site)
    found = site.complaints()
    assert set(found) == {check}
    assert said in found[check].found


def test_a_file_that_comes_once_a_night_is_not_late_after_an_hour(site: Site) -> None:
    site.change("UPDATE feed SET succeeded_at = succeeded_at - 86400")
    assert site.complaints() == {}


def test_which_connectors_wait_for_a_file_is_what_the_demo_says_too() -> None:
    assert {feed.kind for feed in FEEDS if feed.by_file} == connector.BY_FILE


def test_an_event_that_the_broker_will_never_take(site: Site) -> None:
    (site.folder / "GWS_0858_PW_20261120.csv").write_text(extract(1, 2, 3, 4, 5), "utf-8")
    site.round(answered=False)
    site.edge.store.park(site.edge.store.waiting(1)[0].seq, "too_big")
    found = site.complaints()
    assert set(found) == {"set aside"}
    assert "too_big" in found["set aside"].found


def test_refusals_in_great_number_and_what_the_hub_could_not_open(site: Site) -> None:
    (site.folder / "GWS_0858_PW_20261120.csv").write_text(extract(1, 2, 3, 4, 5, 6), "utf-8")
    site.round(answered=False)
    first, second = site.edge.statements()[:2]
    site.hear(first, ReceiptKind.QUARANTINED, ReceiptCode.SEAL_NOT_OPENED)
    found = site.complaints()
    assert set(found) == {"answers"}
    assert found["answers"].verdict == "warning"
    assert "SAMENLOOP_HUB_PUBLIC_KEY" in found["answers"].todo
    site.hear(first, ReceiptKind.REFUSED, ReceiptCode.WRONG_SENDER)
    site.hear(second, ReceiptKind.REFUSED, ReceiptCode.WRONG_SENDER)
    found = site.complaints()
    assert set(found) == {"answers"}
    assert found["answers"].verdict == "failed"
    assert ReceiptCode.WRONG_SENDER in found["answers"].found


def test_a_source_that_is_only_away_is_a_temporary_matter(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from samenloop_connectors.sdk.errors import TransientError

    def away(self: object) -> list[str]:
        raise TransientError("the drop folder's server does not answer")

    monkeypatch.setattr(BackofficeConnector, "check", away)
    found = site.complaints()
    assert set(found) == {"source"}
    assert exit_code(found.values()) == 3
