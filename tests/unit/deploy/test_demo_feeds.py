"""The connector processes of the demo: one per source, each of a kind that exists, and set up as the agreements say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from samenloop_connectors import app as connectors
from samenloop_connectors.kinds import KINDS
from samenloop_connectors.sdk.config import ConnectorConfig
from samenloop_deploy import topology
from samenloop_deploy.demo.cases import SOURCES
from samenloop_deploy.demo.connectors import case_refs, connector_configs
from samenloop_deploy.demo.control import Control
from samenloop_deploy.demo.feeds import FEEDS
from samenloop_deploy.demo.partners.seam import Request, Surroundings
from samenloop_deploy.demo.partners.systems import open_systems
from samenloop_deploy.demo.world import World
from samenloop_deploy.shipped import shipped
from samenloop_processors.agreement import Agreement, load_agreement


@pytest.fixture(scope="module")
def world() -> World:
    return World(1, 200, datetime(2026, 11, 22, 9, tzinfo=UTC))


@pytest.fixture(scope="module")
def agreements() -> list[Agreement]:
    return [load_agreement(file) for file in sorted(shipped("agreements").glob("*.yaml"))]


@pytest.fixture(scope="module")
def configs(
    world: World, agreements: list[Agreement], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ConnectorConfig]:
    root = tmp_path_factory.mktemp("feeds")
    systems = {system.name: system.description() for system in open_systems(Surroundings(world, root / "drop"))}
    found = {}
    for name, content in connector_configs(agreements, systems, root).items():
        (root / f"{name}.yaml").write_text(yaml.safe_dump(content), "utf-8")
        found[name] = connectors.load_config(root / f"{name}.yaml")
    return found


def test_there_is_one_feed_per_source_and_all_six_interfaces_are_there() -> None:
    names = ["smwo", "backoffice", "backoffice-istandaarden", "cjg", "mee", "ggd"]
    assert [feed.name for feed in FEEDS] == names
    assert sorted(feed.source for feed in FEEDS) == sorted(set(SOURCES.values()))
    assert {feed.kind for feed in FEEDS} <= set(KINDS)
    assert {feed.partner for feed in FEEDS} == set(topology.load().partners)
    for feed in FEEDS:
        assert feed.source in topology.load().partners[feed.partner].source_systems


def test_no_two_feeds_share_a_place(configs: dict[str, ConnectorConfig]) -> None:
    assert len({config.state_dir for config in configs.values()}) == len(FEEDS)


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_a_feed_speaks_for_organisations_that_its_partner_may_speak_for_and_asks_the_consent_that_is_agreed(
    feed: Any, configs: dict[str, ConnectorConfig], agreements: list[Agreement]
) -> None:
    config: Any = configs[feed.name]
    assert (config.connector, config.partner) == (feed.kind, feed.partner)
    areas = {agreement.area: agreement for agreement in agreements}
    assert {one.area for one in config.organisations} == set(areas)
    for one in config.organisations:
        organisation = areas[one.area].organisation(one.id)
        assert organisation is not None
        assert organisation.may_send(feed.partner)
        assert one.consent == organisation.consent


def test_between_them_the_feeds_speak_for_every_organisation_in_the_agreements(
    configs: dict[str, ConnectorConfig], agreements: list[Agreement]
) -> None:
    spoken_for = {(one.area, one.id) for config in configs.values() for one in config.organisations}  # type: ignore[attr-defined]
    assert spoken_for == {(agreement.area, o.id) for agreement in agreements for o in agreement.organisations}


def test_every_case_of_the_world_has_a_reference_of_its_own(world: World, tmp_path: Path) -> None:
    control = Control(world, open_systems(Surroundings(world, tmp_path)))
    control.night()
    told = control.handle(Request("GET", "/truth")).body
    refs = case_refs(lambda partner: partner.encode().ljust(32, b"-"), told)
    assert set(refs.values()) <= set(world.cases)
    assert len(refs) > 0.95 * len(world.cases)
