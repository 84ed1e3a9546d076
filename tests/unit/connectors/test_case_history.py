"""The statement of a case is a function of the set of readings: any order, any split, repeats."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from samenloop_connectors.sdk.history import DAY, UNREAD, History, Standing, miss, newest, see, standing

FIRST = (date(2026, 1, 1).toordinal() - date(1970, 1, 1).toordinal()) * DAY
ABSENT, BLURRED = "absent", "blurred"
TERM = 10

# day, run -> what that complete reading showed: a content (with its version), nothing, or something illegible
contents = st.sampled_from([("a", 1), ("b", 1), ("c", 1), ("d", 2), ("e", 3), ("ended", 2), (ABSENT, 0), (BLURRED, 0)])
worlds = st.dictionaries(st.tuples(st.integers(0, 40), st.integers(1, 2)), contents, min_size=1, max_size=9)


def at(when: tuple[int, int]) -> int:
    return FIRST + when[0] * DAY + when[1]


def take(
    history: History, known: list[int], when: tuple[int, int], shown: tuple[str, int]
) -> tuple[History, list[int]]:
    known = sorted({*known, at(when)})
    content, version = shown
    if content == ABSENT:
        return miss(history, known, at(when)), known
    if content == BLURRED:
        return see(history, known, at(when), 0, UNREAD), known
    return see(history, known, at(when), FIRST + version * DAY, content), known


def says(history: History, known: list[int]) -> tuple[str, Standing] | None:
    content = newest(history)
    if content is None:
        return None
    holds = standing(history, known, live=content.digest != "ended", term_days=TERM, phase=3)
    return content.digest, holds


def revision(holds: Standing) -> tuple[object, int]:
    assert holds.absorbed < 1000
    return holds.version, holds.absorbed


@given(worlds, st.data())
def test_any_order_with_repeats_ends_in_the_same_statement(
    world: dict[tuple[int, int], tuple[str, int]], data: st.DataObject
) -> None:
    in_order: tuple[History, list[int]] = ((), [])
    for when in sorted(world):
        in_order = take(*in_order, when, world[when])
    mixed: tuple[History, list[int]] = ((), [])
    said: list[tuple[str, Standing]] = []
    for when in [*data.draw(st.permutations(sorted(world))), *data.draw(st.lists(st.sampled_from(sorted(world))))]:
        mixed = take(*mixed, when, world[when])
        if (now := says(*mixed)) is not None:
            said.append(now)
    assert says(*mixed) == says(*in_order)
    for before, after in pairwise(said):
        assert revision(after[1]) >= revision(before[1]), "a larger set never gives a lower revision"
        if revision(after[1]) == revision(before[1]):
            assert after == before, "one revision never says two things"


@given(worlds, st.data())
def test_what_can_be_read_the_second_time_is_as_if_it_always_could(
    world: dict[tuple[int, int], tuple[str, int]], data: st.DataObject
) -> None:
    """The same readings are taken once more, some of their rows having been illegible the first time."""
    shown = {when: content for when, content in world.items() if content[0] != ABSENT}
    blurred = set(data.draw(st.lists(st.sampled_from(sorted(shown) or [(0, 1)]), max_size=5))) & set(shown)
    always: tuple[History, list[int]] = ((), [])
    healed: tuple[History, list[int]] = ((), [])
    for when in sorted(world):
        always = take(*always, when, world[when])
        healed = take(*healed, when, (BLURRED, 0) if when in blurred else world[when])
    before = says(*healed)
    for when in data.draw(st.permutations(sorted(world))):
        healed = take(*healed, when, world[when])
    assert says(*healed) == says(*always)
    after = says(*healed)
    assert before is None or (after is not None and revision(after[1]) >= revision(before[1]))


def walk(*shown: tuple[int, str, int]) -> tuple[str, Standing]:
    history, known = (), []
    for day, content, version in shown:
        history, known = take(history, known, (day, 1), (content, version))
    result = says(history, known)
    assert result is not None
    return result


def test_one_night_without_the_row_is_no_end() -> None:
    assert walk((1, "a", 1), (2, ABSENT, 0))[1].gone_on is None


def test_two_nights_without_the_row_end_it_on_the_first_of_them() -> None:
    assert walk((1, "a", 1), (2, ABSENT, 0), (4, ABSENT, 0))[1].gone_on == date(2026, 1, 3)


def test_a_late_file_that_moves_the_end_outranks_what_was_said() -> None:
    ended = walk((1, "a", 1), (4, ABSENT, 0), (5, ABSENT, 0))[1]
    seen_longer = walk((1, "a", 1), (4, ABSENT, 0), (5, ABSENT, 0), (2, "a", 1))[1]
    missed_sooner = walk((1, "a", 1), (4, ABSENT, 0), (5, ABSENT, 0), (2, "a", 1), (3, ABSENT, 0))[1]
    assert revision(ended) < revision(seen_longer) < revision(missed_sooner)
    assert (ended.gone_on, missed_sooner.gone_on) == (date(2026, 1, 5), date(2026, 1, 4))


def test_an_illegible_row_is_still_there() -> None:
    assert walk((1, "a", 1), (2, BLURRED, 0), (3, BLURRED, 0), (4, ABSENT, 0))[1].gone_on is None


def test_a_row_that_comes_back_outranks_its_end() -> None:
    ended = walk((1, "a", 1), (2, ABSENT, 0), (3, ABSENT, 0))[1]
    back = walk((1, "a", 1), (2, ABSENT, 0), (3, ABSENT, 0), (4, "a", 1))[1]
    assert back.gone_on is None
    assert revision(back) > revision(ended)


def test_nothing_new_within_a_term_says_nothing_new_and_once_after_it() -> None:
    said = [walk(*[(day, "a", 1) for day in range(1, last + 1)])[1] for last in range(1, 2 * TERM + 1)]
    assert len({revision(each) for each in said}) == len({each.confirmed_on for each in said}) == 3
    assert all(each.confirmed_on <= date(2026, 1, 1 + last) for last, each in enumerate(said, 1))


def test_an_ended_row_that_stays_in_the_extract_is_not_confirmed_again() -> None:
    assert walk((1, "a", 1), (3, "ended", 2), (40, "ended", 2)) == walk((1, "a", 1), (3, "ended", 2))


def test_a_source_that_shows_only_changes_absorbs_one_item() -> None:
    history = see((), (), FIRST + 5 * DAY, FIRST + 4 * DAY, "a")
    history = see(history, (), FIRST + 6 * DAY, FIRST + 6 * DAY, "b")
    assert standing(history, (), live=True).absorbed == 1
