"""The key under the mat of a running demo: what each of its processes was given, so that its user can look where it looks.

A real hub has no such file. This one is readable by the user who started the demo, and goes with it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from samenloop_schemas import sealing

if TYPE_CHECKING:
    from samenloop_deploy.demo.hub import DemoHub

OPERATOR = "operator"
_FILE = "access.json"
_OWNED_BY = "owner.json"


class NoDemo(LookupError):
    """No demo of this user runs on this machine; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Running:
    """A demo that runs. `environments`: by process, `operator` being who may look at everything; `connectors`: their files."""

    directory: Path
    url: str
    environments: Mapping[str, Mapping[str, str]]
    connectors: Mapping[str, Path]

    def environment(self, process: str) -> Mapping[str, str]:
        if process not in self.environments:
            raise NoDemo(f"the demo has no process {process!r}: it has {', '.join(sorted(self.environments))}")
        return self.environments[process]


def leave(hub: DemoHub) -> Path:
    """Write it down once everything is started."""
    connectors = {file.stem: file for file in sorted(hub.edge.glob("*.json"))}
    environments = {name: hub.stage_environment(name) for name in ("intake", "clients", "overlaps", "views")}
    environments |= {name: hub.connector_environment(_partner_of(file), name) for name, file in connectors.items()}
    environments[OPERATOR] = operator_environment(hub)
    file = hub.stack.directory / _FILE
    file.touch(mode=0o600)
    content = {"url": hub.url, "environments": environments, "connectors": {k: str(v) for k, v in connectors.items()}}
    file.write_text(json.dumps(content, indent=1), "utf-8")
    return file


def operator_environment(hub: DemoHub) -> dict[str, str]:
    """Who looks after it: the broker's administrator, with the operator's role in both databases."""
    return {
        **hub.stack.kafka_access().environment(),
        "SAMENLOOP_TOPIC_PREFIX": hub.topics.prefix,
        "DATABASE_URL": hub.databases.url(OPERATOR),
        "SAMENLOOP_KEYS_URL": hub.databases.keys_url(OPERATOR),
        "SAMENLOOP_KEK": sealing.key_to_text(hub.secrets.kek),
    }


def find() -> Running:
    """The demo that this user runs; of several the youngest. Raises NoDemo."""
    files = sorted(Path(tempfile.gettempdir()).glob(f"samenloop-*/{_FILE}"), key=lambda f: f.stat().st_mtime)
    for file in reversed(files):
        try:
            if not _lives(file.parent):
                continue
            content = json.loads(file.read_text("utf-8"))
        except (PermissionError, FileNotFoundError, json.JSONDecodeError):
            continue  # another user's, or one that ends or begins at this moment
        connectors = {name: Path(path) for name, path in content["connectors"].items()}
        return Running(file.parent, content["url"], content["environments"], connectors)
    raise NoDemo("no demo of yours runs on this machine: start one with `samenloop demo` (or `make demo`)")


def _lives(directory: Path) -> bool:
    claimed = json.loads((directory / _OWNED_BY).read_text("utf-8"))
    try:
        return psutil.Process(claimed["pid"]).create_time() == float(claimed["started"])
    except psutil.NoSuchProcess:
        return False


def _partner_of(file: Path) -> str:
    partner: str = json.loads(file.read_text("utf-8"))["partner"]
    return partner


def enter(environment: Mapping[str, str]) -> None:
    """Take this environment and nothing else of the hub's."""
    for name in [name for name in os.environ if name.startswith("SAMENLOOP_") or name == "DATABASE_URL"]:
        del os.environ[name]
    os.environ.update(environment)
