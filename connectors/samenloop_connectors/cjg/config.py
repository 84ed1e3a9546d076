"""Configuration of the ZGW connector: where notifications come in, one case system per organisation, and which case types
are shared."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, HttpUrl, field_validator, model_validator

from samenloop_connectors.sdk.config import Code, ConnectorConfig, Model, Organisation, Secret
from samenloop_schemas.codes import EndReason, RelationKind

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
NOT_SHARED = "not_shared"


class Listen(Model):
    """Where notifications are received. The callback of an organisation is ``http(s)://<host>/<its id>``; what ends TLS for
    the outside world stands before it."""

    host: str = "127.0.0.1"
    port: int = Field(default=8443, ge=0, le=65535)
    most_bytes: int = Field(default=65_536, ge=1024)
    seconds: float = Field(default=10.0, gt=0)


class CaseType(Model):
    """What a shared zaaktype is in the language of the hub.

    `bsn`: whether the BSN of its people may leave, as for youth help. `announced`: status types (omschrijving) that do not
    count as begun; a zaak without any status has not begun either.
    """

    service_group: Code
    domain: Literal["JW", "WMO", "PW", "WGS", "WPG"] = "JW"
    bsn: bool = True
    announced: tuple[str, ...] = ()
    legal_basis: Code | None = None


class CjgOrganisation(Organisation):
    """One case system. `token` is what Open Notificaties was given as ``auth`` of the subscription: the whole header, or what
    follows ``Bearer``. `base_url` and `catalogue_url` end before ``/zaken`` and ``/zaaktypen``; nothing else is ever fetched."""

    base_url: HttpUrl
    catalogue_url: HttpUrl
    client_id: str = Field(min_length=1)
    client_secret: Secret
    token: Secret
    consent: Literal["required", "not_required"] = "not_required"

    @field_validator("base_url", "catalogue_url")
    @classmethod
    def _encrypted(cls, value: HttpUrl) -> HttpUrl:
        if value.scheme != "https" and value.host not in _LOOPBACK:
            raise ValueError("must be https: people's data travel over it")
        if value.query or value.fragment or value.username:
            raise ValueError("must be a plain address without user, query or fragment")
        return value

    @field_validator("token")
    @classmethod
    def _long_enough(cls, value: Any) -> Any:
        if len(value.get_secret_value()) < 16:
            raise ValueError("must be at least 16 characters")
        return value

    @property
    def zaken_base(self) -> str:
        return str(self.base_url).rstrip("/") + "/"

    @property
    def catalogue_base(self) -> str:
        return str(self.catalogue_url).rstrip("/") + "/"


class CjgConfig(ConnectorConfig):
    """`case_types`: by identificatie or omschrijving of the zaaktype; ``not_shared`` and what is not in it never leaves.

    `clients` and `relations` go by the omschrijving of a role (its roltype), `results` by that of the resultaattype; all are
    compared without regard to case and add to the built-in tables. `retracting`: results that say the zaak was wrongly made.

    `reconcile_seconds`: how often zaken that began in the last `reconcile_days` are listed, so that a lost notification is
    found. `whole_hours`: how often all are listed and those that go on read anew. `ended_days`: zaken that ended longer ago,
    and are not known, are left alone. `believe_gone`: take back cases even when most zaken are gone at once.
    """

    connector: Literal["cjg"]
    listen: Listen = Listen()
    organisations: tuple[CjgOrganisation, ...] = Field(min_length=1)
    case_types: dict[str, CaseType | Literal["not_shared"]] = Field(min_length=1)
    clients: tuple[str, ...] = ()
    relations: dict[str, RelationKind] = Field(default_factory=dict)
    directors: tuple[str, ...] = ()
    results: dict[str, EndReason] = Field(default_factory=dict)
    retracting: tuple[str, ...] = ()
    legal_bases: dict[str, Code] = Field(default_factory=dict)
    poll_seconds: float = Field(default=300.0, gt=0)
    reconcile_seconds: float = Field(default=3600.0, ge=0)
    reconcile_days: int = Field(default=90, ge=1)
    whole_hours: float = Field(default=24.0, gt=0)
    ended_days: int = Field(default=1826, ge=0)
    believe_gone: bool = False
    ordering: str = Field(default="identificatie", pattern=r"^-?[a-zA-Z]*$")
    timeout_seconds: float = Field(default=30.0, gt=0)

    @model_validator(mode="after")
    def _once_each(self) -> CjgConfig:
        if len({each.id for each in self.organisations}) != len(self.organisations):
            raise ValueError("an organisation is listed twice")
        return self
