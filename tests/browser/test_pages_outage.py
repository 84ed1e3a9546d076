"""The database goes away under open pages: they say so or stay as they are, and go on by themselves when it is back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import psycopg
import pytest
from playwright.sync_api import expect
from views_world import World

from samenloop_deploy.local import LocalStack

pytestmark = pytest.mark.browser
LUMENS = "Maatschappelijk werk Lumens"
Visit = Callable[..., object]
BACK_MS = 30_000


def overlap(world: World) -> None:
    with suppress(psycopg.OperationalError):  # the world's own connection went with the server
        world.harness.database.run(lambda connection: connection.execute("SELECT 1"))
    world.overlap(world.involve("lumens/social-work", "one"), world.involve("gemeente-valkenswaard/jeugd", "two"))


def test_an_open_page_goes_on_after_the_database_was_killed(stack: LocalStack, world: World, visit: Visit) -> None:
    world.begin("a2")
    me, late = visit(), visit()
    me.log_in(LUMENS)
    late.log_in(LUMENS)
    me.listening()
    me.page.evaluate("window.stillTheSamePage = true")
    stack.kill_postgres()
    late.page.goto(f"{late.address}/overlappen")
    expect(late.page.get_by_role("heading", level=1)).to_have_text("Nog niet zover", timeout=BACK_MS)
    stack.restart_postgres()
    overlap(world)
    expect(me.page.get_by_role("link", name="Noor Bakker")).to_be_visible(timeout=BACK_MS)
    assert me.page.evaluate("window.stillTheSamePage")
    expect(late.page.get_by_role("link", name="Noor Bakker")).to_be_visible(timeout=BACK_MS)
    for visitor in (me, late):
        visitor.forgive("status of 503", "console [object Event]", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION")
