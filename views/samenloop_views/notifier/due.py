"""Which notices are due and can be told now: the views' word, less what was delivered, with the recipient's own refs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
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
            found: dict[tuple[str, UUID], Delivery] = {}
            for area, notice_id, body, intention in rows:
                case = codec.decode(body, OverlapStatement)
                due = next(notice for notice in case.due if notice.notice_id == notice_id)
                if (area, notice_id) in found:
                    continue  # stated on two cases while one takes over from the other
                delivery = self._delivery(connection, case, due, intention)
                if delivery is not None:
                    found[area, notice_id] = delivery
        return list(found.values())

    def _delivery(
        self, connection: Connection, case: OverlapStatement, due: DueNotice, intention: bytes | None
    ) -> Delivery | None:
        wanted = content.own_facts(due)
        own = _own(connection, case.area, wanted)
        if len(own) < len(wanted):
            return None
        agreement = in_force(self._agreements.book(connection), case.area, days(connection).get(case.area))
        organisation = agreement.organisation(due.organisation) if agreement else None
        partner = organisation.partner if organisation else own[0].partner if own else ""
        if not partner:
            log.warning("a notice for %s has no feed to go to", due.organisation)
            return None
        refs = self._refs([one for one in own if one.partner == partner])
        # an intention already on the log is repeated as it was: our own memory may have been lost
        intended = intention and bytes(intention)
        return Delivery(
            area=case.area,
            notice_id=due.notice_id,
            partner=partner,
            step=Step.TAKEN,
            intended=intended or codec.encode(content.intended(due, case, datetime.now(UTC))),
            notice=codec.encode(content.notice(due, case, refs, self._public_url)),
        )

    def _refs(self, own: Sequence[Own]) -> list[str]:
        """The partner's own refs; an erased case has none."""
        keys = self._keys.get_many(KeyKind.CASE, [one.case_key_id for one in own]) if own else {}
        return [
            envelope.open_facts(key.key, AcceptedStatement(statement_id=one.statement_id, facts=one.facts)).case_ref
            for one in own
            if isinstance(key := keys[one.case_key_id], DataKey)
        ]


def delivered(delivery: Delivery) -> bytes:
    """The record that says so, with the moment of now."""
    return codec.encode(content.delivered(codec.decode(delivery.intended, Decision), datetime.now(UTC)))


def _own(connection: Connection, area: str, facts: Sequence[str]) -> list[Own]:
    rows = connection.execute(
        """SELECT v.case_key_id, v.partner, v.statement_id, v.facts FROM known_fact k
           JOIN involvement v ON v.area = k.area AND v.case_key_id = k.case_key_id
           WHERE k.area = %s AND k.involvement_id = ANY(%s) ORDER BY k.involvement_id""",
        (area, list(facts)),
    )
    return [Own(case_key_id, partner, statement_id, bytes(body)) for case_key_id, partner, statement_id, body in rows]
