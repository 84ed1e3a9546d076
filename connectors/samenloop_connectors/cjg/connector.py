"""Fetches the zaken that notifications name, and now and then lists them, so that nothing hangs on a notification.

A notification is at most a reason to look: it may come twice, late, or never. What a zaak means is read from the zaak, and
that it is gone is believed only when the API answers 404 to a request for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from samenloop_connectors.cjg import mapping, snapshot
from samenloop_connectors.cjg.client import UUID, NotAllowed, ZgwClient
from samenloop_connectors.cjg.config import CjgConfig, CjgOrganisation
from samenloop_connectors.cjg.listener import NotificationServer
from samenloop_connectors.cjg.zaken import Looked, Zaken
from samenloop_connectors.sdk.connector import Cursor, Failed, Known, Payload, Reading
from samenloop_connectors.sdk.errors import ConfigurationError, DataError, EdgeError, TransientError
from samenloop_connectors.sdk.notebook import Note, Notebook
from samenloop_producers.statement import CaseReport
from samenloop_schemas.dates import dutch_day, micros

_AT_ONCE = 25
"""Zaken per reading of what was notified."""
_UNKNOWN_KEPT, _FORBIDDEN_KEPT = 15 * 60 * 1_000_000, 24 * 3600 * 1_000_000
"""How long a notification about a zaak that is not there (yet), or may not be read, is tried again: microseconds."""
_FEW = 20


class CjgConnector:
    """Each organisation is a stream. A stream counts as read when its zaken were listed. Its cursor:

    ``at``: the last reading. ``listed``, ``whole``: when a list (of all zaken) last began and was finished. ``paging``: where
    an unfinished one stands: page, whether of all, from which day, and the mark it leaves on what it sees.
    """

    Config = CjgConfig
    source_system = "zgw"

    def __init__(
        self,
        config: CjgConfig,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._config = config
        self._now = now
        self._by_id = {each.id: each for each in config.organisations}
        self._clients = {each.id: ZgwClient(each, config.timeout_seconds, now, wait) for each in config.organisations}
        self._server: NotificationServer | None = None
        self._notebook: Notebook | None = None

    def attach(self, notebook: Notebook) -> None:
        self._notebook = notebook

    def start(self, wake: Callable[[], None]) -> None:
        """Receive notifications from now on."""
        self._server = NotificationServer(self._config.listen, self._by_id, self.receive, wake)

    @property
    def port(self) -> int:
        """Where notifications are received, once started."""
        assert self._server is not None
        return self._server.port

    def receive(self, organisation: str, uuid: str, case_type: str) -> None:
        """Keep a notification; on disk when this returns. May be called from any thread."""
        body = {"uuid": uuid, "type": case_type, "at": micros(self._now())}
        self._notes.lay(f"notified {organisation}", body)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for client in self._clients.values():
            client.close()

    def check(self) -> list[str]:
        problems: list[EdgeError] = []
        lines = []
        for organisation in self._config.organisations:
            client = self._clients[organisation.id]
            try:
                client.log_in()
                lines.append(f"{organisation.id}: {organisation.base_url} lets us read zaken")
                known = [name for name in self._config.case_types if any(True for _ in client.case_types(name))]
            except (ConfigurationError, TransientError) as error:
                problems.append(error)
            else:
                lines.append(
                    f"{organisation.id}: {len(known)} of {len(self._config.case_types)} case types are in the catalogue"
                )
        if problems and all(isinstance(problem, TransientError) for problem in problems):
            raise TransientError("; ".join(map(str, problems)))
        if problems:
            raise ConfigurationError("not every source can be read", [str(problem) for problem in problems])
        return lines

    def read(self, known: Known) -> Iterator[Reading | Failed]:
        for organisation in self._config.organisations:
            stream = organisation.id
            try:
                yield from self._notified(organisation, known)
                yield from self._list(organisation, known)
            except EdgeError as error:
                yield Failed(stream, error)

    def report(self, organisation: str, case_number: str, payload: Payload) -> CaseReport:
        found = self._by_id.get(organisation)
        if found is None:
            raise DataError("organisation_gone", "organisations")
        return mapping.report(self._config, found, case_number, payload)

    @property
    def _notes(self) -> Notebook:
        if self._notebook is None:
            raise ConfigurationError("the connector has no state: it is read by a runner")
        return self._notebook

    def _zaken(self, organisation: str) -> Zaken:
        return Zaken(self._config, organisation, self._clients[organisation], lambda text: self._notes.digest(text))

    def _at(self, cursor: Mapping[str, Any]) -> int:
        """The instant of the next reading: later than the last, whatever our clock says."""
        return max(micros(self._now()), int(cursor.get("at", 0)) + 1)

    def _notified(self, organisation: CjgOrganisation, known: Known) -> Iterator[Reading | Failed]:
        """The zaken that notifications name, each once. What cannot be fetched now stays in the tray."""
        stream = organisation.id
        waiting: dict[str, list[tuple[int, Note]]] = {}
        for seq, told in self._notes.tray(f"notified {stream}"):
            waiting.setdefault(told["uuid"], []).append((seq, told))
        uuids = list(waiting)
        for start in range(0, len(uuids), _AT_ONCE):
            cursor = dict(known.cursor(stream) or {})
            at = self._at(cursor)
            looked, clear = Looked(), list[int]()
            failed: EdgeError | None = None
            for uuid in uuids[start : start + _AT_ONCE]:
                try:
                    done = self._fetch(stream, uuid, waiting[uuid], at, looked)
                except NotAllowed as error:
                    failed = error
                    done = _age(waiting[uuid], at) > _FORBIDDEN_KEPT
                except EdgeError as error:
                    failed = error
                    break
                if done and uuid not in looked.again:
                    clear += [seq for seq, _ in waiting[uuid]]
            done_with = self._settler(stream, looked.notes, clear)
            yield Reading(
                stream, at, False, looked.items, cursor={**cursor, "at": at}, last=False, cleared=tuple(looked.cleared),
                done=done_with,
            )  # fmt: skip
            if failed is not None and not isinstance(failed, NotAllowed):
                raise failed
            if failed is not None:
                yield Failed(stream, failed)

    def _fetch(self, stream: str, uuid: str, told: list[tuple[int, Note]], at: int, into: Looked) -> bool:
        """Look at one zaak; returns whether the notifications about it are dealt with."""
        note = self._notes.note(f"zaak {stream}", uuid)
        if note is None and not self._may_be_shared(stream, told):
            return True
        zaak = self._clients[stream].zaak(uuid)
        if zaak is not None:
            self._zaken(stream).look(zaak, note, at, into)
        elif note is not None:
            self._zaken(stream).gone(uuid, note, at, into)
        else:
            return _age(told, at) > _UNKNOWN_KEPT
        return True

    def _may_be_shared(self, stream: str, told: list[tuple[int, Note]]) -> bool:
        """By the zaaktype that the notifications name: a zaak that is not shared is not even fetched."""
        try:
            types = [self._clients[stream].type_of(each["type"], "zaaktype") for _, each in told if each["type"]]
        except DataError:
            return True
        return not types or any(snapshot.shared_as(self._config, each)[1] is not None for each in types)

    def _list(self, organisation: CjgOrganisation, known: Known) -> Iterator[Reading | Failed]:
        """When it is due: the zaken that began lately, or all; then those that were known and are not in the list."""
        stream, kind = organisation.id, f"zaak {organisation.id}"
        cursor = dict(known.cursor(stream) or {})
        paging = cursor.get("paging") or self._due(cursor)
        if paging is None:
            return
        since = date.fromisoformat(paging["since"]) if paging["since"] else None
        client, zaken, more = self._clients[stream], self._zaken(stream), True
        while more:
            at = self._at(cursor)
            rows, more = client.page(paging["page"], since, self._config.ordering)
            looked, uuids = Looked(), set[str]()
            for row in rows:
                uuid = str(row.get("uuid"))
                if UUID.fullmatch(uuid) and uuid not in uuids:
                    uuids.add(uuid)
                    self._row(zaken, row, self._notes.note(kind, uuid), paging, at, looked)
            paging = {**paging, "page": paging["page"] + 1}
            cursor = {**cursor, "at": at, "paging": paging}
            yield Reading(
                stream, at, False, looked.items, cursor=cursor, last=False, cleared=tuple(looked.cleared),
                done=self._settler(stream, looked.notes, again=looked.again),
            )  # fmt: skip
        yield from self._missing(organisation, cursor, paging)

    def _row(
        self, zaken: Zaken, row: Mapping[str, Any], note: Note | None, paging: Note, at: int, into: Looked
    ) -> None:
        """A row that says nothing new is passed over; when all are listed, what goes on is looked at all the same."""
        uuid = str(row["uuid"])
        if note is None and self._long_over(row):
            return
        same = note is not None and note["mark"] == snapshot.row_mark(row)
        if note is None or not same or paging["anew"] or (paging["whole"] and not note["ended"]):
            zaken.look(row, note, at, into)
            note = into.notes.get(uuid, note)
        if note is not None:
            into.notes[uuid] = {**note, "listed": paging["mark"]}

    def _missing(self, organisation: CjgOrganisation, cursor: Cursor, paging: Note) -> Iterator[Reading]:
        """Known zaken that the list should have shown, asked for one by one. Finishes the list."""
        stream = organisation.id
        at = self._at(cursor)
        notes = self._notes.notes(f"zaak {stream}")
        meant = {
            uuid: note
            for uuid, note in notes.items()
            if not note.get("gone") and (paging["whole"] or note["startdatum"] >= paging["since"])
        }
        looked, forbidden, gone = Looked(), None, 0
        for uuid in [uuid for uuid, note in meant.items() if note["listed"] != paging["mark"]]:
            try:
                zaak = self._clients[stream].zaak(uuid)
            except NotAllowed as error:
                forbidden = error
                continue
            if zaak is not None:
                self._zaken(stream).look(zaak, meant[uuid], at, looked)
            else:
                gone += 1
                self._zaken(stream).gone(uuid, meant[uuid], at, looked)
        if gone > _FEW and gone > len(meant) // 2 and not self._config.believe_gone:
            raise ConfigurationError(
                f"{stream}: {gone} of {len(meant)} zaken are gone at once; nothing was taken back. If base_url leads to the "
                "right system and they were really destroyed, set believe_gone: true for one run"
            )
        begun = paging["mark"]
        ended = {"at": at, "listed": begun, "whole": begun if paging["whole"] else cursor.get("whole", 0)}
        done = self._settler(stream, looked.notes, again=looked.again)
        yield Reading(stream, at, False, looked.items, cursor=ended, cleared=tuple(looked.cleared), done=done)
        if forbidden is not None:
            raise forbidden

    def _due(self, cursor: Mapping[str, Any]) -> dict[str, Any] | None:
        """The list to begin now; a clock that was set back is no reason to wait."""
        now = micros(self._now())
        whole = not 0 <= now - cursor.get("whole", 0) < self._config.whole_hours * 3_600_000_000
        if not whole and 0 <= now - cursor.get("listed", 0) < self._config.reconcile_seconds * 1_000_000:
            return None
        since = mapping.days_before(dutch_day(self._now()), self._config.reconcile_days)
        return {"page": 1, "whole": whole, "since": "" if whole else since.isoformat(), "mark": self._at(cursor),
                "anew": "listed" not in cursor}  # fmt: skip

    def _long_over(self, row: Mapping[str, Any]) -> bool:
        ended = snapshot.text(row.get("einddatum"))
        return bool(ended) and ended < mapping.days_before(dutch_day(self._now()), self._config.ended_days).isoformat()

    def _settler(
        self,
        stream: str,
        notes: Mapping[str, Note | None],
        clear: list[int] | None = None,
        again: list[str] | None = None,
    ) -> Callable[[], None]:
        """What is written once the cases are: so that a kill between the two only makes us look again."""

        def done() -> None:
            self._notes.write(f"zaak {stream}", notes, clear or ())
            for uuid in again or ():
                self.receive(stream, uuid, "")

        return done


def _age(told: list[tuple[int, Note]], at: int) -> int:
    """Microseconds since the first of these notifications came."""
    return at - min(int(each["at"]) for _, each in told)
