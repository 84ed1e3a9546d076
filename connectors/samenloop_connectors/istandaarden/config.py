"""Configuration of the message tap: the drop folder, the municipalities, the providers by AGB code, and what a product is.

A client whose safety a professional sees endangered by messages is in no message at all (iWmo/iJw rule OP003), so nothing of
him is told here. Providers and products where that is usual can be marked PROTECTED besides.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from samenloop_connectors.sdk.config import Code, ConnectorConfig, Model, Organisation

Law = Literal["WMO", "JW"]
Level = Literal["NORMAL", "SENSITIVE", "PROTECTED"]
OTHERS = "*"
"""The product category of allocations that name none, and of those that a table does not name."""


class Product(Model):
    """What a product category is in the language of the hub. Without a group it is no involvement: a wheelchair, a taxi."""

    service_group: Code | None
    sensitivity: Level = "NORMAL"


Products = dict[Law, dict[str, Product]]


def _all(service_group: str | None, *categories: str, sensitivity: Level = "NORMAL") -> dict[str, Product]:
    return {each: Product(service_group=service_group, sensitivity=sensitivity) for each in categories}


BUILT_IN: Mapping[Law, Mapping[str, Product]] = {
    "WMO": _all("home_care", OTHERS)
    | _all(None, "08", "11", "12", "13", "14")
    | _all("sheltered_living", "15", "18", sensitivity="SENSITIVE")
    | _all("shelter", "16", "17", sensitivity="PROTECTED"),
    "JW": _all("youth_help", OTHERS)
    | _all(None, "42")
    | _all("youth_protection", "47", "48", "49", sensitivity="SENSITIVE"),
}
"""By the product categories of code lists WMO020 and JZ020."""


class Provider(Organisation):
    """A provider in one area, by its eight-digit AGB code. `products` overrides the tables for this provider.

    `consent`: municipality and provider act on the law, so that it is normally not asked for.
    """

    agb: str = Field(pattern=r"^\d{8}$")
    consent: Literal["required", "not_required"] = "not_required"
    products: Products = Field(default_factory=dict)


class Municipality(Model):
    """A municipality by its CBS code, in the area of cooperation whose agreement covers it."""

    code: str = Field(pattern=r"^\d{4}$")
    area: Code


class IstandaardenConfig(ConnectorConfig):
    """`handled` is where files go after they were taken; without it they stay, and are read again after a restart, which
    changes nothing. `other_providers`: what to do with messages of providers that are not listed. `days_ahead`: how far the
    sender's calendar may be ahead of ours; what is dated later waits (TR135).
    """

    connector: Literal["istandaarden"]
    folder: Path
    handled: Path | None = None
    municipalities: tuple[Municipality, ...] = Field(min_length=1)
    organisations: tuple[Provider, ...] = Field(min_length=1)
    products: Products = Field(default_factory=dict)
    legal_bases: dict[Law, Code] = Field(default_factory=dict)
    other_providers: Literal["set_aside", "skip"] = "set_aside"
    days_ahead: int = Field(default=0, ge=0)

    @field_validator("folder", "handled", mode="before")
    @classmethod
    def _expand_paths(cls, value: Any) -> Any:
        return Path(os.path.expandvars(value)).expanduser() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _once_each(self) -> IstandaardenConfig:
        if len({each.code for each in self.municipalities}) != len(self.municipalities):
            raise ValueError("a municipality's code is listed twice")
        if len({(each.area, each.agb) for each in self.organisations}) != len(self.organisations):
            raise ValueError("a provider's AGB code is listed twice in one area")
        if len({(each.area, each.id) for each in self.organisations}) != len(self.organisations):
            raise ValueError("a provider's id is listed twice in one area")
        return self

    def area_of(self, municipality: str) -> str | None:
        return next((each.area for each in self.municipalities if each.code == municipality), None)

    def provider(self, area: str, agb: str) -> Provider | None:
        return next((each for each in self.organisations if each.area == area and each.agb == agb), None)

    def product(self, provider: Provider, law: Law, category: str) -> Product:
        """The provider's own tables, then the connector's, then the built-in ones; in each the category before the rest."""
        for table in (provider.products.get(law, {}), self.products.get(law, {}), BUILT_IN[law]):
            found = table.get(category) or table.get(OTHERS)
            if found is not None:
                return found
        raise AssertionError("the built-in tables name every category")
