"""What a command is told through its environment, looked at as a whole before anything starts.

Every problem is told at once, by the variable's name and never with its value.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

from samenloop_deploy.cli.console import BadConfiguration
from samenloop_schemas.kafka_access import KafkaAccess

S = TypeVar("S", bound=BaseSettings)
OPENS_FACTS = ("SAMENLOOP_KEYS_URL", "SAMENLOOP_KEK")
"""What a process needs that opens facts or identities."""


def settings_of(kind: type[S], *others: type[BaseSettings], secrets: Iterable[str] = (), broker: bool = True) -> S:
    """The settings of a process. `others` are read by the process itself, `secrets` are the variables without which it
    cannot work: both are only looked at. Raises BadConfiguration."""
    settings, problems = _read(kind)
    for other in (*others, *((KafkaAccess,) if broker else ())):
        problems += _read(other)[1]
    problems += [problem for name in secrets if (problem := _secret_problem(name))]
    if settings is None or problems:
        raise BadConfiguration(problems)
    return settings


def kafka_access() -> KafkaAccess:
    """Raises BadConfiguration."""
    return settings_of(KafkaAccess, broker=False)


def _read(kind: type[S]) -> tuple[S | None, list[str]]:
    try:
        return kind(), []
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        return None, [
            f"{_variable(prefix, problem['loc'])}{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_input=False, include_url=False, include_context=False)
        ]


def _variable(prefix: str, place: tuple[int | str, ...]) -> str:
    """An alias is the variable's own name; a field's is put together. A problem of the whole has no place."""
    name = ".".join(map(str, place))
    return f"{name if name.isupper() else (prefix + name).upper()}: " if name else ""


def _secret_problem(variable: str) -> str:
    from samenloop_processors.settings import secret_bytes

    value = os.environ.get(variable)
    if not value:
        return f"{variable}: Field required"
    if not variable.endswith("_URL"):
        try:
            secret_bytes(SecretStr(value))
        except ValueError as error:
            return f"{variable}: {error}; it is the base64 of 32 bytes"
    return ""
