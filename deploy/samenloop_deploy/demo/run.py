"""`samenloop demo`: start everything, show what happens, hold the hub's answer against the truth, leave nothing behind."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console

from samenloop_deploy.cli.progress import Tell, telling
from samenloop_deploy.demo import access
from samenloop_deploy.demo.connectors import case_refs, connector_at_rest, feed_of_source
from samenloop_deploy.demo.feeds import FEEDS
from samenloop_deploy.demo.hub import DemoHub
from samenloop_deploy.demo.standing import stages_at_rest
from samenloop_deploy.demo.summary import Figures, Held, figures, read_hub
from samenloop_deploy.local import ChildFailed, LocalStack, Progress, ProgressCallback, Supervisor
from samenloop_processors.keys import KeyStore

LOOK_EVERY_S = 0.5
"""How often a condition is looked at that nobody announces."""
SHOW_EVERY_S = 10.0
ASK_TIMEOUT_S = 30.0
LOOK_INSIDE = (
    "doctor --demo",
    "connector status backoffice --demo",
    "connector notices smwo --demo",
    "stage status intake --demo",
    "quarantine list --demo",
)
"""What a user may want to try beside a running demo."""
LIFE_SHARE = 0.05
"""Changes that --once lets happen after everything arrived, as a share of the scale."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    once: bool = False
    seed: int = 1
    scale: int = 600
    port: int = 8080
    timeout: float = 240.0
    keep_logs: str | None = None


@dataclass(slots=True)
class Outcome:
    """`figures` are counts and seconds; `why` says what is missing when not complete."""

    complete: bool = False
    why: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


class GaveUp(Exception):
    """Something did not happen in time; the message says what."""


class StopAsked(BaseException):
    """INT, TERM or HUP came. No `Exception`: nothing on the way may take it for a failure of its own."""


def run_demo(options: DemoOptions, console: Console) -> Outcome:
    """Blocks until everything arrived (`once`) or until INT, TERM or HUP. Raises LocalStackError."""
    began = time.monotonic()
    with Supervisor.signals() as asked:
        try:
            with telling(console) as tell:
                stack = LocalStack.start(progress=_steps(console, tell, asked))
            with stack:
                hub = DemoHub(stack, options.port)
                try:
                    return _Demo(options, console, hub, began, asked).run()
                finally:
                    if options.keep_logs:
                        shutil.copytree(hub.logs, Path(options.keep_logs), dirs_exist_ok=True)
        except StopAsked:
            return Outcome(not options.once, "stopped on request, before everything had arrived")


class _Demo:
    def __init__(
        self, options: DemoOptions, console: Console, hub: DemoHub, began: float, asked: threading.Event
    ) -> None:
        self.options, self.console, self.hub, self.began, self.asked = options, console, hub, began, asked
        self.seconds: dict[str, float] = {}

    def run(self) -> Outcome:
        try:
            with telling(self.console) as self.tell:
                self._start(_steps(self.console, self.tell, self.asked))
                self._arrival()
                if self.options.once:
                    return self._once()
            return self._stay()
        except (GaveUp, ChildFailed) as problem:
            return Outcome(False, str(problem), self._figures_or_nothing())

    def _start(self, progress: ProgressCallback) -> None:
        world = ("--seed", str(self.options.seed), "--scale", str(self.options.scale))
        still = ("--tick-seconds", "0", "--extract-seconds", "0") if self.options.once else ()
        progress(Progress("synthetic people"))
        self.hub.start_partner_systems(*world, *still)
        progress(Progress("topics, rights and agreements"))
        self.hub.prepare()
        progress(Progress("stages, clock, notifier and pages"))
        self.hub.start()
        self._until(self.hub.ready_file.exists, "the partner systems to start")
        self.hub.start_connectors()
        access.leave(self.hub)
        self.keys = KeyStore(
            self.hub.stack.keys_url("web"), self.hub.secrets.kek, cache_size=200_000, cache_seconds=3600
        )
        self._mark("started")

    def _stay(self) -> Outcome:
        self._show(self._figures())
        self.console.print(
            f"[bold green]The pages are at {self.hub.url}[/]  (choose a demo user; Ctrl-C ends the demo)"
        )
        self.console.print("  look inside from another terminal (all of these take --json):", highlight=False)
        for command in LOOK_INSIDE:
            self.console.print(f"    {_ourselves()} {command}", style="cyan", highlight=False, soft_wrap=True)
        for name, port in self.hub.metrics_ports.items():
            self.console.print(f"  metrics of {name}: http://127.0.0.1:{port}/metrics", style="dim", highlight=False)
        while not self.asked.wait(SHOW_EVERY_S):
            self._check_children()
            self._show(self._figures())
        return Outcome(True, "", self._figures_or_nothing())

    def _once(self) -> Outcome:
        """Life goes on for a while, twice a night falls, and everything settles."""
        self._ask("POST", f"/play?changes={max(10, int(self.options.scale * LIFE_SHARE))}")
        for _ in range(2):
            since = time.time()
            self._ask("POST", "/extract")
            self._settle(since)
        found = self._figures()
        self._mark("settled")
        self._show(found)
        outcome = Outcome(True, "", found.as_dict() | {"seconds": self.seconds, "seed": self.options.seed})
        missing = [feed for feed in self.hub.feeds if not found.statements.get(feed)]
        if missing:
            outcome.complete, outcome.why = False, f"nothing arrived from {', '.join(missing)}"
        elif not found.overlaps_true or not found.notices_delivered:
            outcome.complete, outcome.why = False, "no overlap was found and told"
        return outcome

    def _arrival(self) -> None:
        """Every shareable case of every source is in the views."""
        truth = self._ask("GET", "/truth")
        refs = case_refs(self.hub.secrets.edge_secret, truth)
        feeds = feed_of_source()
        shared = {
            (case["organisation"], case["case"]): feeds[case["source"]]
            for case in truth["cases"]
            if case["source"] in feeds and case["shared"] and not case["vanished_on"] and case["state"] != "withdrawn"
        }
        wanted = {ref: shared[case] for ref, case in refs.items() if case in shared}
        present: set[str] = set()

        def arrived() -> bool:
            held = self._held()
            if held is None:
                return False
            present.update(facts.case_ref for facts in held.facts.values())
            self.tell("cases that arrived in the views", len(wanted.keys() & present), len(wanted))
            if held.overlaps and "first_overlap" not in self.seconds:
                self._mark("first_overlap")
            return wanted.keys() <= present and bool(held.overlaps)

        def arrived_of() -> str:
            whole, there = Counter(wanted.values()), Counter(wanted[ref] for ref in wanted.keys() & present)
            return ", ".join(f"{there[feed]} of {whole[feed]} from {feed}" for feed in self.hub.feeds)

        self._until(arrived, "every case to arrive in the views", arrived_of)
        self._mark("arrived")

    def _settle(self, since: float) -> None:
        """Every source was read after `since`, and nothing is on its way any more.

        A poll that ended after `since` may have begun before it; the next one cannot have. Files are there or not.
        """
        self._await_read(since, self.hub.feeds)
        self._await_read(time.time(), [feed.name for feed in FEEDS if not feed.by_file])

        def told() -> bool:
            held = self._held()
            return held is not None and not held.notices_due

        def notices() -> str:
            held = self._held()
            return f"{held.notices_due} are due, {held.notices_delivered} were delivered" if held else ""

        def at_rest() -> bool:
            return told() and all(stages_at_rest(self.hub) for _ in range(2))

        self._until(told, "every notice to be delivered", notices)
        self._until(at_rest, "the stages to finish", notices)

    def _await_read(self, since: float, feeds: Sequence[str]) -> None:
        def unread() -> list[str]:
            return [feed for feed in feeds if not connector_at_rest(self.hub, feed, since)]

        what = "the connectors to read their sources"
        self._until(lambda: not unread(), what, lambda: f"not yet {', '.join(unread())}")

    def _held(self) -> Held | None:
        """None while the views are not there yet."""
        try:
            return read_hub(self.hub.stack.database_url("web"), self.keys)
        except (LookupError, psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
            return None

    def _figures(self) -> Figures:
        truth = self._ask("GET", "/truth")
        held = self._held()
        if held is None:
            raise GaveUp("the views are not there yet")
        return figures(held, truth, case_refs(self.hub.secrets.edge_secret, truth))

    def _figures_or_nothing(self) -> dict[str, Any]:
        try:
            return self._figures().as_dict() | {"seconds": self.seconds}
        except Exception:  # the demo gave up already; half a system may answer with anything
            return {"seconds": self.seconds}

    def _until(self, condition: Callable[[], bool], what: str, stand: Callable[[], str] = str) -> None:
        """Wait for a condition. When `--once` gives up, `stand` says how far it got. Raises GaveUp, ChildFailed, StopAsked."""
        waiting = f"waiting for {what}"
        while not condition():
            self.tell(waiting)
            self._check_children()
            if self.asked.is_set():
                raise StopAsked
            if self.options.once and time.monotonic() - self.began > self.options.timeout:
                raise GaveUp("; ".join(filter(None, (self._waited_for(what, stand()), self._restarts()))))
            time.sleep(LOOK_EVERY_S)
        self.tell.over(waiting)

    def _waited_for(self, what: str, stand: str) -> str:
        return f"waited {self.options.timeout:.0f} s for {what}{f': {stand}' if stand else ''}"

    def _restarts(self) -> str:
        """Which processes had to be started again, and how often."""
        counted = {name: self.hub.stack.supervisor.restarts(name) for name in self._started()}
        return ", ".join(f"{name} was restarted {times} times" for name, times in sorted(counted.items()) if times)

    def _check_children(self) -> None:
        """Raises ChildFailed for a process that ended for good, with the last lines it wrote."""
        for name in self._started():
            self.hub.stack.supervisor.check(name)

    def _started(self) -> set[str]:
        return {path.stem for path in self.hub.logs.glob("*.log")}

    def _ask(self, method: str, path: str) -> Any:
        base = json.loads(self.hub.ready_file.read_text("utf-8"))["base_url"]
        request = urllib.request.Request(base + path, method=method)
        with urllib.request.urlopen(request, timeout=ASK_TIMEOUT_S) as answer:
            return json.load(answer)

    def _mark(self, what: str) -> None:
        self.seconds[what] = round(time.monotonic() - self.began, 1)

    def _show(self, found: Figures) -> None:
        statements = ", ".join(f"{feed} {count}" for feed, count in found.statements.items())
        self.console.print(
            f"cases {sum(found.statements.values())} ({statements}) · persons at sources {found.persons} · "
            f"clients {found.clients} · overlaps {found.overlaps_found}: {found.overlaps_true} true, "
            f"{found.overlaps_false} false, {found.overlaps_missed} of {found.overlaps_expected} missed · "
            f"notices {found.notices_delivered}",
            highlight=False,
        )


def _ourselves() -> str:
    """The command as its user called it."""
    return "python -m samenloop_deploy" if sys.argv[0].endswith(".py") else sys.argv[0]


def _steps(console: Console, tell: Tell, asked: threading.Event) -> ProgressCallback:
    """A line per step of the start, a bar per download. Each step is also where a request to stop is heard."""
    shown: set[str] = set()

    def step(progress: Progress) -> None:
        if asked.is_set():
            raise StopAsked
        if progress.total:
            tell(progress.text, progress.done, progress.total)
        elif progress.text not in shown:
            shown.add(progress.text)
            console.print(f"  {progress.text}", highlight=False)

    return step
