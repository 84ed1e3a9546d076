"""What goes wrong in practice, looked at one thing at a time: each finding says what is the matter and what to do.

Checks of the machine always run. Those of a broker, a database, a running hub or a connector run when the settings are there,
and look from where the user stands: with the rights of whoever is in the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from samenloop_deploy.doctor import agreements, broker, connector, databases, machine, rights, secret_keys, stages
from samenloop_deploy.doctor.checks import Check
from samenloop_deploy.doctor.finding import CannotTell, Finding, Said
from samenloop_deploy.doctor.scene import Edge, Scene

__all__ = ["GROUPS", "Edge", "Finding", "Scene", "examine"]

GROUPS: Mapping[str, Mapping[str, Check]] = {
    "this machine": machine.CHECKS,
    "broker": {**broker.CHECKS, **rights.CHECKS},
    "databases": databases.CHECKS,
    "keys": secret_keys.CHECKS,
    "agreements": agreements.CHECKS,
    "running hub": stages.CHECKS,
}


def examine(scene: Scene | None = None) -> Iterator[Finding]:
    """Run every check; one that itself breaks is a finding, not a crash."""
    with scene or Scene() as looked_at:
        for group, checks in GROUPS.items():
            for name, check in checks.items():
                yield _finding(group, name, partial(check, looked_at))
        for edge in looked_at.edges:
            for name, edge_check in connector.CHECKS.items():
                yield _finding(f"connector {edge.name}", f"{edge.name}: {name}", partial(edge_check, looked_at, edge))


def _finding(group: str, name: str, look: Callable[[], Said]) -> Finding:
    try:
        said = look()
    except CannotTell as reason:
        return Finding(group, name, "skipped", str(reason))
    except ModuleNotFoundError as missing:
        return Finding(group, name, "skipped", f"needs {missing.name}, which samenloop[hub] or [local] brings")
    except Exception as error:
        return Finding(
            group, name, "failed", f"the check itself failed: {type(error).__name__}", "report this as a defect"
        )
    return Finding(group, name, said.verdict, said.found, said.todo, said.temporary)
