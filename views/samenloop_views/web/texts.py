"""Languages and dates. Message ids are English; the catalogues are read from their .po files when the process starts."""

from __future__ import annotations

import gettext
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files

from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from samenloop_schemas.dates import DUTCH_TIME, PartialDate

LANGUAGES = ("nl", "en")
DEFAULT = "nl"
_LONGEST_HEADER = 200
_WEIGHT = re.compile(r"q=([01](?:\.\d{0,3})?)")


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """The messages of a language; English is what the ids say."""
    if language == "en":
        return gettext.NullTranslations()
    source = files("samenloop_views") / "locale" / language / "LC_MESSAGES" / "messages.po"
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(source.read_bytes()), locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@dataclass(frozen=True, slots=True)
class Language:
    """What a template needs of one language."""

    code: str

    @property
    def gettext(self) -> Callable[[str], str]:
        return catalogue(self.code).gettext

    @property
    def ngettext(self) -> Callable[[str, str, int], str]:
        return catalogue(self.code).ngettext

    def number(self, number: int) -> str:
        return format_decimal(number, locale=self.code)

    def day(self, day: date | None) -> str:
        return format_date(day, "d MMMM y", locale=self.code) if day else ""

    def short(self, day: date | None) -> str:
        return format_date(day, "d MMM y", locale=self.code) if day else ""

    def weekday(self, day: date) -> str:
        return format_date(day, "EEEE d MMMM", locale=self.code)

    def month(self, day: date) -> str:
        return format_date(day, "MMM y" if day.month > 1 else "y", locale=self.code)

    def moment(self, moment: datetime) -> str:
        return format_datetime(moment, "d MMMM y, HH:mm", tzinfo=DUTCH_TIME, locale=self.code)

    def partial(self, day: PartialDate) -> str:
        """As much of the date as is known."""
        if day.complete:
            return self.day(date(day.year, day.month, day.day))
        if day.year and day.month:
            return format_date(date(day.year, day.month, 1), "MMMM y", locale=self.code)
        return str(day.year) if day.year else ""


def language_of(chosen: str | None, accepted: str = "") -> Language:
    """The language that a person chose; until then the one that the browser asks for first (Accept-Language), else Dutch."""
    if chosen in LANGUAGES:
        return Language(chosen)
    wanted = [(quality, -place, name) for place, (name, quality) in enumerate(_asked_for(accepted)) if quality > 0]
    return Language(next((name for _, _, name in sorted(wanted, reverse=True) if name in LANGUAGES), DEFAULT))


def _asked_for(accepted: str) -> Iterator[tuple[str, float]]:
    """Language and weight of each part of an Accept-Language header (RFC 9110, 12.5.4), regions left out."""
    for part in accepted[:_LONGEST_HEADER].split(","):
        name, _, weight = part.partition(";")
        found = _WEIGHT.fullmatch(weight.strip()) if weight else None
        quality = float(found[1]) if found else 0.0 if weight else 1.0
        yield name.strip().lower().partition("-")[0], quality
