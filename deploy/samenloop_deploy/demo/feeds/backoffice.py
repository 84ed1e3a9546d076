"""The municipal back offices: one connector reads the extracts of all from one folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from samenloop_connectors.backoffice import mapping

from .feed import Agreements, Feed, organisation_of

ENCODINGS: Final = {"0654": "cp1252", "0678": "cp1252", "1706": "cp1252", "0193": "cp1252", "0858": "cp1252"}
"""As the synthetic back offices write; a real municipality tells it once."""


def _configure(agreements: Agreements, gws: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "folder": gws["folder"],
        "organisations": [
            organisation_of(agreement, f"gemeente-{municipality.name.lower()}")
            | {"code": municipality.code, "encoding": ENCODINGS.get(municipality.code, "utf-8")}
            for agreement in agreements
            for municipality in agreement.municipalities
        ],
    }


def _case_number(case: Mapping[str, Any]) -> str:
    return mapping.case_number(case["service"], case["case"])


FEED = Feed("backoffice", "backoffice", "backoffice", "gws", _configure, _case_number, by_file=True)
