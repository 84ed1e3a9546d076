"""The kinds of connector, by the word under ``connector:`` in a configuration file, or a partner's own as ``module:Class``.

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
    module, colon, name = kind.partition(":")
    if not colon:
        if kind not in KINDS:
            known = ", ".join(sorted(KINDS))
            raise ConfigurationError(f"connector: must be one of {known}, or one of your own as module:Class")
        module, name = KINDS[kind]
    try:
        found: ConnectorClass = getattr(import_module(module), name)
    except ModuleNotFoundError as missing:
        what = f"install samenloop[{kind}]" if not colon else "is it on PYTHONPATH?"
        raise ConfigurationError(f"connector: {kind} needs the Python package {missing.name}: {what}") from None
    except (AttributeError, ValueError):
        raise ConfigurationError(f"connector: {kind} names no class") from None
    return found
