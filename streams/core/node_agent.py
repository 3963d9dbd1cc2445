"""What a node's agent decides on one record: the node's state machine (docs/state-machine.md), pure."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from schemas.records import (
    STATUS_OF,
    TERMINAL,
    TERMINAL_STATUSES,
    AttemptDue,
    AttemptFailed,
    ErrorInfo,
    Failed,
    Gathered,
    NodeRecord,
    NodeRow,
    RetryScheduled,
    RunRecord,
    Skipped,
    Started,
    Succeeded,
    Terminal,
)
from streams.core.compiled import CompiledNode, inputs_of
from streams.core.dead_letter import node_dead_letter
from streams.core.limits import MAX_KEY, MAX_ROW_BYTES, size_of
from streams.core.retry import next_due
from streams.core.transition import NOTHING, Moment, Transition, send
from topology.expressions import ExpressionError
from topology.plan import INPUT


def decide(node: CompiledNode, row: NodeRow | None, record: RunRecord | NodeRecord, moment: Moment) -> Transition:
    """Return what follows for `node` from a record of the run's journal, of a source's, or of its own."""
    row = row or NodeRow(record.run_id)
    if isinstance(record, Started):
        return _on_started(node, row, record, moment)
    if not isinstance(record, (*TERMINAL, AttemptFailed, AttemptDue)):
        return NOTHING  # Finished, CancelRequested: the run agent's
    if record.epoch != row.epoch:
        return NOTHING  # only epoch 0 is ever opened so far; one that was not opened never counts
    if record.node != node.plan.id:
        return _on_source(node, row, record, moment) if isinstance(record, TERMINAL) else NOTHING
    return _on_own(node, row, record, moment)


def _on_started(node: CompiledNode, row: NodeRow, record: Started, moment: Moment) -> Transition:
    if row.started:
        return NOTHING  # the first Started of a run counts; the run agent answers for another one
    row = replace(row, started=True, traceparent=record.traceparent)
    if node.plan.reads_input:
        row = _gather(row, INPUT, Gathered("success", record.input))
    return _resolve(node, row, moment)


def _on_source(node: CompiledNode, row: NodeRow, record: Terminal, moment: Moment) -> Transition:
    if record.node in row.gathered:
        return NOTHING  # the first terminal record counts
    output = record.output if isinstance(record, Succeeded) and record.node in node.plan.reads else None
    return _resolve(node, _gather(row, record.node, Gathered(STATUS_OF[type(record)], output)), moment)


def _gather(row: NodeRow, name: str, got: Gathered) -> NodeRow:
    """Add one source; what would make the row too large to be written is left out, and the node fails for it once ready."""
    size = sum(size_of(known.output) for known in row.gathered.values()) + size_of(got.output)
    if size > MAX_ROW_BYTES:
        message = f"the inputs have more than {MAX_ROW_BYTES} bytes together, {name!r} is too much"
        row = replace(row, last_error=ErrorInfo("too_large", message, retryable=False))
        got = replace(got, output=None)
    return replace(row, gathered={**row.gathered, name: got})


def _on_own(node: CompiledNode, row: NodeRow, record: NodeRecord, moment: Moment) -> Transition:
    if row.status in TERMINAL_STATUSES:
        return NOTHING
    match record:
        case AttemptFailed():
            return _on_attempt_failed(node, row, record, moment)
        case AttemptDue():
            if row.status != "waiting" or row.closing or record.seq != row.seq:
                return NOTHING
            return _launch(node, row, moment)
        case _:
            return _on_terminal(node, row, record)


def _resolve(node: CompiledNode, row: NodeRow, moment: Moment) -> Transition:
    """Store the row and, once the run is started and every source is terminal, let the node run or not."""
    if not _is_ready(node, row):
        return Transition(row=row)
    if row.status == "failed" and row.closing:
        return _bury(node, row)
    if row.status != "pending":
        return Transition(row=row)
    if row.last_error is not None:
        return _fail(node, row, row.last_error, moment)
    reason = _join_refuses(node, row)
    if reason is not None:
        return _close(node, row, Skipped(row.run_id, node.plan.id, row.epoch, row.seq, reason, moment.now))
    try:
        inputs = inputs_of(node.plan, row.gathered) if node.when or node.idempotency_key else {}
        if node.when is not None and not node.when.evaluate(inputs):
            reason = f"when: {node.plan.when} is false"
            return _close(node, row, Skipped(row.run_id, node.plan.id, row.epoch, row.seq, reason, moment.now))
        key = node.idempotency_key.evaluate(inputs) if node.idempotency_key else None
        if key is not None and len(key) > MAX_KEY:
            raise ExpressionError(f"the idempotency key has {len(key)} characters, {MAX_KEY} are allowed")
    except ExpressionError as error:
        return _fail(node, row, ErrorInfo("expression", str(error), retryable=False), moment)
    return _launch(node, replace(row, idempotency_key=key, input_hash=_hash_of(row)), moment)


def _is_ready(node: CompiledNode, row: NodeRow) -> bool:
    return row.started and all(source in row.gathered for source in node.plan.sources)


def _join_refuses(node: CompiledNode, row: NodeRow) -> str | None:
    """Return why the node's `join` keeps it from running, None if it does not."""
    ended = [(dependency, row.gathered[dependency].status) for dependency in node.plan.dependencies]
    bad = [f"{dependency} {status}" for dependency, status in ended if status != "success"]
    cancelled = any(status == "cancelled" for _, status in ended)
    match node.plan.join:
        case "all_success" if bad:
            return f"join all_success: {', '.join(bad)}"
        case "any_success" if ended and len(bad) == len(ended):
            return f"join any_success: {', '.join(bad)}"
        case "all_done" if cancelled:
            return f"cancelled: {', '.join(bad)}"
        case _:
            return None


def _launch(node: CompiledNode, row: NodeRow, moment: Moment) -> Transition:
    running = replace(
        row,
        status="running",
        seq=row.seq + 1,
        attempt=row.attempt + 1,
        incarnation=moment.incarnation,
        launched_at=moment.now,
        started_at=moment.now if row.started_at is None else row.started_at,
    )
    return Transition(row=running, launch=True)


def _on_attempt_failed(node: CompiledNode, row: NodeRow, record: AttemptFailed, moment: Moment) -> Transition:
    if row.status != "running" or record.seq != row.seq:
        return NOTHING  # a repeat of an attempt that was already answered
    row = replace(row, last_error=record.error, spent=row.spent + record.spent, model=record.model or row.model)
    due_at = next_due(node.plan.retry, record.attempt, record.error, moment.now, moment.jitter)
    if due_at is None:
        return _fail(node, row, record.error, moment)
    scheduled = RetryScheduled(row.run_id, node.plan.id, row.epoch, row.seq, due_at, row.traceparent or "")
    return Transition(
        row=replace(row, status="waiting", incarnation=None),
        sends=(send(node.retry_topic, scheduled, node.plan.id, row.epoch, row.seq, row.traceparent),),
    )


def _fail(node: CompiledNode, row: NodeRow, error: ErrorInfo, moment: Moment) -> Transition:
    row = replace(row, last_error=error)
    failed = Failed(row.run_id, node.plan.id, row.epoch, row.seq, row.attempt, error, moment.now)
    return _close(node, row, failed)


def _close(node: CompiledNode, row: NodeRow, record: Failed | Skipped) -> Transition:
    """Write the node's own end to its journal; it takes effect when read back as the first, for a result may be ahead of it."""
    return Transition(
        row=replace(row, status="waiting", closing=True, incarnation=None),
        sends=(send(node.plan.topic, record, node.plan.id, row.epoch, row.seq, row.traceparent),),
    )


def _on_terminal(node: CompiledNode, row: NodeRow, record: Terminal) -> Transition:
    ended = replace(
        row,
        status=STATUS_OF[type(record)],
        closing=False,
        incarnation=None,
        finished_at=record.finished_at,
        seq=max(row.seq, record.seq),
    )
    match record:
        case Succeeded():
            spent = row.spent + record.spent
            ended = replace(ended, output=record.output, spent=spent, model=record.model, attempt=record.attempt)
            return Transition(row=ended, abort=row.status == "running" and row.seq != record.seq)
        case Failed():
            failed = replace(ended, last_error=record.error, attempt=record.attempt, closing=True)
            found = _bury(node, failed) if _is_ready(node, failed) else Transition(row=failed)
            return replace(found, abort=row.status == "running")
        case _:
            return Transition(row=ended, abort=row.status == "running")


def _bury(node: CompiledNode, row: NodeRow) -> Transition:
    """Write the dead letter of a failed row, once all that the node saw is known: after a crash its end may be read first."""
    error = row.last_error or ErrorInfo("internal", "failed", retryable=False)
    record = Failed(row.run_id, node.plan.id, row.epoch, row.seq, row.attempt, error, row.finished_at or 0)
    return Transition(row=replace(row, closing=False), sends=(node_dead_letter(node, row, record),))


def _hash_of(row: NodeRow) -> str:
    """Return the SHA-256 over what the node was given: its input hash, for audit and for reuse."""
    digest = hashlib.sha256()
    for name in sorted(row.gathered):
        got = row.gathered[name]
        digest.update(f"{name}\0{got.status}\0{got.output or ''}\0".encode())
    return digest.hexdigest()
