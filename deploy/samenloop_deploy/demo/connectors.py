"""The demo's connectors: their configuration from the agreements, and whether they have read everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from samenloop_connectors import app as connectors
from samenloop_connectors.sdk.config import EdgeSettings
from samenloop_connectors.sdk.errors import ConfigurationError
from samenloop_deploy.demo.feeds import FEEDS
from samenloop_processors.agreement import Agreement
from samenloop_producers.keys import EdgeKeys
from samenloop_schemas import sealing

if TYPE_CHECKING:
    from samenloop_deploy.demo.hub import DemoHub
    from samenloop_deploy.demo.summary import SourceCase

POLL_SECONDS = 2.0


def connector_configs(
    agreements: Sequence[Agreement], systems: Mapping[str, Any], state: Path
) -> dict[str, dict[str, Any]]:
    """Per feed what its configuration file holds. `systems` is what the systems say of themselves in the ready file."""
    return {
        feed.name: {
            "connector": feed.kind,
            "partner": feed.partner,
            "state_dir": str(state / feed.name),
            "poll_seconds": POLL_SECONDS,
        }
        | feed.configure(agreements, systems[feed.source])
        for feed in FEEDS
    }


def feed_of_source() -> dict[str, str]:
    """The name of the feed that tells of the cases of a source."""
    return {feed.source: feed.name for feed in FEEDS}


def case_refs(edge_secret: Callable[[str], bytes], truth: Mapping[str, Any]) -> dict[str, SourceCase]:
    """Each case's reference as the hub knows it, made as the connector makes it. `edge_secret` by partner."""
    made = {feed.source: (feed, EdgeKeys(edge_secret(feed.partner))) for feed in FEEDS}
    refs: dict[str, SourceCase] = {}
    for case in truth["cases"]:
        if case["source"] in made:
            feed, keys = made[case["source"]]
            ref = keys.case_ref(case["organisation"], feed.source, feed.case_number(case))
            refs[ref] = (case["organisation"], case["case"])
    return refs


def connector_at_rest(hub: DemoHub, name: str, since: float) -> bool:
    """Whether a feed read every stream well after `since` (seconds since 1970) and has nothing waiting to be sent."""
    config = connectors.load_config(hub.edge / f"{name}.json")
    edge = EdgeSettings(
        hub_public_key=SecretStr(sealing.key_to_text(hub.secrets.hub_key[1])),
        edge_secret=SecretStr(sealing.key_to_text(hub.secrets.edge_secret(config.partner))),
    )
    try:
        status = connectors.connector_status(connectors.Loaded(config, edge, hub.stack.kafka_access(config.partner)))
    except ConfigurationError:
        return False
    after = datetime.fromtimestamp(since, UTC)
    read = all(stream.succeeded_at is not None and stream.succeeded_at >= after for stream in status.streams)
    return bool(status.streams) and read and not status.outbox_pending
