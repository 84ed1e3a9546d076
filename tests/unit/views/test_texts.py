"""Every text has a Dutch one, and no page says anything that no catalogue knows."""

from __future__ import annotations

import io
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import samenloop_views
from samenloop_schemas.dates import PartialDate
from samenloop_views.web import evidence
from samenloop_views.web.texts import LANGUAGES, Language, catalogue, language_of

HERE = Path(samenloop_views.__file__).parent
SAME_IN_BOTH = {"E-mail", "Overlap", "Team", "professional"}
PLURALS = ("With %(num)s person", "With %(num)s people")
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def message_ids() -> set[str]:
    """From calls in code and templates, and from the tables of the evidence."""
    found: set[str] = set(evidence._FIELDS.values())
    found |= {words for _, words in evidence._LEVELS.values()} | {"is the same", "differs"}
    methods = [("web/**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
    for _, _, ids, _, _ in extract_from_dir(HERE, methods, keywords={"_": None, "gettext": None, "ngettext": (1, 2)}):
        found |= {ids} if isinstance(ids, str) else set(ids)
    return found


def test_dutch_is_complete_and_exact() -> None:
    catalogue = read_po(io.BytesIO((HERE / "locale/nl/LC_MESSAGES/messages.po").read_bytes()), locale="nl")
    known: dict[str, str] = {}
    for message in catalogue:
        if message.id:
            assert not message.fuzzy, message.id
            ids = message.id if isinstance(message.id, tuple) else (message.id,)
            texts = message.string if isinstance(message.string, tuple) else (message.string,)
            known |= dict(zip(ids, texts, strict=True))
    assert known.keys() == message_ids()
    for source, text in known.items():
        assert text, source
        assert sorted(PLACEHOLDER.findall(source)) == sorted(PLACEHOLDER.findall(text)), source


@pytest.mark.parametrize("template", sorted((HERE / "templates").glob("*.html")), ids=lambda path: path.name)
def test_no_bare_words_in_templates(template: Path) -> None:
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", template.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", " ", text)
    words = set(re.findall(r"[A-Za-z]{3,}", text)) - {"Samenloop", "English", "Nederlands"}
    assert not words


def test_dates_are_said_in_the_language() -> None:
    assert Language("nl").partial(PartialDate(1984, 5, 17)) == "17 mei 1984"
    assert Language("nl").partial(PartialDate(1984, 5)) == "mei 1984"
    assert Language("en").partial(PartialDate(1984)) == "1984"
    assert Language("en").partial(PartialDate()) == ""


@pytest.mark.parametrize("template", sorted((HERE / "templates").glob("*.html")), ids=lambda path: path.name)
def test_no_bare_words_in_attributes_that_are_read_out(template: Path) -> None:
    text = re.sub(r"\{#.*?#\}", " ", template.read_text("utf-8"), flags=re.DOTALL)
    said = re.findall(r'\b(?:aria-label|alt|title|placeholder|aria-description)="([^"]*)', text)
    assert all(value.startswith("{{ _(") for value in said), said


def test_english_is_what_the_ids_say() -> None:
    """An id that is no English text would show on the English pages: none holds a word that only Dutch has."""
    dutch = re.compile(r"\b(de|het|een|van|niet|uw|zijn|wordt|voor|met)\b", re.IGNORECASE)
    assert [text for text in message_ids() if dutch.search(text)] == []


@pytest.mark.parametrize("code", LANGUAGES)
def test_both_languages_know_every_text(code: str) -> None:
    known, (many, one) = catalogue(code), sorted(text for text in message_ids() if text.startswith(PLURALS))
    person, people = known.ngettext(one, many, 1), known.ngettext(one, many, 2)
    assert people != person
    assert code == "en" or not {people, person} & {one, many}
    for text in message_ids() - {one, many}:
        said = known.gettext(text)
        assert said, text
        assert code == "en" or said != text or text in SAME_IN_BOTH, text


def test_dates_and_numbers_are_said_in_the_language() -> None:
    day, moment = date(2026, 3, 5), datetime(2026, 3, 5, 8, 5, tzinfo=UTC)
    dutch, english = Language("nl"), Language("en")
    assert (dutch.day(day), english.day(day)) == ("5 maart 2026", "5 March 2026")
    assert (dutch.weekday(day), english.weekday(day)) == ("donderdag 5 maart", "Thursday 5 March")
    assert (dutch.moment(moment), english.moment(moment)) == ("5 maart 2026, 09:05", "5 March 2026, 09:05")
    assert (dutch.number(12345), english.number(12345)) == ("12.345", "12,345")


@pytest.mark.parametrize(
    ("chosen", "accepted", "code"),
    [
        (None, "", "nl"),
        ("en", "nl-NL,nl;q=0.9", "en"),
        ("xx", "", "nl"),
        ("xx", "en", "en"),
        (None, "en-GB,en;q=0.8,nl;q=0.6", "en"),
        (None, "de-DE,de;q=0.9,nl;q=0.5,en;q=0.7", "en"),
        (None, "en;q=0.3, nl;q=0.8", "nl"),
        (None, "en;q=0, nl;q=0.1", "nl"),
        (None, "fr, *;q=0.5", "nl"),
        (None, "en;q=many", "nl"),
        (None, ",;=,,q", "nl"),
    ],
)
def test_what_was_chosen_else_what_the_browser_asks_for(chosen: str | None, accepted: str, code: str) -> None:
    assert language_of(chosen, accepted).code == code
