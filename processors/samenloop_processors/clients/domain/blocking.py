"""Which records are compared at all: those that share a key. Keys are many and cheap; a key that too many share is dropped."""

from __future__ import annotations

from collections.abc import Iterator

from samenloop_processors.clients.domain.given_names import forms
from samenloop_processors.clients.domain.normalise import Features
from samenloop_processors.clients.domain.text import sound

_FEW = 32
_OPEN = "FX"
"""Kinds that hold no place and no date: their blocks grow with the store, and are worth their cost only while small."""
_OPEN_CAP = 48


def keys(f: Features) -> tuple[str, ...]:
    """The blocking keys of a record. The first character tells the kind."""
    found: set[str] = set()
    sounds = sorted({sound(name) for name in (f.own, *f.surnames) if name})
    born = f"{f.year}.{f.month}.{f.day}" if f.year and f.month and f.day else ""
    firsts = _firsts(f)
    if f.bsn:
        found.add("B" + f.bsn)
    if f.phone:
        found.add("P" + f.phone)
    if f.email:
        found.add("E" + f.email)
    if f.other:
        found.add("O" + f.other)
    if f.street and f.number:
        found.add(f"T{f.number}.{sound(f.street)}.{sound(f.city) or f.postcode}")
    for code in sounds:
        if f.given:
            found.add(f"F{code}.{sound(f.given[0])}")
        if f.number and f.street:
            found.add(f"K{code}.{f.number}.{sound(f.street)[:4]}")
    if f.given and f.own:
        found.add("X" + ".".join(sorted((sound(f.given[0]), sound(f.own)))))
    if f.given and f.number and f.street:
        found.add(f"L{sound(f.given[0])}.{f.number}.{sound(f.street)[:4]}")
    if f.house and f.year:
        found.add(f"A{f.house}.{f.year}")
    for letter in firsts:
        if f.house:
            found.add(f"H{f.house}.{letter}")
        if born and f.postcode:
            found.add(f"I{letter}.{born}.{f.postcode}")
        for code in sounds:
            if f.postcode:
                found.add(f"N{code}.{letter}.{f.postcode}")
            if f.year:
                found.add(f"Y{code}.{letter}.{f.year}")
    if born:
        if f.postcode:
            found.add(f"Q{born}.{f.postcode}")
        if f.number:
            found.add(f"R{born}.{f.number}")
        for code in sounds:
            found.add(f"S{code}.{born}")
            if f.day <= 12:
                found.add(f"W{code}.{f.year}.{min(f.month, f.day)}.{max(f.month, f.day)}")
        for name in {form for called in (f.call, *f.given[:1]) if called for form in forms(called)}:
            found.add(f"G{name}.{born}")
    return tuple(sorted(found))


def _firsts(f: Features) -> tuple[str, ...]:
    """First letters under which a person may be filed: of the formal name, the call name and what it stands for."""
    letters = {f.initials[:1], f.call[:1]}
    if f.call:
        letters.update(form[:1] for form in forms(f.call))
    return tuple(sorted(letters - {""}))


class Blocks:
    """Members (slots) per key. One member is kept as a bare int, a few as a list, many as a set: most keys have one."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._open = min(cap, _OPEN_CAP)
        self._members: dict[str, int | list[int] | set[int]] = {}

    def __len__(self) -> int:
        return len(self._members)

    def _cap_of(self, key: str) -> int:
        return self._open if key[0] in _OPEN else self._cap

    def live(self, key: str) -> bool:
        """Whether the block counts: at least two members, at most the cap."""
        members = self._members.get(key)
        return members is not None and not isinstance(members, int) and len(members) <= self._cap_of(key)

    def over(self, key: str) -> bool:
        """Whether the block has more members than the cap."""
        members = self._members.get(key)
        return members is not None and not isinstance(members, int) and len(members) > self._cap_of(key)

    def members(self, key: str) -> Iterator[int]:
        members = self._members.get(key)
        if members is None:
            return iter(())
        return iter((members,)) if isinstance(members, int) else iter(members)

    def at_cap(self, key: str) -> bool:
        """Whether one member more or less decides if the block counts."""
        members = self._members.get(key)
        return members is not None and not isinstance(members, int) and 0 <= len(members) - self._cap_of(key) <= 1

    def add(self, key: str, slot: int) -> None:
        members = self._members.get(key)
        if members is None:
            self._members[key] = slot
        elif isinstance(members, int):
            self._members[key] = [members, slot]
        elif isinstance(members, set):
            members.add(slot)
        elif len(members) < _FEW:
            members.append(slot)
        else:
            self._members[key] = {*members, slot}

    def discard(self, key: str, slot: int) -> None:
        members = self._members[key]
        if isinstance(members, int):
            del self._members[key]
        else:
            members.remove(slot)
            if len(members) == 1:
                self._members[key] = next(iter(members))
