"""Spans with ids and parents that are given: the one place that makes any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanLimits, Tracer, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Decision
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from schemas.trace import TraceParent
from streams.telemetry import semconv
from streams.telemetry.plain_span import SCOPE, PlainSpan

NS_PER_MS = 1_000_000
REMEMBERED = 4_096
MOST_ATTRIBUTES = 32
"""More than any span of ours has."""

SAMPLED, NOT_SAMPLED = TraceFlags(TraceFlags.SAMPLED), TraceFlags(TraceFlags.DEFAULT)

Attributes = Mapping[str, AttributeValue | None]
"""None: not known, left out."""

_next: ContextVar[tuple[int, int] | None] = ContextVar("next_span", default=None)


class GivenIds(RandomIdGenerator):
    """Takes the ids that `Tracing.start` sets for the next span; spans of others (handlers) get random ones."""

    def generate_trace_id(self) -> int:
        """Return the trace id of a root span."""
        given = _next.get()
        return super().generate_trace_id() if given is None else given[0]

    def is_trace_id_random(self) -> bool:
        """Say so of ids that are not given: W3C has a flag for it."""
        return _next.get() is None

    def generate_span_id(self) -> int:
        """Return a span id."""
        given = _next.get()
        return super().generate_span_id() if given is None else given[1]


class Tracing:
    """A tracer whose spans are told who they are. `captures_content`: prompts and answers may be part of them."""

    def __init__(self, provider: TracerProvider, captures_content: bool = False) -> None:
        self.captures_content = captures_content
        self.tracer = cast("Tracer", provider.get_tracer(SCOPE.name))
        self._sampler = provider.sampler
        limits = SpanLimits()
        self._most_links = limits.max_links or 0
        # OpenTelemetry has no other way to ask; where it is another sampler every span is put to it.
        self._obeys_parents = getattr(self._sampler, "_remote_parent_not_sampled", None) is ALWAYS_OFF
        self._keeps_all = (
            self._obeys_parents
            and getattr(self._sampler, "_remote_parent_sampled", None) is ALWAYS_ON
            and limits.max_span_attribute_length is None
            and (limits.max_span_attributes or 0) >= MOST_ATTRIBUTES
        )

    def drops(self, place: TraceParent) -> bool:
        """Say whether nothing of a trace is kept, so that nothing need be made of it: its first span was not sampled."""
        return self._obeys_parents and not place.sampled

    def unrecorded(self, place: TraceParent) -> Span:
        """Return what stands for a span of a trace that is not kept."""
        return _remote(place)

    def start(
        self,
        name: str,
        place: TraceParent,
        parent: TraceParent | None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        links: Sequence[Link] = (),
        start_ns: int | None = None,
    ) -> Span:
        """Start the span that `place` names below `parent`; None makes it the root of its trace."""
        said = known(attributes or {})
        context, above = _context(place, is_remote=False), None if parent is None else _context(parent)
        if place.sampled and self._keeps_all and len(links) <= self._most_links:
            return PlainSpan(self.tracer, name, context, above, kind, said, links, start_ns, self._sdk_span)
        return self._start(name, context, above, kind, said, links, start_ns)

    def _sdk_span(self, span: PlainSpan) -> Span:
        return self._start(
            span.name, span.get_span_context(), span.parent, span.kind, span.attributes, span.links, span.start_ns
        )

    def _start(
        self,
        name: str,
        place: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Mapping[str, AttributeValue],
        links: Sequence[Link],
        start_ns: int | None,
    ) -> Span:
        token = _next.set((place.trace_id, place.span_id))
        try:
            below = (
                Context() if parent is None else trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())
            )
            return self.tracer.start_span(name, below, kind, attributes, links, start_ns)
        finally:
            _next.reset(token)

    def sampled(self, trace_id: str) -> bool:
        """Say whether a trace that nobody else began is sampled; the same for every span of it."""
        asked = self._sampler.should_sample(None, int(trace_id, 16), SCOPE.name)
        return asked.decision is Decision.RECORD_AND_SAMPLE


def known(attributes: Attributes) -> dict[str, AttributeValue]:
    """Return the attributes that have a value."""
    return {name: value for name, value in attributes.items() if value is not None}


def tell(span: Span, attributes: Attributes) -> None:
    """Set the attributes that have a value."""
    said = known(attributes)
    if isinstance(span, PlainSpan):
        span.tell(said)
    else:
        span.set_attributes(said)


def link(to: TraceParent, what: str) -> Link:
    """Return a link that says what the other span is to this one."""
    return Link(_context(to), {semconv.LINK: what})


def fail(span: Span, kind: str) -> None:
    """Mark a span as failed. Only the kind of the error: a message may hold what a model or a person said."""
    span.set_attribute(semconv.ERROR_TYPE, kind)
    span.set_status(Status(StatusCode.ERROR, kind))


def place_of(span: Span) -> TraceParent:
    """Return where a span is, as a header says it."""
    at = span.get_span_context()
    return TraceParent(f"{at.trace_id:032x}", f"{at.span_id:016x}", at.trace_flags.sampled)


def _context(place: TraceParent, is_remote: bool = True) -> SpanContext:
    flags = SAMPLED if place.sampled else NOT_SAMPLED
    return SpanContext(_number(place.trace_id), int(place.span_id, 16), is_remote, flags)


@lru_cache(REMEMBERED)
def _number(trace_id: str) -> int:
    return int(trace_id, 16)


def _remote(place: TraceParent) -> Span:
    return trace.NonRecordingSpan(_context(place))
