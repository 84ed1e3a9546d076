"""The demo's connectors: their configuration from the agreements, and whether they have read everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from samenloop_connectors import app as connectors
from samenloop_connectors.backoffice import mapping as gws
from samenloop_connectors.sdk.config import EdgeSettings
from samenloop_connectors.sdk.errors import ConfigurationError
from samenloop_processors.agreement import Agreement
from samenloop_producers.keys import EdgeKeys
from samenloop_schemas import sealing

if TYPE_CHECKING:
    from samenloop_deploy.demo.hub import DemoHub
    from samenloop_deploy.demo.summary import SourceCase

POLL_SECONDS = 2.0
ENCODINGS = {"0654": "cp1252", "0678": "cp1252", "1706": "cp1252", "0193": "cp1252", "0858": "cp1252"}
"""As the synthetic back offices write; a real municipality tells it once."""


def connector_configs(
    agreements: Sequence[Agreement], systems: Mapping[str, Any], state: Path
) -> dict[str, dict[str, Any]]:
    """Per partner what its configuration file holds. `systems` is what the systems say of themselves in the ready file."""
    return {
        "smwo": {
            "connector": "smwo",
            "partner": "smwo",
            "state_dir": str(state / "smwo"),
            "poll_seconds": POLL_SECONDS,
            "organisations": [
                _organisation(agreement, organisation.id)
                | {
                    name: systems["regas"]["organisations"][organisation.id][name]
                    for name in ("base_url", "client_id", "client_secret")
                }
                for agreement in agreements
                for organisation in agreement.organisations_of("smwo")
            ],
        },
        "backoffice": {
            "connector": "backoffice",
            "partner": "backoffice",
            "state_dir": str(state / "backoffice"),
            "poll_seconds": POLL_SECONDS,
            "folder": systems["gws"]["folder"],
            "organisations": [
                _organisation(agreement, f"gemeente-{municipality.name.lower()}")
                | {"code": municipality.code, "encoding": ENCODINGS.get(municipality.code, "utf-8")}
                for agreement in agreements
                for municipality in agreement.municipalities
            ],
        },
    }


def case_refs(hub: DemoHub, truth: Mapping[str, Any]) -> dict[str, SourceCase]:
    """Each case's reference as the hub knows it, made as the connector makes it."""
    refs: dict[str, SourceCase] = {}
    keys = {partner: EdgeKeys(hub.secrets.edge_secret(partner)) for partner in hub.partners}
    for case in truth["cases"]:
        own: SourceCase = (case["organisation"], case["case"])
        if case["source"] == "gws":
            number = gws.case_number(case["service"], case["case"])
            refs[keys["backoffice"].case_ref(case["organisation"], "gws", number)] = own
        else:
            refs[keys["smwo"].case_ref(case["organisation"], "regas", case["case"])] = own
    return refs


def connector_at_rest(hub: DemoHub, partner: str, since: float) -> bool:
    """Whether every stream was read well after `since` (seconds since 1970) and nothing waits to be sent."""
    edge = EdgeSettings(
        hub_public_key=SecretStr(sealing.key_to_text(hub.secrets.hub_key[1])),
        edge_secret=SecretStr(sealing.key_to_text(hub.secrets.edge_secret(partner))),
    )
    config = connectors.load_config(hub.edge / f"{partner}.json")
    try:
        status = connectors.connector_status(connectors.Loaded(config, edge, hub.stack.kafka_access(partner)))
    except ConfigurationError:
        return False
    after = datetime.fromtimestamp(since, UTC)
    read = all(stream.succeeded_at is not None and stream.succeeded_at >= after for stream in status.streams)
    return bool(status.streams) and read and not status.outbox_pending


def _organisation(agreement: Agreement, organisation_id: str) -> dict[str, Any]:
    organisation = agreement.organisation(organisation_id)
    assert organisation
    return {
        "id": organisation.id,
        "area": agreement.area,
        "contact": organisation.contact.model_dump(),
        "consent": organisation.consent,
    }
