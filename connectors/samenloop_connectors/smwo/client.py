"""The registration system's API: a bearer token by client credentials, pages of trajectories, and patience."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from samenloop_connectors.sdk.errors import ConfigurationError, DataError, TransientError
from samenloop_connectors.sdk.patience import patiently
from samenloop_connectors.smwo.config import SmwoOrganisation

_EARLY = 30.0


class RegasClient:
    """One organisation's API. Waits and tries again on 429, 5xx and time-outs; then raises TransientError.

    `wait` pauses for some seconds; it returns early, and the call gives up, when the connector is told to stop.
    """

    def __init__(
        self,
        organisation: SmwoOrganisation,
        timeout_seconds: float = 30.0,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._organisation = organisation
        self._base = str(organisation.base_url).rstrip("/")
        self._http = httpx.Client(timeout=timeout_seconds, follow_redirects=False)
        self._token: str | None = None
        self._token_until = 0.0
        self._wait = wait or threading.Event().wait

    def close(self) -> None:
        self._http.close()

    def log_in(self) -> None:
        """Get a token. Raises ConfigurationError when the credentials are refused."""
        answer = self._patiently(
            lambda: self._http.post(
                f"{self._base}/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=(self._organisation.client_id, self._organisation.client_secret.get_secret_value()),
            )
        )
        if answer.status_code in (400, 401, 403):
            raise ConfigurationError(
                f"{self._organisation.id}: the registration system refuses these credentials (HTTP {answer.status_code}): "
                "check client_id and client_secret"
            )
        body = self._json(answer)
        token = body.get("access_token")
        if not isinstance(token, str) or not token:
            raise ConfigurationError(f"{self._organisation.id}: {self._base}/oauth/token gives no token")
        self._token = token
        lasts = body.get("expires_in")
        seconds = float(lasts) if isinstance(lasts, (int, float)) else 300.0
        self._token_until = time.monotonic() + max(seconds / 2, seconds - _EARLY)

    def page(self, changed_since: str | None, cursor: str | None, size: int) -> dict[str, Any]:
        """One page of trajectories as the API gives it. Raises ConfigurationError, TransientError, or DataError for a cursor
        that is no longer known."""
        asked = {"gewijzigd_vanaf": changed_since, "cursor": cursor, "limit": str(size)}
        answer = self._get(f"{self._base}/api/v1/trajecten", {name: value for name, value in asked.items() if value})
        if answer.status_code == 400 and cursor:
            raise DataError("cursor_refused")
        return self._json(answer)

    def _get(self, url: str, params: dict[str, str]) -> httpx.Response:
        """With a token; a refused one is replaced once (it may have been withdrawn before its time)."""
        for fresh in (False, True):
            if fresh or self._token is None or time.monotonic() >= self._token_until:
                self.log_in()
            answer = self._patiently(
                lambda: self._http.get(url, params=params, headers={"Authorization": f"Bearer {self._token}"})
            )
            if answer.status_code != 401:
                return answer
        raise ConfigurationError(
            f"{self._organisation.id}: the registration system gives a token and then refuses it (HTTP 401): "
            "check the rights of this client_id"
        )

    def _patiently(self, call: Callable[[], httpx.Response]) -> httpx.Response:
        return patiently(call, self._wait, f"{self._organisation.id}: the registration system at {self._base}")

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code in (403, 404) or answer.is_redirect:
            raise ConfigurationError(
                f"{self._organisation.id}: {answer.request.url.path} answers HTTP {answer.status_code}: check base_url"
            )
        try:
            body = answer.json() if answer.is_success else None
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise TransientError(
                f"{self._organisation.id}: {answer.request.url.path} gives no usable answer (HTTP {answer.status_code})"
            )
        return body
