"""Brings a broker to a `Plan`: says what it changed, changes nothing the second time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from kafka.errors import KafkaError, KafkaTimeoutError, NoError, TopicAlreadyExistsError
from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest, DescribeClientQuotasRequest

from samenloop_deploy.topology import DesiredAcl, DesiredTopic, Plan
from samenloop_schemas.kafka_access import KafkaAccess

_SETTLED_WITHIN = 10.0
_EXACT = 0
"""Match type of a quota filter: this entity, not the default and not any."""


class TopologyConflict(Exception):
    """The broker holds something that cannot be changed in place, such as another number of partitions."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing done, or with ``surplus`` found and left alone."""

    kind: Literal["topic", "config", "acl", "user", "quota"]
    action: Literal["created", "changed", "removed", "surplus"]
    name: str


def apply(
    plan: Plan,
    admin: KafkaAccess | KafkaAdminClient,
    *,
    passwords: Mapping[str, str] | None = None,
    prune: bool = False,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> list[Change]:
    """Create and correct topics, rights and quotas; with ``passwords`` also the users named in it.

    Rights that the plan does not name are reported, and with ``prune`` taken away: only those of the plan's own
    principals on names under its prefix. `progress` hears each step, how many are done and how many there are. Raises
    `TopologyConflict` for a topic with another number of partitions, and ``KafkaError`` for what the broker refuses.
    """
    if isinstance(admin, KafkaAccess):
        with KafkaAdminClient(**admin.client_args()) as client:
            return apply(plan, client, passwords=passwords, prune=prune, progress=progress)
    changes: list[Change] = []
    steps: tuple[tuple[str, Callable[[], list[Change]]], ...] = (
        (f"{len(passwords or ())} users", lambda: _apply_users(plan, passwords or {}, admin)),
        (f"{len(plan.acls)} rights", lambda: _apply_acls(plan, admin, prune)),
        (f"{len(plan.quotas)} quotas", lambda: _apply_quotas(plan, admin)),
        (f"{len(plan.topics)} topics", lambda: _apply_topics(plan, admin)),
    )
    for number, (what, step) in enumerate(steps):
        progress(what, number, len(steps))
        changes += step()
    _await_acls(plan, admin, prune)
    progress("done", len(steps), len(steps))
    return changes


def remove(plan: Plan, admin: KafkaAdminClient) -> None:
    """Take away the plan's topics and rights: the end of a prefix."""
    present = set(admin.list_topics())
    if names := [topic.name for topic in plan.topics if topic.name in present]:
        admin.delete_topics(names)
    _delete_acls(plan.acls, admin)


def _apply_topics(plan: Plan, admin: KafkaAdminClient) -> list[Change]:
    present = set(admin.list_topics()) if plan.topics else set()
    missing = [topic for topic in plan.topics if topic.name not in present]
    changes = _create_topics(missing, admin) if missing else []
    if existing := [topic for topic in plan.topics if topic.name in present]:
        _check_partitions(existing, admin)
        changes += _correct_configs(existing, admin)
    return changes


def _create_topics(topics: list[DesiredTopic], admin: KafkaAdminClient) -> list[Change]:
    wanted = {
        topic.name: {
            "num_partitions": topic.partitions,
            "replication_factor": topic.replication,
            "configs": dict(topic.configs),
        }
        for topic in topics
    }
    try:
        admin.create_topics(wanted, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        # Someone else applies the same plan at this moment; what they made is as good.
        admin.wait_for_topics(list(wanted))
    return [Change("topic", "created", topic.name) for topic in topics]


def _check_partitions(topics: list[DesiredTopic], admin: KafkaAdminClient) -> None:
    found = {t["name"]: len(t["partitions"]) for t in admin.describe_topics([topic.name for topic in topics])}
    for topic in topics:
        if found[topic.name] != topic.partitions:
            raise TopologyConflict(
                f"topic {topic.name} has {found[topic.name]} partitions and should have {topic.partitions}: "
                "the number is fixed for the life of a prefix, so grow with a new prefix and a replay"
            )


def _correct_configs(topics: list[DesiredTopic], admin: KafkaAdminClient) -> list[Change]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    found: dict[str, dict[str, Any]] = admin.describe_configs(asked, config_filter="all")["topic"]
    corrections = {
        topic.name: {key: value for key, value in topic.configs.items() if found[topic.name][key]["value"] != value}
        for topic in topics
    }
    corrections = {name: configs for name, configs in corrections.items() if configs}
    if corrections:
        wanted = [ConfigResource(ConfigResourceType.TOPIC, name, configs) for name, configs in corrections.items()]
        answers: dict[str, str] = admin.alter_configs(wanted)["topic"]
        if refused := {name: answer for name, answer in answers.items() if answer != "OK"}:
            raise KafkaError(f"the broker refused settings: {refused}")
    return [Change("config", "changed", f"{name} {key}") for name, configs in corrections.items() for key in configs]


def _apply_users(plan: Plan, passwords: Mapping[str, str], admin: KafkaAdminClient) -> list[Change]:
    users = [user for user in plan.users if user in passwords]
    if not users:
        return []
    mechanism = ScramMechanism.SCRAM_SHA_512
    answers = admin.alter_user_scram_credentials(
        [UserScramCredentialUpsertion(user, mechanism, passwords[user]) for user in users]
    )
    if refused := {user: message for user, message in answers.items() if message}:
        raise KafkaError(f"the broker refused users: {refused}")
    return [Change("user", "changed", user) for user in users]


def _apply_acls(plan: Plan, admin: KafkaAdminClient, prune: bool) -> list[Change]:
    wanted, found = set(plan.acls), present_acls(plan, admin)
    if missing := sorted(wanted - found):
        result = admin.create_acls([_broker_acl(acl) for acl in missing])
        if result["failed"]:
            raise KafkaError(f"the broker refused {len(result['failed'])} rights: {result['failed'][0]}")
    surplus = sorted(found - wanted)
    if prune and surplus:
        _delete_acls(surplus, admin)
    return [
        *(Change("acl", "created", _spelled(acl)) for acl in missing),
        *(Change("acl", "removed" if prune else "surplus", _spelled(acl)) for acl in surplus),
    ]


def present_acls(plan: Plan, admin: KafkaAdminClient) -> set[DesiredAcl]:
    """Rights on topics and groups under the plan's prefix that the plan's principals have now."""
    everything = ACLFilter(
        principal=None,
        host=None,
        operation=ACLOperation.ANY,
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
    )
    acls, error = admin.describe_acls(everything)
    if error is not NoError:
        raise error("the broker does not show its rights")
    managed = {f"User:{user}" for user in plan.users}
    return {
        _from_broker(acl)
        for acl in acls
        if acl.principal in managed and acl.resource_pattern.resource_name.startswith(plan.prefix)
    }


def _await_acls(plan: Plan, admin: KafkaAdminClient, prune: bool) -> None:
    """The controller confirms a right before the broker applies it: return when the plan's principals can start."""
    wanted, deadline = set(plan.acls), time.monotonic() + _SETTLED_WITHIN
    while not wanted <= (found := present_acls(plan, admin)) or (prune and found != wanted):
        if time.monotonic() > deadline:
            raise KafkaTimeoutError(f"rights did not reach the broker within {_SETTLED_WITHIN:.0f} s")
        time.sleep(0.01)


def _delete_acls(acls: Iterable[DesiredAcl], admin: KafkaAdminClient) -> None:
    filters = []
    for acl in map(_broker_acl, acls):
        pattern = acl.resource_pattern
        filters.append(
            ACLFilter(
                acl.principal,
                acl.host,
                acl.operation,
                acl.permission_type,
                ResourcePatternFilter(pattern.resource_type, pattern.resource_name, pattern.pattern_type),
            )
        )
    for _, _, error in admin.delete_acls(filters):
        if error is not NoError:
            raise error("the broker kept a right that should go")


def _broker_acl(acl: DesiredAcl) -> Any:
    return ACL(
        principal=f"User:{acl.principal}",
        host="*",
        operation=ACLOperation[acl.operation.upper()],
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(
            ResourceType[acl.resource.upper()], acl.name, ACLResourcePatternType[acl.pattern.upper()]
        ),
    )


def _from_broker(acl: Any) -> DesiredAcl:
    pattern = acl.resource_pattern
    return DesiredAcl(
        acl.principal.removeprefix("User:"),
        pattern.resource_type.name.lower(),
        pattern.pattern_type.name.lower(),
        pattern.resource_name,
        acl.operation.name.lower(),
    )


def _spelled(acl: DesiredAcl) -> str:
    star = "*" if acl.pattern == "prefixed" else ""
    return f"{acl.principal} {acl.operation} {acl.resource} {acl.name}{star}"


def _apply_quotas(plan: Plan, admin: KafkaAdminClient) -> list[Change]:
    """kafka-python speaks the quota messages but has no method for them, hence its connection manager."""
    changed = {user: limits for user, limits in plan.quotas.items() if _present_quota(user, admin) != {**limits}}
    if changed:
        entry, entity, op = (
            AlterClientQuotasRequest.EntryData,
            AlterClientQuotasRequest.EntryData.EntityData,
            AlterClientQuotasRequest.EntryData.OpData,
        )
        response = admin._manager.run(
            admin._manager.send,
            AlterClientQuotasRequest(
                entries=[
                    entry(
                        entity=[entity(entity_type="user", entity_name=user)],
                        ops=[op(key=key, value=float(value), remove=False) for key, value in limits.items()],
                    )
                    for user, limits in changed.items()
                ],
                validate_only=False,
            ),
        )
        if refused := [entry.error_message for entry in response.entries if entry.error_code]:
            raise KafkaError(f"the broker refused quotas: {refused[0]}")
    return [Change("quota", "changed", user) for user in changed]


def _present_quota(user: str, admin: KafkaAdminClient) -> dict[str, float]:
    component = DescribeClientQuotasRequest.ComponentData
    response = admin._manager.run(
        admin._manager.send,
        DescribeClientQuotasRequest(
            components=[component(entity_type="user", match_type=_EXACT, match=user)], strict=True
        ),
    )
    return {value.key: value.value for entry in response.entries or [] for value in entry.values}
