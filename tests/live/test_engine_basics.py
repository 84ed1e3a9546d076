"""One worker: everything once, in order, out again; and what it refuses."""

from __future__ import annotations

import pytest
from engine_rig import Rig

pytestmark = pytest.mark.live
pytest_plugins = ("engine_rig",)


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
