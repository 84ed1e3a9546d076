"""The truth about involvements: who works with whom, since when, and which of it overlaps. Computed without the hub.

An overlap is what the agreement says it is: two different parties involved with one person on the same day in one area. A
party is an organisation in one field of work: Jeugd and Wmo of one municipality, or social work and client support of one
welfare organisation, are two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from .places import area_of
from .written import Written

CaseKey = tuple[str, str]  # (organisation, case number): numbers are only unique within an organisation


class Service(StrEnum):
    """The kinds of work, by the source that holds them: the welfare system (AMW, CO, SMW), the modules of the municipal back
    office (PW, WMO, JW), the youth team (JT), MEE, extra youth health care (JGZ), and providers under iJw and iWmo."""

    AMW = "AMW"
    CO = "CO"
    SMW = "SMW"
    PW = "PW"
    WMO = "WMO"
    JW = "JW"
    JT = "JT"
    MEE = "MEE"
    JGZ = "JGZ"
    IJW = "IJW"
    IWMO = "IWMO"


REGAS_SERVICES: Final = (Service.AMW, Service.CO, Service.SMW)
GWS_SERVICES: Final = (Service.PW, Service.WMO, Service.JW)
SOURCES: Final = {
    **dict.fromkeys(REGAS_SERVICES, "regas"),
    **dict.fromkeys(GWS_SERVICES, "gws"),
    Service.JT: "zgw",
    Service.MEE: "mee",
    Service.JGZ: "fhir",
    Service.IJW: "istandaarden",
    Service.IWMO: "istandaarden",
}
"""Which source holds a kind of work: also the code of the source system that its connector states."""
PAUSING: Final = frozenset({"gws", "zgw", "fhir", "istandaarden"})
"""The sources that can say that a case rests for a while."""
UNTIL_AGE: Final = {Service.JGZ: 19, Service.JW: 23, Service.JT: 23, Service.IJW: 23}
"""Whoever reaches this age has outgrown that work, and the agreements count it no more."""

_PARTY: Final = {
    Service.AMW: "social-work",
    Service.SMW: "social-work",
    Service.CO: "client-support",
    Service.JW: "jeugd",
    Service.WMO: "wmo",
    Service.PW: "werk-inkomen",
    Service.JT: "jeugdteam",
    Service.MEE: "client-support",
    Service.JGZ: "jgz",
    Service.IJW: "jeugdhulp",
    Service.IWMO: "thuiszorg",
}


class State(StrEnum):
    """Where a case stands. ANNOUNCED and WAITING have not begun; WITHDRAWN was made by mistake and never counted."""

    ANNOUNCED = "announced"
    WAITING = "waiting"
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"


class Consent(StrEnum):
    """May it be shared? In the words of the welfare system; most others need none (``NOT_NEEDED``)."""

    YES = "ja"
    NO = "nee"
    NOT_ASKED = "niet_gevraagd"
    NOT_NEEDED = "niet_nodig"


SHARED: Final = frozenset({Consent.YES, Consent.NOT_ASKED, Consent.NOT_NEEDED})
"""What may be shared under the demo's agreements: they ask most for no consent, but a refusal counts."""
CONSENT_REQUIRED: Final = frozenset({"mee"})
"""The sources of which the agreements ask consent in writing: what was not asked is not shared either."""


@dataclass(frozen=True, slots=True)
class Client:
    """A person as registered at one organisation. One person may have two registrations at the same organisation."""

    organisation: str
    number: str
    person: str
    written: Written


@dataclass(frozen=True, slots=True)
class Case:
    """One involvement in its newest version. ``ends_on`` is the last day of it, as most sources write it.

    ``changed_at`` is the source's own time of the last change, strictly rising per organisation. ``vanished_on``: from that
    day the source no longer has it, without a word.
    """

    organisation: str
    number: str
    client: str
    person: str
    service: Service
    state: State
    registered_on: date
    starts_on: date | None
    ends_on: date | None
    team: str
    consent: Consent
    consent_on: date | None
    changed_at: datetime
    vanished_on: date | None = None

    @property
    def key(self) -> CaseKey:
        return self.organisation, self.number

    @property
    def source(self) -> str:
        return SOURCES[self.service]

    @property
    def area(self) -> str:
        return area_of(self.organisation).area

    @property
    def party(self) -> str:
        """A welfare organisation that a municipality also pays as a provider is one party, whoever tells of it."""
        welfare = self.source == "istandaarden" and self.organisation == area_of(self.organisation).social_work
        return f"{self.organisation}/{_PARTY[Service.AMW if welfare else self.service]}"

    @property
    def open(self) -> bool:
        """Still running at its source, begun or not."""
        return self.vanished_on is None and self.state not in (State.ENDED, State.WITHDRAWN)

    def shared(self, consents: frozenset[Consent] = SHARED) -> bool:
        """Whether it may be told to the hub."""
        return self.consent is Consent.YES if self.source in CONSENT_REQUIRED else self.consent in consents

    def involved(self, on: date) -> bool:
        """Whether the organisation works with the person on that day, by what its register says now."""
        if self.starts_on is None or self.state in (State.ANNOUNCED, State.WAITING, State.WITHDRAWN):
            return False
        if self.vanished_on is not None and on >= self.vanished_on:
            return False
        return self.starts_on <= on and (self.ends_on is None or on <= self.ends_on)


@dataclass(frozen=True, slots=True)
class TrueOverlap:
    """One person in one area with at least two parties on one day, and all the cases that make it."""

    area: str
    person: str
    parties: tuple[str, ...]
    cases: tuple[CaseKey, ...]


def overlaps_on(cases: Iterable[Case], on: date, consents: frozenset[Consent] = SHARED) -> list[TrueOverlap]:
    """All overlaps of the day among cases whose consent is one of ``consents``, sorted by area and person.

    Where the agreements require consent, only a given one counts, whatever ``consents`` are.
    """
    together: defaultdict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        if case.shared(consents) and case.involved(on):
            together[case.area, case.person].append(case)
    return [
        TrueOverlap(area, person, parties, tuple(sorted(case.key for case in found)))
        for (area, person), found in sorted(together.items())
        if len(parties := tuple(sorted({case.party for case in found}))) > 1
    ]
