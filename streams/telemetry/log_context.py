"""Which attempt a log line belongs to: set once per attempt, read only when something is logged."""

from __future__ import annotations

from contextvars import ContextVar

import structlog
from structlog.typing import EventDict, WrappedLogger

from schemas.records import AttemptDeferred, AttemptFailed, NodeRow, Record
from schemas.trace import parse_traceparent
from topology.plan import NodePlan

log = structlog.get_logger(__name__)

_current: ContextVar[tuple[str, str, NodeRow] | None] = ContextVar("penstock_attempt", default=None)


def set_attempt(workflow: str, node: str, row: NodeRow) -> None:
    """Say which attempt the current asyncio task makes; what it starts inherits it."""
    _current.set((workflow, node, row))


def add_attempt(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add run_id, node, attempt, epoch and trace_id to a line of a run (a structlog processor)."""
    current = _current.get()
    if current is None:
        return event
    return {**event, **{name: value for name, value in of_row(*current).items() if name not in event}}


def say_of_attempt(plan: NodePlan, record: Record | bytes | None) -> None:
    """Log an attempt that failed or was deferred. What a model's fault was is told by its kind: the message may quote an answer."""
    match record:
        case AttemptFailed():
            why = record.error.message if plan.llm is None else None
            told = {} if why is None else {"why": why}
            log.info("attempt failed", error=record.error.kind, retryable=record.error.retryable, **told)
        case AttemptDeferred():
            log.debug("attempt deferred", reason=record.reason, model=record.model, due_at=record.due_at)


def of_row(workflow: str, node: str, row: NodeRow) -> dict[str, str | int]:
    """Return what every line of a run carries."""
    return {
        "workflow": workflow,
        "run_id": row.run_id,
        "node": node,
        "attempt": row.attempt,
        "epoch": row.epoch,
        **trace_id_of(row.traceparent),
    }


def trace_id_of(traceparent: str | None) -> dict[str, str]:
    """Return `trace_id`, if there is one."""
    found = parse_traceparent(traceparent)
    return {} if found is None else {"trace_id": found.trace_id}
