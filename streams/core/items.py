"""`for_each`: a node's work, item by item. An item has a row, attempts and an end of its own, as a node has; its parent waits for all.

The parent's `ItemStarted` records are the list: written before its row, they come again after a crash. An item sees what its parent
has gathered, and itself. While the parent does not wait for items any more, nothing of theirs has an effect but what it cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.codec import dumps
from schemas.quick import replace
from schemas.records import (
    TERMINAL,
    TERMINAL_STATUSES,
    ErrorInfo,
    Failed,
    ItemStarted,
    Json,
    NodeRecord,
    NodeRow,
    Spent,
    Succeeded,
)
from streams.core import lease
from streams.core.compiled import CompiledNode, inputs_of
from streams.core.limits import size_of
from streams.core.node_attempts import launch
from streams.core.node_context import Context
from streams.core.node_end import close, fail
from streams.core.reuse import answer_again, recorded_in
from streams.core.transition import NOTHING, Send, Transition, send
from topology.expressions import ExpressionError
from topology.items import item_id
from topology.plan import NodePlan
from topology.templates import TemplateError

Decide = Callable[[Context, NodeRow, NodeRecord], Transition]
"""What a node does with a record of its own journal."""

RowOf = Callable[[int], NodeRow | None]
"""The rows of a run's items by index."""


def item_of(node: CompiledNode, index: int) -> CompiledNode:
    """Return an item as a node."""
    return replace(node, plan=plan_of_item(node.plan, index))


def plan_of_item(plan: NodePlan, index: int) -> NodePlan:
    """Return the plan of an item: its node's, but for its id and its table."""
    table = plan.table if plan.for_each is None else plan.for_each.table
    return replace(plan, id=item_id(plan.id, index), table=table, for_each=None)


def fan_out(context: Context, row: NodeRow, inputs: Mapping[str, Any]) -> Transition:
    """Write down every item to be worked on; ExpressionError if there is no list."""
    node = context.node
    assert node.items is not None  # noqa: S101 - the compiler's promise
    assert node.plan.for_each is not None  # noqa: S101 - likewise
    found, most = node.items.evaluate(inputs), node.plan.for_each.max_items
    if not isinstance(found, list):
        message = f"for_each: {node.plan.for_each.items} is {type(found).__name__}, not a list"
        return fail(context, row, ErrorInfo("expression", message, retryable=False))
    if len(found) > most:
        message = f"for_each: {node.plan.for_each.items} has {len(found)} items, max_items is {most}"
        return fail(context, row, ErrorInfo("too_many_items", message, retryable=False))
    now = context.moment.now
    began = replace(row, status="waiting", items=len(found), started_at=row.started_at or now)
    if not found:
        return close(context, began, _succeeded(context, began, dumps({"items": []}), Spent(), 0))
    texts = [dumps(item) for item in found]
    if sum(map(size_of, texts)) > node.limits.row:
        message = f"for_each: the items have more than {node.limits.row} bytes together"
        return fail(context, row, ErrorInfo("too_large", message, retryable=False))
    plan = node.plan
    records = [
        ItemStarted(row.run_id, item_id(plan.id, index), row.epoch, 0, text, now) for index, text in enumerate(texts)
    ]
    sends = tuple(send(plan.topic, record, record.node, row.epoch, 0, row.traceparent) for record in records)
    return Transition(row=began, sends=sends)


def decide_item(
    context: Context, parent: NodeRow | None, row: NodeRow | None, record: NodeRecord, decide: Decide
) -> Transition:
    """Return what follows for an item (the context's node) from a record of its own."""
    if parent is None or not waits(parent, record.epoch):
        if row is not None and row.epoch == record.epoch and isinstance(record, TERMINAL):
            return stripped(
                decide(context, row, record)
            )  # its end is its end, though a crash had the parent's written first
        # Settled, if it was a call; nothing else.
        gone = NodeRow(record.run_id, "cancelled", epoch=record.epoch)
        return replace(decide(context, gone, record), row=None)
    if isinstance(record, ItemStarted):
        if row is not None and row.epoch == record.epoch:
            return NOTHING
        fresh = NodeRow(
            record.run_id,
            epoch=record.epoch,
            started=True,
            traceparent=parent.traceparent,
            item=record.item,
            deadline_at=parent.deadline_at,
            recorded=recorded_in(row, context.node.limits.output),
            reuse=parent.reuse,
        )
        return stripped(_begin(context, seen_by(parent, fresh)))
    if row is None or row.epoch != record.epoch:
        return NOTHING  # its start is read again first
    return stripped(decide(context, seen_by(parent, row), record))


def _begin(context: Context, row: NodeRow) -> Transition:
    """Set an item to work: it takes what a model has answered to the very same, and asks for its key first if its work is done once per key."""
    answered = _answered(context, row) if row.reuse else None
    if answered is not None:
        return answered
    if context.node.plan.lease is None:
        return launch(context, row)
    inputs = inputs_of(context.node.plan, row)
    try:
        key = lease.key_of(context.node, inputs)
    except ExpressionError as error:
        return fail(context, row, ErrorInfo("expression", str(error), retryable=False))
    return lease.ask(context, replace(row, idempotency_key=key), inputs)


def _answered(context: Context, row: NodeRow) -> Transition | None:
    try:
        return answer_again(context, row, inputs_of(context.node.plan, row))
    except TemplateError:
        return None  # the attempt will say so


def leases_given_up(context: Context, parent: NodeRow, row_of: RowOf) -> tuple[Send, ...]:
    """Return what gives back the keys that items of an ended node still hold: others wait for them, and nobody ends these."""
    found = []
    for index in range(parent.items or 0):
        row = row_of(index)
        if row is not None and row.lease == "held" and not _has_ended(row, parent.epoch):
            found.append(lease.withdrawn(replace(context, node=item_of(context.node, index)), row))
    return tuple(found)


def seen_by(parent: NodeRow, row: NodeRow) -> NodeRow:
    """Return an item's row with what it sees: held once, by its parent."""
    return replace(row, gathered=parent.gathered, edits=parent.edits, plan_hash=parent.plan_hash)


def waits(parent: NodeRow, epoch: int) -> bool:
    """Say whether a node waits for its items in `epoch`."""
    return parent.items is not None and parent.status == "waiting" and not parent.closing and parent.epoch == epoch


def stripped(found: Transition) -> Transition:
    """Return what is to be stored: without what the item sees of its parent."""
    if not isinstance(found.row, NodeRow):
        return found
    return replace(found, row=replace(found.row, gathered={}, edits=(), plan_hash=None))


# ---- the end --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gathering:
    """What follows for the parent, and the lowest item that has not ended: where the next look may begin."""

    transition: Transition
    lowest: int


def gather(context: Context, parent: NodeRow, row_of: RowOf, ended: int, lowest: int = 0) -> Gathering:
    """Return what follows for the parent once item `ended` has ended; the items below `lowest` have."""
    plan = context.node.plan
    assert plan.for_each is not None  # noqa: S101 - nothing else has items
    if not waits(parent, parent.epoch):
        return Gathering(NOTHING, lowest)
    total = parent.items or 0
    last = row_of(ended)
    if plan.for_each.on_item_error == "fail" and last is not None and last.status == "failed":
        return Gathering(_fail(context, parent, ended, last, row_of), lowest)
    while lowest < total and _has_ended(row_of(lowest), parent.epoch):
        lowest += 1
    if lowest < total:
        return Gathering(NOTHING, lowest)
    rows = [row for index in range(total) if (row := row_of(index)) is not None]
    output = _output(rows, keep_errors=plan.for_each.on_item_error == "keep_error")
    most = context.node.limits.output
    if size_of(output) > most:
        message = f"the items' outputs have {size_of(output)} bytes together, {most} are allowed"
        error = ErrorInfo("too_large", message, retryable=False)
        return Gathering(_failed(context, parent, error, rows), lowest)
    end = _succeeded(context, parent, output, _spent(rows), sum(row.attempt for row in rows))
    reused = bool(rows) and all(row.status == "success" and row.attempt == 0 for row in rows)
    return Gathering(close(context, parent, replace(end, reused=reused)), lowest)


def _has_ended(row: NodeRow | None, epoch: int) -> bool:
    return row is not None and row.epoch == epoch and row.status in TERMINAL_STATUSES


def _output(rows: list[NodeRow], keep_errors: bool) -> Json:
    """Return the outputs in order; what failed is left out, or stands there as its error."""
    found: list[str] = []
    for row in rows:
        if row.status == "success":
            found.append(row.output or "null")  # as it was written: a claim is one by its blank
        elif keep_errors:
            error = row.last_error
            kind, message = (error.kind, error.message) if error else (row.status, "")
            found.append(dumps({"error": {"kind": kind, "message": message}}))
    return Json(f'{{"items":[{",".join(found)}]}}')


def _succeeded(context: Context, row: NodeRow, output: Json, spent: Spent, attempts: int) -> Succeeded:
    now = context.moment.now
    began = row.started_at if row.started_at is not None else now
    return Succeeded(row.run_id, context.node.plan.id, row.epoch, row.seq, attempts, output, spent, None, began, now)


def _fail(context: Context, parent: NodeRow, index: int, failed: NodeRow, row_of: RowOf) -> Transition:
    error = failed.last_error or ErrorInfo("internal", "failed", retryable=False)
    said = replace(error, message=f"item {index}: {error.message}", retryable=False, retry_after_ms=None)
    rows = [row for i in range(parent.items or 0) if (row := row_of(i)) is not None and row.epoch == parent.epoch]
    return _failed(context, parent, said, rows)


def _failed(context: Context, parent: NodeRow, error: ErrorInfo, rows: list[NodeRow]) -> Transition:
    attempts, now = sum(row.attempt for row in rows), context.moment.now
    end = Failed(parent.run_id, context.node.plan.id, parent.epoch, parent.seq, attempts, error, now, _spent(rows))
    return close(context, replace(parent, last_error=error, attempt=attempts), end)


def _spent(rows: list[NodeRow]) -> Spent:
    return sum((row.spent for row in rows), Spent())
