"""The Bulk Data Access exchange: kick off, poll, manifest, files, and away with the job.

``GET [base]/$export`` with ``Prefer: respond-async`` is answered with 202 and the address of a job; that is asked again until
it gives a manifest, a list of files. Patient with a slow or strict server, and suspicious of all it says.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from samenloop_connectors.ggd.access import Addresses, Tokens, open_http
from samenloop_connectors.ggd.config import GgdConfig
from samenloop_connectors.ggd.ndjson import Line, json_object, lines
from samenloop_connectors.sdk.errors import ConfigurationError, DataError, TransientError

_TRIES = 5
_LONGEST_WAIT = 120.0
_FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class File:
    """One file of a manifest. `count` is how many resources it is said to hold."""

    kind: str
    url: str
    count: int | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export came to. `at` is the server's own instant up to which it speaks; `needs_token` holds for its files."""

    at: str
    needs_token: bool
    output: tuple[File, ...]
    deleted: tuple[File, ...]
    errors: tuple[File, ...]


class JobGone(TransientError):
    """The server knows the job, or its files, no more."""


class BulkClient:
    """One FHIR server. `wait` pauses for some seconds, and gives up when the connector is told to stop.

    All methods raise ConfigurationError, TransientError or (for what is beyond a limit) DataError.
    """

    def __init__(self, config: GgdConfig, wait: Callable[[float], bool] | None = None) -> None:
        self._config = config
        self._wait = wait or threading.Event().wait
        self._http = open_http(config)
        self._addresses = Addresses(config)
        self._tokens = Tokens(config, self._addresses, self._plain)

    def close(self) -> None:
        self._http.close()

    def log_in(self) -> None:
        self._tokens.log_in()

    def kick_off(self, since: str | None) -> str:
        """Ask for an export of what changed since an instant, or of everything; the address of the job."""
        asked = {"_type": ",".join(self._config.types)} | ({"_since": since} if since else {})
        answer = self._get(
            f"{self._addresses.base}/{self._config.export}",
            {"Accept": _FHIR_JSON, "Prefer": "respond-async"},
            params=asked,
        )
        if answer.status_code != 202:
            raise _refusal(answer, "the export")
        return self._addresses.checked(answer.headers.get("Content-Location"))

    def await_manifest(self, job: str) -> Manifest:
        """Poll until the export is ready. Raises JobGone, and TransientError when it takes too long."""
        url, pause = self._addresses.checked(job), 1.0
        patience = time.monotonic() + self._config.job_minutes * 60
        while True:
            try:
                answer = self._get(url, {"Accept": "application/json"})
            except TransientError as error:
                if error.detail.startswith("HTTP 5"):
                    raise JobGone(f"the export failed at the server ({error.detail})") from None
                raise
            if answer.status_code == 200:
                return self._manifest(answer)
            if answer.status_code in (404, 410):
                raise JobGone("the server dropped the export before it was fetched")
            if answer.status_code != 202:
                raise _refusal(answer, "the job")
            asked = retry_after(answer)
            pause = asked if asked is not None else min(_LONGEST_WAIT, pause * 2)
            if time.monotonic() + pause > patience or self._wait(pause):
                raise TransientError("the export is not ready yet", retry_after=pause)

    def lines(self, file: File, needs_token: bool) -> Iterator[Line]:
        """The lines of a file, as they come in. Raises JobGone when it is there no more."""
        limits = self._config.limits
        url = self._addresses.checked(file.url)
        headers = {"Accept": "application/fhir+ndjson", "Accept-Encoding": "identity"}
        with self._stream(url, headers, needs_token) as answer:
            if answer.status_code in (404, 410):
                raise JobGone("the server dropped a file of the export before it was fetched")
            if answer.status_code != 200:
                raise _refusal(answer, "a file")
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise DataError("encoded", message="a file comes compressed, which was not asked for")
            try:
                yield from lines(
                    answer.iter_raw(1 << 16),
                    line_bytes=limits.line_bytes,
                    file_bytes=limits.file_bytes,
                    counted=file.count,
                )
            except httpx.TransportError as error:
                raise TransientError(f"a file of the export was cut off on its way: {type(error).__name__}") from None

    def resource(self, kind: str, number: str) -> Mapping[str, Any] | None:
        """One resource by its id; None when there is none. Its id says nothing of a person."""
        answer = self._get(f"{self._addresses.base}/{kind}/{number}", {"Accept": _FHIR_JSON})
        if answer.status_code in (404, 410):
            return None
        if answer.status_code != 200:
            raise _refusal(answer, f"to read {kind}")
        return json_object(answer.content)

    def drop(self, job: str) -> None:
        """Tell the server that the job may go. A server that does not listen drops it by itself."""
        with suppress(ConfigurationError, TransientError):
            self._send(
                lambda: self._http.request("DELETE", self._addresses.checked(job), headers=self._tokens.bearer())
            )

    def _manifest(self, answer: httpx.Response) -> Manifest:
        body = json_object(answer.content)
        if body is None:
            raise TransientError("the manifest of the export is no JSON")
        at, needs_token = body.get("transactionTime"), body.get("requiresAccessToken")
        output = self._files(body, "output", required=True)
        if not isinstance(at, str) or not isinstance(needs_token, bool) or output is None:
            raise DataError("manifest", message="the manifest of the export lacks what the Bulk Data IG requires")
        instant_of(at)
        if body.get("link"):
            raise DataError("manifest", message="the manifest of the export goes on elsewhere, which was not asked for")
        deleted, errors = self._files(body, "deleted") or (), self._files(body, "error") or ()
        if len(output) + len(deleted) + len(errors) > self._config.limits.files:
            raise DataError("too_large", message="the export consists of too many files")
        return Manifest(at, needs_token, output, deleted, errors)

    def _files(self, body: Mapping[str, Any], name: str, required: bool = False) -> tuple[File, ...] | None:
        listed = body.get(name)
        if listed is None and not required:
            return ()
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise DataError("manifest", message=f"the manifest's list {name} cannot be read")
        counts = [each.get("count") for each in listed]
        return tuple(
            File(
                str(each.get("type", "")),
                self._addresses.checked(each.get("url")),
                count if isinstance(count, int) else None,
            )
            for each, count in zip(listed, counts, strict=True)
        )

    def _get(self, url: str, headers: Mapping[str, str], params: Mapping[str, str] | None = None) -> httpx.Response:
        """With a token; a refused one is replaced once (it may have been withdrawn before its time)."""
        for fresh in (False, True):
            bearer = self._tokens.bearer(fresh)
            answer = self._send(lambda sent=bearer: self._bounded(url, {**headers, **sent}, params))  # type: ignore[misc]
            if answer.status_code != 401:
                return answer
        raise ConfigurationError(
            "the server gives a token and then refuses it (HTTP 401): check what our registration may read"
        )

    def _plain(self, method: str, url: str, form: Mapping[str, str]) -> httpx.Response:
        accept = {"Accept": "application/json"}
        if method == "POST":
            return self._send(lambda: self._bounded(url, accept, None, form))
        return self._send(lambda: self._bounded(url, accept, None))

    def _bounded(
        self,
        url: str,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None,
        form: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A whole answer, but no larger than allowed."""
        method = "GET" if form is None else "POST"
        with self._http.stream(method, url, headers=headers, params=params, data=form) as answer:
            body = b""
            for chunk in answer.iter_bytes(1 << 16):
                body += chunk
                if len(body) > self._config.limits.answer_bytes:
                    raise DataError("too_large", message="the server gives a larger answer than allowed")
        kept = {
            name: value for name, value in answer.headers.items() if name not in ("content-encoding", "content-length")
        }
        return httpx.Response(answer.status_code, headers=kept, content=body, request=answer.request)

    @contextmanager
    def _stream(self, url: str, headers: Mapping[str, str], needs_token: bool) -> Iterator[httpx.Response]:
        """A file as it comes in, asked for as patiently as all else."""
        answer = self._open(url, headers, needs_token, False)
        if answer.status_code == 401 and needs_token:
            answer.close()
            answer = self._open(url, headers, needs_token, True)
        try:
            yield answer
        finally:
            answer.close()

    def _open(self, url: str, headers: Mapping[str, str], needs_token: bool, fresh: bool) -> httpx.Response:
        bearer = self._tokens.bearer(fresh) if needs_token else {}
        request = self._http.build_request("GET", url, headers={**headers, **bearer})
        return self._send(lambda: self._http.send(request, stream=True))

    def _send(self, call: Callable[[], httpx.Response]) -> httpx.Response:
        """Again on 429, 5xx and time-outs, after as long as the server asks; then TransientError."""
        said, asked = "", None
        for attempt in range(_TRIES):
            asked = None
            try:
                answer = call()
            except httpx.TransportError as error:
                said = type(error).__name__
            else:
                if answer.status_code != 429 and answer.status_code < 500:
                    return answer
                answer.close()
                said, asked = f"HTTP {answer.status_code}", retry_after(answer)
            if asked is not None and asked > _LONGEST_WAIT:
                break
            pause = asked if asked is not None else min(0.25 * 2**attempt, _LONGEST_WAIT)
            if attempt == _TRIES - 1 or self._wait(pause + random.uniform(0, 0.1)):
                break
        raise TransientError(f"the FHIR server at {self._addresses.base} does not answer: {said}", said, asked)


def instant_of(text: str) -> datetime:
    """A FHIR instant. Raises DataError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise DataError("manifest", message="the manifest's transactionTime is no instant") from None
    if found.tzinfo is None:
        raise DataError("manifest", message="the manifest's transactionTime is no instant")
    return found


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds, from a number or an HTTP date."""
    text = answer.headers.get("Retry-After", "")
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _refusal(answer: httpx.Response, what: str) -> ConfigurationError | TransientError:
    if answer.status_code in (400, 401, 403, 404, 405, 501) or answer.is_redirect:
        return ConfigurationError(
            f"the server refuses {what} (HTTP {answer.status_code}): check base_url, export and scope"
        )
    return TransientError(f"the server does not give {what} (HTTP {answer.status_code})")
