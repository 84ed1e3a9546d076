"""The edge against the real broker: kills between send and mark, a broker that crashes, and a password that is wrong."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from samenloop_connectors.app import Loaded, check, connector_status, load, notices, run_connector
from samenloop_connectors.backoffice.connector import BackofficeConnector
from samenloop_connectors.sdk.errors import ConfigurationError, TransientError
from samenloop_deploy.local import LocalStack
from samenloop_producers.broker import open_producer
from samenloop_producers.keys import EdgeKeys
from samenloop_producers.metrics import EdgeMetrics
from samenloop_producers.outbox import EdgeStore, Event
from samenloop_producers.sender import Sender
from samenloop_schemas import codec, sealing
from samenloop_schemas.codes import NoticeChange, OverlapKind, ReceiptCode, ReceiptKind
from samenloop_schemas.records import InvolvementStatement, Notice, PersonIdentity, Receipt
from samenloop_schemas.topics import Topics

pytestmark = pytest.mark.live

HUB_PRIVATE, HUB_PUBLIC = sealing.new_hub_key()
SECRET = bytes(range(32))
COLUMNS = (
    "clientnummer;bsn;voorletters;voornamen;voorvoegsel;achternaam;voorvoegsel_echtgenoot;achternaam_echtgenoot;"
    "aanduiding_naamgebruik;geslacht;geboortedatum;straatnaam;huisnummer;huisletter;huisnr_toevoeging;postcode;woonplaats;"
    "regeling;dossiernummer;datum_aanvang;datum_einde;consulent_team;status;mutatiedatum"
)


def extract(*dossiers: int) -> str:
    rows = [
        f"8{dossier};999900006;J.;Jozefien;van;Zwartkruis;;;1;V;19680704;Geheimelaan;17;;;5554XK;Valkenswaard;Participatiewet;"
        f"{dossier};20250310;;Inkomen;lopend;20260105"
        for dossier in dossiers
    ]
    return "\r\n".join([COLUMNS, *rows, f"TRAILER;{len(rows)}", ""])


class Site:
    """A municipality's edge: drop folder, state, and the environment of its connector."""

    def __init__(self, root: Path, stack: LocalStack, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = root / "drop"
        self.folder.mkdir()
        self.content: dict[str, Any] = {
            "connector": "backoffice", "partner": "backoffice", "state_dir": str(root / "state"), "folder": str(self.folder),
            "poll_seconds": 0.1,
            "organisations": [{"id": "gemeente-valkenswaard", "code": "0858", "area": "a2"}],
        }  # fmt: skip
        self.environment = stack.kafka_access("backoffice").environment() | {
            "SAMENLOOP_HUB_PUBLIC_KEY": base64.b64encode(HUB_PUBLIC).decode(),
            "SAMENLOOP_EDGE_SECRET": base64.b64encode(SECRET).decode(),
            "SAMENLOOP_TOPIC_PREFIX": prefix,
            "SAMENLOOP_METRICS_PORT": "0",
        }
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        self.loaded: Loaded = load(self.content)
        self.inbox = Topics(prefix).inbox("backoffice")

    def drop(self, day: int, *dossiers: int) -> None:
        part = self.folder / "next.part"
        part.write_text(extract(*dossiers), encoding="utf-8")
        part.replace(self.folder / f"GWS_0858_PW_202601{day:02d}.csv")

    @contextmanager
    def running(self) -> Iterator[None]:
        stop, failure = threading.Event(), []

        def body() -> None:
            try:
                run_connector(self.loaded, stop)
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=body)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)
            assert not thread.is_alive(), "a connector that was told to stop ends"
            assert failure == []


@pytest.fixture
def site(tmp_path: Path, stack: LocalStack, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, stack, prefix, monkeypatch)


def statements(records: list[Any]) -> list[InvolvementStatement]:
    return [codec.decode(record.value, InvolvementStatement) for record in records]


def test_an_extract_arrives_sealed_under_its_area(site: Site, wire: Any) -> None:
    site.drop(10, 1, 2)
    assert run_connector(site.loaded, once=True).stated == 2
    records = wire.await_records(site.inbox, 2)
    first = statements(records)[0]
    person = codec.decode(sealing.open_seal(sealing.private_key(HUB_PRIVATE), first.identity or b""), PersonIdentity)
    headers = dict(records[0].headers)
    assert {record.key for record in records} == {b"a2"}
    assert (person.bsn, person.surname) == ("999900006", "Zwartkruis")
    assert headers["ce_id"].decode() == str(first.statement_id)
    assert headers["ce_type"] == b"nl.samenloop.involvement.stated.v1"
    assert run_connector(site.loaded, once=True).stated == 0
    assert len(wire.read(site.inbox)) == 2
    for record in records:
        assert b"Zwartkruis" not in record.value
        assert b"999900006" not in record.value


def test_killed_between_send_and_mark_the_same_bytes_go_again(site: Site, wire: Any) -> None:
    site.drop(10, *range(1, 21))
    program = textwrap.dedent(f"""
        import os, signal
        from samenloop_connectors import app
        from samenloop_producers import outbox
        outbox.EdgeStore.confirm = lambda self, seqs: os.kill(os.getpid(), signal.SIGKILL)
        app.run_connector(app.load({site.content!r}), once=True)
    """)
    killed = subprocess.run([sys.executable, "-c", program], env=os.environ | site.environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    sent = wire.await_records(site.inbox, 20)
    assert connector_status(site.loaded).outbox_pending == 20
    assert run_connector(site.loaded, once=True).stated == 0, "what was read is not read again"
    both = wire.await_records(site.inbox, 40)
    assert sorted(record.value for record in both) == sorted([record.value for record in sent] * 2)
    assert sorted(dict(record.headers)["ce_id"] for record in both) == sorted(
        [dict(record.headers)["ce_id"] for record in sent] * 2
    )
    assert connector_status(site.loaded).outbox_pending == 0


def test_killed_while_reading_nothing_is_lost_or_said_in_two_ways(site: Site, wire: Any) -> None:
    site.drop(10, *range(1, 501))
    program = textwrap.dedent(f"""
        import os, signal
        from samenloop_connectors import app
        from samenloop_connectors.sdk.state import State
        saved = State.save
        count = [0]
        def save(self, *args):
            count[0] += 1
            if count[0] == 450:
                os.kill(os.getpid(), signal.SIGKILL)
            saved(self, *args)
        State.save = save
        app.run_connector(app.load({site.content!r}), once=True)
    """)
    killed = subprocess.run([sys.executable, "-c", program], env=os.environ | site.environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert connector_status(site.loaded).outbox_pending == 400
    assert run_connector(site.loaded, once=True).stated == 100
    found = statements(wire.await_records(site.inbox, 500))
    assert len({each.case_ref for each in found}) == len({each.statement_id for each in found}) == len(found) == 500


def test_a_broker_that_crashes_and_returns_gets_everything(
    site: Site, stack: LocalStack, wire: Any, eventually: Callable[..., None]
) -> None:
    site.drop(10, 1)
    with site.running():
        wire.await_records(site.inbox, 1)
        stack.kill_kafka()
        site.drop(11, 1, 2, 3)
        eventually(lambda: connector_status(site.loaded).outbox_pending == 2, "two statements wait")
        stack.restart_kafka()
        eventually(lambda: connector_status(site.loaded).outbox_pending == 0, "everything is confirmed", 90)
    assert len({each.case_ref for each in statements(wire.read(site.inbox))}) == 3


def test_a_wrong_password_is_said_in_words_and_keeps_everything(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMENLOOP_KAFKA_PASSWORD", "not-the-password")
    loaded = load(site.content)
    site.drop(10, 1)
    with pytest.raises(ConfigurationError, match="wrong user name or password") as caught:
        run_connector(loaded, once=True)
    assert "not-the-password" not in str(caught.value)
    assert connector_status(loaded).outbox_pending == 1
    with pytest.raises(ConfigurationError, match="wrong user name or password"):
        check(loaded)


def test_no_broker_is_another_message_and_temporary(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMENLOOP_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    with pytest.raises(TransientError, match="no broker answers"):
        check(load(site.content))


def test_check_reaches_source_and_broker_and_names_what_is_missing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(check(site.loaded)) == 2
    monkeypatch.setenv("SAMENLOOP_TOPIC_PREFIX", "elsewhere.")
    with pytest.raises(ConfigurationError, match=r"elsewhere\.in\.backoffice") as caught:
        check(load(site.content | {"folder": str(site.folder / "gone")}))
    assert len(caught.value.problems) == 2


def test_a_topic_of_another_partner_is_refused_in_words(stack: LocalStack, topics: Topics, tmp_path: Path) -> None:
    store = EdgeStore(tmp_path)
    with store.transaction() as db:
        store.put(db, [Event(UUID(int=1), topics.inbox("smwo"), b"a2", b"x", (), 0)])
    sender = Sender(stack.kafka_access("backoffice"), store, EdgeMetrics("backoffice"), delivery_timeout_ms=5000)
    with pytest.raises(ConfigurationError, match="no right"):
        sender.send_waiting()
    sender.close()
    assert len(store.waiting(1)) == 1


def test_receipts_and_notices_come_back_in_the_partners_own_numbers(
    site: Site, topics: Topics, wire: Any, eventually: Callable[..., None]
) -> None:
    refs = {
        dossier: EdgeKeys(SECRET).case_ref("gemeente-valkenswaard", BackofficeConnector.source_system, f"PW/{dossier}")
        for dossier in (70001, 70002, 70003)
    }

    def receipt(dossier: int, revision: int, kind: ReceiptKind, *codes: ReceiptCode) -> None:
        heard = Receipt(
            uuid4(), "a2", kind, uuid4(), "gemeente-valkenswaard", refs[dossier], revision, codes, 1, datetime.now(UTC)
        )
        wire.produce(topics.receipts("backoffice"), b"a2", codec.encode(heard))

    site.drop(10, *refs)
    with site.running():
        wire.await_records(site.inbox, 3)
        receipt(70001, 2, ReceiptKind.ACCEPTED)
        receipt(70001, 1, ReceiptKind.REFUSED, ReceiptCode.NO_PARTY)
        receipt(70002, 1, ReceiptKind.REFUSED, ReceiptCode.NO_AGREEMENT, ReceiptCode.NO_PARTY)
        notice = Notice(
            uuid4(), "a2", "gemeente-valkenswaard", "gemeente-valkenswaard/werk-inkomen", (refs[70003], "0" * 32), "case",
            OverlapKind.CLIENT, NoticeChange.NEW, date(2026, 2, 1), "https://hub.example/case",
        )  # fmt: skip
        for _ in range(2):
            wire.produce(topics.notices("backoffice"), b"a2", codec.encode(notice))
        eventually(lambda: connector_status(site.loaded).notices == 1, "the notice is heard")
        eventually(lambda: sum(connector_status(site.loaded).outcomes.values()) == 2, "receipts of two cases")
    stand = connector_status(site.loaded)
    assert (stand.outcomes, stand.unheard) == ({"ACCEPTED": 1, "REFUSED": 1}, 1)
    assert [(each.case_number, each.codes) for each in stand.refusals] == [("PW/70002", ("NO_AGREEMENT", "NO_PARTY"))]
    (own,) = notices(site.loaded)
    assert (own.case_numbers, own.unknown_refs, own.deadline) == (("PW/70003",), 1, "2026-02-01")
    kept = b"".join(path.read_bytes() for path in site.loaded.config.state_dir.iterdir())
    for number in (b"70001", b"70002", b"70003", b"Zwartkruis", b"999900006"):
        assert number not in kept


def test_an_idempotent_producer_with_all_acknowledgements(stack: LocalStack) -> None:
    access = stack.kafka_access("backoffice")
    producer = open_producer(access)
    assert producer.config["enable_idempotence"] is True
    assert producer.config["acks"] == -1
    producer.close()
    assert isinstance(access.password, SecretStr)
