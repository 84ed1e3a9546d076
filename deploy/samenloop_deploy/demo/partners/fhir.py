"""The youth health care system of the three GGDs, as a FHIR R4 server with Bulk Data export. A request in, an answer out.

    POST /jgz/token                                private-key JWT (SMART Backend Services) -> bearer token that expires
    GET  /jgz/fhir/$export?_type=...&_since=T      202 with the address of a job
    GET  /jgz/fhir/jobs/{job}                      202 with Retry-After, then the manifest; DELETE ends it
    GET  /jgz/fhir/files/{job}/{file}              NDJSON: a file per type, and one of deletions
    GET  /jgz/fhir/Patient/{id}

An export shows what there was when it was asked for. Of the episodes made by mistake every second one
is marked so, the others are deleted.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ..cases import Case, State
from ..places import AREAS, area_of
from ..written.fhir import FhirPerson, write_fhir
from . import fhir_resources as resources
from .fhir_resources import Resource
from .seam import PartnerSystem, Request, Response, Surroundings, instant_text

AGB: Final = {area.youth_health: f"4150{place:04d}" for place, area in enumerate(AREAS, 1)}
CARRYING: Final = AREAS[-1].youth_health
"""The GGD whose episodes carry the child with them."""
CLIENT: Final = "samenloop-ggd"
KEY_ID: Final = "samenloop-demo"
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
RETRY_SECONDS: Final = 1
MOST_JOBS: Final = 20


def demo_key(seed: int) -> ec.EllipticCurvePrivateKey:
    """The connector's key in a demo world: derived from the seed. The system itself keeps the public part only."""
    secret = hmac.new(f"samenloop-demo-{seed}".encode(), b"jgz signing key", hashlib.sha384).digest()
    return ec.derive_private_key(int.from_bytes(secret) % (1 << 383) + 1, ec.SECP384R1())


@dataclass(slots=True)
class _Job:
    """An export that was made; ``ready_at`` by the clock. ``files`` by name, with type and number of resources."""

    at: str
    ready_at: float
    files: dict[str, tuple[str, int, bytes]]


@dataclass(frozen=True, slots=True)
class _File:
    """A child's file as it was last written: when, and how often."""

    record: FhirPerson
    changed_at: datetime
    version: int


class Fhir(PartnerSystem):
    """The application. Faults (``plan_fault``): ``status=503`` fails so many requests; ``kind=`` gone (the job is dropped),
    cut (a file stops half-way), partial (the server says that it could not export all), slow (not ready yet)."""

    name = "fhir"
    prefixes = frozenset({"jgz"})

    def __init__(self, surroundings: Surroundings) -> None:
        self.requests = 0
        self.retry_seconds = RETRY_SECONDS
        self._around = surroundings
        self._world = surroundings.world
        self._public_key = demo_key(self._world.seed).public_key()
        self._base = f"{surroundings.base_url}/jgz/fhir"
        self._token_url = f"{surroundings.base_url}/jgz/token"
        self._tokens: dict[str, float] = {}
        self._assertions: dict[str, float] = {}
        self._jobs: dict[str, _Job] = {}
        self._faults: deque[str] = deque()
        self._files: dict[tuple[str, str], _File] = {}
        self._versions: dict[tuple[str, str], tuple[datetime, int]] = {}
        self._read: dict[str, int] = {}
        self._began = self._world.now - timedelta(days=30)
        self._others = self._other_children()
        self.follow()

    def description(self) -> dict[str, Any]:
        """Addresses, the key with which the connector signs, and which organisations it will meet."""
        key = demo_key(self._world.seed).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return {
            "base_url": self._base,
            "token_url": self._token_url,
            "client_id": CLIENT,
            "key_id": KEY_ID,
            "algorithm": "ES384",
            "private_key": key.decode(),
            "organisations": dict(AGB),
            "episode_types": {f"{resources.EPISODE_KINDS}|{kind}": "youth_health_extra" for kind in resources.EXTRA},
        }

    def plan_fault(self, asked: Mapping[str, str], times: int) -> None:
        fault = asked.get("kind") or str(int(asked["status"]))
        if not fault.isdecimal() and fault not in ("gone", "cut", "partial", "slow"):
            raise ValueError(fault)
        self._faults.extend([fault] * times)

    def follow(self) -> None:
        """Counts the versions of episodes and files, as a server does when they are written."""
        for organisation in AGB:
            log = self._world.log[self.name, organisation]
            for changed_at, number in log[self._read.get(organisation, 0) :]:
                key = organisation, number
                _, version = self._versions.get(key, (changed_at, 0))
                self._versions[key] = changed_at, version + 1
                self._write_file(self._world.cases[key], changed_at)
            self._read[organisation] = len(log)

    def handle(self, request: Request) -> Response:
        self.requests += 1
        path = request.path.removeprefix("/jgz/")
        if self._faults and self._faults[0].isdecimal():
            status = int(self._faults.popleft())
            return _outcome(status, "transient", (("Retry-After", "1"),) if status in (429, 503) else ())
        if path == "token":
            return self._token(request) if request.method == "POST" else _outcome(405, "not-supported")
        if path == "fhir/.well-known/smart-configuration":
            return Response(200, {"token_endpoint": self._token_url, "grant_types_supported": ["client_credentials"],
                                  "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                                  "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"]})  # fmt: skip
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or self._tokens.get(token, 0.0) <= self._around.clock():
            return _outcome(401, "login", (("WWW-Authenticate", "Bearer"),))
        match path.removeprefix("fhir/").split("/"):
            case ["$export"] if request.method == "GET":
                return self._kick_off(request)
            case ["jobs", job] if request.method in ("GET", "DELETE") and job in self._jobs:
                return self._status(job) if request.method == "GET" else self._drop(job)
            case ["files", job, name] if request.method == "GET" and name in self._jobs.get(job, _NO_JOB).files:
                return self._file(job, name)
            case ["Patient", number] if request.method == "GET":
                return self._one(number)
        return _outcome(404, "not-found")

    # Log-in

    def _token(self, request: Request) -> Response:
        given = parse_qs(request.body.decode("utf-8", "replace"))
        if given.get("grant_type") != ["client_credentials"] or given.get("client_assertion_type") != [ASSERTION]:
            return Response(400, {"error": "invalid_request"})
        if not self._believes(given.get("client_assertion", [""])[0]):
            return Response(401, {"error": "invalid_client"})
        now, token = self._around.clock(), secrets.token_urlsafe(24)
        self._tokens = {known: end for known, end in self._tokens.items() if end > now}
        self._tokens[token] = now + self._around.token_seconds
        answer = {"access_token": token, "token_type": "bearer", "expires_in": int(self._around.token_seconds),
                  "scope": given.get("scope", [""])[0]}  # fmt: skip
        return Response(200, answer, (("Cache-Control", "no-store"),))

    def _believes(self, assertion: str) -> bool:
        """Signed with the registered key, for us, for at most five minutes, and not shown before."""
        try:
            claims = jwt.decode(
                assertion, self._public_key, ["ES384"], audience=self._token_url, issuer=CLIENT,
                options={"require": ["exp", "iss", "sub", "aud", "jti"]},
            )  # fmt: skip
            key_id = jwt.get_unverified_header(assertion).get("kid")
        except jwt.PyJWTError:
            return False
        now = datetime.now(UTC).timestamp()
        self._assertions = {known: end for known, end in self._assertions.items() if end > now}
        fresh = claims["jti"] not in self._assertions and claims["exp"] - now <= 300
        self._assertions[claims["jti"]] = claims["exp"]
        return fresh and claims["sub"] == CLIENT and key_id == KEY_ID

    # Exports

    def _kick_off(self, request: Request) -> Response:
        asked = parse_qs(request.query)
        if "respond-async" not in request.headers.get("prefer", ""):
            return _outcome(400, "invalid")
        try:
            since = datetime.fromisoformat(asked["_since"][0].replace(" ", "+")) if "_since" in asked else None
        except ValueError:
            return _outcome(400, "invalid")
        found = self._resources(since)
        kinds = [kind for kind in ",".join(asked.get("_type", [])).split(",") if kind] or list(found)
        if any(kind not in found for kind in kinds):
            return _outcome(400, "not-supported")
        files = {f"{kind}.ndjson": _ndjson(kind, found[kind]) for kind in kinds if found[kind]}
        if gone := [resources.deletion(number, at) for number, at in self._deleted(since)]:
            files["deleted.ndjson"] = _ndjson("Bundle", gone)
        if self._strikes("partial"):
            files["error.ndjson"] = _ndjson("OperationOutcome", [_issue("exception")])
        while len(self._jobs) >= MOST_JOBS:
            del self._jobs[next(iter(self._jobs))]
        job = secrets.token_hex(8)
        self._jobs[job] = _Job(instant_text(self._moment()), self._around.clock() + self.retry_seconds, files)
        return Response(202, None, (("Content-Location", f"{self._base}/jobs/{job}"),))

    def _status(self, job: str) -> Response:
        if self._strikes("gone"):
            del self._jobs[job]
            return _outcome(404, "not-found")
        made, now = self._jobs[job], self._around.clock()
        if made.ready_at > now or self._strikes("slow"):
            headers = (("Retry-After", str(self.retry_seconds)), ("X-Progress", "bezig"))
            return Response(202, None, headers)
        listed = {
            name: {"type": kind, "url": f"{self._base}/files/{job}/{name}", "count": count}
            for name, (kind, count, _) in made.files.items()
        }
        special = {"deleted.ndjson": "deleted", "error.ndjson": "error"}
        manifest = {
            "transactionTime": made.at,
            "request": f"{self._base}/$export",
            "requiresAccessToken": True,
            "output": [each for name, each in listed.items() if name not in special],
            "deleted": [listed[name] for name in listed if special.get(name) == "deleted"],
            "error": [listed[name] for name in listed if special.get(name) == "error"],
        }
        return Response(200, manifest)

    def _drop(self, job: str) -> Response:
        del self._jobs[job]
        return Response(202)

    def _file(self, job: str, name: str) -> Response:
        content = self._jobs[job].files[name][2]
        if self._strikes("cut"):
            content = content[: len(content) // 2]
        return Response(200, content, (("Content-Type", "application/fhir+ndjson"),))

    def _one(self, number: str) -> Response:
        organisation, _, dossier = number.rpartition("-")
        known = organisation != CARRYING and (organisation, dossier) in self._files
        return Response(200, self._child(organisation, dossier)) if known else _outcome(404, "not-found")

    # What there is

    def _moment(self) -> datetime:
        """Now, but never before the last change."""
        stamps = [log[-1][0] for organisation in AGB if (log := self._world.log[self.name, organisation])]
        return max([self._world.now, *stamps])

    def _resources(self, since: datetime | None) -> dict[str, list[Resource]]:
        """Everything of each type, or what changed since."""
        shown: dict[str, list[Resource]] = {kind: list(found) for kind, found in self._others.items() if not since}
        episodes, patients, mothers = (
            shown.setdefault(kind, []) for kind in ("EpisodeOfCare", "Patient", "RelatedPerson")
        )
        for (organisation, dossier), file in self._files.items():
            if organisation == CARRYING or (since and file.changed_at <= since):
                continue
            child = self._child(organisation, dossier)
            patients.append(child)
            seen_since = file.changed_at.date()
            episodes.append(
                resources.universal(child["id"], child["id"], AGB[organisation], seen_since, file.changed_at)
            )
            parent = self._world.mother_of(self._world.persons[self._world.clients[organisation, dossier].person])
            if parent and parent.bsn and parent.bsn == file.record.bsn:
                mothers.append(resources.mother(f"m-{child['id']}", child["id"], parent, file.changed_at))
        for case in self._cases():
            if not _is_deleted(case) and not (since and case.changed_at <= since):
                child, version = self._child(case.organisation, case.client), self._versions[case.key][1]
                carried = case.organisation == CARRYING
                episodes.append(
                    resources.episode(case, AGB[case.organisation], child, version, self._world.today, carried)
                )
        return shown

    def _child(self, organisation: str, dossier: str) -> Resource:
        file = self._files[organisation, dossier]
        return resources.patient(f"{organisation}-{dossier}", dossier, file.record, file.changed_at, file.version)

    def _deleted(self, since: datetime | None) -> list[tuple[str, datetime]]:
        if since is None:
            return []
        return [
            (f"{case.organisation}-{case.number}", case.changed_at)
            for case in self._cases()
            if _is_deleted(case) and case.changed_at > since
        ]

    def _cases(self) -> Iterable[Case]:
        return (self._world.cases[key] for key in self._versions)

    def _write_file(self, case: Case, changed_at: datetime) -> None:
        record = self._world.clients[case.organisation, case.client].written
        assert isinstance(record, FhirPerson)
        before = self._files.get((case.organisation, case.client))
        if before is None or before.record != record:
            version = before.version + 1 if before else 1
            self._files[case.organisation, case.client] = _File(record, changed_at, version)

    def _other_children(self) -> dict[str, list[Resource]]:
        """Every third child that lives here, whom only the universal contact moments reach."""
        episodes, patients = [], []
        for number in self._world.residents[::3]:
            person = self._world.persons[number]
            organisation = area_of(person.address.municipality.organisation).youth_health
            if person.age(self._world.today) < 19:
                rng = Random(f"jgz:{self._world.seed}:{number}")
                record = write_fhir(rng, person, self._world.mother_of(person), self._world.today)
                patients.append(resources.patient(f"u-{number}", f"U{number}", record, self._began, 1))
                agb = AGB[organisation]
                episodes.append(resources.universal(number, f"u-{number}", agb, person.birth_date, self._began))
        return {"EpisodeOfCare": episodes, "Patient": patients}

    def _strikes(self, fault: str) -> bool:
        if self._faults and self._faults[0] == fault:
            self._faults.popleft()
            return True
        return False


_NO_JOB: Final = _Job("", 0.0, {})


def _is_deleted(case: Case) -> bool:
    return case.state is State.WITHDRAWN and int(case.number.lstrip("E")) % 2 == 0


def _ndjson(kind: str, found: list[Resource]) -> tuple[str, int, bytes]:
    return kind, len(found), b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in found)


def _issue(code: str) -> Resource:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}


def _outcome(status: int, code: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(status, _issue(code), (("Content-Type", "application/fhir+json"), *headers))
