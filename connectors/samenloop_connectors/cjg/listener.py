"""Receives notifications: a small HTTP server that checks the token, lays what came in safely down, and only then answers.

    POST /<organisation>    Authorization: Bearer <token>    {"kanaal": "zaken", "hoofdObject": ...}    -> 204

Nothing of a notification is believed but that something may have changed about the zaak that it names.
"""

from __future__ import annotations

import hmac
import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

from samenloop_connectors.cjg.client import UUID
from samenloop_connectors.cjg.config import CjgOrganisation, Listen
from samenloop_connectors.sdk.errors import ConfigurationError, DataError

log = logging.getLogger(__name__)
CHANNEL = "zaken"
_AT_ONCE = 8
_MOST_WAITING = 64
_READ_AWAY = 1 << 20
_TEXTS = ("kanaal", "hoofdObject", "resource", "resourceUrl", "actie", "aanmaakdatum")


def zaak_of(body: bytes, base: str) -> tuple[str, str] | None:
    """The uuid of the zaak that a notification is about and the address of its zaaktype; None for another channel (such as
    the test that Open Notificaties sends). Raises DataError.

    The uuid is all that is used of the address: what is fetched later is built anew from the configured base.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise DataError("no_json") from None
    if not isinstance(told, dict) or not all(isinstance(told.get(name), str) for name in _TEXTS):
        raise DataError("no_notification")
    features = told.get("kenmerken", {})
    if not isinstance(features, dict):
        raise DataError("no_notification", "kenmerken")
    if told["kanaal"] != CHANNEL:
        return None
    prefix = f"{base}zaken/"
    uuid = told["hoofdObject"].removeprefix(prefix)
    if not told["hoofdObject"].startswith(prefix) or not UUID.fullmatch(uuid):
        raise DataError("foreign_address", "hoofdObject")
    case_type = features.get("zaaktype")
    return uuid, case_type if isinstance(case_type, str) else ""


class NotificationServer:
    """`receive(organisation, uuid, case_type)` keeps a notification durably; `wake` asks for a round.

    A few connections at a time, one request each, within `seconds` in all. Raises ConfigurationError when it cannot listen.
    """

    def __init__(
        self,
        listen: Listen,
        organisations: Mapping[str, CjgOrganisation],
        receive: Callable[[str, str, str], None],
        wake: Callable[[], None],
    ) -> None:
        class Handler(_Handler):
            timeout = listen.seconds
            most_bytes = listen.most_bytes

        Handler.organisations = organisations
        Handler.receive = staticmethod(receive)
        Handler.wake = staticmethod(wake)
        try:
            self._server = _Server((listen.host, listen.port), Handler, listen.seconds)
        except OSError as error:
            raise ConfigurationError(
                f"listen: cannot receive notifications on {listen.host} port {listen.port}: {error.strerror}"
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="notifications", daemon=True
        )
        self._thread.start()
        log.info("notifications are received on %s port %s", listen.host, self.port)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Take nothing new, answer what is being answered."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(HTTPServer):
    """A fixed number of threads: each has its own connection to the store."""

    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], seconds: float) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self._seconds = seconds
        self._room = threading.BoundedSemaphore(_AT_ONCE + _MOST_WAITING)
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="notification")
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Whoever finds no room is turned away, and sends again later."""
        if self._room.acquire(blocking=False):
            self._pool.submit(self._answer, request, client_address)
        else:
            self.shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        self._pool.shutdown(wait=True)

    def _answer(self, request: socket.socket, client_address: Any) -> None:
        """However slowly it drips in, a request is cut off in time."""
        limit = threading.Timer(self._seconds, _cut, (request,))
        limit.start()
        try:
            self.finish_request(request, client_address)
        except (OSError, ValueError):
            log.debug("a caller went away")
        except Exception:
            log.exception("a notification was not answered")
        finally:
            limit.cancel()
            self.shutdown_request(request)
            self._room.release()


def _cut(request: socket.socket) -> None:
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError:
        log.debug("it was gone")


class _Handler(BaseHTTPRequestHandler):
    organisations: Mapping[str, CjgOrganisation]
    receive: Callable[[str, str, str], None]
    wake: Callable[[], None]
    most_bytes: int
    server_version = "samenloop"
    sys_version = ""

    def do_POST(self) -> None:
        organisation = self.organisations.get(urlsplit(self.path).path.strip("/"))
        if not self._is_known(organisation):
            self._say(401, WWW_Authenticate="Bearer")
            return
        assert organisation is not None
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or "Transfer-Encoding" in self.headers:
            self._say(411)
            return
        if len(length) > 9 or int(length) > self.most_bytes:
            self._say(413)
            self.rfile.read(_READ_AWAY)  # so that the answer is not lost in a connection that is reset
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return
        try:
            found = zaak_of(body, organisation.zaken_base)
        except DataError as error:
            log.warning("%s: a notification that cannot be used was refused (%s)", organisation.id, error)
            self._say(400)
            return
        if found is not None:
            try:
                self.receive(organisation.id, *found)
            except Exception:
                log.exception("%s: a notification could not be kept", organisation.id)
                self._say(503)
                return
        self._say(204)
        if found is not None:
            self.wake()

    def _is_known(self, organisation: CjgOrganisation | None) -> bool:
        """In the same time whatever is wrong with it."""
        given = self.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        token = organisation.token.get_secret_value() if organisation else "no organisation, no token"
        wanted = token if " " in token else f"Bearer {token}"
        return hmac.compare_digest(given, wanted.encode()) and organisation is not None

    def _say(self, status: int, **headers: str) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a request line may hold anything."""
