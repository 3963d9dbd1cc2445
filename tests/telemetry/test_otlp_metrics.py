"""Prometheus' families as OpenTelemetry's metrics."""

from opentelemetry.sdk.metrics.export import Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum
from prometheus_client import CollectorRegistry
from prometheus_client import Counter as PrometheusCounter
from prometheus_client import Gauge as PrometheusGauge
from prometheus_client import Histogram as PrometheusHistogram

from streams.core.outcome import Usage
from streams.telemetry.metrics import Metrics
from streams.telemetry.otlp_metrics import metrics_of


def converted(registry: CollectorRegistry) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics_of(list(registry.collect()), 1, 2)}


def test_counters_gauges_and_histograms() -> None:
    registry = CollectorRegistry()
    PrometheusCounter("runs", "Runs.", ["status"], registry=registry).labels("failed").inc(3)
    PrometheusGauge("lag", "Lag.", registry=registry).set(7)
    seconds = PrometheusHistogram("took_seconds", "Took.", ["node"], registry=registry, buckets=(1, 10)).labels("a")
    for value in (0.5, 2, 3, 99):
        seconds.observe(value)
    PrometheusCounter("unused", "No series.", ["status"], registry=registry)
    found = converted(registry)
    assert set(found) == {"runs_total", "lag", "took_seconds"}
    runs, lag, took = found["runs_total"].data, found["lag"].data, found["took_seconds"].data
    assert isinstance(runs, Sum)
    assert runs.is_monotonic
    assert runs.data_points == [NumberDataPoint({"status": "failed"}, 1, 2, 3.0)]
    assert isinstance(lag, Gauge)
    assert [point.value for point in lag.data_points] == [7.0]
    assert isinstance(took, Histogram)
    (point,) = took.data_points
    assert isinstance(point, HistogramDataPoint)
    assert (point.count, point.sum, list(point.bucket_counts), list(point.explicit_bounds)) == (
        4,
        104.5,
        [1, 2, 1],
        [1, 10],
    )
    assert point.attributes == {"node": "a"}


def test_opentelemetrys_own_metrics_have_their_own_names() -> None:
    metrics = Metrics()
    metrics.on_call("openai", "gpt-4o", 0.2, None, Usage(3, 4))
    found = converted(metrics.registry)
    duration = found["gen_ai.client.operation.duration"]
    assert duration.unit == "s"
    (point,) = duration.data.data_points
    assert point.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
    }
    kinds = {(p.attributes or {})["gen_ai.token.type"] for p in found["gen_ai.client.token.usage"].data.data_points}
    assert kinds == {"input", "output"}
