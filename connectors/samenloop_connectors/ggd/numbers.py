"""BSNs that are not the child's own: until a newborn has one, the mother's stands in its file (RIVM, heel-prick guideline).

A BSN passes its eleven-test whoever it belongs to, so only the company it keeps gives it away. What one export can show: the
same number on a parent, or on somebody else. The number is then left out, but for one who is old enough to be a parent of
the other: brothers and sisters with one number (twins above all) have none of their own. What an export cannot show, such as
a mother who is not in the file at all, is caught by the hub, which never links on a BSN against clashing birth dates by itself.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from samenloop_connectors.ggd.resources import bsns

_PARENT_YEARS = 15


@dataclass(frozen=True, slots=True)
class _Holder:
    name: str
    born: str
    given: str
    twin: int | None
    parent: bool


class Numbers:
    """The BSNs of one export: kept in memory while it is read, and of everybody in it, whoever is spoken of afterwards."""

    def __init__(self) -> None:
        self._held: defaultdict[str, dict[str, _Holder]] = defaultdict(dict)

    def add(self, name: str, resource: Mapping[str, Any], parent: bool = False) -> None:
        for number, _ in bsns(resource):
            birth, twin = resource.get("birthDate"), resource.get("multipleBirthInteger")
            self._held[number][name] = _Holder(
                name,
                birth if isinstance(birth, str) else "",
                _first_given(resource),
                twin if isinstance(twin, int) else None,
                parent,
            )

    def is_of_another(self, name: str, number: str) -> bool:
        """Whether the export shows that the number of this person is somebody else's."""
        holders = self._held.get(number, {})
        own = holders.get(name)
        return own is not None and any(_belongs_to(other, own) for other in holders.values() if other is not own)


def _belongs_to(other: _Holder, own: _Holder) -> bool:
    if other.parent != own.parent:
        return other.parent
    known = min(len(other.born), len(own.born))
    if known and other.born[:known] != own.born[:known]:
        return _year(other) - _year(own) < _PARENT_YEARS
    if other.twin and own.twin:
        return other.twin != own.twin
    return len(other.given) > 1 and len(own.given) > 1 and other.given != own.given


def _year(holder: _Holder) -> int:
    return int(holder.born[:4]) if holder.born[:4].isdecimal() else 0


def _first_given(resource: Mapping[str, Any]) -> str:
    names = resource.get("name")
    for name in names if isinstance(names, list) else []:
        given = name.get("given") if isinstance(name, dict) else None
        for each in given if isinstance(given, list) else []:
            if isinstance(each, str) and each.strip(". "):
                plain = unicodedata.normalize("NFKD", each.split()[0]).casefold()
                return "".join(sign for sign in plain if sign.isalpha())
    return ""
