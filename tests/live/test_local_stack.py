from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from kafka import KafkaAdminClient
from wire import Wire

from samenloop_deploy import topology_apply
from samenloop_deploy.local import Child, Databases, LocalStack, LocalStackError, Room
from samenloop_deploy.local.directory import clear_leftovers, free_port
from samenloop_deploy.local.java import java, kafka_classpath
from samenloop_deploy.local.kafka import Broker
from samenloop_deploy.topology import Partner, Plan, load
from samenloop_schemas.topics import Topics

pytestmark = pytest.mark.live

Eventually = Callable[..., None]


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def family(pid: int) -> list[int]:
    """The process and all below it, such as the sessions of a database server."""
    return [pid, *(process.pid for process in psutil.Process(pid).children(recursive=True))]


def test_a_record_goes_through_the_broker(wire: Wire, topics: Topics) -> None:
    wire.produce(topics.inbox("smwo"), b"a2", b"x", principal="smwo", headers=[("h", b"1")])
    (record,) = wire.await_records(topics.inbox("smwo"), 1, principal="hub-intake")
    assert (record.key, record.value, record.headers) == (b"a2", b"x", (("h", b"1"),))


def test_applying_the_topology_twice_changes_nothing(plan: Plan, admin: KafkaAdminClient) -> None:
    assert topology_apply.apply(plan, admin) == []


def test_the_topology_is_corrected_where_the_broker_differs(
    stack: LocalStack, plan: Plan, admin: KafkaAdminClient, topics: Topics
) -> None:
    longer = stack.topology.model_copy(
        update={
            "topics": stack.topology.topics
            | {"clock": stack.topology.topics["clock"].model_copy(update={"kept_days": 9})}
        }
    )
    other = longer.plan(plan.prefix, partitions=4, single_node=True)
    (change,) = topology_apply.apply(other, admin)
    assert (change.kind, change.action, change.name) == ("config", "changed", f"{topics.clock} retention.ms")


def test_a_right_too_many_is_reported_and_taken_away_only_when_asked(plan: Plan, admin: KafkaAdminClient) -> None:
    less = Plan(plan.prefix, plan.topics, plan.users, plan.acls[1:], plan.quotas)
    assert [change.action for change in topology_apply.apply(less, admin)] == ["surplus"]
    assert [change.action for change in topology_apply.apply(less, admin, prune=True)] == ["removed"]
    assert [change.action for change in topology_apply.apply(plan, admin)] == ["created"]


def test_another_number_of_partitions_is_refused(plan: Plan, admin: KafkaAdminClient) -> None:
    with pytest.raises(topology_apply.TopologyConflict, match="new prefix and a replay"):
        topology_apply.apply(load().plan(plan.prefix, partitions=5, single_node=True), admin)


def test_an_account_is_made_for_a_partner_that_joins_later(stack: LocalStack, topology_of_session: None) -> None:
    joined = stack.topology.with_partners({"late": Partner(source_systems=["s"], organisations={"a2": ["late"]})})
    stack.extend(joined)
    with KafkaAdminClient(**stack.kafka_access("late").client_args(), bootstrap_timeout_ms=10_000) as client:
        assert client.describe_cluster()["brokers"]


@pytest.fixture
def topology_of_session(stack: LocalStack) -> Iterator[None]:
    former = stack.topology
    yield
    stack.topology = former


def test_each_role_works_in_a_schema_of_its_own(databases: Databases) -> None:
    with psycopg.connect(databases.url("views")) as connection:
        connection.execute("CREATE SCHEMA views_v1")
        connection.execute("CREATE TABLE views_v1.t (x int)")
        connection.execute("INSERT INTO views_v1.t VALUES (1)")
    with psycopg.connect(databases.url("web")) as connection:
        assert connection.execute("SELECT x FROM views_v1.t").fetchone() == (1,)
    for role, statement in (
        ("web", "DELETE FROM views_v1.t"),
        ("overlaps", "SELECT x FROM views_v1.t"),
        ("overlaps", "CREATE TABLE views_v1.u (x int)"),
    ):
        with (
            psycopg.connect(databases.url(role)) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)


def test_each_process_reads_only_the_kind_of_keys_it_may_use(databases: Databases) -> None:
    both = {"case_key", "person_key"}
    readable = {"clients": {"person_key"}, "overlaps": {"case_key"}, "notifier": {"case_key"}}
    for role in databases.logins:
        with psycopg.connect(databases.keys_url(role), autocommit=True) as connection:
            assert {t for t in both if granted(connection, f"SELECT wrapped FROM {t}")} == readable.get(role, both)
            assert not granted(connection, "DELETE FROM case_key")


def granted(connection: psycopg.Connection, statement: str) -> bool:
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def test_nobody_gets_into_the_database_without_a_password(databases: Databases) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(databases.url("intake").replace(databases.logins["intake"].password, "guess"))


def test_what_is_committed_is_on_disk(databases: Databases) -> None:
    with psycopg.connect(databases.admin_url()) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)


def test_start_crash_restart_and_stop(tmp_path: Path, eventually: Eventually) -> None:
    """One run through everything that happens to a stack of one's own."""
    steps: list[str] = []
    with LocalStack.start(progress=lambda step: steps.append(step.text)) as stack:
        directory = stack.directory
        assert {"Kafka", "PostgreSQL"} <= set(steps)
        stack.supervisor.start(
            Child(
                name="stage",
                command=[sys.executable, "-c", "import time; time.sleep(600)"],
                room=Room.STAGE,
                log=tmp_path / "stage.log",
                restart=True,
            )
        )
        plan = stack.topology.plan(partitions=1, single_node=True)
        topology_apply.apply(plan, stack.kafka_access())
        wire = Wire(stack)
        wire.produce("decisions", b"a2", b"before", principal="hub-web")
        with psycopg.connect(stack.database_url("views"), autocommit=True) as connection:
            connection.execute("CREATE SCHEMA views_v1")

        stack.kill_kafka()
        assert stack.supervisor.pid("kafka") is None
        stack.restart_kafka()
        assert [record.value for record in wire.read("decisions")] == [b"before"]
        stack.kill_postgres()
        stack.restart_postgres()
        with psycopg.connect(stack.database_url("views")) as connection:
            found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'views_v1'").fetchone()
            assert found == (1,)

        wire.close()
        pids = [pid for child in stack.supervisor.pids().values() for pid in family(child)]
        assert len(pids) > 3
    assert not [pid for pid in pids if not is_gone(pid)]
    assert not directory.exists()


SUPERVISING = """
import json, sys, time
from samenloop_deploy.local import Child, LocalStack, Room
stack = LocalStack.start()
watching = "from samenloop_schemas.parent_watch import die_with_parent as d; import time; d(); time.sleep(600)"
log = stack.directory / "stage.log"
stack.supervisor.start(Child("stage", [sys.executable, "-c", watching], Room.STAGE, log, restart=True))
print(json.dumps([str(stack.directory), stack.supervisor._reaper.pid, stack.supervisor.pids()]), flush=True)
with stack, stack.supervisor.signals() as asked:
    asked.wait()
"""


def supervising() -> tuple[subprocess.Popen[str], Path, int, list[int]]:
    process = subprocess.Popen([sys.executable, "-c", SUPERVISING], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    directory, reaper, pids = json.loads(process.stdout.readline())
    assert set(pids) == {"stage", "kafka", "postgres"}
    return process, Path(directory), reaper, [reaper, *(pid for child in pids.values() for pid in family(child))]


def test_nothing_survives_a_killed_supervisor(eventually: Eventually) -> None:
    process, directory, _, pids = supervising()
    process.kill()
    process.wait()
    eventually(lambda: all(map(is_gone, pids)), "its reaper has stopped the servers")
    assert not directory.exists()


def test_the_next_start_clears_what_a_killed_supervisor_and_reaper_left(eventually: Eventually) -> None:
    process, directory, reaper, pids = supervising()
    os.kill(reaper, signal.SIGKILL)
    process.kill()
    process.wait()
    eventually(lambda: is_gone(reaper), "the reaper is gone")
    assert not all(map(is_gone, pids)), "the servers know of no pipe, so they are still there"
    assert directory in clear_leftovers()
    eventually(lambda: all(map(is_gone, pids)), "the leftovers are stopped")
    assert not directory.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_signal_ends_everything_in_order(number: signal.Signals) -> None:
    process, directory, _, pids = supervising()
    process.send_signal(number)
    assert process.wait(60) == 0
    assert not [pid for pid in pids if not is_gone(pid)]
    assert not directory.exists()


@pytest.fixture
def kept() -> Iterator[Path]:
    # Not tmp_path: the path of a Unix socket is limited, and the database's own user must be able to come here.
    with tempfile.TemporaryDirectory(prefix="kept-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


def test_a_kept_directory_keeps_the_data_and_servers_can_be_given(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalStack.start(kept) as first:
        topology_apply.apply(first.topology.plan(partitions=1, single_node=True), first.kafka_access())
        Wire(first).produce("decisions", b"a2", b"kept", principal="hub-web")
        with pytest.raises(LocalStackError, match="in use"):
            subprocess_start(kept)
    with LocalStack.start(kept) as again:
        assert [record.value for record in Wire(again).read("decisions", principal="hub-views")] == [b"kept"]

        monkeypatch.setenv("SAMENLOOP_KAFKA", again.kafka_access().bootstrap)
        for name, value in again.kafka_access().environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DATABASE_URL", again.databases.server)
        with LocalStack.start() as given:
            assert given.supervisor.pids() == {}
            assert Wire(given).read("decisions", principal="hub-views")[0].value == b"kept"
            with psycopg.connect(given.database_url("intake")) as connection:
                assert connection.info.dbname != "samenloop"
                name = connection.info.dbname
        with psycopg.connect(again.databases.server) as connection:
            assert not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            assert not connection.execute("SELECT 1 FROM pg_roles WHERE rolname LIKE 'intake\\_%'").fetchone()
    assert kept.exists()


def subprocess_start(directory: Path) -> None:
    """Start on the directory from another process, and raise here what it says there."""
    code = "import sys; from pathlib import Path; from samenloop_deploy.local import LocalStack, LocalStackError\n"
    code += "try:\n    LocalStack.start(Path(sys.argv[1])).stop()\nexcept LocalStackError as error:\n    print(error)"
    done = subprocess.run([sys.executable, "-c", code, directory], capture_output=True, text=True, check=True)
    if done.stdout:
        raise LocalStackError(done.stdout)


def test_a_cluster_id_may_begin_with_a_dash(tmp_path: Path) -> None:
    """One in 64 does, and would pass for an option of the formatting tool."""
    broker = Broker(
        directory=tmp_path,
        java=java(),
        classpath=kafka_classpath(lambda step: None),
        port=free_port(),
        controller_port=free_port(),
        cluster_id="-1AbCdEfGhIjKlMnOpQrSg",
        passwords={"admin": "a-password"},
    )
    broker.format(["admin"])
    assert "cluster.id=-1AbCdEfGhIjKlMnOpQrSg" in (tmp_path / "kafka" / "meta.properties").read_text()
