"""Configuration of the GGD connector: one FHIR server, its access, and the organisations and kinds of episodes to speak of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, model_validator

from samenloop_connectors.sdk.config import Code, ConnectorConfig, Model, Organisation, Secret

_HERE = ("localhost", "127.0.0.1", "[::1]")


def _secure(url: HttpUrl) -> HttpUrl:
    if url.scheme != "https" and url.host not in _HERE:
        raise ValueError("must be https")
    if url.query or url.fragment or url.username:
        raise ValueError("must be an address without user, query or fragment")
    return url


def _path(value: Any) -> Any:
    return Path(os.path.expandvars(value)).expanduser() if isinstance(value, str) else value


SecureUrl = Annotated[HttpUrl, AfterValidator(_secure)]
"""TLS always (Bulk Data IG), but for a server on the same machine."""
FilePath = Annotated[Path, BeforeValidator(_path)]


class GgdOrganisation(Organisation):
    """An organisation as ``EpisodeOfCare.managingOrganization`` names it: by AGB code, URA number, or the reference to it on
    this server (``Organization/123``).

    `teams` maps what the server says of a team (display or reference of the CareTeam) or, where it names only a care manager,
    that reference, to a route. Names of people stay where they are.
    """

    agb: str = Field(default="", pattern=r"^(\d{8})?$")
    ura: str = Field(default="", pattern=r"^(\d{8})?$")
    reference: str = Field(default="", pattern=r"^(Organization/[A-Za-z0-9.-]{1,64})?$")
    consent: Literal["required", "not_required"] = "not_required"

    @model_validator(mode="after")
    def _named(self) -> GgdOrganisation:
        if not (self.agb or self.ura or self.reference):
            raise ValueError("needs an agb, an ura or a reference")
        return self


class Limits(Model):
    """What an export may bring at most; beyond it the server is not believed and the export is refused in whole."""

    file_bytes: int = Field(default=1 << 30, ge=1)
    line_bytes: int = Field(default=1 << 20, ge=1)
    answer_bytes: int = Field(default=4 << 20, ge=1)
    files: int = Field(default=1_000, ge=1)


class GgdConfig(ConnectorConfig):
    """`base_url` is the FHIR base, `client_id`, `key_id` and the private key (PEM) as registered with the server (SMART Backend
    Services). Without `token_url` the server's ``.well-known/smart-configuration`` is asked.

    `episode_types` is the allow-list: ``code`` or ``system|code`` of EpisodeOfCare.type to service group. All other episodes
    (the universal contact moments) leave no trace. `also_allowed` are further addresses from which files may be fetched.
    `overlap_seconds`: how far before the last export each next one begins. `whole_days`: how often everything is exported
    anew, so that cases that go on are confirmed and those that vanished are noticed.
    """

    connector: Literal["ggd"]
    base_url: SecureUrl
    token_url: SecureUrl | None = None
    client_id: str = Field(min_length=1)
    key_id: str = Field(min_length=1)
    private_key: Secret
    algorithm: Literal["RS384", "ES384"] = "ES384"
    scope: str = "system/EpisodeOfCare.rs system/Patient.rs"
    client_certificate: FilePath | None = None
    client_key: FilePath | None = None
    ca_file: FilePath | None = None
    also_allowed: tuple[SecureUrl, ...] = ()

    organisations: tuple[GgdOrganisation, ...] = Field(min_length=1)
    episode_types: dict[str, Code] = Field(min_length=1)
    related_persons: bool = False
    """Export RelatedPerson too (its scope is then needed). Parents in Patient.contact are read without it."""
    export: str = Field(default="$export", pattern=r"^((Patient|Group/[A-Za-z0-9.-]{1,64})/)?\$export$")
    legal_basis: Code = "wpg_5"
    poll_seconds: float = Field(default=86_400.0, gt=0)
    overlap_seconds: int = Field(default=300, ge=0)
    whole_days: int = Field(default=7, ge=1)
    job_minutes: float = Field(default=60.0, gt=0)
    timeout_seconds: float = Field(default=60.0, gt=0)
    limits: Limits = Limits()

    @property
    def types(self) -> tuple[str, ...]:
        return ("EpisodeOfCare", "Patient", "RelatedPerson") if self.related_persons else ("EpisodeOfCare", "Patient")

    @model_validator(mode="after")
    def _once_each(self) -> GgdConfig:
        for name in ("id", "agb", "ura", "reference"):
            values = [value for each in self.organisations if (value := getattr(each, name))]
            if len(set(values)) != len(values):
                raise ValueError(f"an organisation's {name} is listed twice")
        if (self.client_key is not None) > (self.client_certificate is not None):
            raise ValueError("client_key needs a client_certificate")
        return self
