"""State F of an area in canonical rows: what two runs are compared by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from samenloop_processors.overlaps.domain.state import AreaState
from samenloop_schemas.codec import to_plain
from samenloop_schemas.codes import CaseState

_FROM_F = (
    "case_id",
    "kind",
    "client_id",
    "anchor",
    "episode_from",
    "episode_to",
    "detected_at",
    "parties",
    "agreement_version",
)


def rows(state: AreaState) -> Iterator[dict[str, Any]]:
    """Cases as F has them, without the deliveries; what was told and stands; what is still to be said; the membership.

    Left out, because it hangs on when things arrived: ids of notices, which delivery told what, and ids of cases gone by.
    """
    for case_id in state.cases():
        statement = state.statement(case_id)
        if statement is None:
            continue
        if statement.facts:
            facts = [to_plain(fact) for fact in statement.facts]
            for fact in facts:
                del fact["case_key_id"]
            told = {name: to_plain(getattr(statement, name)) for name in _FROM_F}
            yield {
                "row": "case",
                "area": state.area,
                **told,
                "facts": facts,
                "over": statement.state is CaseState.CLOSED,
            }
        for notice in statement.due:
            for basis in notice.about:
                pair = {"recipient": notice.recipient, "other": basis.party, "change": str(notice.change)}
                yield {"row": "due", "area": state.area, "case_id": case_id, **pair}
    standing = {(state.place_of(told), told.recipient, told.basis.party) for told in state.standing()}
    for case_id, recipient, other in sorted(standing):
        yield {"row": "told", "area": state.area, "case_id": case_id, "recipient": recipient, "other": other}
    for person in state.membership.persons():
        client = state.membership.client_of(person)
        yield {"row": "member", "area": state.area, "client_id": client, "source_person_id": person}
