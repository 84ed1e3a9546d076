"""Progress: a bar with counts on a terminal, few plain lines elsewhere, and never a word on standard output."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from rich.console import Console

from samenloop_deploy.cli import progress
from samenloop_deploy.cli.progress import telling


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    return io.StringIO()


def test_off_a_terminal_a_long_work_says_how_far_it_is_now_and_then(said: io.StringIO) -> None:
    """A thousand steps in ten seconds of a clock of our own: a line per interval, one at the end; none when it is short."""
    now = [0.0]
    lines = progress._Lines(Console(file=said, width=200), 5.0, lambda: now[0])
    lines("a trifle", 0, 3)
    lines("a trifle", 3, 3)
    for done in range(1001):
        now[0] = done / 100
        lines("rows", done, 1000)
    assert said.getvalue().splitlines() == [
        "  rows: 500 of 1,000 (50 %), about 5 s left",
        "  rows: 1,000 of 1,000 (100 %)",
    ]


def test_a_wait_without_a_measure_is_told_once_and_again_when_it_comes_again(said: io.StringIO) -> None:
    with telling(Console(file=said), every=0.0) as tell:
        for _ in range(3):
            tell("waiting for the moon")
        tell.over("waiting for the moon")
        tell("waiting for the moon")
    assert said.getvalue().splitlines() == ["  waiting for the moon"] * 2


def test_on_a_terminal_there_are_bars_with_counts_and_what_is_over_goes(said: io.StringIO) -> None:
    console = Console(file=said, force_terminal=True, width=120)
    with telling(console) as tell:
        threads = [threading.Thread(target=tell, args=(f"jar {n}", 5, 10)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tell("jar 0", 10, 10)
        assert isinstance(tell, progress._Bars)
        shown = tell._bars.tasks
        assert sorted((task.description, task.completed, task.total) for task in shown) == [
            ("jar 0", 10, 10),
            ("jar 1", 5, 10),
            ("jar 2", 5, 10),
        ]
        tell.over("jar 1")
        assert len(tell._bars.tasks) == 2
        tell._bars.refresh()
    assert "10/10" in said.getvalue()


def test_things_are_counted_as_they_go_by(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 0.0)
    assert list(progress.track("abc", "letters", 3)) == ["a", "b", "c"]
    out, err = capfd.readouterr()
    assert out == ""
    assert "letters: 3 of 3 (100 %)" in err


LONG_WORKS = {
    "cli/stages.py": "rebuild",
    "cli/topology.py": "topology_apply.apply",
    "cli/agreements.py": "publish_agreements(",
    "cli/connectors.py": "once=True",
    "demo/run.py": "LocalStack.start",
    "cli/quarantine.py": "look(",
}


@pytest.mark.parametrize("file", LONG_WORKS)
def test_every_long_work_tells_how_far_it_is(file: str) -> None:
    """Whoever calls a long work hands it something to tell its progress to."""
    text = (Path(progress.__file__).parents[1] / file).read_text("utf-8")
    assert LONG_WORKS[file] in text
    assert "telling(" in text
