"""Build hook: a wheel carries the front-end parts, which git does not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))
import fetch_vendor


class VendorHook(BuildHookInterface[Any]):
    """Fetches them before a wheel is packed; an editable install reads the folder itself and needs no build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        if not fetch_vendor.present():
            fetch_vendor.fetch()
        for file in fetch_vendor.VENDOR.iterdir():
            build_data["force_include"][str(file)] = f"samenloop_views/static/vendor/{file.name}"
