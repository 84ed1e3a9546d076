"""Who looks, and on whose behalf. In the demo the viewers follow from the published agreements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from samenloop_processors.agreement import Agreement, AgreementBook
from samenloop_schemas.codes import ActorRole, Domain
from samenloop_schemas.ids import derived_id
from samenloop_views.database import in_force


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person who is logged in. Made anew from the agreements at each request, so that a change bites at once."""

    key: str
    """Says nothing about the person; what decisions and the processing log carry."""
    area: str
    role: ActorRole
    organisation: str
    parties: tuple[str, ...]
    name: str
    organisation_name: str


def demo_viewers(book: AgreementBook, days: Mapping[str, date]) -> dict[str, Viewer]:
    """Per area: a professional for each party, and a process director at a municipality. By key, in the order shown."""
    viewers = [
        viewer
        for area in book.areas()
        if (agreement := in_force(book, area, days.get(area)))
        for viewer in (*_professionals(agreement), *_process_directors(agreement))
    ]
    return {viewer.key: viewer for viewer in viewers}


def _professionals(agreement: Agreement) -> list[Viewer]:
    return [
        Viewer(
            key=_key(agreement.area, party.id),
            area=agreement.area,
            role=ActorRole.PROFESSIONAL,
            organisation=party.organisation,
            parties=(party.id,),
            name=party.name,
            organisation_name=organisation.name,
        )
        for party in agreement.parties
        if (organisation := agreement.organisation(party.organisation))
    ]


def _process_directors(agreement: Agreement) -> list[Viewer]:
    """One, at the first organisation that carries out the Participation Act, which only a municipality does."""
    at = next((p.organisation for p in agreement.parties if p.domain is Domain.PW), None)
    organisation = agreement.organisation(at) if at else None
    if organisation is None:
        return []
    return [
        Viewer(
            key=_key(agreement.area, "process-director"),
            area=agreement.area,
            role=ActorRole.PROCESS_DIRECTOR,
            organisation=organisation.id,
            parties=(),
            name=organisation.name,
            organisation_name=organisation.name,
        )
    ]


def _key(area: str, what: str) -> str:
    return derived_id("demo-user", area, what).hex[:16]
