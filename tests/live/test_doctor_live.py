"""The doctor at a hub that runs: nothing to complain of, and for each thing that is broken exactly that complaint."""

from __future__ import annotations

import os
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from doctor_rig import Patient
from kafka import KafkaAdminClient
from kafka.admin import (
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    NewPartitions,
    ResourcePatternFilter,
    ResourceType,
)
from wire import Wire

from samenloop_deploy import topology as topology_file
from samenloop_deploy.cli.doctor import exit_code
from samenloop_deploy.demo.access import operator_environment
from samenloop_deploy.doctor import broker, databases, stages
from samenloop_deploy.local import LocalStack
from samenloop_deploy.publishing import publish_agreements
from samenloop_deploy.shipped import shipped
from samenloop_deploy.topology import DesiredAcl
from samenloop_deploy.topology_apply import _broker_acl
from samenloop_processors.agreement import parse_agreement
from samenloop_processors.keys import KeyKind, KeyStore
from samenloop_schemas import sealing

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def patient(stack: LocalStack, admin: KafkaAdminClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    made = Patient(stack, admin, tmp_path_factory.mktemp("logs"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def mended(patient: Patient, request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test broke and did not mend itself, because it failed, does not make the next one fail."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        patient.mend()


def only(found: dict[str, object]) -> str:
    """The one check that complains."""
    (name,) = found
    return name


def test_a_healthy_hub_has_nothing_to_complain_of(patient: Patient) -> None:
    found = patient.ask()
    assert {name for name, finding in found.items() if finding.verdict == "skipped"} == {"matching key", "hub key"}
    assert {finding.verdict for finding in found.values()} == {"ok", "skipped"}
    assert "4 each" in found["partitions"].found
    assert "apart" in found["clock against the broker"].found
    assert found["processes"].found == "6 processes"


def test_a_topic_that_is_missing(patient: Patient, admin: KafkaAdminClient) -> None:
    name = patient.hub.topics.notices("smwo")
    admin.delete_topics([name])
    found = patient.complaints()
    assert only(found) == "topics"
    assert name in found["topics"].found
    assert "topology apply" in found["topics"].todo
    patient.restore_topics()


def test_a_topic_with_another_number_of_partitions(patient: Patient, admin: KafkaAdminClient) -> None:
    name = patient.hub.topics.notices("smwo")
    admin.create_partitions({name: NewPartitions(5)})
    found = patient.complaints()
    assert only(found) == "partitions"
    assert f"{name} 5, all others 4" in found["partitions"].found
    admin.delete_topics([name])
    patient.restore_topics()


@pytest.mark.parametrize(("key", "value"), [("message.timestamp.type", "CreateTime"), ("retention.ms", "60000000")])
def test_topics_with_other_settings(patient: Patient, admin: KafkaAdminClient, key: str, value: str) -> None:
    name = patient.hub.topics.inbox("smwo")
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {key: value})])
    found = patient.complaints()
    assert only(found) == "topic settings"
    assert f"{name} {key} is {value}" in found["topic settings"].found
    patient.restore_topics()


def test_a_right_that_is_missing(patient: Patient, admin: KafkaAdminClient) -> None:
    name = patient.hub.topics.notices("smwo")
    taken = ResourcePatternFilter(ResourceType.TOPIC, name, ACLResourcePatternType.LITERAL)
    admin.delete_acls([ACLFilter("User:smwo", "*", ACLOperation.READ, ACLPermissionType.ALLOW, taken)])
    found = patient.complaints()
    assert only(found) == "rights"
    assert found["rights"].found == f"missing: smwo: read {name}"
    own = patient.complaints(patient.hub.connector_environment("smwo", "smwo"))
    assert only(own) == "rights"
    assert own["rights"].found == f"'smwo' may not read {name}"
    patient.restore_topics()


def test_a_right_too_many(patient: Patient, admin: KafkaAdminClient) -> None:
    name = patient.hub.topics.inbox("backoffice")
    admin.create_acls([_broker_acl(DesiredAcl("smwo", "topic", "literal", name, "read"))])
    found = patient.complaints()
    assert only(found) == "rights"
    assert (found["rights"].verdict, found["rights"].found) == (
        "warning",
        f"more than the topology gives: smwo: read {name}",
    )
    assert "--prune" in found["rights"].todo
    patient.restore_topics()


def test_a_partner_in_order_sees_nothing_wrong_in_what_he_may_see(patient: Patient) -> None:
    found = patient.ask(patient.hub.connector_environment("smwo", "smwo"))
    assert {name for name, finding in found.items() if finding.verdict not in ("ok", "skipped")} == set()
    for name in ("broker log-in", "topic prefix", "topics", "partitions", "rights"):
        assert found[name].verdict == "ok", name


def test_a_prefix_that_is_wrong(patient: Patient) -> None:
    found = patient.complaints(SAMENLOOP_TOPIC_PREFIX="other.")
    assert only(found) == "topic prefix"
    assert repr(patient.hub.topics.prefix) in found["topic prefix"].found


def test_a_password_that_the_broker_refuses(patient: Patient) -> None:
    found = patient.complaints(SAMENLOOP_KAFKA_PASSWORD="guess")
    assert only(found) == "broker log-in"
    assert "SAMENLOOP_KAFKA_PASSWORD" in found["broker log-in"].todo
    assert exit_code(found.values()) == 1


def test_a_broker_that_is_away(patient: Patient) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        found = patient.complaints(SAMENLOOP_KAFKA_BOOTSTRAP=f"127.0.0.1:{nobody.getsockname()[1]}")
    assert only(found) == "broker"
    assert exit_code(found.values()) == 3


def test_clocks_that_differ(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours is the one that a test can set."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> Later:
            return cls.fromtimestamp(time.time() + 120, UTC)

    monkeypatch.setattr(broker.time, "time", lambda now=time.time: now() - 120)
    found = patient.complaints()
    monkeypatch.undo()
    assert "clock against the broker" in found
    assert "ahead" in found["clock against the broker"].found
    monkeypatch.setattr(databases, "datetime", Later)
    found = patient.complaints()
    monkeypatch.undo()
    assert only(found) == "clock against the database"
    assert "behind" in found["clock against the database"].found


@pytest.mark.parametrize(
    ("old", "new", "said", "todo"),
    [
        ("{password}@", "guess@", "password authentication failed", "password"),
        ("//operator:", "//opera:", "password authentication failed", "role"),
        ("/{database}", "/nowhere", "does not exist", "make it"),
    ],
)
def test_a_database_that_does_not_let_us_in(patient: Patient, old: str, new: str, said: str, todo: str) -> None:
    known = {"password": patient.databases.logins["operator"].password, "database": patient.databases.samenloop}
    found = patient.complaints(DATABASE_URL=patient.databases.url("operator").replace(old.format(**known), new))
    assert only(found) == "database"
    assert said in found["database"].found
    assert todo in found["database"].todo
    assert known["password"] not in str(found)


def test_a_database_that_is_away(patient: Patient) -> None:
    found = patient.complaints(DATABASE_URL="postgresql://operator@127.0.0.1:1/x")
    assert only(found) == "database"
    assert exit_code(found.values()) == 3


def test_a_role_that_may_not_log_in_or_make_its_schema(patient: Patient) -> None:
    patient.as_owner("", "ALTER ROLE web NOLOGIN")
    found = patient.complaints()
    patient.as_owner("", "ALTER ROLE web LOGIN")
    assert only(found) == "roles"
    assert "no role that can log in: web" in found["roles"].found


def test_commits_that_do_not_reach_the_disk(patient: Patient) -> None:
    patient.as_owner("", "ALTER ROLE operator SET synchronous_commit = off")
    found = patient.complaints()
    patient.as_owner("", "ALTER ROLE operator RESET synchronous_commit")
    assert only(found) == "durability"


def test_rights_on_keys_that_are_too_much_or_too_little(patient: Patient) -> None:
    patient.on_keys("GRANT SELECT (wrapped) ON case_key TO clients")
    found = patient.complaints()
    patient.databases.grant_keys()
    assert only(found) == "rights on keys"
    assert "clients may read case keys" in found["rights on keys"].found
    patient.on_keys("REVOKE ALL ON case_key FROM overlaps")
    found = patient.complaints()
    patient.databases.grant_keys()
    assert only(found) == "rights on keys"
    assert "overlaps may not read case keys" in found["rights on keys"].found


def test_a_key_under_which_the_stored_keys_do_not_open(patient: Patient) -> None:
    store = KeyStore(patient.databases.keys_url("intake"), patient.hub.secrets.kek, may_create=True)
    store.create_many(KeyKind.CASE, [b"case"])
    store.close()
    found = patient.complaints(SAMENLOOP_KEK=b64encode(bytes(32)).decode())
    assert only(found) == "key-encryption key"
    assert "does not open" in found["key-encryption key"].found
    assert patient.ask()["key-encryption key"].found == "opens the keys in the keys database"


def test_a_private_key_that_is_not_the_one_the_partners_seal_for(patient: Patient) -> None:
    pair, other = patient.hub.secrets.hub_key, sealing.new_hub_key()
    given = {
        "SAMENLOOP_HUB_PRIVATE_KEY": sealing.key_to_text(pair[0]),
        "SAMENLOOP_HUB_PUBLIC_KEY": sealing.key_to_text(pair[1]),
    }
    assert patient.ask(**given)["hub key"].found == "fits the public key"
    found = patient.complaints(**given | {"SAMENLOOP_HUB_PUBLIC_KEY": sealing.key_to_text(other[1])})
    assert only(found) == "hub key"


def agreement_files(folder: Path, area: str, text: str) -> Path:
    for file in shipped("agreements").glob("*.yaml"):
        (folder / file.name).write_text(file.read_text("utf-8"), "utf-8")
    (folder / f"{area}.yaml").write_text(text, "utf-8")
    return folder


def test_agreements_that_are_not_published_or_say_something_else(patient: Patient, tmp_path: Path) -> None:
    text = (shipped("agreements") / "zwolle.yaml").read_text("utf-8")
    folder = agreement_files(tmp_path, "walcheren", text.replace("area: zwolle", "area: walcheren"))
    found = patient.complaints(agreements=folder)
    assert only(found) == "agreements published"
    assert found["agreements published"].found == "not published: walcheren version 1"
    (folder / "walcheren.yaml").unlink()
    (folder / "zwolle.yaml").write_text(text.replace("active_years: 2", "active_years: 3"), "utf-8")
    found = patient.complaints(agreements=folder)
    assert only(found) == "agreements published"
    assert "another than the file's: zwolle version 1" in found["agreements published"].found
    (folder / "zwolle.yaml").write_text("area: [", "utf-8")
    assert only(patient.complaints(agreements=folder)) == "agreement files"


def test_an_agreement_that_is_not_yet_in_force(patient: Patient) -> None:
    text = (shipped("agreements") / "zwolle.yaml").read_text("utf-8").replace("area: zwolle", "area: walcheren")
    begins = (datetime.now(UTC) + timedelta(days=40)).date()
    agreement = parse_agreement(text.replace("valid_from: 2025-01-01", f"valid_from: {begins}"))
    publish_agreements(
        patient.stack.kafka_access("hub-operator"), patient.hub.topics, [agreement], "test", datetime.now(UTC)
    )
    deadline = time.monotonic() + 20
    while not (found := patient.complaints()):
        assert time.monotonic() < deadline
    patient.as_owner("intake", "DELETE FROM agreement WHERE area = 'walcheren'")
    assert only(found) == "agreements in force"
    assert f"walcheren from {begins}" in found["agreements in force"].found


def test_agreements_are_read_from_the_log_where_no_database_is_to_be_had(patient: Patient) -> None:
    given = {k: v for k, v in operator_environment(patient.hub).items() if k.startswith("SAMENLOOP_KAFKA")}
    found = patient.ask(given, SAMENLOOP_TOPIC_PREFIX=patient.hub.topics.prefix)
    assert found["agreements published"].verdict == "ok"
    assert "zwolle version 1" in found["agreements published"].found


def test_a_partner_of_the_topology_whom_no_agreement_knows(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    known = topology_file.load()
    more = known.partners["smwo"].model_copy(update={"organisations": {"a2": ["unheard-of"]}})
    monkeypatch.setattr(
        topology_file, "load", lambda: known.model_copy(update={"partners": known.partners | {"smwo": more}})
    )
    found = patient.complaints()
    monkeypatch.undo()
    assert only(found) == "partners in the agreements"
    assert "unheard-of (a2) may not be spoken for by smwo" in found["partners in the agreements"].found


def test_a_stage_that_is_stopped_and_what_then_waits(
    patient: Patient, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    with patient.without("views"):
        found = patient.complaints()
        assert only(found) == "processes"
        assert "stage run views" in found["processes"].found
        patient.as_owner(
            "views",
            "INSERT INTO outbox(partition, seq, topic, headers, created_at) VALUES (0, 9999, 'x', '', now() - interval '1 hour')",
        )
        found = patient.complaints()
        assert set(found) == {"processes", "outboxes"}
        assert "views: 1 events" in found["outboxes"].found
        patient.as_owner("views", "DELETE FROM outbox WHERE seq = 9999")
        wire.produce(patient.hub.topics.clients, b"a2", b"x", timestamp_ms=int((time.time() - 3600) * 1000))
        found = patient.complaints()
        assert set(found) == {"processes", "lag"}
        assert "views: 1 records wait, the oldest for 60 minutes" in found["lag"].found


def test_positions_that_belong_to_another_log(patient: Patient) -> None:
    with patient.without("views"):
        patient.as_owner(
            "views", "UPDATE position SET next = next + 100000 WHERE topic LIKE '%%clock' AND partition = 0"
        )
        found = patient.complaints()
        patient.as_owner(
            "views", "UPDATE position SET next = next - 100000 WHERE topic LIKE '%%clock' AND partition = 0"
        )
        assert set(found) == {"processes", "positions"}
        assert "clock/0 ends at" in found["positions"].found
        patient.as_owner("views", "UPDATE input_log SET cluster_id = 'x' || cluster_id")
        found = patient.complaints()
        patient.as_owner("views", "UPDATE input_log SET cluster_id = substr(cluster_id, 2)")
        assert set(found) == {"processes", "positions"}
        assert "rebase" in found["positions"].todo


def test_garbage_of_a_partner_and_a_schema_that_nobody_knows(
    patient: Patient, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "QUARANTINE_MANY", 40)
    inbox, wanted = patient.hub.topics.inbox("smwo"), {"quarantine", "schema ids", "paused partners"}
    wire.produce(inbox, b"a2", b"\x00\x00\x00\xff\xff" + os.urandom(20))
    for _ in range(70):
        wire.producer().send(inbox, key=b"a2", value=b"\x01" + os.urandom(40))
    wire.producer().flush()
    deadline = time.monotonic() + 30
    while set(found := patient.complaints()) != wanted:
        assert time.monotonic() < deadline, found
    assert "smwo undecodable" in found["quarantine"].found
    assert "1 from smwo" in found["schema ids"].found
    assert f"{inbox} until" in found["paused partners"].found
    patient.mend()
    assert patient.ask()["quarantine"].found == "nothing open"


def test_notices_that_are_not_delivered(patient: Patient) -> None:
    with patient.without("notifier"):
        patient.as_owner(
            "",
            "INSERT INTO notifier.delivery(area, notice_id, partner, step, intended, notice, taken_at) "
            "VALUES ('a2', gen_random_uuid(), 'smwo', 0, '', '', now() - interval '1 hour')",
        )
        found = patient.complaints()
        patient.as_owner("", "TRUNCATE notifier.delivery")
        assert set(found) == {"processes", "notices"}
        assert "1 notices" in found["notices"].found


def test_a_clock_that_stands_still(patient: Patient) -> None:
    patient.as_owner("views", "UPDATE clock_day SET day = day - 3 WHERE area = 'a2'")
    found = patient.complaints()
    patient.as_owner("views", "UPDATE clock_day SET day = day + 3 WHERE area = 'a2'")
    assert only(found) == "clock days"
    assert "a2 is at" in found["clock days"].found


def test_a_partner_that_is_silent_or_was_never_heard(patient: Patient) -> None:
    patient.as_owner(
        "views", "UPDATE feed SET heard_at = heard_at - interval '5 days' WHERE partner IN ('smwo', 'mee')"
    )
    found = patient.complaints()
    patient.as_owner(
        "views", "UPDATE feed SET heard_at = heard_at + interval '5 days' WHERE partner IN ('smwo', 'mee')"
    )
    assert only(found) == "silent feeds"
    assert found["silent feeds"].found.startswith("silent: smwo for 5 days (its rhythm allows 4 days)")
    assert "mee" not in found["silent feeds"].found  # a list a week
    patient.as_owner("views", "DELETE FROM feed WHERE partner = 'smwo'")
    found = patient.complaints()
    patient.as_owner("views", "INSERT INTO feed VALUES ('a2', 'smwo', now())")
    assert only(found) == "silent feeds"
    assert found["silent feeds"].found == "never heard of: smwo"
