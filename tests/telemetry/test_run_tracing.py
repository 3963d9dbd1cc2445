"""A run's spans, made from records by the real processor: parents, sampling, items, repeats."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased

from schemas.codec import decode, encode
from schemas.headers import Headers, header, headers_of
from schemas.ids import traceparent_of
from schemas.records import AttemptFailed, ErrorInfo, NodeRow, Record, Spent, Started
from schemas.trace import TraceParent, parse_traceparent
from streams.core.compiled import compile_workflow
from streams.core.inbound import Inbound
from streams.core.transition import Moment
from streams.engine.log import Outgoing
from streams.engine.processor import Processor
from streams.engine.tables import Tables
from streams.engine.timers import Timers
from streams.telemetry.run_tracing import RunTracing
from streams.telemetry.tracing import GivenIds, Tracing
from streams.telemetry.watch import Watch
from tests.core.examples import RUN, TRACE, cancelled, succeeded
from tests.plans import plan_of

PLAN = plan_of({"up": (), "n": ("up",)})
DERIVED = traceparent_of("wf", RUN)


class World:
    """A processor that is watched, and the spans that came of it."""

    def __init__(self, **sampler: Any) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(id_generator=GivenIds(), shutdown_on_exit=False, **sampler)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = RunTracing(Tracing(provider), PLAN)
        self.tracer = provider.get_tracer("a handler's")
        moment = lambda: Moment(50_000, 0.0, "me")  # noqa: E731
        watch = Watch(self.tracing)
        self.processor = Processor(compile_workflow(PLAN), Tables(), Timers(), moment, lambda _: 0, watch=watch)

    def publish(self, value: str = '{"n":1}', offset: int = 7, **headers: str) -> list[Outgoing]:
        """Take an input in, and what follows from it."""
        self.processor.handle(Inbound("wf.input", 0, offset, 0, b"r1", value.encode(), headers_of(headers)))
        sends = self.processor.take_effects().sends
        for send in sends:
            if send.topic == "wf.run":
                self.take(send.topic, send.value, send.headers)
        return sends

    def take(self, topic: str, record: Record | bytes | None, headers: Headers = ()) -> list[Outgoing]:
        value = record if record is None or isinstance(record, bytes) else encode(record)
        self.processor.handle(Inbound(topic, 0, 5, 0, b"r1", value, headers))
        return self.processor.take_effects().sends

    @property
    def spans(self) -> Mapping[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def id_of(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.span_id:016x}"


def whole_run(world: World, **headers: str) -> list[Outgoing]:
    sends = world.publish(**headers)
    sends += world.take("wf.up", succeeded("up"))
    return sends + world.take("wf.n", succeeded("n"))


def test_without_a_producers_span_the_intake_is_the_root() -> None:
    world = World()
    whole_run(world)
    spans = world.spans
    derived = parse_traceparent(DERIVED)
    assert derived is not None
    root, run = spans["process wf.input"], spans["run wf"]
    assert (parent_of(root), id_of(root)) == (None, derived.span_id)
    assert parent_of(run) == id_of(root)
    assert parent_of(spans["node up"]) == parent_of(spans["node n"]) == parent_of(spans["send wf.output"]) == id_of(run)
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {derived.trace_id}
    (link,) = spans["node n"].links
    assert f"{link.context.span_id:016x}" == id_of(spans["node up"])


def test_a_producers_span_is_the_parent_of_the_intake() -> None:
    world = World()
    whole_run(world, traceparent=TRACE)
    intake = world.spans["process wf.input"]
    assert (parent_of(intake), f"{intake.context.trace_id:032x}") == ("b" * 16, "a" * 32)
    assert parent_of(world.spans["run wf"]) == id_of(intake)


def test_each_record_names_the_span_it_comes_from() -> None:
    world = World()
    sends = whole_run(world, traceparent=TRACE)
    origin = {header(s.headers, "ce_type"): parse_traceparent(header(s.headers, "traceparent")) for s in sends}
    spans = world.spans
    named = {"Started": "process wf.input", "Finished": "run wf", "Result": "send wf.output"}
    assert {kind: place.span_id for kind, place in origin.items() if kind in named and place} == {
        kind: id_of(spans[name]) for kind, name in named.items()
    }
    started = next(decode(s.value or b"") for s in sends if s.topic == "wf.run")
    assert isinstance(started, Started)
    assert started.traceparent == TRACE  # what the run's rows keep is what the producer said, whoever traces


def test_a_garbled_traceparent_is_none() -> None:
    world = World()
    sends = world.publish(traceparent="00-nonsense")
    started = decode(sends[0].value or b"")
    assert isinstance(started, Started)
    assert started.traceparent == DERIVED


def test_what_the_producer_does_not_sample_is_not_traced() -> None:
    world = World()
    sends = whole_run(world, traceparent=TRACE[:-2] + "00")
    assert world.spans == {}
    assert {header(send.headers, "traceparent")[-2:] for send in sends} == {"00"}  # type: ignore[index]


def test_what_a_handler_traces_is_not_kept_where_its_run_is_not() -> None:
    world = World()
    row = NodeRow(RUN, "running", seq=1, attempt=1, traceparent=TRACE[:-2] + "00")
    with world.tracing.attempt(PLAN.node("up"), row, 0) as (seen, end):
        world.tracer.start_span("the handler's own").end()
        end.record = succeeded("up")
    assert world.spans == {}
    assert seen.traceparent == row.traceparent


def test_a_sampler_that_keeps_all_is_asked_all_the_same() -> None:
    world = World(sampler=ALWAYS_ON)
    whole_run(world, traceparent=TRACE[:-2] + "00")
    assert len(world.spans) == 5


@pytest.mark.parametrize(("ratio", "spans"), [(0.0, 0), (1.0, 5)])
def test_a_trace_of_our_own_is_sampled_as_a_whole(ratio: float, spans: int) -> None:
    world = World(sampler=ParentBased(TraceIdRatioBased(ratio)))
    whole_run(world)
    assert len(world.spans) == spans


def test_the_same_records_again_make_the_same_spans() -> None:
    first, second = World(), World()
    whole_run(first)
    whole_run(second)
    assert {n: id_of(s) for n, s in first.spans.items()} == {n: id_of(s) for n, s in second.spans.items()}


def test_a_node_that_ended_is_told_of_once() -> None:
    world = World()
    world.publish()
    for _ in range(3):
        world.take("wf.up", succeeded("up"))
    assert [span.name for span in world.exporter.get_finished_spans()].count("node up") == 1


def test_skipped_and_cancelled_nodes_have_spans() -> None:
    world = World()
    world.publish()
    world.take("wf.up", cancelled("up"))
    assert world.spans["node up"].attributes["penstock.status"] == "cancelled"  # type: ignore[index]


def test_an_items_span_hangs_on_its_nodes() -> None:
    world = World()
    node = compile_workflow(plan_of({"up": ()})).nodes["up"].plan
    from streams.core.items import plan_of_item

    row = NodeRow(RUN, "success", seq=1, attempt=1, traceparent=TRACE, started_at=1, finished_at=2)
    world.tracing.node_changed(node, None, row)
    parent = id_of(world.spans["node up"])
    world.exporter.clear()
    world.tracing.node_changed(plan_of_item(node, 3), None, row)
    item = world.spans["node up"]
    assert (parent_of(item), item.attributes["penstock.item.index"]) == (parent, 3)  # type: ignore[index]


def told(world: World) -> dict[str, Any]:
    """Return what the spans of a run say, but for when they ended."""
    whole_run(world, traceparent=TRACE)
    row = NodeRow(RUN, "running", seq=2, attempt=2, launched_at=10, traceparent=TRACE, launch=1)
    with world.tracing.attempt(PLAN.node("up"), row, 35) as (_, end):
        end.record = succeeded("up")
    return {
        name: (
            span.context,
            span.parent,
            span.kind,
            span.status.status_code,
            dict(span.attributes or {}),
            [(link.context, dict(link.attributes or {})) for link in span.links],
            span.resource,
            span.instrumentation_scope,
        )
        for name, span in world.spans.items()
    }


def test_a_plain_span_says_what_the_sdks_would(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = told(World())
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1000")  # limits are the SDK's to keep
    assert plain == told(World())


def test_limits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "1")
    assert len(told(World())["attempt up"][5]) == 1
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    assert told(World())["process wf.input"][4]["messaging.system"] == "kaf"
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2")
    assert {len(span[4]) for span in told(World()).values()} == {2}


def test_what_a_handler_adds_to_its_attempts_span_is_kept() -> None:
    world = World()
    row = NodeRow(RUN, "running", seq=1, attempt=1, traceparent=TRACE)
    with world.tracing.attempt(PLAN.node("up"), row, 0) as (_, end):
        current = trace.get_current_span()
        assert current.is_recording()
        current.set_attribute("mine", [1, 2])
        current.set_attributes({"ours": "too"})
        current.add_event("seen", {"n": 1})
        current.record_exception(ValueError("odd"))
        current.add_link(current.get_span_context(), {"to": "itself"})
        current.update_name("attempt of mine")
        world.tracer.start_span("the handler's own").end()
        end.record = succeeded("up")
    assert not current.is_recording()
    attempt, own = world.spans["attempt of mine"], world.spans["the handler's own"]
    said = dict(attempt.attributes or {})
    assert (said["mine"], said["ours"], said["penstock.node.id"]) == ((1, 2), "too", "up")
    assert said["penstock.outcome"] == "success"
    assert [event.name for event in attempt.events] == ["seen", "exception"]
    assert [dict(link.attributes or {}) for link in attempt.links] == [{"to": "itself"}]
    assert parent_of(own) == id_of(attempt)
    assert len(world.exporter.get_finished_spans()) == 2


def test_what_comes_after_its_end_changes_nothing() -> None:
    world = World()
    with world.tracing.attempt(PLAN.node("up"), NodeRow(RUN, "running", seq=1, traceparent=TRACE), 0):
        current = trace.get_current_span()
    current.set_attribute("late", 1)
    current.add_event("late")
    current.end()
    (span,) = world.exporter.get_finished_spans()
    assert "late" not in (span.attributes or {})


def test_two_threads_of_a_handler_have_one_span() -> None:
    world = World()
    with world.tracing.attempt(PLAN.node("up"), NodeRow(RUN, "running", seq=1, traceparent=TRACE), 0):
        current = trace.get_current_span()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: current.set_attribute(f"n{n}", n), range(50)))
    (span,) = world.exporter.get_finished_spans()
    assert {f"n{n}" for n in range(50)} <= set(span.attributes or {})


def test_an_attempts_work_sees_its_span() -> None:
    world = World()
    node = compile_workflow(plan_of({"up": ()})).nodes["up"].plan
    error = ErrorInfo("handler", "a text that quotes an answer", retryable=True)
    row = NodeRow(RUN, "running", seq=2, attempt=2, launched_at=10, traceparent=TRACE, last_error=error, launch=1)
    with world.tracing.attempt(node, row, 35) as (seen, end):
        end.record = AttemptFailed(RUN, "up", 0, 2, 2, error, Spent(3, 4, 0.5), "m", None, 1, 2)
    span = world.spans["attempt up"]
    assert seen.traceparent == str(TraceParent("a" * 32, id_of(span)))
    said = dict(span.attributes or {})
    assert (said["penstock.queue_wait_ms"], said["penstock.cost_usd"], said["error.type"]) == (25, 0.5, "handler")
    assert [dict(link.attributes or {})["penstock.link"] for link in span.links] == ["previous attempt", "lost launch"]
    assert "quotes" not in span.to_json()


def test_a_cancelled_attempt_says_so() -> None:
    world = World()
    node = compile_workflow(plan_of({"up": ()})).nodes["up"].plan
    with pytest.raises(KeyboardInterrupt), world.tracing.attempt(node, NodeRow(RUN, traceparent=TRACE), 0):
        raise KeyboardInterrupt
    assert (world.spans["attempt up"].attributes or {})["error.type"] == "cancelled"


def test_a_command_is_in_the_trace_it_brings() -> None:
    world = World()
    world.publish(traceparent=TRACE)
    world.exporter.clear()
    control = Inbound(
        "wf.control", 0, 1, 0, b"r1", b'{"type":"cancel","run_id":"r1"}', headers_of({"traceparent": TRACE})
    )
    world.processor.handle(control)
    sends = world.processor.take_effects().sends
    (span,) = world.spans.values()
    assert (span.name, parent_of(span)) == ("process wf.control", "b" * 16)
    traces = {place.trace_id for s in sends if (place := parse_traceparent(header(s.headers, "traceparent")))}
    assert traces == {"a" * 32}
    world.exporter.clear()
    world.processor.handle(Inbound("wf.control", 0, 2, 0, b"r1", b'{"type":"cancel","run_id":"r1"}', ()))
    assert world.spans == {}  # whose trace it is nobody knows
