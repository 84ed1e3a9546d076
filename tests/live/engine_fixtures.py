"""The `rig` fixture. A module of its own, because pytest rewrites the assertions of plugins before anyone imports them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_rig import Rig
from wire import Wire

from samenloop_deploy.local import Databases, LocalStack
from samenloop_schemas.topics import Topics


@pytest.fixture
def rig(stack: LocalStack, databases: Databases, topics: Topics, wire: Wire, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(stack, databases, topics, wire, tmp_path)
    yield made
    made.close()
