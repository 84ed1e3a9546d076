"""MEE's partner system and its connector together: what the connector states of its files is what is true in the world."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from edge_tools import KEYS, Edge, opened, raw_bytes

from samenloop_connectors.mee.config import MeeConfig
from samenloop_connectors.mee.connector import MeeConnector
from samenloop_deploy.demo.cases import Case, Consent, State
from samenloop_deploy.demo.feeds.mee import FEED
from samenloop_deploy.demo.partners.mee import ORGANISATIONS, Mee
from samenloop_deploy.demo.partners.seam import Surroundings
from samenloop_deploy.demo.places import AREAS
from samenloop_deploy.demo.world import World
from samenloop_deploy.demo.written import MeePerson
from samenloop_processors.agreement import load_agreement
from samenloop_schemas.codes import Status

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
AGREEMENTS = Path(__file__).parents[3] / "deploy" / "agreements"


class Year:
    """A world whose MEE files are read by the connector as the demo configures it."""

    def __init__(self, root: Path) -> None:
        self.world = World(1, 350, START)
        self.mee = Mee(Surroundings(self.world, root / "drop"))
        agreements = [load_agreement(AGREEMENTS / f"{area.area}.yaml") for area in AREAS]
        configured = FEED.configure(agreements, self.mee.description())
        self.state = root / "state"
        self.config = MeeConfig.model_validate(
            configured | {"connector": FEED.kind, "partner": FEED.partner, "state_dir": self.state}
        )
        self.edge = Edge(self.state, MeeConnector(self.config, lambda: self.world.now), lambda: self.world.now)

    def week(self) -> list[str]:
        self.mee.night()
        return [str(failed.error) for failed in self.edge.runner.round().failed]

    def cases(self) -> list[Case]:
        return [case for case in self.world.cases.values() if case.source == "mee"]

    def change(self, case: Case, **fields: Any) -> Case:
        return self.world.put(replace(case, **fields))

    def said(self, case: Case) -> dict[str, Any] | None:
        number = FEED.case_number({"case": case.number, "organisation": case.organisation})
        found: dict[str, Any] | None = self.edge.final().get(KEYS.case_ref(case.organisation, "mee", number))
        return found


@pytest.fixture
def year(tmp_path: Path) -> Year:
    return Year(tmp_path)


def check(year: Year) -> None:
    """Each case as the world has it; of those that never had consent nothing."""
    finals = year.edge.final()
    found = {ref for case in year.cases() if (said := year.said(case)) for ref in [said["case_ref"]]}
    assert found == set(finals), "and nothing else"
    for case in year.cases():
        said = year.said(case)
        if not case.shared() or case.state is State.WITHDRAWN:
            assert said is None or said["status"] == "RETRACTED", case
            continue
        assert said is not None, case
        wanted = {State.ANNOUNCED: "ANNOUNCED", State.ACTIVE: "ACTIVE", State.ENDED: "ENDED"}[case.state]
        if case.ends_on == year.world.today:
            wanted = "ACTIVE"
        assert (said["status"], said["starts_on"]) == (wanted, case.starts_on.isoformat() if case.starts_on else None)
        assert (date.fromisoformat(said["ends_on"]).toordinal() - 1 if said["ends_on"] else None) == (
            case.ends_on.toordinal() if case.ends_on else None
        )


def test_a_living_world_is_stated_as_it_is_week_after_week(year: Year) -> None:
    assert year.week() == []
    check(year)
    for _ in range(6):
        year.world.advance_days(7)
        assert year.week() == []
    check(year)
    suffixes = {path.suffix for path in year.mee.folder.iterdir()}
    assert suffixes == {".csv", ".xlsx", ".sig"}
    assert any("_volledig" in path.name for path in year.mee.folder.iterdir())
    assert year.edge.store.connection.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)
    (refused,) = year.edge.store.connection.execute(
        "SELECT count(DISTINCT case_ref) FROM not_kept WHERE code <> ''"
    ).fetchone()
    assert (
        refused
        >= sum(case.consent is not Consent.YES and case.state is not State.WITHDRAWN for case in year.cases())
        > 3
    )


def test_people_are_named_as_mee_wrote_them_in_both_formats(year: Year) -> None:
    year.week()
    year.week()
    year.mee.night()
    year.mee.night()
    for organisation in ORGANISATIONS:
        assert {path.suffix for path in year.mee.folder.glob(f"MEE_{organisation}_*")} == {".csv", ".xlsx", ".sig"}
    stated = {said.case_ref: opened(said) for said in year.edge.statements() if said.identity}
    checked = unknown = 0
    for case in year.cases():
        if case.shared() and case.state is not State.WITHDRAWN:
            written = year.world.clients[case.organisation, case.client].written
            assert isinstance(written, MeePerson)
            person = stated[KEYS.case_ref(case.organisation, "mee", case.number)]
            assert person is not None
            assert person.surname == written.achternaam
            assert person.address.postcode == written.postcode.replace(" ", "").upper()
            assert not written.geboortedatum or written.geboortedatum[-4:] == f"{person.birth_date.year:04d}"
            checked, unknown = checked + 1, unknown + (not person.address.postcode)
    assert checked > 15
    assert 0 < unknown < checked / 3


def test_consent_that_is_taken_back_takes_the_case_back_and_a_mistake_too(year: Year) -> None:
    year.week()
    shared = [case for case in year.cases() if case.shared() and case.state is State.ACTIVE]
    year.change(shared[0], consent=Consent.NO)
    year.change(shared[1], state=State.WITHDRAWN)
    year.change(shared[2], state=State.ENDED, ends_on=year.world.today)
    assert year.week() == []
    assert [said["status"] for case in shared[:2] if (said := year.said(case))] == ["RETRACTED"] * 2
    check(year)
    year.change(shared[0], consent=Consent.YES, consent_on=year.world.today)
    assert year.week() == []
    assert (year.said(shared[0]) or {})["status"] == Status.ACTIVE


@pytest.mark.parametrize(
    ("kind", "reason"), [("tampered", "was not signed"), ("tabs", "separated by tabs"), ("unsigned", "waits for")]
)
def test_what_a_faulty_file_held_comes_with_the_next(year: Year, kind: str, reason: str) -> None:
    year.week()
    year.mee.plan_fault({"kind": kind, "organisation": "mee-zwolle"}, 1)
    year.world.advance_days(7)
    (error,) = year.week()
    assert reason in error
    assert "mee-zwolle" in error
    year.world.advance_days(1)
    assert year.week() == []
    check(year)


def test_names_are_never_used_twice_and_old_files_go(tmp_path: Path) -> None:
    world = World(1, 60, START)
    names: set[str] = set()
    for _ in range(2):
        mee = Mee(Surroundings(world, tmp_path, keep_runs=3))
        for _ in range(5):
            made = {path.name for path in mee.night()}
            assert not made & names
            names |= made
    left = [path for path in (tmp_path / "mee").iterdir() if path.suffix != ".sig"]
    assert len(left) == 3 * len(ORGANISATIONS)
    assert len(list((tmp_path / "mee").iterdir())) == 2 * len(left)


def test_target_group_and_product_are_in_the_files_and_go_no_further(year: Year) -> None:
    year.week()
    year.edge.close()
    dropped = b"".join(path.read_bytes() for path in year.mee.folder.glob("*.csv"))
    kept = raw_bytes(year.state)
    for word in (b"chronisch ziek", b"LVB", "Onafhankelijke cliëntondersteuning".encode()):
        assert word in dropped
        assert word not in kept
