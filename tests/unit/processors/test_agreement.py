"""The agreement as data: everything wrong is reported at once, a version holds from publication, the order of adding is nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samenloop_processors.agreement import (
    Agreement,
    AgreementBook,
    AgreementInvalid,
    Published,
    agreement_decision,
    load_agreement,
    parse_agreement,
)
from samenloop_schemas import codec
from samenloop_schemas.codes import Domain
from samenloop_schemas.records import Actor, Decision

AGREEMENTS = Path(__file__).parents[3] / "deploy" / "agreements"
A2 = load_agreement(AGREEMENTS / "a2.yaml")


def version(number: int, valid_from: date) -> Agreement:
    return A2.model_copy(update={"version": number, "valid_from": valid_from})


@pytest.mark.parametrize("path", sorted(AGREEMENTS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_agreement_in_the_house_is_valid_and_survives_publication(path: Path) -> None:
    agreement = load_agreement(path)
    decision = agreement_decision(agreement, Actor(user="u1"), datetime(2026, 1, 5, 23, 30, tzinfo=UTC))
    published = Published.of(codec.decode(codec.encode(decision), Decision))
    assert published.agreement == agreement
    assert published.published_on == date(2026, 1, 6)  # 23:30 UTC is half past midnight in the Netherlands


def test_a_party_names_the_service_group_or_takes_any() -> None:
    def party(*args: object) -> str | None:
        found = A2.party_of(*args)  # type: ignore[arg-type]
        return found.id if found else None

    assert party("lumens", Domain.WMO, "client_support") == "lumens/client-support"
    assert party("lumens", Domain.WMO, "school_social_work") == "lumens/social-work"
    assert party("lumens", Domain.JW, "youth_help") is None
    assert party("gemeente-cranendonck", Domain.JW, "youth_help") == "gemeente-cranendonck/jeugd"
    assert party("gemeente-cranendonck", Domain.WGS, "debt_support") is None


def test_all_errors_are_reported_at_once_with_place_and_line(tmp_path: Path) -> None:
    text = (AGREEMENTS / "zwolle.yaml").read_text("utf-8")
    text = text.replace('"0193"', '"193"').replace(
        "organisation: swt-zwolle, domain: WMO, service_group: client",
        "organisation: nobody, domain: WMO, service_group: client",
    )
    text = text.replace("version: 1", "version: zero").replace("[0, 23]", "[23, 0]") + "reason: none\n"
    path = tmp_path / "zwolle.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(AgreementInvalid) as caught:
        load_agreement(path)
    lines = text.splitlines()
    places = {p.place: lines[p.line - 1] for p in caught.value.problems}
    assert set(places) >= {"version", "municipalities[0].code", "parties[1].organisation", "reason"}
    assert any(place.startswith("age_bands.JW") for place in places)
    assert places["version"].startswith("version:")
    assert "193" in places["municipalities[0].code"]
    assert "nobody" in places["parties[1].organisation"]
    assert f"{path}:{lines.index(places['version']) + 1}: version: " in str(caught.value)


@pytest.mark.parametrize(
    ("feeds", "wrong"),
    [
        ("[{partner: backoffice, bsn: true}]", []),
        ("[{partner: backoffice, bsn: true}, {partner: cjg, bsn: false}]", []),
        ("[{partner: smwo, bsn: true}]", [0]),
        ("[{partner: cjg, bsn: true}, {partner: backoffice, bsn: true}, {partner: cjg, bsn: false}]", [2]),
        ("[{partner: smwo, bsn: true}, {partner: smwo, bsn: true}]", [0, 1]),
    ],
)
def test_a_partner_speaks_for_an_organisation_once(feeds: str, wrong: list[int]) -> None:
    text = (AGREEMENTS / "a2.yaml").read_text("utf-8")
    former = "also_fed_by: [{partner: backoffice, bsn: true}]"
    assert text.count(former) == 1
    text = text.replace(former, f"also_fed_by: {feeds}")
    if not wrong:
        lumens = parse_agreement(text).organisation("lumens")
        assert lumens is not None
        assert lumens.may_send("backoffice")
        return
    with pytest.raises(AgreementInvalid) as caught:
        parse_agreement(text)
    assert [p.place for p in caught.value.problems] == [f"organisations[0].also_fed_by[{i}].partner" for i in wrong]
    line = text.splitlines().index(f"    also_fed_by: {feeds}") + 1
    assert {p.line for p in caught.value.problems} == {line}


@pytest.mark.parametrize("text", ["- a\n- b\n", "area: [", "", "area: a2\n"])
def test_what_is_no_agreement_is_said_so(text: str) -> None:
    with pytest.raises(AgreementInvalid):
        parse_agreement(text)


def test_a_file_must_be_named_after_its_area(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.yaml"
    path.write_text((AGREEMENTS / "a2.yaml").read_text("utf-8"), "utf-8")
    with pytest.raises(AgreementInvalid, match="elsewhere"):
        load_agreement(path)


def test_the_same_text_gives_the_same_decision_whenever_it_is_taken() -> None:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    first, again = agreement_decision(A2, Actor(), at), agreement_decision(A2, Actor(), at + timedelta(days=1))
    other = agreement_decision(A2.model_copy(update={"purposes": ("other",)}), Actor(), at)
    assert first.decision_id == again.decision_id != other.decision_id


def test_a_decision_whose_text_hash_or_version_do_not_agree_is_refused() -> None:
    decision = agreement_decision(A2, Actor(), datetime(2026, 1, 5, tzinfo=UTC))
    assert decision.payload is not None
    for bad in (
        replace(decision, area="zwolle"),
        replace(decision, payload=replace(decision.payload, sha256="00")),
        replace(decision, payload=replace(decision.payload, version=2)),
        replace(decision, payload=None),
    ):
        with pytest.raises(AgreementInvalid):
            Published.of(bad)


def test_it_never_holds_before_its_publication_nor_before_its_first_day() -> None:
    book = AgreementBook([Published(version(1, date(2026, 1, 1)), date(2026, 3, 10))])
    assert book.in_force("a2", date(2026, 3, 9)) is None
    assert book.in_force("a2", date(2026, 3, 10)) is not None
    assert book.in_force("zwolle", date(2026, 3, 10)) is None
    later = AgreementBook([Published(version(1, date(2026, 6, 1)), date(2026, 3, 10))])
    assert later.in_force("a2", date(2026, 5, 31)) is None


def test_a_published_version_is_immutable() -> None:
    book = AgreementBook([Published(A2, date(2026, 1, 1))])
    assert not book.add(Published(A2, date(2025, 1, 1)))
    assert book.versions("a2")[0].published_on == date(2026, 1, 1)
    with pytest.raises(AgreementInvalid, match="another text"):
        book.add(Published(A2.model_copy(update={"purposes": ("other",)}), date(2026, 1, 1)))


days = st.integers(0, 40).map(lambda n: date(2026, 1, 1) + timedelta(days=n))


@given(st.lists(st.tuples(days, days), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_on_each_day_the_highest_begun_version_holds_whatever_the_order(
    entries: list[tuple[date, date]], rnd: object
) -> None:
    published = [Published(version(n, start), on) for n, (start, on) in enumerate(entries, 1)]
    shuffled = published.copy()
    rnd.shuffle(shuffled)  # type: ignore[attr-defined]
    book = AgreementBook(shuffled)
    spans = book.spans("a2")
    for n in range(45):
        day = date(2026, 1, 1) + timedelta(days=n)
        begun = [p.agreement.version for p in published if p.begins <= day]
        holds = book.in_force("a2", day)
        assert (holds.version if holds else None) == max(begun, default=None)
        assert [a.version for period, a in spans if day in period] == ([max(begun)] if begun else [])
    assert all(a.end == b.start for (a, _), (b, _) in pairwise(spans))
