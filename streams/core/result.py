"""The result of a run, as the output topic and the command line show it."""

from __future__ import annotations

from typing import Any

from orjson import Fragment

from schemas import headers as names
from schemas.codec import dumps
from schemas.headers import headers_of, public_headers
from schemas.ids import ce_id
from schemas.records import NodeOutcome, RunRow, Spent
from streams.core.avro_result import as_avro
from streams.core.dead_letter import iso
from streams.core.transition import Send
from topology.plan import WorkflowPlan


def result_record(plan: WorkflowPlan, row: RunRow) -> Send:
    """Return the run's result for `{wf}.output`: JSON, keyed by the run, one per (run, epoch)."""
    own = public_headers(
        ce_id(row.run_id, "run", row.epoch, 0, "Result"),
        "Result",
        f"penstock/{plan.id}",
        iso(row.finished_at or 0),
        row.run_id,
        row.traceparent,
    )
    text, avro = dumps(result_of(plan, row)), plan.output_format == "avro"
    content = headers_of({names.CONTENT_TYPE: "application/avro" if avro else "application/json"})
    value = as_avro(plan, text) if avro else text.encode()
    return Send(plan.topic("output"), row.run_id.encode(), value, own + content)


def result_of(plan: WorkflowPlan, row: RunRow) -> dict[str, Any]:
    """Return the result, to be written as JSON; `cost_usd` is None where the price of a call made is not known."""
    outcomes = {node.id: row.nodes.get(node.id, NodeOutcome()) for node in plan.foreground}
    started_at = row.started_at if row.epoch_started_at is None else row.epoch_started_at
    spent = sum((outcome.spent for outcome in outcomes.values()), Spent())
    heads = {node: outcome.chain for node, outcome in outcomes.items() if outcome.chain is not None}
    return {
        "run_id": row.run_id,
        "workflow_id": plan.id,
        "workflow_version": row.workflow_version,
        "epoch": row.epoch,
        "status": row.status,
        # As they were written: parsing and writing again would cost time, and fail where they are nested deeply.
        "outputs": {sink: Fragment(out) for sink in plan.sinks if (out := outcomes[sink].output) is not None},
        "usage": usage_of(spent),
        "cost_usd": spent.cost_usd,
        "started_at": iso(started_at or 0),
        "finished_at": iso(row.finished_at or 0),
        "duration_ms": max(0, (row.finished_at or 0) - (started_at or 0)),  # a cancel may be older than its run
        "nodes": {node: node_of(outcome, row.epoch) for node, outcome in outcomes.items()},
        **({"audit": heads} if heads else {}),
    }


def node_of(outcome: NodeOutcome, epoch: int) -> dict[str, Any]:
    """Return one node's part of the result of `epoch`; its usage is of all epochs."""
    error = outcome.error
    return {
        "status": outcome.status,
        "attempts": outcome.attempts,
        "error": None if error is None else {"kind": error.kind, "message": error.message},
        "started_at": None if outcome.started_at is None else iso(outcome.started_at),
        "finished_at": None if outcome.finished_at is None else iso(outcome.finished_at),
        "usage": usage_of(outcome.spent),
        "cost_usd": outcome.spent.cost_usd,
        "model": outcome.model,
        "reused": outcome.reused or outcome.epoch < epoch,
    }


def usage_of(spent: Spent) -> dict[str, int]:
    """Return token counts as the result shows them."""
    return {
        "prompt_tokens": spent.prompt_tokens,
        "completion_tokens": spent.completion_tokens,
        "total_tokens": spent.prompt_tokens + spent.completion_tokens,
    }
