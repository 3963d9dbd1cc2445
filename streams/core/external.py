"""Work for somebody else's stream app: a request goes out, and the first answer to the attempt that is asked for counts."""

from __future__ import annotations

from typing import Any

import orjson

from schemas import headers as names
from schemas.codec import dumps
from schemas.headers import headers_of, public_headers
from schemas.ids import ce_id
from schemas.quick import replace
from schemas.records import (
    AttemptFailed,
    ErrorInfo,
    Json,
    NodeRow,
    Refused,
    ResultReceived,
    RetryScheduled,
    Spent,
    Succeeded,
    TimedOut,
)
from streams.core.compiled import texts_of
from streams.core.dead_letter import iso
from streams.core.node_context import Context
from streams.core.node_end import close
from streams.core.submissions import submitted
from streams.core.transition import NOTHING, Send, Transition, send

ANSWER = "answer"


def ask(context: Context, row: NodeRow) -> tuple[Send, ...]:
    """Return the request for the row's attempt, and the alarm for an answer that does not come.

    Both are records, written before the row: after a crash they come again with the same ids.
    """
    node, now = context.node, context.moment.now
    due_at = now + node.plan.timeout_ms
    alarm = RetryScheduled(row.run_id, node.plan.id, row.epoch, row.seq, due_at, row.traceparent or "", ANSWER)
    return (
        _request(context, row, due_at),
        send(node.retry_topic, alarm, node.plan.id, row.epoch, row.seq, row.traceparent),
    )


def on_result(context: Context, row: NodeRow, record: ResultReceived) -> Transition:
    """Take the first answer to the attempt that is asked for; say of any other why it does not count."""
    if row.answered_by == record.source:
        return NOTHING  # read again after a crash
    why = _why_not(row, record)
    if why is not None:
        refused = Refused(
            record.run_id, record.node, record.epoch, "result", why, None, record.received_at, record.source
        )
        return Transition(sends=(submitted(context.node.workflow, context.node.plan.topic, refused, row.traceparent),))
    row = replace(row, answered_by=record.source)
    if record.error is None:
        return close(context, row, _succeeded(context, row, record))
    failed = _failed(context, row, record.error, record.received_at)
    return Transition(row=row, sends=(failed,))


def on_timed_out(context: Context, row: NodeRow, record: TimedOut) -> Transition:
    """Give up an attempt that nobody answered in time."""
    if row.status != "running" or record.seq != row.seq or row.answered_by is not None:
        return NOTHING
    message = f"no answer within timeout_ms: {context.node.plan.timeout_ms}"
    error = ErrorInfo("timeout", message, retryable=True)
    return Transition(sends=(_failed(context, row, error, record.due_at),))


def _why_not(row: NodeRow, record: ResultReceived) -> str | None:
    asked = f"attempt {record.attempt} of epoch {record.epoch}"
    if record.epoch != row.epoch:
        return (
            f"epoch {row.epoch} runs: {asked} is over" if record.epoch < row.epoch else f"{asked} was never asked for"
        )
    if row.status in ("success", "failed", "skipped", "cancelled") or row.closing:
        return f"{asked} came too late: the node has ended"
    if record.attempt > row.attempt or row.attempt == 0:
        return f"{asked} was never asked for"
    if record.attempt < row.attempt or row.status != "running":
        return f"{asked} came too late: it timed out or failed before"
    return f"{asked} was answered already" if row.answered_by is not None else None


def _succeeded(context: Context, row: NodeRow, record: ResultReceived) -> Succeeded:
    return Succeeded(
        row.run_id,
        context.node.plan.id,
        row.epoch,
        row.seq,
        row.attempt,
        record.output or Json("{}"),
        Spent(),
        None,
        row.launched_at or record.received_at,
        record.received_at,
    )


def _failed(context: Context, row: NodeRow, error: ErrorInfo, at: int) -> Send:
    """Return the attempt's failure for the journal: read back, it is retried as any other."""
    plan = context.node.plan
    record = AttemptFailed(
        row.run_id, plan.id, row.epoch, row.seq, row.attempt, error, Spent(), None, None, row.launched_at or at, at
    )
    return send(plan.topic, record, plan.id, row.epoch, row.seq, row.traceparent)


def _request(context: Context, row: NodeRow, due_at: int) -> Send:
    node = context.node
    assert node.plan.requests_topic is not None  # noqa: S101 - the compiler's promise
    identity = ce_id(row.run_id, node.plan.id, row.epoch, row.seq, "Request")
    source = f"penstock/{node.workflow}/{node.plan.id}"
    own = public_headers(identity, "Request", source, iso(context.moment.now), row.run_id, row.traceparent)
    content = headers_of({names.CONTENT_TYPE: "application/json"})
    texts = texts_of(node.plan, row)
    body: dict[str, Any] = {
        "run_id": row.run_id,
        "workflow_id": node.workflow,
        "node": node.plan.id,
        "epoch": row.epoch,
        "attempt": row.attempt,
        "idempotency_key": row.idempotency_key,
        "due_at": iso(due_at),
        "inputs": {name: None if text is None else orjson.Fragment(text) for name, text in texts.items()},
    }
    return Send(node.plan.requests_topic, row.run_id.encode(), dumps(body).encode(), own + content)
