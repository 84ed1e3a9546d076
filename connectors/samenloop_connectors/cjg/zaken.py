"""Looks at zaken of one organisation and says what each look means for the cases known of it.

Per zaak a note is kept: the cases made of it, each with its version, and the mark of its row in a list. The version of a case
changes exactly when what is known of it changes. It is the source's own moment of change (`laatstGemuteerd`) where the source
tells one, but never after the moment of the look, nor before the last version: clocks may differ, and roles may change without
it. So a later look always outranks an earlier one, and a look that shows nothing new says nothing new. The version is part of
the payload: what a case said before and says again is another sighting, in whatever order the two become known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from samenloop_connectors.cjg import snapshot
from samenloop_connectors.cjg.client import ZgwClient
from samenloop_connectors.cjg.config import CjgConfig
from samenloop_connectors.sdk.connector import Item, Payload, Unreadable
from samenloop_connectors.sdk.errors import DataError
from samenloop_connectors.sdk.notebook import Note
from samenloop_schemas.dates import micros
from samenloop_schemas.ids import canonical_json

HOLD = 60_000_000
"""How long the last person of a running zaak may be away, in microseconds: roles are corrected by deleting and making them."""

Found = list[Item | Unreadable]


@dataclass(slots=True)
class Looked:
    """What looks brought: items for the runner, notes for the notebook, zaken that must be looked at again soon,
    and places at which nothing is wrong any more."""

    items: Found = field(default_factory=list)
    notes: dict[str, Note | None] = field(default_factory=dict)
    again: list[str] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)

    def add(self, items: Iterable[Item | Unreadable]) -> None:
        """A reading tells of a case once; what it tells first stands."""
        for item in items:
            if not item.case_number or item.case_number not in self._told:
                self.items.append(item)
                self._told.add(item.case_number)


class Zaken:
    """`digest` is a keyed hash that outlives restarts."""

    def __init__(self, config: CjgConfig, organisation: str, client: ZgwClient, digest: snapshot.Digest) -> None:
        self._config = config
        self._organisation = organisation
        self._client = client
        self._digest = digest

    def look(self, zaak: Mapping[str, Any], note: Note | None, at: int, into: Looked) -> None:
        """Fetch what belongs to a zaak and add what it means. Raises ConfigurationError or TransientError."""
        uuid = str(zaak.get("uuid"))
        try:
            self._look(uuid, zaak, note, at, into)
            into.cleared.append(self._place(zaak))
        except DataError as error:
            into.add(self._unreadable(zaak, note, error))

    def gone(self, uuid: str, note: Note, at: int, into: Looked) -> None:
        """A zaak that the API no longer has.

        One that went on was made by mistake: a zaak in progress may not be destroyed for any other reason. One that had ended
        was destroyed when its time had come; that somebody was involved stays true, and the hub has a term of its own.
        """
        cases = (
            note["cases"]
            if note["ended"]
            else self._withdraw(note["cases"], _standing(note["cases"]), "destroyed", at, into)
        )
        into.notes[uuid] = {**note, "cases": cases, "mark": "", "gone": True}

    def _look(self, uuid: str, zaak: Mapping[str, Any], note: Note | None, at: int, into: Looked) -> None:
        known: Mapping[str, Mapping[str, Any]] = note["cases"] if note else {}
        name, shared = snapshot.shared_as(self._config, self._client.type_of(zaak.get("zaaktype"), "zaaktype"))
        if shared is None:
            if note is not None:
                cases = self._withdraw(known, _standing(known), "not_shared", at, into)
                into.notes[uuid] = self._note(zaak, note, cases)
            return
        status, result = self._linked(zaak, "status", "statustype"), self._linked(zaak, "resultaat", "resultaattype")
        shown = snapshot.snapshot(
            self._config, name, shared, zaak, status, result, self._roles(uuid, zaak), self._digest
        )
        ended = bool(snapshot.text(zaak.get("einddatum")))
        away = [number for number in _standing(known) if number not in shown.cases and number not in shown.unnamed]
        nobody = not shown.cases and not shown.unnamed
        since = (note or {}).get("away") or at
        if nobody and note and note["ended"] and ended:
            away = []  # what has ended is made anonymous in time, and was true all the same
        held = nobody and not ended and bool(away) and at - since < HOLD
        if held:
            into.again.append(uuid)
        version = _instant(zaak.get("laatstGemuteerd"))
        cases = dict(known) if held or not away else self._withdraw(known, away, "replaced", at, into)
        for number, payload in shown.cases.items():
            cases[number] = self._case(number, payload, known.get(number), version, at, into)
        into.add(
            Unreadable(self._organisation, "described_elsewhere", "betrokkene", self._organisation, number)
            for number in shown.unnamed
        )
        into.notes[uuid] = self._note(zaak, note, cases) | ({"away": since, "mark": ""} if held else {})

    def _case(
        self, number: str, payload: Payload, known: Mapping[str, Any] | None, changed: int | None, at: int, into: Looked
    ) -> dict[str, Any]:
        """The item of a case, and what is noted of it."""
        mark = hashlib.blake2b(canonical_json(dict(payload)), digest_size=12).hexdigest()
        if known is not None and known["mark"] == mark:
            version = known["version"]
        else:
            version = max(known["version"] + 1 if known else 1, min(at, changed or at))
        into.add([Item(self._organisation, number, version, {**payload, "version": version})])
        return {"mark": mark, "version": version, "left": snapshot.withdrawn(payload, "")}

    def _withdraw(
        self, known: Mapping[str, Mapping[str, Any]], away: Iterable[str], why: str, at: int, into: Looked
    ) -> dict[str, Any]:
        """The cases with some of them taken back."""
        cases = dict(known)
        for number in away:
            payload = {**known[number]["left"], "withdrawn": why}
            cases[number] = {**self._case(number, payload, known[number], None, at, into), "left": payload}
        return cases

    def _note(self, zaak: Mapping[str, Any], note: Note | None, cases: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "mark": snapshot.row_mark(zaak),
            "startdatum": snapshot.text(zaak.get("startdatum")),
            "ended": bool(snapshot.text(zaak.get("einddatum"))),
            "cases": dict(cases),
            "listed": (note or {}).get("listed", 0),
        }

    def _linked(self, zaak: Mapping[str, Any], name: str, kind: str) -> Mapping[str, Any] | None:
        """The type of the zaak's status or result; None when it has none."""
        if not zaak.get(name):
            return None
        return self._client.type_of(self._client.linked(zaak[name], name).get(kind), kind)

    def _roles(self, uuid: str, zaak: Mapping[str, Any]) -> list[dict[str, Any]]:
        """An API that does not know the filter would give everybody's roles."""
        url = zaak.get("url")
        if not self._client.is_own(url) or not str(url).endswith(f"zaken/{uuid}"):
            raise DataError("foreign_address", "url")
        roles = self._client.roles(str(url))
        if any(role.get("zaak") != url for role in roles):
            raise DataError("another_zaak", "rollen")
        return roles

    def _unreadable(self, zaak: Mapping[str, Any], note: Note | None, error: DataError) -> Found:
        """Told of every case known of the zaak, or of the zaak as such."""
        numbers = sorted(note["cases"]) if note else []
        return [
            Unreadable(self._organisation, error.code, error.field, self._organisation, number) for number in numbers
        ] or [Unreadable(self._place(zaak), error.code, error.field)]

    def _place(self, zaak: Mapping[str, Any]) -> str:
        """Where to look, without its number: this lies on the disk in clear."""
        began = snapshot.text(zaak.get("startdatum"))[:10]
        mark = self._digest(f"zaak {zaak.get('uuid')}")[:8]
        return f"{self._organisation}, a zaak that began on {began if _is_day(began) else 'an unknown day'} ({mark})"


def _is_day(written: str) -> bool:
    try:
        return bool(date.fromisoformat(written))
    except ValueError:
        return False


def _standing(cases: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Those that were not taken back."""
    return [number for number, case in cases.items() if not case["left"]["withdrawn"]]


def _instant(value: Any) -> int | None:
    """Microseconds since 1970; None for no moment, or one without a time zone."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return micros(moment) if moment.tzinfo is not None else None
