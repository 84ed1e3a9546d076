"""Languages and dates. Message ids are English; the catalogues are read from their .po files when the process starts."""

from __future__ import annotations

import gettext
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files

from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from samenloop_schemas.dates import DUTCH_TIME, PartialDate

LANGUAGES = ("nl", "en")
DEFAULT = "nl"


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


def language_of(chosen: str | None) -> Language:
    """The language a person chose, else Dutch: the browser's own setting says little about a workplace."""
    return Language(chosen if chosen in LANGUAGES else DEFAULT)
