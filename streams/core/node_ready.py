"""Whether a node runs: once the run is started and every source terminal, by its `join` and its `when`."""

from __future__ import annotations

import hashlib

from schemas.quick import replace
from schemas.records import ErrorInfo, Gathered, NodeRow, Skipped
from streams.core.compiled import inputs_of
from streams.core.lease import key_of
from streams.core.node_begin import begin
from streams.core.node_context import Context
from streams.core.node_end import bury, close, fail, is_ready
from streams.core.transition import Transition
from topology.expressions import ExpressionError
from topology.templates import TemplateError


def resolve(context: Context, row: NodeRow) -> Transition:
    """Store the row and, once everything it waits for is there, let the node run or not."""
    node = context.node
    if not is_ready(node, row):
        return Transition(row=row)
    if row.status == "failed" and row.closing:
        return bury(node, row)
    if row.status != "pending" or row.kept:
        return Transition(row=row)
    if row.last_error is not None:
        return fail(context, row, row.last_error)
    reason, stopped = _join_refuses(context, row)
    if reason is not None:
        return _skip(context, row, reason, stopped)
    try:
        inputs = inputs_of(node.plan, row) if node.evaluates or row.reuse else {}
        if node.when is not None and not node.when.evaluate(inputs):
            return _skip(context, row, f"when: {node.plan.when} is false", False)
        key = None if node.plan.for_each else key_of(node, inputs)  # an item has a key of its own
        return begin(context, replace(row, idempotency_key=key, input_hash=_hash_of(row)), inputs)
    except ExpressionError as error:
        return fail(context, row, ErrorInfo("expression", str(error), retryable=False))
    except TemplateError as error:
        return fail(context, row, ErrorInfo("template", str(error), retryable=False))


def _skip(context: Context, row: NodeRow, reason: str, stopped: bool) -> Transition:
    node, now = context.node.plan.id, context.moment.now
    return close(context, row, Skipped(row.run_id, node, row.epoch, row.seq, reason, now, stopped))


def _succeeded(got: Gathered) -> bool:
    return got.status == "success" and not got.stopped


def _join_refuses(context: Context, row: NodeRow) -> tuple[str | None, bool]:
    """Return why the node's `join` keeps it from running, None if it does not, and whether the run was stopped above it."""
    plan = context.node.plan
    if all(map(_succeeded, map(row.gathered.__getitem__, plan.dependencies))):
        return None, False
    ended = [(dependency, row.gathered[dependency]) for dependency in plan.dependencies]
    stopped = [dependency for dependency, got in ended if got.stopped]
    if stopped:
        return f"stopped: {', '.join(stopped)}", True
    bad = [f"{dependency} {got.status}" for dependency, got in ended if got.status != "success"]
    cancelled = any(got.status == "cancelled" for _, got in ended)
    match plan.join:
        case "all_success" if bad:
            return f"join all_success: {', '.join(bad)}", False
        case "any_success" if ended and len(bad) == len(ended):
            return f"join any_success: {', '.join(bad)}", False
        case "all_done" if cancelled:
            return f"cancelled: {', '.join(bad)}", False
        case _:
            return None, False


def _hash_of(row: NodeRow) -> str:
    """Return the SHA-256 over what the node was given: its input hash, for audit and for reuse."""
    digest = hashlib.sha256()
    for name in sorted(row.gathered):
        got = row.gathered[name]
        digest.update(f"{name}\0{got.status}\0{got.output or ''}\0".encode())
    for edit in row.edits:
        digest.update(f"edit\0{edit}\0".encode())
    return digest.hexdigest()
