"""The registration system of the welfare organisations, as an application without a socket: a request in, an answer out.

One installation serves several organisations, each under its own base path with its own credentials:

    POST /lumens/oauth/token                          client credentials -> bearer token that expires
    GET  /lumens/api/v1/trajecten?gewijzigd_vanaf=T&cursor=C     oldest change first, pages of at most 200
    GET  /lumens/api/v1/trajecten/{traject_id}

Paging is by key (gewijzigd_op, traject_id), so that nothing is skipped while rows change: a changed row moves to the end and
is met again there. ``gewijzigd_vanaf`` is inclusive. A deleted row stays, with ``verwijderd_op``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from ..cases import Case, State
from ..places import AREAS
from ..world import World
from ..written.regas import RegasClient
from .seam import PartnerSystem, Request, Response, Surroundings, credentials, instant_text, problem

ORGANISATIONS: Final = tuple(area.social_work for area in AREAS)
PAGE: Final = 200

_STATUS: Final = {
    State.ANNOUNCED: "aanmelding",
    State.WAITING: "wachtlijst",
    State.ACTIVE: "lopend",
    State.PAUSED: "lopend",
    State.ENDED: "afgesloten",
}
_REASONS: Final = ("doel bereikt", "overgedragen", "op verzoek client", "verhuisd", "geen contact")


def trajectory(world: World, case: Case) -> dict[str, Any]:
    """The row as the API shows it. A case made by mistake keeps its last dates and carries ``verwijderd_op``."""
    client = world.clients[case.organisation, case.client]
    assert isinstance(client.written, RegasClient)
    deleted = case.state is State.WITHDRAWN
    state = State.ACTIVE if deleted and case.starts_on else State.ANNOUNCED if deleted else case.state
    ended = case.state is State.ENDED
    return {
        "traject_id": case.number,
        "client_id": case.client,
        "soort": case.service.value,
        "status": _STATUS[state],
        "aanmelddatum": case.registered_on.isoformat(),
        "startdatum": case.starts_on.isoformat() if case.starts_on else None,
        "einddatum": case.ends_on.isoformat() if case.ends_on else None,
        "afsluitreden": _REASONS[int(case.number[1:]) % len(_REASONS)] if ended else None,
        "team": case.team,
        "client": asdict(client.written),
        "toestemming": {
            "delen_regie": case.consent.value,
            "datum": case.consent_on.isoformat() if case.consent_on else None,
        },
        "gewijzigd_op": instant_text(case.changed_at),
        "verwijderd_op": instant_text(case.changed_at) if deleted else None,
    }


class Regas(PartnerSystem):
    """The application. ``clock`` gives seconds that never go back; the caller serialises it with changes of the world.

    ``rate`` is how many requests per second an organisation may make on average, ``burst`` how many at once; above that 429
    with ``Retry-After``. ``fail_next`` lets the coming requests fail, for tests of the connector's patience.
    """

    name = "regas"
    prefixes = frozenset(ORGANISATIONS)

    def __init__(
        self,
        world: World,
        clock: Callable[[], float],
        *,
        token_seconds: float = 900.0,
        rate: float = 20.0,
        burst: int = 60,
        page: int = PAGE,
        base_url: str = "",
    ) -> None:
        self.world = world
        self.page = min(page, PAGE)
        self.requests = 0
        self._clock = clock
        self._token_seconds = token_seconds
        self._rate, self._burst = rate, burst
        self._tokens: dict[str, tuple[str, float]] = {}
        self._issued = 0
        self._allowance: dict[str, tuple[float, float]] = {}
        self._faults: deque[int] = deque()
        self._base_url = base_url

    @classmethod
    def of(cls, surroundings: Surroundings) -> Regas:
        return cls(
            surroundings.world,
            surroundings.clock,
            token_seconds=surroundings.token_seconds,
            rate=surroundings.rate,
            burst=surroundings.burst,
            base_url=surroundings.base_url,
        )

    def fail_next(self, status: int, times: int = 1) -> None:
        """The next ``times`` API requests are answered with this status (401 also forgets every token)."""
        self._faults.extend([status] * times)

    def plan_fault(self, asked: Mapping[str, str], times: int) -> None:
        """``status=503``: so many API requests fail."""
        self.fail_next(int(asked["status"]), times)

    def description(self) -> dict[str, Any]:
        """Per organisation its address and credentials."""
        made = {organisation: credentials(self.world.seed, organisation) for organisation in ORGANISATIONS}
        return {
            "organisations": {
                organisation: {
                    "base_url": f"{self._base_url}/{organisation}",
                    "token_url": f"{self._base_url}/{organisation}/oauth/token",
                    "client_id": own.client_id,
                    "client_secret": own.client_secret,
                }
                for organisation, own in made.items()
            }
        }

    def handle(self, request: Request) -> Response:
        """Answers one request."""
        organisation, _, rest = request.path.lstrip("/").partition("/")
        if organisation not in ORGANISATIONS:
            return problem(404, "onbekende organisatie")
        self.requests += 1
        wait = self._too_fast(organisation)
        if wait is not None:
            return problem(429, "te veel verzoeken", (("Retry-After", str(wait)),))
        if rest == "oauth/token":
            return self._token(organisation, request) if request.method == "POST" else problem(405, "alleen POST")
        if rest != "api/v1/trajecten" and not rest.startswith("api/v1/trajecten/"):
            return problem(404, "onbekend pad")
        if request.method != "GET":
            return problem(405, "alleen GET")
        if self._faults:
            status = self._faults.popleft()
            if status == 401:
                self._tokens.clear()
            return problem(status, "storing", (("Retry-After", "1"),) if status in (429, 503) else ())
        if not self._known(organisation, request.headers.get("authorization", "")):
            return problem(401, "geen geldig token", (("WWW-Authenticate", 'Bearer error="invalid_token"'),))
        if rest == "api/v1/trajecten":
            return self._list(organisation, request)
        return self._one(organisation, rest.removeprefix("api/v1/trajecten/"))

    def _too_fast(self, organisation: str) -> int | None:
        """Takes one request from the allowance; whole seconds to wait when it is spent."""
        now = self._clock()
        left, at = self._allowance.get(organisation, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) * self._rate)
        if left < 1:
            self._allowance[organisation] = (left, now)
            return max(1, round((1 - left) / self._rate + 0.5))
        self._allowance[organisation] = (left - 1, now)
        return None

    def _token(self, organisation: str, request: Request) -> Response:
        given = parse_qs(request.body.decode("utf-8", "replace"))
        client_id, secret = (given.get(name, [""])[0] for name in ("client_id", "client_secret"))
        scheme, _, basic = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                client_id, _, secret = base64.b64decode(basic, validate=True).decode().partition(":")
            except ValueError:
                return Response(401, {"error": "invalid_client"})
        if given.get("grant_type") != ["client_credentials"]:
            return Response(400, {"error": "unsupported_grant_type"})
        right = credentials(self.world.seed, organisation)
        same = hmac.compare_digest(client_id.encode(), right.client_id.encode())
        if not (hmac.compare_digest(secret.encode(), right.client_secret.encode()) and same):
            return Response(401, {"error": "invalid_client"})
        self._issued += 1
        token = hmac.new(right.client_secret.encode(), f"{self._issued}".encode(), hashlib.sha256).hexdigest()
        now = self._clock()
        self._tokens = {known: (owner, end) for known, (owner, end) in self._tokens.items() if end > now}
        self._tokens[token] = (organisation, now + self._token_seconds)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": int(self._token_seconds)}
        return Response(200, answer, (("Cache-Control", "no-store"),))

    def _known(self, organisation: str, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        owner, end = self._tokens.get(token, ("", 0.0))
        return scheme.lower() == "bearer" and owner == organisation and end > self._clock()

    def _list(self, organisation: str, request: Request) -> Response:
        asked = parse_qs(request.query)
        after = ("", "")
        since = asked.get("gewijzigd_vanaf", [""])[0]
        cursor = asked.get("cursor", [""])[0]
        try:
            if since:
                after = (instant_text(_instant(since)), "")
            if cursor:
                after = max(after, _read_cursor(cursor))
        except ValueError:
            return problem(400, "onjuist tijdstip of onjuiste cursor")
        rows, more = self._rows(organisation, after)
        shown = [trajectory(self.world, case) for case in rows]
        following = _cursor(rows[-1]) if more and rows else None
        asking = {"gewijzigd_vanaf": since, "cursor": following}
        link = f"/{organisation}/api/v1/trajecten?{urlencode({name: value for name, value in asking.items() if value})}"
        headers = (("Link", f'<{link}>; rel="next"'),) if following else ()
        return Response(200, {"trajecten": shown, "volgende_cursor": following}, headers)

    def _rows(self, organisation: str, after: tuple[str, str]) -> tuple[list[Case], bool]:
        """The current rows behind the key, oldest change first, and whether there are more."""
        log = self.world.log["regas", organisation]
        start = bisect_left(log, after, key=lambda entry: (instant_text(entry[0]), entry[1]))
        found: list[Case] = []
        for changed_at, number in log[start:]:
            case = self.world.cases[organisation, number]
            if case.changed_at != changed_at or (instant_text(changed_at), number) == after:
                continue  # a newer version of it stands further on; or the row that the cursor was made from
            if len(found) == self.page:
                return found, True
            found.append(case)
        return found, False

    def _one(self, organisation: str, number: str) -> Response:
        case = self.world.cases.get((organisation, number))
        if case is None or case.source != self.name:
            return problem(404, "traject niet gevonden")
        return Response(200, trajectory(self.world, case))


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text.replace(" ", "+"))  # a plus sign that was not escaped in the query
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _cursor(case: Case) -> str:
    key = json.dumps([instant_text(case.changed_at), case.number]).encode()
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[str, str]:
    """The key inside a cursor; ValueError when it is not one of ours."""
    key = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    if not (isinstance(key, list) and len(key) == 2 and all(isinstance(part, str) for part in key)):
        raise ValueError(text)
    _instant(key[0])
    return key[0], key[1]
