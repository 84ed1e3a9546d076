"""Which notices are due and can be told now: the views' word, less what was delivered, with the recipient's own refs."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from samenloop_processors.keys import DataKey, KeyKind, KeyStore
from samenloop_schemas import codec, envelope
from samenloop_schemas.codes import DecisionKind
from samenloop_schemas.records import AcceptedStatement, Decision, DueNotice, OverlapStatement
from samenloop_views.database import Agreements, Connection, ViewsDatabase, days, in_force
from samenloop_views.notifier import content
from samenloop_views.notifier.deliveries import Delivery, Step

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Own:
    """What is stored of one of the recipient's own involvements."""

    case_key_id: UUID
    partner: str
    statement_id: UUID
    facts: bytes


@dataclass(frozen=True, slots=True)
class _Due:
    """`intention`: what the log already holds, if anything was once intended."""

    case: OverlapStatement
    due: DueNotice
    intention: bytes | None


class DueNotices:
    def __init__(self, database: ViewsDatabase, keys: KeyStore, public_url: str) -> None:
        self._database, self._keys, self._public_url = database, keys, public_url
        self._agreements = Agreements()

    def find(self, limit: int) -> list[Delivery]:
        """New deliveries, the oldest first. One whose own involvement has not reached the views yet waits."""
        with self._database.look() as connection:
            rows = connection.execute(
                """SELECT d.area, d.notice_id, c.statement, s.statement
                   FROM due_notice d JOIN overlap_case c ON c.area = d.area AND c.case_id = d.case_id
                   LEFT JOIN notice_sent s ON s.area = d.area AND s.notice_id = d.notice_id AND s.kind = %s
                   WHERE NOT EXISTS (SELECT FROM notice_sent t
                       WHERE t.area = d.area AND t.notice_id = d.notice_id AND t.kind = %s)
                     AND NOT EXISTS (SELECT FROM notifier.delivery n
                       WHERE n.area = d.area AND n.notice_id = d.notice_id)
                   ORDER BY c.detected_at, d.area, d.notice_id LIMIT %s""",
                (DecisionKind.NOTICE_INTENDED.value, DecisionKind.NOTICE_DELIVERED.value, limit),
            ).fetchall()
            waiting: dict[tuple[str, UUID], _Due] = {}
            for area, notice_id, body, intention in rows:
                case = codec.decode(body, OverlapStatement)
                due = next(notice for notice in case.due if notice.notice_id == notice_id)
                # one may be stated on two cases while one takes over from the other
                waiting.setdefault((area, notice_id), _Due(case, due, intention and bytes(intention)))
            if not waiting:
                return []
            known = _own(connection, waiting.values())
            book, today = self._agreements.book(connection), days(connection)
        told: list[tuple[_Due, str, list[Own]]] = []
        for one in waiting.values():
            own = [known[one.case.area, fact] for fact in content.own_facts(one.due) if (one.case.area, fact) in known]
            if len(own) < len(content.own_facts(one.due)):
                continue
            agreement = in_force(book, one.case.area, today.get(one.case.area))
            organisation = agreement.organisation(one.due.organisation) if agreement else None
            partner = organisation.partner if organisation else own[0].partner if own else ""
            if partner:
                told.append((one, partner, [fact for fact in own if fact.partner == partner]))
            else:
                log.warning("a notice for %s has no feed to go to", one.due.organisation)
        refs = self._refs({fact for _, _, own in told for fact in own})
        return [self._delivery(one, partner, [refs[o] for o in own if o in refs]) for one, partner, own in told]

    def _delivery(self, one: _Due, partner: str, refs: Sequence[str]) -> Delivery:
        case, due = one.case, one.due
        return Delivery(
            area=case.area,
            notice_id=due.notice_id,
            partner=partner,
            step=Step.TAKEN,
            # an intention already on the log is repeated as it was: our own memory may have been lost
            intended=one.intention or codec.encode(content.intended(due, case, datetime.now(UTC))),
            notice=codec.encode(content.notice(due, case, refs, self._public_url)),
        )

    def _refs(self, own: Collection[Own]) -> dict[Own, str]:
        """The partner's own refs; an erased case has none."""
        keys = self._keys.get_many(KeyKind.CASE, [one.case_key_id for one in own]) if own else {}
        return {
            one: envelope.open_facts(
                key.key, AcceptedStatement(statement_id=one.statement_id, facts=one.facts)
            ).case_ref
            for one in own
            if isinstance(key := keys[one.case_key_id], DataKey)
        }


def delivered(delivery: Delivery) -> bytes:
    """The record that says so, with the moment of now."""
    return codec.encode(content.delivered(codec.decode(delivery.intended, Decision), datetime.now(UTC)))


def _own(connection: Connection, waiting: Iterable[_Due]) -> dict[tuple[str, str], Own]:
    """What is stored of the recipients' own involvements, by area and involvement."""
    wanted = {(one.case.area, fact) for one in waiting for fact in content.own_facts(one.due)}
    rows = connection.execute(
        """SELECT k.area, k.involvement_id, v.case_key_id, v.partner, v.statement_id, v.facts
           FROM unnest(%s::text[], %s::text[]) AS wanted(area, involvement_id)
           JOIN known_fact k USING (area, involvement_id)
           JOIN involvement v ON v.area = k.area AND v.case_key_id = k.case_key_id""",
        ([area for area, _ in wanted], [fact for _, fact in wanted]),
    )
    return {
        (area, fact): Own(case_key_id, partner, statement_id, bytes(body))
        for area, fact, case_key_id, partner, statement_id, body in rows
    }
