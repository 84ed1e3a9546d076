"""What a script may rely on: 0 done, 1 failed, 2 wrong use or configuration, 3 temporary; and what people read beside it."""

from __future__ import annotations

import json
import os
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError
from typer.testing import CliRunner, Result

from samenloop_deploy.cli.console import CommandError, Exit, reporting
from samenloop_deploy.cli.main import app
from samenloop_processors.engine.errors import Misconfigured, Retired, Unreachable

Run = Callable[..., Result]
SECRET = "hemelblauw-en-diep"
KEY = b64encode(bytes(32)).decode()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("stage", "run", "intake", DATABASE_URL=...)`: the command with this environment and no other settings."""
    for name in [name for name in os.environ if name.startswith("SAMENLOOP_") or name == "DATABASE_URL"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*words: str, **environment: str) -> Result:
        return CliRunner().invoke(app, words, env=environment)

    return invoke


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nothing listens, held for the time of the test."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def variables(result: Result) -> list[str]:
    """Which settings the command complained of."""
    return [line.split()[1].rstrip(":") for line in result.stderr.splitlines() if line.startswith("configuration:")]


KAFKA = ["SAMENLOOP_KAFKA_BOOTSTRAP", "SAMENLOOP_KAFKA_USERNAME", "SAMENLOOP_KAFKA_PASSWORD"]
OPENS = ["SAMENLOOP_KEYS_URL", "SAMENLOOP_KEK"]


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (
            "stage run intake",
            [
                "DATABASE_URL",
                "SAMENLOOP_PARTNERS",
                *KAFKA,
                *OPENS,
                "SAMENLOOP_MATCHING_KEY",
                "SAMENLOOP_HUB_PRIVATE_KEY",
            ],
        ),
        ("stage run clients", ["DATABASE_URL", *KAFKA, *OPENS]),
        ("stage rebuild overlaps", ["DATABASE_URL", *KAFKA, *OPENS]),
        ("stage status views", ["DATABASE_URL", *KAFKA]),
        ("stage rebase views --to end", ["DATABASE_URL", *KAFKA]),
        ("stage export views", ["DATABASE_URL"]),
        ("web", ["DATABASE_URL", *OPENS]),
        ("notify", ["DATABASE_URL", *KAFKA, *OPENS]),
        ("clock --area a2", KAFKA),
        ("topology apply", KAFKA),
        ("agreement publish deploy/agreements/a2.yaml", KAFKA),
    ],
)
def test_all_that_is_missing_is_told_at_once(run: Run, command: str, missing: list[str]) -> None:
    result = run(*command.split())
    assert result.exit_code == Exit.WRONG_USE
    assert sorted(variables(result)) == sorted(missing)
    assert result.stdout == ""


def test_what_is_malformed_is_named_and_not_quoted(run: Run, nobody: str) -> None:
    result = run(
        *("stage", "run", "intake"),
        DATABASE_URL=f"postgresql://intake:{SECRET}@{nobody}/x",
        SAMENLOOP_KEYS_URL=f"postgresql://intake:{SECRET}@{nobody}/x",
        SAMENLOOP_PARTNERS="smwo",
        SAMENLOOP_KEK=SECRET,
        SAMENLOOP_MATCHING_KEY=b64encode(SECRET.encode()).decode(),
        SAMENLOOP_HUB_PRIVATE_KEY=KEY,
        SAMENLOOP_KAFKA_BOOTSTRAP=nobody,
        SAMENLOOP_KAFKA_USERNAME="hub-intake",
        SAMENLOOP_KAFKA_PASSWORD=SECRET,
        SAMENLOOP_KAFKA_SECURITY_PROTOCOL=SECRET,
        SAMENLOOP_METRICS_PORT=SECRET,
    )
    assert result.exit_code == Exit.WRONG_USE
    wanted = ["SAMENLOOP_METRICS_PORT", "SAMENLOOP_KAFKA_SECURITY_PROTOCOL", "SAMENLOOP_KEK", "SAMENLOOP_MATCHING_KEY"]
    assert variables(result) == wanted
    assert SECRET not in result.output
    assert b64encode(SECRET.encode()).decode() not in result.output


def test_a_connectors_problems_are_told_at_once_and_without_values(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "smwo.yaml"
    config.write_text(
        f"connector: smwo\npartner: smwo\nstate_dir: {tmp_path}\npoll_seconds: {SECRET}\ncolour: {SECRET}\n"
    )
    result = run("connector", "run", "smwo", "--config", str(config), SAMENLOOP_EDGE_SECRET=SECRET)
    assert result.exit_code == Exit.WRONG_USE
    for name in (
        "poll_seconds",
        "colour",
        "organisations",
        "SAMENLOOP_EDGE_SECRET",
        "SAMENLOOP_HUB_PUBLIC_KEY",
        *KAFKA,
    ):
        assert name in result.stderr
    assert SECRET not in result.output


@pytest.mark.parametrize(
    "command",
    [
        "stage run nosuch", "connector status smwo --config no/such/file.yaml", "agreement explain no/such/file.yaml",
        "agreement check no/such/file.yaml", "agreement publish no/such/file.yaml",
        "agreement explain deploy/agreements/a2.yaml --on yesterday", "nosuch", "demo --scale 0",
    ],
)  # fmt: skip
def test_wrong_use_ends_with_2_and_no_traceback(run: Run, command: str) -> None:
    result = run(*command.split())
    assert (result.exit_code, result.stdout) == (Exit.WRONG_USE, "")
    assert "error" in result.stderr.lower()
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["stage export views", "stage status views"])
def test_a_database_that_is_away_is_temporary(run: Run, nobody: str, command: str) -> None:
    result = run(
        *command.split(),
        DATABASE_URL=f"postgresql://views:{SECRET}@{nobody}/x",
        SAMENLOOP_KAFKA_BOOTSTRAP=nobody,
        SAMENLOOP_KAFKA_USERNAME="hub-views",
        SAMENLOOP_KAFKA_PASSWORD=SECRET,
    )
    assert result.exit_code == Exit.TEMPORARY
    assert result.stderr.startswith("error: the database does not let us in or does not answer")
    assert SECRET not in result.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError("no"), Exit.FAILED),
        (CommandError("later", Exit.TEMPORARY), Exit.TEMPORARY),
        (Unreachable("the broker is away"), Exit.TEMPORARY),
        (Retired("rebuilt"), Exit.TEMPORARY),
        (Misconfigured("too few partitions"), Exit.WRONG_USE),
        (psycopg.OperationalError("gone"), Exit.TEMPORARY),
        (KafkaTimeoutError("gone"), Exit.TEMPORARY),
        (TopicAuthorizationFailedError("decisions"), Exit.FAILED),
    ],
)
def test_what_an_error_means_for_a_script(capsys: pytest.CaptureFixture[str], error: Exception, code: Exit) -> None:
    with pytest.raises(Exception) as ended, reporting():
        raise error
    assert getattr(ended.value, "exit_code", None) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")


def test_a_mistake_of_ours_stays_a_traceback() -> None:
    with pytest.raises(KeyError), reporting():
        raise KeyError("ours")


def test_brackets_in_a_message_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exception), reporting():  # noqa: B017
        raise CommandError("must match [a-z][bold]")
    assert "must match [a-z][bold]" in capsys.readouterr().err


def test_topology_plan_is_one_line_of_json(run: Run) -> None:
    result = run("topology", "plan", "--prefix", "x.", "--single-node", "--json")
    assert (result.exit_code, result.stderr) == (Exit.DONE, "")
    (line,) = result.stdout.splitlines()
    plan: dict[str, Any] = json.loads(line)
    inbox = next(topic for topic in plan["topics"] if topic["name"] == "x.in.smwo")
    assert inbox["replication"] == 1
    assert inbox["configs"]["message.timestamp.type"] == "LogAppendTime"
    smwo = {(right["operation"], right["name"]) for right in plan["rights"] if right["principal"] == "smwo"}
    assert ("write", "x.in.smwo") in smwo
    assert ("read", "x.receipts.smwo") in smwo
    assert not any("backoffice" in name for _, name in smwo)


BROKEN = """\
area: A2
version: 0
valid_from: 2025-01-01
municipalities:
  - {code: "858", name: Valkenswaard}
organisations:
  - {id: lumens, name: Lumens, partner: smwo, help_giving: true, bsn: false, consent: perhaps}
parties:
  - {id: lumens/social-work, name: Social work, organisation: nobody, domain: WMO}
purposes: [early_coordination]
legal_bases: [wmo_5_2]
colour: blue
"""


def test_all_errors_of_an_agreement_are_told_with_their_lines(run: Run, tmp_path: Path) -> None:
    broken, absent = tmp_path / "broken.yaml", tmp_path / "absent.yaml"
    broken.write_text(BROKEN)
    result = run("agreement", "check", str(broken), "deploy/agreements/a2.yaml", str(absent))
    assert result.exit_code == Exit.WRONG_USE
    for line, place in ((1, "area"), (2, "version"), (5, "municipalities"), (7, "organisations"), (12, "colour")):
        assert f"{broken}:{line}: {place}" in result.stderr
    assert f"{absent}: No such file" in result.stderr
    assert "deploy/agreements/a2.yaml: a2 version 1" in result.stderr


def test_agreements_in_order_are_done(run: Run) -> None:
    files = [str(file) for file in sorted(Path("deploy/agreements").glob("*.yaml"))]
    assert len(files) == 3
    assert run("agreement", "check", *files).exit_code == Exit.DONE
    explained = run("agreement", "explain", files[0], "--on", "2026-01-31")
    assert explained.exit_code == Exit.DONE
    assert "lumens/social-work" in explained.stderr
