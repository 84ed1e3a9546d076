"""Configuration of the MEE connector: the drop folder, the organisations and the keys with which they sign."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import Field, field_validator, model_validator

from samenloop_connectors.sdk.config import Code, ConnectorConfig, Model, Organisation

SCOPES = ("regie", "afstemming", "samenwerking", "delen", "gegevensdeling", "volledig", "alles")


class MeeOrganisation(Organisation):
    """`file_name` is the part of a file's name that stands for it; without one that is its id.

    `public_keys`: Ed25519 keys, in base64 or PEM, any of which may have signed (a new one beside the old one for a while). Written
    consent is always required.
    """

    file_name: str = Field(default="", pattern=r"^[A-Za-z0-9-]*$")
    public_keys: tuple[str, ...] = ()
    consent: Literal["required"] = "required"

    @field_validator("public_keys")
    @classmethod
    def _are_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            public_key(key)
        return keys

    @property
    def name_in_files(self) -> str:
        return self.file_name or self.id


class Limits(Model):
    """What a file may be at most. `unpacked_megabytes` and `rows` hold for what lies inside a workbook."""

    megabytes: int = Field(default=25, ge=1, le=200)
    unpacked_megabytes: int = Field(default=100, ge=1, le=500)
    rows: int = Field(default=50_000, ge=1, le=1_000_000)
    columns: int = Field(default=100, ge=1, le=1000)


class MeeConfig(ConnectorConfig):
    """`products` adds to and overrides the built-in table; a product in neither is `other_products`.

    `consent_scopes`: a consent that names what it is for must hold one of these words; one that names nothing is a general one.
    `dossier_digits`: dossier numbers of digits are filled with zeros to this length, because a workbook drops those in front;
    0 = they are written without. `handled` is where files go after they were taken in whole; without it they stay, and are
    remembered. `companion_minutes`: after so long a file without its companion is told. `days_ahead`: a file dated further ahead
    of today waits, since it would outrank all that follow.
    """

    connector: Literal["mee"]
    folder: Path
    handled: Path | None = None
    organisations: tuple[MeeOrganisation, ...] = Field(min_length=1)
    legal_basis: Code = "wmo_2_2_4"
    products: dict[str, Code] = Field(default_factory=dict)
    other_products: Code = "client_support"
    consent_scopes: tuple[str, ...] = SCOPES
    dossier_digits: int = Field(default=0, ge=0, le=20)
    companion_minutes: float = Field(default=60.0, ge=0)
    days_ahead: int = Field(default=1, ge=0)
    limits: Limits = Limits()

    @field_validator("folder", "handled", mode="before")
    @classmethod
    def _expand_paths(cls, value: Any) -> Any:
        return Path(os.path.expandvars(value)).expanduser() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _once_each(self) -> MeeConfig:
        for name in ("id", "name_in_files"):
            values = [getattr(each, name) for each in self.organisations]
            if len(set(values)) != len(values):
                raise ValueError(f"an organisation's {name} is listed twice")
        return self


def public_key(text: str) -> Ed25519PublicKey:
    """A key in PEM, or its 32 bytes in base64. Raises ValueError."""
    try:
        if "BEGIN" in text:
            key = load_pem_public_key(text.encode())
            if isinstance(key, Ed25519PublicKey):
                return key
        else:
            return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        pass
    raise ValueError("must be an Ed25519 public key: PEM, or 32 bytes in base64")
