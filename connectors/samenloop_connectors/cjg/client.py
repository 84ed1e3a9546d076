"""The Zaken and Catalogi API of one organisation: a ZGW token with each request, only addresses under the configured bases."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import jwt

from samenloop_connectors.cjg.config import CjgOrganisation
from samenloop_connectors.sdk.errors import ConfigurationError, DataError, TransientError
from samenloop_connectors.sdk.patience import patiently

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BELOW_BASE = re.compile(r"[A-Za-z0-9_\-]+(?:/[A-Za-z0-9_\-]+)*")
_BACKDATED = timedelta(seconds=30)
_CLOCKS_DIFFER = timedelta(seconds=5)
_MOST_PAGES = 10_000
_TYPES_KEPT = timedelta(hours=1)
_ALGORITHM = jwt.PyJWT()


class NotAllowed(ConfigurationError):
    """This one zaak may not be read with these credentials; others may."""


class ZgwClient:
    """One organisation's APIs. Waits and tries again on 429, 5xx and time-outs, then raises TransientError.

    A token's `iat` is told in the *server's* time, learned from the Date of its answers: a clock that is off, on either side,
    does not matter. Redirects are not followed and links to further pages are not used: pages are asked for by number.
    """

    def __init__(
        self,
        organisation: CjgOrganisation,
        timeout_seconds: float = 30.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)  # they log addresses, and an address names a zaak
        self._organisation = organisation
        self._now = now
        self._http = httpx.Client(timeout=timeout_seconds, follow_redirects=False, trust_env=False)
        self._wait = wait or threading.Event().wait
        self._ahead = timedelta()
        self._types: dict[str, tuple[datetime, Mapping[str, Any]]] = {}

    def close(self) -> None:
        self._http.close()

    def log_in(self) -> None:
        """See that the credentials are good for reading zaken, without reading one."""
        self.page(1, date(9999, 1, 1), "")

    def zaak(self, uuid: str) -> dict[str, Any] | None:
        """None when the API says that there is no such zaak. Raises NotAllowed, ConfigurationError, TransientError."""
        answer = self._get(f"{self._organisation.zaken_base}zaken/{uuid}")
        if answer.status_code == 404:
            if _said(answer).get("status") == 404:
                return None
            raise ConfigurationError(f"{self._who}: zaken answer HTTP 404 without saying why: check base_url")
        if answer.status_code == 403:
            raise NotAllowed(
                f"{self._who}: client_id {self._organisation.client_id!r} may not read one or more zaken: give it zaken.lezen "
                "for their zaaktype, up to their vertrouwelijkheidaanduiding"
            )
        found = self._body(answer)
        if found.get("uuid") != uuid:
            raise TransientError(f"{self._who} gives another zaak than was asked for")
        return found

    def page(self, number: int, since: date | None, ordering: str) -> tuple[list[dict[str, Any]], bool]:
        """A page of zaken, those that began on or after a day, and whether there are more."""
        asked = {"page": str(number), "ordering": ordering, "startdatum__gte": since.isoformat() if since else ""}
        answer = self._get(
            f"{self._organisation.zaken_base}zaken", {name: value for name, value in asked.items() if value}
        )
        if answer.status_code == 404 and number > 1 and _said(answer).get("status") == 404:
            return [], False  # it was the last page, and has emptied since
        return self._rows(answer)

    def roles(self, zaak_url: str) -> list[dict[str, Any]]:
        """All roles of a zaak."""
        found: list[dict[str, Any]] = []
        for number in range(1, _MOST_PAGES):
            asked = {"zaak": zaak_url} | ({"page": str(number)} if number > 1 else {})
            rows, more = self._rows(self._get(f"{self._organisation.zaken_base}rollen", asked))
            found += rows
            if not more:
                break
        return found

    def linked(self, url: object, field: str) -> dict[str, Any]:
        """What a zaak refers to (status, resultaat). Raises DataError for a link that leads elsewhere or nowhere."""
        answer = self._get(self._own(url, field))
        if answer.status_code in (404, 410):
            raise DataError("missing", field)
        return self._body(answer)

    def type_of(self, url: object, field: str) -> Mapping[str, Any]:
        """A zaaktype, statustype or resultaattype; kept for an hour."""
        own = self._own(url, field)
        kept = self._types.get(own)
        if kept is None or not timedelta() <= self._now() - kept[0] < _TYPES_KEPT:
            kept = self._types[own] = (self._now(), self.linked(own, field))
        return kept[1]

    def case_types(self, name: str) -> Iterator[Mapping[str, Any]]:
        """The published zaaktypen of an identificatie."""
        rows, _ = self._rows(self._get(f"{self._organisation.catalogue_base}zaaktypen", {"identificatie": name}))
        yield from rows

    def is_own(self, url: object) -> bool:
        """Whether an address lies under one of the two bases, and is nothing but a path below it."""
        for base in (self._organisation.zaken_base, self._organisation.catalogue_base):
            if isinstance(url, str) and url.startswith(base) and _BELOW_BASE.fullmatch(url[len(base) :]):
                return True
        return False

    def _own(self, url: object, field: str) -> str:
        if not self.is_own(url):
            raise DataError("foreign_address", field)
        return str(url)

    @property
    def _who(self) -> str:
        return f"{self._organisation.id}: the case system"

    def _get(self, url: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        """With a token in the server's time; one that is refused is made once more when only now that time is known."""
        for _ in range(2):
            told = self._ahead
            answer = patiently(
                lambda: self._http.get(url, params=params, headers=self._headers()), self._wait, self._who
            )
            self._learn_time(answer)
            if answer.status_code not in (401, 403) or abs(self._ahead - told) <= _CLOCKS_DIFFER:
                break
        if answer.status_code == 401:
            raise ConfigurationError(
                f"{self._who} refuses these credentials (HTTP 401): check client_id and client_secret"
            )
        return answer

    def _headers(self) -> dict[str, str]:
        issued = self._now() + self._ahead - _BACKDATED
        claims = {
            "iss": self._organisation.client_id,
            "iat": int(issued.timestamp()),
            "client_id": self._organisation.client_id,
            "user_id": "samenloop",
            "user_representation": "Samenloop",
        }
        token = _ALGORITHM.encode(claims, self._organisation.client_secret.get_secret_value(), algorithm="HS256")
        return {"Authorization": f"Bearer {token}", "Accept": "application/json", "Accept-Crs": "EPSG:4326"}

    def _learn_time(self, answer: httpx.Response) -> None:
        try:
            theirs = parsedate_to_datetime(answer.headers["Date"])
        except (KeyError, ValueError):
            return
        self._ahead = (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)) - self._now()

    def _rows(self, answer: httpx.Response) -> tuple[list[dict[str, Any]], bool]:
        body = self._body(answer)
        rows = body.get("results")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise TransientError(f"{self._who} gives no list at {answer.request.url.path}")
        return rows, bool(body.get("next")) and bool(rows)

    def _body(self, answer: httpx.Response) -> dict[str, Any]:
        path = answer.request.url.path
        if answer.status_code == 403:
            raise ConfigurationError(
                f"{self._who} does not let client_id {self._organisation.client_id!r} read {path} (HTTP 403): give it "
                "zaken.lezen and catalogi.lezen"
            )
        if answer.is_redirect or answer.is_client_error:
            code = _said(answer).get("code")
            why = f", {code}" if isinstance(code, str) and re.fullmatch(r"[a-z_\-]{1,40}", code) else ""
            raise ConfigurationError(
                f"{self._who} answers HTTP {answer.status_code}{why} at {UUID.sub('...', path)}: check base_url and catalogue_url"
            )
        body = _said(answer) if answer.is_success else {}
        if not body:
            raise TransientError(f"{self._who} gives no usable answer at {UUID.sub('...', path)}")
        return body


def _said(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
