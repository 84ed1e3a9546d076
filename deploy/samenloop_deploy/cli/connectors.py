"""`samenloop connector`: what a partner's IT people use."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samenloop_deploy.cli.console import CommandError, Exit, people, print_json, print_table, reporting
from samenloop_deploy.cli.in_demo import InDemo, connector_of_demo
from samenloop_deploy.cli.progress import telling

if TYPE_CHECKING:
    from samenloop_connectors.app import Loaded

app = typer.Typer(help="Connectors at a partner: check, run, status, notices.", no_args_is_help=True)

Partner = Annotated[str, typer.Argument(help="The partner (feed), such as smwo.")]
Config = Annotated[Path | None, typer.Option("--config", help="The connector's YAML file.")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON on standard output.")]
Limit = Annotated[int, typer.Option(min=1, help="Rows per table; --json shows all.")]


class Lang(StrEnum):
    EN = "en"
    NL = "nl"


InLanguage = Annotated[Lang, typer.Option("--language", help="Language of reasons and advice.")]


@contextmanager
def _loaded(partner: str, config: Path | None, demo: bool = False) -> Iterator[Loaded]:
    """The configuration, with the edge's errors as exit codes."""
    from samenloop_connectors import app as connectors
    from samenloop_connectors.sdk.errors import ConfigurationError, TransientError

    with reporting():
        try:
            if demo:
                config = connector_of_demo(partner)
            if config is None:
                raise ConfigurationError("which connector? Name its file with --config (or, of a running demo, --demo)")
            loaded = connectors.load(config)
            if not demo and loaded.config.partner != partner:
                raise ConfigurationError(f"{config} is for partner {loaded.config.partner}, not {partner}")
            yield loaded
        except ConfigurationError as error:
            raise CommandError(str(error), Exit.WRONG_USE) from None
        except TransientError as error:
            raise CommandError(str(error), Exit.TEMPORARY) from None


@app.command()
def check(partner: Partner, config: Config = None, demo: InDemo = False) -> None:
    """Reach and log in to the source and the broker; reads no data."""
    with _loaded(partner, config, demo) as loaded:
        from samenloop_connectors import app as connectors

        for line in connectors.check(loaded):
            people.print(line, highlight=False)


@app.command()
def run(
    partner: Partner,
    config: Config = None,
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
        if not once:
            connectors.run_connector(loaded, stop)
            return
        with telling() as tell:
            taken = connectors.run_connector(loaded, stop, once=True, progress=tell)
        people.print(f"read {taken.items} rows, stated {taken.stated}, {taken.unreadable} set aside", highlight=False)
        if taken.failed:
            raise CommandError("; ".join(f"{f.stream}: {f.error}" for f in taken.failed))


@app.command()
def status(
    partner: Partner,
    config: Config = None,
    as_json: AsJson = False,
    limit: Limit = 20,
    language: InLanguage = Lang.EN,
    demo: InDemo = False,
) -> None:
    """What was read, sent, accepted and refused, and what the hub holds, in the partner's own case numbers."""
    with _loaded(partner, config, demo) as loaded:
        from samenloop_connectors import app as connectors

        report = connectors.connector_status(loaded, 1_000_000 if as_json else limit, language.value)
        notices = connectors.notices(loaded)
        if as_json:
            print_json(asdict(report) | {"own_notices": [asdict(notice) for notice in notices]})
            return
        from samenloop_deploy.cli.connector_report import show

        show(report, notices, limit)


@app.command()
def notices(partner: Partner, config: Config = None, as_json: AsJson = False, demo: InDemo = False) -> None:
    """What the hub told, with the partner's own case numbers."""
    with _loaded(partner, config, demo) as loaded:
        from samenloop_connectors import app as connectors
        from samenloop_deploy.cli.connector_report import notice_row

        rows = connectors.notices(loaded)
        if as_json:
            print_json([asdict(notice) for notice in rows])
        else:
            print_table("notices", [notice_row(notice) for notice in rows])


@app.command()
def codes(language: InLanguage = Lang.EN, as_json: AsJson = False) -> None:
    """Every reason that a receipt can give: what it means and what to do."""
    from samenloop_connectors.sdk.receipt_words import CODES

    rows = [{"code": str(code), **asdict(words)} for code, words in CODES[language.value].items()]
    if as_json:
        print_json(rows)
    else:
        print_table(
            "reasons on receipts",
            [{"code": r["code"], "meaning": r["meaning"], "what to do": r["advice"]} for r in rows],
        )
