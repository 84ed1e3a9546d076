"""From what the reader found to what the templates say: words, deadlines, freshness. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from samenloop_schemas.codes import ActorRole, CaseState, Role
from samenloop_schemas.dates import dutch_day
from samenloop_schemas.records import IdentityFacts
from samenloop_views.web.case_view import CaseView
from samenloop_views.web.evidence import Gettext, grounds
from samenloop_views.web.naming import full_name
from samenloop_views.web.reading import Feed, Found
from samenloop_views.web.texts import Language
from samenloop_views.web.timeline import draw

SILENT_AFTER = timedelta(days=2)
"""Feeds that bring anything at all bring it daily, or on working days."""


@dataclass(frozen=True, slots=True)
class FeedShown:
    organisations: tuple[str, ...]
    state: str
    heard_at: Any
    day: date | None


def feeds(found: Sequence[Feed], today: date | None) -> list[FeedShown]:
    """`never` heard from, `silent` for days, or `fresh`: "nothing known" and "not heard" are different things."""
    shown = []
    for feed in found:
        day = dutch_day(feed.heard_at) if feed.heard_at else None
        silent = day is not None and today is not None and today - day > SILENT_AFTER
        state = "never" if day is None else "silent" if silent else "fresh"
        shown.append(FeedShown(feed.organisations, state, feed.heard_at, day))
    return shown


def last_day(end: date) -> date:
    """People read the last day; periods here end on the first day no longer in them."""
    return end - timedelta(days=1)


def deadline(view: CaseView, say: Language) -> tuple[str, bool]:
    """In words, and whether it has passed; empty when nobody needs to act."""
    by, _ = view.case.contact_by, say.gettext
    if by is None or not view.needs_contact:
        return "", False
    if view.today is not None and view.today > by:
        return _("You should have spoken to each other by %(day)s.") % {"day": say.weekday(by)}, True
    return _("Speak to each other by %(day)s.") % {"day": say.weekday(by)}, False


def state(view: CaseView, _: Gettext) -> str:
    if view.over:
        return _("over")
    words: Mapping[CaseState, str] = {
        CaseState.DETECTED: _("new"),
        CaseState.NOTIFIED: _("contact needed"),
        CaseState.ACKNOWLEDGED: _("seen, contact needed"),
        CaseState.CONTACT_MADE: _("contact made"),
        CaseState.COORDINATION_AGREED: _("coordination agreed"),
        CaseState.NO_COORDINATION_NEEDED: _("no coordination needed"),
        CaseState.MONITORED: _("being followed"),
        CaseState.CLOSED: _("over"),
    }
    return words[view.case.state]


def role_name(role: ActorRole, _: Gettext) -> str:
    return {
        ActorRole.PROFESSIONAL: _("professional"),
        ActorRole.PROCESS_DIRECTOR: _("process director"),
    }.get(role, "")


def involvement_role(role: Role, _: Gettext) -> str:
    return {
        Role.HELP: _("gives help"),
        Role.CASE_DIRECTOR: _("case director, beside the family"),
        Role.SIGNALLING: _("keeps an eye out, gives no help"),
    }.get(role, _("not stated"))


def in_list(found: Found, person: IdentityFacts | None, say: Language) -> dict[str, Any]:
    words, late = deadline(found.view, say)
    return {
        "id": found.view.case.case_id,
        "view": found.view,
        "timeline": draw(found.view),
        "deadline": words,
        "late": late,
        **_person(person, say),
    }


def whole(found: Found, person: IdentityFacts | None, say: Language) -> dict[str, Any]:
    view, _ = found.view, say.gettext
    # of a sensitive service not even how well it agrees
    by_lane = [
        (lane, [f for f in view.other_facts if f.party == lane.party]) for lane in view.others if not lane.hidden
    ]
    return {
        "view": view,
        "timeline": draw(view),
        "state": state(view, _),
        "deadline": deadline(view, say)[0],
        "grounds": [(lane, grounds(found.client, view.own_facts, facts, _)) for lane, facts in by_lane],
        **_person(person, say),
    }


def _person(person: IdentityFacts | None, say: Language) -> dict[str, str]:
    return {
        "name": full_name(person) if person else "",
        "born": say.partial(person.birth_date) if person else "",
    }
