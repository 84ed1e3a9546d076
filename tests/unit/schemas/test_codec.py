"""Whatever a record holds comes back the same; whatever is no record is refused with a code and nothing else."""

from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samenloop_schemas import codec, records
from samenloop_schemas.dates import PartialDate

BASIC: dict[type, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12),
    bytes: st.binary(max_size=24),
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    UUID: st.uuids(),
    datetime: st.datetimes(datetime(1700, 1, 1), datetime(2300, 1, 1)).map(lambda t: t.replace(tzinfo=UTC)),  # noqa: DTZ001
    date: st.dates(),
    PartialDate: st.sampled_from([PartialDate(), PartialDate(1980), PartialDate(1980, 2), PartialDate(2024, 2, 29)]),
}


def strategy(kind: Any) -> st.SearchStrategy[Any]:
    if get_origin(kind) in (Union, UnionType):
        return st.one_of(*(st.none() if arm is type(None) else strategy(arm) for arm in get_args(kind)))
    if get_origin(kind) is tuple:
        return st.lists(strategy(get_args(kind)[0]), max_size=3).map(tuple)
    if kind in BASIC:
        return BASIC[kind]
    if issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    assert is_dataclass(kind)
    hints = get_type_hints(kind)
    return st.builds(kind, **{f.name: strategy(hints[f.name]) for f in fields(kind)})


any_record = st.sampled_from(records.TOP_LEVEL).flatmap(strategy)


@given(any_record)
def test_round_trip(record: Any) -> None:
    data = codec.encode(record)
    assert codec.decode(data, type(record)) == record
    assert codec.type_of(data) is type(record)


@given(st.sampled_from(records.TOP_LEVEL), st.binary(max_size=200))
def test_random_bytes_are_refused_or_read_but_never_crash(kind: type, data: bytes) -> None:
    assert reason_of(data, kind).replace("_", "").isalpha()


def reason_of(data: bytes, kind: type) -> str:
    try:
        codec.decode(data, kind)
    except codec.Undecodable as refusal:
        return refusal.reason
    return "read"


@given(any_record, st.data())
def test_a_truncated_record_is_refused(record: Any, data: st.DataObject) -> None:
    encoded = codec.encode(record)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(codec.Undecodable):
        codec.decode(encoded[:cut], type(record))


def test_the_refusal_names_the_reason() -> None:
    day = codec.encode(records.ClockDay())
    for data, reason in [
        (None, "too_short"),
        (b"\x01" + day[1:], "bad_magic"),
        (b"\x00\x7f\xff\xff\xff" + day[5:], "unknown_schema_id"),
        (codec.encode(records.Receipt()), "unexpected_type"),
        (day + b"x", "trailing_bytes"),
    ]:
        with pytest.raises(codec.Undecodable) as refusal:
            codec.decode(data, records.ClockDay)
        assert refusal.value.reason == reason


def test_confluent_framing_in_golden_bytes() -> None:
    """Any Confluent-compatible consumer reads this: 0x00, the schema id in four bytes, Avro."""
    day = records.ClockDay(event_id=UUID(int=1), area="a2", day=date(1970, 1, 3), working_day=5, is_working_day=True)
    framing, body = codec.encode(day)[:5], codec.encode(day)[5:]
    assert framing == b"\x00\x00\x00\x00\x0b"
    assert body == b"\x48" + str(UUID(int=1)).encode() + b"\x04a2" + b"\x04" + b"\x0a" + b"\x01" + b"\x00"
