"""Notifications to the ZGW connector over a real socket: who is let in, what is refused, and that an answer is a promise."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from edge_tools import NOON, Edge, raw_bytes
from zgw_source import TOKEN, Source, notification, person, running, uuid_of

from samenloop_connectors.cjg.connector import CjgConnector
from samenloop_connectors.sdk.errors import ConfigurationError
from samenloop_connectors.sdk.notebook import Notebook
from samenloop_producers.keys import EdgeKeys

PATH = "/cjg-bevelanden"


class Receiver:
    """A connector that listens, on an edge of its own."""

    def __init__(self, source: Source, directory: Path, **fields: Any) -> None:
        self.source, self.directory = source, directory
        self.connector = CjgConnector(source.config(directory, **fields), lambda: NOON, lambda seconds: False)
        self.edge = Edge(directory, self.connector, lambda: NOON)
        self.edge.store.connection.execute("PRAGMA synchronous=FULL")
        self.woken = threading.Event()
        self.connector.start(self.woken.set)

    def post(self, body: Any, token: str | None = TOKEN, path: str = PATH, **headers: str) -> int:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.connector.port, timeout=10)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = token
        try:
            connection.request("POST", path, content, {"Content-Type": "application/json"} | sent)
            return connection.getresponse().status
        finally:
            connection.close()

    def waiting(self) -> int:
        return len(self.connector._notes.tray("notified cjg-bevelanden"))

    def close(self) -> None:
        self.connector.close()
        self.edge.close()


@pytest.fixture
def source() -> Iterator[Source]:
    with running() as made:
        yield made


@pytest.fixture
def receiver(source: Source, tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(source, tmp_path)
    yield made
    made.close()


def test_a_notification_is_kept_and_asks_for_a_round(receiver: Receiver) -> None:
    receiver.edge.runner.round()
    uuid = receiver.source.zaak(1)
    receiver.source.role(uuid, person())
    role = {
        "resource": "rol",
        "resourceUrl": f"{receiver.source.base}/zaken/api/v1/rollen/{uuid_of(9)}",
        "actie": "create",
    }
    assert receiver.post(notification(receiver.source, uuid, **role)) == 204
    assert receiver.woken.wait(5)
    assert receiver.edge.runner.round().stated == 1


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        "Bearer",
        "Bearer no",
        f"{TOKEN}x",
        TOKEN[:-1],
        TOKEN.lower(),
        TOKEN[7:],
        f"Basic {TOKEN[7:]}",
        "Bearer \xe9",
    ],
)
def test_a_wrong_token_gets_nowhere(receiver: Receiver, token: str | None) -> None:
    assert receiver.post(notification(receiver.source, uuid_of(1)), token) == 401
    assert receiver.post(b"not even json", token) == 401
    assert (receiver.waiting(), receiver.woken.is_set()) == (0, False)


def test_a_path_of_no_organisation(receiver: Receiver) -> None:
    for path in ("/", "/cjg-zwolle", "/cjg-bevelanden/more"):
        assert receiver.post(notification(receiver.source, uuid_of(1)), path=path) == 401
    assert receiver.post(notification(receiver.source, uuid_of(1)), "no organisation, no token", path="/nobody") == 401


def test_a_token_may_be_configured_without_its_scheme(source: Source, tmp_path: Path) -> None:
    receiver = Receiver(source, tmp_path, organisation={"token": TOKEN.removeprefix("Bearer ")})
    assert receiver.post(notification(source, uuid_of(1))) == 204
    receiver.close()


def test_the_test_that_open_notificaties_sends(receiver: Receiver) -> None:
    """It subscribes only whom answers 401 or 403 without a token and 2xx with it."""
    test = {
        "kanaal": "test", "hoofdObject": "http://some.hoofdobject.nl/", "resource": "some_resource",
        "resourceUrl": "http://some.resource.nl/", "actie": "create", "aanmaakdatum": "2019-01-01T12:00:00Z", "kenmerken": {},
    }  # fmt: skip
    assert receiver.post(test, None) == 401
    assert receiver.post(test) == 204
    assert receiver.waiting() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 30_000, {}, {"kanaal": "zaken"}, {"hoofdObject": 7},
        {"hoofdObject": "https://elsewhere.example/zaken/api/v1/zaken/{uuid}"}, {"hoofdObject": "{base}/zaken/{uuid}/../../x"},
        {"hoofdObject": "{base}/zaken/{uuid}?x=1"}, {"hoofdObject": "{base}@evil.example/zaken/{uuid}"},
        {"hoofdObject": "{base}/rollen/{uuid}"}, {"hoofdObject": "file:///etc/passwd"}, {"kenmerken": []}, {"aanmaakdatum": None},
    ],
)  # fmt: skip
def test_what_is_no_notification_is_refused(receiver: Receiver, body: Any) -> None:
    if isinstance(body, dict) and body:
        base = f"{receiver.source.base}/zaken/api/v1"
        told = {
            name: value.format(base=base, uuid=uuid_of(1)) if isinstance(value, str) else value
            for name, value in body.items()
        }
        body = told if list(body) == ["kanaal"] else notification(receiver.source, uuid_of(1)) | told
    assert receiver.post(body) == 400
    assert receiver.waiting() == 0
    assert receiver.source.asked == [], "and nothing is fetched because of it"


def test_bodies_that_are_too_large_or_have_no_length(receiver: Receiver) -> None:
    body = notification(receiver.source, uuid_of(1), kenmerken={"x": "y" * 70_000})
    assert receiver.post(body) == 413
    assert receiver.post(b"{}", Content_Length="99999999999999999999") == 413
    assert receiver.post(b"{}", Content_Length="-5") == 411
    assert receiver.post(b"{}", Transfer_Encoding="chunked") == 411
    assert receiver.waiting() == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "NONSENSE"])
def test_other_methods(receiver: Receiver, method: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", receiver.connector.port, timeout=10)
    connection.request(method, PATH, headers={"Authorization": TOKEN})
    answer = connection.getresponse()
    assert answer.status == 501
    assert "Python" not in str(answer.getheaders())
    connection.close()


def test_a_caller_that_drips_is_cut_off_while_others_are_served(source: Source, tmp_path: Path) -> None:
    receiver = Receiver(source, tmp_path, listen={"port": 0, "seconds": 0.7})
    slow = [socket.create_connection(("127.0.0.1", receiver.connector.port)) for _ in range(7)]
    for each in slow:
        each.sendall(b"POST /cjg-bevelanden HTTP/1.1\r\nX-Drip: ")
    began = time.monotonic()
    assert receiver.post(notification(source, uuid_of(1))) == 204, "one thread is still free"
    for each in slow:
        each.settimeout(10)
        while time.monotonic() < began + 8:  # it drips faster than any time-out per read
            try:
                each.sendall(b"x")
                each.settimeout(0.05)
                if each.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        each.close()
    assert time.monotonic() - began < 5
    assert receiver.post(notification(source, uuid_of(2))) == 204
    receiver.close()


def test_what_cannot_be_kept_is_not_promised(receiver: Receiver) -> None:
    receiver.edge.store.connection.execute("DROP TABLE tray")
    assert receiver.post(notification(receiver.source, uuid_of(1))) == 503
    assert not receiver.woken.is_set()


def test_a_restart_between_answer_and_fetch_loses_nothing(source: Source, tmp_path: Path) -> None:
    first = Receiver(source, tmp_path)
    first.edge.runner.round()
    uuid = source.zaak(1)
    source.role(uuid, person())
    assert first.post(notification(source, uuid)) == 204
    copied = tmp_path / "copy"
    copied.mkdir()
    for path in tmp_path.glob("edge.sqlite*"):  # what a kill would leave: the files as they are at this moment
        (copied / path.name).write_bytes(path.read_bytes())
    again = Receiver(source, copied)
    assert again.edge.runner.round().stated == 1
    assert again.waiting() == 0
    again.close()
    first.close()


def test_a_kill_between_what_is_said_and_what_is_noted_says_nothing_twice(source: Source, tmp_path: Path) -> None:
    receiver = Receiver(source, tmp_path)
    source.now = lambda: NOON - timedelta(minutes=1)
    uuid = source.zaak(1)
    source.role(uuid, person())
    receiver.edge.runner.round()
    source.end(uuid)
    receiver.post(notification(source, uuid))

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    receiver.connector._notes.write = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        receiver.edge.runner.round()
    del receiver.connector._notes.write
    receiver.edge.runner.round()
    assert [str(said.status) for said in receiver.edge.statements()] == ["ACTIVE", "ENDED"]
    assert receiver.waiting() == 0
    receiver.close()


def test_a_port_that_is_taken_needs_a_person(receiver: Receiver, source: Source, tmp_path: Path) -> None:
    other = CjgConnector(source.config(tmp_path, listen={"port": receiver.connector.port}))
    with pytest.raises(ConfigurationError, match="cannot receive notifications"):
        other.start(lambda: None)
    other.close()


def test_many_at_once(receiver: Receiver) -> None:
    codes: list[int] = []
    body = notification(receiver.source, uuid_of(1))
    threads = [threading.Thread(target=lambda: codes.append(receiver.post(body))) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [204] * 40
    assert receiver.waiting() == 40


def test_a_notebook_under_another_secret_is_not_opened(receiver: Receiver) -> None:
    receiver.post(notification(receiver.source, uuid_of(1)))
    assert uuid_of(1).encode() not in raw_bytes(receiver.directory)
    other = Notebook(receiver.edge.store, EdgeKeys(bytes(32)))
    with pytest.raises(ConfigurationError, match="another edge secret"):
        other.tray("notified cjg-bevelanden")
