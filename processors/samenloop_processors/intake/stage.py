"""Intake in the engine: from ``in.<partner>`` and published agreements to ``involvements`` and ``receipts.<partner>``.

Three things happen here that the domain must not do: seals are opened, keys are fetched, blocks are encrypted. What is
encrypted stands in the outbox and is sent from there, so it is encrypted once per statement.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import prometheus_client
import psycopg
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from samenloop_processors.agreement import AgreementBook, AgreementInvalid, Published
from samenloop_processors.engine.api import BadRecord, Incoming, PauseNotice, QuarantineReason, ResumeNotice, Stage, Tx
from samenloop_processors.intake import store, waiting
from samenloop_processors.intake.domain.gate import FINAL, Opened, Seal, Verdict, judge, names_a_case
from samenloop_processors.intake.domain.ledger import CaseId, Effect
from samenloop_processors.intake.domain.persons import MatchingKey, bsn_notices
from samenloop_processors.intake.domain.reconcile import held, reconciliation_id
from samenloop_processors.intake.out import Counts, Speaker
from samenloop_processors.intake.waiting import WaitingRoom
from samenloop_processors.keys import KeyStore
from samenloop_processors.metrics import HubMetrics
from samenloop_processors.settings import HubSettings, secret_bytes
from samenloop_schemas import codec, sealing
from samenloop_schemas.codes import DecisionKind, ReceiptCode, ReceiptKind, Status
from samenloop_schemas.dates import dutch_day, instant_of_ms
from samenloop_schemas.ids import derived_id, is_code, receipt_id
from samenloop_schemas.records import Decision, InvolvementStatement, PersonIdentity, Receipt
from samenloop_schemas.topics import Topics, partition_for

log = logging.getLogger(__name__)
_partition_of = lru_cache(maxsize=4096)(partition_for)
_UNREADABLE = {
    "unknown_schema_id": QuarantineReason.UNKNOWN_SCHEMA,
    "unexpected_type": QuarantineReason.WRONG_TYPE,
}


class IntakeSettings(BaseSettings):
    """What intake is told beside `HubSettings`."""

    model_config = SettingsConfigDict(env_prefix="SAMENLOOP_", extra="ignore", frozen=True)

    partners: str
    """The feeds to read, with commas: ``smwo,backoffice``."""
    matching_key_version: int = 1
    waiting_days: float = 14.0
    """How long a statement may wait for an agreement: as long as ``in.<partner>`` is kept."""

    def names(self) -> tuple[str, ...]:
        names = tuple(sorted({name.strip() for name in self.partners.split(",") if name.strip()}))
        if not names or not all(is_code(name) for name in names):
            raise ValueError("SAMENLOOP_PARTNERS names the feeds, with commas, such as smwo,backoffice")
        return names


@dataclass(frozen=True, slots=True)
class _Judged:
    record: Incoming
    opened: Opened
    case: CaseId
    verdict: Verdict
    noticed: tuple[ReceiptCode, ...]
    book: AgreementBook


_Areas = dict[str, store.AreaState]


@dataclass(slots=True)
class _Batch:
    """One `apply`: statements not yet taken, and the receipts so far."""

    tx: Tx
    judged: list[_Judged] = field(default_factory=list)
    waiting: list[_Judged] = field(default_factory=list)
    """Judged by nothing yet."""
    counted: Counts = field(default_factory=Counts)


class IntakeStage(Stage):
    """May this be here, is it valid, and whose is it? See the package `domain` for the rules."""

    name = "intake"
    ddl = store.DDL + waiting.DDL
    rebuildable = False  # in.* is kept for 14 days: the truth is what intake stated on `involvements`

    def __init__(
        self,
        topics: Topics,
        partners: Sequence[str],
        hub_key: X25519PrivateKey,
        matching: MatchingKey,
        keys: KeyStore,
        metrics: HubMetrics | None = None,
        waiting_days: float = 14.0,
    ) -> None:
        self._topics = topics
        self._hub_key = hub_key
        self._matching = matching
        self.inputs = (topics.decisions, *(topics.inbox(partner) for partner in partners))
        self.outputs = (topics.involvements, *(topics.receipts(partner) for partner in partners))
        self._speaker = Speaker(topics, keys, matching)
        self._room = WaitingRoom(topics, keys, timedelta(days=waiting_days))
        self._receipts = prometheus_client.Counter(
            "samenloop_receipts",
            "Receipts by code; one that carries no code counts under none.",
            ["partner", "kind", "code"],
            registry=metrics.registry if metrics else None,
        )
        self._waiting = prometheus_client.Gauge(
            "samenloop_statements_waiting",
            "Statements that wait for an agreement of their area.",
            ["area", "partner"],
            registry=metrics.registry if metrics else None,
        )

    def decode(self, record: Incoming) -> Opened | Published | None:
        """None: a decision that is none of intake's business."""
        if record.topic == self._topics.decisions:
            return _agreement(record)
        statement = _decoded(record, InvolvementStatement)
        if not is_code(statement.area):
            raise BadRecord(QuarantineReason.UNKNOWN_AREA)
        if record.key != statement.area.encode():
            raise BadRecord(QuarantineReason.WRONG_KEY)
        return self._open(statement)

    def apply(self, tx: Tx, batch: Sequence[tuple[Incoming, Any]]) -> None:
        areas: dict[str, store.AreaState] = {}
        work: list[tuple[Incoming, Opened | Published]] = []
        for record, value in batch:
            if value is None:
                continue
            area = value.statement.area if isinstance(value, Opened) else value.agreement.area
            if _partition_of(area, tx.partitions) != record.partition:
                tx.quarantine(record, QuarantineReason.WRONG_PARTITION)
                continue
            work.append((record, value))
            areas[area] = areas.get(area) or tx.cache(area, store.load_area)
        running = _Batch(tx)
        for record, value in work:
            if isinstance(value, Published):
                self._take(
                    running, areas
                )  # what came before it follows from what was known before it, however batches fall
                self._publish(running, record, value, areas)
            else:
                self._statement(running, record, value, areas)
        self._take(running, areas)
        for area, state in areas.items():
            for partner, number in state.waiting.items():
                self._waiting.labels(area, partner).set(number)
        for (partner, kind, code), number in running.counted.items():
            self._receipts.labels(partner, kind, code).inc(number)

    def export(self, connection: psycopg.Connection[Any], area: str | None) -> Iterator[dict[str, Any]]:
        yield from store.export(connection, area)
        yield from waiting.export(connection, area)

    def paused(self, tx: Tx, notice: PauseNotice) -> str:
        """In the area that the record's key names, else in one of this partition: a receipt needs one."""
        record = notice.record
        named = (record.key or b"").decode("ascii", "replace")
        known = [str(row[0]) for row in tx.execute("SELECT DISTINCT area FROM agreement ORDER BY area").fetchall()]
        here = [a for a in (named, *known) if is_code(a) and _partition_of(a, tx.partitions) == record.partition]
        area = next(iter(here), None)
        if area is None:
            log.warning("%s is paused, and no area lies in its partition to tell the partner in", notice.topic)
            return ""
        receipt = Receipt(
            receipt_id=derived_id("paused", record.topic, record.partition, record.offset),
            area=area,
            kind=ReceiptKind.PAUSED,
            codes=(ReceiptCode.TOO_MUCH_BAD_INPUT,),
            recorded_at=instant_of_ms(record.timestamp_ms),
        )
        self._speaker.receipt(tx, notice.partner, receipt)
        return area

    def resumed(self, tx: Tx, notice: ResumeNotice) -> None:
        receipt = Receipt(
            receipt_id=derived_id("resumed", notice.topic, notice.at.isoformat()),
            area=notice.area,
            kind=ReceiptKind.RESUMED,
            recorded_at=notice.at,
        )
        self._speaker.receipt(tx, notice.partner, receipt)

    def _open(self, statement: InvolvementStatement) -> Opened:
        """A retraction has nothing to open."""
        if statement.status is Status.RETRACTED:
            return Opened(statement)
        try:
            person = self._person(statement.identity)
            related = tuple(self._person(relation.identity) for relation in statement.relations)
        except (sealing.NotOpened, codec.Undecodable):
            return Opened(statement, Seal.BROKEN)
        return Opened(statement, Seal.OPENED if person else Seal.ABSENT, person, related)

    def _person(self, sealed: bytes | None) -> PersonIdentity | None:
        return codec.decode(sealing.open_seal(self._hub_key, sealed), PersonIdentity) if sealed is not None else None

    def _publish(self, batch: _Batch, record: Incoming, published: Published, areas: _Areas) -> None:
        area = published.agreement.area
        state = areas[area]
        try:
            if not state.book.add(published):
                return
        except AgreementInvalid:
            batch.tx.quarantine(record, QuarantineReason.IMPOSSIBLE_DECISION)
            return
        store.add_agreement(batch.tx, published)
        since = state.book.covered_from(area)
        if since is None or not state.waiting.total():
            return
        for some in self._room.take(batch.tx, area, since):
            for one in some:
                state.waiting[one.case.partner] -= 1
                self._judge_held(batch, one, state)
            self._take(batch, areas)

    def _judge_held(self, batch: _Batch, one: waiting.Held, state: store.AreaState) -> None:
        """As if it came now."""
        if one.erased:
            batch.counted.update(self._speaker.say(batch.tx, [(one.record, one.told(ReceiptKind.REFUSED))]))
            return
        opened = self._open(codec.decode(one.record.value, InvolvementStatement))
        judged = self._judge(batch, one.record, opened, one.case.partner, state)
        if judged is not None:
            batch.judged.append(judged)

    def _statement(self, batch: _Batch, record: Incoming, opened: Opened, areas: _Areas) -> None:
        state = areas[opened.statement.area]
        area, partner, day = opened.statement.area, self._topics.partner_of(record.topic) or "", _day_of(record)
        before = state.days.get(partner)
        if before is None or before < day:
            if before is not None:
                self._take(batch, areas)
                self._reconcile(batch, area, partner, before, record, state)
                self._expire(batch, area, partner, record, state)
            state.days[partner] = day
            store.set_day(batch.tx, area, partner, day)
        judged = self._judge(batch, record, opened, partner, state)
        if judged is not None:
            (batch.waiting if judged.verdict.waits else batch.judged).append(judged)

    def _judge(
        self, batch: _Batch, record: Incoming, opened: Opened, partner: str, state: store.AreaState
    ) -> _Judged | None:
        """None when it goes no further: it names no case, or its seal can be judged only once the right key is found.

        A broken seal is set apart, not refused: were the fault ours (a wrong private key), refusing would take every case
        out. A final statement needs no identity and goes on.
        """
        statement = opened.statement
        if not names_a_case(statement):
            self._answer(batch, record, opened, partner, ReceiptKind.REFUSED, ReceiptCode.INVALID_CODE)
            return None
        if opened.seal is Seal.BROKEN and statement.status not in FINAL:
            batch.tx.quarantine(record, QuarantineReason.SEAL_BROKEN)
            self._answer(batch, record, opened, partner, ReceiptKind.QUARANTINED, ReceiptCode.SEAL_NOT_OPENED)
            return None
        verdict = judge(opened, partner, state.book)
        noticed: tuple[ReceiptCode, ...] = ()
        organisation = verdict.agreement and verdict.agreement.organisation(statement.organisation)
        if organisation and organisation.may_send(partner):
            noticed = bsn_notices(opened, organisation.may_send_bsn(partner))
        return _Judged(record, opened, CaseId.of(opened, partner), verdict, noticed, state.book)

    def _take(self, batch: _Batch, areas: _Areas) -> None:
        """Puts what was judged so far into the ledger, and what could not be judged aside; and says what follows."""
        if batch.waiting:
            self._put_aside(batch, areas)
        if not batch.judged:
            return
        cases = store.read_cases(batch.tx, {judged.case for judged in batch.judged})
        effects: list[tuple[Incoming, Effect]] = []
        for judged in batch.judged:
            at = instant_of_ms(judged.record.timestamp_ms)
            taken = cases[judged.case].take(judged.opened, judged.verdict, judged.noticed, at, judged.book)
            effects += [(judged.record, effect) for effect in taken]
        store.write_cases(batch.tx, cases.values())
        batch.counted.update(self._speaker.say(batch.tx, effects))
        batch.judged.clear()

    def _put_aside(self, batch: _Batch, areas: _Areas) -> None:
        coming = []
        for judged in batch.waiting:
            said = judged.opened.statement
            about = (said.statement_id, said.person_ref, said.revision, said.stated_at)
            coming.append(waiting.held(judged.case, *about, judged.record))
        for one in self._room.put(batch.tx, coming):
            areas[one.case.area].waiting[one.case.partner] += not one.erased
            batch.counted.update(self._speaker.say(batch.tx, [(one.record, one.told(ReceiptKind.WAITING))]))
        batch.waiting.clear()

    def _expire(self, batch: _Batch, area: str, partner: str, record: Incoming, state: store.AreaState) -> None:
        """Once per day of a feed: what has waited too long is refused."""
        if not state.waiting[partner]:
            return
        for one in self._room.expire(batch.tx, area, partner, record.timestamp_ms):
            state.waiting[partner] -= 1
            batch.counted.update(self._speaker.say(batch.tx, [(record, one.told(ReceiptKind.REFUSED))]))

    def _reconcile(
        self, batch: _Batch, area: str, partner: str, day: date, record: Incoming, state: store.AreaState
    ) -> None:
        """When a feed's records pass to a new Dutch day: what was held when the day that is over had been taken in."""
        agreement = state.book.in_force(area, day)
        named = [organisation.id for organisation in agreement.organisations_of(partner)] if agreement else []
        for organisation, holding in held(store.winners(batch.tx, area, partner), named).items():
            receipt = Receipt(
                receipt_id=reconciliation_id(partner, area, organisation, day),
                area=area,
                kind=ReceiptKind.RECONCILIATION,
                organisation=organisation,
                recorded_at=instant_of_ms(record.timestamp_ms),
                day=day,
                held_count=holding.count,
                held_hash=holding.sha256,
            )
            batch.counted.update(self._speaker.receipt(batch.tx, partner, receipt))

    def _answer(
        self, batch: _Batch, record: Incoming, opened: Opened, partner: str, kind: ReceiptKind, code: ReceiptCode
    ) -> None:
        """A receipt for a statement that is not remembered; texts that are no codes or hashes are not repeated in it."""
        said = opened.statement
        nameable = names_a_case(said)
        receipt = Receipt(
            receipt_id=receipt_id(partner, said.statement_id, [kind.value, code.value]),
            area=said.area,
            kind=kind,
            statement_id=said.statement_id,
            organisation=said.organisation if nameable else "",
            case_ref=said.case_ref if nameable else "",
            revision=said.revision,
            codes=(code,),
            recorded_at=instant_of_ms(record.timestamp_ms),
        )
        batch.counted.update(self._speaker.receipt(batch.tx, partner, receipt))


def build(
    settings: HubSettings, intake: IntakeSettings | None = None, metrics: HubMetrics | None = None
) -> IntakeStage:
    """The stage from its environment. Raises ValueError naming what is missing or malformed, never a value."""
    intake = intake or IntakeSettings()  # type: ignore[call-arg]  # from the environment
    hub_key = sealing.private_key(_key(settings.hub_private_key, "SAMENLOOP_HUB_PRIVATE_KEY"))
    matching = MatchingKey(_key(settings.matching_key, "SAMENLOOP_MATCHING_KEY"), intake.matching_key_version)
    if settings.keys_url is None:
        raise ValueError("SAMENLOOP_KEYS_URL is missing")
    keys = KeyStore(settings.keys_url.get_secret_value(), _key(settings.kek, "SAMENLOOP_KEK"), may_create=True)
    return IntakeStage(settings.topics, intake.names(), hub_key, matching, keys, metrics, intake.waiting_days)


def _key(secret: SecretStr | None, name: str) -> bytes:
    if secret is None:
        raise ValueError(f"{name} is missing")
    try:
        return secret_bytes(secret)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _day_of(record: Incoming) -> date:
    return dutch_day(instant_of_ms(record.timestamp_ms))


def _agreement(record: Incoming) -> Published | None:
    decision = _decoded(record, Decision)
    if decision.kind is not DecisionKind.AGREEMENT_PUBLISHED:
        return None
    if record.key != decision.area.encode():
        raise BadRecord(QuarantineReason.WRONG_KEY)
    try:
        return Published.of(decision)
    except AgreementInvalid:
        raise BadRecord(QuarantineReason.IMPOSSIBLE_DECISION) from None


def _decoded(record: Incoming, kind: type[Any]) -> Any:
    if not record.value:
        raise BadRecord(QuarantineReason.EMPTY)
    try:
        return codec.decode(record.value, kind)
    except codec.Undecodable as error:
        raise BadRecord(_UNREADABLE.get(error.reason, QuarantineReason.UNDECODABLE)) from None
