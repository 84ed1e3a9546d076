"""MEE: one connector reads the signed files of all its organisations from one folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from samenloop_connectors.mee.cells import number_of

from .feed import Agreements, Feed, organisations

ANY_DAY: Final = 4000
"""The demo's world may be put years ahead of the wall clock, and its files with it."""


def _configure(agreements: Agreements, mee: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "folder": mee["folder"],
        "days_ahead": ANY_DAY,
        "organisations": [
            own | {"public_keys": [mee["organisations"][own["id"]]["public_key"]]}
            for own in organisations(agreements, "mee")
        ],
    }


def _case_number(case: Mapping[str, Any]) -> str:
    return number_of(case["case"], 0)


FEED = Feed("mee", "mee", "mee", "mee", _configure, _case_number, by_file=True)
