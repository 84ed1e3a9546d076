"""`samenloop connector`: what a partner's IT people use."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samenloop_deploy.cli.console import CommandError, Exit, people, print_json, print_table, reporting

if TYPE_CHECKING:
    from samenloop_connectors.app import Loaded

app = typer.Typer(help="Connectors at a partner: check, run, status, notices.", no_args_is_help=True)

Partner = Annotated[str, typer.Argument(help="The partner (feed), such as smwo.")]
Config = Annotated[Path, typer.Option("--config", help="The connector's YAML file.")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON on standard output.")]


@contextmanager
def _loaded(partner: str, config: Path) -> Iterator[Loaded]:
    """The configuration, with the edge's errors as exit codes."""
    from samenloop_connectors import app as connectors
    from samenloop_connectors.sdk.errors import ConfigurationError, TransientError

    with reporting():
        try:
            loaded = connectors.load(config)
            if loaded.config.partner != partner:
                raise ConfigurationError(f"{config} is for partner {loaded.config.partner}, not {partner}")
            yield loaded
        except ConfigurationError as error:
            raise CommandError(str(error), Exit.WRONG_USE) from None
        except TransientError as error:
            raise CommandError(str(error), Exit.TEMPORARY) from None


@app.command()
def check(partner: Partner, config: Config) -> None:
    """Reach and log in to the source and the broker; reads no data."""
    with _loaded(partner, config) as loaded:
        from samenloop_connectors import app as connectors

        for line in connectors.check(loaded):
            people.print(line, highlight=False)


@app.command()
def run(
    partner: Partner,
    config: Config,
    once: Annotated[bool, typer.Option("--once", help="Read the source once, send everything, stop.")] = False,
) -> None:
    """Read the source, state what is new, send it, and listen for receipts and notices."""
    from samenloop_schemas.parent_watch import die_with_parent

    die_with_parent()
    with _loaded(partner, config) as loaded:
        from samenloop_connectors import app as connectors

        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        taken = connectors.run_connector(loaded, stop, once=once)
        if once and taken.failed:
            raise CommandError("; ".join(f"{f.stream}: {f.error}" for f in taken.failed))


@app.command()
def status(partner: Partner, config: Config, as_json: AsJson = False) -> None:
    """What was read, sent, accepted and refused, in the partner's own case numbers."""
    with _loaded(partner, config) as loaded:
        from samenloop_connectors import app as connectors

        report = asdict(connectors.connector_status(loaded))
        if as_json:
            print_json(report)
            return
        streams, refusals, aside = report.pop("streams"), report.pop("refusals"), report.pop("set_aside")
        print_table(f"connector {partner}", [report])
        print_table("streams", streams)
        print_table("refused, or taken with a remark", refusals)
        print_table("set aside (cannot be read)", aside)


@app.command()
def notices(partner: Partner, config: Config, as_json: AsJson = False) -> None:
    """What the hub told, with the partner's own case numbers."""
    with _loaded(partner, config) as loaded:
        from samenloop_connectors import app as connectors

        rows = [asdict(notice) for notice in connectors.notices(loaded)]
        if as_json:
            print_json(rows)
        else:
            print_table("notices", rows)
