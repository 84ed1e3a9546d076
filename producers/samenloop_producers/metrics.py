"""What the edge counts. An own registry per process; no label ever names a person or a case."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from samenloop_producers.outbox import OutboxState


class EdgeMetrics:
    """The metrics of one partner's connector, in `registry`."""

    def __init__(self, partner: str) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, ("partner", *labels), registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, ("partner", *labels), registry=self.registry)

        self.sent = counter("samenloop_edge_events_sent", "Events that the broker confirmed.").labels(partner)
        self.parked = counter("samenloop_edge_events_parked", "Events too big for the broker.").labels(partner)
        self._send_errors = counter("samenloop_edge_send_errors", "Failed attempts to send.", "kind")
        self._source_errors = counter("samenloop_edge_source_errors", "Failed readings of a source.", "stream", "kind")
        self._items = counter("samenloop_edge_source_items", "Rows or records read.", "stream")
        self._rows_refused = counter(
            "samenloop_edge_rows_refused", "Rows of which nothing was kept or sent: no consent.", "reason"
        )
        self._quarantined = counter("samenloop_edge_quarantined", "Rows or records that could not be read.", "reason")
        self._receipts = counter("samenloop_edge_receipts", "Receipts heard.", "kind")
        self._notices = counter("samenloop_edge_notices", "Notices heard.", "change")
        self._differing = gauge(
            "samenloop_edge_reconciliation_differing_cases",
            "Cases on which the hub's last daily count differs from what was stated; 0 = equal.",
            "area",
            "organisation",
        )
        self._set_aside = gauge("samenloop_edge_set_aside", "Rows or records now set aside at the source.").labels(
            partner
        )
        self._last_success = gauge("samenloop_edge_last_success_timestamp_seconds", "Last complete reading.", "stream")
        self._pending = gauge("samenloop_outbox_pending", "Events not yet confirmed by the broker.").labels(partner)
        self._oldest = gauge("samenloop_outbox_oldest_seconds", "Age of the oldest of them.").labels(partner)
        self._partner = partner
        self._oldest_at: float | None = None
        self._oldest.set_function(lambda: max(0.0, time.time() - self._oldest_at) if self._oldest_at else 0.0)

    @property
    def send_errors(self) -> _Bound:
        return _Bound(self._send_errors, self._partner)

    @property
    def source_errors(self) -> _Bound:
        return _Bound(self._source_errors, self._partner)

    @property
    def items(self) -> _Bound:
        return _Bound(self._items, self._partner)

    @property
    def rows_refused(self) -> _Bound:
        return _Bound(self._rows_refused, self._partner)

    @property
    def quarantined(self) -> _Bound:
        return _Bound(self._quarantined, self._partner)

    @property
    def receipts(self) -> _Bound:
        return _Bound(self._receipts, self._partner)

    @property
    def notices(self) -> _Bound:
        return _Bound(self._notices, self._partner)

    def differs(self, area: str, organisation: str, cases: int) -> None:
        """What the hub's daily count came to."""
        self._differing.labels(self._partner, area, organisation).set(cases)

    def set_aside(self, rows: int) -> None:
        self._set_aside.set(rows)

    def succeeded(self, stream: str, at: float) -> None:
        self._last_success.labels(self._partner, stream).set(at)

    def watch(self, state: OutboxState) -> None:
        self._pending.set(state.pending)
        self._oldest_at = state.oldest_at

    def serve(self, port: int) -> tuple[int, object]:
        """Serve on loopback; port 0 picks a free one. Returns the port and the server (with `shutdown()`)."""
        server, _ = start_http_server(port, addr="127.0.0.1", registry=self.registry)
        return int(server.server_port), server


class _Bound:
    """A counter with its partner filled in."""

    def __init__(self, counter: Counter, partner: str) -> None:
        self._counter = counter
        self._partner = partner

    def labels(self, *labels: str) -> Counter:
        return self._counter.labels(self._partner, *labels)
