"""The commands, one function each. Imports are inside them: `samenloop connector` must not load the hub."""

from __future__ import annotations

from typing import Annotated

import typer

from samenloop_deploy.cli import agreements, connectors, doctor, identity, quarantine, stages, topology
from samenloop_deploy.cli.console import CommandError, Exit, people, print_json, reporting
from samenloop_deploy.cli.environment import OPENS_FACTS, settings_of

app = typer.Typer(
    name="samenloop",
    add_completion=False,
    help="One family, one plan, one coordinator, without one shared dossier.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(stages.app, name="stage")
app.add_typer(connectors.app, name="connector")
app.add_typer(agreements.app, name="agreement")
app.add_typer(identity.app, name="identity")
app.add_typer(topology.app, name="topology")
app.add_typer(quarantine.app, name="quarantine")
app.command("doctor")(doctor.doctor)

AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON on standard output.")]


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Stop when everything has arrived; exit 0 only if it did.")
    ] = False,
    as_json: AsJson = False,
    seed: Annotated[int, typer.Option(help="Which synthetic world.")] = 1,
    scale: Annotated[int, typer.Option(min=10, help="Persons with at least one case at the start.")] = 600,
    port: Annotated[int, typer.Option(help="Port of the pages on loopback; 0 picks a free one.")] = 8080,
    timeout: Annotated[float, typer.Option(help="Seconds after which --once gives up.")] = 240.0,
    keep_logs: Annotated[str, typer.Option(help="Copy the logs of all processes to this folder at the end.")] = "",
) -> None:
    """The whole hub with synthetic people on this machine. Ctrl-C ends it and leaves no process behind."""
    with reporting():
        from samenloop_deploy.demo.run import DemoOptions, run_demo
        from samenloop_deploy.local import LocalStackError

        options = DemoOptions(
            once=once, seed=seed, scale=scale, port=port, timeout=timeout, keep_logs=keep_logs or None
        )
        try:
            outcome = run_demo(options, people)
        except LocalStackError as error:
            raise CommandError(str(error), Exit.TEMPORARY) from None
        if as_json:
            print_json(outcome.figures)
        if not outcome.complete:
            raise CommandError(outcome.why)


@app.command()
def web() -> None:
    """Serve the pages; settings come from the environment."""
    with reporting():
        from samenloop_schemas.parent_watch import die_with_parent

        die_with_parent()
        from samenloop_views.web.server import run_web
        from samenloop_views.web.settings import WebSettings

        run_web(settings_of(WebSettings, secrets=OPENS_FACTS, broker=False))


@app.command()
def notify() -> None:
    """Deliver due notices to the partners and record it; settings come from the environment."""
    with reporting():
        from samenloop_schemas.parent_watch import die_with_parent

        die_with_parent()
        from samenloop_views.notifier.run import run_notifier
        from samenloop_views.notifier.settings import NotifierSettings

        run_notifier(settings_of(NotifierSettings, secrets=OPENS_FACTS))


@app.command()
def clock(
    areas: Annotated[list[str], typer.Option("--area", help="An area whose days are begun; repeat for more.")],
) -> None:
    """Begin the days: one event per area and calendar day, missed days in order."""
    with reporting():
        from samenloop_schemas.parent_watch import die_with_parent

        die_with_parent()
        from samenloop_processors.clock.run import ClockSettings, run_clock

        run_clock(settings_of(ClockSettings), areas)


def main() -> None:
    app()
