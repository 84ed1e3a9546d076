"""The transaction on a real database, without a broker: order, caches, versions, quarantine, pauses, retirement."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from engine_example import Counting

from samenloop_deploy.local import Databases
from samenloop_processors.engine.api import Incoming, QuarantineReason, Tx
from samenloop_processors.engine.errors import Gap, Retired, WrongUse, is_transient
from samenloop_processors.engine.harness import Harness
from samenloop_processors.engine.transaction import PausePolicy, StageDatabase
from samenloop_schemas.topics import Topics

pytestmark = pytest.mark.live
TOPICS = Topics("x.")


def value(identity: str, subject: str) -> bytes:
    return json.dumps({"id": identity, "subject": subject}).encode()


@pytest.fixture
def harness(databases: Databases) -> Iterator[Harness]:
    harness = Harness(Counting(TOPICS, name="intake"), databases.url("intake"), topics=TOPICS)
    yield harness
    harness.close()


def put(harness: Harness, *subjects: str, area: str = "a2") -> list[Any]:
    records = [harness.record(TOPICS.inbox("smwo"), area, value(f"{s}-{i}", s)) for i, s in enumerate(subjects)]
    return [json.loads(row.value or b"") for row in harness.apply(records)]


def test_states_get_rising_versions_and_only_when_they_differ(harness: Harness) -> None:
    assert put(harness, "one", "two", "one") == [
        {"subject": "one", "n": 2, "v": 1},
        {"subject": "two", "n": 1, "v": 2},
    ]
    assert put(harness, "two") == [{"subject": "two", "n": 2, "v": 3}]
    assert put(harness, "two", area="zwolle") == [{"subject": "two", "n": 1, "v": 1}]
    assert [row.seq for row in harness.sent if row.partition == harness.sent[0].partition][:3] == [1, 2, 3]


def test_a_state_that_comes_back_to_what_was_published_is_not_sent(harness: Harness) -> None:
    class Fickle(Counting):
        def apply(self, tx: Tx, batch: Any) -> None:
            for content in (b"b", b"a"):
                tx.state("s", "a2", self.output, lambda version: b"%d" % version, content)

    harness.stage = harness.database.stage = Fickle(TOPICS, name="intake")
    record = harness.record(TOPICS.decisions, "a2", value("1", "s"))
    assert [row.value for row in harness.apply([record])] == [b"1"]
    assert harness.feed(TOPICS.decisions, "a2", value("2", "s")) == []


def test_records_below_the_position_are_skipped_and_one_above_is_a_gap(harness: Harness) -> None:
    first, second, third = (harness.record(TOPICS.decisions, "a2", value(str(i), "s")) for i in range(3))
    harness.apply([first])
    harness.apply([first, second])
    assert harness.applied is not None
    assert (harness.applied.applied, harness.applied.skipped) == (1, 1)
    with pytest.raises(Gap, match="goes on at 3, the position is 2"):
        harness.apply([replace(third, offset=3)])
    harness.apply([third])
    assert list(harness.export()) == [{"area": "a2", "subject": "s", "n": 3}]


def test_a_failed_batch_leaves_no_trace_in_memory_or_in_tables(harness: Harness) -> None:
    put(harness, "s")
    harness.stage.ddl = ""
    connection = harness.database.connection()
    connection.execute("ALTER TABLE ledger ADD CONSTRAINT short CHECK (length(id) < 5)")
    bad = harness.record(TOPICS.decisions, "a2", value("far too long", "s"))
    with pytest.raises(psycopg.errors.CheckViolation):
        harness.apply([bad])
    good = replace(bad, value=value("ok", "s"))
    assert [json.loads(row.value or b"")["n"] for row in harness.apply([good])] == [2]


def test_a_failure_that_shows_only_at_the_commit_leaves_no_trace_either(harness: Harness) -> None:
    connection = harness.database.connection()
    connection.execute("ALTER TABLE ledger ADD CONSTRAINT once UNIQUE (id) DEFERRABLE INITIALLY DEFERRED")
    put(harness, "s")
    twice = harness.record(TOPICS.decisions, "a2", value("s-0", "s"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        harness.apply([twice])
    assert [json.loads(r.value or b"") for r in harness.apply([replace(twice, value=value("new", "s"))])] == [
        {"subject": "s", "n": 2, "v": 2}
    ]


def test_a_cache_that_another_worker_overtook_is_loaded_again(harness: Harness, databases: Databases) -> None:
    put(harness, "s")
    other = Harness(Counting(TOPICS, name="intake"), databases.url("intake"), topics=TOPICS)
    put(other, "s", "s")
    harness._offsets = dict(other._offsets)
    assert put(harness, "s")[0]["n"] == 4
    other.close()


def test_bad_records_go_to_their_partners_quarantine_with_reason_and_bytes(harness: Harness) -> None:
    record = harness.record(TOPICS.inbox("smwo"), "a2", b"\x00nonsense", headers=(("ce_id", b"1"),))
    other = harness.record(TOPICS.decisions, "a2", b"nonsense")
    good = harness.record(TOPICS.inbox("smwo"), "a2", value("1", "s"))
    rows = harness.apply([record, other, good])
    assert [row.topic for row in rows] == [
        TOPICS.quarantine("smwo"),
        TOPICS.quarantine("hub"),
        TOPICS.involvements,
    ]
    assert rows[0].value == b"\x00nonsense"
    assert rows[0].key == b"a2"
    assert dict(rows[0].headers) == {
        "ce_id": b"1",
        "__streams.errors.exception": b"BadRecord",
        "__streams.errors.stacktrace": b"",
        "__streams.errors.message": b"",
        "__streams.errors.topic": b"x.in.smwo",
        "__streams.errors.partition": str(record.partition).encode(),
        "__streams.errors.offset": b"0",
        "samenloop-reason": QuarantineReason.UNDECODABLE.encode(),
        "samenloop-attempts": b"1",
        "samenloop-stage": b"intake",
    }
    again = harness.record(TOPICS.inbox("smwo"), "a2", b"nonsense", headers=rows[0].headers)
    assert dict(harness.apply([again])[0].headers)["samenloop-attempts"] == b"2"


def test_a_partner_is_paused_and_told_when_too_much_is_bad(harness: Harness, databases: Databases) -> None:
    policy = PausePolicy(window=40, share=0.5, seconds=60)
    database = StageDatabase(harness.stage, databases.url("intake"), harness.schema, 4, TOPICS, pause=policy)
    bad: list[Incoming] = [harness.record(TOPICS.inbox("smwo"), "a2", b"nonsense") for _ in range(20)]
    good = [harness.record(TOPICS.inbox("backoffice"), "a2", value(str(i), "s")) for i in range(20)]
    first = database.apply(database.decode(bad[:9]), {})
    assert first.paused == []
    then = database.apply(database.decode([*bad[9:], *good]), {})
    assert [(n.topic, n.partner, n.bad, n.seen) for n in then.paused] == [(TOPICS.inbox("smwo"), "smwo", 10, 10)]
    told = [row for row in then.outgoing if row.topic == TOPICS.receipts("smwo")]
    assert [json.loads(row.value or b"")["bad"] for row in told] == [10]
    assert database.run(database.paused_topics) == {TOPICS.inbox("smwo")}
    assert database.run(database.pauses_to_end) == []
    assert database.resume(TOPICS.inbox("smwo"), "a2").outgoing == [], "it lasts"
    database.run(lambda connection: connection.execute("UPDATE paused_input SET until = now()"))
    assert database.run(database.pauses_to_end) == [(TOPICS.inbox("smwo"), "a2")]
    (resumed,) = database.resume(TOPICS.inbox("smwo"), "a2").outgoing
    assert (resumed.topic, json.loads(resumed.value or b"")) == (
        TOPICS.receipts("smwo"),
        {"resumed": TOPICS.inbox("smwo")},
    )
    assert resumed.seq == then.outgoing[-1].seq + 1
    assert database.resume(TOPICS.inbox("smwo"), "a2").outgoing == [], "it is told once"
    (after,) = database.apply(
        database.decode([harness.record(TOPICS.inbox("backoffice"), "a2", b"nonsense")]), {}
    ).outgoing
    assert after.seq == resumed.seq + 1
    database.close()


def test_a_stage_may_only_send_to_what_it_names_and_within_its_partition(harness: Harness) -> None:
    class Astray(Counting):
        topic, area = TOPICS.clients, "a2"

        def apply(self, tx: Tx, batch: Any) -> None:
            tx.send(self.topic, self.area, b"")

    harness.database.stage = astray = Astray(TOPICS, name="intake")
    record = harness.record(TOPICS.decisions, "a2", value("1", "s"))
    with pytest.raises(WrongUse, match="does not name"):
        harness.apply([record])
    astray.topic, astray.area = TOPICS.involvements, "peel"
    with pytest.raises(WrongUse, match="peel lives in partition"):
        harness.apply([record])


def test_a_frozen_holder_of_the_lock_lets_go_and_is_fenced(harness: Harness, databases: Databases) -> None:
    """What PostgreSQL does to a worker that is stopped between lock and commit, seen from the one that waits."""
    put(harness, "s")
    with psycopg.connect(databases.url("intake"), autocommit=True) as frozen:
        frozen.execute(f"SET search_path TO {harness.schema}".encode())
        frozen.execute("SET idle_in_transaction_session_timeout = '1s'")
        frozen.execute("BEGIN")
        frozen.execute("SELECT * FROM partition_head FOR UPDATE")
        record = harness.record(TOPICS.inbox("smwo"), "a2", value("next", "s"))
        failed: list[bool] = []
        while len(failed) < 10:
            try:
                harness.apply([record])
                break
            except psycopg.Error as error:
                failed.append(is_transient(error))
        assert all(failed)
        assert len(failed) < 10
        with pytest.raises(psycopg.Error):
            frozen.execute("UPDATE position SET next = 0")
    assert next(harness.export())["n"] == 2


def test_a_retired_schema_is_told_from_a_mistake(harness: Harness) -> None:
    put(harness, "s")
    harness.database.connection().execute("DELETE FROM partition_head")
    with pytest.raises(Retired):
        put(harness, "s")
