"""The messages between municipalities and providers: the back offices' second connector, which speaks for the providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from samenloop_connectors.istandaarden.connector import case_number

from .feed import Agreements, Feed, organisation_of

WELFARE_AT_HOME: Final = {"WMO": {"*": {"service_group": "social_work"}}}
"""What a welfare organisation does as a provider is the work that it also tells of itself."""
FAR_AHEAD: Final = 4000
"""Days: the demo's world may be made to run ahead of the clock."""


def _configure(agreements: Agreements, gateway: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "folder": gateway["folder"],
        "days_ahead": FAR_AHEAD,
        "municipalities": [
            {"code": municipality.code, "area": agreement.area}
            for agreement in agreements
            for municipality in agreement.municipalities
        ],
        "organisations": [
            organisation_of(agreement, organisation.id)
            | {"agb": gateway["agb"][organisation.id]}
            | ({} if organisation.partner == "backoffice" else {"products": WELFARE_AT_HOME})
            for agreement in agreements
            for organisation in agreement.organisations
            if organisation.id in gateway["agb"]
        ],
    }


def _case_number(case: Mapping[str, Any]) -> str:
    """What was never told has no number of a message."""
    if not case["told_as"]:
        return ""
    municipality, law, allocation, bsn = case["told_as"].split("/")
    return case_number(municipality, law, bsn, allocation)


FEED = Feed("backoffice-istandaarden", "backoffice", "istandaarden", "istandaarden", _configure, _case_number)
