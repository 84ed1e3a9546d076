"""The broker: is it there, does it let us in, does it hold what the topology names, and does it agree on the time?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from samenloop_deploy.doctor.checks import Check
from samenloop_deploy.doctor.finding import CannotTell, Said, away, fine, some, warn, wrong
from samenloop_deploy.doctor.scene import Scene
from samenloop_producers.log_in import Answer
from samenloop_schemas.kafka_access import KafkaAccess

MAX_CLOCK_SKEW_SECONDS: Final = 60
_READ_WITHIN_S: Final = 5.0


def settings(scene: Scene) -> Said:
    scene.given("SAMENLOOP_KAFKA_BOOTSTRAP")
    try:
        KafkaAccess()  # type: ignore[call-arg]  # from the environment
    except ValidationError as error:
        names = ", ".join(f"SAMENLOOP_KAFKA_{problem['loc'][0]}".upper() for problem in error.errors())
        return wrong(f"missing or wrong: {names}", f"set {names}")
    return fine("complete")


def reachable(scene: Scene) -> Said:
    silent = [server for server, answer in scene.answers().items() if answer is Answer.ABSENT]
    if silent:
        return away(
            f"{', '.join(silent)} does not answer",
            "check the address, the firewall and the broker; stages and connectors wait for it and lose nothing",
        )
    return fine(scene.access().bootstrap)


def log_in(scene: Scene) -> Said:
    answers, user = scene.answers(), scene.access().username
    if Answer.REFUSED in answers.values():
        todo = "check SAMENLOOP_KAFKA_USERNAME and SAMENLOOP_KAFKA_PASSWORD"
        return wrong(f"user {user!r} is refused", todo)
    if unclear := [server for server, answer in answers.items() if answer is Answer.UNCLEAR]:
        todo = "check SAMENLOOP_KAFKA_SECURITY_PROTOCOL, _SASL_MECHANISM and _CA_FILE, and that this is a Kafka broker"
        return wrong(f"{', '.join(unclear)} answers, but not as expected", todo)
    if Answer.LET_IN not in answers.values():
        raise CannotTell("no broker answers")
    return fine(user)


def clock(scene: Scene) -> Said:
    """By the broker's own clock where this user may ask for it; else by the newest record that the broker stamped."""
    from kafka.errors import KafkaError

    asked = time.time()
    try:
        told = _quorum_clock(scene)
    except KafkaError:
        told = None
    if told is not None:
        skew = told - (asked + time.time()) / 2
        if abs(skew) > MAX_CLOCK_SKEW_SECONDS:
            return wrong(
                f"the broker is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}",
                "run a time service (NTP) on both machines: intake takes the broker's time as the time of receipt",
            )
        return fine(f"{abs(skew):.1f} s apart")
    newest = _newest_stamp(scene)
    if newest - time.time() > MAX_CLOCK_SKEW_SECONDS:
        return wrong(
            f"the newest receipt is from {newest - time.time():.0f} s in the future",
            "run a time service (NTP): this machine is behind, or the hub is ahead",
        )
    return fine("no sign of a difference (only an administrator may ask the broker itself)")


def _quorum_clock(scene: Scene) -> float | None:
    """The leader of the metadata quorum has caught up with itself at this very moment, by its own clock."""
    quorum = scene.admin.describe_metadata_quorum()
    for topic in quorum["topics"]:
        for part in topic["partitions"]:
            for voter in part["current_voters"]:
                if voter["replica_id"] == part["leader_id"] and voter["last_caught_up_timestamp"] > 0:
                    return float(voter["last_caught_up_timestamp"]) / 1000
    return None


def _newest_stamp(scene: Scene) -> float:
    """When the newest record among those that this user may read was written."""
    from kafka import TopicPartition
    from kafka.errors import KafkaError

    mine = scene.access().username
    names = [n for n in scene.ours if n in (scene.topics.receipts(mine), scene.topics.notices(mine))]
    consumer = scene.consumer
    parts = [TopicPartition(name, p["partition_index"]) for name in names for p in scene.ours[name]["partitions"]]
    try:
        firsts, ends = scene.bounds(parts)
        last = {part: end - 1 for part, end in ends.items() if end > firsts[part]}
        if not last:
            raise CannotTell("there is no record whose time could be looked at")
        consumer.assign(list(last))
        for part, offset in last.items():
            consumer.seek(part, offset)
        newest, deadline = 0.0, time.monotonic() + _READ_WITHIN_S
        while last and time.monotonic() < deadline:
            for part, records in consumer.poll(timeout_ms=500).items():
                newest = max(newest, *(record.timestamp / 1000 for record in records))
                last.pop(part, None)
    except KafkaError as error:
        raise CannotTell(f"this user may not read a record with a time ({type(error).__name__})") from None
    if not newest:
        raise CannotTell("no record could be read")
    return newest


def prefix(scene: Scene) -> Said:
    """A prefix that is wrong by a letter shows as a broker without topics."""
    wanted = set(scene.topology.topic_names(scene.prefix))
    if wanted & set(scene.seen):
        return fine(repr(scene.prefix) if scene.prefix else "none")
    plain = sorted(scene.topology.topic_names(), key=len, reverse=True)
    others = Counter(
        name.removesuffix(next(base for base in plain if name.endswith(base)))
        for name in scene.seen
        if any(name.endswith(base) for base in plain)
    )
    if others:
        found = ", ".join(repr(other) if other else "none" for other in sorted(others))
        return wrong(
            f"no topic stands under prefix {scene.prefix!r}; there are topics under: {found}",
            "set SAMENLOOP_TOPIC_PREFIX to the right one (empty for none)",
        )
    raise CannotTell("this user sees no topics at all")


def topics(scene: Scene) -> Said:
    wanted, user = set(scene.topology.topic_names(scene.prefix)), scene.access().username
    if user in scene.topology.users and user != scene.topology.users[0]:
        wanted = {a.name for a in scene.plan.acls if a.principal == user and a.resource == "topic"}
    missing = sorted(wanted - set(scene.seen))
    if missing == sorted(wanted) and scene.seen and not wanted & set(scene.seen) and _elsewhere(scene):
        raise CannotTell("the topics stand under another prefix")
    if missing:
        return wrong(
            f"not there, or not for {user!r} to see: {some(missing)}",
            "as administrator: `samenloop topology apply` makes what is missing and changes nothing else",
        )
    return fine(f"{len(wanted)} topics")


def _elsewhere(scene: Scene) -> bool:
    return prefix(scene).verdict == "failed"


def partitions(scene: Scene) -> Said:
    found = {name: len(topic["partitions"]) for name, topic in scene.ours.items()}
    common = Counter(found.values()).most_common(1)[0][0]
    if odd := sorted(f"{name} {count}" for name, count in found.items() if count != common):
        return wrong(
            f"{some(odd)}, all others {common}",
            "the number is one and fixed for the life of a prefix: restore it by a new prefix and a replay, "
            "or make an empty topic anew",
        )
    return fine(f"{common} each")


def replicas(scene: Scene) -> Said:
    leaderless, behind = [], []
    for name, topic in scene.ours.items():
        for part in topic["partitions"]:
            place = f"{name}/{part['partition_index']}"
            if part["leader_id"] < 0:
                leaderless.append(place)
            elif len(part["isr_nodes"]) < len(part["replica_nodes"]):
                behind.append(place)
    if leaderless:
        return away(f"no broker leads {some(sorted(leaderless))}", "start the brokers that are down")
    if behind:
        return warn(f"{len(behind)} partitions lack a replica: {some(sorted(behind))}", "look at the brokers' logs")
    brokers = len(scene.cluster["brokers"])
    if brokers > 1 and (thin := [n for n, t in scene.ours.items() if len(t["partitions"][0]["replica_nodes"]) < 2]):
        return warn(f"{some(sorted(thin))} lie on one broker only", "reassign them to more: a broken disk loses them")
    return fine(f"in step on {brokers} broker{'s' if brokers > 1 else ''}")


CHECKS: Mapping[str, Check] = {
    "broker settings": settings,
    "broker": reachable,
    "broker log-in": log_in,
    "clock against the broker": clock,
    "topic prefix": prefix,
    "topics": topics,
    "partitions": partitions,
    "replicas": replicas,
}
