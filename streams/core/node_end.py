"""How a node ends: it writes its own end, reads back whichever end came first, and buries what failed."""

from __future__ import annotations

from schemas.quick import replace
from schemas.records import (
    STATUS_OF,
    CallLost,
    ErrorInfo,
    Failed,
    NodeRow,
    Spent,
    Succeeded,
    Terminal,
)
from streams.core.compiled import CompiledNode
from streams.core.dead_letter import node_dead_letter
from streams.core.ledger import launch_key
from streams.core.node_context import Context, stops
from streams.core.transition import Send, Transition, send


def is_ready(node: CompiledNode, row: NodeRow) -> bool:
    """Say whether the run is started and every source terminal."""
    return row.started and all(map(row.gathered.__contains__, node.plan.sources))


def fail(context: Context, row: NodeRow, error: ErrorInfo) -> Transition:
    """End the node without an output: no further attempt will be made."""
    row = replace(row, last_error=error)
    failed = Failed(row.run_id, context.node.plan.id, row.epoch, row.seq, row.attempt, error, context.moment.now)
    return close(context, row, failed)


def close(context: Context, row: NodeRow, record: Terminal) -> Transition:
    """Write the node's own end to its journal; it takes effect when read back as the first, for a result may be ahead of it."""
    plan = context.node.plan
    return Transition(
        row=replace(row, status="waiting", closing=True, incarnation=None, launch=0),
        sends=(send(plan.topic, record, plan.id, row.epoch, row.seq, row.traceparent),),
    )


def on_terminal(context: Context, row: NodeRow, record: Terminal) -> Transition:
    """Take the first end in the node's journal, whoever wrote it."""
    running = row.status == "running"
    if isinstance(record, Succeeded):
        ended = replace(
            row,
            status="success",
            closing=False,
            incarnation=None,
            launch=0,
            finished_at=record.finished_at,
            seq=max(row.seq, record.seq),
            output=record.output,
            spent=row.spent + record.spent,
            model=record.model,
            attempt=record.attempt,
            request_hash=record.request_hash,
            prompt_hash=record.prompt_hash,
        )
        other = running and (row.seq, row.launch) != (record.seq, record.launch)
        return Transition(row=ended, abort=other, sends=lost(context, row) if other else ())
    return _on_other_end(context, row, record)


def _on_other_end(context: Context, row: NodeRow, record: Terminal) -> Transition:
    node, running = context.node, row.status == "running"
    ended = replace(
        row,
        status=STATUS_OF[type(record)],
        closing=False,
        incarnation=None,
        launch=0,
        finished_at=record.finished_at,
        seq=max(row.seq, record.seq),
    )
    at_work = running or row.items is not None
    match record:
        case Failed():
            buries = row.item is None and not stops(record.error)  # an item's failure is its parent's matter
            spent = row.spent + (record.spent or Spent())
            failed = replace(ended, last_error=record.error, attempt=record.attempt, closing=buries, spent=spent)
            buried = failed.closing and is_ready(node, failed)
            found = bury(node, failed) if buried else Transition(row=failed)
            return replace(found, abort=at_work, sends=(*found.sends, *(lost(context, row) if running else ())))
        case _:
            return Transition(row=ended, abort=at_work, sends=lost(context, row) if running else ())


def bury(node: CompiledNode, row: NodeRow) -> Transition:
    """Write the dead letter of a failed row, once all that the node saw is known: after a crash its end may be read first."""
    error = row.last_error or ErrorInfo("internal", "failed", retryable=False)
    record = Failed(row.run_id, node.plan.id, row.epoch, row.seq, row.attempt, error, row.finished_at or 0)
    return Transition(row=replace(row, closing=False), sends=(node_dead_letter(node, row, record),))


def lost(context: Context, row: NodeRow) -> tuple[Send, ...]:
    """Return the record that charges the row's launch in full, if the ledger still holds its reservation.

    It is charged when this is read back, unless the call's own end stands before it.
    """
    plan, ledger = context.node.plan, context.ledger
    charged = ledger.reserved(launch_key(plan.id, row.epoch, row.seq, row.launch)) if ledger else None
    if charged is None:
        return ()
    record = CallLost(row.run_id, plan.id, row.epoch, row.seq, row.launch, charged, context.moment.now)
    return (send(plan.topic, record, f"{plan.id}[{row.launch}]", row.epoch, row.seq, row.traceparent),)
