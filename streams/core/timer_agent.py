"""What the timer agent decides: a scheduled retry becomes a row, and a row that is due becomes `AttemptDue`."""

from __future__ import annotations

from schemas.records import AttemptDue, RetryScheduled, TimerRow
from streams.core.transition import NOTHING, Transition, send

RETRY = "retry"


def timer_key(run_id: str, node: str, epoch: int, seq: int, kind: str) -> str:
    """Return the key of a timer's row: one per (run, node, epoch, seq, kind)."""
    return f"{run_id}/{node}/{epoch}/{seq}/{kind}"


def schedule(row: TimerRow | None, record: RetryScheduled) -> Transition:
    """Return the timer's row; a repeat of the record changes nothing."""
    if row is not None:
        return NOTHING
    due = TimerRow(record.run_id, record.node, record.epoch, record.seq, RETRY, record.due_at, record.traceparent)
    return Transition(row=due)


def fire(row: TimerRow, journal: str) -> Transition:
    """Return `AttemptDue` for the node's journal; the row goes once that is acknowledged."""
    due = AttemptDue(row.run_id, row.node, row.epoch, row.seq, row.due_at)
    return Transition(delete=True, sends=(send(journal, due, row.node, row.epoch, row.seq, row.traceparent),))
