"""`samenloop stage`: run one stage of the hub, rebuild it beside the running one, look at it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic_settings import BaseSettings

from samenloop_deploy.cli.console import (
    BadConfiguration,
    CommandError,
    Exit,
    people,
    print_json,
    print_table,
    reporting,
)
from samenloop_deploy.cli.environment import OPENS_FACTS, settings_of
from samenloop_deploy.cli.in_demo import InDemo, demo_as
from samenloop_deploy.cli.progress import telling

if TYPE_CHECKING:
    from samenloop_processors.engine.api import Stage
    from samenloop_processors.metrics import HubMetrics
    from samenloop_processors.settings import HubSettings

app = typer.Typer(help="The stages: intake, clients, overlaps, views.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="intake, clients, overlaps or views")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON on standard output.")]


class RebaseTo(StrEnum):
    EARLIEST = "earliest"
    END = "end"
    KEEP = "keep"


STAGES = ("intake", "clients", "overlaps", "views")


def build(name: str, settings: HubSettings, metrics: HubMetrics | None = None) -> Stage:
    """The stage by its name. This is where the stages are known by name; each is imported only when asked for. What a
    stage counts of its own goes to `metrics`."""
    if name == "intake":
        from samenloop_processors.intake import stage as intake

        return intake.build(settings, metrics=metrics)
    if name == "clients":
        from samenloop_processors.clients import stage as clients

        return clients.build(settings)
    if name == "overlaps":
        from samenloop_processors.overlaps import stage as overlaps

        return overlaps.build(settings)
    if name == "views":
        from samenloop_processors.views import stage as views

        return views.build(settings)
    raise _unknown(name)


_SECRETS = {
    "intake": (*OPENS_FACTS, "SAMENLOOP_MATCHING_KEY", "SAMENLOOP_HUB_PRIVATE_KEY"),
    "clients": OPENS_FACTS,
    "overlaps": OPENS_FACTS,
    "views": (),
}


def _from_environment(
    name: str, *, broker: bool = True, metrics: HubMetrics | None = None
) -> tuple[Stage, HubSettings]:
    """The stage and its settings, whole or not at all. Raises CommandError."""
    from samenloop_processors.settings import HubSettings

    if name not in STAGES:
        raise _unknown(name)
    own: tuple[type[BaseSettings], ...] = ()
    if name == "intake":
        from samenloop_processors.intake.stage import IntakeSettings

        own = (IntakeSettings,)
    settings = settings_of(HubSettings, *own, secrets=_SECRETS[name], broker=broker)
    try:
        return build(name, settings, metrics), settings
    except ValueError as error:
        raise BadConfiguration([str(error)]) from None


def _unknown(name: str) -> CommandError:
    return CommandError(f"there is no stage {name!r}: choose one of {', '.join(STAGES)}", Exit.WRONG_USE)


@app.command()
def run(name: Name) -> None:
    """Run a stage until SIGTERM; settings come from the environment."""
    with reporting():
        from samenloop_processors.engine.worker import run_stage
        from samenloop_processors.metrics import HubMetrics

        metrics = HubMetrics()
        stage, settings = _from_environment(name, metrics=metrics)
        raise typer.Exit(run_stage(stage, settings, metrics=metrics))


@app.command()
def rebuild(
    name: Name,
    shadow: Annotated[bool, typer.Option(help="Only report what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build a stage's state anew beside the running one, send only the differences, and take its place."""
    with reporting():
        from samenloop_processors.engine import rebuild as engine

        stage, settings = _from_environment(name)
        with telling() as tell:
            report = engine.rebuild(
                stage,
                settings,
                settings.kafka(),
                progress=lambda p: tell(f"rebuild of {name}: {p.phase}", p.done, p.total),
                shadow=shadow,
            )
        _print(as_json, f"rebuild of {name}", asdict(report))


@app.command()
def rebase(
    name: Name,
    to: Annotated[RebaseTo, typer.Option(help="Read all again, skip what is there, or trust the numbers.")],
    as_json: AsJson = False,
) -> None:
    """Accept the topics as they are now, after one was recreated or a broker restored. Stop the stage's workers first."""
    with reporting():
        from samenloop_processors.engine import status as engine

        stage, settings = _from_environment(name)
        try:
            standings = engine.rebase(stage, settings, settings.kafka(), to.value)
        except LookupError as error:
            raise CommandError(str(error)) from None
        rows = [asdict(standing) for standing in standings]
        if as_json:
            print_json(rows)
        else:
            print_table(f"stage {name} now stands at", rows)


@app.command()
def resume(
    name: Name, topic: Annotated[str, typer.Argument(help="The paused topic in full, as `stage status` names it.")]
) -> None:
    """End the pause of a partner's topic now. The stage goes on within a second, and its partner is told."""
    with reporting():
        from samenloop_processors.engine import status as engine

        stage, settings = _from_environment(name)
        try:
            ended = engine.resume(stage, settings, topic)
        except LookupError as error:
            raise CommandError(str(error)) from None
        if not ended:
            raise CommandError(f"{topic} is not paused", Exit.WRONG_USE)
        people.print(f"{topic} goes on", highlight=False)


@app.command()
def status(name: Name, as_json: AsJson = False, demo: InDemo = False) -> None:
    """Positions, lag, outbox, quarantine and pauses of a stage."""
    with reporting():
        from samenloop_processors.engine import status as engine

        if demo:
            demo_as(name)

        stage, settings = _from_environment(name)
        try:
            report = engine.status(stage, settings, settings.kafka()).as_dict()
        except LookupError as error:
            raise CommandError(str(error)) from None
        if as_json:
            print_json(report)
            return
        print_table(f"stage {name}", report.pop("inputs"))
        print_table("", [report])


@app.command()
def export(name: Name, area: Annotated[str, typer.Option(help="Only this area.")] = "", demo: InDemo = False) -> None:
    """The stage's state in canonical JSON, one row per line, sorted by bytes: what two runs are compared by."""
    with reporting():
        from samenloop_processors.engine import status as engine
        from samenloop_schemas.ids import canonical_json

        if demo:
            demo_as(name)
        stage, settings = _from_environment(name, broker=False)
        try:
            rows = engine.export(stage, settings, area or None)
            lines = sorted(canonical_json(row) for row in rows)
        except LookupError as error:
            raise CommandError(str(error)) from None
        for line in lines:
            sys.stdout.buffer.write(line + b"\n")


def _print(as_json: bool, title: str, row: dict[str, Any]) -> None:
    if as_json:
        print_json(row)
    else:
        print_table(title, [row])
