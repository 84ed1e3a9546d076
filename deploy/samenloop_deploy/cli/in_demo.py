"""`--demo`: a command looks at the demo that runs on this machine, and needs no other setting."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samenloop_deploy.cli.console import CommandError, Exit

if TYPE_CHECKING:
    from samenloop_deploy.demo.access import Running

InDemo = Annotated[bool, typer.Option("--demo", help="Of the demo that runs on this machine; needs no other setting.")]


def demo_as(process: str) -> Running:
    """Take the environment of one of the demo's processes, or of its `operator`. Raises CommandError."""
    try:
        from samenloop_deploy.demo.access import NoDemo, enter, find
    except ModuleNotFoundError as missing:
        raise CommandError(f"{missing.name} is missing: the demo needs samenloop[hub,local]", Exit.WRONG_USE) from None
    try:
        running = find()
        enter(running.environment(process))
    except NoDemo as error:
        raise CommandError(str(error), Exit.WRONG_USE) from None
    return running


def connector_of_demo(name: str) -> Path:
    """The file of one of the demo's connectors, whose environment this process then has. Raises CommandError."""
    running = demo_as(name)
    if name not in running.connectors:
        known = ", ".join(sorted(running.connectors))
        raise CommandError(f"{name!r} is no connector of the demo: it has {known}", Exit.WRONG_USE)
    return running.connectors[name]
