"""`samenloop quarantine`: what was set apart, at the hub or (with --config) at a connector: look, put back, discard.

At the hub it runs as the operator's user in SAMENLOOP_KAFKA_*. No payload is ever shown.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from samenloop_deploy.cli.connector_report import at
from samenloop_deploy.cli.console import CommandError, Exit, people, print_json, print_table, reporting
from samenloop_deploy.cli.environment import kafka_access
from samenloop_deploy.cli.in_demo import InDemo, connector_of_demo, demo_as
from samenloop_deploy.cli.progress import telling

if TYPE_CHECKING:
    from samenloop_connectors.sdk.set_aside import Aside
    from samenloop_connectors.sdk.state import State
    from samenloop_deploy.quarantine.records import Entry

app = typer.Typer(help="What was set apart: list, show, retry, discard.", no_args_is_help=True)

Names = Annotated[
    list[str] | None, typer.Argument(help="Records as `list` names them: topic/partition/offset, or an id of a connector.")
]  # fmt: skip
Partners = Annotated[
    list[str] | None, typer.Option("--partner", help="Only of this partner, or `hub`; repeat for more.")
]
Reasons = Annotated[list[str] | None, typer.Option("--reason", help="Only for this reason; repeat for more.")]
Config = Annotated[Path | None, typer.Option("--config", help="A connector's YAML file: look at its own quarantine.")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON on standard output.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AsActor = Annotated[str, typer.Option("--actor", help="Who does it; else the user of this machine.")]
Everything = Annotated[bool, typer.Option("--all", help="Also what was retried or discarded before.")]


@app.command("list")
def list_(
    partner: Partners = None,
    reason: Reasons = None,
    config: Config = None,
    everything: Everything = False,
    limit: Annotated[int, typer.Option(min=1, help="Records shown; --json shows all.")] = 20,
    as_json: AsJson = False,
    demo: InDemo = False,
) -> None:
    """How much is set apart, why, since when, and which records."""
    with reporting(), _side(config, partner, demo) as edge:
        if edge is not None:
            _list_edge(edge, reason, everything, limit, as_json)
            return
        from samenloop_deploy.quarantine.records import summary

        found = [e for e in _look(partner) if not reason or set(reason) & set(e.reasons)]
        shown = [entry for entry in found if everything or entry.state == "open"]
        if as_json:
            print_json({"summary": summary(found), "records": [entry.row() for entry in shown]})
            return
        print_table("quarantine", [_told(row) for row in summary(found)])
        print_table("records", [_brief(entry) for entry in shown[:limit]])
        if len(shown) > limit:
            people.print(f"{len(shown) - limit} more: raise --limit, or narrow with --partner and --reason")


@app.command()
def show(names: Names = None, config: Config = None, as_json: AsJson = False, demo: InDemo = False) -> None:
    """What a record says of itself and what was done with it. What is sealed stays sealed; free text is not shown."""
    with reporting(), _side(config, None, demo) as edge:
        if edge is not None:
            from samenloop_connectors.sdk import set_aside

            rows: list[dict[str, Any]] = [_aside_row(one) for one in _named_aside(edge, names, any_state=True)]
            trail = [asdict(each) for each in set_aside.audit_trail(edge)]
            _print_shown(rows, as_json, trail)
            return
        from samenloop_deploy.quarantine.reading import copies
        from samenloop_deploy.quarantine.records import envelope

        entries = _chosen(names, None, None, any_state=True)
        raws = copies(kafka_access(), [entry.newest for entry in entries])
        details = []
        for entry in entries:
            raw = raws[entry.newest.lies]
            details.append(entry.row() | {"copies": _copies(entry)} | envelope(raw.value, tuple(raw.headers)))
        _print_shown(details, as_json, [])


@app.command()
def retry(
    names: Names = None,
    partner: Partners = None,
    reason: Reasons = None,
    config: Config = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    actor: AsActor = "",
    as_json: AsJson = False,
    demo: InDemo = False,
) -> None:
    """Put records back on the inbox they came from; at a connector, have them read or sent again. Mend the cause first."""
    with reporting(), _side(config, partner, demo) as edge:
        who = _actor(actor)
        if edge is not None:
            from samenloop_connectors.sdk import set_aside

            _act_at_edge(edge, names, reason, "retry", set_aside.retry, who, dry_run, yes, as_json)
            return
        from samenloop_deploy.quarantine import acting

        chosen = _chosen(names, partner, reason)
        good, refused = acting.sort_out(chosen, _topics())
        for one in refused:
            people.print(f"not put back: {one.record}: {one.advice}", highlight=False)
        if refused and not good:
            raise CommandError("none of these can be put back: see the advice", Exit.WRONG_USE)
        if _agreed("put back", len(good), dry_run, yes, [_brief(entry) for entry in good]):
            with _bar("put back") as progress:
                acting.retry(kafka_access(), _topics(), good, who, datetime.now(UTC), progress)
        _report("put back", good, dry_run, as_json, refused=[asdict(one) for one in refused])


@app.command()
def discard(
    names: Names = None,
    partner: Partners = None,
    reason: Reasons = None,
    config: Config = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    actor: AsActor = "",
    as_json: AsJson = False,
    demo: InDemo = False,
) -> None:
    """Say that nothing is to be done with records: they are no longer shown as open, and age out."""
    with reporting(), _side(config, partner, demo) as edge:
        who = _actor(actor)
        if edge is not None:
            from samenloop_connectors.sdk import set_aside

            _act_at_edge(edge, names, reason, "discard", set_aside.discard, who, dry_run, yes, as_json)
            return
        from samenloop_deploy.quarantine import acting

        chosen = _chosen(names, partner, reason)
        if _agreed("discard", len(chosen), dry_run, yes, [_brief(entry) for entry in chosen]):
            with _bar("discard") as progress:
                acting.discard(kafka_access(), _topics(), chosen, who, datetime.now(UTC), progress)
        _report("discarded", chosen, dry_run, as_json)


@contextmanager
def _side(config: Path | None, partner: Sequence[str] | None, demo: bool) -> Iterator[State | None]:
    """The connector's state, or None for the hub. In the demo, the connector of the demo that --config names."""
    from samenloop_connectors import app as connectors
    from samenloop_connectors.sdk.errors import ConfigurationError

    if config is None:
        if demo:
            demo_as("operator")
        yield None
        return
    if partner:
        raise CommandError("--partner is for the hub's quarantine; --config names one connector", Exit.WRONG_USE)
    try:
        file = connector_of_demo(str(config)) if demo else config
        with connectors.opened_state(connectors.load(file)) as state:
            yield state
    except ConfigurationError as error:
        raise CommandError(str(error), Exit.WRONG_USE) from None


def _topics() -> Any:
    from samenloop_schemas.topics import Topics

    return Topics.from_environment()


def _look(partners: Sequence[str] | None) -> list[Entry]:
    from samenloop_deploy.quarantine.reading import NotReadable, look

    with telling() as tell:
        try:
            return look(kafka_access(), _topics(), partners or (), tell)
        except NotReadable as error:
            raise CommandError(str(error), Exit.WRONG_USE) from None
        except TimeoutError as error:
            raise CommandError(str(error), Exit.TEMPORARY) from None


def _chosen(
    names: Sequence[str] | None,
    partners: Sequence[str] | None,
    reasons: Sequence[str] | None,
    *,
    any_state: bool = False,
) -> list[Entry]:
    """Named ones in whatever state, else all open ones that fit. Raises CommandError when nothing was asked for, or a named
    one is not there."""
    from samenloop_deploy.quarantine.records import Place

    try:
        wanted = {Place.parse(name) for name in names or ()}
    except ValueError as error:
        raise CommandError(str(error), Exit.WRONG_USE) from None
    if not wanted and (any_state or not (partners or reasons)):
        raise CommandError("name records, or (for many) --partner or --reason", Exit.WRONG_USE)
    entries = _look(partners)
    known = {copy.place for entry in entries for copy in entry.copies}
    if missing := sorted(map(str, wanted - known)):
        raise CommandError(f"not in quarantine: {', '.join(missing)}", Exit.WRONG_USE)
    chosen = [e for e in entries if not wanted or wanted & {copy.place for copy in e.copies}]
    chosen = [e for e in chosen if not reasons or set(reasons) & set(e.reasons)]
    if any_state:
        return chosen
    if done := [e for e in chosen if wanted and e.state == "retried"]:
        for entry in done:
            by = entry.verdict.actor if entry.verdict else ""
            people.print(f"{entry.newest.place} was put back before by {by}, and did not come back", highlight=False)
    return [e for e in chosen if e.state == "open" or (wanted and e.state == "discarded")]


def _actor(given: str) -> str:
    try:
        return given or getpass.getuser()
    except (KeyError, OSError):
        raise CommandError("say who you are with --actor", Exit.WRONG_USE) from None


def _agreed(verb: str, number: int, dry_run: bool, yes: bool, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether to do it. Asks on a terminal; elsewhere --yes is needed."""
    if not number:
        people.print(f"nothing to {verb}")
        return False
    print_table(f"to {verb}", rows[:20])
    if len(rows) > 20:
        people.print(f"and {len(rows) - 20} more")
    if dry_run:
        return False
    if yes:
        return True
    if not people.is_terminal:
        raise CommandError("this is no terminal: say --yes, or look first with --dry-run", Exit.WRONG_USE)
    if not typer.confirm(f"{verb} {number} record(s)?", err=True):
        raise CommandError("nothing was done")
    return True


@contextmanager
def _bar(what: str) -> Iterator[Any]:
    with telling() as tell:
        yield lambda done, total: tell(what, done, total)


def _report(done: str, entries: Sequence[Entry], dry_run: bool, as_json: bool, **more: Any) -> None:
    records = [str(entry.newest.place) for entry in entries]
    if as_json:
        print_json({"done": 0 if dry_run else len(records), "dry_run": dry_run, "records": records} | more)
    elif records:
        people.print(f"{'would be ' if dry_run else ''}{done}: {len(records)}", highlight=False)


def _list_edge(state: State, reasons: Sequence[str] | None, everything: bool, limit: int, as_json: bool) -> None:
    from samenloop_connectors.sdk import set_aside

    found = [one for one in set_aside.listing(state) if not reasons or one.code in reasons]
    shown = [one for one in found if everything or one.open]
    if as_json:
        print_json({"discarded": sum(not one.open for one in found), "records": [_aside_row(one) for one in shown]})
        return
    print_table("set aside at the source", [_brief_aside(one) for one in shown[:limit]])
    if len(shown) > limit:
        people.print(f"{len(shown) - limit} more: raise --limit, or narrow with --reason")
    if gone := sum(not one.open for one in found):
        people.print(f"{gone} discarded" + ("" if everything else ": --all shows them"))


def _named_aside(
    state: State, names: Sequence[str] | None, reasons: Sequence[str] | None = None, *, any_state: bool = False
) -> list[Aside]:
    from samenloop_connectors.sdk import set_aside

    items = set_aside.listing(state)
    if not names and (any_state or not reasons):
        raise CommandError("name records by their id, or (for many) --reason", Exit.WRONG_USE)
    if missing := sorted(set(names or ()) - {one.id for one in items}):
        raise CommandError(f"not set aside: {', '.join(missing)}", Exit.WRONG_USE)
    if any_state:
        return [one for one in items if one.id in (names or ())]
    return set_aside.select(items, names or (), codes=reasons or ())


def _act_at_edge(
    state: State,
    names: Sequence[str] | None,
    reasons: Sequence[str] | None,
    verb: str,
    act: Any,
    who: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    chosen = _named_aside(state, names, reasons)
    if _agreed(verb, len(chosen), dry_run, yes, [_brief_aside(one) for one in chosen]):
        streams = act(state, chosen, who) or ()
        if streams:
            people.print(
                f"read from the beginning at the connector's next round: {', '.join(sorted(streams))}. Files that were moved "
                "away after they were taken have to be dropped again.",
                highlight=False,
            )
    if as_json:
        print_json({"done": 0 if dry_run else len(chosen), "dry_run": dry_run, "records": [one.id for one in chosen]})


def _aside_row(one: Aside) -> dict[str, Any]:
    row = asdict(one) | {"state": "open" if one.open else "discarded"}
    row.pop("subject")
    return row


def _brief(entry: Entry) -> dict[str, Any]:
    """What a table has room for; `show` and --json have the rest."""
    row = entry.row()
    names = ("record", "reason", "stage", "area", "size", "schema_id")
    return {name: row[name] for name in names} | {
        "since": at(entry.first_at),
        "times": entry.times,
        "state": f"{entry.state} by {row['by']}" if row["by"] else entry.state,
    }


def _brief_aside(one: Aside) -> dict[str, Any]:
    state = f"discarded by {one.discarded_by}" if not one.open else "read again next time" if one.reread else "open"
    return {
        "id": one.id,
        "stream": one.stream,
        "case or place": one.case_number or one.place,
        "what is wrong": f"{one.code} {one.field}".strip(),
        "since": at(one.first_at),
        "times": one.times,
        "state": state,
    }


def _copies(entry: Entry) -> list[dict[str, Any]]:
    return [
        {"record": str(c.place), "lies_at": str(c.lies), "reason": c.reason, "stage": c.stage, "at": c.at}
        for c in entry.copies
    ]


def _print_shown(rows: Sequence[dict[str, Any]], as_json: bool, trail: Sequence[dict[str, Any]]) -> None:
    if as_json:
        print_json({"records": list(rows), "audit": list(trail)} if trail else {"records": list(rows)})
        return
    for row in rows:
        print_table(str(row.get("record") or row.get("id")), [{"what": k, "value": _plain(v)} for k, v in row.items()])
    if trail:
        print_table("what operators did", [_told(each) for each in trail])


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) for key, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return at(value)
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_plain(each)}" for key, each in value.items())
    if isinstance(value, list):
        return "\n".join(" ".join(str(_plain(v)) for v in each.values()) for each in value)
    return value
