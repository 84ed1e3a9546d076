"""The cooperation agreement (convenant) of an area as data: who takes part, as which party, for what, and on which terms.

Published versions are immutable. A version holds from the later of its `valid_from` and the Dutch day on which it was
published (`decided_at` of its decision), until a higher version holds: on each day the highest version that has begun.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from samenloop_schemas.codes import DecisionKind, Domain
from samenloop_schemas.dates import Period, dutch_day
from samenloop_schemas.ids import canonical_json, derived_id
from samenloop_schemas.records import Actor, AgreementPublished, Contact, Decision

Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,47}$")]
PartyId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,47}/[a-z][a-z0-9_-]{0,47}$")]
Name = Annotated[str, Field(min_length=1, max_length=120)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Municipality(_Part):
    code: Annotated[str, Field(pattern=r"^\d{4}$")]
    """The four-digit code of Statistics Netherlands (CBS), with its leading zero: a string in YAML."""
    name: Name


class ContactRoute(_Part):
    """A route to a team, never to a person's own device."""

    team: str = ""
    phone: str = ""
    email: str = ""

    def record(self) -> Contact:
        return Contact(self.team, self.phone, self.email)


class Feed(_Part):
    """Another partner that may speak for an organisation: a municipality for a provider, in iWmo and iJw messages."""

    partner: Code
    bsn: bool
    """Whether that partner may process the BSN for it."""


class Organisation(_Part):
    id: Code
    name: Name
    partner: Code
    """The feed that speaks for it, and hears its notices."""
    also_fed_by: tuple[Feed, ...] = ()
    help_giving: bool
    """False: it only signals and can never coordinate."""
    bsn: bool
    """Whether it may process the BSN; if not, intake strips the number."""
    sensitive: bool = False
    """True: its involvement is shown as "a service is involved"."""
    consent: Literal["required", "not_required"]
    contact: ContactRoute = ContactRoute()

    def may_send(self, partner: str) -> bool:
        return partner == self.partner or any(feed.partner == partner for feed in self.also_fed_by)

    def may_send_bsn(self, partner: str) -> bool:
        if partner == self.partner:
            return self.bsn
        return any(feed.bsn for feed in self.also_fed_by if feed.partner == partner)


class Party(_Part):
    """What is counted: two different parties on one client overlap, two involvements of one party do not."""

    id: PartyId
    name: Name
    organisation: Code
    domain: Domain
    service_group: Code | None = None
    """None: every service group of this organisation and domain that no other party names."""

    @field_validator("domain")
    @classmethod
    def _a_known_law(cls, domain: Domain) -> Domain:
        if domain is Domain.UNKNOWN:
            raise ValueError("a party acts under a known law")
        return domain


class Terms(_Part):
    grace_days: Annotated[int, Field(ge=0)] = 0
    contact_working_days: Annotated[int, Field(gt=0)] = 5
    coordinator_working_days: Annotated[int, Field(gt=0)] = 10
    confirm_days: Annotated[int, Field(gt=0)] = 90
    active_years: Annotated[int, Field(gt=0)] = 2
    archive_years: Annotated[int, Field(ge=0)] = 5


class Agreement(_Part):
    """One version of one area's agreement. Make it with `load_agreement` or `parse_agreement`, which check it whole."""

    area: Code
    version: Annotated[int, Field(ge=1)]
    valid_from: date
    municipalities: Annotated[tuple[Municipality, ...], Field(min_length=1)]
    organisations: Annotated[tuple[Organisation, ...], Field(min_length=1)]
    parties: Annotated[tuple[Party, ...], Field(min_length=1)]
    purposes: Annotated[tuple[Code, ...], Field(min_length=1)]
    legal_bases: Annotated[tuple[Code, ...], Field(min_length=1)]
    age_bands: dict[Domain, tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]]] = {}
    """Ages in whole years ``[from, to)`` per domain; a domain without a band has no bounds."""
    terms: Terms = Terms()

    _parties: dict[tuple[str, Domain, str | None], Party] = PrivateAttr(default_factory=dict)
    _organisations: dict[str, Organisation] = PrivateAttr(default_factory=dict)

    def model_post_init(self, _: object) -> None:
        self._parties = {(p.organisation, p.domain, p.service_group): p for p in self.parties}
        self._organisations = {o.id: o for o in self.organisations}

    def party_of(self, organisation: str, domain: Domain, service_group: str) -> Party | None:
        """The party as which an organisation acts: the one that names the service group, else the one for any."""
        key = (organisation, domain)
        return self._parties.get((*key, service_group)) or self._parties.get((*key, None))

    def organisation(self, organisation_id: str) -> Organisation | None:
        return self._organisations.get(organisation_id)

    def party(self, party_id: str) -> Party | None:
        return next((p for p in self.parties if p.id == party_id), None)

    def organisations_of(self, partner: str) -> tuple[Organisation, ...]:
        """The organisations that a feed may speak for."""
        return tuple(o for o in self.organisations if o.may_send(partner))

    def text(self) -> str:
        """The full text that is published: canonical JSON, so that its hash does not hang on layout or comments."""
        return canonical_json(self.model_dump(mode="json")).decode()


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in an agreement, and where: a path such as ``parties[2].organisation``, a line when known."""

    place: str
    message: str
    line: int = 0


class AgreementInvalid(ValueError):
    """Everything that is wrong with an agreement, at once."""

    def __init__(self, problems: Iterable[Problem], source: str = "") -> None:
        self.problems = tuple(problems)
        lines = (":".join(filter(None, (source, str(p.line or ""), f" {p.place}: {p.message}"))) for p in self.problems)
        super().__init__("\n".join(line.strip() for line in lines))


def load_agreement(path: Path) -> Agreement:
    """Read ``deploy/agreements/<area>.yaml``. Raises `AgreementInvalid` with all errors, their places and lines."""
    text = path.read_text("utf-8")
    try:
        agreement = parse_agreement(text)
        if path.stem != agreement.area:
            raise AgreementInvalid([Problem("area", f"the file is named {path.stem}", _line(text, ("area",)))])
    except AgreementInvalid as invalid:
        raise AgreementInvalid(invalid.problems, str(path)) from None
    return agreement


def parse_agreement(text: str) -> Agreement:
    """An agreement from YAML or from its published text (JSON). Raises `AgreementInvalid`."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise AgreementInvalid([Problem("(file)", "is not YAML", mark.line + 1 if mark else 0)]) from None
    if not isinstance(raw, dict):
        raise AgreementInvalid([Problem("(file)", "is not a list of named values", 1)])
    problems, agreement = _doubles(raw), None
    try:
        agreement = Agreement.model_validate(raw)
    except ValidationError as error:
        problems += [(e["loc"], e["msg"]) for e in error.errors(include_url=False)]
    if problems or agreement is None:
        raise AgreementInvalid(
            Problem(_path(loc), message, _line(text, loc))
            for loc, message in sorted(problems, key=lambda p: _path(p[0]))
        )
    return agreement


_Loc = tuple[int | str, ...]


def _doubles(raw: Mapping[str, Any]) -> list[tuple[_Loc, str]]:
    """What no single field shows: double ids, references to nowhere. Reads raw data, so that it also runs beside errors."""

    def entries(name: str) -> list[tuple[int, dict[str, Any]]]:
        items = raw.get(name)
        return [(i, e) for i, e in enumerate(items) if isinstance(e, dict)] if isinstance(items, list) else []

    found: list[tuple[_Loc, str]] = []
    for name, fields in (
        ("municipalities", ("code",)),
        ("organisations", ("id",)),
        ("parties", ("id",)),
        ("parties", ("organisation", "domain", "service_group")),
    ):
        seen: set[str] = set()
        for i, entry in entries(name):
            value = " ".join(str(entry.get(f, "-")) for f in fields)
            if value in seen:
                found.append(((name, i, fields[0]), f"{' and '.join(fields)} {value} occurs twice"))
            seen.add(value)
    for i, entry in entries("organisations"):
        feeds = entry.get("also_fed_by")
        named = {str(entry.get("partner"))}
        for j, feed in enumerate(feeds) if isinstance(feeds, list) else ():
            partner = str(feed.get("partner")) if isinstance(feed, dict) else ""
            if partner in named:
                found.append((("organisations", i, "also_fed_by", j, "partner"), f"{partner} speaks for it already"))
            named.add(partner)
    known = {str(entry.get("id")) for _, entry in entries("organisations")}
    for i, entry in entries("parties"):
        if str(entry.get("organisation")) not in known:
            found.append((("parties", i, "organisation"), "is not one of the organisations"))
    bands = raw.get("age_bands")
    for domain, band in bands.items() if isinstance(bands, dict) else ():
        if (
            isinstance(band, (list, tuple))
            and len(band) == 2
            and all(isinstance(b, int) for b in band)
            and band[0] >= band[1]
        ):
            found.append((("age_bands", str(domain)), "the band is empty"))
    return found


def _path(loc: _Loc) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.lstrip(".") or "(file)"


def _line(text: str, loc: _Loc) -> int:
    """The line of the deepest part of `loc` that exists, counted from 1."""
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    line = 0
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return int(line) + 1


@dataclass(frozen=True, slots=True)
class Published:
    """An agreement version and the Dutch day on which it was published."""

    agreement: Agreement
    published_on: date

    @property
    def begins(self) -> date:
        """The first day on which it can hold: never before its publication."""
        return max(self.agreement.valid_from, self.published_on)

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """Read an AGREEMENT_PUBLISHED decision. Raises `AgreementInvalid` when text, hash and decision do not agree."""
        payload = decision.payload
        if decision.kind is not DecisionKind.AGREEMENT_PUBLISHED or not isinstance(payload, AgreementPublished):
            raise AgreementInvalid([Problem("payload", "is not a published agreement")])
        if hashlib.sha256(payload.text.encode()).hexdigest() != payload.sha256:
            raise AgreementInvalid([Problem("sha256", "is not the hash of the text")])
        agreement = parse_agreement(payload.text)
        said = (decision.area, payload.version, payload.valid_from)
        if (agreement.area, agreement.version, agreement.valid_from) != said:
            raise AgreementInvalid([Problem("text", "is another area, version or first day than the decision says")])
        return cls(agreement, dutch_day(decision.decided_at))


def agreement_decision(agreement: Agreement, actor: Actor, at: datetime) -> Decision:
    """The decision that publishes a version. Its id derives from area, version and text: publishing twice is one decision."""
    text = agreement.text()
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Decision(
        decision_id=derived_id("agreement", agreement.area, agreement.version, sha256),
        area=agreement.area,
        kind=DecisionKind.AGREEMENT_PUBLISHED,
        decided_at=at,
        actor=actor,
        target=f"{agreement.area}/{agreement.version}",
        payload=AgreementPublished(agreement.version, agreement.valid_from, text, sha256),
    )


class AgreementBook:
    """All published versions, by area. What is asked of it depends on the versions in it, not on the order of `add`.

    The one exception is wanted: of two texts under one version the first stays, because a version is immutable.
    """

    def __init__(self, published: Iterable[Published] = ()) -> None:
        self._versions: dict[str, dict[int, Published]] = {}
        self._spans: dict[str, list[tuple[Period, Agreement]]] = {}
        for entry in published:
            self.add(entry)

    def add(self, published: Published) -> bool:
        """Whether the version is new here. Raises `AgreementInvalid` when it is known with another text."""
        agreement = published.agreement
        versions = self._versions.setdefault(agreement.area, {})
        known = versions.get(agreement.version)
        if known is not None:
            if known.agreement.text() != agreement.text():
                raise AgreementInvalid([Problem("version", "was published before with another text")])
            return False
        versions[agreement.version] = published
        self._spans[agreement.area] = _spans(versions.values())
        return True

    def in_force(self, area: str, day: date) -> Agreement | None:
        """The agreement that holds on a Dutch calendar day."""
        return next((agreement for period, agreement in self._spans.get(area, ()) if day in period), None)

    def covered_from(self, area: str) -> date | None:
        """The first day on which any agreement holds. From it on one always does, so what is covered once stays so."""
        spans = self._spans.get(area)
        return spans[0][0].start if spans else None

    def spans(self, area: str) -> list[tuple[Period, Agreement]]:
        """Which version holds when, in the order of time, without gaps after the first."""
        return list(self._spans.get(area, ()))

    def versions(self, area: str) -> list[Published]:
        """Every published version of an area, by number."""
        return [entry for _, entry in sorted(self._versions.get(area, {}).items())]

    def areas(self) -> list[str]:
        return sorted(self._versions)


def _spans(versions: Iterable[Published]) -> list[tuple[Period, Agreement]]:
    """Each version from its first day until the first day of any higher version."""
    spans: list[tuple[Period, Agreement]] = []
    end: date | None = None
    for entry in sorted(versions, key=lambda p: p.agreement.version, reverse=True):
        period = Period(entry.begins, end)
        if period:
            insort(spans, (period, entry.agreement), key=lambda span: span[0].start)
            end = period.start
    return spans
