"""Telemetry as the standard `OTEL_*` variables want it. Nothing set: none; the SDK itself would send to localhost."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from streams.errors import TelemetryError

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SpanExporter

    from streams.telemetry.metrics import Metrics
    from streams.telemetry.telemetry import Telemetry
    from streams.telemetry.tracing import Tracing

Close = Callable[[], None]

OTLP = "otlp"
NONE = "none"
QUEUE_SPANS = 20_000
"""The SDK's own 2048 are a tenth of a second of a busy worker: what does not fit is dropped. `OTEL_BSP_MAX_QUEUE_SIZE` wins."""


def from_environment(serves_metrics: bool = False) -> Telemetry | None:
    """Return the telemetry that is asked for, None if none is.

    Raises:
        TelemetryError: an exporter that is not known, or not installed.
    """
    traces, pushed = _exporters("TRACES"), _exporters("METRICS")
    if not (traces or pushed or serves_metrics):
        return None
    from streams.telemetry.metrics import Metrics
    from streams.telemetry.telemetry import Telemetry

    closing: list[Close] = []
    instance = f"{socket.gethostname()}-{os.getpid()}"
    metrics = Metrics() if pushed or serves_metrics else None
    tracing = _tracing(traces, instance, closing) if traces else None
    if metrics is not None and pushed:
        _push(metrics, pushed, instance, closing)
    return Telemetry(tracing, metrics, tuple(closing))


def _exporters(signal: str) -> list[str]:
    """Return the names of a signal's exporters: those it names, else OTLP if an endpoint is set."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    named = os.environ.get(f"OTEL_{signal}_EXPORTER", "").strip()
    endpoints = (f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if not named:
        return [OTLP] if any(os.environ.get(name) for name in endpoints) else []
    return [name for name in (part.strip() for part in named.split(",")) if name and name != NONE]


def _tracing(exporters: list[str], instance: str, closing: list[Close]) -> Tracing:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from streams.telemetry import semconv
    from streams.telemetry.tracing import GivenIds, Tracing

    provider = TracerProvider(resource=_resource(instance), id_generator=GivenIds(), shutdown_on_exit=False)
    queue = None if os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") else QUEUE_SPANS
    for name in exporters:
        provider.add_span_processor(BatchSpanProcessor(_made("TRACES", name), max_queue_size=queue))
    trace.set_tracer_provider(provider)  # what handlers' `context.tracer` finds
    closing.append(provider.shutdown)
    captures = os.environ.get(semconv.CAPTURE_CONTENT, "").strip().lower()
    return Tracing(provider, captures in ("true", "1", "span_only", "span_and_event"))


def _push(metrics: Metrics, exporters: list[str], instance: str, closing: list[Close]) -> None:
    from streams.telemetry.otlp_metrics import OtlpMetrics

    interval_s = _number("OTEL_METRIC_EXPORT_INTERVAL", 60_000) / 1000
    for name in exporters:
        sender = OtlpMetrics(metrics.registry, _resource(instance), _made("METRICS", name), interval_s)
        closing.append(sender.close)


def _made(signal: str, name: str) -> Any:
    """Return an exporter by its name, as OpenTelemetry's packages register them."""
    full = name if name != OTLP else f"otlp_proto_{_protocol(signal)}"
    group = f"opentelemetry_{signal.lower()}_exporter"
    found = next(iter(entry_points(group=group, name=full)), None)
    if found is None or name == "prometheus":
        known = ", ".join(sorted({entry.name for entry in entry_points(group=group)} - {"prometheus"}))
        raise TelemetryError(
            f"OTEL_{signal}_EXPORTER: no exporter {full!r} is installed; there are {known}, otlp, none"
            + ("; for Prometheus use --metrics-port" if name == "prometheus" else "")
        )
    try:
        # What a command prints is for whoever called it, so spans go elsewhere.
        kind = _quicker() if (signal, full) == ("TRACES", "otlp_proto_http") else found.load()
        return kind(**({"out": sys.stderr} if name == "console" else {}))
    except Exception as error:
        raise TelemetryError(f"OTEL_{signal}_EXPORTER: exporter {full!r} cannot be made: {error}") from error


def _quicker() -> type[SpanExporter]:
    from streams.telemetry.otlp_spans import OtlpSpanExporter

    return OtlpSpanExporter


def _protocol(signal: str) -> str:
    text = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    match text or "http/protobuf":
        case "http/protobuf":
            return "http"
        case "grpc":
            return "grpc"
        case other:
            raise TelemetryError(f"OTEL_EXPORTER_OTLP_PROTOCOL: {other!r} is neither http/protobuf nor grpc")


def _resource(instance: str) -> Resource:
    """Return who this is: what the environment says, else the service `penstock`."""
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    from streams.telemetry import semconv

    named = "OTEL_SERVICE_NAME" in os.environ or SERVICE_NAME in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({semconv.SERVICE_INSTANCE: instance} | ({} if named else {SERVICE_NAME: "penstock"}))


def _number(name: str, default: float) -> float:
    text = os.environ.get(name)
    try:
        return default if not text else float(text)
    except ValueError:
        raise TelemetryError(f"{name}: {text!r} is not a number of milliseconds") from None
