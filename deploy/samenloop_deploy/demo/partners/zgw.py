"""The case system of the youth teams: each organisation has Zaken and Catalogi APIs of its own, and notifications.

    GET  /zgw/<organisation>/zaken/api/v1/zaken?startdatum__gte=D&ordering=identificatie&page=N
    GET  /zgw/<organisation>/zaken/api/v1/{zaken,rollen,statussen,resultaten}/{uuid}     and rollen?zaak=URL
    GET  /zgw/<organisation>/catalogi/api/v1/{zaaktypen,statustypen,resultaattypen}/{uuid}

A ZGW token (HS256, client id and secret) goes with each request; a missing or wrong one is refused with 403, as Open Zaak does.
What was made by mistake is destroyed: 404. About each change a notification goes to the subscriber; some are lost, some come
twice, and one that is not answered with a 2xx is sent again a few times and then given up.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

import jwt

from samenloop_deploy.local.directory import free_port

from ..cases import Case, State
from .seam import LOOPBACK, Outgoing, PartnerSystem, Request, Response, Surroundings, credentials, instant_text, problem
from .zgw_resources import CASE_TYPES, ORGANISATIONS, SHARED, Resources, uuid_of

PAGE: Final = 50
_PATH: Final = re.compile(r"/zgw/([a-z0-9-]+)/(?:zaken|catalogi)/api/v1/([a-z]+)(?:/([0-9a-f-]{36}))?")
_LASTS: Final = 3600
_LEEWAY: Final = 5
_LISTS: Final = {
    "zaken": {"startdatum__gte", "startdatum__gt", "ordering", "page", "zaaktype", "identificatie"},
    "rollen": {"zaak", "page"},
    "zaaktypen": {"identificatie", "page"},
}


class Zgw(PartnerSystem):
    """`wall` tells the time that tokens are judged by, in seconds since 1970; it is the time in the answers' Date too."""

    name = "zgw"
    prefixes = frozenset({"zgw"})

    def __init__(self, surroundings: Surroundings, wall: Callable[[], float] = time.time, page: int = PAGE) -> None:
        self._around = surroundings
        self._world = surroundings.world
        self._wall = wall
        self._page = page
        self._resources = {
            each: Resources(self._world, each, f"{surroundings.base_url}/zgw/{each}") for each in ORGANISATIONS
        }
        self._callback_port = free_port()
        self._told: dict[str, int] = {}
        self._states: dict[tuple[str, str], State] = {}
        self._faults: deque[int] = deque()
        self._losing = 0
        self._allowance: dict[str, tuple[float, float]] = {}
        self.sent: defaultdict[str, int] = defaultdict(int)

    def number_of(self, case: Case) -> str:
        """Its number, the beginning of its uuid, and the client's number: one case per zaak and person."""
        return f"{case.number}/{self._resources[case.organisation].uuid(case.number)[:8]}/{case.client}"

    def description(self) -> dict[str, Any]:
        """The subscription was made beforehand: the connector has to listen on this port for this token."""
        return {
            "callback_port": self._callback_port,
            "case_types": list(SHARED),
            "not_shared": [name for name in CASE_TYPES if name not in SHARED],
            "organisations": {
                each: {
                    "base_url": f"{self._around.base_url}/zgw/{each}/zaken/api/v1",
                    "catalogue_url": f"{self._around.base_url}/zgw/{each}/catalogi/api/v1",
                    "client_id": credentials(self._world.seed, each).client_id,
                    "client_secret": credentials(self._world.seed, each).client_secret,
                    "token": self._token(each),
                }
                for each in ORGANISATIONS
            },
        }

    def plan_fault(self, asked: Mapping[str, str], times: int) -> None:
        """``status=503``: so many requests fail. ``kind=lost``: so many notifications are never sent."""
        if asked.get("kind") == "lost":
            self._losing += times
        else:
            self._faults.extend([int(asked["status"])] * times)

    def handle(self, request: Request) -> Response:
        match = _PATH.fullmatch(request.path)
        if not match or match[1] not in self._resources:
            return problem(404, "onbekend pad")
        organisation, kind, key = match[1], match[2], match[3]
        if self._faults:
            return problem(self._faults.popleft(), "storing")
        if wait := self._too_fast(organisation):
            return problem(429, "te veel verzoeken", (("Retry-After", str(wait)),))
        if not self._lets_in(organisation, request.headers.get("authorization", "")):
            return _fault(403, "not_authenticated", "Authenticatiegegevens zijn niet opgegeven of onjuist.")
        if request.method != "GET":
            return _fault(405, "method_not_allowed", "Alleen lezen.")
        if kind == "zaken" and request.headers.get("accept-crs") != "EPSG:4326":
            return _fault(412, "precondition_failed", "'Accept-Crs' header ontbreekt")
        if key is None:
            return self._list(organisation, kind, request)
        found = self._resources[organisation].one(kind, key)
        return Response(200, found) if found else _fault(404, "not_found", "Niet gevonden.")

    def follow(self) -> None:
        """Tell the subscriber of what changed since the last time; what was there at the subscription is not told."""
        for organisation in ORGANISATIONS:
            log = self._world.log["zgw", organisation]
            begun = organisation in self._told
            for changed_at, number in log[self._told.get(organisation, 0) :]:
                case = self._world.cases[organisation, number]
                before = self._states.get(case.key)
                self._states[case.key] = case.state
                if begun and case.changed_at == changed_at:
                    for notification in self._notifications(case, before):
                        self._notify(organisation, case, notification)
            self._told[organisation] = len(log)

    def _notifications(self, case: Case, before: State | None) -> list[dict[str, Any]]:
        """As Open Zaak sends them: one per resource that was made, changed or destroyed."""
        made = self._resources[case.organisation]
        zaak = made.url("zaken", made.uuid(case.number))
        if case.state is State.WITHDRAWN:
            return [self._notification(case, zaak, "zaak", zaak, "destroy")] if before else []
        shown = made.zaak(case)
        found = []
        if before is None:
            found.append(self._notification(case, zaak, "zaak", zaak, "create"))
        if before is None or before is case.state:
            found.append(self._notification(case, zaak, "rol", shown["rollen"][0], "create"))
        if before is not case.state and shown["status"]:
            found.append(self._notification(case, zaak, "status", shown["status"], "create"))
        if before is not None:
            found.append(self._notification(case, zaak, "zaak", zaak, "update"))
        return found

    def _notification(self, case: Case, zaak: str, resource: str, url: str, action: str) -> dict[str, Any]:
        shown = self._resources[case.organisation].zaak(case)
        features = {name: shown[name] for name in ("bronorganisatie", "zaaktype", "vertrouwelijkheidaanduiding")}
        return {
            "kanaal": "zaken", "hoofdObject": zaak, "resource": resource, "resourceUrl": url, "actie": action,
            "aanmaakdatum": instant_text(case.changed_at), "kenmerken": features,
        }  # fmt: skip

    def _notify(self, organisation: str, case: Case, notification: dict[str, Any]) -> None:
        """One in ten is lost and one in eight comes twice: which, the seed says."""
        body = json.dumps(notification).encode()
        chance = hashlib.sha256(f"{self._world.seed}|{case.changed_at}|".encode() + body).digest()
        if self._losing or chance[0] % 10 == 0:
            self._losing = max(0, self._losing - 1)
            self.sent["lost"] += 1
            return
        outgoing = Outgoing(
            f"http://{LOOPBACK}:{self._callback_port}/{organisation}",
            body,
            {"Authorization": f"Bearer {self._token(organisation)}", "Content-Type": "application/json"},
        )
        for _ in range(2 if chance[1] % 8 == 0 else 1):
            self._around.send(outgoing)
            self.sent["sent"] += 1

    def _token(self, organisation: str) -> str:
        return credentials(self._world.seed, f"notifications-{organisation}").client_secret

    def _lets_in(self, organisation: str, authorization: str) -> bool:
        right, now = credentials(self._world.seed, organisation), self._wall()
        try:
            claims = jwt.decode(
                authorization.removeprefix("Bearer "),
                right.client_secret,
                algorithms=["HS256"],
                options={"verify_iat": False, "require": ["iat"]},
            )
        except jwt.PyJWTError:
            return False
        issued = claims["iat"] if isinstance(claims["iat"], int) else 0
        return claims.get("client_id") == right.client_id and now - _LASTS < issued <= now + _LEEWAY

    def _too_fast(self, organisation: str) -> int | None:
        """Takes one request from the allowance; whole seconds to wait when it is spent."""
        now, rate, burst = self._around.clock(), self._around.rate, float(self._around.burst)
        left, at = self._allowance.get(organisation, (burst, now))
        left = min(burst, left + (now - at) * rate)
        self._allowance[organisation] = (left - 1 if left >= 1 else left, now)
        return None if left >= 1 else max(1, round((1 - left) / rate + 0.5))

    def _list(self, organisation: str, kind: str, request: Request) -> Response:
        asked = {name: values[0] for name, values in parse_qs(request.query).items()}
        if kind not in _LISTS:
            return _fault(404, "not_found", "Niet gevonden.")
        if not asked.keys() <= _LISTS[kind]:
            return _fault(400, "unknown-parameters", "Onbekende query parameters.")
        try:
            page = int(asked.get("page", "1"))
            rows = self._rows(organisation, kind, asked)
        except ValueError:
            return _fault(400, "invalid", "Ongeldige parameter.")
        shown = rows[(page - 1) * self._page : page * self._page]
        if page < 1 or (page > 1 and not shown):
            return _fault(404, "not_found", "Ongeldige pagina.")
        base = f"{self._around.base_url}{request.path}"
        following = f"{base}?{urlencode(asked | {'page': str(page + 1)})}" if rows[page * self._page :] else None
        previous = f"{base}?{urlencode(asked | {'page': str(page - 1)})}" if page > 1 else None
        return Response(200, {"count": len(rows), "next": following, "previous": previous, "results": shown})

    def _rows(self, organisation: str, kind: str, asked: Mapping[str, str]) -> list[dict[str, Any]]:
        made = self._resources[organisation]
        if kind == "zaaktypen":
            return [made.case_type(name) for name in CASE_TYPES if asked.get("identificatie", name) == name]
        if kind == "rollen":
            found = {made.url("zaken", uuid): case for uuid, case in made.cases().items()}
            wanted = [found[asked["zaak"]]] if asked.get("zaak") in found else [] if "zaak" in asked else found.values()
            return [role for case in wanted for role in made.roles(case)]
        since = date.fromisoformat(asked["startdatum__gte"]) if "startdatum__gte" in asked else date.min
        after = date.fromisoformat(asked["startdatum__gt"]) if "startdatum__gt" in asked else date.min
        same = [name for name in ("zaaktype", "identificatie") if name in asked]
        rows = [zaak for zaak in made.zaken() if all(zaak[name] == asked[name] for name in same)]
        rows = [zaak for zaak in rows if date.fromisoformat(zaak["startdatum"]) >= max(since, after)]
        key = asked.get("ordering", "identificatie")
        if key.lstrip("-") not in ("identificatie", "startdatum", "registratiedatum"):
            raise ValueError(key)
        return sorted(
            rows, key=lambda zaak: (zaak[key.lstrip("-")], zaak["identificatie"]), reverse=key.startswith("-")
        )


def _fault(status: int, code: str, detail: str) -> Response:
    """As the ZGW standards say it."""
    body = {
        "type": f"urn:zgw:{code}", "code": code, "title": detail, "status": status, "detail": detail,
        "instance": f"urn:uuid:{uuid_of(code, detail)}",
    }  # fmt: skip
    return Response(status, body, (("Content-Type", "application/problem+json"),))
