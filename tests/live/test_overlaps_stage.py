"""The overlaps stage on a real database and key store, through the engine's own transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from random import Random
from uuid import UUID

import pytest
from overlaps_rig import AREA, TODAY, Area, area, columns, random_items, statements

from samenloop_processors.engine.api import QuarantineReason
from samenloop_processors.engine.harness import Harness
from samenloop_processors.keys import KeyKind, KeyMissing
from samenloop_schemas import codec
from samenloop_schemas.codes import CaseState, NoticeChange, Status
from samenloop_schemas.records import AcceptedStatement, OverlapStatement

pytestmark = pytest.mark.live
__all__ = ["area"]


def overlapping(area: Area) -> OverlapStatement:
    (case,) = area.feed(
        area.agreement(),
        area.day(),
        area.client(1, "p1", "p2"),
        area.involvement("c1", "p1", "lumens"),
        area.involvement("c2", "p2", "valkenswaard"),
    )
    return case


def quarantined(harness: Harness) -> list[str]:
    rows = harness.database.connection().execute("SELECT code FROM quarantined ORDER BY 1").fetchall()
    return [code for (code,) in rows]


def test_an_overlap_is_found_told_and_taken_back(area: Area) -> None:
    case = overlapping(area)
    assert (case.state, case.parties) == (CaseState.DETECTED, ("lumens/social-work", "valkenswaard/jeugd"))
    assert {n.recipient: n.organisation for n in case.due} == {
        "lumens/social-work": "lumens",
        "valkenswaard/jeugd": "valkenswaard",
    }
    assert {n.deadline for n in case.due} == {date(2026, 3, 17)}
    assert [n.change for n in area.answer()] == [NoticeChange.NEW] * 2
    told = area.seen[case.case_id]
    assert (told.state, told.due, len(told.told)) == (CaseState.NOTIFIED, (), 2)
    assert (told.contact_by, told.coordinator_by) == (date(2026, 3, 17), date(2026, 3, 24))
    (gone,) = area.feed(area.involvement("c2", "p2", "valkenswaard", 2, Status.RETRACTED))
    assert (gone.case_id, gone.state, gone.facts) == (case.case_id, CaseState.NEVER_OVERLAPPED, ())
    recalls = area.answer()
    assert {(n.change, n.recipient) for n in recalls} == {
        (NoticeChange.RECALLED, "lumens/social-work"),
        (NoticeChange.RECALLED, "valkenswaard/jeugd"),
    }
    assert area.seen[case.case_id].due == area.seen[case.case_id].told == ()


def test_what_is_known_is_not_stated_again(area: Area) -> None:
    overlapping(area)
    assert area.feed(area.involvement("c1", "p1", "lumens")) == []
    assert area.feed(area.client(1, "p1", "p2")) == []
    assert area.feed(area.day()) == []
    assert area.feed(area.agreement()) == []


def test_versions_rise_and_only_the_key_opens_what_is_kept(area: Area) -> None:
    case = overlapping(area)
    grown = area.feed(area.client(2, "p1", "p2", "p3"), area.involvement("c3", "p3", "cranendonck"))
    # the case takes its id from its least fact: a lesser newcomer moves it to a new id, and the old id is stated too
    moved = area.key("c3").derive_id("involvement") < case.anchor
    assert [s.subject_version for s in (case, *grown)] == ([1, 2, 3] if moved else [1, 2])
    assert [len(s.facts) for s in grown if s.state is CaseState.DETECTED] == [3]
    rows = columns(area.databases, "involvement")
    assert len(rows) == 3
    text = repr(rows)
    assert "lumens" not in text
    assert "ref-c1" not in text
    assert "p1" not in text
    assert area.key("c1").derive_id("involvement") not in text


def test_a_destroyed_case_counts_as_never_stated(area: Area) -> None:
    overlapping(area)
    area.answer()
    erasure = area.erased("c2")
    area.operator.destroy(KeyKind.CASE, area.key("c2").key_id, "retention")
    (gone,) = area.feed(erasure)
    assert gone.state is CaseState.NEVER_OVERLAPPED
    assert {n.change for n in gone.due} == {NoticeChange.RECALLED}
    assert len(columns(area.databases, "involvement")) == 1
    before = area.export()
    area.restart()
    assert area.export() == before


def test_a_key_destroyed_before_its_statement_comes(area: Area) -> None:
    late = area.involvement("c2", "p2", "valkenswaard")
    area.operator.destroy(KeyKind.CASE, area.key("c2").key_id, "retention")
    stated = area.feed(
        area.agreement(), area.day(), area.client(1, "p1", "p2"), area.involvement("c1", "p1", "lumens"), late
    )
    assert stated == []
    assert quarantined(area.harness) == []
    assert len(columns(area.databases, "involvement")) == 1


def test_a_missing_key_is_an_alarm(area: Area) -> None:
    topic, value = area.involvement("c1", "p1", "lumens")
    statement = codec.decode(value, AcceptedStatement)
    with pytest.raises(KeyMissing):
        area.feed((topic, codec.encode(replace(statement, case_key_id=UUID(int=7)))))


def test_bad_records_are_set_apart_and_the_rest_goes_on(area: Area) -> None:
    topic, value = area.involvement("c1", "p1", "lumens")
    damaged = bytearray(value)
    damaged[-6] ^= 1
    statement = codec.decode(value, AcceptedStatement)
    broken = codec.encode(replace(statement, facts=statement.facts[:-1] + bytes([statement.facts[-1] ^ 1])))
    decisions, other_text = area.agreement(1, grace=2)
    harness = area.harness
    area.feed((topic, b"nonsense"), (topic, broken), area.agreement(), (decisions, other_text))
    harness.apply([harness.record(area.topics.clock, "zwolle", area.day()[1])])
    assert quarantined(harness) == sorted(
        [
            QuarantineReason.UNDECODABLE,
            QuarantineReason.UNREADABLE_FIELD,
            QuarantineReason.IMPOSSIBLE_DECISION,
            QuarantineReason.WRONG_KEY,
        ]
    )
    assert len(columns(area.databases, "agreement")) == 1


def test_a_restart_goes_on_where_it_was(area: Area) -> None:
    case = overlapping(area)
    area.answer()
    before = area.export()
    area.restart()
    assert area.export() == before
    (ended,) = area.feed(area.involvement("c2", "p2", "valkenswaard", 2, Status.ENDED, ends=TODAY))
    assert (ended.case_id, ended.state, ended.episode_to) == (case.case_id, CaseState.CLOSED, TODAY)
    assert {n.change for n in area.answer()} == {NoticeChange.ENDED}


def test_batches_order_and_restarts_do_not_show_in_the_export(area: Area) -> None:
    items = random_items(area, 7, 40)
    rng = Random(3)
    head, rest = items[:2], items[2:]
    involvements = [item for item in rest if item[0] == area.topics.involvements]
    clients = [item for item in rest if item[0] == area.topics.clients]
    area.feed(*items)
    area.answer()
    whole = area.export()
    assert sum(b'"row":"case"' in line for line in whole) >= 5
    deliveries = [(area.topics.decisions, bytes(d)) for _, _, d in columns(area.databases, "delivery")]
    area.forget_everything()
    area.restart(batch=3)
    rng.shuffle(involvements)
    area.feed(*involvements[:20], head[0], *involvements[20:], *deliveries)
    area.restart(batch=1)
    sent = area.harness.apply([area.harness.record(t, AREA, v) for t, v in (*clients, head[1], *involvements[:5])])
    assert area.export() == whole
    assert statements(area.topics, sent)
