"""Dates, BSN, partitioning, seal and envelope."""

from datetime import UTC, date, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2

from samenloop_schemas import bsn, envelope, ids, sealing
from samenloop_schemas.dates import PartialDate, Period, dutch_day, micros, years_later
from samenloop_schemas.records import AcceptedStatement, IdentityFacts, InvolvementFacts
from samenloop_schemas.topics import Topics, partition_for

TEST_BSNS = [f"{n:09d}" for n in range(999_900_006, 999_990_000, 7) if bsn.passes_eleven_test(f"{n:09d}")]


@given(st.sampled_from(TEST_BSNS), st.integers(0, 8), st.integers(1, 9))
def test_every_single_wrong_digit_is_caught(number: str, place: int, shift: int) -> None:
    wrong = number[:place] + str((int(number[place]) + shift) % 10) + number[place + 1 :]
    assert bsn.valid_bsn(wrong) is None


@given(st.sampled_from(TEST_BSNS), st.integers(0, 8), st.integers(0, 8))
def test_every_swap_of_two_digits_is_caught(number: str, a: int, b: int) -> None:
    digits = list(number)
    digits[a], digits[b] = digits[b], digits[a]
    swapped = "".join(digits)
    assert swapped == number or bsn.valid_bsn(swapped) is None


@pytest.mark.parametrize("text", ["000000000", "12345678", "", "abcdefghi", "1234567890", "٣٣٣٣٣٣٣٣٣"])
def test_what_is_no_bsn(text: str) -> None:
    assert bsn.valid_bsn(text) is None


def test_a_bsn_may_miss_its_zero_or_carry_dots() -> None:
    assert bsn.normalise_bsn("1112.22.333") == "111222333"
    assert bsn.normalise_bsn("12345672") == "012345672"


@given(st.integers(0, 9999), st.integers(0, 12), st.integers(0, 31))
def test_partial_dates_round_trip_or_are_refused(year: int, month: int, day: int) -> None:
    try:
        value = PartialDate(year, month, day)
    except ValueError:
        return
    assert PartialDate.parse(str(value)) == value


def test_only_known_parts_are_compared() -> None:
    assert PartialDate(1980).compatible(PartialDate(1980, 5, 3))
    assert not PartialDate(1980, 5).compatible(PartialDate(1980, 6, 1))
    with pytest.raises(ValueError):
        PartialDate(1980, 0, 3)
    with pytest.raises(ValueError):
        PartialDate(1981, 2, 29)
    assert PartialDate(0, 2, 29).known


@given(st.dates(), st.dates(), st.dates(), st.dates(), st.dates())
def test_a_day_is_in_the_intersection_exactly_when_it_is_in_both(a: date, b: date, c: date, d: date, x: date) -> None:
    one, two = Period(a, b), Period(c, d)
    assert (x in one.intersect(two)) == (x in one and x in two)


def test_the_dutch_day_starts_at_dutch_midnight() -> None:
    assert dutch_day(datetime(2026, 7, 1, 22, 30, tzinfo=UTC)) == date(2026, 7, 2)
    assert dutch_day(datetime(2026, 12, 1, 22, 30, tzinfo=UTC)) == date(2026, 12, 1)
    assert years_later(date(2024, 2, 29), 2) == date(2026, 3, 1)
    assert micros(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC)) == 1_000_005


@given(st.text(min_size=1, max_size=40), st.integers(1, 64))
def test_partitioning_is_kafkas_own_murmur2(area: str, partitions: int) -> None:
    assert partition_for(area, partitions) == (murmur2(area.encode()) & 0x7FFFFFFF) % partitions


def test_topic_names_carry_the_prefix() -> None:
    topics = Topics("t1.")
    assert topics.inbox("smwo") == "t1.in.smwo"
    assert topics.partner_of("t1.in.smwo") == "smwo"
    assert topics.partner_of("t1.clients") is None


def test_a_seal_opens_only_with_the_hubs_key() -> None:
    private, public = sealing.new_hub_key()
    other, _ = sealing.new_hub_key()
    sealed = sealing.seal(sealing.public_key(public), b"secret")
    assert sealed != sealing.seal(sealing.public_key(public), b"secret")
    assert sealing.open_seal(sealing.private_key(private), sealed) == b"secret"
    with pytest.raises(sealing.NotOpened):
        sealing.open_seal(sealing.private_key(other), sealed)
    with pytest.raises(sealing.NotOpened):
        sealing.open_seal(sealing.private_key(private), sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_an_encrypted_block_opens_only_in_its_own_place() -> None:
    key, here, elsewhere = sealing.new_key(), uuid4(), uuid4()
    facts = InvolvementFacts(involvement_id="i1")
    block = envelope.close_facts(key, here, facts)
    assert envelope.open_facts(key, AcceptedStatement(statement_id=here, facts=block)) == facts
    with pytest.raises(sealing.NotOpened):
        envelope.open_facts(key, AcceptedStatement(statement_id=elsewhere, facts=block))
    with pytest.raises(sealing.NotOpened):
        envelope.open_facts(sealing.new_key(), AcceptedStatement(statement_id=here, facts=block))
    identity = envelope.close_identity(key, here, IdentityFacts(surname="x"))
    assert envelope.open_identity(key, AcceptedStatement(statement_id=here, identity=identity)) is not None
    with pytest.raises(sealing.NotOpened):
        envelope.open_facts(key, AcceptedStatement(statement_id=here, facts=identity))


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_derived_ids_do_not_confuse_their_parts(a: list[str], b: list[str]) -> None:
    assert (ids.derived_id("k", *a) == ids.derived_id("k", *b)) == (a == b)
    assert (ids.keyed_hash(b"s", *a) == ids.keyed_hash(b"s", *b)) == (a == b)


@pytest.mark.parametrize("text", ["Meneer de Vries", "", "x" * 60, "a b", "1a", "ADHD diagnose"])
def test_free_text_is_no_code(text: str) -> None:
    assert not ids.is_code(text)
