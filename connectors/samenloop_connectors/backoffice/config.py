"""Configuration of the back-office connector: the drop folder and the municipalities."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from samenloop_connectors.sdk.config import Code, ConnectorConfig, Model, Organisation

Module = Literal["PW", "WMO", "JW"]
Encoding = Literal["auto", "utf-8", "cp1252"]


class Municipality(Organisation):
    """A municipality by its CBS code. `consent` is normally not what a municipality acts on."""

    code: str = Field(pattern=r"^\d{4}$")
    consent: Literal["required", "not_required"] = "not_required"
    encoding: Encoding = "auto"


class Scheme(Model):
    """What a ``regeling`` is in the language of the hub."""

    service_group: Code
    domain: Literal["PW", "WMO", "JW", "WGS"] | None = None


class BackofficeConfig(ConnectorConfig):
    """`schemes` adds to and overrides the built-in table; a ``regeling`` in neither goes by its module.

    `handled` is where files go after they were taken in whole; without it they stay, and are remembered.
    """

    connector: Literal["backoffice"]
    folder: Path
    handled: Path | None = None
    organisations: tuple[Municipality, ...] = Field(min_length=1)
    schemes: dict[str, Scheme] = Field(default_factory=dict)
    legal_bases: dict[Module, Code] = Field(default_factory=dict)

    @field_validator("folder", "handled", mode="before")
    @classmethod
    def _expand_paths(cls, value: Any) -> Any:
        return Path(os.path.expandvars(value)).expanduser() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _once_each(self) -> BackofficeConfig:
        for name in ("id", "code"):
            values = [getattr(each, name) for each in self.organisations]
            if len(set(values)) != len(values):
                raise ValueError(f"a municipality's {name} is listed twice")
        return self
