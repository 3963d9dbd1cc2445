"""A span that has a beginning, attributes and an end, as most have: it is handed over as it is, without what the SDK does for any.

The SDK's spans lock, copy and check each attribute, since anybody may set any: some 50 us a span, and a run has a dozen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from opentelemetry.sdk.trace import ReadableSpan, Tracer
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import Attributes, AttributeValue

SCOPE = InstrumentationScope("penstock", "", "")

_making = threading.Lock()


class PlainSpan(Span):
    """One; `make` makes the SDK's span of the same ids, beginning, attributes and links, that does whatever else is asked of it."""

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
        links: Sequence[Link],
        start_ns: int | None,
        make: Callable[[PlainSpan], Span],
    ) -> None:
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self.links = links
        self.start_ns = time.time_ns() if start_ns is None else start_ns
        self._tracer = tracer
        self.parent = parent
        self._context = context
        self._make = make
        self._made: Span | None = None
        self._ended = False

    def tell(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set attributes that are known to be right."""
        if self._made is None:
            self.attributes.update(attributes)
        else:
            self._made.set_attributes(attributes)

    def end(self, end_time: int | None = None) -> None:
        """Hand it over."""
        if self._made is not None:
            self._made.end(end_time)
        elif not self._ended:
            self._ended = True
            self._tracer.span_processor.on_end(self._read(time.time_ns() if end_time is None else end_time))

    def _read(self, end_ns: int) -> ReadableSpan:
        return ReadableSpan(
            name=self.name,
            context=self._context,
            parent=self.parent,
            resource=self._tracer.resource,
            attributes=self.attributes,
            links=self.links,
            kind=self.kind,
            start_time=self.start_ns,
            end_time=end_ns,
            instrumentation_info=self._tracer.instrumentation_info,
            instrumentation_scope=SCOPE,
        )

    def get_span_context(self) -> SpanContext:
        """Return its ids."""
        return self._context

    def is_recording(self) -> bool:
        """Say whether it has not ended."""
        return not self._ended if self._made is None else self._made.is_recording()

    @property
    def _sdk(self) -> Span:
        with _making:  # a handler's threads may be the first to ask for it at once
            if self._ended:
                return INVALID_SPAN  # too late: it is sent
            if self._made is None:
                self._made = self._make(self)
            return self._made

    # ---- what the SDK does ------------------------------------------------------------------------------------------

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set attributes."""
        self._sdk.set_attributes(attributes)

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Set an attribute."""
        self._sdk.set_attribute(key, value)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Add an event."""
        self._sdk.add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Add a link."""
        self._sdk.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Name it otherwise."""
        self._sdk.update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set its status."""
        self._sdk.set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add an exception as an event."""
        self._sdk.record_exception(exception, attributes, timestamp, escaped)
