"""The catalogue of topics: names, partitioning and nothing else. Contents are in `records`, rights in `deploy/topology.yaml`."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """Topic names under one prefix. The number of partitions is fixed for the life of a prefix."""

    prefix: str = ""

    @classmethod
    def from_environment(cls) -> Topics:
        """The names under ``SAMENLOOP_TOPIC_PREFIX``; production has none."""
        return cls(os.environ.get("SAMENLOOP_TOPIC_PREFIX", ""))

    def inbox(self, partner: str) -> str:
        return f"{self.prefix}in.{partner}"

    def receipts(self, partner: str) -> str:
        return f"{self.prefix}receipts.{partner}"

    def notices(self, partner: str) -> str:
        return f"{self.prefix}notices.{partner}"

    def quarantine(self, partner: str) -> str:
        return f"{self.prefix}quarantine.{partner}"

    @property
    def involvements(self) -> str:
        return f"{self.prefix}involvements"

    @property
    def clients(self) -> str:
        return f"{self.prefix}clients"

    @property
    def overlaps(self) -> str:
        return f"{self.prefix}overlaps"

    @property
    def decisions(self) -> str:
        return f"{self.prefix}decisions"

    @property
    def clock(self) -> str:
        return f"{self.prefix}clock"

    def partner_of(self, inbox: str) -> str | None:
        """The partner whose inbox this is, or None for another topic."""
        start = f"{self.prefix}in."
        return inbox[len(start) :] if inbox.startswith(start) else None


def area_key(area: str) -> bytes:
    """The key of every record: the area of cooperation within which data may be matched at all."""
    return area.encode()


def partition_for(area: str, partitions: int) -> int:
    """The partition that every client library picks for an area: murmur2 of the key, as Kafka's own default partitioner."""
    return (_murmur2(area_key(area)) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    seed, m, r = 0x9747B28C, 0x5BD1E995, 24
    length = len(data)
    h = (seed ^ length) & 0xFFFFFFFF
    whole = length - length % 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little")
        k = (k * m) & 0xFFFFFFFF
        k ^= k >> r
        k = (k * m) & 0xFFFFFFFF
        h = ((h * m) & 0xFFFFFFFF) ^ k
    tail = data[whole:]
    if tail:
        h ^= int.from_bytes(tail, "little")
        h = (h * m) & 0xFFFFFFFF
    h ^= h >> 13
    h = (h * m) & 0xFFFFFFFF
    return h ^ (h >> 15)
