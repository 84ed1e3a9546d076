"""One worker: everything once, in order, out again; and what it refuses."""

from __future__ import annotations

import time

import pytest
from engine_rig import Rig

pytestmark = pytest.mark.live
pytest_plugins = ("engine_fixtures",)


def test_each_record_has_its_effect_once_and_goes_out(rig: Rig) -> None:
    rig.put(2000)
    worker = rig.start()
    rig.wait_applied()
    rig.put(500)
    rig.wait_applied()
    assert rig.account() == 0
    code, seconds = worker.stop()
    assert code == 0, rig.logs()
    assert seconds < 4, rig.logs()


def test_a_request_to_stop_may_come_at_any_moment_and_more_than_once(rig: Rig) -> None:
    worker = rig.start()
    rig.wait(lambda: "starting on schema" in worker.log.read_text(), "the start")
    while worker.process.poll() is None:
        worker.process.terminate()
        time.sleep(0.05)
    assert worker.process.returncode == 0, rig.logs()
    assert worker.last_line.endswith("stopped")
