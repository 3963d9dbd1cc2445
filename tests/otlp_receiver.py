"""A small OTLP/HTTP receiver: what a collector would be sent, decoded from protobuf."""

from __future__ import annotations

import gzip
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Proto

PATIENCE_S = 90


@dataclass(frozen=True)
class Span:
    """A span as it came over the wire; ids in hex, "" for no parent, times in ns."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    start: int
    end: int
    failed: bool
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    links: list[tuple[str, str]]
    """Span id and what it is to this one."""
    service: str


@dataclass
class Receiver:
    """Listens on a free port of 127.0.0.1."""

    spans: list[Span] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    """The last metric of each name, as protobuf."""
    bodies: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._came = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def until(self, enough: Callable[[], Any]) -> None:
        """Wait until `enough` says yes of what came; fail when that takes too long."""
        last = time.monotonic() + PATIENCE_S
        with self._came:
            while not enough():
                assert time.monotonic() < last, sorted(span.name for span in self.spans)
                self._came.wait(1)

    def named(self, name: str) -> list[Span]:
        """Return the spans of a name, by their begin."""
        return sorted((span for span in self.spans if span.name == name), key=lambda span: span.start)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, body: bytes) -> None:
        """Take what was sent."""
        with self._came:
            self.bodies.append(body)
            if path == "/v1/traces":
                self.spans += _spans(body)
            else:
                for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for scope in resource.scope_metrics:
                        self.metrics.update({metric.name: metric for metric in scope.metrics})
            self._came.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.take(self.path, body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def _spans(body: bytes) -> list[Span]:
    found = []
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _attributes(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            found += [_span(span, service) for span in scope.spans]
    return found


def _span(span: Proto, service: str) -> Span:
    return Span(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        Proto.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code == 2,
        _attributes(span.attributes),
        [(event.name, _attributes(event.attributes)) for event in span.events],
        [(link.span_id.hex(), _attributes(link.attributes).get("penstock.link", "")) for link in span.links],
        service,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs if isinstance(pair, KeyValue)}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return None if kind is None else getattr(value, kind)


def children(spans: list[Span]) -> dict[str, list[Span]]:
    """Return spans by their parent's id."""
    found: defaultdict[str, list[Span]] = defaultdict(list)
    for span in spans:
        found[span.parent_id].append(span)
    return found
