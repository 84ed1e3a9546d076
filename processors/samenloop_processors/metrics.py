"""The metrics of hub processes: every name in one place, base units, never a personal or client label."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from samenloop_processors.engine.transaction import Applied

BATCH_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class HubMetrics:
    """One per process, on a registry of its own: the global one refuses a second stage in one process."""

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        self.events = Counter(
            "samenloop_events_processed", "Records by outcome: applied, skipped.", ["stage", "outcome"], registry=r
        )
        self.quarantined = Counter(
            "samenloop_quarantined", "Records set apart.", ["stage", "partner", "reason"], registry=r
        )
        self.batch_seconds = Histogram(
            "samenloop_batch_seconds", "One transaction.", ["stage"], registry=r, buckets=BATCH_BUCKETS
        )
        self.batch_records = Histogram(
            "samenloop_batch_records",
            "Records in one transaction.",
            ["stage"],
            registry=r,
            buckets=(1, 3, 10, 30, 100, 300, 1000, 3000),
        )
        self.event_age = Gauge("samenloop_event_age_seconds", "Age of the record applied last.", ["stage"], registry=r)
        self.lag_seconds = Gauge(
            "samenloop_lag_seconds",
            "Time since records of this topic began to wait; 0 = none.",
            ["stage", "topic"],
            registry=r,
        )
        self.lag_records = Gauge("samenloop_lag_records", "Records waiting.", ["stage", "topic"], registry=r)
        self.outbox_oldest = Gauge(
            "samenloop_outbox_oldest_seconds", "Age of the oldest unconfirmed row.", ["stage"], registry=r
        )
        self.sent = Counter("samenloop_sent", "Records confirmed by the broker.", ["stage"], registry=r)
        self.retries = Counter("samenloop_retries", "Transactions tried again.", ["stage", "reason"], registry=r)
        self.resends = Counter("samenloop_resends", "Times the relay began anew.", ["stage", "reason"], registry=r)
        self.pauses = Counter(
            "samenloop_pauses", "Times a partner's topic was paused.", ["stage", "partner"], registry=r
        )
        self.paused = Gauge("samenloop_input_paused", "1 while paused.", ["stage", "topic"], registry=r)
        self.partitions = Gauge("samenloop_assigned_partitions", "Partitions owned.", ["stage"], registry=r)
        self.cached_areas = Gauge("samenloop_cached_areas", "Areas held in memory.", ["stage"], registry=r)
        self.stalls = Counter("samenloop_stalls", "Watchdog stops.", ["stage", "reason"], registry=r)

    def batch(self, stage: str, applied: Applied, seconds: float, timestamp_ms: int) -> None:
        """Accounts for one committed transaction."""
        self.events.labels(stage, "applied").inc(applied.applied - len(applied.quarantined))
        self.events.labels(stage, "quarantined").inc(len(applied.quarantined))
        self.events.labels(stage, "skipped").inc(applied.skipped)
        for partner, reason in applied.quarantined:
            self.quarantined.labels(stage, partner, reason).inc()
        self.batch_seconds.labels(stage).observe(seconds)
        self.batch_records.labels(stage).observe(applied.applied + applied.skipped)
        self.event_age.labels(stage).set(max(0.0, time.time() - timestamp_ms / 1000))


class MetricsServer:
    """`/metrics`, `/livez` and `/readyz` on loopback, and no other path."""

    def __init__(
        self,
        registry: CollectorRegistry,
        port: int = 0,
        alive: Callable[[], bool] = lambda: True,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        checks = {"/livez": alive, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                elif check := checks.get(self.path):
                    ok = check()
                    self._answer(200 if ok else 503, "text/plain", b"ok\n" if ok else b"no\n")
                else:
                    self._answer(404, "text/plain", b"not here\n")

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes every few seconds are not worth a line each."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
