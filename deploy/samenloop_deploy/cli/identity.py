"""`samenloop identity`: train a model, match a file of people, and see how good a result is; no broker needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from samenloop_deploy.cli.console import CommandError, Exit, print_json, print_table, reporting
from samenloop_deploy.cli.progress import telling

app = typer.Typer(help="Which records are one person.", no_args_is_help=True)

Input = Annotated[Path, typer.Option("--input", help="people.csv; see docs/identity.md for its columns.")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON on standard output.")]


@app.command()
def train(
    people: Input,
    output: Annotated[Path, typer.Option(help="Where the model is written.")],
    version: Annotated[str, typer.Option(help="The model's own name; without it, after the input file.")] = "",
    caution: Annotated[float, typer.Option(help="Bits above even odds before a pair is linked.")] = 0.0,
) -> None:
    """Learn a model from records alone, without labels. The same file gives the same model."""
    with reporting(), telling() as tell:
        from samenloop_processors.clients.domain import train as training

        rows = [row.features for row in _rows(people, tell)]
        try:
            model = training.train(rows, version or people.stem, tell, caution)
        except ValueError as error:
            raise CommandError(f"{people}: {error}", Exit.WRONG_USE) from None
        _write(output, json.dumps(model, indent=1, ensure_ascii=False) + "\n")


@app.command()
def resolve(
    people: Input,
    output: Annotated[Path, typer.Option(help="clusters.csv: record_id, client_id.")],
    model: Annotated[
        Path | None, typer.Option(help="A model that was trained; without it the one of this release.")
    ] = None,
    review: Annotated[Path | None, typer.Option(help="Also write the pairs that a person should judge.")] = None,
    why: Annotated[
        Path | None, typer.Option(help="Also write the evidence of every link, a line of JSON each.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Also write speed, memory and counts as JSON.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take rows in file order, one by one, through the same code as the clients stage."""
    with reporting(), telling() as tell:
        from samenloop_processors.clients.batch import Batch

        rows = list(_rows(people, tell))
        batch = Batch(_model(model))
        found = batch.take(rows, lambda done: tell("matching", done, len(rows)))
        said = found.as_dict()
        try:
            for path, write in ((output, batch.write_clusters), (review, batch.write_review), (why, batch.write_why)):
                if path is not None:
                    tell(f"writing {path.name}")
                    write(path)
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}", Exit.WRONG_USE) from None
        if report is not None:
            _write(report, json.dumps(said, indent=2) + "\n")
    _show("matched", said, as_json)


@app.command()
def evaluate(
    clusters: Annotated[Path, typer.Option(help="clusters.csv: record_id, client_id.")],
    truth: Annotated[Path, typer.Option(help="record_id and the person it is about.")],
    as_json: AsJson = False,
) -> None:
    """Hold a result against the truth: pairs, B-cubed, exact clusters, persons mixed with another per 10,000."""
    with reporting():
        from samenloop_processors.clients.batch import evaluate as judge
        from samenloop_processors.clients.people_csv import PeopleInvalid, read_pairs

        try:
            quality = judge(read_pairs(clusters), read_pairs(truth))
        except (PeopleInvalid, ValueError) as error:
            raise CommandError(str(error), Exit.WRONG_USE) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}", Exit.WRONG_USE) from None
    _show("quality", quality.as_dict(), as_json)


@app.command()
def sample(
    output: Annotated[Path, typer.Option(help="Where people.csv is written.")],
    truth: Annotated[Path, typer.Option(help="Where the truth is written: record_id, person_id.")],
    records: Annotated[int, typer.Option(min=10, help="About how many rows.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Which people.")] = 1,
) -> None:
    """Write synthetic Dutch people as six kinds of source would, to train and to judge with. Nobody in it exists."""
    with reporting(), telling() as tell:
        from samenloop_deploy.demo.sample import write_sample

        try:
            count = write_sample(seed, records, output, truth, tell)
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}", Exit.WRONG_USE) from None
    _show("sample", {"records": count, "seed": seed}, False)


def _rows(path: Path, tell: Any) -> Any:
    from samenloop_processors.clients.people_csv import PeopleInvalid, read_people

    try:
        for number, row in enumerate(read_people(path)):
            if number % 1000 == 0:
                tell("reading", number)
            yield row
    except PeopleInvalid as error:
        raise CommandError(str(error), Exit.WRONG_USE) from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", Exit.WRONG_USE) from None


def _model(path: Path | None) -> Any:
    from samenloop_processors.clients.domain.model import default_model, parse_model

    if path is None:
        return default_model()
    try:
        return parse_model(path.read_text("utf-8"))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", Exit.WRONG_USE) from None
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{path}: no model that this release can use: {error}", Exit.WRONG_USE) from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", Exit.WRONG_USE) from None


def _show(title: str, said: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(said)
    else:
        print_table(title, [{"what": name.replace("_", " "), "value": value} for name, value in said.items()])
