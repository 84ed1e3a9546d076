"""Configuration of a connector: a YAML file for what may be read by anyone, the environment for the rest.

Everything is checked before anything is opened, and all problems are told at once, by name and never with a value.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from samenloop_connectors.sdk.errors import ConfigurationError
from samenloop_schemas import ids, records, sealing


def _from_environment(value: Any) -> Any:
    """``env:NAME`` stands for what the environment variable NAME holds."""
    if isinstance(value, str) and value.startswith("env:"):
        found = os.environ.get(value[4:])
        if not found:
            raise ValueError(f"environment variable {value[4:]} is not set")
        return found
    return value


Secret = Annotated[SecretStr, BeforeValidator(_from_environment)]
"""A secret in the file itself, or better ``env:NAME``."""


def _code(value: str) -> str:
    if not ids.is_code(value):
        raise ValueError("must be a code: lower case letters, digits, - and _")
    return value


Code = Annotated[str, BeforeValidator(_code)]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Contact(Model):
    """A route to a team."""

    team: str = ""
    phone: str = ""
    email: str = ""

    def record(self) -> records.Contact:
        return records.Contact(self.team, self.phone, self.email)


class Organisation(Model):
    """An organisation for which the connector speaks.

    `teams` maps the source's team names to contact routes; a team that is not in it is given the organisation's own route, so
    that no free text of the source leaves.
    """

    id: Code
    area: Code
    contact: Contact = Contact()
    teams: dict[str, Contact] = Field(default_factory=dict)
    sensitivity: Literal["NORMAL", "SENSITIVE", "PROTECTED"] = "NORMAL"
    consent: Literal["required", "not_required"] = "required"
    """As in the area's agreement. Where it is required, identities leave only for cases with consent."""

    def route(self, team: str) -> records.Contact:
        return self.teams.get(team.strip(), self.contact).record()


class ConnectorConfig(Model):
    """What every connector's file holds. `oin` is the sending organisation's number, for CloudEvents' source."""

    connector: str
    partner: Code
    state_dir: Path
    oin: str = Field(default="00000000000000000000", pattern=r"^\d{20}$")
    poll_seconds: float = Field(default=900.0, gt=0)
    confirm_days: int = Field(default=90, ge=1, le=365)
    purpose: Code = "early_coordination"

    @field_validator("state_dir", mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        return Path(os.path.expandvars(value)).expanduser() if isinstance(value, str) else value


class EdgeSettings(BaseSettings):
    """``SAMENLOOP_*``: keys of the edge, and where it runs."""

    model_config = SettingsConfigDict(env_prefix="SAMENLOOP_", extra="ignore", frozen=True)

    hub_public_key: SecretStr
    edge_secret: SecretStr
    topic_prefix: str = ""
    metrics_port: int | None = None

    @field_validator("hub_public_key", "edge_secret")
    @classmethod
    def _is_key(cls, value: SecretStr) -> SecretStr:
        sealing.key_from_text(value.get_secret_value())
        return value

    @property
    def edge_secret_bytes(self) -> bytes:
        return sealing.key_from_text(self.edge_secret.get_secret_value())

    @property
    def hub_key_bytes(self) -> bytes:
        return sealing.key_from_text(self.hub_public_key.get_secret_value())


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a file. Raises ConfigurationError."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigurationError(f"{path} is no YAML" + (f", line {mark.line + 1}" if mark else "")) from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} must hold a mapping")
    return content


def problems_of(error: ValidationError, prefix: str = "") -> list[str]:
    """One line per problem: where, and what is wanted; never what was given."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        place = ".".join(str(part) for part in problem["loc"])
        name = f"{prefix}{place.upper()}" if prefix else place
        lines.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}")
    return lines
