"""Which episodes were spoken of, kept between exports in the connector's encrypted cursor: ids and versions, nobody's data.

Needed because an export of changes is silent about all that did not change: whose episodes a changed Patient has, which
organisation an episode leaves, what a deletion is about, and what a complete export no longer shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from samenloop_connectors.ggd.mapping import GOES_ON
from samenloop_connectors.ggd.resources import ELSEWHERE

ABSENT_TIMES = 2
"""So many complete exports in a row without an episode make it absent: one may have gone wrong unseen."""
Rank = tuple[int, str]


@dataclass(slots=True)
class Spoken:
    """One episode. `ranks`: the newest version seen per managing organisation. `missed`: the first complete export without it
    and how many there were. `live`: its newest version goes on."""

    ranks: dict[str, Rank] = field(default_factory=dict)
    person: str = ""
    live: bool = False
    missed: tuple[int, int] | None = None

    @property
    def holder(self) -> str:
        """Who manages it by the newest version known; two versions of one moment are told apart by content."""
        return max(self.ranks, key=lambda organisation: (self.ranks[organisation], organisation))

    @property
    def ours(self) -> Iterator[str]:
        return (organisation for organisation in sorted(self.ranks) if organisation != ELSEWHERE)


class Known:
    """All of them by number, and whose RelatedPersons were told."""

    def __init__(self, cursor: Mapping[str, Any]) -> None:
        self.episodes = {
            number: Spoken(
                {organisation: (rank[0], rank[1]) for organisation, rank in entry["o"].items()},
                entry["p"],
                entry["l"],
                tuple(entry["m"]) if entry.get("m") else None,
            )
            for number, entry in cursor.get("known", {}).items()
        }
        self.related: dict[str, str] = dict(cursor.get("related", {}))

    @classmethod
    def from_parts(cls, told: Iterable[tuple[str, str, Mapping[str, Any]]]) -> Known:
        """The same from what the edge knows of each case, for when the cursor is not there."""
        known = cls({})
        moved: dict[str, Rank] = {}
        for organisation, number, parts in told:
            episode = parts.get("episode")
            if episode is None:
                continue
            spoken = known.episodes.setdefault(number, Spoken())
            spoken.ranks[organisation] = rank = (episode["at"], episode["_v"])
            if spoken.holder == organisation:
                spoken.person, spoken.live = episode["person"], episode["status"] in GOES_ON
                spoken.live = spoken.live and not _holds(parts.get("withdrawn"), rank)
                absent = parts.get("absent")
                spoken.missed = (absent["on"], ABSENT_TIMES) if absent and _holds(absent, rank) else None
            if _holds(parts.get("moved"), rank):
                moved[number] = max(moved.get(number, (0, "")), (parts["moved"]["at"], ""))
            known.related |= {name: part["of"] for name, part in parts.items() if name.startswith("RelatedPerson/")}
        for number, rank in moved.items():
            if rank[0] > max(at for at, _ in known.episodes[number].ranks.values()):
                known.episodes[number].ranks[ELSEWHERE] = rank
        return known

    def __contains__(self, number: object) -> bool:
        return number in self.episodes

    def persons(self) -> set[str]:
        return {spoken.person for spoken in self.episodes.values()}

    def told(self, number: str, organisation: str, person: str) -> bool:
        """Whether this organisation's case of the episode was told whom it is about."""
        spoken = self.episodes.get(number)
        return spoken is not None and organisation in spoken.ranks and spoken.person == person

    def holder(self, number: str) -> str:
        return self.episodes[number].holder if number in self.episodes else ELSEWHERE

    def of(self, person: str) -> list[str]:
        """The episodes of a person."""
        return [number for number, spoken in self.episodes.items() if spoken.person == person]

    def record(self) -> dict[str, Any]:
        """What the cursor keeps of it."""
        return {
            "known": {
                number: {
                    "o": {organisation: list(rank) for organisation, rank in spoken.ranks.items()},
                    "p": spoken.person,
                    "l": spoken.live,
                    **({"m": list(spoken.missed)} if spoken.missed else {}),
                }
                for number, spoken in self.episodes.items()
            },
            "related": self.related,
        }


def _holds(happened: Mapping[str, Any] | None, rank: Rank) -> bool:
    return happened is not None and not happened.get("undone") and happened["at"] >= rank[0]
