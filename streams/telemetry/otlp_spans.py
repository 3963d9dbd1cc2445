"""Spans as OTLP has them (https://opentelemetry.io/docs/specs/otlp/), encoded here, sent by OpenTelemetry's exporter.

Its own encoder makes objects of protobuf for each attribute of each span; most spans say little that was not said a moment ago.
So an attribute is encoded once and remembered, which takes a tenth. What is not as most spans are goes through the library's.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import SpanFlags
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

REMEMBERED = 8_192
LONG = 256
"""Longer texts are not remembered: prompts and answers."""

FIELD = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}

# What follows a field's number: a number, eight bytes, a length and so many bytes, four bytes (protobuf.dev/programming-guides/encoding).
VARINT, I64, LEN, I32 = 0, 1, 2, 5
HAS_IS_REMOTE, IS_REMOTE = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK, SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_TIMES = struct.Struct("<BQBQ")


class OtlpSpanExporter(OTLPSpanExporter):
    """OpenTelemetry's exporter over HTTP, with this module's encoder."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; whatever is out of the ordinary the library does, and says."""
        data = self._quickly(spans)
        if data is None:
            return super().export(spans)
        return SpanExportResult.SUCCESS if self._client.export(data).success else SpanExportResult.FAILURE

    def _quickly(self, spans: Sequence[ReadableSpan]) -> bytes | None:
        try:
            data = encoded(spans)
            within = self._max_request_size <= 0 or len(data) <= self._max_request_size
            return data if within and not self._shutdown and hasattr(self._client, "export") else None
        except Exception:  # a span that cannot be encoded, or a version of the library that is built otherwise
            return None


def encoded(spans: Sequence[ReadableSpan]) -> bytes:
    """Return an `ExportTraceServiceRequest`, the same as the library's."""
    return b"".join(_field(1, _of_resource(some)) for some in _parted(spans, "resource"))


def _of_resource(spans: Sequence[ReadableSpan]) -> bytes:
    (resource,) = encode_spans(spans[:1]).resource_spans
    del resource.scope_spans[:]
    scopes = [_field(2, _of_scope(some)) for some in _parted(spans, "instrumentation_scope")]
    return b"".join((resource.SerializeToString(), *scopes))


def _of_scope(spans: Sequence[ReadableSpan]) -> bytes:
    (scope,) = encode_spans(spans[:1]).resource_spans[0].scope_spans
    del scope.spans[:]
    return b"".join((scope.SerializeToString(), *[_field(2, _span(span)) for span in spans]))


def _parted(spans: Sequence[ReadableSpan], by: str) -> list[list[ReadableSpan]]:
    """Part spans by an object that they share; by what it holds would take longer: a resource is put into JSON for that."""
    parts: defaultdict[int, list[ReadableSpan]] = defaultdict(list)
    for span in spans:
        parts[id(getattr(span, by))].append(span)
    return list(parts.values())


def _span(span: ReadableSpan) -> bytes:
    usual = not span.events and span.status.status_code is StatusCode.UNSET and not span.context.trace_state
    if usual and not (span.dropped_attributes or span.dropped_events or span.dropped_links):
        try:
            return _usual(span)
        except (KeyError, TypeError, ValueError):
            pass  # an attribute of another type, a number too big, half a character: the library knows what becomes of it
    return encode_spans([span]).resource_spans[0].scope_spans[0].spans[0].SerializeToString()  # type: ignore[no-any-return]


def _usual(span: ReadableSpan) -> bytes:
    above = span.parent
    parts = [_ids(span.context), b"" if above is None else b"\x22\x08" + above.span_id.to_bytes(8)]
    parts += (
        _named(span.name, span.kind),
        _TIMES.pack(7 << 3 | I64, span.start_time or 0, 8 << 3 | I64, span.end_time or 0),
    )
    parts += _attributes(9, span.attributes or {})
    parts += [_field(13, _link(link)) for link in span.links]
    parts.append(_REST[above is not None and above.is_remote])
    return b"".join(parts)


def _link(link: Link) -> bytes:
    attributes = _attributes(4, link.attributes or {})
    return b"".join((_ids(link.context), *attributes, _flags(6, link.context.is_remote)))


def _ids(context: SpanContext) -> bytes:
    return b"\x0a\x10" + context.trace_id.to_bytes(16) + b"\x12\x08" + context.span_id.to_bytes(8)


@lru_cache(REMEMBERED)
def _named(name: str, kind: SpanKind) -> bytes:
    return _field(5, name.encode()) + bytes((6 << 3 | VARINT, kind.value + 1))


def _attributes(number: int, attributes: Mapping[str, Any]) -> list[bytes]:
    return [
        (_made if type(value) is str and len(value) > LONG else _remembered)(number, key, value)
        for key, value in attributes.items()
    ]


def _made(number: int, key: str, value: Any) -> bytes:
    return _field(number, KeyValue(key=key, value=AnyValue(**{FIELD[type(value)]: value})).SerializeToString())


_remembered = lru_cache(REMEMBERED, typed=True)(_made)  # typed: 1, True and 1.0 are one key else


@cache
def _flags(number: int, is_remote: bool) -> bytes:
    flags = HAS_IS_REMOTE | (IS_REMOTE if is_remote else 0)
    return _number(number << 3 | I32) + struct.pack("<I", flags)


def _field(number: int, content: bytes) -> bytes:
    return _number(number << 3 | LEN) + _number(len(content)) + content


@lru_cache(REMEMBERED)
def _number(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


_REST = {is_remote: _field(15, b"") + _flags(16, is_remote) for is_remote in (False, True)}
"""A status that says nothing, and flags."""
