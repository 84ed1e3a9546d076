"""The welfare organisations: one connector reads them all by polling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .feed import Agreements, Feed, organisations


def _configure(agreements: Agreements, regas: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "organisations": [
            own | {name: regas["organisations"][own["id"]][name] for name in ("base_url", "client_id", "client_secret")}
            for own in organisations(agreements, "smwo")
        ]
    }


FEED = Feed("smwo", "smwo", "smwo", "regas", _configure)
