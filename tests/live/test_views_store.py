"""The views on a real database: the SQL keeps the same winners as the pure digest, whatever the order and the batches."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samenloop_deploy.local import Databases
from samenloop_processors.engine.api import QuarantineReason
from samenloop_processors.engine.harness import Harness
from samenloop_processors.views.domain import Digest, Event
from samenloop_processors.views.stage import ViewsStage
from samenloop_processors.views.store import CHANGED
from samenloop_schemas import codec
from samenloop_schemas.records import AcceptedStatement, ClientStatement, Decision, OverlapStatement
from samenloop_schemas.topics import Topics

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "processors"))
from views_events import delivered, events, involvement, one_statement_per_id, overlap

pytestmark = pytest.mark.live
TOPICS = Topics("x.")
TABLES = (
    *("involvement", "identity", "feed", "client", "overlap_case", "case_party", "case_fact", "known_fact"),
    *("due_notice", "notice_sent", "agreement", "decision", "clock_day"),
)


@pytest.fixture
def harness(databases: Databases) -> Iterator[Harness]:
    harness = Harness(ViewsStage(TOPICS), databases.url("views"), topics=TOPICS)
    yield harness
    harness.close()


def topic_of(event: Event) -> str:
    by_type: dict[type, str] = {
        AcceptedStatement: TOPICS.involvements,
        ClientStatement: TOPICS.clients,
        OverlapStatement: TOPICS.overlaps,
        Decision: TOPICS.decisions,
    }
    return by_type.get(type(event), TOPICS.clock)


def feed(harness: Harness, taken: list[Event]) -> None:
    harness.apply([harness.record(topic_of(e), e.area, codec.encode(e)) for e in taken])


def tables(harness: Harness) -> dict[str, list[str]]:
    connection = harness.database.connection()
    return {
        table: sorted(str(row) for row in connection.execute(f"SELECT t::text FROM {table} t").fetchall())
        for table in TABLES
    }


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(events, min_size=1, max_size=25).map(one_statement_per_id), st.data())
def test_tables_do_not_depend_on_order_repeats_or_batches(
    harness: Harness, taken: list[Event], data: st.DataObject
) -> None:
    connection = harness.database.connection()
    found = []
    for size, order in ((100, taken), (data.draw(st.integers(1, 6)), [*data.draw(st.permutations(taken)), taken[0]])):
        connection.execute(f"TRUNCATE {', '.join(TABLES)}")
        harness._batch = size
        feed(harness, order)
        found.append((tables(harness), [json.dumps(row, sort_keys=True) for row in harness.export()]))
    assert found[0] == found[1]
    digest = Digest().take_all(taken)
    assert len(found[0][0]["involvement"]) == len(digest.involvements)
    assert len(found[0][0]["overlap_case"]) == len(digest.cases)
    assert len(found[0][0]["case_fact"]) == sum(len(case.facts) for case in digest.cases.values())
    assert len(found[0][0]["due_notice"]) == sum(len(case.due) for case in digest.cases.values())


def test_a_retraction_takes_the_identity_away(harness: Harness) -> None:
    feed(harness, [involvement("a2", 1, 1, 1, 1)])
    assert len(tables(harness)["identity"]) == 2
    feed(harness, [involvement("a2", 1, 2, 1, 0, stands=False)])
    assert tables(harness)["identity"] == []


def test_each_batch_names_the_areas_it_touched(harness: Harness, databases: Databases) -> None:
    with psycopg.connect(databases.url("web"), autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANGED}")
        feed(harness, [overlap("a2", 1, 1), overlap("zwolle", 1, 1), overlap("a2", 2, 1)])
        heard = {notice.payload for notice in listener.notifies(timeout=5, stop_after=2)}
    assert heard == {"a2", "zwolle"}


def test_nothing_is_sent_and_what_cannot_be_read_is_set_apart(harness: Harness) -> None:
    harness.feed(TOPICS.overlaps, "a2", b"garbage")
    harness.feed(TOPICS.overlaps, "a2", codec.encode(delivered("a2", 1)))
    harness.feed(TOPICS.overlaps, "zwolle", codec.encode(overlap("a2", 1, 1)))
    connection = harness.database.connection()
    codes = [row[0] for row in connection.execute("SELECT code FROM quarantined ORDER BY record_offset, topic")]
    reasons = (QuarantineReason.UNDECODABLE, QuarantineReason.WRONG_TYPE, QuarantineReason.WRONG_KEY)
    assert sorted(codes) == sorted(reason.value for reason in reasons)
    assert {row.topic for row in harness.sent} == {TOPICS.quarantine("hub")}
    assert tables(harness)["overlap_case"] == []
