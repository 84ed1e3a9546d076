"""In-memory state of areas: a cache of the database that is valid exactly at `partition_head.batch_no`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

Load = Callable[[psycopg.Connection[Any], str], Any]


class CacheMiss(BaseException):
    """Ends the transaction to load outside it. Not an Exception, so that no stage swallows it by accident."""

    def __init__(self, area: str, load: Load) -> None:
        super().__init__(area)
        self.area = area
        self.load = load


@dataclass(slots=True)
class _Shelf:
    batch_no: int
    areas: dict[str, Any] = field(default_factory=dict)


class AreaCaches:
    """One shelf per partition; a shelf is either exactly at its batch number or thrown away."""

    def __init__(self) -> None:
        self._shelves: dict[int, _Shelf] = {}

    def check(self, heads: Mapping[int, int]) -> None:
        """Drops the shelves of locked partitions that do not stand at the locked batch number."""
        for partition, batch_no in heads.items():
            shelf = self._shelves.get(partition)
            if shelf and shelf.batch_no != batch_no:
                del self._shelves[partition]

    def get(self, partition: int, area: str) -> Any:
        """Raises KeyError on a miss."""
        return self._shelves[partition].areas[area]

    def put(self, partition: int, batch_no: int, area: str, value: Any) -> None:
        """Keeps what was loaded from a snapshot at `batch_no`; older neighbours go."""
        shelf = self._shelves.get(partition)
        if shelf is None or shelf.batch_no != batch_no:
            shelf = self._shelves[partition] = _Shelf(batch_no)
        shelf.areas[area] = value

    def advance(self, partition: int, batch_no: int) -> None:
        """After the commit of our own batch: what was kept now stands one batch further."""
        if shelf := self._shelves.get(partition):
            shelf.batch_no = batch_no

    def drop(self, *partitions: int) -> None:
        for partition in partitions:
            self._shelves.pop(partition, None)

    def keep_only(self, partitions: set[int]) -> None:
        """At a new assignment: what another worker owns now is not ours to remember."""
        self.drop(*[p for p in self._shelves if p not in partitions])

    def areas(self) -> int:
        return sum(len(shelf.areas) for shelf in self._shelves.values())
