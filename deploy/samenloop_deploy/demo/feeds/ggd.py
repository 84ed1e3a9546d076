"""Youth health care of the three GGDs: one connector has one FHIR server export what changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .feed import Agreements, Feed, organisations

OVERLAP_SECONDS: Final = 5
"""The demo asks every few seconds; at five minutes each export would tell everything again."""


def _configure(agreements: Agreements, fhir: Mapping[str, Any]) -> dict[str, Any]:
    own = ("base_url", "token_url", "client_id", "key_id", "algorithm", "private_key", "episode_types")
    return {name: fhir[name] for name in own} | {
        "organisations": [
            each | {"agb": fhir["organisations"][each["id"]]} for each in organisations(agreements, "ggd")
        ],
        "scope": "system/EpisodeOfCare.rs system/Patient.rs system/RelatedPerson.rs",
        "related_persons": True,
        "overlap_seconds": OVERLAP_SECONDS,
    }


def _case_number(case: Mapping[str, Any]) -> str:
    return f"{case['organisation']}-{case['case']}"


FEED = Feed("ggd", "ggd", "ggd", "fhir", _configure, _case_number)
