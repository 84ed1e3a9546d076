"""Rebuild beside the live worker: the same rule sends nothing, a changed rule sends only what differs."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from engine_example import Counting
from engine_rig import Rig
from pydantic import SecretStr

from samenloop_processors.engine.errors import EngineError, Misconfigured
from samenloop_processors.engine.rebuild import Progress, RebuildReport, rebuild
from samenloop_processors.engine.status import export, status
from samenloop_processors.settings import HubSettings

pytestmark = pytest.mark.live
pytest_plugins = ("engine_fixtures",)


def settings_of(rig: Rig) -> HubSettings:
    return HubSettings(database_url=SecretStr(rig.url), topic_prefix=rig.topics.prefix)


def run(rig: Rig, rule: int = 1, **options: Any) -> RebuildReport:
    stage = Counting(rig.topics, rule=rule)
    return rebuild(stage, settings_of(rig), rig.stack.kafka_access("hub-clients"), **options)


def outputs(rig: Rig) -> list[dict[str, Any]]:
    return [json.loads(r.value or b"") for r in rig.wire.read(rig.topics.clients)]


def test_with_nothing_changed_nothing_is_sent_and_the_worker_is_replaced(rig: Rig) -> None:
    rig.put(1500)
    first = rig.start()
    rig.wait_applied()
    rig.account()
    sent = len(outputs(rig))
    seen: list[Progress] = []
    report = run(rig, progress=seen.append)
    assert (report.schema, report.records, report.differences.sent) == ("clients_v2", 1500, 0)
    assert report.differences.unchanged == len(rig.expected)
    assert [p.phase for p in seen][-2:] == ["compare", "done"]
    assert first.wait() == 3, rig.logs()
    assert "start again" in first.last_line
    rig.workers.clear()
    assert len(outputs(rig)) == sent
    rig.start()
    rig.put(100)
    rig.wait_applied()
    rig.account()
    assert rig.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'clients_v1'") == [(0,)]


def test_a_changed_rule_sends_only_the_differences_with_higher_versions(rig: Rig) -> None:
    rig.put(1000)
    worker = rig.start(EXAMPLE_RULE="1")
    rig.wait_applied()
    rig.account()
    before = outputs(rig)
    report = run(rig, rule=2)
    tenfold = {place for place in rig.expected if place[1].endswith("7")}
    none = {place for place in rig.expected if place[1].endswith("9")}
    assert (report.differences.changed, report.differences.emptied) == (len(tenfold), len(none))
    assert worker.wait() == 3, rig.logs()
    rig.workers.clear()
    for place in tenfold:
        rig.expected[place] *= 10
    for place in none:
        rig.expected[place] = 0
    rig.start(EXAMPLE_RULE="2")
    rig.wait(lambda: rig.query("SELECT count(*) FROM outbox") == [(0,)], "differences sent")
    rig.check_outputs()
    after = outputs(rig)
    assert len(after) == len(before) + len(tenfold) + len(none)
    assert run(rig, rule=2).differences.sent == 0


def test_under_load_no_record_is_lost_or_doubled_at_the_handover(rig: Rig) -> None:
    rig.put(1000)
    first = rig.start()
    rig.wait_applied(1)
    feeder = threading.Thread(target=rig.put, args=(2000,), kwargs={"pace": 500.0})
    feeder.start()
    report = run(rig)
    assert report.differences.sent == 0
    assert first.wait() == 3, rig.logs()
    rig.workers.clear()
    rig.start()
    feeder.join()
    rig.wait_applied()
    rig.account()


def test_what_cannot_be_rebuilt_says_so(rig: Rig) -> None:
    with pytest.raises(EngineError, match="never ran"):
        run(rig)
    stage = Counting(rig.topics)
    stage.rebuildable = False
    with pytest.raises(Misconfigured, match="cannot be rebuilt"):
        rebuild(stage, settings_of(rig), rig.stack.kafka_access("hub-clients"))


def test_a_shadow_run_changes_nothing_and_status_and_export_tell_where_a_stage_stands(rig: Rig) -> None:
    rig.put(500)
    worker = rig.start()
    rig.wait_applied()
    report = run(rig, rule=2, shadow=True)
    assert report.differences.changed
    assert report.differences.emptied
    assert not report.swapped
    assert rig.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'clients_v2'") == [(0,)]
    rig.put(100)
    rig.wait_applied()
    rig.account()
    assert worker.stop()[0] == 0
    rig.put(10)
    stage, settings = Counting(rig.topics), settings_of(rig)
    found = status(stage, settings, rig.stack.kafka_access("hub-clients"))
    assert (found.schema, found.waiting, found.trouble, found.published) == ("clients_v1", 10, None, 50)
    assert json.dumps(found.as_dict())
    rows = list(export(stage, settings, "a2"))
    assert sum(row["n"] for row in rows) == 120
