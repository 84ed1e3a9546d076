"""The doctor: what is wrong is failed with what to do, what cannot be looked at is skipped with the reason, nothing crashes."""

from __future__ import annotations

import json
import os
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from types import MappingProxyType

import pytest
from typer.testing import CliRunner

from samenloop_deploy import doctor
from samenloop_deploy.cli.main import app
from samenloop_deploy.doctor import Finding

SECRET = "hemelblauw-en-diep"
Examine = Callable[..., dict[str, Finding]]


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch) -> Examine:
    """`examine(SAMENLOOP_KEK=...)`: by name what `samenloop doctor --json` finds; its exit code fits what it found."""
    for name in [name for name in os.environ if name.startswith("SAMENLOOP_") or name == "DATABASE_URL"]:
        monkeypatch.delenv(name)

    def run(**environment: str) -> dict[str, Finding]:
        result = CliRunner().invoke(app, ["doctor", "--json"], env=environment)
        (line,) = result.stdout.splitlines()
        found = {row["check"]: Finding(**row) for row in json.loads(line)}
        assert result.exit_code == any(finding.verdict == "failed" for finding in found.values())
        assert all(finding.todo for finding in found.values() if finding.verdict in ("failed", "warning"))
        assert not any(finding.todo for finding in found.values() if finding.verdict in ("ok", "skipped"))
        assert SECRET not in result.output
        return found

    return run


@pytest.fixture
def closed_port() -> Iterator[str]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


BEHIND_THE_BROKER = ("broker settings", "broker", "broker log-in", "topics", "agreements")
BEHIND_THE_DATABASE = ("database", "keys database", "key-encryption key", "clock against the database")


def test_without_settings_only_the_machine_is_looked_at(examine: Examine) -> None:
    found = examine()
    assert {name for name, finding in found.items() if finding.verdict == "skipped"} == {
        *BEHIND_THE_BROKER,
        *BEHIND_THE_DATABASE,
    }
    assert found["broker"].found == "SAMENLOOP_KAFKA_BOOTSTRAP is not set"


def test_a_port_at_which_nobody_listens(examine: Examine, closed_port: str) -> None:
    found = examine(
        SAMENLOOP_KAFKA_BOOTSTRAP=closed_port,
        SAMENLOOP_KAFKA_USERNAME="smwo",
        SAMENLOOP_KAFKA_PASSWORD=SECRET,
        SAMENLOOP_KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
        DATABASE_URL=f"postgresql://web:{SECRET}@{closed_port}/x",
    )
    assert found["broker"].verdict == "failed"
    assert closed_port in found["broker"].found
    assert found["database"].verdict == "failed"
    assert "DATABASE_URL" in found["database"].todo
    for behind in ("broker log-in", "topics", "agreements", "clock against the database"):
        assert found[behind].verdict == "skipped", behind


def test_settings_of_the_broker_that_are_not_complete(examine: Examine, closed_port: str) -> None:
    found = examine(SAMENLOOP_KAFKA_BOOTSTRAP=closed_port, SAMENLOOP_KAFKA_PASSWORD=SECRET)
    assert found["broker settings"].verdict == "failed"
    assert "SAMENLOOP_KAFKA_USERNAME" in found["broker settings"].todo
    assert {found[name].verdict for name in BEHIND_THE_BROKER[1:]} == {"skipped"}


def test_something_that_is_no_broker(examine: Examine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.settimeout(30)
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        access = {"BOOTSTRAP": address, "USERNAME": "smwo", "PASSWORD": SECRET, "SECURITY_PROTOCOL": "SASL_PLAINTEXT"}
        found = examine(**{f"SAMENLOOP_KAFKA_{name}": value for name, value in access.items()})
    assert found["broker"].verdict == "ok"
    assert found["broker log-in"].verdict == "failed"
    assert "SECURITY_PROTOCOL" in found["broker log-in"].todo


@pytest.mark.parametrize("kek", [SECRET, b64encode(SECRET.encode()).decode()])
def test_a_key_encryption_key_that_is_none(examine: Examine, kek: str) -> None:
    found = examine(SAMENLOOP_KEK=kek)
    assert found["key-encryption key"].verdict == "failed"
    assert "SAMENLOOP_KEK" in found["key-encryption key"].todo


def test_a_key_encryption_key_of_the_right_form(examine: Examine) -> None:
    assert examine(SAMENLOOP_KEK=b64encode(bytes(32)).decode())["key-encryption key"].verdict == "ok"


def test_a_check_that_breaks_is_a_finding(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(name: str) -> Finding:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(doctor, "_CHECKS", MappingProxyType({"mine": breaks}))
    (finding,) = examine().values()
    assert (finding.verdict, finding.found) == ("failed", "the check itself failed: RuntimeError")
