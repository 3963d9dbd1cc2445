"""Runs as JSON objects, in the shape and words of a result."""

from __future__ import annotations

from typing import Any

from penstock.client.runs import RunState
from schemas.claims import value_of
from schemas.records import TERMINAL_STATUSES, NodeOutcome, NodeRow, NodeStatus, RunRow, Spent
from streams.core.dead_letter import iso
from streams.core.result import usage_of


def summary_of(state: RunState) -> dict[str, Any]:
    """Return a line of `runs list`."""
    row = state.row
    spent = spent_of(row)
    return {
        "run_id": row.run_id,
        "workflow_id": state.workflow.id,
        "workflow_version": row.workflow_version,
        "epoch": row.epoch,
        "status": row.status,
        "started_at": _iso(row.started_at),
        "finished_at": _iso(row.finished_at),
        "duration_ms": duration_of(row),
        "usage": usage_of(spent),
        "cost_usd": spent.cost_usd,
    }


def detail_of(state: RunState) -> dict[str, Any]:
    """Return what `runs show` prints. Nodes stand in the order in which they started."""
    row = state.row
    nodes = {node: _node(row.nodes.get(node), state.nodes.get(node)) for node in _node_ids(state)}
    return summary_of(state) | {"input_hash": row.input_hash, "plan_hash": row.plan_hash, "nodes": nodes}


def _node_ids(state: RunState) -> list[str]:
    ids = {*state.workflow.nodes, *state.row.nodes}
    return sorted(ids, key=lambda node: (_started(state, node) or _NEVER, node))


_NEVER = 1 << 62


def _started(state: RunState, node: str) -> int | None:
    row, outcome = state.nodes.get(node), state.row.nodes.get(node)
    return (row.started_at if row else None) or (outcome.started_at if outcome else None)


def _node(outcome: NodeOutcome | None, row: NodeRow | None) -> dict[str, Any]:
    """Join what the run knows of a node (it has the last word on how it ended) with the node's own row."""
    outcome, row = outcome or NodeOutcome(), row or NodeRow("")
    status = status_of(outcome.status, outcome.epoch, row.status, row.epoch)
    ended = status in TERMINAL_STATUSES
    error = outcome.error if ended else row.last_error or outcome.error
    output = row.output if row.output is not None else outcome.output
    return {
        "status": status,
        "epoch": max(outcome.epoch, row.epoch),
        "attempts": max(row.attempt, outcome.attempts),
        "error": None if error is None else {"kind": error.kind, "message": error.message},
        "input_hash": row.input_hash,
        "started_at": _iso(outcome.started_at or row.started_at),
        "finished_at": _iso(outcome.finished_at or row.finished_at),
        "usage": usage_of(outcome.spent),
        "cost_usd": outcome.spent.cost_usd,
        "model": outcome.model or row.model,
        "idempotency_key": row.idempotency_key,
        "output": None if output is None else value_of(output),
    }


def status_of(outcome: NodeStatus, outcome_epoch: int, own: NodeStatus, own_epoch: int) -> NodeStatus:
    """Return how a node stands: by the later epoch; within one the run has the last word on how it ended, the node's own row on the rest."""
    if own_epoch != outcome_epoch:
        return own if own_epoch > outcome_epoch else outcome
    return outcome if outcome in TERMINAL_STATUSES else own


def _iso(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)


def spent_of(row: RunRow) -> Spent:
    """Return what all nodes of a run used."""
    return sum((outcome.spent for outcome in row.nodes.values()), Spent())


def duration_of(row: RunRow) -> int | None:
    """Return how many milliseconds the run's last epoch took, None while it runs."""
    began = row.started_at if row.epoch_started_at is None else row.epoch_started_at
    return None if row.finished_at is None or began is None else row.finished_at - began
