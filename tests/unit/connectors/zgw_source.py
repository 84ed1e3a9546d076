"""A case system on a real socket for tests of the ZGW connector: zaken, roles, statuses and a catalogue as the Zaken API shows
them, tokens checked against its own clock, pages, and faults on demand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import jwt

from samenloop_connectors.cjg.config import CjgConfig

SECRET = "a secret of the case system, long enough"
TOKEN = "Bearer a-token-that-only-the-broker-knows"
TYPES = {"youth": "B0757", "consult": "B0999", "desk": "B0001"}
RESULTS = {
    "done": ("Doel bereikt", "Afgehandeld"),
    "wrong": ("Ten onrechte", "Niet doorgegaan"),
    "moved": ("Verhuisd", "Afgebroken"),
}
STATUSES = {
    "intake": ("Aangemeld", 1, False),
    "running": ("In behandeling", 2, False),
    "closed": ("Afgesloten", 3, True),
}
JAN, ZOE, PARENT = "999900006", "999990019", "999990020"


def uuid_of(number: int) -> str:
    return str(UUID(int=number, version=4))


def person(bsn: str = JAN, surname: str = "Jansen", born: str = "2014-05-03", **fields: str) -> dict[str, Any]:
    return {
        "inpBsn": bsn, "anpIdentificatie": "", "inpA_nummer": "", "geslachtsnaam": surname, "voorvoegselGeslachtsnaam": "van der",
        "voorletters": "Z.M.", "voornamen": "Zoë Maria", "geslachtsaanduiding": "v", "geboortedatum": born,
        "verblijfsadres": {
            "aoaIdentificatie": "1", "wplWoonplaatsNaam": "Goes", "gorOpenbareRuimteNaam": "Lange Kerkstraat",
            "aoaPostcode": "4461AB", "aoaHuisnummer": 12, "aoaHuisletter": "a", "aoaHuisnummertoevoeging": "3",
            "inpLocatiebeschrijving": "the red door",
        },
        "subVerblijfBuitenland": None,
    } | fields  # fmt: skip


class Source:
    """`ahead`: by how much its clock differs from ours. `asked`: paths and queries of every request that was let in."""

    def __init__(self) -> None:
        self.zaken: dict[str, dict[str, Any]] = {}
        self.roles: dict[str, dict[str, Any]] = {}
        self.faults: list[tuple[int, dict[str, str]]] = []
        self.forbidden: set[str] = set()
        self.asked: list[str] = []
        self.refused = 0
        self.ahead = timedelta()
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.page = 3
        self.tells_changes = True
        self.down = False
        self._made = 0
        source = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def log_message(self, *_: Any) -> None:
                pass

            def date_time_string(self, timestamp: float | None = None) -> str:
                return format_datetime(source.clock(), usegmt=True)

            def do_GET(self) -> None:
                status, body, headers = source.answer(self.path, self.headers.get("Authorization", ""))
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json"} | headers).items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def clock(self) -> datetime:
        return self.now() + self.ahead

    # What people do in it

    def zaak(self, number: int, kind: str = "youth", status: str | None = "running", **fields: Any) -> str:
        uuid = uuid_of(number)
        self.zaken[uuid] = {
            "url": f"{self.base}/zaken/api/v1/zaken/{uuid}", "uuid": uuid, "identificatie": f"ZAAK-2026-{number:07d}",
            "bronorganisatie": "517439943", "omschrijving": "WHAT-omschrijving", "toelichting": "WHAT-toelichting",
            "zaaktype": f"{self.base}/catalogi/api/v1/zaaktypen/{kind}", "registratiedatum": "2026-02-01",
            "startdatum": "2026-02-10", "einddatum": None, "einddatumGepland": "2026-12-31",
            "vertrouwelijkheidaanduiding": "zaakvertrouwelijk", "verlenging": None, "resultaat": None, "rollen": [],
            "opschorting": {"indicatie": False, "eerdereOpschorting": False, "reden": "WHAT-reden"}, "status": None,
        } | fields  # fmt: skip
        self.set_status(uuid, status)
        return uuid

    def touch(self, uuid: str) -> None:
        self._made += 1
        if self.tells_changes:
            moment = self.clock() + timedelta(microseconds=self._made)
            self.zaken[uuid]["laatstGemuteerd"] = moment.isoformat().replace("+00:00", "Z")

    def change(self, uuid: str, **fields: Any) -> None:
        self.zaken[uuid] |= fields
        self.touch(uuid)

    def set_status(self, uuid: str, status: str | None) -> None:
        self._made += 1
        url = f"{self.base}/zaken/api/v1/statussen/{status}-{self._made}" if status else None
        self.change(uuid, status=url)

    def end(self, uuid: str, result: str = "done", on: str = "2026-03-31") -> None:
        self.set_status(uuid, "closed")
        self.change(uuid, einddatum=on, resultaat=f"{self.base}/zaken/api/v1/resultaten/{result}")

    def reopen(self, uuid: str) -> None:
        self.set_status(uuid, "running")
        self.change(uuid, einddatum=None, resultaat=None)

    def suspend(self, uuid: str, indeed: bool = True) -> None:
        self.change(uuid, opschorting={"indicatie": indeed, "eerdereOpschorting": True, "reden": "WHAT-reden"})

    def role(
        self,
        uuid: str,
        who: dict[str, Any] | None,
        word: str = "Jeugdige",
        generic: str = "belanghebbende",
        **fields: Any,
    ) -> str:
        self._made += 1
        url = f"{self.base}/zaken/api/v1/rollen/{uuid_of(10_000 + self._made)}"
        self.roles[url] = {
            "url": url, "zaak": self.zaken[uuid]["url"], "betrokkene": "", "betrokkeneType": "natuurlijk_persoon",
            "afwijkendeNaamBetrokkene": "", "omschrijving": word, "omschrijvingGeneriek": generic, "roltoelichting": "WHAT-rol",
            "registratiedatum": "2026-02-01T10:00:00Z", "indicatieMachtiging": "", "betrokkeneIdentificatie": who,
        } | fields  # fmt: skip
        self.zaken[uuid]["rollen"] = [*self.zaken[uuid]["rollen"], url]
        self.touch(uuid)
        return url

    def team(self, uuid: str, name: str) -> str:
        naam = {"identificatie": "t1", "naam": name, "isGehuisvestIn": ""}
        return self.role(uuid, naam, "Behandelend team", "behandelaar", betrokkeneType="organisatorische_eenheid")

    def end_role(self, url: str) -> None:
        zaak = next(each for each in self.zaken.values() if url in each["rollen"])
        zaak["rollen"] = [each for each in zaak["rollen"] if each != url]
        del self.roles[url]
        self.touch(zaak["uuid"])

    def destroy(self, uuid: str) -> None:
        zaak = self.zaken.pop(uuid)
        self.roles = {url: role for url, role in self.roles.items() if role["zaak"] != zaak["url"]}

    # What it answers

    def answer(self, path: str, authorization: str) -> tuple[int, Any, dict[str, str]]:
        if self.faults:
            status, headers = self.faults.pop(0)
            return status, {}, headers
        if self.down:
            return 503, {}, {}
        if not self._lets_in(authorization):
            self.refused += 1
            return 403, {"code": "not_authenticated", "status": 403}, {}
        self.asked.append(path)
        parts = urlsplit(path)
        if not parts.path.startswith(("/zaken/api/v1/", "/catalogi/api/v1/")):
            return 404, "Not Found", {"Content-Type": "text/html"}
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        kind, _, key = parts.path.removeprefix("/zaken/api/v1/").removeprefix("/catalogi/api/v1/").partition("/")
        if not key:
            return self._list(kind, asked)
        found = self._one(kind, key)
        if key in self.forbidden:
            return 403, {"code": "permission_denied", "status": 403}, {}
        return (200, found, {}) if found else (404, {"code": "not_found", "status": 404}, {})

    def _lets_in(self, authorization: str) -> bool:
        now = self.clock().timestamp()
        try:
            claims = jwt.decode(
                authorization.removeprefix("Bearer "), SECRET, algorithms=["HS256"], options={"verify_iat": False}
            )
        except jwt.PyJWTError:
            return False
        return claims["client_id"] == claims["iss"] == "samenloop-cjg" and now - 3600 < claims["iat"] <= now

    def _list(self, kind: str, asked: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        page = int(asked.get("page", "1"))
        rows: list[dict[str, Any]] = []
        if kind == "zaken":
            since = asked.get("startdatum__gte", "")
            rows = sorted(
                (z for z in self.zaken.values() if z["startdatum"] >= since), key=lambda z: z["identificatie"]
            )
        elif kind == "rollen":
            rows = [role for role in self.roles.values() if role["zaak"] == asked["zaak"]]
        elif kind == "zaaktypen":
            rows = [self._one("zaaktypen", name) for name, number in TYPES.items() if number == asked["identificatie"]]
        shown = rows[(page - 1) * self.page : page * self.page]
        if page > 1 and not shown:
            return 404, {"code": "not_found", "status": 404}, {}
        more = "http://elsewhere.example/zaken?page=2" if rows[page * self.page :] else None
        return 200, {"count": len(rows), "next": more, "previous": None, "results": shown}, {}

    def _one(self, kind: str, key: str) -> Any:
        base = f"{self.base}/catalogi/api/v1"
        if kind == "zaken":
            return self.zaken.get(key)
        if kind == "zaaktypen" and key in TYPES:
            return {"url": f"{base}/zaaktypen/{key}", "identificatie": TYPES[key], "omschrijving": f"WHAT-type {key}"}
        if kind == "statussen" and key.partition("-")[0] in STATUSES:
            return {"statustype": f"{base}/statustypen/{key.partition('-')[0]}", "statustoelichting": "WHAT-status"}
        if kind == "statustypen" and key in STATUSES:
            omschrijving, number, last = STATUSES[key]
            return {"omschrijving": omschrijving, "volgnummer": number, "isEindstatus": last}
        if kind == "resultaten" and key in RESULTS:
            return {"resultaattype": f"{base}/resultaattypen/{key}", "toelichting": "WHAT-resultaat"}
        if kind == "resultaattypen" and key in RESULTS:
            return {"omschrijving": RESULTS[key][0], "omschrijvingGeneriek": RESULTS[key][1]}
        return None

    def config(self, directory: Path, **fields: Any) -> CjgConfig:
        return config_of(self.base, directory, **fields)


def config_of(base: str, directory: Path, **fields: Any) -> CjgConfig:
    organisation = {
        "id": "cjg-bevelanden", "area": "bevelanden", "base_url": f"{base}/zaken/api/v1",
        "catalogue_url": f"{base}/catalogi/api/v1", "client_id": "samenloop-cjg", "client_secret": SECRET, "token": TOKEN,
        "contact": {"team": "CJG", "phone": "0113-1"}, "teams": {"Team Zuid": {"team": "Team Zuid"}},
    } | fields.pop("organisation", {})  # fmt: skip
    content = {
        "connector": "cjg", "partner": "cjg", "state_dir": directory, "listen": {"port": 0}, "organisations": [organisation],
        "case_types": {
            "B0757": {"service_group": "youth_team", "announced": ["Aangemeld"]},
            "B0999": {"service_group": "youth_team", "bsn": False}, "B0001": "not_shared",
        },
    } | fields  # fmt: skip
    return CjgConfig.model_validate(content)


@contextmanager
def running() -> Iterator[Source]:
    source = Source()
    try:
        yield source
    finally:
        source.close()


def notification(source: Source, uuid: str, **fields: Any) -> dict[str, Any]:
    url = f"{source.base}/zaken/api/v1/zaken/{uuid}"
    zaak = source.zaken.get(uuid, {})
    return {
        "kanaal": "zaken", "hoofdObject": url, "resource": "zaak", "resourceUrl": url, "actie": "update",
        "aanmaakdatum": datetime.fromtimestamp(time.time(), UTC).isoformat(),
        "kenmerken": {"bronorganisatie": "517439943", "zaaktype": zaak.get("zaaktype", ""), "vertrouwelijkheidaanduiding": ""},
    } | fields  # fmt: skip
