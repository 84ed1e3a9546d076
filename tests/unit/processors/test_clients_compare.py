"""Normalising, comparing and the vetoes: Dutch names, dates, addresses and numbers as sources really write them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samenloop_processors.clients.domain import normalise
from samenloop_processors.clients.domain.compare import FORBIDDEN, Comparer, Veto
from samenloop_processors.clients.domain.fields import address_level, birth_level, crossed, given_level, other_level
from samenloop_processors.clients.domain.given_names import match
from samenloop_processors.clients.domain.model import Address as Place
from samenloop_processors.clients.domain.model import Birth, Given, Other, default_model, parse_model
from samenloop_processors.clients.domain.normalise import Features, features
from samenloop_processors.clients.domain.text import fold, similar, sound
from samenloop_schemas.codes import AddressKind, Sex
from samenloop_schemas.dates import PartialDate
from samenloop_schemas.records import Address, IdentityFacts

MODEL = default_model()
SCORE = Comparer(MODEL)


@pytest.mark.parametrize(
    ("written", "whole", "parts"),
    [
        ("van Maassen", "maassen", {"maassen"}),
        ("Berg, van den", "berg", {"berg"}),
        ("Jansen-de Vries", "jansenvries", {"jansen", "vries"}),
        ("de Boer e/v Smit", "boersmit", {"boer", "smit"}),
        ("van 't Westeinde", "westeinde", {"westeinde"}),
        ("Käster", "kaster", {"kaster"}),
        ("Meijer", "meyer", {"meyer"}),
        ("García López", "garcialopez", {"garcialopez", "garcia", "lopez"}),
        (".", "", set()),
        ("onbekend", "", set()),
    ],
)
def test_surnames(written: str, whole: str, parts: set[str]) -> None:
    assert (normalise.surname(written)[0], set(normalise.surname(written)[1])) == (whole, parts)


@pytest.mark.parametrize(
    ("written", "letters"),
    [
        ("J.P.", "jp"), ("JP", "jp"), ("j. p.", "jp"), ("Th.M.", "tm"), ("Ph.", "p"), ("T.P.IJ.", "tpy"), ("IJ", "y"),
        ("F.M.C.E", "fmce"), ("A-F", "a"), ("Anne-Fleur", "a"), ("", ""),
    ],
)  # fmt: skip
def test_initials_are_a_sequence_of_letters(written: str, letters: str) -> None:
    assert normalise.initials(written) == letters


def test_initials_come_from_given_names_when_a_source_has_none() -> None:
    assert features(IdentityFacts(given_names="Theo Philip IJsbrand")).initials == "tpy"
    assert features(IdentityFacts(given_names="Anne-Fleur Maria")).initials == "am"


@pytest.mark.parametrize(
    ("number", "letter", "addition"), [("12a-3", "", ""), ("12", "A", "3"), ("12 a 3", "", ""), ("12A", "", "3")]
)
def test_a_house_is_the_same_however_it_is_crammed(number: str, letter: str, addition: str) -> None:
    written = Address(house_number=number, house_letter=letter, house_addition=addition, postcode="4461 ab")
    assert normalise.address_key(written) == ("4461AB", "4461AB12", "A3")


@pytest.mark.parametrize("flag", [{"kind": AddressKind.POSTAL}, {"abroad": True}, {"under_investigation": True}])
def test_some_addresses_make_no_household(flag: dict[str, object]) -> None:
    assert normalise.address_key(Address(house_number="1", postcode="4461AB", **flag)) == ("", "", "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "written", ["0612345678", "06-12 34 56 78", "+31612345678", "+31(0)6 12345678", "0031612345678"]
)
def test_phone(written: str) -> None:
    assert normalise.phone(written) == "612345678"


@pytest.mark.parametrize("written", ["0000000000", "12345", "onbekend", "06"])
def test_no_phone(written: str) -> None:
    assert normalise.phone(written) == ""


def test_letters() -> None:
    assert fold("Ĳssel d'Hónt Şen") == "yssel dhont sen"
    assert sound("schmidt") == sound("smit")
    assert sound("janssen") == sound("jansen")
    assert not similar("jan", "jon")
    assert similar("tyhs", "thys")


@pytest.mark.parametrize(
    ("a", "b", "how"),
    [
        ("jan", "johannes", 2), ("betty", "elisabeth", 2), ("mo", "mohamed", 2), ("anna", "anne", 2),
        ("tim", "tom", 0), ("sem", "sam", 0), ("willemyn", "wilemyn", 1),
    ],
)  # fmt: skip
def test_first_names(a: str, b: str, how: int) -> None:
    assert match(a, b) == match(b, a) == how


def _born(text: str) -> Features:
    return features(IdentityFacts(birth_date=PartialDate.parse(text)))


@pytest.mark.parametrize(
    ("a", "b", "level"),
    [
        ("1980-05-06", "1980-05-06", Birth.SAME),
        ("1980-01-01", "1980-01-01", Birth.FILLER),
        ("1980-07-01", "1980-05-06", Birth.YEAR),
        ("1980-00-00", "1980-05-06", Birth.YEAR),
        ("1980-05-00", "1980-05-06", Birth.PARTIAL),
        ("1980-05-06", "1980-06-05", Birth.SWAP),
        ("1980-05-06", "1980-05-16", Birth.TYPO),
        ("1980-05-06", "1981-05-06", Birth.TYPO),
        ("1961-05-06", "1991-05-06", Birth.PART),
        ("1980-05-06", "1980-06-17", Birth.TWO),
        ("1980-05-06", "1980-05-29", Birth.PART),
        ("1980-05-06", "1984-09-06", Birth.TWO),
        ("1980-05-06", "1984-09-21", Birth.CLASH),
        ("1961-05-06", "1991-05-07", Birth.CLASH),
        ("1961-00-00", "1991-05-06", Birth.CLASH),
        ("1980-01-01", "1983-05-06", Birth.DIFFERENT),
        ("0000-00-00", "1983-05-06", Birth.UNSAID),
    ],
)
def test_birth_dates(a: str, b: str, level: Birth) -> None:
    assert birth_level(_born(a), _born(b)) == birth_level(_born(b), _born(a)) == level


def test_call_names_and_formal_names() -> None:
    betty = Features(call="betty")
    assert given_level(betty, Features(given=("elisabeth", "margaretha"))) == Given.NICKNAME
    assert given_level(betty, Features(given=("johanna", "elisabeth"))) == Given.NICKNAME
    assert (
        given_level(replace(betty, initials="b"), Features(given=("johanna", "elisabeth"), initials="je"))
        == Given.DIFFERENT
    )
    assert given_level(betty, Features(call="lisa")) == Given.NICKNAME
    assert given_level(betty, Features(call="truus")) == Given.CLASH
    assert given_level(Features(given=("jan", "piet")), Features(given=("jan", "piet"))) == Given.SAME_FULL
    assert given_level(Features(initials="jp"), Features(initials="j")) == Given.INITIALS_FIT
    assert given_level(Features(initials="jp"), Features(call="piet")) == Given.INITIALS_FIT
    assert given_level(Features(initials="k"), Features(call="piet")) == Given.INITIALS_DIFFER


def _twin(call: str) -> Features:
    identity = IdentityFacts(
        source=call,
        call_name=call,
        surname="Zandee",
        birth_date=PartialDate(2012, 3, 4),
        sex=Sex.MALE,
        address=Address(house_number="3", postcode="4461AB"),
        phone="0612345678",
    )
    return features(identity)


def test_vetoes() -> None:
    assert SCORE.explain(_twin("Sem"), _twin("Stijn")).veto is Veto.TWINS
    father = replace(_twin("Sem"), year=1982)
    assert SCORE.explain(_twin("Sem"), father).veto is Veto.BIRTH
    one, two = replace(_twin("Sem"), bsn="1:aa"), replace(_twin("Sem"), bsn="1:bb")
    assert SCORE.explain(one, two).veto is Veto.BSN
    assert SCORE.explain(one, replace(two, bsn="2:bb")).veto is None
    assert SCORE.score(_twin("Sem"), _twin("Sem")) > MODEL.link


def test_a_mothers_number_on_a_childs_record_does_not_make_them_one() -> None:
    child = replace(_twin("Sem"), bsn="1:aa")
    mother = replace(_twin("Ria"), bsn="1:aa", year=1985, month=8, day=21, sex="F")
    assert SCORE.score(child, mother) == FORBIDDEN


def test_a_missing_birth_date_or_first_name_is_no_evidence() -> None:
    whole = _twin("Sem")
    for poorer in (replace(whole, source="b", year=0, month=0, day=0), replace(whole, source="b", call="")):
        assert SCORE.score(whole, poorer) < SCORE.score(whole, replace(whole, source="b")) - 200


def test_household_facts_count_for_less_at_one_address() -> None:
    home, away = Address(street="Markt", house_number="3", postcode="4461AB"), Address(street="Dam", house_number="9")
    here, there = (features(IdentityFacts(surname="Zandee", phone="0612345678", address=a)) for a in (home, away))
    at_home = {f.name: f.weight for f in SCORE.explain(here, here).fields}
    elsewhere = {f.name: f.weight for f in SCORE.explain(here, there).fields}
    assert at_home["surname_at_home"] < elsewhere["surname"]
    assert at_home["phone_at_home"] < elsewhere["phone"]


def test_a_rare_name_is_worth_more_than_a_common_one() -> None:
    def worth(name: str) -> int:
        one = features(IdentityFacts(surname=name))
        return SCORE.score(one, replace(one, source="b"))

    assert worth("Qwerzande") > worth("Bos") > worth("de Vries")


@pytest.mark.parametrize(
    ("a", "b", "level"),
    [("6988048", "6988048", Other.SAME), ("6988048", "6988084", Other.CLOSE), ("6988048", "7364009", Other.DIFFERENT),
     ("6988048", "", Other.UNKNOWN), ("12345", "12346", Other.DIFFERENT)],
)  # fmt: skip
def test_numbers_from_elsewhere(a: str, b: str, level: Other) -> None:
    assert (
        other_level(Features(other=a), Features(other=b)) == other_level(Features(other=b), Features(other=a)) == level
    )


@pytest.mark.parametrize(
    ("a", "b", "level"),
    [
        (("Markt", "3", "4461AB", "Goes"), ("Markt", "3", "4461AB", "Goes"), Place.SAME),
        (("Markt", "3", "4461AB", "Goes"), ("Markt", "3a", "4461AB", "Goes"), Place.BUILDING),
        (("Lindelaan", "3", "4461AB", "Goes"), ("Lindelan", "3", "", "Goes"), Place.STREET),
        (("Lindelaan", "3", "4461AB", "Goes"), ("Lindelaan", "5", "", "Goes"), Place.NEAR),
        (("Markt", "3", "4461AB", "Goes"), ("Dam", "3", "4463XX", "Goes"), Place.TOWN),
        (("Markt", "3", "4461AB", "Goes"), ("Dam", "9", "8011AA", "Zwolle"), Place.DIFFERENT),
        (("", "", "", ""), ("Dam", "9", "8011AA", "Zwolle"), Place.UNKNOWN),
    ],
)  # fmt: skip
def test_addresses(a: tuple[str, ...], b: tuple[str, ...], level: Place) -> None:
    one, other = (
        features(IdentityFacts(address=Address(street=s, house_number=n, postcode=p, city=c))) for s, n, p, c in (a, b)
    )
    assert address_level(one, other) == address_level(other, one) == level


def test_first_name_and_surname_in_each_others_place() -> None:
    right = features(IdentityFacts(given_names="Lachlan", surname="Berry"))
    wrong = features(IdentityFacts(given_names="Berry", surname="Lachlan"))
    assert crossed(right, wrong)
    assert crossed(wrong, right)
    assert not crossed(right, right)
    assert SCORE.score(right, wrong) > 0


_ANY = st.builds(
    Features,
    source=st.sampled_from(("a", "b")),
    bsn=st.sampled_from(("", "1:x", "1:y", "2:x")),
    own=st.sampled_from(("", "jansen", "vries")),
    surnames=st.sampled_from(((), ("jansen",), ("jansen", "vries"), ("janssen",))),
    given=st.lists(st.sampled_from(("jan", "johannes", "pieter", "xander")), max_size=2).map(tuple),
    call=st.sampled_from(("", "jan", "piet", "lex", "qwer")),
    initials=st.sampled_from(("", "j", "jp", "p", "xj")),
    year=st.sampled_from((0, 1980, 1985, 1999)),
    month=st.sampled_from((1, 5, 12)),
    day=st.sampled_from((1, 5, 12)),
    sex=st.sampled_from(("", "M", "F")),
    postcode=st.sampled_from(("", "4461AB", "4461AC")),
    house=st.sampled_from(("", "4461AB1", "4461AB2")),
    addition=st.sampled_from(("", "A")),
    phone=st.sampled_from(("", "1", "2")),
    email=st.sampled_from(("", "a@b.c")),
    street=st.sampled_from(("", "markt", "marckt", "dam")),
    number=st.sampled_from(("", "3", "9")),
    city=st.sampled_from(("", "goes", "zwolle")),
    other=st.sampled_from(("", "6988048", "6988084", "1111")),
)


@given(_ANY, _ANY)
def test_the_score_is_symmetric_and_is_what_the_evidence_says(a: Features, b: Features) -> None:
    score, evidence = SCORE.score(a, b), SCORE.explain(a, b)
    assert score == SCORE.score(b, a)
    assert evidence == SCORE.explain(b, a)
    assert score == (FORBIDDEN if evidence.veto else evidence.weight)


def test_the_model_says_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match=r"fields\.bsn"):
        parse_model(
            '{"format": 2, "version": "x", "link_bits": 1, "possible_bits": 0, "margin_bits": 1, "prior_base": 4,'
            ' "rise_bits": 1, "block_cap": 3, "component_cap": 3, "fields": {"bsn": {"same": [0.5, 0.1]}}}'
        )
    with pytest.raises(ValueError, match="format"):
        parse_model('{"format": 1}')


def test_the_prior_rises_with_each_doubling_only() -> None:
    base = MODEL.prior_base
    assert [MODEL.step(n) for n in (0, 1, base, base + 1, 2 * base, 2 * base + 1, 64 * base)] == [0, 0, 0, 1, 1, 2, 6]
