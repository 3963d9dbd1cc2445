"""One run with all that is recorded of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, cast

from penstock.client.errors import AmbiguousRun, UnknownRun
from penstock.client.runs import RunState
from penstock.client.views import detail_of
from penstock.console.api import shapes
from penstock.console.queries.history import calls_of, history_of
from penstock.console.queries.plans import current_plan, plan_called, prompt_of
from penstock.console.queries.runs import summary_values
from penstock.console.queries.structure import dag_of, workflow_of
from schemas.claims import value_of
from schemas.codec import decode, loads
from schemas.records import LedgerRow, NodeRow, Record, RunRow, Started, TimerRow
from streams.core.compiled import inputs_of
from streams.core.dead_letter import iso
from streams.core.left_out import whole_run
from streams.core.merge_patch import merge_patch
from topology.plan import NodePlan, WorkflowPlan


class Ambiguous(AmbiguousRun):
    """A run id that several workflows have, with their ids.

    Operator action: say which with `workflow`.
    """

    def __init__(self, run_id: str, workflows: list[str]) -> None:
        named = " and ".join(map(repr, workflows))
        super().__init__(f"run {run_id!r} is there in the workflows {named}: say which with ?workflow=")
        self.workflows = workflows


def find_run(db: sqlite3.Connection, run_id: str, workflow: str | None) -> RunState:
    """Return the run called so, without its nodes' rows; raise `UnknownRun`, `UnknownWorkflow` or `Ambiguous`."""
    if workflow is not None:
        workflow_of(db, workflow)
    asked = "select workflow, value from runs where run_id = ? and (? is null or workflow = ?) order by workflow"
    found = db.execute(asked, (run_id, workflow, workflow)).fetchall()
    if not found:
        where = "" if workflow is None else f" in workflow {workflow!r}"
        raise UnknownRun(
            f"no run {run_id!r}{where}: GET /v1/runs lists those that are there (a new one takes a moment)"
        )
    if len(found) > 1:
        raise Ambiguous(run_id, [row["workflow"] for row in found])
    (row,) = found
    return RunState(workflow_of(db, row["workflow"]), cast("RunRow", decode(row["value"])), {})


def row_of(db: sqlite3.Connection, workflow: str, run_id: str) -> RunRow | None:
    """Return the row of a run, None if there is none."""
    row = db.execute("select value from runs where workflow = ? and run_id = ?", (workflow, run_id)).fetchone()
    return None if row is None else cast("RunRow", decode(row["value"]))


def run_detail(db: sqlite3.Connection, run_id: str, workflow: str | None) -> shapes.RunDetail:
    """Return a run; raise `UnknownRun`, `UnknownWorkflow` or `Ambiguous`."""
    state = with_nodes(db, find_run(db, run_id, workflow))
    records = journal_of(db, state)
    said = detail_of(state)
    row = state.row
    outputs = outputs_of(db, state)
    plan = plan_called(db, state.workflow.id, row.plan_hash) or current_plan(db, state.workflow.id)
    started = next((found for _, found in records if isinstance(found, Started)), None)
    return shapes.RunDetail(
        **summary_values(db, state.workflow, row),
        input=loads(started.input) if started else None,
        outputs=outputs,
        input_hash=row.input_hash,
        plan_hash=row.plan_hash,
        source=shapes.Place(topic=row.source.topic, partition=row.source.partition, offset=row.source.offset)
        if row.source
        else None,
        trace_id=_trace_id(row.traceparent),
        ledger=_ledger(db, state),
        timers=_timers(db, state),
        dag=dag_of(db, state.workflow, plan, counted=False),
        node_details=_nodes(state, plan, said["nodes"], records),
        history=history_of(records),
    )


def with_nodes(db: sqlite3.Connection, state: RunState) -> RunState:
    """Return the run with its nodes' rows."""
    asked = "select node, value from nodes where workflow = ? and run_id = ? and value is not null"
    rows = db.execute(asked, (state.workflow.id, state.row.run_id))
    nodes = whole_run({row["node"]: cast("NodeRow", decode(row["value"])) for row in rows})
    return RunState(state.workflow, state.row, nodes)


def journal_of(db: sqlite3.Connection, state: RunState) -> list[tuple[int, Record]]:
    """Return what the journals say of a run, with when it was written; in the order of time, which is an order only within a journal."""
    asked = "select at, value from journal where workflow = ? and run_id = ? order by at, topic, offset"
    return [(row["at"], decode(row["value"])) for row in db.execute(asked, (state.workflow.id, state.row.run_id))]


def outputs_of(db: sqlite3.Connection, state: RunState) -> dict[str, Any] | None:
    """Return the outputs in the run's last result, None while it has none."""
    row = result_of(db, state)
    return None if row is None else cast("dict[str, Any] | None", row.get("outputs"))


def result_of(db: sqlite3.Connection, state: RunState) -> dict[str, Any] | None:
    """Return the result of the run's present epoch, None while there is none."""
    asked = "select value from results where workflow = ? and run_id = ? and epoch = ?"
    found = db.execute(asked, (state.workflow.id, state.row.run_id, state.row.epoch)).fetchone()
    return None if found is None else cast("dict[str, Any]", loads(found["value"]))


def _nodes(
    state: RunState,
    plan: WorkflowPlan | None,
    said: Mapping[str, Mapping[str, Any]],
    records: Sequence[tuple[int, Record]],
) -> list[shapes.Node]:
    planned = {} if plan is None else {node.id: node for node in plan.nodes}
    return [
        shapes.Node(
            id=node,
            type=planned[node].kind if node in planned else None,
            **told,
            inputs=_inputs(planned.get(node), state.nodes.get(node)),
            review=_review(state.nodes.get(node), told["status"]),
            calls=calls_of(node, records),
            prompt=prompt_of(planned[node], state.nodes.get(node), records) if node in planned else None,
        )
        for node, told in said.items()
    ]


def _inputs(node: NodePlan | None, row: NodeRow | None) -> dict[str, Any] | None:
    """Return what the node has of what it sees, as edits left it."""
    if row is None or not row.gathered:
        return None
    if node is not None:
        return inputs_of(node, row)
    seen = {name: value_of(got.output) for name, got in row.gathered.items() if got.output is not None}
    for edit in row.edits:
        seen = {name: value for name, value in merge_patch(seen, loads(edit)).items() if name in row.gathered}
    return seen


def _review(row: NodeRow | None, status: str) -> shapes.ReviewRef | None:
    if row is None or row.review is None or row.closing or status != "waiting":
        return None
    return shapes.ReviewRef(hash=row.review.hash, due_at=iso(row.review.due_at))


def _trace_id(traceparent: str | None) -> str | None:
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None


def _ledger(db: sqlite3.Connection, state: RunState) -> shapes.Ledger | None:
    for row in _rows(db, state):
        if isinstance(row, LedgerRow):
            return shapes.Ledger(
                max_tokens=row.max_tokens,
                max_cost_usd=row.max_cost_usd,
                spent_tokens=row.spent_tokens,
                spent_cost_usd=row.spent_cost_usd,
                reserved_tokens=sum(one.tokens for one in row.reserved.values()),
                reserved_cost_usd=sum(one.cost_usd for one in row.reserved.values()),
            )
    return None


def _timers(db: sqlite3.Connection, state: RunState) -> list[shapes.Timer]:
    rows = sorted((row for row in _rows(db, state) if isinstance(row, TimerRow)), key=lambda row: row.due_at)
    return [shapes.Timer(node=row.node, kind=row.kind, due_at=iso(row.due_at)) for row in rows]


def _rows(db: sqlite3.Connection, state: RunState) -> list[Record]:
    asked = "select value from rows where workflow = ? and run_id = ?"
    return [decode(row["value"]) for row in db.execute(asked, (state.workflow.id, state.row.run_id))]
