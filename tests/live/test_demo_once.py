"""`samenloop demo --once --json`: the whole chain as a yes or no, with figures; and no without a doubt when a feed is silent."""

from __future__ import annotations

import re

import pytest
from demo_rig import demo

from samenloop_deploy.demo.feeds import FEEDS

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]

SMALL = ("--once", "--json", "--scale", "150", "--seed", "1")


def test_everything_arrives_overlaps_are_found_and_told_and_nothing_is_left() -> None:
    with demo(*SMALL, "--timeout", "400") as running:
        code = running.ends()
        assert code == 0, running.err
        found = running.figures()
        running.leaves_nothing()
    assert found["statements"].keys() == {feed.name for feed in FEEDS}
    assert min(found["statements"].values()) > 0
    assert found["persons"] > found["clients"] > 0
    assert found["overlaps_true"] > 0
    assert found["overlaps_false"] * 200 <= found["overlaps_found"]
    assert found["false_links"] * 200 <= found["clients"]
    assert found["overlaps_missed"] * 4 <= found["overlaps_expected"]
    # each of at least two parties is told
    assert found["notices_delivered"] >= 2 * found["overlaps_true"]


def test_a_partner_whose_events_do_not_arrive_makes_it_fail_and_is_named() -> None:
    """The welfare organisations' system is out of order from its first answer on."""
    with demo(*SMALL, "--timeout", "40") as running:
        running.ask_partners("/faults?partner=regas&status=503&times=1000")
        code = running.ends()
        found = running.figures()
        (complaint,) = [line for line in running.err.splitlines() if line.startswith("error:")]
        assert "Traceback" not in running.err
        running.leaves_nothing()
    assert code == 1
    assert "smwo" not in found["statements"]
    assert "every case to arrive in the views" in complaint
    assert re.search(r": 0 of [1-9]\d* from smwo, ", complaint)
