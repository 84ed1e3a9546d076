"""The demo's message folder read by the tap: night after night, what it says of every case is what the world knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from edge_tools import Edge, opened
from lxml import etree

from samenloop_connectors.istandaarden import envelope, messages
from samenloop_connectors.istandaarden.config import IstandaardenConfig
from samenloop_connectors.istandaarden.connector import IstandaardenConnector
from samenloop_deploy.demo.cases import Case, State
from samenloop_deploy.demo.feeds import istandaarden as feed
from samenloop_deploy.demo.partners.istandaarden import AGB, Fault, Istandaarden
from samenloop_deploy.demo.partners.seam import Surroundings
from samenloop_deploy.demo.places import AREAS
from samenloop_deploy.demo.world import World
from samenloop_schemas.bsn import valid_bsn
from samenloop_schemas.codes import Status
from samenloop_schemas.records import InvolvementStatement

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
EXPECTED = {
    State.ANNOUNCED: Status.ANNOUNCED, State.ACTIVE: Status.ACTIVE, State.PAUSED: Status.PAUSED, State.ENDED: Status.ENDED,
    State.WITHDRAWN: Status.RETRACTED,
}  # fmt: skip


class Nights:
    """A world, its folder, and an edge that reads it."""

    def __init__(self, root: Path, seed: int, scale: int = 400) -> None:
        self.world = World(seed, scale, START)
        self.system = Istandaarden(Surroundings(self.world, root))
        config = {
            "connector": "istandaarden", "partner": "backoffice", "state_dir": root / "state", "days_ahead": 4000,
            "folder": self.system.description()["folder"],
            "municipalities": [{"code": each.code, "area": area.area} for area in AREAS for each in area.municipalities],
            "organisations": [
                {"id": provider, "area": area.area, "agb": AGB[provider]}
                | ({"products": feed.WELFARE_AT_HOME} if provider == area.social_work else {})
                for area in AREAS
                for provider in (area.youth_help, *area.home_care)
            ],
        }  # fmt: skip
        self.edge = Edge(root / "state", IstandaardenConnector(IstandaardenConfig.model_validate(config)))

    def night(self) -> list[Path]:
        written = list(self.system.night())
        assert self.edge.runner.round().failed == ()
        return written

    def stir(self) -> None:
        """Changes of message cases, more than a world of this size brings of itself: several of one case between two nights."""
        rng, today = self.world.rng, self.world.today
        for case in rng.sample(self.cases(), 14):
            for _ in range(rng.choice((1, 1, 2, 3))):
                case = self.world.cases[case.key]
                if case.state is State.WITHDRAWN or case.starts_on is None:
                    break
                late = max(case.starts_on, today - timedelta(days=rng.choice((0, 1, 14))))
                changed = {
                    State.ACTIVE: (replace(case, state=State.PAUSED), replace(case, state=State.ENDED, ends_on=late)),
                    State.PAUSED: (replace(case, state=State.ACTIVE), replace(case, state=State.ENDED, ends_on=late)),
                    State.ENDED: (replace(case, state=State.ACTIVE, ends_on=None), replace(case, ends_on=late)),
                }[case.state]
                withdrawn = replace(case, state=State.WITHDRAWN, ends_on=None)
                self.world.put(rng.choice(changed) if rng.random() < 0.9 else withdrawn)

    def cases(self) -> list[Case]:
        return [case for case in self.world.cases.values() if case.source == "istandaarden"]

    def newest(self) -> dict[str, InvolvementStatement]:
        winners: dict[str, InvolvementStatement] = {}
        for said in self.edge.statements():
            held = winners.get(said.case_ref)
            if held is None or said.revision >= held.revision:
                winners[said.case_ref] = said
        return winners

    def set_aside(self) -> list[Any]:
        return self.edge.store.connection.execute("SELECT code, field FROM quarantine").fetchall()

    def compare(self) -> int:
        """Every case of the world against what is said of it; returns how many were told. Nothing else may stand."""
        newest, told = self.newest(), 0
        for case in self.cases():
            number = feed._case_number({"told_as": self.system.number_of(case)})
            if not number:
                assert case.state is State.WITHDRAWN, "only what was withdrawn at once is never told"
                continue
            ref = self.edge.runner._maker.case_ref(case.organisation, number)
            said = newest.pop(ref)
            told += 1
            assert said.status is EXPECTED[case.state], (case, said)
            assert (said.area, said.organisation) == (case.area, case.organisation)
            if case.state is State.WITHDRAWN:
                continue
            if case.state is not State.ANNOUNCED:
                early = timedelta(days=8) if said.starts_on != case.starts_on else timedelta()
                assert case.starts_on is not None
                assert said.starts_on is not None
                assert case.starts_on - early <= said.starts_on <= case.starts_on
            last_day = said.ends_on - timedelta(days=1) if said.ends_on else None
            assert last_day == (case.ends_on if case.state is State.ENDED else None)
            who = opened(said)
            assert who is not None
            assert who.bsn == self.world.persons[case.person].bsn
        assert {said.status for said in newest.values()} <= {Status.RETRACTED}
        return told


@pytest.mark.parametrize("seed", [1, 2])
def test_what_the_folder_says_is_what_the_world_knows(tmp_path: Path, seed: int) -> None:
    nights = Nights(tmp_path, seed)
    nights.night()
    assert nights.compare() > 25
    met = set()
    for _ in range(6):
        nights.world.advance_days(3)
        nights.world.play(30)
        nights.stir()
        nights.night()
        nights.compare()
        met |= {case.state for case in nights.cases()}
    nights.night()
    assert nights.set_aside() == []
    assert met == set(EXPECTED)
    told_as_planned = [
        nights.newest()[ref].starts_on == case.starts_on
        for case in nights.cases()
        if case.state in (State.ACTIVE, State.ENDED)
        and (ref := nights.edge.runner._maker.case_ref(
            case.organisation, feed._case_number({"told_as": nights.system.number_of(case)}))) in nights.newest()
    ]  # fmt: skip
    assert all(told_as_planned), "a rejected first start is taken back a night later"


def test_the_folder_holds_what_such_folders_hold(tmp_path: Path) -> None:
    nights = Nights(tmp_path, 3, scale=800)
    for _ in range(4):
        nights.night()
        nights.world.play(40)
    contents = [path.read_bytes() for path in sorted(Path(nights.system.description()["folder"]).iterdir())]
    roots = [etree.fromstring(content) for content in contents]
    enveloped = [root for root in roots if "ggk0210" in root.tag]
    assert 0.2 < len(enveloped) / len(roots) < 0.6
    assert any("Du01" in root.tag for root in enveloped)
    assert any(content.count(b"tekstBestand") for content in contents)
    assert len(set(contents)) < len(contents), "some come twice"
    read = [messages.read(*envelope.message(content)) for content in contents]
    headers = [message.header for message in read if message]
    assert {(h.law, h.kind) for h in headers} == {
        (law, kind) for law in ("WMO", "JW") for kind in ("301", "305", "307")
    }
    assert [h.day for h in headers] != sorted(h.day for h in headers), "in no order"
    assert any(h.returned for h in headers)
    deletions = [
        {told.content["status"] for told in message.classes if isinstance(told, messages.Told)}
        for message in read
        if message and message.header.kind == "305" and not message.header.returned
    ]
    assert {"1", "3"} in deletions, "delete and new in one message"
    assert {"3"} in deletions
    bsns = {message.bsn for message in read if message and message.bsn}
    assert bsns
    assert all(valid_bsn(bsn) and bsn.startswith("9999") for bsn in bsns)


def test_old_files_are_cleared_away(tmp_path: Path) -> None:
    world = World(1, 300, START)
    system = Istandaarden(Surroundings(world, tmp_path, keep_runs=2))
    first = system.night()
    for _ in range(2):
        world.play(30)
        system.night()
    assert first
    assert not any(path.exists() for path in first)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_spoiled_file_is_set_aside_and_the_right_one_follows(tmp_path: Path, fault: Fault) -> None:
    nights = Nights(tmp_path, 1, scale=300)
    nights.system.plan_fault({"kind": fault.value}, 3)
    nights.night()
    codes = {"byte_order_mark": "byte_order_mark", "line_ends": "line_ends", "cut_off": "no_xml",
             "document_type": "document_type", "unknown_provider": "unknown_provider"}  # fmt: skip
    assert [code for code, _ in nights.set_aside()] == [codes[fault.value]] * 3
    nights.night()
    assert nights.compare() > 10


def test_dates_of_messages_never_lie_ahead_of_the_world(tmp_path: Path) -> None:
    nights = Nights(tmp_path, 5, scale=300)
    for _ in range(3):
        for path in nights.night():
            message = messages.read(*envelope.message(path.read_bytes()))
            assert message is not None
            assert date(2000, 1, 1) < message.header.day <= nights.world.today
        nights.world.play(30)
