"""Records and plans to decide on, with defaults that a test overrides where it matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.codec import loads
from schemas.ids import content_hash
from schemas.records import (
    AttemptDue,
    AttemptFailed,
    Cancelled,
    CancelRequested,
    ErrorInfo,
    Failed,
    Json,
    Position,
    Skipped,
    Spent,
    Started,
    Succeeded,
)
from streams.core.compiled import CompiledNode, CompiledWorkflow, compile_workflow
from streams.core.inbound import Inbound
from streams.core.transition import Moment
from tests.plans import plan_of

RUN = "r1"
NOW = 50_000
MOMENT = Moment(NOW, 0.0, "me")
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
SOURCE = Position("wf.input", 0, 7)
ERROR = ErrorInfo("handler", "boom", retryable=True)
FATAL = ErrorInfo("handler", "boom", retryable=False)
SPENT = Spent(3, 5, 0.25)

PAIR: Mapping[str, Sequence[str]] = {"up": (), "n": ("up",)}


def workflow(dag: Mapping[str, Sequence[str]] = PAIR, **nodes: Mapping[str, Any]) -> CompiledWorkflow:
    """Return a compiled workflow; keyword arguments change single nodes."""
    return compile_workflow(plan_of(dag, nodes=nodes))


def root(**changes: Any) -> CompiledNode:
    """Return a node without dependencies, called `n`."""
    return workflow({"n": ()}, n=changes).nodes["n"]


def node(**changes: Any) -> CompiledNode:
    """Return a node called `n` that depends on `up`."""
    return workflow(n=changes).nodes["n"]


def started(text: str = '{"n":1}', source: Position = SOURCE, key: bytes | None = b"r1", at: int = 40_000) -> Started:
    """Return a `Started` with this input."""
    return Started(RUN, Json(text), content_hash(loads(text)), "hash", "1", at, source, key, TRACE)


def cancel_requested() -> CancelRequested:
    """Return a request to cancel."""
    return CancelRequested(RUN, NOW, Position("wf.control", 1, 3))


def succeeded(
    of: str = "n", output: str = '{"a":1}', seq: int = 1, attempt: int = 1, at: int = 60_000, epoch: int = 0
) -> Succeeded:
    """Return a success."""
    return Succeeded(RUN, of, epoch, seq, attempt, Json(output), SPENT, "m", 50_000, at)


def attempt_failed(
    of: str = "n", seq: int = 1, attempt: int = 1, error: ErrorInfo = ERROR, epoch: int = 0
) -> AttemptFailed:
    """Return a failed attempt."""
    return AttemptFailed(RUN, of, epoch, seq, attempt, error, SPENT, None, None, 50_000, 55_000)


def due(seq: int = 1, of: str = "n", epoch: int = 0) -> AttemptDue:
    """Return the end of a wait."""
    return AttemptDue(RUN, of, epoch, seq, NOW)


def failed(
    of: str = "n", seq: int = 1, attempt: int = 1, error: ErrorInfo = FATAL, at: int = 61_000, epoch: int = 0
) -> Failed:
    """Return a final failure."""
    return Failed(RUN, of, epoch, seq, attempt, error, at)


def skipped(of: str = "n", at: int = 62_000, epoch: int = 0) -> Skipped:
    """Return a skip."""
    return Skipped(RUN, of, epoch, 0, "because", at)


def cancelled(of: str = "n", at: int = 63_000, epoch: int = 0) -> Cancelled:
    """Return the end of a node by cancel."""
    return Cancelled(RUN, of, epoch, 0, at)


def inbound(
    value: bytes | None = b'{"n":1}',
    key: bytes | None = b"r1",
    headers: Sequence[tuple[str, bytes]] = (),
    topic: str = "wf.input",
    timestamp: int = 1_700_000_000_000,
) -> Inbound:
    """Return a record of a public topic."""
    return Inbound(topic, 1, 42, timestamp, key, value, tuple(headers))
