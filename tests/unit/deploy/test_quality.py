"""How good the demo's answer is: at least nine in ten of the true overlaps are found, and at most 1 in 200 found is false."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from quality_rig import Answer, answer

START = datetime(2026, 11, 20, 9, tzinfo=UTC)
SCALE = 600
"""As `samenloop demo` does without being told."""


def judged(seed: int, folder: Path) -> Answer:
    found = answer(seed, SCALE, folder, START)
    print(found.line(seed))
    return found


def assert_good(found: Answer) -> None:
    assert found.found >= 0.90
    assert found.figures.overlaps_false * 200 <= found.figures.overlaps_found
    assert found.figures.false_links * 200 <= found.figures.clients


def test_the_demo_finds_what_is_true_and_little_else(tmp_path: Path) -> None:
    assert_good(judged(1, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 11))
def test_so_does_it_in_every_other_world(seed: int, tmp_path: Path) -> None:
    assert_good(judged(seed, tmp_path))
