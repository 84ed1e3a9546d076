"""What the demo must know of one connector process: who it speaks as, how it is configured, how it numbers its cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from samenloop_processors.agreement import Agreement

Agreements = Sequence[Agreement]


@dataclass(frozen=True, slots=True)
class Feed:
    """``source`` is the name of its partner system, the source of its cases, and the source system that it states.

    ``configure`` gets the agreements and what the partner system says of itself, and returns what the configuration holds
    beside connector, partner, state and pace. ``case_number`` gives the number that the connector makes a case's reference
    of, for a case as ``truth`` tells it.
    """

    name: str
    """Of the process, its state, its configuration file and its metrics; a partner may have more than one."""
    partner: str
    kind: str
    source: str
    configure: Callable[[Agreements, Mapping[str, Any]], dict[str, Any]]
    case_number: Callable[[Mapping[str, Any]], str] = lambda case: str(case["case"])
    by_file: bool = False
    """Its source is read when it delivers a file, not whenever it is asked."""


def organisations(agreements: Agreements, partner: str) -> Iterator[dict[str, Any]]:
    """What every connector is told of each organisation that its partner is the main feed of."""
    for agreement in agreements:
        for organisation in agreement.organisations:
            if organisation.partner == partner:
                yield organisation_of(agreement, organisation.id)


def organisation_of(agreement: Agreement, organisation_id: str) -> dict[str, Any]:
    """Id, area, contact and consent, as the agreement has them."""
    organisation = agreement.organisation(organisation_id)
    assert organisation, organisation_id
    return {
        "id": organisation.id,
        "area": agreement.area,
        "contact": organisation.contact.model_dump(),
        "consent": organisation.consent,
    }
