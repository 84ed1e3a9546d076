"""What a quarantined record may say of itself: never a payload, and nothing that hides another record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop_deploy.quarantine.acting import sort_out
from samenloop_deploy.quarantine.records import (
    Entry,
    Place,
    SetApart,
    Verdict,
    entries,
    envelope,
    original_headers,
    set_apart,
    summary,
)
from samenloop_processors.engine.api import Incoming, QuarantineReason
from samenloop_processors.engine.quarantine import ATTEMPTS, RETRY_OF, attempts_of, headers_of
from samenloop_schemas import codec
from samenloop_schemas.codes import Status
from samenloop_schemas.records import InvolvementStatement
from samenloop_schemas.topics import Topics

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)
MARK = "Zwartkruis"


@dataclass
class Raw:
    """A record as a client library gives it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, Any]]
    timestamp: int


def quarantined(
    offset: int,
    value: bytes | None = b"x",
    headers: Any = (),
    reason: str = "undecodable",
    *,
    at: int = 0,
    topic: str = "in.smwo",
) -> SetApart:
    incoming = Incoming(topic, 2, offset, b"a2", value, tuple(headers), 0)
    own = headers_of(incoming, QuarantineReason(reason), attempts_of(incoming), "intake")
    when = int((T0 + timedelta(minutes=at)).timestamp() * 1000)
    made = set_apart(Raw("quarantine.smwo", 2, offset + 100, b"a2", value, list(own), when), "smwo")
    assert made is not None
    return made


def put_back(one: SetApart, origin: Place) -> list[tuple[str, bytes]]:
    return [(RETRY_OF, str(origin).encode()), (ATTEMPTS, str(one.attempts).encode())]


def test_a_record_that_comes_back_is_the_same_one_and_open_again() -> None:
    first = quarantined(1)
    second = quarantined(5, headers=put_back(first, first.place), at=9)
    verdicts = {first.place: Verdict("retried", "j.doe", T0)}
    (entry,) = entries([second, first], verdicts, frozenset({first.place}))
    assert (entry.times, entry.state, entry.origin, entry.newest.place) == (2, "open", first.place, second.place)
    assert (entry.newest.attempts, entry.first_at) == (2, first.at)
    (done,) = entries(
        [first, second], verdicts | {second.place: Verdict("discarded", "a.b", T0)}, frozenset({first.place})
    )
    assert (done.state, done.row()["by"]) == ("discarded", "a.b")


def test_a_partner_cannot_hide_a_record_behind_another() -> None:
    known = quarantined(1)
    verdicts = {known.place: Verdict("discarded", "j.doe", T0)}
    posing = quarantined(2, headers=put_back(known, known.place), at=1)
    assert [e.state for e in entries([known, posing], verdicts, frozenset())] == ["discarded", "open"]
    # even behind one that was really put back, it shows as that one being bad again
    (both,) = entries([known, posing], {known.place: Verdict("retried", "j", T0)}, frozenset({known.place}))
    assert (both.state, both.newest.place) == ("open", posing.place)
    elsewhere = quarantined(3, headers=put_back(known, known.place), topic="in.backoffice")
    assert len(entries([known, elsewhere], {}, frozenset({known.place}))) == 2


def test_a_copy_that_was_sent_twice_or_for_two_reasons_counts_once() -> None:
    copies = [quarantined(1), quarantined(1), quarantined(1, reason="wrong_key")]
    (entry,) = entries(copies, {}, frozenset())
    assert (entry.times, entry.reasons) == (1, ("undecodable", "wrong_key"))
    assert summary([entry]) == [
        {
            "partner": "smwo",
            "reason": "undecodable wrong_key",
            "open": 1,
            "retried": 0,
            "discarded": 0,
            "oldest_open": T0,
        }
    ]


def test_the_original_headers_come_back_whole() -> None:
    own = (("ce_id", b"1"), ("note", b"\xff"))
    incoming = Incoming("in.smwo", 0, 0, b"a2", b"x", own, 0)
    assert original_headers(headers_of(incoming, QuarantineReason.UNDECODABLE, 3, "intake")) == own


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=40).map(lambda noise: noise + MARK.encode()),
    st.dictionaries(
        st.sampled_from(["ce_id", "ce_type", "ce_source", "note", RETRY_OF, ATTEMPTS]), st.binary(max_size=30)
    ),
)
def test_nothing_of_a_payload_or_of_free_text_is_shown(value: bytes, headers: dict[str, bytes]) -> None:
    marked = [(name, noise + MARK.encode()) for name, noise in headers.items()]
    one = quarantined(1, value, marked)
    (entry,) = entries([one], {}, frozenset())
    assert MARK not in repr((entry.row(), envelope(value, tuple(marked))))


def test_of_a_statement_only_ids_codes_and_the_size_of_the_seal_are_shown() -> None:
    said = InvolvementStatement(
        area="a2", organisation=MARK, source_system="regas", case_ref=MARK, revision=7, stated_at=T0, status=Status.ACTIVE,
        service_group=MARK, purpose=MARK, legal_basis=MARK, identity=MARK.encode(),
    )  # fmt: skip
    shown = envelope(codec.encode(said), (("ce_type", b"nl.samenloop.involvement.stated.v1"), ("note", MARK.encode())))
    assert (shown["type"], shown["area"], shown["revision"], shown["identity"]) == (
        "InvolvementStatement",
        "a2",
        7,
        f"sealed, {len(MARK)} bytes",
    )
    assert shown["headers"] == {"ce_type": "nl.samenloop.involvement.stated.v1"}
    assert shown["headers_not_shown"] == 1
    assert MARK not in repr(shown)


@pytest.mark.parametrize(
    ("topic", "goes", "words"),
    [("in.smwo", True, ""), ("clients", False, "stage rebuild intake"), ("decisions", False, "taken again")],
)
def test_only_what_came_from_an_inbox_is_put_back(topic: str, goes: bool, words: str) -> None:
    one = replace(quarantined(1), place=Place(topic, 0, 1))
    good, refused = sort_out([Entry(one.place, (one,), None)], Topics())
    assert (bool(good), bool(refused)) == (goes, not goes)
    assert all(words in each.advice for each in refused)


@pytest.mark.parametrize("text", ["in.smwo", "in.smwo/1", "in.smwo/x/1", "in smwo/1/1", "", "a/1/" + "9" * 30])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="topic/partition/offset"):
        Place.parse(text)
