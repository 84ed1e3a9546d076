"""What is due, with the parties' own case references; read from the live views in one look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from samenloop_processors.keys import DataKey, KeyKind, KeyStore
from samenloop_schemas import codec, envelope, sealing
from samenloop_schemas.codes import OverlapKind
from samenloop_schemas.records import AcceptedStatement, DueNotice, OverlapStatement
from samenloop_views.database import Connection


@dataclass(frozen=True, slots=True)
class Due:
    """One notice to deliver. `case_refs` per partner that spoke for the recipient's own involvements."""

    area: str
    case_id: str
    kind: OverlapKind
    notice: DueNotice
    case_refs: Mapping[str, tuple[str, ...]]


def read_due(connection: Connection, keys: KeyStore, told: Iterable[UUID]) -> list[Due]:
    """Everything that should be sent and is neither in `told` nor recorded as delivered, in a fixed order."""
    rows = connection.execute(
        """SELECT d.area, d.notice_id, c.statement
           FROM due_notice d JOIN overlap_case c USING (area, case_id)
           WHERE d.notice_id <> ALL(%s) AND NOT EXISTS (
               SELECT FROM notice_sent s
               WHERE s.area = d.area AND s.notice_id = d.notice_id AND s.kind = 'NOTICE_DELIVERED')
           ORDER BY d.area, d.notice_id, d.case_id""",
        (list(told),),
    ).fetchall()
    found: dict[UUID, tuple[OverlapStatement, DueNotice]] = {}
    for _, notice_id, body in rows:
        case = codec.decode(body, OverlapStatement)
        notice = next((n for n in case.due if n.notice_id == notice_id), None)
        if notice is not None:
            found.setdefault(notice_id, (case, notice))
    refs = _case_refs(connection, keys, found.values())
    return [
        Due(case.area, case.case_id, case.kind, notice, _own(case.area, notice, refs))
        for case, notice in found.values()
    ]


Refs = Mapping[tuple[str, str], tuple[str, str]]
"""(area, involvement id) to (partner, case reference)."""


def _own(area: str, notice: DueNotice, refs: Refs) -> dict[str, tuple[str, ...]]:
    own = sorted({involvement for basis in notice.about for involvement in basis.own})
    by_partner: dict[str, list[str]] = {}
    for involvement in own:
        if (found := refs.get((area, involvement))) is not None:
            by_partner.setdefault(found[0], []).append(found[1])
    return {partner: tuple(case_refs) for partner, case_refs in by_partner.items()}


def _case_refs(
    connection: Connection, keys: KeyStore, due: Iterable[tuple[OverlapStatement, DueNotice]]
) -> dict[tuple[str, str], tuple[str, str]]:
    """A case whose key was destroyed has no reference any more: its partner hears of the notice without it."""
    wanted = {(case.area, i) for case, notice in due for basis in notice.about for i in basis.own}
    areas, involvements = [area for area, _ in wanted], [i for _, i in wanted]
    rows = connection.execute(
        """SELECT k.area, k.involvement_id, i.partner, i.case_key_id, i.statement_id, i.facts
           FROM unnest(%s::text[], %s::text[]) w(area, involvement_id)
           JOIN known_fact k USING (area, involvement_id) JOIN involvement i USING (area, case_key_id)""",
        (areas, involvements),
    ).fetchall()
    data_keys = keys.get_many(KeyKind.CASE, [row[3] for row in rows])
    found = {}
    for area, involvement, partner, key_id, statement_id, facts in rows:
        key = data_keys[key_id]
        if isinstance(key, DataKey):
            try:
                opened = envelope.open_facts(key.key, AcceptedStatement(statement_id=statement_id, facts=facts))
            except (sealing.NotOpened, codec.Undecodable):
                continue  # the stages have set it apart and counted it; a notice is no place to find out
            found[area, involvement] = (partner, opened.case_ref)
    return found
