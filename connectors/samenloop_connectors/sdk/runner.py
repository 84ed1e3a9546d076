"""Takes readings of a source, keeps what they show of each case, and puts into the outbox what has to be said.

A reading is taken in transactions of some hundred cases: history, last statement and outbox rows change together, and the
cursor with the last of them. Taking a reading twice, or again after a kill half-way, says nothing new: see `history`.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

from samenloop_connectors.sdk import account, not_kept
from samenloop_connectors.sdk.connector import Connector, Cursor, Failed, Item, Payload, Reading, TakenBack, Unreadable
from samenloop_connectors.sdk.errors import ConfigurationError, DataError, EdgeError, NotYet, TransientError
from samenloop_connectors.sdk.history import UNREAD, Standing, miss, newest, see, standing
from samenloop_connectors.sdk.notebook import Notebook
from samenloop_connectors.sdk.parts import payloads, standing_of_parts, with_part
from samenloop_connectors.sdk.state import CaseRecord, State
from samenloop_producers.keys import EdgeKeys
from samenloop_producers.metrics import EdgeMetrics
from samenloop_producers.outbox import Event
from samenloop_producers.statement import CaseReport, StatementMaker
from samenloop_schemas import codec, headers, ids
from samenloop_schemas.codes import EndReason, Status
from samenloop_schemas.dates import micros
from samenloop_schemas.records import InvolvementStatement
from samenloop_schemas.topics import area_key

log = logging.getLogger(__name__)
_CHUNK = 200
_NOT_LIVE = (Status.ENDED, Status.RETRACTED)


@dataclass(frozen=True, slots=True)
class Taken:
    """What one round over the source brought."""

    items: int = 0
    unreadable: int = 0
    stated: int = 0
    failed: tuple[Failed, ...] = ()


class Anew:
    """What a connector may ask of a state in which some streams were never read."""

    def __init__(self, state: State, streams: frozenset[str]) -> None:
        self._state = state
        self._streams = streams

    def cursor(self, stream: str) -> Cursor | None:
        return None if stream in self._streams else self._state.cursor(stream)

    def readings(self, stream: str) -> Mapping[int, str]:
        return {} if stream in self._streams else self._state.readings(stream)

    def told(self, stream: str) -> Iterator[tuple[str, str, Mapping[str, Payload]]]:
        return self._state.told(stream)


class Runner:
    """Everything between a connector and the outbox, for one partner."""

    def __init__(
        self,
        connector: Connector,
        state: State,
        keys: EdgeKeys,
        maker: StatementMaker,
        metrics: EdgeMetrics,
        *,
        inbox: str,
        source: str,
        confirm_days: int = 90,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        progress: Callable[[str, int], None] = lambda stream, items: None,
    ) -> None:
        """`progress` hears of a reading that goes on: how many items were taken so far."""
        self._connector = connector
        self._state = state
        self._keys = keys
        self._maker = maker
        self._metrics = metrics
        self._inbox = inbox
        self._source = source
        self._confirm_days = confirm_days
        self._now = now
        self._progress = progress
        if attach := getattr(connector, "attach", None):
            attach(Notebook(state.store, keys))

    def round(self, stopped: Callable[[], bool] = lambda: False) -> Taken:
        """Take whatever is new. A stream that fails is remembered and counted; the others go on.

        A stream that somebody asked to have read from its beginning is asked for so until it was read, or until a cursor of
        the new reading was saved.
        """
        total, anew = Taken(), self._state.reread()
        for stream in sorted(anew):
            if forget := getattr(self._connector, "forget", None):
                forget(stream)
        for found in self._connector.read(Anew(self._state, anew) if anew else self._state):
            if isinstance(found, Failed):
                self._fail(found)
                total = replace(total, failed=(*total.failed, found))
            else:
                taken = self.take(found, begun_anew=found.stream in anew and found.cursor is not None)
                total = replace(
                    total,
                    items=total.items + taken.items,
                    unreadable=total.unreadable + taken.unreadable,
                    stated=total.stated + taken.stated,
                )
            if stopped():
                break
        else:
            with self._state.store.transaction() as db:
                for stream in anew - {failed.stream for failed in total.failed}:
                    self._state.was_reread(db, stream)
        self._metrics.set_aside(self._state.set_aside_count())
        return total

    def take(self, reading: Reading, *, begun_anew: bool = False) -> Taken:
        """Take one reading in whole."""
        began = time.time()
        before = self._state.complete_readings(reading.stream)
        readings = sorted({*before, reading.at}) if reading.complete else before
        token = secrets.randbits(62) | 1
        items = unreadable = stated = 0
        for chunk in _chunks(reading.items):
            with self._state.store.transaction() as db:
                for item in chunk:
                    items += 1
                    unreadable += isinstance(item, Unreadable)
                    stated += self._take_item(db, reading, readings, item, token)
            self._progress(reading.stream, items)
        if reading.complete:
            stated += self._sweep(reading, readings, token)
        with self._state.store.transaction() as db:
            if reading.digest:
                self._state.save_reading(db, reading.stream, reading.at, reading.complete, reading.digest)
            if reading.cursor is not None:
                self._state.save_cursor(db, reading.stream, reading.cursor)
            for place in reading.cleared:
                self._state.release(db, reading.stream, place)
            if begun_anew:
                self._state.was_reread(db, reading.stream)
            if reading.complete and reading.at == readings[-1]:
                self._state.release_unmet(db, reading.stream, began)
            if reading.last:
                self._state.succeeded(db, reading.stream, time.time())
        reading.done()
        self._metrics.items.labels(reading.stream).inc(items)
        if reading.last:
            self._metrics.succeeded(reading.stream, time.time())
        return Taken(items, unreadable, stated)

    def _take_item(
        self,
        db: sqlite3.Connection,
        reading: Reading,
        readings: list[int],
        item: Item | Unreadable | TakenBack,
        token: int,
    ) -> int:
        if isinstance(item, TakenBack):
            return self._take_back(db, reading, readings, item, token)
        if not item.case_number:
            assert isinstance(item, Unreadable)
            mark = self._mark(item.payload)
            self._set_aside(db, reading, item, f"row {mark}" if mark else item.place)
            return 0
        more = isinstance(item, Item) and item.more
        case_ref = self._maker.case_ref(item.organisation, item.case_number)
        if isinstance(item, Item) and not item.part:
            not_kept.lift(db, case_ref, reading.at)
        case = self._state.load(case_ref)
        if case is None:
            case = CaseRecord(case_ref, reading.stream, item.organisation, item.case_number)
            case.history = not_kept.recall(db, case_ref, readings)
        if isinstance(item, Item):
            try:
                self._connector.report(item.organisation, item.case_number, _whole(case, item))
            except NotYet:
                pass  # the parts are kept, and nothing is said until the rest of them comes
            except DataError as error:
                item = Unreadable("", error.code, error.field, item.organisation, item.case_number, item.payload)
        if isinstance(item, Unreadable):
            self._set_aside(db, reading, item, case_ref)
            case.history = see(case.history, readings, reading.at, 0, UNREAD)
        elif item.part:
            self._state.release(db, reading.stream, case_ref)
            case.parts = with_part(case.parts, item.part, item.version, item.payload)
        else:
            self._state.release(db, reading.stream, case_ref)
            digest = self._mark(item.payload)
            case.history = not_kept.anew(case.history, reading.at, kept=True)
            case.history = see(case.history, readings, reading.at, item.version, digest)
            run = newest(case.history)
            if run is not None and run.digest == digest:
                case.payload = item.payload
            elif not_kept.takes_back(run):
                case.payload = {}
        stated = 0 if more else self._say(db, case, readings)
        self._state.save(db, case, token)
        return stated

    def _take_back(
        self, db: sqlite3.Connection, reading: Reading, readings: list[int], item: TakenBack, token: int
    ) -> int:
        case_ref = self._maker.case_ref(item.organisation, item.case_number)
        news = not_kept.note(db, case_ref, reading.stream, reading.at, item.version, item.code)
        if news and item.code:
            self._metrics.rows_refused.labels(item.code).inc()
        case = self._state.load(case_ref)
        if case is None:
            return 0
        self._state.release(db, reading.stream, case_ref)
        case.history = not_kept.anew(case.history, reading.at, kept=False)
        case.history = see(case.history, readings, reading.at, item.version, not_kept.digest(item.version))
        if not_kept.takes_back(newest(case.history)) and case.payload is not None:
            case.payload = {}
        stated = self._say(db, case, readings)
        self._state.save(db, case, token)
        return stated

    def _sweep(self, reading: Reading, readings: list[int], token: int) -> int:
        """The cases that a complete reading did not show."""
        stated = 0
        while rows := self._state.unseen(reading.stream, token, _CHUNK):
            with self._state.store.transaction() as db:
                for case in rows:
                    case.history = miss(case.history, readings, reading.at)
                    stated += self._say(db, case, readings)
                    self._state.save(db, case, token)
        return stated

    def _say(self, db: sqlite3.Connection, case: CaseRecord, readings: list[int]) -> int:
        """Put into the outbox what has to be said of a case now; returns how many statements."""
        payload = (case.parts and payloads(case.parts)) or case.payload
        if payload is None:
            return 0
        try:
            report = self._connector.report(case.organisation, case.case_number, payload)
        except DataError:
            return (
                0  # a newer release reads this row no more: what was said stands until the source says something else
            )
        phase = self._keys.phase(case.case_ref, self._confirm_days)
        live = report.status not in _NOT_LIVE
        if case.parts:
            now_holds = standing_of_parts(case.parts)
        else:
            now_holds = standing(case.history, readings, live=live, term_days=self._confirm_days, phase=phase)
        stated = self._say_report(db, case, settle(report, now_holds))
        for beside in report.besides:
            case_ref = self._maker.case_ref(beside.organisation, beside.case_number)
            own = self._state.load(case_ref) or CaseRecord(
                case_ref, case.stream, beside.organisation, beside.case_number
            )
            stated += self._say_report(db, own, settle(beside, now_holds))
            self._state.save(db, own, 0)
        return stated

    def _say_report(self, db: sqlite3.Connection, case: CaseRecord, report: CaseReport) -> int:
        statement_id = str(self._maker.statement_id(report))
        if statement_id == case.stated_id or report.revision < case.stated_revision:
            return 0
        events = []
        if case.stated_area not in (None, report.area):
            events.append(self._event(db, _moved_away(report, str(case.stated_area))))
        events.append(self._event(db, report))
        self._state.store.put(db, events)
        case.stated_id, case.stated_revision, case.stated_area = statement_id, report.revision, report.area
        return len(events)

    def _event(self, db: sqlite3.Connection, report: CaseReport) -> Event:
        said_at = self._now()
        statement = self._maker.make(report, said_at)
        account.note_stated(db, statement)
        return Event(
            statement.statement_id,
            self._inbox,
            area_key(statement.area),
            codec.encode(statement),
            headers.cloud_event(statement.statement_id, InvolvementStatement, self._source, said_at),
            micros(said_at) // 1000,
        )

    def _set_aside(self, db: sqlite3.Connection, reading: Reading, item: Unreadable, subject: str) -> None:
        news = self._state.quarantine(
            db, reading.stream, subject, item.code, item.field, item.place, time.time(), self._mark(item.payload)
        )
        if news:
            self._metrics.quarantined.labels(item.code).inc()
            log.warning("%s: set aside (%s %s) %s", reading.stream, item.code, item.field, item.place)

    def _mark(self, payload: Payload | None) -> str:
        return "" if payload is None else self._keys.digest(ids.canonical_json(dict(payload)).decode())

    def _fail(self, failed: Failed) -> None:
        kind = kind_of(failed.error)
        self._metrics.source_errors.labels(failed.stream, kind).inc()
        log.warning("%s cannot be read: %s", failed.stream, failed.error)
        with self._state.store.transaction() as db:
            self._state.failed(db, failed.stream, time.time(), f"{kind}: {failed.error}")


def settle(report: CaseReport, holds: Standing) -> CaseReport:
    """The report with its version, and ended when the case is no longer at the source.

    A vanished row says neither why nor when: it counts as ended for an outside reason on the day of the first complete reading
    without it. What never began by then is taken back instead.
    """
    report = replace(report, version=holds.version, absorbed=holds.absorbed, confirmed_on=holds.confirmed_on)
    if holds.gone_on is None or report.status in _NOT_LIVE:
        return report
    if report.status is Status.ANNOUNCED or report.starts_on is None or report.starts_on >= holds.gone_on:
        return replace(
            report,
            status=Status.RETRACTED,
            ends_on=None,
            end_reason=EndReason.WRONGLY_MADE,
            identity=None,
            relations=(),
        )
    ends_on = min(report.ends_on, holds.gone_on) if report.ends_on else holds.gone_on
    return replace(report, status=Status.ENDED, ends_on=ends_on, end_reason=EndReason.EXTERNAL)


def kind_of(error: EdgeError) -> str:
    if isinstance(error, ConfigurationError):
        return "configuration"
    return "transient" if isinstance(error, TransientError) else "data"


def _whole(case: CaseRecord, item: Item) -> Payload:
    """What `report` is asked about when this item comes in."""
    if not item.part:
        return item.payload
    return payloads(with_part(case.parts, item.part, item.version, item.payload))


def _moved_away(report: CaseReport, area: str) -> CaseReport:
    return replace(
        report,
        area=area,
        absorbed=report.absorbed + 1,
        status=Status.RETRACTED,
        end_reason=EndReason.AREA_CHANGED,
        identity=None,
        relations=(),
    )


def _chunks(items: Iterable[Item | Unreadable | TakenBack]) -> Iterator[list[Item | Unreadable | TakenBack]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
