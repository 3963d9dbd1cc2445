"""A worker's telemetry: what its workflows, providers and breakers are told about, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry import trace

from streams.providers.gate import BreakerChange
from streams.providers.registry import ProviderRegistry
from streams.telemetry import semconv
from streams.telemetry.calls import Calls
from streams.telemetry.metrics import Metrics
from streams.telemetry.run_metrics import RunMetrics
from streams.telemetry.run_tracing import RunTracing
from streams.telemetry.tracing import Tracing
from streams.telemetry.watch import Watch
from topology.plan import WorkflowPlan


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Traces, metrics, or both."""

    tracing: Tracing | None = None
    metrics: Metrics | None = None
    closing: tuple[Callable[[], None], ...] = ()
    """What is to be done at the end: send what was not sent."""

    def watch(self, plan: WorkflowPlan) -> Watch:
        """Return what watches a workflow."""
        return Watch(
            None if self.tracing is None else RunTracing(self.tracing, plan),
            None if self.metrics is None else RunMetrics(self.metrics, plan),
        )

    def watch_providers(self, providers: ProviderRegistry) -> None:
        """Watch the calls and breakers of a worker's providers."""
        providers.watch(Calls(self.tracing, self.metrics))
        for gate in providers.gates:
            if self.metrics is not None:
                gate.listeners.append(self.metrics.on_breaker)
            if self.tracing is not None:
                gate.listeners.append(on_breaker)

    def close(self) -> None:
        """Send what was not sent."""
        for close in self.closing:
            close()


def on_breaker(change: BreakerChange) -> None:
    """Add the breaker's new state to the span of the attempt that changed it."""
    said = {"provider": change.provider, "model": change.model, "state": change.state, "why": change.why}
    trace.get_current_span().add_event(semconv.EVENT_BREAKER, said)
