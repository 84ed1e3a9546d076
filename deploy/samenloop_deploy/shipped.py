"""Data files that come with the code: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path


def shipped(name: str) -> Path:
    """A file or folder of ``deploy/``, such as ``agreements``."""
    packed = Path(__file__).parent / name
    return packed if packed.exists() else Path(__file__).parents[1] / name
