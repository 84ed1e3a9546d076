"""Settings, metrics, and the three paths that a hub process serves."""

from __future__ import annotations

from base64 import b64encode

import httpx
import pytest
from pydantic import SecretStr

from samenloop_processors.engine.api import Incoming
from samenloop_processors.engine.transaction import Applied
from samenloop_processors.metrics import HubMetrics, MetricsServer
from samenloop_processors.settings import HubSettings, secret_bytes
from samenloop_schemas.topics import Topics


def test_settings_come_from_the_environment_and_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hidden@h/d")
    monkeypatch.setenv("SAMENLOOP_TOPIC_PREFIX", "t1.")
    monkeypatch.setenv("SAMENLOOP_KEK", b64encode(bytes(32)).decode())
    settings = HubSettings()  # type: ignore[call-arg]
    assert settings.topics == Topics("t1.")
    assert settings.kek is not None
    assert secret_bytes(settings.kek) == bytes(32)
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize("text", ["not base64!", b64encode(bytes(31)).decode()])
def test_a_bad_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError) as error:
        secret_bytes(SecretStr(text))
    assert text not in str(error.value)


def test_metrics_are_named_and_labelled_as_the_design_says() -> None:
    metrics = HubMetrics()
    HubMetrics()  # a second stage in one process
    applied = Applied(applied=3, skipped=2, quarantined=[("smwo", "undecodable")])
    metrics.batch("intake", applied, 0.01, Incoming("t", 0, 0, None, None, (), 0).timestamp_ms)
    value = metrics.registry.get_sample_value
    assert value("samenloop_events_processed_total", {"stage": "intake", "outcome": "applied"}) == 2
    assert value("samenloop_events_processed_total", {"stage": "intake", "outcome": "skipped"}) == 2
    labels = {"stage": "intake", "partner": "smwo", "reason": "undecodable"}
    assert value("samenloop_quarantined_total", labels) == 1


def test_three_paths_on_loopback_and_no_other() -> None:
    alive, ready = [True], [False]
    server = MetricsServer(HubMetrics().registry, 0, lambda: alive[0], lambda: ready[0])
    server.start()
    try:
        base = f"http://127.0.0.1:{server.port}"
        assert "samenloop_batch_seconds" in httpx.get(f"{base}/metrics").text
        assert [httpx.get(base + path).status_code for path in ("/livez", "/readyz", "/", "/metrics/x")] == [
            200,
            503,
            404,
            404,
        ]
        alive[0], ready[0] = False, True
        assert [httpx.get(base + path).status_code for path in ("/livez", "/readyz")] == [503, 200]
        assert httpx.post(f"{base}/metrics").status_code == 501
    finally:
        server.close()
