"""What one viewer may see of one case: parties, grace, sensitive and protected services, recalls."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from samenloop_processors.agreement import load_agreement
from samenloop_schemas.codes import (
    ActorRole,
    CaseState,
    NameUsage,
    NoticeChange,
    OverlapKind,
    Role,
    Sensitivity,
    Status,
)
from samenloop_schemas.ids import derived_id
from samenloop_schemas.records import (
    CaseFact,
    ClientStatement,
    Contact,
    DueNotice,
    FieldEvidence,
    IdentityFacts,
    InvolvementFacts,
    LinkEvidence,
    NoticeBasis,
    NoticeSent,
    OverlapStatement,
)
from samenloop_views.web.case_view import CaseView, KeyGone, Names, is_in, told_of, view
from samenloop_views.web.evidence import Ground, How, grounds
from samenloop_views.web.naming import full_name
from samenloop_views.web.viewers import Viewer

AGREEMENT = load_agreement(Path(__file__).parents[3] / "deploy" / "agreements" / "a2.yaml")
TODAY = date(2026, 3, 10)
OWN, JEUGD, WMO = "lumens/social-work", "gemeente-valkenswaard/jeugd", "gemeente-valkenswaard/wmo"


def fact(party: str, number: int, **changes: object) -> CaseFact:
    made = CaseFact(
        f"i{number}",
        f"p{number}",
        UUID(int=number),
        party,
        party.split("/")[0],
        date(2026, 1, number),
        None,
        Status.ACTIVE,
    )
    return replace(made, sensitivity=Sensitivity.NORMAL, **changes)  # type: ignore[arg-type]


def viewer_of(party: str) -> Viewer:
    organisation = party.split("/")[0]
    return Viewer("key", "a2", ActorRole.PROFESSIONAL, organisation, (party,), party, organisation)


ME = viewer_of(OWN)
FACTS = (fact(OWN, 1), fact(JEUGD, 2), fact(WMO, 3))
CASE = OverlapStatement(
    "a2", "case", 1, OverlapKind.CLIENT, CaseState.NOTIFIED, episode_from=date(2026, 1, 2), facts=FACTS
)
ALL = frozenset({OWN, JEUGD, WMO})


def look(
    case: OverlapStatement = CASE, viewer: Viewer = ME, told: frozenset[str] = ALL, **opened: object
) -> CaseView | None:
    names = Names([AGREEMENT])
    return view(case, viewer, names, told, opened or None, TODAY)  # type: ignore[arg-type]


def lanes(seen: CaseView | None) -> list[str]:
    return [lane.name for lane in seen.lanes] if seen else []


def test_ones_own_lane_comes_first_and_the_others_by_name() -> None:
    assert lanes(look()) == ["Maatschappelijk werk Lumens", "Jeugd Valkenswaard", "Wmo Valkenswaard"]


@pytest.mark.parametrize("party", ["lumens/client-support", "gemeente-cranendonck/jeugd", ""])
def test_who_is_no_party_sees_nothing(party: str) -> None:
    assert not is_in(CASE, viewer_of(party))
    assert look(viewer=viewer_of(party)) is None


def test_a_party_id_is_not_enough_without_its_organisation() -> None:
    assert look(viewer=replace(ME, organisation="gemeente-valkenswaard")) is None


@pytest.mark.parametrize("state", [CaseState.UNKNOWN, CaseState.NEVER_OVERLAPPED, CaseState.SUPERSEDED])
def test_a_case_that_is_gone_shows_nothing(state: CaseState) -> None:
    assert look(replace(CASE, state=state)) is None


def test_only_parties_of_which_one_may_know() -> None:
    assert lanes(look(told=frozenset({WMO}))) == ["Maatschappelijk werk Lumens", "Wmo Valkenswaard"]
    assert look(told=frozenset()) is None


def test_told_by_what_is_due_or_sent_and_not_recalled() -> None:
    jeugd, wmo = NoticeBasis(JEUGD, ("i1",), ("i2",)), NoticeBasis(WMO, ("i1",), ("i3",))
    due = DueNotice(derived_id("n", 1), NoticeChange.NEW, OWN, "lumens", (jeugd,))
    assert told_of(replace(CASE, due=(due,)), ME, []) == {JEUGD}
    assert told_of(replace(CASE, due=(replace(due, recipient=WMO),)), ME, []) == frozenset()
    sent = NoticeSent(derived_id("n", 2), NoticeChange.NEW, OverlapKind.CLIENT, OWN, (jeugd, wmo))
    recall = replace(sent, change=NoticeChange.RECALLED, about=(wmo,))
    assert told_of(CASE, ME, [sent]) == {JEUGD, WMO}
    assert told_of(CASE, ME, [sent, recall]) == {JEUGD}
    assert told_of(CASE, ME, [sent, recall, sent]) == {JEUGD, WMO}
    assert told_of(replace(CASE, facts=FACTS[:2]), ME, [sent]) == {JEUGD}
    assert told_of(CASE, viewer_of(WMO), [sent]) == frozenset()


def test_a_sensitive_service_is_one_nameless_lane_within_the_overlap() -> None:
    case = replace(CASE, facts=(FACTS[0], *(replace(f, sensitivity=Sensitivity.SENSITIVE) for f in FACTS[1:])))
    seen = look(
        case, i2=InvolvementFacts(role=Role.HELP, contact=Contact("t", "1", "e"), sensitivity=Sensitivity.NORMAL)
    )
    assert seen is not None
    (hidden,) = seen.others
    assert (hidden.hidden, hidden.party, hidden.name, hidden.organisation) == (True, "", "", "")
    assert (hidden.contact, hidden.role) == (Contact(), Role.UNKNOWN)
    assert [(s.start, s.end) for s in hidden.stretches] == [(date(2026, 1, 2), None)]
    within = look(case, viewer=viewer_of(WMO))
    assert lanes(within) == ["Wmo Valkenswaard", "Jeugd Valkenswaard", "Maatschappelijk werk Lumens"]


def test_a_protected_involvement_does_not_exist_here() -> None:
    case = replace(CASE, facts=(*FACTS[:2], replace(FACTS[2], sensitivity=Sensitivity.PROTECTED)))
    assert lanes(look(case)) == ["Maatschappelijk werk Lumens", "Jeugd Valkenswaard"]
    assert look(case, viewer=viewer_of(WMO)) is None


def test_an_unknown_organisation_is_not_named() -> None:
    case = replace(CASE, facts=(FACTS[0], fact("somebody/else", 4)))
    seen = look(case, told=frozenset({"somebody/else"}))
    assert seen is not None
    assert [lane.hidden for lane in seen.others] == [True]


def test_facts_that_do_not_stand_are_left_out() -> None:
    normal = InvolvementFacts(status=Status.ACTIVE, sensitivity=Sensitivity.NORMAL)
    for gone in (
        KeyGone(),
        replace(normal, status=Status.RETRACTED),
        replace(normal, status=Status.WITHHELD),
        replace(normal, sensitivity=Sensitivity.PROTECTED),
    ):
        assert lanes(look(i2=gone, i1=normal)) == ["Maatschappelijk werk Lumens", "Wmo Valkenswaard"]
        assert look(i1=gone) is None


def test_contact_route_of_the_involvement_else_of_the_organisation() -> None:
    seen = look(i2=InvolvementFacts(contact=Contact("own team"), sensitivity=Sensitivity.NORMAL))
    assert seen is not None
    assert [lane.contact.team for lane in seen.others] == ["own team", "Sociaal domein Valkenswaard"]


def test_over_when_the_episode_or_ones_own_part_is() -> None:
    assert not look().over  # type: ignore[union-attr]
    assert look(replace(CASE, episode_to=TODAY)).over  # type: ignore[union-attr]
    ended = replace(CASE, facts=(replace(FACTS[0], ends_on=TODAY), *FACTS[1:]))
    assert look(ended).over  # type: ignore[union-attr]
    assert not look(ended, viewer=viewer_of(WMO)).over  # type: ignore[union-attr]


def test_evidence_in_words_without_values() -> None:
    fields = (
        FieldEvidence("birth", "SAME", 9.0),
        FieldEvidence("phone", "different", -2.0),
        FieldEvidence("source", "same", 1),
    )
    client = ClientStatement("a2", "c", 1, "p1", ("p1", "p2", "p3"), (LinkEvidence("p2", "p1", 12.0, fields),))
    ground = grounds(client, [FACTS[0]], [FACTS[1]], str)
    assert ground is not None
    assert [(r.how, r.text) for r in ground.reasons] == [
        (How.SAME, "Date of birth is the same"),
        (How.DIFFERENT, "Telephone differs"),
    ]
    assert grounds(client, [FACTS[0]], [FACTS[2]], str) == Ground(())
    assert grounds(None, [FACTS[0]], [FACTS[2]], str) is None
    assert grounds(None, [FACTS[0]], [replace(FACTS[2], source_person_id="p1")], str) == Ground((), same_record=True)


@pytest.mark.parametrize(
    ("usage", "name"),
    [
        (NameUsage.OWN, "Fatima de Jong"),
        (NameUsage.PARTNER, "Fatima van Dijk"),
        (NameUsage.PARTNER_OWN, "Fatima van Dijk-de Jong"),
        (NameUsage.OWN_PARTNER, "Fatima de Jong-van Dijk"),
        (NameUsage.UNKNOWN, "Fatima de Jong"),
    ],
)
def test_a_person_is_called_by_the_name_he_uses(usage: NameUsage, name: str) -> None:
    person = IdentityFacts(
        call_name="Fatima",
        initials="F.",
        surname_prefix="de",
        surname="Jong",
        partner_prefix="van",
        partner_surname="Dijk",
        name_usage=usage,
    )
    assert full_name(person) == name


def test_a_name_of_which_little_is_known() -> None:
    assert full_name(IdentityFacts(initials="F.", surname="Jong")) == "F. Jong"
    assert full_name(IdentityFacts()) == ""
