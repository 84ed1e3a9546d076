"""A case told in parts is a function of the set of messages."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from samenloop_connectors.sdk.parts import Parts, payloads, standing_of_parts, with_part

messages = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.fixed_dictionaries({"x": st.integers(0, 2)})), min_size=1
)


def taken(told: list[tuple[str, int, dict[str, int]]]) -> Parts:
    nothing: Parts = {}
    return reduce(lambda parts, message: with_part(parts, *message), told, nothing)


@given(messages, st.randoms(use_true_random=False))
def test_order_and_repeats_do_not_matter(told: list[tuple[str, int, dict[str, int]]], rng: object) -> None:
    again = told + told[: len(told) // 2]
    rng.shuffle(again)  # type: ignore[attr-defined]
    assert dict(taken(again)) == dict(taken(told))


@given(messages, messages)
def test_more_messages_never_lower_the_revision(
    told: list[tuple[str, int, dict[str, int]]], more: list[tuple[str, int, dict[str, int]]]
) -> None:
    before, after = standing_of_parts(taken(told)), standing_of_parts(taken(told + more))
    assert (before.version, before.absorbed) <= (after.version, after.absorbed)


def test_the_highest_version_of_a_part_counts() -> None:
    parts = taken([("a", 2, {"x": 1}), ("a", 1, {"x": 9}), ("b", 1, {"x": 5})])
    assert payloads(parts) == {"a": {"x": 1}, "b": {"x": 5}}
    assert standing_of_parts(parts).absorbed == 2
