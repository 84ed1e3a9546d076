"""The youth teams: one connector hears of their zaken, and lists them all at each round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .feed import Agreements, Feed, organisations

_OF_SYSTEM: Final = ("base_url", "catalogue_url", "client_id", "client_secret", "token")
_ALL_DAYS: Final = 36_500


def _configure(agreements: Agreements, zgw: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "listen": {"port": zgw["callback_port"]},
        "organisations": [
            own | {name: zgw["organisations"][own["id"]][name] for name in _OF_SYSTEM}
            for own in organisations(agreements, "cjg")
        ],
        "case_types": {
            **{name: {"service_group": "youth_team", "announced": ["Aangemeld"]} for name in zgw["case_types"]},
            **dict.fromkeys(zgw["not_shared"], "not_shared"),
        },
        "reconcile_seconds": 0,
        "reconcile_days": _ALL_DAYS,
    }


def _case_number(case: Mapping[str, Any]) -> str:
    return str(case["told_as"])


FEED = Feed("cjg", "cjg", "cjg", "zgw", _configure, _case_number)
