"""A small FHIR server on a real socket for the tests of the GGD connector: tokens, exports, jobs, files, and faults on demand."""

from __future__ import annotations

import json
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from samenloop_connectors.ggd.config import GgdConfig

BSN = "http://fhir.nl/fhir/NamingSystem/bsn"
EXT = "http://hl7.org/fhir/StructureDefinition/"
KINDS = "https://jgz.example/episode"
KEY = ec.generate_private_key(ec.SECP384R1())
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
START = datetime(2026, 11, 1, 2, tzinfo=UTC)


def text_of(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def at(minutes: float) -> str:
    return text_of(START + timedelta(minutes=minutes))


def patient(number: str = "p1", minutes: float = 0, bsn: str | None = "999990019", **fields: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient", "id": number, "meta": {"versionId": "1", "lastUpdated": at(minutes)},
        "identifier": [{"system": BSN, "value": bsn}] if bsn else [],
        "name": [{
            "extension": [{"url": EXT + "humanname-assembly-order", "valueCode": "NL1"}], "use": "official",
            "family": "van der Berg", "_family": {"extension": [
                {"url": EXT + "humanname-own-prefix", "valueString": "van der"},
                {"url": EXT + "humanname-own-name", "valueString": "Berg"},
            ]},
            "given": ["Sanne", "Maria"], "_given": [
                {"extension": [{"url": EXT + "iso21090-EN-qualifier", "valueCode": "BR"}]},
                {"extension": [{"url": EXT + "iso21090-EN-qualifier", "valueCode": "BR"}]},
            ],
        }],
        "gender": "female", "birthDate": "2019-05-06",
        "generalPractitioner": [{"display": "Huisartsenpraktijk Merkpunt"}], "maritalStatus": {"text": "merkpunt"},
        "address": [{
            "use": "home", "type": "both", "line": ["Dorpsstraat 12 a II"], "_line": [{"extension": [
                {"url": EXT + "iso21090-ADXP-streetName", "valueString": "Dorpsstraat"},
                {"url": EXT + "iso21090-ADXP-houseNumber", "valueString": "12"},
                {"url": EXT + "iso21090-ADXP-buildingNumberSuffix", "valueString": "a II"},
            ]}], "city": "Valkenswaard", "postalCode": "5554 ab", "country": "NL",
        }],
    } | fields  # fmt: skip


def episode(number: str = "e1", minutes: float = 0, kind: str = "extra", **fields: Any) -> dict[str, Any]:
    version = fields.pop("version", "1")
    organisation = fields.pop("agb", "41000001")
    return {
        "resourceType": "EpisodeOfCare", "id": number, "meta": {"versionId": version, "lastUpdated": at(minutes)},
        "status": "active", "type": [{"coding": [{"system": KINDS, "code": kind}]}],
        "diagnosis": [{"condition": {"display": "merkpunt"}}], "careManager": {"display": "J. Merkpunt"},
        "patient": {"reference": "Patient/p1"}, "period": {"start": "2026-03-04"},
        "managingOrganization": {"identifier": {"system": "http://fhir.nl/fhir/NamingSystem/agb-z", "value": organisation}},
    } | fields  # fmt: skip


class FhirServer:
    """Resources by (type, id); `clock` is the server's own time. Everything it was asked is in `asked`."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.resources: dict[tuple[str, str], dict[str, Any]] = {}
        self.deleted: list[tuple[datetime, str]] = []
        self.clock = START + timedelta(hours=1)
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.faults: dict[str, list[tuple[int, dict[str, str]]]] = {}
        self.polls = 0
        self.jobs: dict[str, dict[str, list[bytes]]] = {}
        self.dropped: list[str] = []
        self.tokens: list[str] = []
        self.token_seconds = 300.0
        self.scope: str | None = None
        self.errors: list[dict[str, Any]] = []
        self.errors_of_whole: list[dict[str, Any]] = []
        self.change_manifest = lambda manifest: None
        self.change_file = lambda kind, content: content
        self.counts = True
        self.public_key = KEY.public_key()
        self._jti: set[str] = set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                server._handle(self)

            do_POST = do_DELETE = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "https" if tls else "http"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def base(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.server_port}/fhir"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def put(self, *resources: dict[str, Any]) -> None:
        for each in resources:
            self.resources[each["resourceType"], each["id"]] = each

    def delete(self, kind: str, number: str) -> None:
        self.resources.pop((kind, number), None)
        self.deleted.append((self.clock, f"{kind}/{number}"))

    def later(self, **by: float) -> None:
        self.clock += timedelta(**by)

    def fail(self, where: str, status: int, times: int = 1, **headers: str) -> None:
        """`where`: token, kick, poll, file or read."""
        self.faults.setdefault(where, []).extend([(status, headers)] * times)

    def config(self, directory: Path, **fields: Any) -> GgdConfig:
        return GgdConfig.model_validate({
            "connector": "ggd", "partner": "ggd", "state_dir": directory, "base_url": self.base,
            "token_url": f"{self.base}/token", "client_id": "samenloop", "key_id": "k1", "private_key": PEM,
            "organisations": [
                {"id": "ggd-a2", "area": "a2", "agb": "41000001", "contact": {"team": "JGZ A2"},
                 "teams": {"Team Zuid": {"team": "JGZ Team Zuid"}, "PractitionerRole/r7": {"team": "JGZ Cranendonck"}}},
                {"id": "ggd-zwolle", "area": "zwolle", "ura": "00000042", "contact": {"team": "JGZ Zwolle"}},
            ],
            "episode_types": {f"{KINDS}|extra": "youth_health_extra", "coordination": "care_coordination"},
        } | fields)  # fmt: skip

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.asked.append((request.command, request.path, dict(request.headers.items())))
        path = parts.path.removeprefix("/fhir/")
        where = {"token": "token", "$export": "kick"}.get(path, path.partition("/")[0])
        where = {"jobs": "poll", "files": "file", "Patient": "read"}.get(where, where)
        if self.faults.get(where) and request.command != "DELETE":
            status, headers = self.faults[where].pop(0)
            return self._answer(request, status, {"resourceType": "OperationOutcome"}, headers)
        if where == ".well-known":
            return self._answer(request, 200, {"token_endpoint": f"{self.base}/token"})
        if where == "token":
            return self._token(request, parse_qs(body.decode()))
        if request.headers.get("Authorization", "") not in [f"Bearer {token}" for token in self.tokens[-1:]]:
            return self._answer(request, 401, {})
        if where == "kick":
            return self._kick(request, parse_qs(parts.query))
        if where == "poll":
            return self._poll(request, path.partition("/")[2])
        if where == "file":
            _, job, kind, place = path.split("/")
            content = self.jobs[job][kind][int(place)]
            return self._answer(
                request, 200, self.change_file(kind, content), {"Content-Type": "application/fhir+ndjson"}
            )
        found = self.resources.get(tuple(path.split("/")[:2]))  # type: ignore[arg-type]
        return self._answer(request, 200 if found else 404, found or {})

    def _token(self, request: BaseHTTPRequestHandler, form: dict[str, list[str]]) -> None:
        try:
            claims = jwt.decode(
                form["client_assertion"][0],
                self.public_key,
                ["ES384", "RS384"],
                audience=f"{self.base}/token",
                issuer="samenloop",
            )
            good = (
                form["grant_type"] == ["client_credentials"]
                and form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
                and jwt.get_unverified_header(form["client_assertion"][0])["kid"] == "k1"
                and claims["sub"] == "samenloop"
                and claims["exp"] - time.time() <= 300
                and claims["jti"] not in self._jti
            )
            self._jti.add(claims["jti"])
        except (jwt.PyJWTError, KeyError, TypeError):
            good = False
        if not good:
            return self._answer(request, 400, {"error": "invalid_client", "error_description": "merkpunt"})
        self.tokens.append(f"t{len(self.tokens)}")
        answer = {"access_token": self.tokens[-1], "token_type": "bearer", "expires_in": self.token_seconds,
                  "scope": form["scope"][0] if self.scope is None else self.scope}  # fmt: skip
        return self._answer(request, 200, answer)

    def _kick(self, request: BaseHTTPRequestHandler, asked: dict[str, list[str]]) -> None:
        assert request.headers["Prefer"] == "respond-async"
        since = datetime.fromisoformat(asked["_since"][0]) if "_since" in asked else None
        files: dict[str, list[bytes]] = {}
        for kind in asked["_type"][0].split(","):
            found = [
                each for (found, _), each in sorted(self.resources.items())
                if found == kind and (since is None or datetime.fromisoformat(each["meta"]["lastUpdated"]) > since)
            ]  # fmt: skip
            if found:
                files[kind] = [_ndjson(found[:2])] + ([_ndjson(found[2:])] if found[2:] else [])
        if since and (gone := [(when, url) for when, url in self.deleted if when > since]):
            files["deleted"] = [_ndjson([
                {"resourceType": "Bundle", "type": "transaction", "meta": {"lastUpdated": text_of(when)},
                 "entry": [{"request": {"method": "DELETE", "url": url}}]} for when, url in gone])]  # fmt: skip
        if errors := self.errors + ([] if since else self.errors_of_whole):
            files["error"] = [_ndjson(errors)]
        job = f"j{len(self.jobs)}"
        self.jobs[job] = files
        return self._answer(request, 202, None, {"Content-Location": f"{self.base}/jobs/{job}"})

    def _poll(self, request: BaseHTTPRequestHandler, job: str) -> None:
        if request.command == "DELETE":
            self.dropped.append(job)
            return self._answer(request, 202, None)
        if self.polls > 0:
            self.polls -= 1
            return self._answer(request, 202, None, {"Retry-After": "3", "X-Progress": "merkpunt"})
        listed = [
            {"type": kind, "url": f"{self.base}/files/{job}/{kind}/{place}"}
            | ({"count": content.count(b"\n")} if self.counts else {})
            for kind, contents in self.jobs[job].items()
            for place, content in enumerate(contents)
        ]  # fmt: skip
        manifest: dict[str, Any] = {
            "transactionTime": text_of(self.clock), "request": f"{self.base}/$export", "requiresAccessToken": True,
            "output": [each for each in listed if each["type"] not in ("deleted", "error")],
            "deleted": [each for each in listed if each["type"] == "deleted"],
            "error": [each for each in listed if each["type"] == "error"],
        }  # fmt: skip
        self.change_manifest(manifest)
        return self._answer(request, 200, manifest)

    def _answer(
        self, request: BaseHTTPRequestHandler, status: int, body: Any, headers: dict[str, str] | None = None
    ) -> None:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)


def _ndjson(resources: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in resources)
