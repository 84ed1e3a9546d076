"""From an export, and what was spoken of before, to the parts of cases that the runner takes.

Nothing here depends on the order in which versions of an episode came: each organisation keeps the newest version it had, the
newest of all says who manages the episode now, and all others are told that it moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from samenloop_connectors.ggd.export import Export
from samenloop_connectors.ggd.known import ABSENT_TIMES, Known, Spoken
from samenloop_connectors.ggd.mapping import GOES_ON
from samenloop_connectors.ggd.resources import CONTAINED, ELSEWHERE, Episode, Payload
from samenloop_connectors.sdk.connector import Item, Unreadable

DAY = 86_400_000_000


def tell(export: Export, known: Known, confirm_days: int, *, complete: bool) -> list[Item | Unreadable]:
    """The items of a reading; `known` is brought up to date. `complete`: the server says that this is everything, and it is
    another moment than the last time."""
    told: list[Item | Unreadable] = []
    persons_told: set[tuple[str, str]] = set()
    for episode in sorted(export.episodes, key=lambda each: (each.number, each.rank)):
        told += _episode(export, known, episode, confirm_days, persons_told)
    for number, at in export.other_kind:
        told += _withdrawn(known, number, at)
    for kind, number, at in export.deleted:
        if kind == "EpisodeOfCare":
            told += _withdrawn(known, number, at)
        elif kind == "RelatedPerson":
            told += _released(known, f"RelatedPerson/{number}", at)
    told += _changed_persons(export, known, persons_told)
    if complete and export.sound:
        told += _absent(export, known)
    return [*_together(each for each in told if isinstance(each, Item)),
            *(each for each in told if isinstance(each, Unreadable)), *export.unreadable]  # fmt: skip


def _together(items: Iterable[Item]) -> Iterator[Item]:
    """All parts of a case one after the other, so that one statement is made of them."""
    cases: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        cases.setdefault((item.organisation, item.case_number), []).append(item)
    for parts in cases.values():
        yield from (replace(part, more=True) for part in parts[:-1])
        yield parts[-1]


def _episode(
    export: Export, known: Known, episode: Episode, confirm_days: int, persons_told: set[tuple[str, str]]
) -> Iterator[Item | Unreadable]:
    before = known.episodes.get(episode.number)
    if before is None and episode.organisation == ELSEWHERE:
        return
    spoken = known.episodes.setdefault(episode.number, Spoken())
    ranks, newest = spoken.ranks, not spoken.ranks or episode.rank >= max(spoken.ranks.values())
    ranks[episode.organisation] = max(ranks.get(episode.organisation, episode.rank), episode.rank)
    if newest:
        spoken.person, spoken.live = episode.person, episode.payload["status"] in GOES_ON
    if spoken.missed:
        if spoken.missed[1] >= ABSENT_TIMES:
            for organisation in spoken.ours:
                yield _item(organisation, episode.number, "absent", {"at": export.at, "undone": True})
        spoken.missed = None
    if episode.organisation != ELSEWHERE:
        yield from _person(export, known, episode.organisation, episode.number, episode.person, episode.contained)
        persons_told.add((episode.organisation, episode.number))
        if export.whole and spoken.live and (seen := _seen(export.at, episode.number, confirm_days)) > episode.rank[0]:
            yield _item(episode.organisation, episode.number, "seen", {"at": seen})
        yield Item(episode.organisation, episode.number, episode.rank[0], episode.payload, "episode")
        if _left_out(export, episode.person, episode.contained or export.persons.get(episode.person), episode.number):
            yield _remark(episode.organisation, episode.number)
    holder = spoken.holder
    for organisation in spoken.ours:
        if organisation != holder:
            yield _item(organisation, episode.number, "moved", {"at": ranks[holder][0]})


def _person(
    export: Export, known: Known, organisation: str, number: str, name: str, contained: Payload | None
) -> Iterator[Item]:
    """The parts that say who it is about, as far as this export shows them."""
    person = contained if name == CONTAINED else export.persons.get(name)
    if person is not None:
        if person["bsn"] and _shared(export, name, person, number):
            yield _item(organisation, number, "number", {"at": person["at"], "person": name, "bsn": person["bsn"]})
        yield _item(organisation, number, name, person)
    for related, body in export.related.items():
        if body["of"] == name:
            known.related[related] = name
            yield _item(organisation, number, related, body)


def _changed_persons(export: Export, known: Known, told: set[tuple[str, str]]) -> Iterator[Item | Unreadable]:
    """People who changed while their episodes did not: told to whoever manages those now."""
    changed = {*export.persons, *(body["of"] for body in export.related.values())}
    for number, spoken in sorted(known.episodes.items()):
        holder = spoken.holder
        if spoken.person in changed and holder != ELSEWHERE and (holder, number) not in told:
            yield from _person(export, known, holder, number, spoken.person, None)
            if _left_out(export, spoken.person, export.persons.get(spoken.person), number):
                yield _remark(holder, number)


def _withdrawn(known: Known, number: str, at: int) -> Iterator[Item]:
    spoken = known.episodes.get(number)
    if spoken is None:
        return
    if at >= max(rank for rank, _ in spoken.ranks.values()):
        spoken.live = False
    for organisation in spoken.ours:
        yield _item(organisation, number, "withdrawn", {"at": at})


def _released(known: Known, related: str, at: int) -> Iterator[Item]:
    """A parent who is struck from the child's file is named no more."""
    person = known.related.pop(related, "")
    for number in known.of(person) if person else ():
        for organisation in known.episodes[number].ours:
            yield _item(organisation, number, related, {"at": at, "kind": "", "of": person, "bsn": ""})


def _absent(export: Export, known: Known) -> Iterator[Item]:
    for number, spoken in sorted(known.episodes.items()):
        if number in export.shown:
            continue
        first, times = spoken.missed or (export.at, 0)
        spoken.missed = first, min(times + 1, ABSENT_TIMES)
        if times + 1 == ABSENT_TIMES and spoken.live and spoken.holder != ELSEWHERE:
            yield _item(spoken.holder, number, "absent", {"at": export.at, "on": first})


def _left_out(export: Export, name: str, person: Payload | None, number: str) -> bool:
    return person is not None and bool(person["left_out"] or (person["bsn"] and _shared(export, name, person, number)))


def _shared(export: Export, name: str, person: Payload, number: str) -> bool:
    return export.numbers.is_of_another(f"EpisodeOfCare/{number}" if name == CONTAINED else name, person["bsn"])


def _remark(organisation: str, number: str) -> Unreadable:
    """Not set aside as a whole: the statement goes out, without the number. Counted, so that it can be repaired at the source."""
    return Unreadable(
        "the BSN is not the child's own and was left out", "bsn_left_out", "identifier", organisation, number
    )


def _seen(at: int, number: str, days: int) -> int:
    """The beginning of the confirmation term in which an instant falls; not all episodes begin theirs on one day."""
    phase = int(hashlib.sha256(number.encode()).hexdigest()[:8], 16) % days
    return (((at // DAY + phase) // days) * days - phase) * DAY


def _item(organisation: str, number: str, part: str, payload: Payload) -> Item:
    return Item(organisation, number, payload["at"], payload, part)
