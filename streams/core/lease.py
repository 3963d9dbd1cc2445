"""A node that asks before it works: its work is done once per key, by it or by another run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas import headers as names
from schemas.headers import headers_of
from schemas.ids import ce_id, content_hash
from schemas.quick import replace
from schemas.records import (
    TERMINAL_STATUSES,
    ErrorInfo,
    Failed,
    Json,
    LeaseGranted,
    LeaseRecord,
    LeaseRequested,
    LeaseReturned,
    NodeRow,
    Succeeded,
    Terminal,
)
from streams.core.compiled import CompiledNode
from streams.core.limits import MAX_KEY
from streams.core.node_attempts import launch
from streams.core.node_context import Context
from streams.core.transition import NOTHING, Send, Transition
from topology.expressions import ExpressionError

OF_THE_RUN = frozenset({"budget", "template", "expression", "too_large", "deadline", "internal"})
"""Failures that say nothing of the work itself: another run may well do it."""


def key_of(node: CompiledNode, inputs: Mapping[str, Any]) -> str | None:
    """Return the idempotency key of the work on `inputs`, None if the node has none; ExpressionError if it cannot be evaluated."""
    if node.idempotency_key is None:
        return None
    key = node.idempotency_key.evaluate(inputs)
    if len(key) > MAX_KEY:
        raise ExpressionError(f"the idempotency key has {len(key)} characters, {MAX_KEY} are allowed")
    return key


def record_key(context: Context, key: str) -> str:
    """Return what stands for a key of work in the keys of records, and in the lease's records."""
    if not context.node.hides_keys or context.node.plan.router is not None:  # a router's is a hash already
        return key
    return content_hash([context.node.workflow, context.node.plan.id.partition("[")[0], key])


def ask(context: Context, row: NodeRow, inputs: Mapping[str, Any]) -> Transition:
    """Ask for the row's key; TemplateError if a router's prompt does not render."""
    key = row.idempotency_key if context.node.plan.router is None else _question(context, inputs)
    assert key is not None  # noqa: S101 - a node with a lease has a key
    wanted = LeaseRequested(
        record_key(context, key), row.run_id, context.node.plan.id, row.epoch, context.moment.now, row.traceparent or ""
    )
    waiting = replace(row, status="waiting", lease="asked", idempotency_key=key)
    return Transition(row=waiting, sends=(_to_key(context, row, wanted),))


def on_granted(context: Context, row: NodeRow, record: LeaseGranted) -> Transition:
    """Do the work, or give it to the next one if it is not wanted any more."""
    current = record.epoch == row.epoch and row.status not in TERMINAL_STATUSES and not row.closing
    if current and row.lease == "asked":
        return launch(context, replace(row, lease="held"))
    if current:
        return NOTHING  # held already; or not asked yet, since a crash lost the row: it asks again
    return Transition(sends=(give_up(context, row, record),))


def give_up(context: Context, row: NodeRow, record: LeaseGranted) -> Send:
    """Return what lets the next one try."""
    returned = LeaseReturned(record.key, record.run_id, record.node, record.epoch, None, None, context.moment.now)
    return _to_key(context, row, returned)


def withdrawn(context: Context, row: NodeRow) -> Send:
    """Return what lets the next one try, for a node that holds its lease and is not waited for any more."""
    key = record_key(context, row.idempotency_key or "")
    return give_up(context, row, LeaseGranted(row.run_id, context.node.plan.id, row.epoch, key, 0))


def returned(context: Context, row: NodeRow, end: Terminal) -> tuple[Send, ...]:
    """Return what tells the others of the end of a node that held a lease."""
    if row.lease != "held" or row.idempotency_key is None:
        return ()
    output: Json | None = None
    error: ErrorInfo | None = None
    match end:
        case Succeeded():
            output = end.output
        case Failed() if end.error.kind not in OF_THE_RUN:
            error = end.error
    key = record_key(context, row.idempotency_key)
    record = LeaseReturned(key, row.run_id, end.node, row.epoch, output, error, end.finished_at)
    return (_to_key(context, row, record),)


def _question(context: Context, inputs: Mapping[str, Any]) -> str:
    """Return the hash of all that a router's decision follows from."""
    plan, prompt = context.node.plan, context.node.prompt
    assert plan.llm is not None  # noqa: S101 - a router with a cache has a model
    assert prompt is not None  # noqa: S101 - and so a prompt
    return content_hash([plan.llm.models, prompt.messages(inputs, None), plan.llm.output_schema])


def _to_key(context: Context, row: NodeRow, record: LeaseRecord) -> Send:
    """Return a record for the key's topic."""
    lease = context.node.plan.lease
    assert lease is not None  # noqa: S101 - the compiler's promise
    kind = type(record).__name__
    headers = {
        names.CE_ID: ce_id(record.run_id, record.node, record.epoch, 0, kind),
        names.CE_TYPE: kind,
        names.TRACEPARENT: row.traceparent,
    }
    return Send(lease.topic, record.key.encode(), record, headers_of(headers))
