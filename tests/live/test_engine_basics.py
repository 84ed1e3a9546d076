"""One worker: everything once, in order, out again; and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Wire
from engine_rig import Rig

from samenloop_deploy.local import Databases, LocalStack
from samenloop_schemas.topics import Topics

pytestmark = pytest.mark.live


@pytest.fixture
def rig(stack: LocalStack, databases: Databases, topics: Topics, wire: Wire, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(stack, databases, topics, wire, tmp_path)
    yield rig
    rig.close()


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
