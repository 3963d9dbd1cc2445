"""Metrics of a worker in Prometheus' client: names as in DESIGN.md 6a, served over HTTP (`worker --metrics-port`).

Not OpenTelemetry's instruments: they take 21 microseconds a count, these half a one (docs/adr/0017). `otlp_metrics` sends the same
by OTLP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric

from streams.core.breaker import BreakerState
from streams.core.outcome import Usage
from streams.providers.gate import BreakerChange
from streams.telemetry.http import App

M = TypeVar("M", Counter, Histogram)

BREAKER: Mapping[BreakerState, int] = {"closed": 0, "half_open": 1, "open": 2}

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
"""From a function's milliseconds to a review's hour."""
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a workflow stands on this worker: the lag of each (topic, partition) it reads, and what lies before it."""

    lag: Mapping[tuple[str, int], int] = field(default_factory=dict)
    runs: int = 0
    """Runs that have not ended, those whose input was not read yet among them."""
    cost_usd: float | None = None
    """What those will cost, by what others have; None while nobody can say."""
    reservations: int = 0
    reserved_usd: float = 0.0
    reserved_tokens: int = 0


class Metrics:
    """A worker's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.standing: dict[str, Standing] = {}
        """By workflow; replaced whole, for it is read by another thread."""
        self.ends: dict[tuple[str, str], tuple[int, int]] = {}
        """Successes and failures by workflow and node."""
        self.runs = self._counter("penstock_runs", "Runs that ended, by status.", "workflow", "status")
        self.attempts = self._counter("penstock_node_attempts", "Attempts that ended.", "workflow", "node", "outcome")
        self.errors = self._counter(
            "penstock_attempt_errors", "Attempts that failed, by kind of error.", "workflow", "node", "error"
        )
        self.results = self._counter(
            "penstock_node_results", "Nodes that ended, by node kind and status.", "workflow", "node", "kind", "status"
        )
        self.node_seconds = self._histogram(
            "penstock_node_duration_seconds",
            "From a node's first attempt to its end, waits and retries included.",
            ("workflow", "node", "kind"),
        )
        self.attempt_seconds = self._histogram(
            "penstock_attempt_duration_seconds", "One attempt.", ("workflow", "node", "kind")
        )
        self.queue_seconds = self._histogram(
            "penstock_queue_wait_seconds", "From an attempt's launch to its begin.", ("workflow", "node", "kind")
        )
        self.run_seconds = self._histogram("penstock_run_duration_seconds", "A run, or an epoch of one.", ("workflow",))
        self.tokens = self._counter(
            "penstock_tokens", "Tokens as the provider counted them.", "workflow", "node", "model", "direction"
        )
        self.cost = self._counter("penstock_cost_usd", "US dollars spent.", "workflow", "node", "model")
        self.restore_seconds = self._histogram(
            "penstock_restore_duration_seconds", "Taking over partitions: their tables read back.", ("workflow",)
        )
        self._calls = self._histogram(
            "gen_ai_client_operation_duration_seconds",
            "A model's call.",
            ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type"),
        )
        self._call_tokens = self._histogram(
            "gen_ai_client_token_usage",
            "Tokens of a model's call.",
            ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"),
            TOKENS,
        )
        self._breaker = Gauge(
            "penstock_breaker_state",
            "The circuit breaker of a provider's model: 0 closed, 1 half open, 2 open.",
            ["provider", "model"],
            registry=self.registry,
        )
        self.registry.register(_Standings(self))

    def on_breaker(self, change: BreakerChange) -> None:
        """Take note of a breaker's new state."""
        self._breaker.labels(change.provider, change.model).set(BREAKER[change.state])

    def on_call(self, provider: str, model: str, seconds: float, error: str | None, usage: Usage | None) -> None:
        """Take note of a model's call."""
        self._calls.labels("chat", provider, model, error or "").observe(seconds)
        if usage is not None:
            self._call_tokens.labels("chat", provider, model, "input").observe(usage.prompt_tokens)
            self._call_tokens.labels("chat", provider, model, "output").observe(usage.completion_tokens)

    def routes(self) -> dict[str, App]:
        """Return what serves them at `/metrics`."""
        app: App = make_wsgi_app(self.registry)
        return {"/metrics": app, "/": app}

    def _counter(self, name: str, text: str, *labels: str) -> Labelled[Counter]:
        return Labelled(Counter(name, text, labels, registry=self.registry))

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...] = SECONDS
    ) -> Labelled[Histogram]:
        return Labelled(Histogram(name, text, labels, registry=self.registry, buckets=buckets))


class Labelled(Generic[M]):
    """A metric whose series are looked up once: `labels` takes a lock and makes a tuple of texts each time."""

    def __init__(self, metric: M) -> None:
        self.labels: Callable[..., M] = lru_cache(4096)(metric.labels)


class _Standings:
    """Gauges of what was looked at last: a partition that moved away is gone from them, too."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterator[Metric]:
        """Yield no names: they are known when they are asked for."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        standing = dict(self._metrics.standing)
        lag = GaugeMetricFamily(
            "penstock_consumer_lag",
            "Records behind the end, of partitions this worker reads.",
            labels=["topic", "partition"],
        )
        for at in standing.values():
            for (topic, partition), behind in at.lag.items():
                lag.add_metric([topic, str(partition)], behind)
        yield lag
        yield self._by_workflow(
            "penstock_backlog_runs", "Runs that have not ended.", {w: s.runs for w, s in standing.items()}
        )
        costs = {w: s.cost_usd for w, s in standing.items() if s.cost_usd is not None}
        yield self._by_workflow("penstock_backlog_cost_usd", "What those runs will cost, by what others have.", costs)
        yield self._by_workflow(
            "penstock_ledger_reservations",
            "Calls that a budget is held for.",
            {w: s.reservations for w, s in standing.items()},
        )
        yield self._by_workflow(
            "penstock_ledger_reserved_usd",
            "US dollars held for calls.",
            {w: s.reserved_usd for w, s in standing.items()},
        )
        yield self._by_workflow(
            "penstock_ledger_reserved_tokens",
            "Tokens held for calls.",
            {w: s.reserved_tokens for w, s in standing.items()},
        )
        yield self._ratios()

    def _by_workflow(self, name: str, text: str, values: Mapping[str, float]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["workflow"])
        for workflow, value in values.items():
            family.add_metric([workflow], value)
        return family

    def _ratios(self) -> Metric:
        family = GaugeMetricFamily(
            "penstock_node_success_ratio",
            "Share of a node's ends that were successes, since the worker's start.",
            labels=["workflow", "node"],
        )
        for (workflow, node), (good, bad) in dict(self._metrics.ends).items():
            family.add_metric([workflow, node], good / (good + bad))
        return family
