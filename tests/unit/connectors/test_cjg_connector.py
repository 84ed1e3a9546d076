"""The ZGW connector against a case system on a real socket: what a zaak means, and that nothing hangs on a notification."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from edge_tools import NOON, Edge, opened, raw_bytes, spellings
from pydantic import ValidationError
from zgw_rig import Rig
from zgw_source import JAN, PARENT, SECRET, TOKEN, ZOE, Source, person, running, uuid_of

from samenloop_connectors.cjg.connector import CjgConnector
from samenloop_connectors.sdk.errors import ConfigurationError, TransientError
from samenloop_schemas.codes import EndReason, RelationKind, Role, Sensitivity, Status
from samenloop_schemas.dates import PartialDate, micros


@pytest.fixture
def source() -> Iterator[Source]:
    with running() as made:
        yield made


@pytest.fixture
def rig(source: Source, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(source, tmp_path)
    yield made
    made.close()


def test_a_zaak_in_the_hubs_words(rig: Rig) -> None:
    uuid = rig.source.zaak(1)
    rig.source.role(uuid, person())
    rig.source.role(uuid, person(PARENT, "Jansen", "1984-01-00", voornamen="Piet"), "Ouder", "initiator")
    rig.source.role(
        uuid,
        {"identificatie": "e1", "achternaam": "WHAT-medewerker"},
        "Behandelaar",
        "behandelaar",
        betrokkeneType="medewerker",
    )
    rig.source.team(uuid, "Team Zuid")
    rig.source.end(uuid)
    assert rig.round().stated == 1
    said = rig.edge.only()
    child = opened(said)
    assert child is not None
    assert (said.area, said.organisation, said.source_system, said.service_group) == (
        "bevelanden", "cjg-bevelanden", "zgw", "youth_team",
    )  # fmt: skip
    assert (said.status, said.starts_on, said.ends_on) == (Status.ENDED, date(2026, 2, 10), date(2026, 4, 1))
    assert (said.end_reason, said.contact.team, said.role) == (EndReason.PLANNED, "Team Zuid", Role.HELP)
    assert (said.legal_basis, str(said.domain), said.expected_end_on) == ("jw_7_1", "JW", date(2027, 1, 1))
    assert (child.bsn, child.given_names, child.surname_prefix, child.surname) == (
        JAN,
        "Zoë Maria",
        "van der",
        "Jansen",
    )
    assert child.birth_date == PartialDate(2014, 5, 3)
    assert (child.address.postcode, child.address.house_number, child.address.house_letter) == ("4461AB", "12", "A")
    (relation,) = said.relations
    assert relation.kind is RelationKind.PARENT
    assert relation.person_ref != said.person_ref
    assert said.revision // 1000 == micros(rig.source.clock().fromisoformat(rig.source.zaken[uuid]["laatstGemuteerd"]))


@pytest.mark.parametrize(
    ("status", "fields", "wanted"),
    [
        (None, {}, Status.ANNOUNCED),
        ("intake", {}, Status.ANNOUNCED),
        ("running", {}, Status.ACTIVE),
        ("running", {"opschorting": {"indicatie": True, "reden": "x"}}, Status.PAUSED),
        ("running", {"opschorting": None, "einddatumGepland": None, "verlenging": {"reden": "x", "duur": "P5D"}}, Status.ACTIVE),
        ("closed", {"einddatum": "2026-03-01"}, Status.ENDED),
        ("closed", {"einddatum": "2026-02-10"}, Status.ENDED),
    ],
)  # fmt: skip
def test_status(rig: Rig, status: str | None, fields: dict[str, Any], wanted: Status) -> None:
    rig.source.role(rig.source.zaak(1, status=status, **fields), person())
    rig.round()
    said = rig.edge.only()
    assert said.status is wanted
    assert (said.starts_on is None) is (wanted is Status.ANNOUNCED)
    assert (said.ends_on is not None) is (wanted is Status.ENDED)


def test_a_life_told_by_notifications(rig: Rig) -> None:
    """New, started, paused, resumed, ended, re-opened, wrongly made; each notification may come twice."""
    source = rig.source
    uuid = source.zaak(1, status=None)
    source.role(uuid, person())
    for change in (
        lambda: None,
        lambda: source.set_status(uuid, "running"),
        lambda: source.suspend(uuid),
        lambda: source.suspend(uuid, False),
        lambda: source.end(uuid),
        lambda: source.reopen(uuid),
        lambda: source.end(uuid, "wrong"),
    ):
        change()
        rig.notify(uuid, uuid)
        rig.round()
        rig.round()
    assert [said.status for said in rig.said()] == [
        Status.ANNOUNCED, Status.ACTIVE, Status.PAUSED, Status.ACTIVE, Status.ENDED, Status.ACTIVE, Status.RETRACTED,
    ]  # fmt: skip
    revisions = [said.revision for said in rig.said()]
    assert revisions == sorted(set(revisions))
    assert rig.said()[-1].identity is None
    assert rig.waiting() == 0


def test_a_lost_notification_is_found_by_the_list(rig: Rig) -> None:
    uuid = rig.source.zaak(1)
    rig.source.role(uuid, person())
    rig.round()
    rig.source.end(uuid)
    assert rig.round().stated == 0, "nothing is listed before its time"
    rig.clock.later(hours=1)
    assert rig.round().stated == 0, "it began before the days that are listed each hour"
    rig.clock.later(hours=24)
    assert rig.round().stated == 1
    assert rig.edge.only().status is Status.ENDED

    late = rig.source.zaak(2, startdatum="2026-11-19")
    rig.source.role(late, person(ZOE))
    rig.clock.later(hours=1)
    assert rig.round().stated == 1
    rig.source.end(late, on="2026-11-20")
    rig.clock.later(hours=1)
    before = len(rig.source.asked)
    assert rig.round().stated == 1
    assert not any(uuid in asked for asked in rig.source.asked[before:]), "what did not change is not fetched again"


def test_many_zaken_over_pages_and_a_list_that_breaks_off(rig: Rig) -> None:
    for number in range(1, 9):
        rig.source.role(rig.source.zaak(number), person(ZOE, f"Name{number}"))
    rig.source.faults = []
    readings = rig.edge.connector.read(rig.edge.state)
    rig.edge.runner.take(next(readings))  # type: ignore[arg-type]
    assert len(rig.edge.final()) == 3
    rig.restart()
    before = len(rig.source.asked)
    rig.round()
    assert len(rig.edge.final()) == 8
    assert "page=2" in rig.source.asked[before], "it goes on at its page"
    assert not any("elsewhere" in asked for asked in rig.source.asked)


def test_destroyed_while_it_went_on_is_taken_back_and_after_its_end_stays(rig: Rig) -> None:
    going, over, lost = (rig.source.zaak(number) for number in (1, 2, 3))
    for uuid, who in ((going, JAN), (over, ZOE), (lost, PARENT)):
        rig.source.role(uuid, person(who))
    rig.source.end(over)
    rig.round()
    for uuid in (going, over, lost):
        rig.source.destroy(uuid)
    rig.notify(going, over)  # and nothing about the third
    assert rig.round().stated == 1
    assert rig.whole().stated == 1
    by_status = sorted(str(said.status) for said in rig.newest().values())
    assert by_status == ["ENDED", "RETRACTED", "RETRACTED"]
    assert all(said.identity is None for said in rig.newest().values() if said.status is Status.RETRACTED)
    assert rig.whole().items == 0


def test_a_notification_of_a_zaak_that_is_not_there(rig: Rig) -> None:
    """Sent before it was saved, or of one made and destroyed at once: asked for again for a while, then left."""
    rig.round()
    rig.notify(uuid_of(1))
    assert (rig.round().items, rig.waiting()) == (0, 1)
    rig.source.role(rig.source.zaak(1), person())
    assert (rig.round().stated, rig.waiting()) == (1, 0)
    rig.notify(uuid_of(2))
    rig.round()
    rig.clock.later(minutes=20)
    rig.round()
    assert (len(rig.said()), rig.waiting()) == (1, 0)


def test_a_zaak_that_comes_back_stands_again(rig: Rig) -> None:
    uuid = rig.source.zaak(1)
    rig.source.role(uuid, person())
    rig.round()
    zaak, roles = rig.source.zaken[uuid], dict(rig.source.roles)
    rig.source.destroy(uuid)
    rig.notify(uuid)
    rig.round()
    rig.source.zaken[uuid], rig.source.roles = zaak, roles
    rig.notify(uuid)
    rig.round()
    assert [said.status for said in rig.said()] == [Status.ACTIVE, Status.RETRACTED, Status.ACTIVE]


def test_the_person_of_a_zaak_is_replaced(rig: Rig) -> None:
    uuid = rig.source.zaak(1)
    first = rig.source.role(uuid, person(JAN))
    rig.round()
    rig.source.end_role(first)
    rig.source.role(uuid, person(ZOE))
    rig.notify(uuid)
    rig.round()
    statuses = {opened(said).bsn if said.identity else "": said.status for said in rig.newest().values()}  # type: ignore[union-attr]
    assert statuses == {"": Status.RETRACTED, ZOE: Status.ACTIVE}
    assert len({said.person_ref for said in rig.newest().values()}) == 2


def test_a_role_that_is_written_anew_for_the_same_person_takes_nothing_back(rig: Rig) -> None:
    """The API could not change a role for long: a slip is mended by destroying it and making another."""
    uuid = rig.source.zaak(1)
    role = rig.source.role(uuid, person(surname="Janse"))
    rig.round()
    rig.source.end_role(role)
    rig.notify(uuid)
    assert rig.round().stated == 0, "between the two"
    rig.source.role(uuid, person(surname="Jansen"))
    rig.notify(uuid)
    rig.round()
    assert [opened(said).surname for said in rig.said() if opened(said)] == ["Janse", "Jansen"]  # type: ignore[union-attr]
    assert len(rig.newest()) == 1


def test_a_role_that_stays_away_is_taken_back(rig: Rig) -> None:
    uuid = rig.source.zaak(1)
    role = rig.source.role(uuid, person())
    rig.round()
    rig.source.end_role(role)
    rig.notify(uuid)
    rig.round()
    rig.clock.later(seconds=90)
    rig.round()
    assert rig.edge.only().status is Status.RETRACTED
    assert rig.waiting() == 0


def test_people_of_an_ended_zaak_that_are_made_anonymous_were_there_all_the_same(rig: Rig) -> None:
    uuid = rig.source.zaak(1)
    role = rig.source.role(uuid, person())
    rig.source.end(uuid)
    rig.round()
    rig.source.end_role(role)
    rig.notify(uuid)
    rig.whole()
    assert rig.edge.only().status is Status.ENDED


def test_two_children_with_their_parents(rig: Rig) -> None:
    uuid = rig.source.zaak(1)
    rig.source.role(uuid, person(JAN))
    leaves = rig.source.role(uuid, person(ZOE, born="20160000"), "Kind")
    rig.source.role(uuid, person(PARENT), "Moeder")
    rig.source.role(uuid, person("", "Pieters", voornamen="Ans"), "Pleegouder", "initiator")
    assert rig.round().stated == 2
    said = rig.newest().values()
    assert {opened(each).bsn for each in said} == {JAN, ZOE}  # type: ignore[union-attr]
    assert all(
        sorted(relation.kind for relation in each.relations) == [RelationKind.FOSTER_PARENT, RelationKind.PARENT]
        for each in said
    )
    rig.source.roles[leaves]["eindeGeldigheid"] = "2026-05-31"
    rig.source.touch(uuid)
    rig.notify(uuid)
    assert rig.round().stated == 1, "one child leaves: nothing new of the other"
    assert rig.said()[-1].ends_on == date(2026, 6, 1)


def test_whom_a_zaak_is_about_without_names_of_roles(rig: Rig) -> None:
    asks, helps = rig.source.zaak(1), rig.source.zaak(2)
    rig.source.role(asks, person(JAN), "Aanvrager", "initiator")
    rig.source.role(helps, person(JAN), "Aanvrager", "initiator")
    rig.source.role(helps, person(ZOE), "Betreft")
    rig.source.role(helps, person(PARENT), "Gemachtigde", indicatieMachtiging="gemachtigde")
    rig.round()
    assert sorted(opened(said).bsn for said in rig.said()) == sorted([JAN, ZOE])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "who",
    [
        {}, None, person("", "Anoniem"), person("", "N.N.", voornamen=""), person("999900007", ""), person("", ""),
    ],
)  # fmt: skip
def test_an_anonymous_consult_is_no_person_and_no_event(rig: Rig, who: dict[str, Any] | None) -> None:
    rig.source.role(rig.source.zaak(1), who)
    assert (rig.round().items, rig.said()) == (0, [])


def test_what_is_not_shared_is_not_even_fetched(rig: Rig) -> None:
    rig.round()
    uuid = rig.source.zaak(1, "desk")
    rig.source.role(uuid, person())
    rig.notify(uuid)
    before = len(rig.source.asked)
    assert (rig.round().items, rig.waiting()) == (0, 0)
    assert not any(name in asked for asked in rig.source.asked[before:] for name in ("zaken/", "rollen"))
    rig.whole()
    assert rig.said() == []
    assert not any("rollen" in asked for asked in rig.source.asked)


def test_a_case_type_that_is_shared_no_longer_is_taken_back(rig: Rig) -> None:
    rig.source.role(rig.source.zaak(1), person())
    rig.round()
    rig.restart(case_types={"B0757": "not_shared"})
    rig.whole()
    assert rig.edge.only().status is Status.RETRACTED


def test_a_bsn_leaves_only_where_the_case_type_allows_it(rig: Rig) -> None:
    uuid = rig.source.zaak(1, "consult")
    rig.source.role(uuid, person())
    rig.source.role(uuid, person(PARENT), "Ouder")
    rig.round()
    assert opened(rig.edge.only()).bsn == ""  # type: ignore[union-attr]
    assert opened(rig.edge.only()).surname == "Jansen"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("vertrouwelijk", Sensitivity.NORMAL),
        ("confidentieel", Sensitivity.SENSITIVE),
        ("geheim", Sensitivity.PROTECTED),
        ("zeer_geheim", Sensitivity.PROTECTED),
    ],
)
def test_confidential_zaken(rig: Rig, asked: str, wanted: Sensitivity) -> None:
    rig.source.role(rig.source.zaak(1, vertrouwelijkheidaanduiding=asked), person())
    rig.round()
    assert rig.edge.only().sensitivity is wanted


def test_a_case_that_goes_on_is_confirmed_and_one_that_ended_is_not(rig: Rig) -> None:
    going, over = rig.source.zaak(1), rig.source.zaak(2)
    rig.source.role(going, person(JAN))
    rig.source.role(over, person(ZOE))
    rig.source.end(over)
    for _ in range(12):
        rig.round()
        rig.clock.later(days=20)
    by_case = [[said for said in rig.said() if said.case_ref == ref] for ref in rig.edge.final()]
    assert sorted(map(len, by_case)) in ([1, 3], [1, 4])
    assert all(len({each.revision for each in said}) == len(said) for said in by_case)


def test_a_source_that_tells_no_moment_of_change(rig: Rig) -> None:
    rig.source.tells_changes = False
    uuid = rig.source.zaak(1)
    rig.source.role(uuid, person())
    rig.round()
    rig.source.suspend(uuid)
    rig.notify(uuid)
    rig.round()
    assert [said.status for said in rig.said()] == [Status.ACTIVE, Status.PAUSED]
    assert rig.said()[0].revision < rig.said()[1].revision


@pytest.mark.parametrize("hours", [-7, 7])
def test_clocks_that_differ_and_jump(rig: Rig, hours: int) -> None:
    """The source's clock is off, and is set right half-way."""
    rig.source.ahead = timedelta(hours=hours)
    uuid = rig.source.zaak(1)
    rig.source.role(uuid, person())
    rig.round()
    assert rig.source.refused <= 1, "the time of the server is learned at once"
    rig.source.ahead = timedelta()
    rig.source.suspend(uuid)
    rig.notify(uuid)
    rig.round()
    rig.clock.later(hours=-5)
    rig.source.end(uuid)
    rig.notify(uuid)
    rig.round()
    assert [said.status for said in rig.said()] == [Status.ACTIVE, Status.PAUSED, Status.ENDED]
    revisions = [said.revision for said in rig.said()]
    assert revisions == sorted(set(revisions))
    assert all(said.confirmed_on and said.confirmed_on <= NOON.date() + timedelta(days=1) for said in rig.said())


def test_patience_and_then_another_time(rig: Rig) -> None:
    rig.round()
    uuid = rig.source.zaak(1)
    rig.source.role(uuid, person())
    rig.source.faults = [(429, {"Retry_After": "3"}), (503, {})]
    rig.notify(uuid)
    assert rig.round().stated == 1
    rig.source.suspend(uuid)
    rig.notify(uuid)
    rig.source.down = True
    (failed,) = rig.round().failed
    assert isinstance(failed.error, TransientError)
    assert rig.waiting() == 1, "it is still to be done"
    rig.source.down = False
    assert rig.round().stated == 1
    rig.source.faults = [(429, {"Retry_After": "600"})]
    rig.notify(uuid)
    (failed,) = rig.round().failed
    assert isinstance(failed.error, TransientError)
    assert failed.error.retry_after == 600


def test_one_zaak_that_may_not_be_read_holds_up_no_other(rig: Rig) -> None:
    closed, open_ = rig.source.zaak(1), rig.source.zaak(2)
    rig.round()
    rig.source.role(open_, person())
    rig.source.forbidden = {closed}
    rig.notify(closed, open_)
    taken = rig.round()
    assert taken.stated == 1
    (failed,) = taken.failed
    assert isinstance(failed.error, ConfigurationError)
    assert "zaken.lezen" in str(failed.error)
    assert closed not in str(failed.error)
    assert rig.waiting() == 1
    rig.clock.later(hours=25)
    rig.round()
    assert rig.waiting() == 0


def test_wrong_credentials_need_a_person(source: Source, tmp_path: Path) -> None:
    wrong = {"organisation": {"client_secret": "another secret of the case system"}}
    connector = CjgConnector(source.config(tmp_path, **wrong), wait=lambda seconds: False)
    with pytest.raises(ConfigurationError, match="client_id") as caught:
        connector.check()
    assert "another secret" not in str(caught.value)
    edge = Edge(tmp_path, connector)
    (failed,) = edge.runner.round().failed
    assert isinstance(failed.error, ConfigurationError)
    edge.close()


def test_the_check_reads_nobody(rig: Rig) -> None:
    rig.source.role(rig.source.zaak(1), person())
    lines = rig.edge.connector.check()
    assert any("lets us read zaken" in line for line in lines)
    assert any("3 of 3 case types" in line for line in lines)
    assert not any("rollen" in asked or uuid_of(1) in asked for asked in rig.source.asked)


def test_a_wrong_address_is_not_taken_for_destroyed_zaken(rig: Rig) -> None:
    rig.source.role(rig.source.zaak(1), person())
    rig.round()
    rig.restart(organisation={"base_url": f"{rig.source.base}/other/api/v1"})
    rig.notify(uuid_of(1))
    rig.whole()
    assert len(rig.said()) == 1


def test_most_zaken_gone_at_once_is_not_believed(rig: Rig) -> None:
    rig.source.page = 50
    uuids = [rig.source.zaak(number) for number in range(1, 31)]
    for uuid in uuids:
        rig.source.role(uuid, person(ZOE, f"N{uuid}"))
    rig.round()
    for uuid in uuids:
        rig.source.destroy(uuid)
    (failed,) = rig.whole().failed
    assert "nothing was taken back" in str(failed.error)
    assert len(rig.said()) == 30
    rig.restart(believe_gone=True)
    assert rig.round().stated == 30


def test_addresses_outside_the_base_are_never_fetched(rig: Rig, source: Source) -> None:
    with running() as other:
        stolen = f"{other.base}/zaken/api/v1/statussen/running-1"
        for number, fields in enumerate(
            (
                {"status": stolen},
                {"zaaktype": f"{other.base}/catalogi/api/v1/zaaktypen/youth"},
                {"resultaat": f"{source.base}/zaken/api/v1/../../secret"},
                {"status": f"{source.base}/zaken/api/v1@127.0.0.1/x"},
                {"url": f"{other.base}/zaken/api/v1/zaken/{uuid_of(5)}"},
            ),
            1,
        ):
            rig.source.role(rig.source.zaak(number), person())
            rig.source.zaken[uuid_of(number)] |= fields
        assert rig.round().unreadable == 5
        assert other.asked == []
        assert other.refused == 0
        rows = rig.edge.store.connection.execute("SELECT DISTINCT code FROM quarantine").fetchall()
        assert rows == [("foreign_address",)]
        assert not any("secret" in asked or "@" in asked for asked in source.asked)
        rig.source.set_status(uuid_of(1), "running")
        rig.notify(uuid_of(1))
        rig.round()
        assert rig.edge.store.connection.execute("SELECT count(*) FROM quarantine").fetchone() == (4,)


def test_roles_of_another_zaak_are_not_taken(rig: Rig) -> None:
    role = rig.source.role(rig.source.zaak(1), person())
    rig.round()
    answer = rig.source._list

    def everybody(kind: str, asked: dict[str, str]) -> Any:
        if kind == "rollen":
            return 200, {"count": 1, "next": None, "results": [rig.source.roles[role] | {"zaak": "another"}]}, {}
        return answer(kind, asked)

    rig.source._list = everybody  # type: ignore[method-assign]
    rig.source.touch(uuid_of(1))
    rig.notify(uuid_of(1))
    taken = rig.round()
    assert (taken.unreadable, taken.stated) == (1, 0)


def test_nothing_lies_on_the_disk_or_in_a_log_in_clear(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    uuid = rig.source.zaak(1)
    rig.source.role(uuid, person(voornamen="Wytske Marieke"))
    rig.source.role(uuid, person(PARENT, "Wubbenhorst"), "Ouder")
    rig.source.zaken[uuid_of(2)] = rig.source.zaken[uuid] | {"uuid": uuid_of(2), "startdatum": "Wubbenhorst"}
    rig.round()
    rig.notify(uuid, uuid_of(3))
    rig.source.faults = [(500, {})] * 5
    rig.round()
    rig.edge.store.connection.execute("PRAGMA wal_checkpoint(FULL)")
    found = raw_bytes(rig.directory) + caplog.text.encode() + b"".join(_metrics(rig))
    secrets = (
        JAN,
        PARENT,
        "Wubbenhorst",
        "Wytske",
        "4461AB",
        uuid,
        uuid_of(3),
        "ZAAK-2026",
        SECRET,
        TOKEN,
        TOKEN[7:],
        "WHAT-",
    )
    for secret in secrets:
        for spelled in spellings(secret):
            assert spelled not in found
    kept = [row[0] for row in rig.edge.store.connection.execute("SELECT body FROM edge_case")]
    assert kept


def test_words_that_tell_what_for_are_not_even_kept_encrypted(rig: Rig) -> None:
    uuid = rig.source.zaak(1)
    rig.source.role(uuid, person())
    rig.source.end(uuid)
    rig.round()
    cases = [rig.edge.state.load(ref) for ref in rig.edge.final()]
    notes = rig.edge.connector._notes.notes("zaak cjg-bevelanden")  # type: ignore[attr-defined]
    assert cases
    assert notes
    assert "WHAT-" not in f"{cases} {notes}"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"base_url": "http://zaken.example/api"}, "https"),
        ({"base_url": "https://user@zaken.example/api"}, "plain address"),
        ({"token": "short"}, "16 characters"),
    ],
)
def test_a_configuration_that_would_be_unsafe(
    source: Source, tmp_path: Path, fields: dict[str, str], word: str
) -> None:
    with pytest.raises(ValidationError, match=word):
        source.config(tmp_path, organisation=fields)


def _metrics(rig: Rig) -> Iterator[bytes]:
    from prometheus_client import generate_latest

    yield generate_latest(rig.edge.metrics.registry)
