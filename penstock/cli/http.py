"""What `penstock worker` serves over HTTP: metrics for Prometheus, health for probes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.cli.errors import BadUsage

if TYPE_CHECKING:
    from streams.engine.health import Health
    from streams.telemetry.telemetry import Telemetry

LOCAL = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Served:
    """What a worker serves over HTTP, and where."""

    metrics_port: int | None
    metrics_host: str
    health_port: int | None
    health_host: str


@contextmanager
def serving(served: Served, health: Health, telemetry: Telemetry | None) -> Iterator[None]:
    """Serve what is asked for as long as the block lasts; what has the same address is served together."""
    from streams.telemetry.http import serve

    routes: dict[tuple[str, int], dict[str, Any]] = {}
    if served.metrics_port is not None and telemetry is not None and telemetry.metrics is not None:
        routes[served.metrics_host, served.metrics_port] = telemetry.metrics.routes()
    if served.health_port is not None:
        routes.setdefault((served.health_host, served.health_port), {}).update(health.routes())
    with ExitStack() as stack:
        for (host, port), apps in routes.items():
            option = "--health" if port == served.health_port else "--metrics"
            try:
                stack.callback(serve(apps, port, host))
            except OSError as error:
                raise BadUsage(f"{option}-port {port}, {option}-host {host}: {error.strerror or error}") from None
        yield
