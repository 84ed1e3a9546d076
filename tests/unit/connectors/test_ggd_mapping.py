"""What FHIR says, in the hub's words: statuses, partial dates, Dutch names and addresses, and numbers that are not one's own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from fhir_server import BSN, EXT, START, FhirServer, episode, patient
from hypothesis import given
from hypothesis import strategies as st

from samenloop_connectors.ggd import mapping, resources
from samenloop_connectors.ggd.config import GgdConfig
from samenloop_connectors.ggd.identity import identity, partial_date
from samenloop_connectors.ggd.numbers import Numbers
from samenloop_connectors.sdk.errors import DataError, NotYet
from samenloop_producers.statement import CaseReport
from samenloop_schemas.codes import AddressKind, EndReason, NameUsage, RelationKind, Sensitivity, Sex, Status
from samenloop_schemas.dates import PartialDate, micros

SERVER = FhirServer()
SERVER.close()
CONFIG: GgdConfig = SERVER.config(Path("/nowhere"))
A2 = CONFIG.organisations[0]


def parts_of(resource: dict[str, Any], person: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    group = resources.service_group(CONFIG, resource)
    assert group
    found = resources.episode(CONFIG, resource, group)
    told = person or patient()
    body = found.contained or resources.person(told, resources.rank_of(told))
    return {"episode": found.payload, found.person: body, **more}


def said(resource: dict[str, Any], person: dict[str, Any] | None = None, **more: Any) -> CaseReport:
    return mapping.report(CONFIG, A2, resource["id"], parts_of(resource, person, **more))


def who(person: dict[str, Any]) -> Any:
    body = resources.person(person, (1, "1"))
    return identity(body, body["bsn"])


@pytest.mark.parametrize(
    ("word", "status", "named"),
    [
        ("planned", Status.ANNOUNCED, True),
        ("waitlist", Status.ANNOUNCED, True),
        ("active", Status.ACTIVE, True),
        ("onhold", Status.PAUSED, True),
        ("finished", Status.ENDED, True),
        ("cancelled", Status.RETRACTED, False),
        ("entered-in-error", Status.RETRACTED, False),
    ],
)
def test_each_status(word: str, status: Status, named: bool) -> None:
    report = said(episode(status=word, period={"start": "2026-03-04", "end": "2026-04-01"}))
    assert report.status is status
    assert (report.identity is not None) is named
    assert report.starts_on == (date(2026, 3, 4) if named else None)


def test_an_unknown_status_is_no_status() -> None:
    with pytest.raises(DataError, match="unknown_code: status"):
        said(episode(status="suspended"))


@pytest.mark.parametrize(
    ("status", "period", "starts", "ends"),
    [
        ("active", {"start": "2026"}, date(2026, 1, 1), None),
        ("active", {"start": "2026-02"}, date(2026, 2, 1), None),
        ("active", {"start": "2026-02-03", "end": "2027"}, date(2026, 2, 3), date(2028, 1, 1)),
        ("onhold", {"start": "2024-02-03", "end": "2024-02"}, date(2024, 2, 3), date(2024, 3, 1)),
        ("finished", {"start": "2026", "end": "2026"}, date(2026, 1, 1), date(2026, 1, 2)),
        ("finished", {"start": "2026-02-10", "end": "2026-02"}, date(2026, 2, 10), date(2026, 2, 11)),
        ("finished", {"start": "2026-02-10", "end": "2026-06"}, date(2026, 2, 10), date(2026, 6, 2)),
        ("finished", {"start": "2026-02-10", "end": "2026-06-30"}, date(2026, 2, 10), date(2026, 7, 1)),
        ("finished", {"end": "2026-06-30"}, date(2026, 6, 30), date(2026, 7, 1)),
        # midnight in the Netherlands is an evening in UTC
        (
            "finished",
            {"start": "2026-06-29T22:30:00Z", "end": "2026-06-30T22:30:00Z"},
            date(2026, 6, 30),
            date(2026, 7, 2),
        ),
        ("planned", {}, None, None),
        ("planned", {"start": "2027-01"}, date(2027, 1, 1), None),
    ],
)
def test_partial_dates(status: str, period: dict[str, str], starts: date | None, ends: date | None) -> None:
    report = said(episode(status=status, period=period))
    assert (report.starts_on, report.ends_on) == (starts, ends)


partial = st.one_of(
    st.dates(date(2020, 1, 1), date(2029, 12, 31)).map(lambda day: day.isoformat()[:10]),
    st.dates(date(2020, 1, 1), date(2029, 12, 31)).map(lambda day: day.isoformat()[:7]),
    st.dates(date(2020, 1, 1), date(2029, 12, 31)).map(lambda day: day.isoformat()[:4]),
)


@given(partial, partial, st.sampled_from(["active", "finished"]))
def test_a_period_never_runs_back_and_lies_within_what_was_written(start: str, end: str, status: str) -> None:
    resource = episode(status=status, period={"start": start, "end": end})
    if end[: len(start)] < start[: len(end)]:
        with pytest.raises(DataError, match="ends_before_start"):
            said(resource)
        return
    report = said(resource)
    assert report.starts_on
    assert report.ends_on
    assert report.starts_on < report.ends_on
    assert str(report.starts_on).startswith(start)
    assert str(report.ends_on - timedelta(days=1)).startswith(end)


def test_what_is_finished_without_an_end_ended_before_that_was_written() -> None:
    assert said(episode(status="finished")).ends_on == START.date()
    history = [{"status": "active", "period": {"start": "2026-03-04", "end": "2026-10-05"}}]
    assert said(episode(status="finished", statusHistory=history)).ends_on == date(2026, 10, 5)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"period": {}}, "missing: period.start"),
        ({"period": {"start": "gisteren"}}, "unreadable: period.start"),
        ({"period": {"start": "2026-13"}}, "unreadable: period.start"),
        ({"period": {"start": "2026-03-04", "end": "2026-03-03"}}, "ends_before_start: period.end"),
        ({"patient": {}}, "missing: patient"),
        ({"meta": {}}, "unreadable: meta.lastUpdated"),
        ({"meta": {"lastUpdated": "2026-11-01T02:00:00"}}, "unreadable: meta.lastUpdated"),
        ({"id": "../other"}, "missing: id"),
    ],
)
def test_what_cannot_be_read_is_told_by_field_and_never_by_value(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(DataError) as caught:
        said(episode(**fields))
    assert str(caught.value) == code


def test_nothing_can_be_said_without_the_episode() -> None:
    with pytest.raises(NotYet):
        mapping.report(CONFIG, A2, "e1", {"Patient/p1": {}})


def test_what_happened_to_an_episode_counts_until_it_says_something_newer() -> None:
    now = micros(START)
    older, newer = {"at": now - 1}, {"at": now + 1}
    assert said(episode(), withdrawn=newer).status is Status.RETRACTED
    assert said(episode(), withdrawn={"at": now}).status is Status.RETRACTED, "what is gone is gone, also at one moment"
    assert said(episode(), withdrawn=older).status is Status.ACTIVE
    moved = said(episode(), moved=newer)
    assert (moved.status, moved.ends_on, moved.end_reason) == (Status.ENDED, START.date(), EndReason.MOVED)
    assert said(episode(), moved=older).status is Status.ACTIVE
    assert said(episode(status="planned"), moved=newer).status is Status.RETRACTED
    gone = said(episode(), absent={"at": now + 1, "on": now})
    assert (gone.status, gone.end_reason) == (Status.ENDED, EndReason.EXTERNAL)
    assert said(episode(), absent={"at": now + 1, "undone": True}).status is Status.ACTIVE
    ended = said(episode(status="finished", period={"start": "2026-03-04", "end": "2026-05"}), moved=newer)
    assert (ended.ends_on, ended.end_reason) == (date(2026, 5, 2), EndReason.PLANNED)


def test_a_nineteenth_birthday_ends_nothing_by_itself() -> None:
    child = patient(birthDate="2007-03-04")
    assert said(episode(), child).status is Status.ACTIVE
    assert said(episode(status="finished", period={"start": "2024", "end": "2026-03-04"}), child).status is Status.ENDED


def test_the_type_and_all_else_that_is_not_needed_stay_behind() -> None:
    kept = repr(parts_of(episode()))
    for word in ("merkpunt", "Merkpunt", "jgz.example", "extra,", "diagnosis", "maritalStatus", "generalPractitioner"):
        assert word not in kept


def test_only_a_kind_on_the_allow_list_is_of_a_service_group() -> None:
    assert resources.service_group(CONFIG, episode()) == "youth_health_extra"
    assert resources.service_group(CONFIG, episode(kind="coordination")) == "care_coordination"
    assert resources.service_group(CONFIG, episode(kind="universal")) is None
    assert resources.service_group(CONFIG, episode(type=[{"coding": [{"system": "other", "code": "extra"}]}])) is None
    assert resources.service_group(CONFIG, episode(type=[])) is None


@pytest.mark.parametrize(
    ("fields", "organisation"),
    [
        ({}, "ggd-a2"),
        ({"managingOrganization": {
            "identifier": {"system": "http://fhir.nl/fhir/NamingSystem/ura", "value": "00000042"}}}, "ggd-zwolle"),
        ({"managingOrganization": {"reference": "#o"}, "contained": [{
            "resourceType": "Organization", "id": "o",
            "identifier": [{"system": "http://fhir.nl/fhir/NamingSystem/agb-z", "value": "41000001"}]}]}, "ggd-a2"),
        ({"agb": "41000009"}, ""),
        ({"managingOrganization": {}}, ""),
    ],
)  # fmt: skip
def test_the_managing_organisation(fields: dict[str, Any], organisation: str) -> None:
    assert resources.episode(CONFIG, episode(**fields), "x").organisation == organisation


def test_a_team_becomes_a_route_and_a_person_does_not() -> None:
    assert said(episode(team=[{"display": "Team Zuid"}])).contact.team == "JGZ Team Zuid"
    assert said(episode(team=[{"display": "Team van Jansen"}])).contact.team == "JGZ A2"
    assert said(episode(careManager={"reference": "PractitionerRole/r7"})).contact.team == "JGZ Cranendonck"
    assert said(episode(careManager={"display": "Team Zuid"})).contact.team == "JGZ A2", (
        "a care manager's name is no team"
    )


def test_a_mark_of_confidentiality_raises_the_sensitivity() -> None:
    marked = episode()
    marked["meta"]["security"] = [{"code": "R"}]
    assert said(marked).sensitivity is Sensitivity.SENSITIVE
    marked["meta"]["security"] = [{"code": "R"}, {"code": "V"}]
    assert said(marked).sensitivity is Sensitivity.PROTECTED


def test_nobody_is_named_where_consent_is_required() -> None:
    asked = A2.model_copy(update={"consent": "required"})
    assert mapping.report(CONFIG, asked, "e1", parts_of(episode())).identity is None


def name(
    use: str | None = "official", order: str = "", given: list[tuple[str, str]] | None = None, **family: str
) -> dict[str, Any]:
    return {
        **({"use": use} if use else {}),
        **({"extension": [{"url": EXT + "humanname-assembly-order", "valueCode": order}]} if order else {}),
        "_family": {"extension": [{"url": f"{EXT}humanname-{key.replace('_', '-')}", "valueString": value}
                                  for key, value in family.items()]},
        "given": [text for text, _ in given or []],
        "_given": [{"extension": [{"url": EXT + "iso21090-EN-qualifier", "valueCode": mark}]} if mark else None
                   for _, mark in given or []],
    }  # fmt: skip


def test_a_name_with_all_its_parts() -> None:
    person = who(patient(name=[name(
        order="NL4", own_prefix="van der", own_name="Berg", partner_prefix="de ", partner_name="Haas",
        given=[("Johanna", "BR"), ("Petronella", "BR"), ("Jo", "CL"), ("J.", "IN"), ("P.", "IN")],
    )]))  # fmt: skip
    assert (person.given_names, person.call_name, person.initials) == ("Johanna Petronella", "Jo", "J.P.")
    assert (person.surname_prefix, person.surname) == ("van der", "Berg")
    assert (person.partner_prefix, person.partner_surname) == ("de", "Haas")
    assert person.name_usage is NameUsage.OWN_PARTNER


@pytest.mark.parametrize(
    ("order", "usage"),
    [("NL1", NameUsage.OWN), ("NL2", NameUsage.PARTNER), ("NL3", NameUsage.PARTNER_OWN), ("NL4", NameUsage.OWN_PARTNER),
     ("UNK", NameUsage.UNKNOWN), ("", NameUsage.UNKNOWN)],
)  # fmt: skip
def test_the_order_of_the_names(order: str, usage: NameUsage) -> None:
    assert who(patient(name=[name(order=order, own_name="Berg")])).name_usage is usage


def test_several_names_and_names_without_marks() -> None:
    person = who(patient(name=[
        name("usual", given=[("Jo", "")]), name("old", own_name="Vroeger", given=[("Oud", "BR")]),
        {"use": "official", "family": "van Putten-van der Giessen", "given": ["Johanna", None, "."]},
    ]))  # fmt: skip
    assert (person.given_names, person.call_name) == ("Johanna", "Jo")
    assert (person.surname_prefix, person.surname, person.partner_prefix) == ("van", "Putten", "van der")
    assert who(patient(name=[name("old", own_name="Vroeger")])).surname == ""
    assert who(patient(name="Jansen")).surname == ""


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [("a", ("12", "A", "")), ("a II", ("12", "A", "II")), (" II", ("12", "", "II")), ("bis", ("12", "", "BIS")),
     ("a-3", ("12", "A", "3")), ("", ("12", "", "")), (" 3 hoog", ("12", "", "3HOOG"))],
)  # fmt: skip
def test_a_house_number(suffix: str, expected: tuple[str, str, str]) -> None:
    address = patient()["address"][0]
    address["_line"][0]["extension"][2]["valueString"] = suffix
    address["_line"][0]["extension"].append({"url": EXT + "iso21090-ADXP-additionalLocator", "valueString": "to"})
    found = who(patient(address=[address])).address
    assert (found.house_number, found.house_letter, found.house_addition) == expected
    assert (found.street, found.postcode, found.house_designation) == ("Dorpsstraat", "5554AB", "to")


def test_which_address_counts() -> None:
    kind = "http://nictiz.nl/fhir/StructureDefinition/ext-AddressInformation.AddressType"

    def of(code: str, city: str, **fields: Any) -> dict[str, Any]:
        return {
            "extension": [{"url": kind, "valueCodeableConcept": {"coding": [{"code": code}]}}],
            "city": city,
        } | fields

    found = who(
        patient(address=[of("PST", "Post"), of("TMP", "Tijdelijk"), of("HP", "Thuis"), of("WP", "Werk")])
    ).address
    assert (found.city, found.kind) == ("Thuis", AddressKind.HOME)
    found = who(patient(address=[of("HP", "Vroeger", period={"end": "2020"}), of("PST", "Post")])).address
    assert (found.city, found.kind) == ("Post", AddressKind.POSTAL)
    assert who(patient(address=[{"use": "old", "city": "Vroeger"}])).address.city == ""
    found = who(patient(address=[{"line": ["1e Jacob van Campenstr 15 b"], "country": "België"}])).address
    assert (found.street, found.house_number, found.house_letter) == ("1e Jacob van Campenstr", "15", "B")
    assert found.abroad


def test_the_other_facts_of_a_person() -> None:
    person = who(patient(
        telecom=[{"system": "phone", "value": "+31 6 11111111", "use": "old"},
                 {"system": "phone", "value": "0611112222", "rank": 2},
                 {"system": "phone", "value": "+31 (0)6 1111 3333", "rank": 1}, {"system": "email", "value": "S@Example.org"}],
        gender="unknown", birthDate="2019-05", deceasedDateTime="2026-02-03T10:00:00+01:00",
    ))  # fmt: skip
    assert (person.phone, person.email, person.sex) == ("0611113333", "s@example.org", Sex.UNKNOWN)
    assert (person.birth_date, person.deceased_on) == (PartialDate(2019, 5), PartialDate(2026, 2, 3))
    assert who(patient(deceasedBoolean=True)).deceased_on == PartialDate()
    assert who(patient(deceasedBoolean=False)).deceased_on is None
    assert said(episode(status="finished"), patient(deceasedBoolean=True)).end_reason is EndReason.DECEASED
    assert [partial_date(text) for text in ("2019", "2019-05-06", "6 mei", None, "2019-02-31")] == [
        PartialDate(2019), PartialDate(2019, 5, 6), PartialDate(), PartialDate(), PartialDate(),
    ]  # fmt: skip


KEYS = (
    "use",
    "value",
    "given",
    "url",
    "end",
    "code",
    "coding",
    "system",
    "identifier",
    "reference",
    "extension",
    "rank",
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["#", "#h", BSN, "2026", "MTH"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=10,
)


ELEMENTS = (
    "name",
    "telecom",
    "gender",
    "birthDate",
    "address",
    "identifier",
    "contact",
    "deceasedDateTime",
    "contained",
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(ELEMENTS, json_values)))
def test_a_person_of_any_shape_never_raises(fields: dict[str, Any]) -> None:
    who(patient() | fields)


@given(json_values, st.sampled_from(["type", "patient", "period", "managingOrganization", "team", "careManager", "meta", "status",
                                     "statusHistory", "contained"]))  # fmt: skip
def test_an_episode_of_any_shape_is_read_or_set_aside(value: Any, field: str) -> None:
    broken = episode() | {field: value}
    if resources.service_group(CONFIG, broken):
        with suppress(DataError):
            assert said(broken).case_number


def test_parents_and_guardians_are_relations_and_helpers_are_not() -> None:
    def contact(code: str, own_name: str) -> dict[str, Any]:
        return {"relationship": [{"coding": [{"code": code}]}], "name": name(own_name=own_name)}

    child = patient(contact=[contact("07", "Hulp"), contact("MTH", "Moeder"), contact("11", "Voogd"), {"name": {}}])
    found = said(episode(), child).relations
    assert [(each.kind, each.identity.surname if each.identity else "") for each in found] == [
        (RelationKind.PARENT, "Moeder"), (RelationKind.GUARDIAN, "Voogd"),
    ]  # fmt: skip
    assert len({each.person_number for each in found}) == 2
    assert said(episode(status="cancelled"), child).relations == ()


def test_a_person_that_the_episode_carries() -> None:
    inside = patient(
        "here", identifier=[{"system": BSN, "value": "999990019"}, {"system": "urn:dossier", "value": "D7"}]
    )
    report = said(episode(patient={"reference": "#here"}, contained=[inside]))
    assert report.identity
    assert report.identity.bsn == "999990019"
    assert report.person_number == "urn:dossier|D7", "never the BSN"
    alone = said(episode(patient={"identifier": {"system": BSN, "value": "999990019"}}))
    assert alone.identity
    assert (alone.identity.bsn, alone.person_number) == ("999990019", "EpisodeOfCare/e1")


@pytest.mark.parametrize(
    ("identifiers", "kept"),
    [
        ([{"value": "999990019"}], "999990019"),
        ([{"value": "9999.90.019", "use": "official"}], "999990019"),
        ([{"value": "999990019", "use": "temp"}], ""),
        ([{"value": "999990019", "use": "old"}, {"value": "999990020"}], "999990020"),
        ([{"value": "999990019"}, {"value": "999990020"}], ""),
        ([{"value": "999990019", "period": {"end": "2026-01-01"}}], ""),
    ],
)
def test_a_number_that_the_source_itself_does_not_trust_is_left_out(
    identifiers: list[dict[str, Any]], kept: str
) -> None:
    body = resources.person(patient(identifier=[{"system": BSN} | each for each in identifiers]), (1, "1"))
    assert body["bsn"] == kept
    assert body["left_out"] is (kept == "")


def shown(*persons: dict[str, Any]) -> list[bool]:
    numbers = Numbers()
    for person in persons:
        numbers.add(person["id"], person, parent=person["resourceType"] == "RelatedPerson")
    return [numbers.is_of_another(person["id"], "999990019") for person in persons]


def test_the_mothers_number_on_a_newborn() -> None:
    mother, child = patient("m", birthDate="1995-01-02"), patient("c", birthDate="2026-10-30")
    assert shown(mother, child) == [False, True]
    assert shown(child, mother | {"birthDate": "1995"}) == [True, False]
    assert shown(child) == [False]
    assert shown(child, {"resourceType": "RelatedPerson", "id": "r", "identifier": child["identifier"]}) == [
        True,
        False,
    ]


def test_brothers_and_sisters_with_one_number_have_none() -> None:
    def born(number: str, given: str, **fields: Any) -> dict[str, Any]:
        return patient(number, name=[name(own_name="Berg", given=[(given, "BR")] if given else [])]) | fields

    assert shown(born("a", "Bram"), born("b", "Zoë")) == [True, True]
    assert shown(born("a", "Zoe"), born("b", "Zoë")) == [False, False], "one child that is written down twice"
    assert shown(born("a", "", multipleBirthInteger=1), born("b", "", multipleBirthInteger=2)) == [True, True]
    assert shown(born("a", "Bram", birthDate="2020-01-01"), born("b", "Zoë", birthDate="2026-10-30")) == [True, True]


def test_a_number_once_found_to_be_anothers_is_left_out_until_the_source_changes_it() -> None:
    found = {"at": 1, "person": "Patient/p1", "bsn": "999990019"}
    assert (report := said(episode(), number=found)).identity
    assert report.identity.bsn == ""
    own = said(episode(), patient(bsn="999990020"), number=found).identity
    assert own
    assert own.bsn == "999990020"
    assert replace(own, bsn="") == report.identity
