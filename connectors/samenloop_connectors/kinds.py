"""The kinds of connector, by the word under ``connector:`` in a configuration file.

Imported when asked for: what only one kind needs (XML, workbooks, signed tokens) comes with the extra of its name.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from typing import Protocol

from samenloop_connectors.sdk.config import ConnectorConfig
from samenloop_connectors.sdk.connector import Connector
from samenloop_connectors.sdk.errors import ConfigurationError

KINDS = {
    "backoffice": ("samenloop_connectors.backoffice.connector", "BackofficeConnector"),
    "cjg": ("samenloop_connectors.cjg.connector", "CjgConnector"),
    "istandaarden": ("samenloop_connectors.istandaarden.connector", "IstandaardenConnector"),
    "ggd": ("samenloop_connectors.ggd.connector", "GgdConnector"),
    "mee": ("samenloop_connectors.mee.connector", "MeeConnector"),
    "smwo": ("samenloop_connectors.smwo.connector", "SmwoConnector"),
}
"""Module and class."""


class ConnectorClass(Protocol):
    """What a kind's class is; see `samenloop_connectors.sdk.connector.Connector`."""

    @property
    def Config(self) -> type[ConnectorConfig]: ...

    def __call__(
        self, config: ConnectorConfig, now: Callable[[], datetime], wait: Callable[[float], bool]
    ) -> Connector: ...


def connector_class(kind: str) -> ConnectorClass:
    """Raises ConfigurationError for a kind that does not exist or whose extra is not installed."""
    if kind not in KINDS:
        raise ConfigurationError(f"connector: must be one of {', '.join(sorted(KINDS))}")
    module, name = KINDS[kind]
    try:
        found: ConnectorClass = getattr(import_module(module), name)
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"connector: {kind} needs the Python package {missing.name}: install samenloop[{kind}]"
        ) from None
    return found
