"""What is sent is what OpenTelemetry's own encoder makes of the same spans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from streams.telemetry.otlp_spans import LONG, OtlpSpanExporter, encoded
from tests.otlp_receiver import Receiver

RESOURCES = [Resource({"service.name": "penstock"}), Resource({"service.name": "other"}, "https://schema")]
SCOPES = [InstrumentationScope("penstock", "", ""), InstrumentationScope("mine", "1.2", "https://schema"), None]

SCALARS = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text())
VALUES = st.one_of(SCALARS, st.just("x" * (LONG + 1)), st.tuples(st.text(), st.integers(0, 9)), st.binary(), st.none())
ATTRIBUTES = st.dictionaries(st.text(min_size=1), VALUES, max_size=6)
IDS = st.tuples(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
TIMES = st.integers(0, 2**64 - 1)


@st.composite
def contexts(draw: st.DrawFn) -> SpanContext:
    state = draw(st.sampled_from([TraceState(), TraceState(), TraceState([("vendor", "1")])]))
    return SpanContext(*draw(IDS), draw(st.booleans()), TraceFlags(1), state)


@st.composite
def spans(draw: st.DrawFn) -> ReadableSpan:
    return ReadableSpan(
        draw(st.text()),
        draw(contexts()),
        draw(st.none() | contexts()),
        draw(st.sampled_from(RESOURCES)),
        draw(ATTRIBUTES),
        draw(st.lists(st.builds(Event, st.text(), ATTRIBUTES, TIMES), max_size=1)),
        draw(st.lists(st.builds(Link, contexts(), ATTRIBUTES), max_size=2)),
        draw(st.sampled_from(SpanKind)),
        None,
        draw(st.sampled_from([Status(), Status(StatusCode.OK), Status(StatusCode.ERROR, "kind")])),
        draw(TIMES),
        draw(TIMES),
        draw(st.sampled_from(SCOPES)),
    )


@given(st.lists(spans(), max_size=4))
def test_it_is_what_the_library_makes_of_it(some: list[ReadableSpan]) -> None:
    assert ExportTraceServiceRequest.FromString(encoded(some)) == encode_spans(some)


def test_one_true_and_one_point_nought_are_three_values() -> None:
    some = [span(attributes={"n": value}) for value in (1, True, 1.0, 0, False, 0.0, "1")]
    assert ExportTraceServiceRequest.FromString(encoded(some)) == encode_spans(some)


def span(**more: Any) -> ReadableSpan:
    said: dict[str, Any] = {
        "resource": RESOURCES[0],
        "start_time": 1,
        "end_time": 2,
        "instrumentation_scope": SCOPES[0],
    }
    return ReadableSpan("node up", SpanContext(3, 4, False, TraceFlags(1)), **{**said, **more})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.close()


def exporter_to(receiver: Receiver, **more: Any) -> Any:
    return OtlpSpanExporter(f"{receiver.endpoint}/v1/traces", **more)


def test_it_comes_over_the_wire(receiver: Receiver) -> None:
    exporter = exporter_to(receiver)
    assert exporter.export([span(attributes={"a": "b"}), span(attributes={"a": ("b",)})]) is SpanExportResult.SUCCESS
    exporter.shutdown()
    assert [(found.name, found.attributes) for found in receiver.spans] == [
        ("node up", {"a": "b"}),
        ("node up", {"a": ["b"]}),
    ]


def test_what_cannot_be_encoded_is_left_out_and_the_rest_is_sent(receiver: Receiver) -> None:
    exporter = exporter_to(receiver)
    odd = [span(attributes={"half": "\ud800", "big": 2**70, "good": 1}), span()]
    assert exporter.export(odd) is SpanExportResult.SUCCESS
    exporter.shutdown()
    assert [found.attributes for found in receiver.spans] == [{"good": 1}, {}]


def test_a_batch_that_is_too_big_and_one_that_comes_too_late_are_refused(receiver: Receiver) -> None:
    exporter = exporter_to(receiver, max_request_size=50)
    assert exporter.export([span(attributes={"a": "b" * 50})]) is SpanExportResult.FAILURE
    exporter.shutdown()
    assert exporter.export([span()]) is SpanExportResult.FAILURE
    assert receiver.spans == []
