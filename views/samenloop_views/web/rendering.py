"""Templates and the files beside them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from samenloop_views.web.texts import Language, catalogue

HERE = Path(__file__).resolve().parent.parent
STATIC = HERE / "static"


@cache
def environment(language: str) -> Environment:
    """The templates in one language."""
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    messages = catalogue(language)
    templates.install_gettext_callables(messages.gettext, messages.ngettext, newstyle=True)  # type: ignore[attr-defined]
    templates.globals["static"] = static_url
    templates.globals["say"] = Language(language)
    return templates


def render(template: str, language: Language, **values: Any) -> str:
    return environment(language.code).get_template(template).render(**values)


@cache
def static_url(name: str) -> str:
    """The address of a static file with its digest, so that it may be kept for good."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
