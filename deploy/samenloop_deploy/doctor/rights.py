"""Settings of the topics and rights on them, held against the topology."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from samenloop_deploy.doctor.checks import Check
from samenloop_deploy.doctor.finding import CannotTell, Said, fine, some, warn, wrong
from samenloop_deploy.doctor.scene import Scene


def topic_settings(scene: Scene) -> Said:
    """Time stamps, retention and clean-up: a wrong one loses or misdates records without any error."""
    from kafka.admin import ConfigResource, ConfigResourceType
    from kafka.errors import KafkaError

    present = scene.ours
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(present)]
    try:
        found: dict[str, dict[str, Any]] = scene.admin.describe_configs(asked, config_filter="all")["topic"]
    except KafkaError as error:
        raise CannotTell(f"this user may not see the settings of topics ({type(error).__name__})") from None
    off = [
        f"{topic.name} {key} is {found[topic.name][key]['value']}, not {value}"
        for topic in scene.plan.topics
        if found.get(topic.name)
        for key, value in topic.configs.items()
        if found[topic.name][key]["value"] != value
    ]
    if not any(found.values()):
        raise CannotTell("this user may not see the settings of topics")
    if off:
        return wrong(some(off, 3), "as administrator: `samenloop topology apply` sets them right")
    return fine("as the topology says")


def rights(scene: Scene) -> Said:
    """Of every principal where this user may look; else of himself."""
    from kafka.errors import KafkaError

    from samenloop_deploy import topology_apply

    if not scene.ours:
        raise CannotTell("there are no topics to have rights on")
    try:
        found = topology_apply.present_acls(scene.plan, scene.admin)
    except KafkaError:
        return _own_rights(scene)
    wanted = set(scene.plan.acls)
    if missing := sorted(wanted - found):
        return wrong(f"missing: {_by_principal(missing)}", "as administrator: `samenloop topology apply`")
    if surplus := sorted(found - wanted):
        return warn(
            f"more than the topology gives: {_by_principal(surplus)}",
            "as administrator: `samenloop topology apply --prune` takes them away",
        )
    return fine(f"{len(wanted)} rights of {len({acl.principal for acl in wanted})} users, as the topology says")


def _own_rights(scene: Scene) -> Said:
    user = scene.access().username
    if user not in scene.topology.users:
        return warn(f"{user!r} is no user of the topology", "use one of its users, or add it to deploy/topology.yaml")
    missing, surplus = [], []
    for name, topic in sorted(scene.ours.items()):
        mine = _operations(topic)
        for operation in ("read", "write"):
            if scene.plan.allows(user, operation, name):
                missing += [] if operation in mine else [f"{operation} {name}"]
            elif operation in mine:
                surplus.append(f"{operation} {name}")
    if missing:
        return wrong(f"{user!r} may not {some(missing)}", "ask the hub's operators: `samenloop topology apply`")
    if surplus:
        todo = "ask the hub's operators: `samenloop topology apply --prune`"
        return warn(f"{user!r} may also {some(surplus)}, which the topology does not give", todo)
    return fine(f"{user!r} may do what the topology says, and no more")


def _operations(topic: Mapping[str, Any]) -> set[str]:
    """The broker's own word for what the asking user may do with a topic."""
    return {str(operation).lower() for operation in topic.get("authorized_operations") or ()}


def _by_principal(acls: list[Any]) -> str:
    """Short: who, and on what."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for acl in acls:
        if acl.operation != "describe":
            grouped[acl.principal].append(f"{acl.operation} {acl.name}")
    for acl in acls:
        grouped.setdefault(acl.principal, [f"{acl.operation} {acl.name}"])
    return "; ".join(f"{who}: {some(what, 3)}" for who, what in sorted(grouped.items()))


CHECKS: Mapping[str, Check] = {"topic settings": topic_settings, "rights": rights}
