from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from samenloop_deploy import topology
from samenloop_deploy.topology import Partner, Topology
from samenloop_processors.agreement import load_agreement

DAY = 24 * 60 * 60 * 1000
SHIPPED = Path(topology.__file__).parents[1] / "topology.yaml"
AGREEMENTS = SHIPPED.with_name("agreements")


@pytest.fixture(scope="module")
def shipped() -> Topology:
    return topology.load()


def changed(**changes: object) -> Topology:
    return Topology.model_validate(yaml.safe_load(SHIPPED.read_text()) | changes)


def test_partners_speak_for_organisations_in_their_areas(shipped: Topology) -> None:
    assert set(shipped.partners) == {"smwo", "backoffice", "cjg", "mee", "ggd"}
    assert all(partner.areas == ("a2", "bevelanden", "zwolle") for partner in shipped.partners.values())
    assert "lumens" in shipped.partners["backoffice"].organisations["a2"], "it is a provider too"


def test_topology_and_agreements_tell_the_same_of_who_speaks_for_whom(shipped: Topology) -> None:
    for path in sorted(AGREEMENTS.glob("*.yaml")):
        agreement = load_agreement(path)
        for name, partner in shipped.partners.items():
            spoken_for = {organisation.id for organisation in agreement.organisations_of(name)}
            assert set(partner.organisations[agreement.area]) == spoken_for
        assert all(o.partner in shipped.partners for o in agreement.organisations)


def test_every_topic_of_the_catalogue_is_planned_under_the_prefix(shipped: Topology) -> None:
    names = {topic.name for topic in shipped.plan("x.").topics}
    per_partner = {f"x.{kind}.{p}" for kind in ("in", "receipts", "notices", "quarantine") for p in shipped.partners}
    assert names == per_partner | {
        f"x.{name}" for name in ("quarantine.hub", "involvements", "clients", "overlaps", "decisions", "clock")
    }


def test_inboxes_carry_the_brokers_time_and_all_are_kept_as_agreed(shipped: Topology) -> None:
    configs = {topic.name: topic.configs for topic in shipped.plan().topics}
    assert configs["in.smwo"]["message.timestamp.type"] == "LogAppendTime"
    assert {c["message.timestamp.type"] for name, c in configs.items() if not name.startswith("in.")} == {"CreateTime"}
    assert {c["cleanup.policy"] for c in configs.values()} == {"delete"}
    assert {c["min.insync.replicas"] for c in configs.values()} == {"2"}
    kept = {name: int(c["retention.ms"]) / DAY for name, c in configs.items()}
    assert (kept["in.smwo"], kept["receipts.smwo"], kept["notices.smwo"]) == (14, 35, 35)
    assert (kept["quarantine.smwo"], kept["quarantine.hub"]) == (28, 28)
    for truth in ("involvements", "clients", "overlaps", "decisions", "clock"):
        assert kept[truth] >= 7 * 365.25 + 91


def test_one_node_needs_one_replica(shipped: Topology) -> None:
    for topic in shipped.plan(partitions=4, single_node=True).topics:
        assert (topic.partitions, topic.replication, topic.configs["min.insync.replicas"]) == (4, 1, "1")


def test_with_the_senders_timestamps_nothing_ages_out(shipped: Topology) -> None:
    for topic in shipped.plan(timestamps_from_sender=True).topics:
        assert topic.configs["message.timestamp.type"] == "CreateTime"
        assert topic.configs["retention.ms"] == "-1"


def test_a_partner_may_write_its_inbox_read_its_answers_and_use_its_groups(shipped: Topology) -> None:
    acls = {(a.resource, a.pattern, a.name, a.operation) for a in shipped.plan("x.").acls if a.principal == "smwo"}
    assert acls == {
        ("topic", "literal", "x.in.smwo", "write"),
        ("topic", "literal", "x.in.smwo", "describe"),
        ("topic", "literal", "x.receipts.smwo", "read"),
        ("topic", "literal", "x.receipts.smwo", "describe"),
        ("topic", "literal", "x.notices.smwo", "read"),
        ("topic", "literal", "x.notices.smwo", "describe"),
        ("group", "prefixed", "x.smwo.", "read"),
    }


def per_partner(shipped: Topology, names: str) -> set[str]:
    """A star stands for each partner."""
    return {name.replace("*", partner) for name in names.split() for partner in shipped.partners}


@pytest.mark.parametrize(
    ("principal", "reads", "writes", "group"),
    [
        (
            "hub-intake",
            "in.* decisions",
            "involvements receipts.* quarantine.* quarantine.hub",
            "stage.intake",
        ),
        ("hub-clients", "involvements decisions", "clients quarantine.hub", "stage.clients"),
        ("hub-overlaps", "involvements clients decisions clock", "overlaps quarantine.hub", "stage.overlaps"),
        ("hub-views", "involvements clients overlaps decisions clock", "quarantine.hub", "stage.views"),
        ("hub-notifier", "", "notices.* decisions", None),
        ("hub-web", "", "decisions", None),
        ("hub-clock", "clock", "clock", None),
        (
            "hub-operator",
            "quarantine.* quarantine.hub receipts.* decisions",
            "decisions quarantine.* quarantine.hub in.*",
            None,
        ),
    ],
)
def test_a_hub_process_may_read_its_inputs_and_write_its_outputs(
    shipped: Topology, principal: str, reads: str, writes: str, group: str | None
) -> None:
    own = [acl for acl in shipped.plan().acls if acl.principal == principal]
    assert {a.name for a in own if a.resource == "topic" and a.operation == "read"} == per_partner(shipped, reads)
    assert {a.name for a in own if a.operation == "write"} == per_partner(shipped, writes)
    assert {(a.name, a.pattern) for a in own if a.resource == "group"} == ({(group, "literal")} if group else set())


def test_only_intake_and_the_operators_retry_touch_an_inbox_besides_its_partner(shipped: Topology) -> None:
    touching = {(a.principal, a.operation) for a in shipped.plan().acls if a.name == "in.smwo"}
    assert {principal for principal, _ in touching} == {"smwo", "hub-intake", "hub-operator"}
    assert ("hub-operator", "read") not in touching
    assert ("smwo", "read") not in touching


def test_one_writer_for_every_derived_topic(shipped: Topology) -> None:
    for topic, writer in (("involvements", "hub-intake"), ("clients", "hub-clients"), ("overlaps", "hub-overlaps")):
        assert {a.principal for a in shipped.plan().acls if a.name == topic and a.operation == "write"} == {writer}


def test_more_partners_come_with_their_topics_rights_and_quota(shipped: Topology) -> None:
    more = shipped.with_partners(
        {p: Partner(source_systems=[p], organisations={"a2": [p]}) for p in ("kredietbank", "huisarts")}
    )
    plan = more.plan()
    assert {"kredietbank", "huisarts", *shipped.partners} < set(plan.users)
    assert plan.allows("huisarts", "write", "in.huisarts")
    assert plan.allows("hub-intake", "read", "in.kredietbank")
    assert not plan.allows("huisarts", "write", "in.kredietbank")
    assert set(plan.quotas) == set(more.partners)


def test_a_group_right_ends_at_the_partners_name(shipped: Topology) -> None:
    plan = shipped.plan()
    assert plan.allows_group("smwo", "smwo.connector")
    assert not plan.allows_group("smwo", "smwo2.connector")
    assert not plan.allows_group("smwo", "stage.intake")


@pytest.mark.parametrize("name", ["stage", "hub", "admin", "hub-web", "Smwo", "a.b", "x*"])
def test_a_partner_cannot_take_a_name_that_would_reach_into_the_hub(shipped: Topology, name: str) -> None:
    with pytest.raises(ValidationError):
        shipped.with_partners({name: Partner(source_systems=["s"], organisations={"a2": ["o"]})})


def test_a_right_on_a_topic_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValidationError, match="no topic is called 'involvement'"):
        changed(principals={"hub-x": {"reads": ["involvement"]}})


def test_a_cluster_that_could_never_accept_a_record_is_an_error() -> None:
    with pytest.raises(ValidationError, match="min_insync"):
        changed(replication=1, min_insync=2)


def test_a_file_of_ones_own_can_be_given(tmp_path: Path) -> None:
    file = tmp_path / "topology.yaml"
    file.write_text(SHIPPED.read_text().replace("partitions: 24", "partitions: 6"))
    assert topology.load(file).partitions == 6
