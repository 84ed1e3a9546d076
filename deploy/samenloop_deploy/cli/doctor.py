"""`samenloop doctor`: every check as a line, with what to do below it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from samenloop_deploy.cli.console import Exit, people, print_json, reporting
from samenloop_deploy.cli.in_demo import InDemo, demo_as

if TYPE_CHECKING:
    from samenloop_deploy.doctor import Edge, Finding

_SIGNS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failed": "[bold red]✗[/]", "skipped": "[dim]·[/]"}
_PLAIN_SIGNS = {"ok": "ok", "warning": "[yellow]!![/]", "failed": "[bold red]NO[/]", "skipped": "[dim]--[/]"}
_WIDTH = 30


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON on standard output.")] = False,
    demo: InDemo = False,
    connector: Annotated[
        list[Path] | None, typer.Option("--connector", help="A connector's YAML file to look at; repeat for more.")
    ] = None,
    agreements: Annotated[
        Path | None, typer.Option(help="Folder of agreement files; default: those that came with it.")
    ] = None,
    brief: Annotated[bool, typer.Option("--brief", help="Only what is wrong.")] = False,
) -> None:
    """Look at everything that goes wrong in practice, and say what to do.

    Settings come from the environment, as of the process that has trouble; `--demo` takes those of the running demo.
    Exit code 0: nothing failed; 1: something did; 3: only something that may be back in a moment.
    """
    with reporting():
        from samenloop_deploy.doctor import Scene, examine

        scene = Scene(_edges(connector or [], demo), agreements)
        findings = examine(scene)
        found = list(findings if as_json else _shown(findings, brief))
        if as_json:
            print_json([asdict(finding) for finding in found])
        raise typer.Exit(exit_code(found))


def exit_code(findings: Iterable[Finding]) -> Exit:
    failed = [finding for finding in findings if finding.verdict == "failed"]
    if not failed:
        return Exit.DONE
    return Exit.TEMPORARY if all(finding.temporary for finding in failed) else Exit.FAILED


def _edges(files: list[Path], demo: bool) -> list[Edge]:
    from samenloop_deploy.doctor import Edge

    if not demo:
        return [Edge(file.stem, file) for file in files]
    running = demo_as("operator")
    people.print(f"the demo in {running.directory}, pages at {running.url}", highlight=False)
    return [Edge(name, file, running.environment(name)) for name, file in running.connectors.items()]


def _shown(findings: Iterable[Finding], brief: bool) -> Iterator[Finding]:
    """Each as it is found, for a check may take a moment; what could not be looked at, at the end of its group."""
    counted, group, skipped = Counter[str](), "", defaultdict[str, list[str]](list)
    for finding in findings:
        yield finding
        counted[finding.verdict] += 1
        if finding.group != group:
            _print_skipped(skipped)
            group = finding.group
            if not brief:
                people.print(f"\n[bold]{escape(group)}[/]")
        if finding.verdict == "skipped":
            skipped[finding.found].append(finding.check)
        elif not brief or finding.verdict != "ok":
            _print(finding)
        if brief:
            skipped.clear()
    _print_skipped(skipped)
    people.print(
        f"\n{sum(counted.values())} checks: {counted['ok']} in order, {counted['warning']} warnings, "
        f"[bold]{counted['failed']} failed[/], {counted['skipped']} could not be looked at",
        highlight=False,
    )


def _print(finding: Finding) -> None:
    row = Table.grid(padding=(0, 1))
    row.add_column(width=3, justify="right")
    row.add_column(width=_WIDTH)
    row.add_column(overflow="fold")
    row.add_row(_sign(finding.verdict), escape(finding.check.rpartition(": ")[2]), escape(finding.found))
    if finding.todo:
        row.add_row("", "", f"[bold]do:[/] {escape(finding.todo)}")
    people.print(row, highlight=False)


def _print_skipped(skipped: dict[str, list[str]]) -> None:
    """One line per reason: most often a setting that is not there on purpose."""
    for reason, checks in skipped.items():
        names = ", ".join(checks) if len(checks) < 4 else f"{len(checks)} checks"
        people.print(f" {_sign('skipped')}  [dim]not looked at ({escape(names)}): {escape(reason)}[/]", highlight=False)
    skipped.clear()


def _sign(verdict: str) -> str:
    return (_SIGNS if people.encoding.lower().startswith("utf") else _PLAIN_SIGNS)[verdict]
