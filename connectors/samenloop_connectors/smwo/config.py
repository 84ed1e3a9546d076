"""Configuration of the welfare connector: one base address and one pair of credentials per organisation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, HttpUrl, model_validator

from samenloop_connectors.sdk.config import Code, ConnectorConfig, Organisation, Secret


class SmwoOrganisation(Organisation):
    """`base_url` is what comes before ``/api/v1/trajecten`` and ``/oauth/token``."""

    base_url: HttpUrl
    client_id: str = Field(min_length=1)
    client_secret: Secret


class SmwoConfig(ConnectorConfig):
    """`overlap_seconds`: how far before the last change known each poll begins, for changes that were saved late.
    `whole_days`: how often everything is read again, so that cases that go on are confirmed."""

    connector: Literal["smwo"]
    organisations: tuple[SmwoOrganisation, ...] = Field(min_length=1)
    legal_basis: Code = "wmo_5_2"
    page: int = Field(default=200, ge=1, le=200)
    overlap_seconds: int = Field(default=300, ge=0)
    whole_days: int = Field(default=7, ge=1)
    timeout_seconds: float = Field(default=30.0, gt=0)

    @model_validator(mode="after")
    def _once_each(self) -> SmwoConfig:
        if len({each.id for each in self.organisations}) != len(self.organisations):
            raise ValueError("an organisation is listed twice")
        return self
