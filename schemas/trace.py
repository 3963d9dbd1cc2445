"""W3C trace context, and the ids of spans: derived, so that each process knows a span's id without having made it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from schemas.quick import quick

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z")
_SAMPLED = 1
REMEMBERED = 16_384
"""Ids of spans: a node's is asked for by its attempts, its records, its end and each node below."""


@quick
@dataclass(frozen=True, slots=True)
class TraceParent:
    """A place in a trace: 32 and 16 hex digits, neither of them all zeros."""

    trace_id: str
    span_id: str
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def at(self, span_id: str) -> TraceParent:
        """Return another span of the same trace."""
        return TraceParent(self.trace_id, span_id, self.sampled)


def parse_traceparent(text: str | None) -> TraceParent | None:
    """Return what a `traceparent` says, None if it is none by W3C's rules."""
    found = _TRACEPARENT.match(text or "")
    if found is None or (found[4] and text is not None and text.startswith("00")):
        return None
    trace_id, span_id = found[1], found[2]
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceParent(trace_id, span_id, bool(int(found[3], 16) & _SAMPLED))


@lru_cache(REMEMBERED)
def span_id_of(workflow: str, run_id: str, *place: str | int) -> str:
    """Return the id of the span that stands for `place` in a run, 16 hex digits."""
    text = "\0".join((workflow, run_id, *map(str, place)))
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()
