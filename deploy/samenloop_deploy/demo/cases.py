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
from .records import GwsClient, RegasClient

CaseKey = tuple[str, str]  # (organisation, case number): numbers are only unique within an organisation


class Service(StrEnum):
    """The kinds of work: those of the welfare system (AMW, CO, SMW) and the modules of the municipal back office."""

    AMW = "AMW"
    CO = "CO"
    SMW = "SMW"
    PW = "PW"
    WMO = "WMO"
    JW = "JW"


REGAS_SERVICES: Final = (Service.AMW, Service.CO, Service.SMW)
GWS_SERVICES: Final = (Service.PW, Service.WMO, Service.JW)

_PARTY: Final = {
    Service.AMW: "social-work",
    Service.SMW: "social-work",
    Service.CO: "client-support",
    Service.JW: "jeugd",
    Service.WMO: "wmo",
    Service.PW: "werk-inkomen",
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
    """May it be shared? In the words of the welfare system; a municipal case needs none (``NOT_NEEDED``)."""

    YES = "ja"
    NO = "nee"
    NOT_ASKED = "niet_gevraagd"
    NOT_NEEDED = "niet_nodig"


SHARED: Final = frozenset({Consent.YES, Consent.NOT_ASKED, Consent.NOT_NEEDED})
"""What may be shared under the demo's agreements: they ask for no consent, but a refusal counts."""


@dataclass(frozen=True, slots=True)
class Client:
    """A person as registered at one organisation. One person may have two registrations at the same organisation."""

    organisation: str
    number: str
    person: str
    written: RegasClient | GwsClient


@dataclass(frozen=True, slots=True)
class Case:
    """One involvement in its newest version. ``ends_on`` is the last day of it, as both sources write it.

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
        return "regas" if self.service in REGAS_SERVICES else "gws"

    @property
    def area(self) -> str:
        return area_of(self.organisation).area

    @property
    def party(self) -> str:
        return f"{self.organisation}/{_PARTY[self.service]}"

    @property
    def open(self) -> bool:
        """Still running at its source, begun or not."""
        return self.vanished_on is None and self.state not in (State.ENDED, State.WITHDRAWN)

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
    """All overlaps of the day among cases whose consent is one of ``consents``, sorted by area and person."""
    together: defaultdict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        if case.consent in consents and case.involved(on):
            together[case.area, case.person].append(case)
    return [
        TrueOverlap(area, person, parties, tuple(sorted(case.key for case in found)))
        for (area, person), found in sorted(together.items())
        if len(parties := tuple(sorted({case.party for case in found}))) > 1
    ]
