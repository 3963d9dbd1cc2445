"""What the engine tells of a workflow, to those who want to know: traces, metrics, log lines. Without any there is no watch at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from schemas.records import NodeRow, RunRow
from streams.core.inbound import Inbound
from streams.core.transition import Send
from streams.telemetry.attempt_spans import AttemptEnd
from streams.telemetry.run_metrics import RunMetrics
from streams.telemetry.run_tracing import RunTracing
from topology.plan import NodePlan


@dataclass(frozen=True, slots=True)
class Watch:
    """One workflow's. What the processor tells of is decided, and durable a moment later: after a crash it is told again."""

    tracing: RunTracing | None = None
    metrics: RunMetrics | None = None

    def took_in(self, record: Inbound, sends: tuple[Send, ...]) -> tuple[Send, ...]:
        """Tell of a record from a public topic; return what followed from it, in its trace."""
        return sends if self.tracing is None else self.tracing.took_in(record, sends)

    def sent(self, send: Send) -> Send:
        """Return a record as it is to be sent, its `traceparent` naming where it comes from."""
        return send if self.tracing is None else self.tracing.sent(send)

    def run_changed(self, before: RunRow | None, after: RunRow) -> None:
        """Tell of a run's new row."""
        if self.tracing is not None:
            self.tracing.run_changed(before, after)
        if self.metrics is not None:
            self.metrics.run_changed(before, after)

    def node_changed(self, node: NodePlan, before: NodeRow | None, after: NodeRow) -> None:
        """Tell of a node's new row, or an item's."""
        if self.tracing is not None:
            self.tracing.node_changed(node, before, after)
        if self.metrics is not None:
            self.metrics.node_changed(node, before, after)

    def attempt(
        self, node: NodePlan, row: NodeRow, clock: Callable[[], int]
    ) -> AbstractContextManager[tuple[NodeRow, AttemptEnd]]:
        """Go round an attempt; enter to the row as its work is to see it, and where its end is put."""
        now = clock()
        traced = nullcontext((row, AttemptEnd())) if self.tracing is None else self.tracing.attempt(node, row, now)
        return traced if self.metrics is None else _measured(self.metrics, traced, node, row, now)

    def restored(self, seconds: float) -> None:
        """Tell how long a takeover took."""
        if self.metrics is not None:
            self.metrics.restored(seconds)


@contextmanager
def _measured(
    metrics: RunMetrics,
    inside: AbstractContextManager[tuple[NodeRow, AttemptEnd]],
    node: NodePlan,
    row: NodeRow,
    now_ms: int,
) -> Iterator[tuple[NodeRow, AttemptEnd]]:
    metrics.attempt_began(node, row, now_ms)
    record = None
    try:
        with inside as (seen, end):
            yield seen, end
            record = end.record
    finally:
        metrics.attempt_ended(node, record)
