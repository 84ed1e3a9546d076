"""The demo's own window on its world: what is true, and a hand on time. No partner system has such a thing.

GET  /health                                        {"status": "ok", "now": ..., "sent": notifications by outcome}
GET  /figures?on=D                                  counts only
GET  /truth?on=D&toestemming=ja,niet_gevraagd       counts, every case, every true overlap
POST /advance?days=N | /play?changes=N | /extract   time passes; changes happen now; a night falls: {"files": {system: [...]}}
POST /faults?partner=gws&kind=partial&municipality=0664&module=JW&times=1
POST /faults?partner=regas&status=503&times=2       what else there is to ask, each system says in its ``plan_fault``
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final
from urllib.parse import parse_qs

from .cases import SHARED, Case, Consent, TrueOverlap
from .partners.seam import PartnerSystem, Request, Response, instant_text
from .world import World

MOST_DAYS: Final = 3700
MOST_CHANGES: Final = 100_000


class Control:
    """Answers the control requests; the caller serialises it with everything else that touches the world."""

    def __init__(
        self, world: World, systems: Sequence[PartnerSystem], sent: Callable[[], Mapping[str, int]] = dict
    ) -> None:
        self._world, self._sent = world, sent
        self._systems = {system.name: system for system in systems}

    def handle(self, request: Request) -> Response:
        asked = {name: values[0] for name, values in parse_qs(request.query).items()}
        try:
            match request.method, request.path:
                case "GET", "/health":
                    return Response(
                        200, {"status": "ok", "now": instant_text(self._world.now), "sent": dict(self._sent())}
                    )
                case "GET", "/figures":
                    return Response(200, figures(self._world, *_which(self._world, asked)))
                case "GET", "/truth":
                    return Response(200, truth(self._world, *_which(self._world, asked), self._number_of))
                case "POST", "/advance":
                    self._world.advance_days(_count(asked, "days", MOST_DAYS))
                case "POST", "/play":
                    self._world.play(_count(asked, "changes", MOST_CHANGES))
                case "POST", "/extract":
                    return Response(200, {"files": self.night()})
                case "POST", "/faults":
                    self._systems[asked["partner"]].plan_fault(asked, _count(asked, "times", 1000))
                case _:
                    return Response(404, {"title": "unknown path", "status": 404})
        except (ValueError, KeyError) as error:
            return Response(400, {"title": f"wrong or missing parameter: {error}", "status": 400})
        return Response(200, figures(self._world, self._world.today, SHARED))

    def _number_of(self, case: Case) -> str:
        system = self._systems.get(case.source)
        return system.number_of(case) if system else case.number

    def night(self) -> dict[str, list[str]]:
        """Lets a night fall for every system; what each wrote."""
        written = {}
        for name, system in self._systems.items():
            system.follow()
            written[name] = [path.name for path in system.night()]
        return written


def figures(world: World, on: date, consents: frozenset[Consent]) -> dict[str, Any]:
    """Counts of the day: no case, no person."""
    overlaps = world.true_overlaps(on, consents)
    return {
        "seed": world.seed,
        "scale": world.scale,
        "now": instant_text(world.now),
        "on": on.isoformat(),
        "person_count": len(world.persons),
        "client_count": len(world.clients),
        "case_count": len(world.cases),
        "in_care": world.in_care(on),
        "overlap_count": len(overlaps),
        "overlaps_by_area": dict(sorted(Counter(overlap.area for overlap in overlaps).items())),
        "changes": dict(sorted(world.changes.items())),
    }


def truth(
    world: World,
    on: date,
    consents: frozenset[Consent],
    number_of: Callable[[Case], str] = lambda case: case.number,
) -> dict[str, Any]:
    """Everything a judge of the hub's answer needs: the person behind each case and client, and the overlaps of the day.

    `number_of`: how a case is numbered where it is told.
    """
    return {
        **figures(world, on, consents),
        "cases": [_case(world, world.cases[key], on, number_of) for key in sorted(world.cases)],
        "overlaps": [_overlap(overlap) for overlap in world.true_overlaps(on, consents)],
    }


def _case(world: World, case: Case, on: date, number_of: Callable[[Case], str]) -> dict[str, Any]:
    return {
        "source": case.source,
        "area": case.area,
        "organisation": case.organisation,
        "party": case.party,
        "case": case.number,
        "told_as": number_of(case),
        "client": case.client,
        "person": case.person,
        "family": world.persons[case.person].family,
        "service": case.service.value,
        "state": case.state.value,
        "starts_on": case.starts_on.isoformat() if case.starts_on else None,
        "ends_on": case.ends_on.isoformat() if case.ends_on else None,
        "vanished_on": case.vanished_on.isoformat() if case.vanished_on else None,
        "consent": case.consent.value,
        "shared": case.shared(),
        "changed_at": instant_text(case.changed_at),
        "involved": case.involved(on),
    }


def _overlap(overlap: TrueOverlap) -> dict[str, Any]:
    return {
        "area": overlap.area,
        "person": overlap.person,
        "parties": list(overlap.parties),
        "cases": [list(key) for key in overlap.cases],
    }


def _which(world: World, asked: dict[str, str]) -> tuple[date, frozenset[Consent]]:
    on = date.fromisoformat(asked["on"]) if "on" in asked else world.today
    if "toestemming" not in asked:
        return on, SHARED
    return on, frozenset({Consent.NOT_NEEDED, *(Consent(word) for word in asked["toestemming"].split(","))})


def _count(asked: dict[str, str], name: str, most: int) -> int:
    number = int(asked.get(name, "1"))
    if not 0 <= number <= most:
        raise ValueError(f"{name}={number}")
    return number
