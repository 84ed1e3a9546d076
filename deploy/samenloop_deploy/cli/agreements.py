"""`samenloop agreement`: check, explain and publish an area's cooperation agreement."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from samenloop_deploy.cli.console import CommandError, Exit, people, print_table, reporting
from samenloop_deploy.cli.environment import kafka_access
from samenloop_deploy.cli.progress import telling

app = typer.Typer(help="Cooperation agreements (convenanten) as data.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(help="Agreement files, such as deploy/agreements/a2.yaml.")]


@app.command()
def check(files: Files) -> None:
    """Validate agreements; all problems at once, with their lines."""
    with reporting():
        from samenloop_processors.agreement import AgreementInvalid, load_agreement

        broken = []
        for file in files:
            try:
                agreement = load_agreement(file)
                people.print(f"{file}: {agreement.area} version {agreement.version}, {len(agreement.parties)} parties")
            except AgreementInvalid as invalid:
                broken.append(str(invalid))
            except OSError as error:
                broken.append(f"{file}: {error.strerror}")
        if broken:
            raise CommandError("\n".join(broken), Exit.WRONG_USE)


@app.command()
def explain(file: Path, on: Annotated[str, typer.Option(help="A day, YYYY-MM-DD.")] = "") -> None:
    """Who takes part, as which party, for what and on which terms."""
    with reporting():
        from samenloop_processors.agreement import AgreementInvalid, load_agreement

        try:
            agreement = load_agreement(file)
            day = date.fromisoformat(on) if on else agreement.valid_from
        except AgreementInvalid as invalid:
            raise CommandError(str(invalid), Exit.WRONG_USE) from None
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}", Exit.WRONG_USE) from None
        except ValueError:
            raise CommandError("--on is a day such as 2026-01-31", Exit.WRONG_USE) from None
        state = "can hold" if day >= agreement.valid_from else "cannot hold yet"
        people.print(f"[bold]{agreement.area}[/] version {agreement.version} {state} on {day} (once published)")
        print_table(
            "parties",
            [
                {"party": p.id, "name": p.name, "law": p.domain, "service group": p.service_group or "any"}
                for p in agreement.parties
            ],
        )
        print_table(
            "organisations",
            [
                {"id": o.id, "spoken for by": o.partner, "helps": o.help_giving, "BSN": o.bsn, "consent": o.consent}
                for o in agreement.organisations
            ],
        )
        people.print(f"purposes: {', '.join(agreement.purposes)}; legal bases: {', '.join(agreement.legal_bases)}")


@app.command()
def publish(
    files: Files,
    user: Annotated[str, typer.Option(help="Meaningless key of who publishes.")] = "operator",
) -> None:
    """Publish versions as decisions. A version is immutable: publishing the same text again changes nothing."""
    with reporting():
        from samenloop_deploy.publishing import publish_agreements
        from samenloop_processors.agreement import AgreementInvalid, load_agreement
        from samenloop_schemas.topics import Topics

        try:
            agreements = [load_agreement(file) for file in files]
        except AgreementInvalid as invalid:
            raise CommandError(str(invalid), Exit.WRONG_USE) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}", Exit.WRONG_USE) from None
        with telling() as tell:
            publish_agreements(
                kafka_access(),
                Topics.from_environment(),
                agreements,
                user,
                datetime.now(UTC),
                lambda confirmed, total: tell("agreements that the broker confirmed", confirmed, total),
            )
        for agreement in agreements:
            people.print(f"published {agreement.area} version {agreement.version}")
