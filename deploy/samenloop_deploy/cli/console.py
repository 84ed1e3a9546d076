"""What every command shares: exit codes, error lines, JSON for machines and tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_WIDE = 6
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


class BadConfiguration(CommandError):
    """All that is wrong with the settings, one line each, without a value."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems), Exit.WRONG_USE)
        self.problems = tuple(problems)


@contextmanager
def reporting() -> Iterator[None]:
    """Turns errors that a user can mend into clear lines and an exit code; anything else stays a traceback."""
    try:
        yield
    except typer.Exit:
        raise
    except BadConfiguration as error:
        for problem in error.problems:
            _say("configuration:", problem)
        raise typer.Exit(error.code) from None
    except CommandError as error:
        _say("error:", str(error))
        raise typer.Exit(error.code) from None
    except Exception as error:
        if (meant := _meant(error)) is None:
            raise
        _say("error:", str(meant))
        raise typer.Exit(meant.code) from None


def _meant(error: Exception) -> CommandError | None:
    """What an error of a library or of the engine means for who called the command. The edge has no database driver to
    import, so these are known by name; their messages may hold an address, and never a password."""
    if isinstance(code := getattr(error, "exit_code", None), int):
        return CommandError(str(error), Exit(code))
    names = {f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(error).__mro__}
    if "psycopg.OperationalError" in names:
        first = str(error).strip().splitlines() or [type(error).__name__]
        return CommandError(f"the database does not let us in or does not answer: {first[0]}", Exit.TEMPORARY)
    if "kafka.KafkaError" in names:
        away = bool(getattr(error, "retriable", False))
        what = "does not answer: is it up, are user and password right?" if away else "refuses this"
        return CommandError(f"the broker {what} ({type(error).__name__})", Exit.TEMPORARY if away else Exit.FAILED)
    return None


def _say(kind: str, text: str) -> None:
    """As it is: brackets in a message are no markup."""
    people.print(f"[bold red]{kind}[/] {escape(text)}", highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as a table for people; the columns are the keys of the first row, which names what the row is about and is not
    broken. One row of many columns stands upright: a column of four letters is read by nobody."""
    if not rows:
        people.print(f"{title}: none")
        return
    table = Table(title=title or None, title_justify="left")
    if len(rows) == 1 and len(rows[0]) > _WIDE:
        table.show_header = False
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for column, value in rows[0].items():
            table.add_row(str(column).replace("_", " "), _cell(value))
    else:
        for number, column in enumerate(rows[0]):
            table.add_column(str(column).replace("_", " "), overflow="fold", no_wrap=number == 0)
        for row in rows:
            table.add_row(*map(_cell, row.values()))
    people.print(table)


def _cell(value: Any) -> str:
    return "" if value is None else escape(str(value))
