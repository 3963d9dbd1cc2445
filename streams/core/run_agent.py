"""What the run agent decides: it alone says how a run ended, from the winning node records only, and writes its result."""

from __future__ import annotations

from dataclasses import replace

from schemas.records import (
    STATUS_OF,
    TERMINAL_STATUSES,
    AttemptDue,
    AttemptFailed,
    CancelRequested,
    ErrorInfo,
    Failed,
    Finished,
    NodeOutcome,
    NodeRecord,
    RunRecord,
    RunRow,
    RunStatus,
    Started,
    Succeeded,
    Terminal,
)
from streams.core.dead_letter import conflicting_start
from streams.core.limits import MAX_ROW_BYTES, size_of
from streams.core.result import result_record
from streams.core.transition import NOTHING, Transition, send
from topology.plan import WorkflowPlan


def decide(plan: WorkflowPlan, row: RunRow | None, record: RunRecord | NodeRecord) -> Transition:
    """Return what follows for the run from a record of its journal or of a node's."""
    row = row or RunRow(record.run_id)
    match record:
        case Started():
            return _on_started(plan, row, record)
        case _ if row.status != "running":
            return NOTHING  # its result is written; late records change nothing
        case Finished() | AttemptDue() | CancelRequested():
            return NOTHING  # what ends a cancelled run are the `Cancelled` records in the nodes' journals
        case AttemptFailed():
            return _on_attempt_failed(row, record)
        case _:
            return _on_terminal(plan, row, record)


def _on_started(plan: WorkflowPlan, row: RunRow, record: Started) -> Transition:
    if row.source is not None:
        return _on_second_start(plan, row, record)
    row = replace(
        row,
        source=record.source,
        input_hash=record.input_hash,
        plan_hash=record.plan_hash,
        workflow_version=record.workflow_version,
        started_at=record.started_at,
        traceparent=record.traceparent,
    )
    return _finish_if_done(plan, row)


def _on_second_start(plan: WorkflowPlan, row: RunRow, record: Started) -> Transition:
    if record.input_hash == row.input_hash:
        return NOTHING  # the same record again, or the same input again: one run
    first = row.source
    where = f"{first.topic}/{first.partition}/{first.offset}" if first else "an earlier record"
    message = f"run id {row.run_id!r} was started with another input by {where}"
    return Transition(sends=(conflicting_start(plan.topic("dead-letter"), plan.id, record, message),))


def _on_attempt_failed(row: RunRow, record: AttemptFailed) -> Transition:
    known = row.nodes.get(record.node, NodeOutcome())
    if record.epoch != row.epoch or known.status in TERMINAL_STATUSES or record.seq <= known.last_seq:
        return NOTHING
    outcome = replace(
        known,
        attempts=record.attempt,
        last_seq=record.seq,
        error=record.error,
        spent=known.spent + record.spent,
        model=record.model or known.model,
        started_at=record.started_at if known.started_at is None else known.started_at,
    )
    return Transition(row=replace(row, nodes={**row.nodes, record.node: outcome}))


def _on_terminal(plan: WorkflowPlan, row: RunRow, record: Terminal) -> Transition:
    known = row.nodes.get(record.node, NodeOutcome())
    if record.epoch != row.epoch or known.status in TERMINAL_STATUSES:
        return NOTHING
    outcome = _fitting(row, _outcome_of(plan, known, record))
    return _finish_if_done(plan, replace(row, nodes={**row.nodes, record.node: outcome}))


def _outcome_of(plan: WorkflowPlan, known: NodeOutcome, record: Terminal) -> NodeOutcome:
    ended = replace(known, status=STATUS_OF[type(record)], finished_at=record.finished_at)
    match record:
        case Succeeded():
            return replace(
                ended,
                attempts=record.attempt,
                last_seq=record.seq,
                error=None,
                spent=known.spent + record.spent,
                model=record.model,
                started_at=record.started_at if known.started_at is None else known.started_at,
                output=record.output if record.node in plan.sinks else None,
            )
        case Failed():
            return replace(ended, attempts=record.attempt, error=record.error)
        case _:
            return ended


def _fitting(row: RunRow, outcome: NodeOutcome) -> NodeOutcome:
    """Leave an output out of the result that would make it too large to be written; it stays in the node's journal."""
    size = sum(size_of(known.output) for known in row.nodes.values()) + size_of(outcome.output)
    if size <= MAX_ROW_BYTES:
        return outcome
    message = f"the result's outputs have more than {MAX_ROW_BYTES} bytes together: this one is in the journal only"
    return replace(outcome, output=None, error=ErrorInfo("too_large", message, retryable=False))


def _finish_if_done(plan: WorkflowPlan, row: RunRow) -> Transition:
    done = [row.nodes[node.id] for node in plan.nodes if node.id in row.nodes]
    ended = len(done) == len(plan.nodes) and all(outcome.status in TERMINAL_STATUSES for outcome in done)
    if row.source is None or row.status != "running" or not ended:
        return Transition(row=row)
    finished_at = max((o.finished_at for o in done if o.finished_at is not None), default=row.started_at or 0)
    row = replace(row, status=status_of(done), finished_at=finished_at)
    finished = Finished(row.run_id, row.epoch, row.status, finished_at)
    return Transition(
        row=row,
        sends=(result_record(plan, row), send(plan.topic("run"), finished, "run", row.epoch, 0, row.traceparent)),
    )


def status_of(outcomes: list[NodeOutcome]) -> RunStatus:
    """Return how a run ended, a function of its nodes' ends alone, so that every reader comes to the same."""
    ends = {outcome.status for outcome in outcomes}
    if "cancelled" in ends:
        return "cancelled"
    return "failed" if "failed" in ends else "success"
