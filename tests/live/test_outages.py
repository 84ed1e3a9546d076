"""Broker and database go away while everything runs: nothing is lost, nothing happens twice, and nobody has to do anything.

What a supervisor starts again is no step of a person's; how often it did is in the message of a failure.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from chain_account import account
from chain_rig import Chains, Outcome, the_same
from outages_rig import LONGEST_ANSWER_S, Ends, with_both_ends

from samenloop_schemas import codec
from samenloop_schemas.records import Notice

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]
pytest_plugins = ("chain_fixtures",)

BROKER_AWAY_S = 10
DATABASE_AWAY_S = 2


def broker_killed(ends: Ends) -> None:
    stack = ends.chain.stack
    stack.kill_kafka()
    time.sleep(BROKER_AWAY_S)  # what is tested is that span
    assert sum(edge.pending() for edge in ends.edges.values()), "nothing had to wait for the broker"
    stack.restart_kafka()


def database_restarted(ends: Ends) -> None:
    """An orderly restart: every session is told to go."""
    ends.chain.stack.restart_postgres()


def database_killed(ends: Ends) -> None:
    """Every session ends in the middle of a word, and the server recovers from its log."""
    stack = ends.chain.stack
    stack.kill_postgres()
    time.sleep(DATABASE_AWAY_S)  # what is tested is that span
    stack.restart_postgres()


def both_killed(ends: Ends) -> None:
    """As when a machine loses its power."""
    stack = ends.chain.stack
    stack.kill_postgres()
    stack.kill_kafka()
    time.sleep(DATABASE_AWAY_S)  # what is tested is that span
    stack.restart_kafka()
    stack.restart_postgres()


Outage = Callable[[Ends], None]


def run_through(ends: Ends, outages: list[Outage], pace: float, pause: Callable[[], float]) -> None:
    """Statements flow all the time; after each outage they have to arrive again before the next one comes."""
    chain = ends.chain
    chain.tell_days()
    flow = threading.Thread(target=ends.say, args=(chain.world.said, pace))
    flow.start()
    for outage in outages:
        time.sleep(pause())
        outage(ends)
        before = ends.in_views()
        chain.wait(lambda before=before: ends.in_views() > before or not flow.is_alive(), "statements to arrive again")  # type: ignore[misc]
    flow.join()
    chain.decide(chain.world.decisions)
    ends.rest()


def nothing_was_lost_or_doubled(ends: Ends, calm: Outcome) -> None:
    chain, note = ends.chain, f"seed {ends.chain.world.seed}, started again: {ends.restarts()}"
    account(chain)
    the_same(chain, calm)
    for partner, edge in ends.edges.items():
        assert edge.pending() == 0, note
        assert edge.parked() == {}, note
        mine = [said for said in chain.world.said if said.partner == partner]
        records = chain.wire.read(chain.topics.notices(partner))
        notices = {str(codec.decode(record.value or b"", Notice).notice_id) for record in records}

        def all_heard(edge=edge, notices=notices, mine=mine) -> bool:  # type: ignore[no-untyped-def]
            cases, heard = edge.heard()
            return cases >= {said.statement.case_ref for said in mine} and set(heard) >= notices

        chain.wait(all_heard, f"{partner} to hear its receipts and notices", 60)
        assert all(times == 1 for times in edge.heard()[1].values()), note


def the_page_came_back(ends: Ends) -> None:
    """Without another log-in; while it could not answer it said so, in a page of its own."""
    looker = ends.looker
    ends.chain.wait(lambda: looker.last == 200, "the page to answer")
    assert set(looker.seen) <= {200, 503}, f"{looker.seen}"
    assert looker.slowest < LONGEST_ANSWER_S, f"{looker.slowest:.1f} s for an answer"


def test_the_broker_and_the_database_come_back(chains: Chains, calm: Outcome, tmp_path: Path) -> None:
    with with_both_ends(chains, "outages", tmp_path) as ends:
        run_through(ends, [broker_killed, database_restarted, database_killed], 14, lambda: 1.5)
        nothing_was_lost_or_doubled(ends, calm)
        the_page_came_back(ends)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_again_and_again_at_any_moment(number: int, chains: Chains, calm: Outcome, tmp_path: Path) -> None:
    with with_both_ends(chains, f"outages{number}", tmp_path) as ends:
        rng = Random(f"{chains.world.seed} outages {number}")
        outages = [broker_killed, database_restarted, database_killed, both_killed]
        rng.shuffle(outages)
        run_through(ends, [*outages, rng.choice(outages)], 5, lambda: rng.uniform(0, 4))
        nothing_was_lost_or_doubled(ends, calm)
        the_page_came_back(ends)
