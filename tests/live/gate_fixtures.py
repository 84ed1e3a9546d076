"""The fixtures of intake's live tests: a worker on topics and databases of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gate_rig import Rig
from wire import Wire

from samenloop_deploy.local import LocalStack
from samenloop_processors import keys
from samenloop_schemas.topics import Topics


@pytest.fixture
def make_rig(
    stack: LocalStack, make_plan: Callable[..., Any], wire: Wire, tmp_path: Path
) -> Iterator[Callable[[], Rig]]:
    made: list[Rig] = []

    def make() -> Rig:
        databases = stack.new_databases(secrets.token_hex(4))
        keys.prepare(databases.admin_keys_url())
        keys.grant(databases.admin_keys_url(), {login.name: role for role, login in databases.logins.items()})
        topics = Topics(make_plan(timestamps_from_sender=True).prefix)
        made.append(Rig(stack, databases, topics, wire, tmp_path))
        return made[-1]

    yield make
    for rig in made:
        rig.stop()
        rig.databases.drop()


@pytest.fixture
def rig(make_rig: Callable[[], Rig]) -> Rig:
    return make_rig()
