"""What goes wrong, or is simply not known, whenever somebody writes a person down. Pure: the random source decides."""

from __future__ import annotations

from datetime import date
from random import Random
from typing import Final

from ..people import Person

YearMonthDay = tuple[int, int, int]  # 0 = that part is not known


def known_birth_date(rng: Random, person: Person) -> YearMonthDay:
    """As far as it is known anywhere; of those known by year only, some registers write 1 January."""
    born = person.birth_date
    if person.birth_known == "year":
        return (born.year, 0, 0) if rng.random() < 0.7 else (born.year, 1, 1)
    if person.birth_known == "month":
        return (born.year, born.month, 0)
    return (born.year, born.month, born.day)


def other_day(rng: Random, born: date) -> date:
    """Day and month swapped where that is a date, else a day off."""
    if born.day <= 12 and born.day != born.month:
        return born.replace(month=born.day, day=born.month)
    return born.replace(day=born.day - 1 if born.day > 15 else born.day + 1)


_SPELLINGS: Final = (
    ("ij", "y"), ("ck", "k"), ("k", "ck"), ("ss", "s"), ("sz", "s"), ("ph", "f"), ("dt", "t"), ("ui", "uy"), ("uij", "ui"),
    ("ae", "aa"), ("ë", "e"), ("ü", "u"), ("ö", "o"), ("ş", "s"), ("ı", "i"), ("ğ", "g"), ("ł", "l"), ("ń", "n"), ("ç", "c"),
    ("ch", "g"), ("ee", "e"), ("ou", "au"), ("sen", "se"), ("s", "z"), ("i", "ie"), ("nn", "n"), ("tt", "t"),
)  # fmt: skip


def slip(rng: Random, name: str, chance: float) -> str:
    """With this chance another spelling that sounds alike, else two letters swapped or one dropped."""
    if rng.random() >= chance:
        return name
    options = [name.replace(old, new, 1) for old, new in _SPELLINGS if old in name[1:]]
    options = [option for option in options if option != name and option[0] == name[0]]
    if options and rng.random() < 0.8:
        return rng.choice(options)
    at = rng.randrange(1, max(2, len(name) - 1))
    if rng.random() < 0.5 and len(name) > 4:
        return name[:at] + name[at + 1 :]
    return name[:at] + name[at : at + 2][::-1] + name[at + 2 :]
