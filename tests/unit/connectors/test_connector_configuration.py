"""Configuration: everything wrong is told at once, by name, without a value; secrets stay masked."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from edge_tools import HUB_PUBLIC, SECRET

from samenloop_connectors.app import connector_status, load
from samenloop_connectors.sdk.errors import ConfigurationError

ENVIRONMENT = {
    "SAMENLOOP_KAFKA_BOOTSTRAP": "127.0.0.1:9",
    "SAMENLOOP_KAFKA_USERNAME": "smwo",
    "SAMENLOOP_KAFKA_PASSWORD": "broker-password",
    "SAMENLOOP_HUB_PUBLIC_KEY": base64.b64encode(HUB_PUBLIC).decode(),
    "SAMENLOOP_EDGE_SECRET": base64.b64encode(SECRET).decode(),
    "REGAS_SECRET": "source-password",
}
FILE = """
connector: smwo
partner: smwo
state_dir: {state}
organisations:
  - {{id: lumens, area: a2, base_url: "http://127.0.0.1:9/lumens", client_id: id, client_secret: "env:REGAS_SECRET"}}
"""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def write(folder: Path, text: str) -> Path:
    path = folder / "smwo.yaml"
    path.write_text(text.format(state=folder / "state"))
    return path


@pytest.mark.usefixtures("environment")
def test_a_file_with_its_secrets_from_the_environment(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, FILE))
    assert loaded.config.organisations[0].client_secret.get_secret_value() == "source-password"  # type: ignore[union-attr]
    assert "password" not in repr(loaded).replace("password=SecretStr", "")


def test_all_problems_at_once_and_no_value(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("REGAS_SECRET")
    environment.delenv("SAMENLOOP_KAFKA_PASSWORD")
    environment.setenv("SAMENLOOP_EDGE_SECRET", "too-short-but-secret")
    with pytest.raises(ConfigurationError) as caught:
        load(write(tmp_path, FILE + "poll_secs: 3\nconfirm_days: 0\n"))
    text = "\n".join(caught.value.problems)
    for name in (
        "organisations.0.client_secret",
        "poll_secs",
        "confirm_days",
        "SAMENLOOP_EDGE_SECRET",
        "SAMENLOOP_KAFKA_PASSWORD",
    ):
        assert name in text
    assert "too-short-but-secret" not in str(caught.value)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    "content", [{}, {"connector": "unknown"}, {"connector": "backoffice", "partner": "Back Office"}]
)
def test_what_is_no_connector(content: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        load(content)


@pytest.mark.usefixtures("environment")
def test_status_before_the_first_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has not run here"):
        connector_status(load(write(tmp_path, FILE)))


def test_state_made_under_another_secret_is_refused(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    from samenloop_connectors.sdk.state import DDL, State
    from samenloop_producers.outbox import EdgeStore

    loaded = load(write(tmp_path, FILE))
    State(EdgeStore(loaded.config.state_dir, DDL), loaded.keys)
    environment.setenv("SAMENLOOP_EDGE_SECRET", base64.b64encode(b"o" * 32).decode())
    with pytest.raises(ConfigurationError, match="another edge secret"):
        connector_status(load(write(tmp_path, FILE)))
