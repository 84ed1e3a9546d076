"""The demo's youth health care system, read by the real connector: what stands in its world is what the hub would be told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from edge_tools import KEYS, Edge, opened, rank

from samenloop_connectors.ggd.connector import STREAM, GgdConnector
from samenloop_connectors.sdk.errors import ConfigurationError
from samenloop_deploy.demo.cases import Case, State
from samenloop_deploy.demo.feeds import ggd
from samenloop_deploy.demo.partner_systems import Options, PartnerSystems
from samenloop_deploy.demo.partners.fhir import CARRYING, Fhir, demo_key
from samenloop_deploy.demo.written.fhir import FhirPerson
from samenloop_processors.agreement import load_agreement
from samenloop_schemas.codes import Status
from samenloop_schemas.records import InvolvementStatement

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
SEED = 13
"""A world with newborn children on file under their mothers' numbers, both where she is in the file too and where not."""
AGREEMENTS = Path(__file__).parents[3] / "deploy" / "agreements"
STATUS = {
    State.ANNOUNCED: Status.ANNOUNCED,
    State.WAITING: Status.ANNOUNCED,
    State.ACTIVE: Status.ACTIVE,
    State.PAUSED: Status.PAUSED,
    State.ENDED: Status.ENDED,
    State.WITHDRAWN: Status.RETRACTED,
}


class Demo:
    def __init__(self, directory: Path) -> None:
        options = Options(directory / "drop", seed=SEED, scale=600, tick_seconds=0, extract_seconds=0, started_at=START)
        self.systems = PartnerSystems(options)
        self.systems.start()
        (self.fhir,) = (system for system in self.systems.systems if isinstance(system, Fhir))
        self.fhir.retry_seconds = 0
        self.configuration: dict[str, Any] = {
            "connector": "ggd", "partner": "ggd", "state_dir": directory,
            **ggd.FEED.configure([load_agreement(path) for path in sorted(AGREEMENTS.glob("*.yaml"))], self.fhir.description()),
        }  # fmt: skip
        self.waited: list[float] = []
        self.edge = Edge(directory, self.connector(), self.now)

    def connector(self, **fields: Any) -> GgdConnector:
        return GgdConnector(GgdConnector.Config.model_validate(self.configuration | fields), self.now, self._wait)

    def now(self) -> datetime:
        return self.systems.world.now

    def _wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        return False

    def cases(self) -> list[Case]:
        return [case for case in self.systems.world.cases.values() if case.source == "fhir"]

    def said(self) -> dict[tuple[str, str], InvolvementStatement]:
        """The newest statement of each case of the world that was told."""
        newest: dict[str, InvolvementStatement] = {}
        for each in self.edge.statements():
            newest[each.case_ref] = max(newest.get(each.case_ref, each), each, key=rank)
        refs = {KEYS.case_ref(c.organisation, "fhir", ggd.FEED.case_number({"organisation": c.organisation, "case": c.number})): c
                for c in self.cases()}  # fmt: skip
        assert set(newest) <= set(refs), "nothing was told that the world does not know as extra care"
        return {refs[ref].key: each for ref, each in newest.items()}


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    made = Demo(tmp_path)
    yield made
    made.edge.close()
    made.systems.stop()
    made.systems.close()


def test_what_is_told_is_what_the_world_holds_as_it_lives_on(demo: Demo) -> None:
    for days in (0, 10, 35):
        with demo.systems.lock:
            demo.systems.world.advance_days(days)
            if days == 35:
                active = [case for case in demo.cases() if case.state is State.ACTIVE]
                for odd in (0, 1):  # one is marked as made by mistake, the other is deleted
                    case = next(case for case in active if int(case.number[1:]) % 2 == odd)
                    demo.systems.world.put(replace(case, state=State.WITHDRAWN))
            demo.fhir.follow()
        assert demo.edge.runner.round().failed == ()
        said = demo.said()
        for case in demo.cases():
            if case.key not in said:
                assert case.state is State.WITHDRAWN, "deleted before it was ever told"
                continue
            told = said[case.key]
            assert told.status is STATUS[case.state]
            assert told.area == case.area
            if case.state in (State.ACTIVE, State.PAUSED, State.ENDED):
                assert told.starts_on
                assert case.starts_on
                assert (told.starts_on.year, told.starts_on.month) == (case.starts_on.year, case.starts_on.month)
    assert {State.ACTIVE, State.PAUSED, State.ENDED} <= {case.state for case in demo.cases()}
    assert sum(case.state is State.WITHDRAWN for case in demo.cases() if case.key in said) >= 2, "they were taken back"
    known = demo.edge.state.cursor(STREAM)
    assert known is not None
    assert len(known["known"]) == len(said)
    assert not any(number.startswith("u-") for number in known["known"])


def test_who_a_child_is(demo: Demo) -> None:
    demo.edge.runner.round()
    mothers = carried = 0
    for key, told in demo.said().items():
        case = demo.systems.world.cases[key]
        person, record = opened(told), demo.systems.world.clients[case.organisation, case.client].written
        assert isinstance(record, FhirPerson)
        if person is None:
            assert told.status is Status.RETRACTED
            continue
        child = demo.systems.world.persons[case.person]
        mother = demo.systems.world.mother_of(child)
        other = bool(mother and mother.bsn and mother.bsn == record.bsn)
        mothers += other
        carried += case.organisation == CARRYING
        if other and case.organisation != CARRYING:
            assert person.bsn == "", "her number stands beside it in the export"
            assert [opened_relation.kind for opened_relation in told.relations] == ["PARENT"]
        else:
            assert person.bsn == record.bsn
        assert (person.surname_prefix, person.surname) == (record.own_prefix, record.own_name)
        assert (person.partner_prefix, person.partner_surname) == (record.partner_prefix, record.partner_name)
        assert (person.given_names.split(), person.call_name) == (list(record.given), record.call_name)
        assert str(person.birth_date).startswith(record.birth_date)
        assert (person.address.street, person.address.house_number) == (record.street, record.house_number)
        assert (person.address.house_letter, person.address.house_addition) == (record.letter, record.addition.upper())
        assert person.address.postcode == record.postcode.replace(" ", "")
    assert mothers
    assert carried


def test_only_the_registered_key_is_let_in(demo: Demo) -> None:
    assert demo.connector().check()
    with pytest.raises(ConfigurationError, match="also_allowed"):
        demo.connector(token_url=None).check()
    beside = demo.configuration["base_url"].removesuffix("/fhir")
    assert demo.connector(token_url=None, also_allowed=[beside]).check()
    key = demo_key(SEED + 1)
    address = demo.configuration["token_url"]

    def ask(**claims: Any) -> int:
        now = int(time.time())
        mine = {"iss": "samenloop-ggd", "sub": "samenloop-ggd", "aud": address, "jti": "1", "exp": now + 200} | claims
        form = {
            "grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion_type": kind,
            "client_assertion": jwt.encode(mine, key, "ES384", {"kid": "samenloop-demo"}),
        }  # fmt: skip
        return httpx.post(address, data=form).status_code

    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert ask() == 401, "signed with another key"
    key = demo_key(SEED)
    assert ask() == 200
    assert ask() == 401, "the same assertion once more"
    assert ask(jti="2", exp=int(time.time()) + 900) == 401
    assert ask(jti="3", exp=int(time.time()) - 9) == 401
    assert ask(jti="4", aud="https://elsewhere.example") == 401
    assert ask(jti="5", sub="another") == 401
    assert (
        httpx.get(f"{demo.configuration['base_url']}/$export", headers={"Prefer": "respond-async"}).status_code == 401
    )
    with pytest.raises(ConfigurationError):
        demo.connector(key_id="another").check()


@pytest.mark.parametrize("fault", ["gone", "cut", "partial", "503", "slow"])
def test_faults_that_a_connector_must_get_over(demo: Demo, fault: str) -> None:
    asked = {"status": fault} if fault.isdecimal() else {"kind": fault}
    with pytest.raises(ValueError):
        demo.fhir.plan_fault({"kind": "unknown"}, 1)
    demo.fhir.plan_fault(asked, 1)
    first = demo.edge.runner.round()
    assert bool(first.failed) is (fault in ("gone", "cut", "partial"))
    assert demo.edge.runner.round().failed == ()
    told = {case.key for case in demo.cases()} - set(demo.said())
    assert all(demo.systems.world.cases[key].state is State.WITHDRAWN for key in told)
