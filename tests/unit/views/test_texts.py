"""Every text has a Dutch one, and no page says anything that no catalogue knows."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import samenloop_views
from samenloop_schemas.dates import PartialDate
from samenloop_views.web import evidence
from samenloop_views.web.texts import Language, language_of

HERE = Path(samenloop_views.__file__).parent
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


def test_dutch_unless_chosen() -> None:
    assert language_of(None).code == "nl"
    assert language_of("en").code == "en"
    assert language_of("xx").code == "nl"
