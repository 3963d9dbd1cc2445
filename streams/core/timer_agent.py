"""What the timer agent decides: a scheduled retry becomes a row, and a row that is due becomes `AttemptDue`."""

from __future__ import annotations

from schemas.records import AttemptDue, RetryScheduled, RunRow, TimedOut, TimerRow
from streams.core.transition import NOTHING, Transition, send
from topology.plan import WorkflowPlan

RETRY = "retry"
DEADLINE = "deadline"
RUN = "run"
"""What stands for the node in a timer of the run's; no node may be called so."""


def timer_key(run_id: str, node: str, epoch: int, seq: int, kind: str) -> str:
    """Return the key of a timer's row: one per (run, node, epoch, seq, kind)."""
    return f"{run_id}/{node}/{epoch}/{seq}/{kind}"


def key_of(row: TimerRow) -> str:
    """Return the key of a timer's row."""
    return timer_key(row.run_id, row.node, row.epoch, row.seq, row.kind)


def schedule(row: TimerRow | None, record: RetryScheduled) -> Transition:
    """Return the timer's row; a repeat of the record changes nothing."""
    if row is not None:
        return NOTHING
    due = TimerRow(record.run_id, record.node, record.epoch, record.seq, record.kind, record.due_at, record.traceparent)
    return Transition(row=due)


def fire(row: TimerRow, journal: str) -> Transition:
    """Return `AttemptDue`, or `TimedOut`, for the node's journal; the row goes once that is acknowledged."""
    due: AttemptDue | TimedOut = AttemptDue(row.run_id, row.node, row.epoch, row.seq, row.due_at)
    if row.kind != RETRY:
        due = TimedOut(row.run_id, row.node, row.epoch, row.seq, row.kind, row.due_at)
    return Transition(delete=True, sends=(send(journal, due, row.node, row.epoch, row.seq, row.traceparent),))


def deadline_timer(plan: WorkflowPlan, row: RunRow, began_at: int) -> tuple[TimerRow, ...]:
    """Return the timer of the deadline of the run's epoch, if the workflow has one."""
    if plan.deadline_ms is None:
        return ()
    due_at = began_at + plan.deadline_ms
    return (TimerRow(row.run_id, RUN, row.epoch, 0, DEADLINE, due_at, row.traceparent or ""),)


def deadline_key(row: RunRow) -> str:
    """Return the key of that timer."""
    return timer_key(row.run_id, RUN, row.epoch, 0, DEADLINE)
