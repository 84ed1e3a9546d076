"""What an episode means: pure, from the parts in which the server told it to a case report.

The parts of a case, each with the server's instant `at`: ``episode``; one per person (``Patient/x`` or ``contained``);
``RelatedPerson/x``; and what the connector saw happen to the episode as a whole: ``withdrawn`` (deleted, or no longer of a
kind that may be shared), ``moved`` (another organisation manages it), ``absent`` (gone from complete exports), ``seen`` (still
there: confirms) and ``number`` (the BSN is somebody else's).

Partial dates. A start of which only year or month is known counts from its first day: that the involvement goes on is known,
a later guess could lie ahead and hide it, and days that are over make no notice. An end counts as early as it can while the
episode is finished (its first possible day, but not before the start), and as late as it can while it is not: so that nobody
is told of an involvement that is over, and none that goes on is hidden.

Age. A child's nineteenth birthday ends nothing here: youth health care decides by itself when an episode ends, and which ages
take part is for the agreement, which the hub applies each day. The connector reads no clock.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from samenloop_connectors.ggd.config import GgdConfig, GgdOrganisation
from samenloop_connectors.ggd.identity import identity
from samenloop_connectors.sdk.errors import DataError, NotYet
from samenloop_producers.statement import CaseReport, RelatedPerson
from samenloop_schemas.codes import Consent, Domain, EndReason, RelationKind, Sensitivity, Status
from samenloop_schemas.dates import after_last_day, dutch_day
from samenloop_schemas.records import EPOCH

_STATUS = {
    "planned": Status.ANNOUNCED,
    "waitlist": Status.ANNOUNCED,
    "active": Status.ACTIVE,
    "onhold": Status.PAUSED,
    "finished": Status.ENDED,
    "cancelled": Status.RETRACTED,
    "entered-in-error": Status.RETRACTED,
}
GOES_ON = frozenset(word for word, status in _STATUS.items() if status not in (Status.ENDED, Status.RETRACTED))
_DATE = re.compile(r"^(\d{4})(?:-(\d{2})(?:-(\d{2})(T\S+)?)?)?$")
_RANK = (Sensitivity.NORMAL, Sensitivity.SENSITIVE, Sensitivity.PROTECTED)
_MARKS = {"": Sensitivity.NORMAL, "R": Sensitivity.SENSITIVE, "V": Sensitivity.PROTECTED}

Parts = Mapping[str, Any]


def report(config: GgdConfig, organisation: GgdOrganisation, number: str, parts: Parts) -> CaseReport:
    """What all parts of a case known so far say. Raises NotYet without its episode, and DataError."""
    episode = parts.get("episode")
    if episode is None:
        raise NotYet
    status = _STATUS.get(episode["status"])
    if status is None:
        raise DataError("unknown_code", "status")
    person = parts.get(episode["person"], {})
    died = bool(person.get("deceased"))
    starts_on, last_day = _period(status, episode)
    ends_on = after_last_day(last_day) if last_day else None
    reason = EndReason.NONE
    if status is Status.ENDED:
        reason = EndReason.DECEASED if died else EndReason.PLANNED
    for happened, because in (("moved", EndReason.MOVED), ("absent", EndReason.EXTERNAL)):
        on = _since(parts.get(happened), episode)
        if on and status not in (Status.ENDED, Status.RETRACTED):
            began = status is not Status.ANNOUNCED and starts_on is not None and starts_on < on
            status, reason = (Status.ENDED, because) if began else (Status.RETRACTED, reason)
            ends_on = min(ends_on, on) if ends_on else on
    if _since(parts.get("withdrawn"), episode):
        status = Status.RETRACTED
    stands = status is not Status.RETRACTED
    named = stands and organisation.consent == "not_required" and bool(person)
    return CaseReport(
        area=organisation.area,
        organisation=organisation.id,
        case_number=number,
        person_number=person.get("number") or episode["person"],
        version=EPOCH,
        status=status,
        domain=Domain.WPG,
        service_group=episode["service_group"],
        starts_on=starts_on if stands else None,
        ends_on=ends_on if stands else None,
        end_reason=reason if stands else EndReason.WRONGLY_MADE,
        contact=organisation.route(episode["team"]),
        legal_basis=config.legal_basis,
        purpose=config.purpose,
        consent=Consent.UNKNOWN,
        sensitivity=max(Sensitivity(organisation.sensitivity), _MARKS[episode["mark"]], key=_RANK.index),
        identity=identity(person, _bsn(parts, episode["person"], person)) if named else None,
        relations=_relations(parts, episode["person"], person) if named else (),
    )


def _period(status: Status, episode: Parts) -> tuple[date | None, date | None]:
    """The start and the last day. What is finished without an end ended the day before that was written; what has no start
    but an end was there on its last day."""
    if status is Status.RETRACTED:
        return None, None
    start = _days(episode["start"], "period.start")
    end = _days(episode["end"], "period.end")
    starts_on = start[0] if start else None
    if starts_on and end and end[1] < starts_on:
        raise DataError("ends_before_start", "period.end")
    if status is not Status.ENDED:
        if starts_on is None and status is not Status.ANNOUNCED:
            raise DataError("missing", "period.start")
        return starts_on, end[1] if end else None
    if end:
        last_day = max(end[0], starts_on or end[0])
    else:
        closed = _days(episode["status_since"], "statusHistory")
        written = closed[0] if closed else dutch_day(_instant(episode["at"]))
        last_day = max(written - timedelta(days=1), starts_on or date.min)
    return starts_on or last_day, last_day


def _days(text: str, field: str) -> tuple[date, date] | None:
    """The first and the last day that a date, partial date or instant can be. Raises DataError."""
    if not text:
        return None
    match = _DATE.match(text)
    try:
        if not match:
            raise ValueError
        if match[4]:
            day = datetime.fromisoformat(text)
            whole = dutch_day(day) if day.tzinfo else day.date()
            return whole, whole
        year, month, of_month = int(match[1]), int(match[2] or 0), int(match[3] or 0)
        first = date(year, month or 1, of_month or 1)
        last = first if of_month else date(year, month or 12, monthrange(year, month or 12)[1])
    except ValueError:
        raise DataError("unreadable", field) from None
    return first, last


def _since(happened: Parts | None, episode: Parts) -> date | None:
    """The day on which something happened to the episode, when no newer version of the episode says otherwise."""
    if not happened or happened.get("undone") or happened["at"] < episode["at"]:
        return None
    return dutch_day(_instant(happened.get("on", happened["at"])))


def _bsn(parts: Parts, name: str, person: Parts) -> str:
    """The person's number, unless it was found to be somebody else's."""
    number, found = str(person.get("bsn", "")), parts.get("number", {})
    return "" if (found.get("person"), found.get("bsn")) == (name, number) else number


def _relations(parts: Parts, name: str, person: Parts) -> tuple[RelatedPerson, ...]:
    """Parents and guardians: those in files of their own, then the contacts in the child's, known by their place in it."""
    known_by = person.get("number") or name
    found = [
        RelatedPerson(RelationKind(part["kind"]), key, identity(part, part["bsn"]))
        for key, part in sorted(parts.items())
        if key.startswith("RelatedPerson/") and part["of"] == name and part["kind"]
    ]
    found += [
        RelatedPerson(
            RelationKind(contact["kind"]),
            f"{known_by}/contact/{place}",
            identity(contact | {"name": [contact["name"]]}),
        )
        for place, contact in enumerate(person.get("contacts", ()))
    ]
    return tuple(each for each in found if each.identity and (each.identity.surname or each.identity.bsn))


def _instant(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)
