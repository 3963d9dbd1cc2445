"""Metrics in Prometheus' format, served over HTTP (`worker --metrics-port`)."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge, start_http_server

from streams.core.breaker import BreakerState
from streams.providers.gate import BreakerChange

BREAKER: Mapping[BreakerState, int] = {"closed": 0, "half_open": 1, "open": 2}


class Metrics:
    """A worker's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._breaker = Gauge(
            "penstock_breaker_state",
            "The circuit breaker of a provider's model: 0 closed, 1 half open, 2 open.",
            ["provider", "model"],
            registry=self.registry,
        )

    def on_breaker(self, change: BreakerChange) -> None:
        """Take note of a breaker's new state."""
        self._breaker.labels(change.provider, change.model).set(BREAKER[change.state])

    def serve(self, port: int, host: str = "127.0.0.1") -> None:
        """Serve them at `/metrics`, in a thread; OSError if the port is taken."""
        start_http_server(port, addr=host, registry=self.registry)
