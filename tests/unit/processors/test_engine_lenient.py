"""A header's name that is no text does not keep a batch from being read."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from samenloop_processors.engine.api import Incoming
from samenloop_processors.engine.lenient import LenientRecords
from samenloop_processors.engine.quarantine import ATTEMPTS, attempts_of


def batch(base: int, *names: str, bad: bytes = b"") -> bytes:
    """Encoded records 0, 1, ... with one header each, at offset `base`; `bad` stands in for the name BAD."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=9999,
    )
    for offset, name in enumerate(names):
        assert builder.append(offset, 1000 + offset, b"a2", b"value %d" % offset, [(name, b"x"), ("more", b"y")])
    data = bytes(builder.build())
    return base.to_bytes(8, "big") + data[8:].replace(b"BAD", bad)


def read(records: Any) -> list[tuple[int, bytes, list[tuple[str, bytes]]]]:
    found = []
    while records.has_next():
        found += [(r.offset, bytes(r.value), list(r.headers)) for r in records.next_batch()]
    return found


def test_what_can_be_read_is_read_as_before() -> None:
    data = batch(7, "one", "two", "three") + batch(10, "é")
    assert read(LenientRecords(data)) == read(MemoryRecords(data))
    assert [offset for offset, _, _ in read(LenientRecords(data))] == [7, 8, 9, 10]


@pytest.mark.parametrize("bad", [b"\xff\xfe\xfd", b"\xc3(a", b"ab\x80"])
def test_a_name_that_is_no_text_costs_only_itself(bad: bytes) -> None:
    data = batch(7, "one", "BAD", "three", "BAD", bad=bad) + batch(11, "after")
    with pytest.raises(UnicodeDecodeError):
        read(MemoryRecords(data))
    found = read(LenientRecords(data))
    assert [(offset, value) for offset, value, _ in found] == [
        (7, b"value 0"), (8, b"value 1"), (9, b"value 2"), (10, b"value 3"), (11, b"value 0"),
    ]  # fmt: skip
    assert [headers[0][0] for _, _, headers in found] == ["one", bad.decode("utf-8", "replace"), "three", *(
        (bad.decode("utf-8", "replace"), "after")
    )]  # fmt: skip
    assert all(headers[1] == ("more", b"y") for _, _, headers in found)


def test_a_batch_tells_of_itself_what_the_fetcher_asks() -> None:
    mine, theirs = (kind(batch(7, "one")).next_batch() for kind in (LenientRecords, MemoryRecords))
    for name in ("base_offset", "next_offset", "is_control_batch", "is_transactional", "producer_id"):
        assert getattr(mine, name) == getattr(theirs, name)
    assert LenientRecords(batch(0, "one")).next_batch().validate_crc()


def test_a_header_without_a_value_is_an_empty_one() -> None:
    class Raw:
        topic, partition, offset, key, value, timestamp = "in.smwo", 0, 1, None, None, 5
        headers = (("a", None), ("b", b"x"))

    assert Incoming.of(Raw).headers == (("a", b""), ("b", b"x"))


@pytest.mark.parametrize(("said", "tried"), [(b"2", 3), (b"9" * 6000, 1), (b"-1", 1), (b"two", 1), (b"", 1)])
def test_a_count_in_a_header_is_worth_what_it_says_only_when_it_can_be_one(said: bytes, tried: int) -> None:
    assert attempts_of(Incoming("in.smwo", 0, 1, None, None, ((ATTEMPTS, said),), 5)) == tried
