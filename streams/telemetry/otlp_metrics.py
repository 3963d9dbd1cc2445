"""The worker's metrics by OTLP (`OTEL_METRICS_EXPORTER=otlp`): what Prometheus would read, handed to OpenTelemetry's exporter."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample

from streams.telemetry import semconv

STANDARD = {
    "gen_ai_client_operation_duration_seconds": (semconv.GEN_AI_DURATION_METRIC, "s"),
    "gen_ai_client_token_usage": (semconv.GEN_AI_TOKEN_METRIC, "{token}"),
}
"""Metrics of OpenTelemetry's own, with their names and units; ours keep the names they have in Prometheus."""

STANDARD_LABELS = {
    "gen_ai_operation_name": semconv.GEN_AI_OPERATION,
    "gen_ai_provider_name": semconv.GEN_AI_PROVIDER,
    "gen_ai_request_model": semconv.GEN_AI_REQUEST_MODEL,
    "gen_ai_token_type": semconv.GEN_AI_TOKEN_TYPE,
    "error_type": semconv.ERROR_TYPE,
}

Labels = tuple[tuple[str, str], ...]


class OtlpMetrics:
    """Sends a registry's metrics every `interval_s`, in a thread, and once more at the end."""

    def __init__(
        self, registry: CollectorRegistry, resource: Resource, exporter: MetricExporter, interval_s: float
    ) -> None:
        self._registry = registry
        self._resource = resource
        self._exporter = exporter
        self._interval_s = interval_s
        self._began_ns = time.time_ns()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="penstock-otlp-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send the last state and stop."""
        self._stopping.set()
        self._thread.join()
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self._send()
        self._send()

    def _send(self) -> None:
        metrics = metrics_of(list(self._registry.collect()), self._began_ns, time.time_ns())
        scope = ScopeMetrics(InstrumentationScope("penstock"), metrics, "")
        self._exporter.export(MetricsData([ResourceMetrics(self._resource, [scope], "")]))


def metrics_of(families: Sequence[Family], began_ns: int, now_ns: int) -> list[Metric]:
    """Return Prometheus' families as OpenTelemetry's metrics, cumulative since `began_ns`; without a series there is none."""
    found = []
    for family in families:
        name, unit = STANDARD.get(family.name, (family.name, ""))
        data: Sum | Gauge | Histogram
        match family.type:
            case "counter":
                points = _numbers(family, "_total", began_ns, now_ns)
                data, name = Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True), f"{name}_total"
            case "gauge":
                data = Gauge(_numbers(family, "", began_ns, now_ns))
            case "histogram":
                data = Histogram(_histograms(family, began_ns, now_ns), AggregationTemporality.CUMULATIVE)
            case _:
                continue
        if data.data_points:
            found.append(Metric(name, family.documentation, unit, data))
    return found


def _numbers(family: Family, suffix: str, began_ns: int, now_ns: int) -> list[NumberDataPoint]:
    name = family.name + suffix
    return [
        NumberDataPoint(_attributes(sample.labels), began_ns, now_ns, sample.value)
        for sample in family.samples
        if sample.name == name
    ]


def _histograms(family: Family, began_ns: int, now_ns: int) -> list[HistogramDataPoint]:
    series: defaultdict[Labels, list[Sample]] = defaultdict(list)
    for sample in family.samples:
        series[tuple((name, value) for name, value in sample.labels.items() if name != "le")].append(sample)
    return [_histogram(family.name, labels, samples, began_ns, now_ns) for labels, samples in series.items()]


def _histogram(name: str, labels: Labels, samples: list[Sample], began_ns: int, now_ns: int) -> HistogramDataPoint:
    buckets = [(float(s.labels["le"]), int(s.value)) for s in samples if s.name == f"{name}_bucket"]
    totals = [total for _, total in buckets]
    counts = [total - before for before, total in zip([0, *totals[:-1]], totals, strict=True)]
    summed = next((s.value for s in samples if s.name == f"{name}_sum"), 0.0)
    bounds = [bound for bound, _ in buckets[:-1]]
    # Prometheus knows no least and greatest value.
    return HistogramDataPoint(
        _attributes(dict(labels)), began_ns, now_ns, totals[-1], summed, counts, bounds, float("inf"), float("-inf")
    )


def _attributes(labels: Mapping[str, str]) -> dict[str, str]:
    return {STANDARD_LABELS.get(name, name): value for name, value in labels.items() if value}
