"""`topology.yaml` as a checked model, and what follows from it for one topic prefix. No broker is touched here.

Rights are as in docs/architecture.md, section 10: a partner writes its inbox, reads its receipts and notices and uses
groups under its own name; a hub process reads its inputs, uses one group and writes its outputs; nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator

ADMIN = "admin"
"""The super user: applies the topology, and appears in no rule."""
PARTNER = "{partner}"
_DAY_MS = 24 * 60 * 60 * 1000
_FOREVER = 2**63 - 1


def _partner_id(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", value):
        raise ValueError(f"partner id {value!r}: lower case letters, digits and hyphens, starting with a letter")
    # A partner's groups start with "<partner>." and its topics end with ".<partner>": these are the hub's own.
    if value in {"stage", "hub", ADMIN} or value.startswith("hub-"):
        raise ValueError(f"partner id {value!r} is taken by the hub")
    return value


PartnerId = Annotated[str, AfterValidator(_partner_id)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Partner(_Model):
    """One feed: source systems that speak for organisations, each within its area of cooperation."""

    source_systems: list[str] = Field(min_length=1)
    organisations: dict[str, list[str]] = Field(min_length=1)
    silent_after_hours: PositiveInt = 96
    """Heard of for longer than this ago, the feed counts as silent: a long weekend and a day, unless its rhythm is slower."""

    @property
    def areas(self) -> tuple[str, ...]:
        return tuple(self.organisations)


class TopicFamily(_Model):
    kept_days: PositiveInt
    timestamps: Literal["append", "create"] = "create"


class Rights(_Model):
    group: str | None = None
    reads: list[str] = []
    writes: list[str] = []


class Quota(_Model):
    """Limits of one principal on one broker, under the broker's own names."""

    producer_byte_rate: PositiveInt
    consumer_byte_rate: PositiveInt
    request_percentage: PositiveInt


@dataclass(frozen=True, slots=True)
class DesiredTopic:
    name: str
    partitions: int
    replication: int
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True, order=True)
class DesiredAcl:
    """One ALLOW rule, from any host."""

    principal: str
    resource: Literal["topic", "group"]
    pattern: Literal["literal", "prefixed"]
    name: str
    operation: Literal["read", "write", "describe"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a broker should hold for one prefix."""

    prefix: str
    topics: tuple[DesiredTopic, ...]
    users: tuple[str, ...]
    acls: tuple[DesiredAcl, ...]
    quotas: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def allows(self, principal: str, operation: Literal["read", "write"], topic: str) -> bool:
        return any(
            (acl.principal, acl.operation, acl.resource, acl.name) == (principal, operation, "topic", topic)
            for acl in self.acls
        )

    def allows_group(self, principal: str, group: str) -> bool:
        return any(
            acl.principal == principal
            and acl.resource == "group"
            and (group.startswith(acl.name) if acl.pattern == "prefixed" else group == acl.name)
            for acl in self.acls
        )


class Topology(_Model):
    partitions: PositiveInt
    replication: PositiveInt
    min_insync: PositiveInt
    partners: dict[PartnerId, Partner]
    topics: dict[str, TopicFamily]
    partner_rights: Rights
    principals: dict[str, Rights]
    partner_quota: Quota

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        if self.min_insync > self.replication:
            raise ValueError("min_insync is above replication: no record would ever be accepted")
        known = set(self.topic_names())
        for principal, rights in self._rights():
            for pattern in [*rights.reads, *rights.writes]:
                if not any(fnmatchcase(topic, pattern) for topic in known):
                    raise ValueError(f"{principal}: no topic is called {pattern!r}")
        return self

    @property
    def users(self) -> tuple[str, ...]:
        """Every principal, the administrator first."""
        return (ADMIN, *self.partners, *self.principals)

    def with_partners(self, partners: Mapping[str, Partner]) -> Topology:
        """The same topology with more partners, or other ones under the same id."""
        return Topology.model_validate(
            self.model_dump() | {"partners": {k: p.model_dump() for k, p in {**self.partners, **partners}.items()}}
        )

    def topic_names(self, prefix: str = "") -> Iterator[str]:
        return (prefix + name for name, _ in self._families())

    def plan(
        self,
        prefix: str = "",
        *,
        partitions: int | None = None,
        single_node: bool = False,
        timestamps_from_sender: bool = False,
    ) -> Plan:
        """Topics, users, rights and quotas under a prefix.

        ``timestamps_from_sender`` is for tests that compare two runs: the inboxes then carry the sender's timestamps,
        however far from today, and nothing ages out while the test looks at it.
        """
        replication, in_sync = (1, 1) if single_node else (self.replication, self.min_insync)
        topics = tuple(
            DesiredTopic(
                prefix + name,
                partitions or self.partitions,
                replication,
                _configs(family, in_sync, timestamps_from_sender),
            )
            for name, family in self._families()
        )
        return Plan(
            prefix=prefix,
            topics=topics,
            users=self.users,
            acls=tuple(sorted(set(self._acls(prefix)))),
            quotas={partner: self.partner_quota.model_dump() for partner in self.partners},
        )

    def _families(self) -> Iterator[tuple[str, TopicFamily]]:
        for name, family in self.topics.items():
            if PARTNER in name:
                yield from ((name.replace(PARTNER, partner), family) for partner in self.partners)
            else:
                yield name, family

    def _rights(self) -> Iterator[tuple[str, Rights]]:
        for partner in self.partners:
            yield (
                partner,
                Rights(
                    reads=[name.replace(PARTNER, partner) for name in self.partner_rights.reads],
                    writes=[name.replace(PARTNER, partner) for name in self.partner_rights.writes],
                ),
            )
        yield from self.principals.items()

    def _acls(self, prefix: str) -> Iterator[DesiredAcl]:
        names = tuple(self.topic_names())

        def matching(patterns: list[str]) -> Iterator[str]:
            return (prefix + name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))

        for principal, rights in self._rights():
            for topic in matching(rights.reads):
                yield DesiredAcl(principal, "topic", "literal", topic, "read")
                yield DesiredAcl(principal, "topic", "literal", topic, "describe")
            for topic in matching(rights.writes):
                yield DesiredAcl(principal, "topic", "literal", topic, "write")
                yield DesiredAcl(principal, "topic", "literal", topic, "describe")
            if principal in self.partners:
                yield DesiredAcl(principal, "group", "prefixed", f"{prefix}{principal}.", "read")
            elif rights.group:
                yield DesiredAcl(principal, "group", "literal", f"{prefix}{rights.group}", "read")


def _configs(family: TopicFamily, min_insync: int, timestamps_from_sender: bool) -> dict[str, str]:
    configs = {
        # Not compacted: compaction leaves holes in the offsets, which a stage takes for loss (engine rule 13).
        "cleanup.policy": "delete",
        "min.insync.replicas": str(min_insync),
        "unclean.leader.election.enable": "false",
    }
    if timestamps_from_sender:
        return configs | {
            "retention.ms": "-1",
            "message.timestamp.type": "CreateTime",
            "message.timestamp.after.max.ms": str(_FOREVER),
        }
    return configs | {
        "retention.ms": str(family.kept_days * _DAY_MS),
        "message.timestamp.type": "LogAppendTime" if family.timestamps == "append" else "CreateTime",
    }


def load(path: Path | None = None) -> Topology:
    """The topology of a file, or the one that came with this installation.

    Raises ``pydantic.ValidationError`` or ``yaml.YAMLError`` when the file does not hold one.
    """
    text = path.read_text(encoding="utf-8") if path else _shipped()
    return Topology.model_validate(yaml.safe_load(text))


@cache
def _shipped() -> str:
    packed = files("samenloop_deploy") / "topology.yaml"
    if packed.is_file():
        return packed.read_text(encoding="utf-8")
    return (Path(__file__).parents[1] / "topology.yaml").read_text(encoding="utf-8")
