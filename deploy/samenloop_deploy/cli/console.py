"""What every command shares: exit codes, error lines, JSON for machines and tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

people = Console(stderr=True)
"""Everything for people goes to standard error, so that standard output stays clean for `--json`."""


class Exit(IntEnum):
    """Stable exit codes of every command."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    TEMPORARY = 3


class CommandError(Exception):
    """A command cannot go on. The message says what is wrong and what to do; `code` what a script should think of it."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def reporting() -> Iterator[None]:
    """Turns errors that a user can mend into one clear line and an exit code; anything else stays a traceback."""
    try:
        yield
    except CommandError as error:
        people.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(error.code) from None
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            place = ".".join(str(part) for part in problem["loc"])
            people.print(f"[bold red]configuration:[/] {place}: {problem['msg']}", highlight=False, soft_wrap=True)
        raise typer.Exit(Exit.WRONG_USE) from None


def print_json(value: Any) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as a table for people; the columns are the keys of the first row."""
    if not rows:
        people.print(f"{title}: none")
        return
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(str(column).replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    people.print(table)
